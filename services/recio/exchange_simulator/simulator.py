"""The exchange as one running thing: gateway, feeds, world and the loop that moves time.

The same object serves a process (``ExchangeApp`` on a port), a stepped run (``http`` and
``websockets`` in memory) and the standalone command. ``recover`` must end before anything else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol
from uuid import UUID

from recio.domain.errors import Broken, Unavailable
from recio.domain.units import SECOND_US
from recio.exchange_simulator.api.admin import Token
from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.feeds import Feeds
from recio.exchange_simulator.gateway import HOUSE_SAVE_US, Gateway
from recio.exchange_simulator.memory import MemoryHttp, MemoryWebSockets
from recio.exchange_simulator.server import ExchangeApp
from recio.exchange_simulator.store import DatabaseStore
from recio.ports import Clock, Database

Log = logging.Logger | logging.LoggerAdapter[Any]
LONGEST_SLEEP_US: Final = SECOND_US


class World(Protocol):
    """What drives the exchange (see ``world``)."""

    def step(self, now_us: int) -> None:
        """Let everything happen that is due."""

    def next_event_us(self) -> int | None:
        """Return when to come back."""


class Simulator:
    """One exchange with everything around it."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        fresh: Callable[[], UUID],
        database: Database | None,
        attach: Callable[[Exchange], World] | None,
        log: Log,
        house_save_us: int = HOUSE_SAVE_US,
        admin_token: Token | None = None,
        order_latency_us: int = 0,
    ) -> None:
        self.exchange = Exchange(config, fresh=fresh)
        self.clock = clock
        self.store = DatabaseStore(database) if database is not None else None
        self.gateway = Gateway(
            self.exchange,
            clock,
            store=self.store,
            house_save_us=house_save_us,
            admin_token=admin_token,
            order_latency_us=order_latency_us,
        )
        self.feeds = Feeds(self.exchange)
        self.asgi = ExchangeApp(self.gateway, self.feeds)
        self.world = attach(self.exchange) if attach else None
        self.is_recovered = False
        self._is_loaded = False
        self._log = log

    async def recover(self) -> None:
        """Restore what the database knows, bring the world up, and save that.

        Raises:
            Unavailable: the database is away, or market time is behind what the exchange has seen;
                try again.
        """
        if not self._is_loaded:
            await self._load()
        self._refuse_the_past()
        self._step(self.clock.market_us())
        self.exchange.state.changes.is_urgent = True
        await self.gateway.commit()
        self.is_recovered = True
        self.asgi.is_open = True

    async def _load(self) -> None:
        try:
            is_restored = self.store is not None and await self.store.load(self.exchange)
        except Unavailable as error:
            if self.exchange.now_us:
                # Half of it is in memory: only a new process begins with nothing.
                raise Broken(f"the exchange was restored in part: {error}") from error
            raise
        if is_restored:
            self._log.info(
                "restored %d accounts, %d orders, %d markets",
                len(self.exchange.state.accounts),
                len(self.exchange.state.orders),
                len(self.exchange.state.markets),
            )
        self._is_loaded = True

    def _refuse_the_past(self) -> None:
        """A machine whose clock was set back would settle by prices of another moment."""
        behind_us = self.exchange.now_us - self.clock.market_us()
        if behind_us > 0:
            raise Unavailable(
                f"market time is {behind_us / SECOND_US:.1f} s behind what the exchange has seen: "
                "this machine's clock was set back; the exchange goes on when it has caught up"
            )

    async def run(self) -> None:
        """Move time for ever."""
        while True:
            now_us = self.clock.market_us()
            self._step(now_us)
            self.feeds.beat(now_us)
            await self._commit()
            due_us = self._due_us(now_us)
            await self.clock.sleep_market(max(due_us - self.clock.market_us(), 0) / SECOND_US)

    async def _commit(self) -> None:
        was_saved = self.gateway.is_saved
        try:
            await self.gateway.commit()
        except Unavailable as error:
            if was_saved:
                self._log.warning("the exchange is not saved: %s; it goes on in memory", error)

    def _step(self, now_us: int) -> None:
        if self.world is not None:
            self.world.step(now_us)
        self.exchange.advance(now_us)

    def _due_us(self, now_us: int) -> int:
        due = [now_us + LONGEST_SLEEP_US]
        if self.world is not None:
            next_us = self.world.next_event_us()
            due += [] if next_us is None else [next_us]
        timers = self.exchange.state.timers
        due += [timers[0][0]] if timers else []
        return min(due)

    def http(self) -> MemoryHttp:
        """Return an HTTP transport to this exchange within the process."""
        return MemoryHttp(self.gateway, self.feeds)

    def websockets(self) -> MemoryWebSockets:
        """Return a WebSocket transport to this exchange within the process."""
        return MemoryWebSockets(self.gateway, self.feeds)
