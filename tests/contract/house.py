"""One HTTP server and one control server for the whole run; each case puts its own exchange behind.

Real sockets on 127.0.0.1, ports chosen by the system. The applications are the ones that
``recio exchange`` serves. Market time stands still until a case moves it; wall time is real,
because the clients sign with it.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Final
from uuid import UUID

from tests.contract import listing

from recio.exchange_simulator.app import HOST, listening
from recio.exchange_simulator.control import Control
from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.feeds import Feeds
from recio.exchange_simulator.gateway import Gateway
from recio.exchange_simulator.server import ControlApp, ExchangeApp
from recio.runtime.clock import wall_us

GENEROUS: Final = "Prestige"
"""The largest rate budget, so that only the cases about budgets meet one."""


class ManualClock:
    """Market time moves when a case says so; wall time and waiting are real."""

    def __init__(self, market_us: int) -> None:
        self.now_us = market_us

    def market_us(self) -> int:
        """Return market time."""
        return self.now_us

    def wall_us(self) -> int:
        """Return wall time."""
        return wall_us()

    async def sleep_market(self, seconds: float) -> None:
        """Nothing waits for market time here."""
        raise AssertionError(f"somebody waits {seconds} s for a market clock that stands still")

    async def sleep_wall(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)


class Venue:
    """One exchange with its gateway and both of its applications."""

    def __init__(self, config: dict[str, Any], listed: dict[str, Any]) -> None:
        self.exchange = listing.exchange(Config(**({"tier": GENEROUS} | config)), **listed)
        numbers = iter(range(1, 1_000_000))
        self.exchange.fresh = lambda: UUID(int=next(numbers))
        self.clock = ManualClock(listing.NOW_US)
        self.gateway = Gateway(self.exchange, self.clock)
        self.app = ExchangeApp(self.gateway, Feeds(self.exchange))
        self.app.is_open = True
        self.control = ControlApp(Control(self.gateway))


class Door:
    """An ASGI application that hands every request to the exchange of the case that runs now."""

    def __init__(self, house: House, name: str) -> None:
        self._house = house
        self._name = name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request or one WebSocket."""
        assert self._house.venue is not None, "a request came between two cases"
        await getattr(self._house.venue, self._name)(scope, receive, send)


class House:
    """The two servers. ``venue`` is the exchange of the case that runs now."""

    def __init__(self) -> None:
        self.venue: Venue | None = None
        self.port = 0
        self.control_port = 0
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Open both servers."""
        enter = self._stack.enter_async_context
        self.port = await enter(listening(Door(self, "app"), 0))
        self.control_port = await enter(listening(Door(self, "control"), 0))

    async def close(self) -> None:
        """Close both servers."""
        await self._stack.aclose()

    @property
    def http(self) -> str:
        """Return the origin of the REST API."""
        return f"http://{HOST}:{self.port}"

    @property
    def websocket(self) -> str:
        """Return the origin of the WebSocket."""
        return f"ws://{HOST}:{self.port}"

    @property
    def control(self) -> str:
        """Return the origin of the control API."""
        return f"http://{HOST}:{self.control_port}"
