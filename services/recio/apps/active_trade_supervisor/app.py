"""active_trade_supervisor: snapshots in, stop fold, exits out.

Independent of the entry side, of the page and of Redis: when no snapshot of an event with an open
trade has come for two seconds of market time, the rows of market.snapshot_latest are read instead.
"""

from __future__ import annotations

import asyncio
from uuid import UUID

import msgspec

from recio.adapters.postgres import decisions, snapshots
from recio.adapters.postgres.config import effective_config
from recio.adapters.postgres.intents import propose
from recio.adapters.postgres.switches import effective_switch
from recio.adapters.postgres.trades import live_trades
from recio.domain.account_config import AccountConfig, Trading
from recio.domain.errors import Rejected, Unavailable
from recio.domain.messages import Snapshot
from recio.domain.trades import Trade
from recio.domain.units import SECOND_US
from recio.engine import stop
from recio.engine.journal import StopStarted
from recio.engine.records import Record
from recio.engine.stop import Event, Exit, ExitFailed, Known, Restored, Save, Tick
from recio.runtime.journal import Journal
from recio.runtime.service import HttpRequest, HttpResponse, Readiness, Service, ServiceContext
from recio.runtime.settings import load
from recio.runtime.wake import Wake

BUS_SILENT_US = 2 * SECOND_US


class NoSettings(msgspec.Struct, frozen=True):
    """There are no settings of its own: a name that is given is refused."""


class ActiveTrades:
    """Watches the trades of one account."""

    def __init__(self, context: ServiceContext, account: str) -> None:
        self._context = context
        self._account = account
        self.state = stop.State(account)
        self._journal = Journal(context)
        database = context.database
        self._rules = Wake(database, "settings", "switches", account=account)
        self._books = Wake(database, "trades", account=account, is_follower=True)
        self._config: AccountConfig | None = None
        self._switch = Trading.ACTIVE
        self._trades: tuple[Trade, ...] | None = None
        self._saves: dict[UUID, Save] = {}
        self._records: list[Record] = []
        self._exits: list[Exit] = []
        self._exit_waits = asyncio.Event()
        self._work = asyncio.Event()
        self._problem = "has not read the account yet"
        self._proposed = context.metrics.counter(
            "recio_exit_intents_total", "Exit intents proposed.", "source", "outcome"
        )
        self._fallback = context.metrics.counter(
            "recio_snapshot_fallbacks_total", "Reads of the snapshot row for want of the bus."
        )

    async def recover(self) -> None:
        """Read the account, its trades and its stops."""
        # Read first: however often that is tried, the journal begins once.
        async with self._context.database.transaction() as tx:
            stops = await decisions.read_stops(tx, self._account)
        started = StopStarted(at_us=self._context.clock.market_us(), account=self._account)
        self._journal.append(started)
        self._take(Restored(stops))
        self._take(Tick(self._context.clock.market_us()))
        await self._read_rules()
        await self._read_trades()

    async def read_bus(self) -> None:
        """Look at every snapshot for ever."""
        async for _topic, message in self._context.bus.subscribe("snapshots"):
            if isinstance(message, Snapshot):
                self._take(message)

    async def tick(self) -> None:
        """Let time pass; read the snapshot rows when the bus is silent and something is open."""
        while True:
            await self._context.clock.sleep_market(1.0)
            now_us = self._context.clock.market_us()
            if self._is_blind(now_us):
                await self._read_rows(now_us)
            self._take(Tick(now_us))

    async def follow_rules(self) -> None:
        """Read settings and switches again whenever they may have changed."""
        await self._rules.follow(self._read_rules, self._tell)

    async def follow_trades(self) -> None:
        """Read trades again whenever they may have changed."""
        await self._books.follow(self._read_trades, self._tell)

    async def leave(self) -> None:
        """Write exits as soon as they are decided."""
        while True:
            await self._exit_waits.wait()
            self._exit_waits.clear()
            exits, self._exits = self._exits, []
            for command in exits:
                await self._propose(command)

    async def write(self) -> None:
        """Write stops that changed, and records."""
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                await self._write_waiting()
            except Unavailable as error:
                self._context.log.warning("stops wait to be written: %s", error)
                await self._context.clock.sleep_wall(1.0)
                self._work.set()
            except Rejected:
                # They would be refused again; the state in memory goes on, exits write their own.
                self._context.log.exception("stops refused by the database")
                self._records.clear()
                self._saves.clear()

    def _take(self, event: Event) -> None:
        if self._journal.is_closed:
            return
        self._journal.append(event)
        _, commands = stop.step(self.state, event)
        for command in commands:
            if isinstance(command, Exit):
                # The exit's transaction writes the newest state, so an older one must not follow.
                self._saves.pop(command.save.trade_id, None)
                self._exits.append(command)
                self._exit_waits.set()
            elif isinstance(command, Save):
                self._saves[command.trade_id] = command
                self._work.set()
            else:
                self._records.append(command)
                self._work.set()

    async def _propose(self, command: Exit) -> None:
        intent, save = command.intent, command.save
        try:
            async with self._context.database.transaction() as tx:
                is_new = await propose(tx, intent)
                await decisions.write_stop(
                    tx, self._account, save.trade_id, save.stop, at_us=save.at_us
                )
                await decisions.write_records(tx, [command.record])
        except (Unavailable, Rejected) as error:
            self._take(ExitFailed(save.trade_id, save.stop.attempts))
            self._proposed.inc(1, intent.source.value, "failed")
            self._context.log.warning("exit %s not written: %s", intent.intent_id, error)
            return
        self._proposed.inc(1, intent.source.value, "proposed" if is_new else "repeated")
        self._context.log.info(
            "exit proposed: %s %s: %s", intent.market_ticker, intent.side, intent.reason,
            extra={"id": intent.intent_id},
        )  # fmt: skip

    def _is_blind(self, now_us: int) -> bool:
        """Tell whether an open trade's event has sent no snapshot for a while."""
        return any(
            (held := self.state.snapshots.get(trade.event_ticker)) is None
            or now_us - held.at_us > BUS_SILENT_US
            for trade in self._trades or ()
            if trade.open_qty_e2 > 0 and trade.close_us > now_us
        )

    async def _read_rows(self, now_us: int) -> None:
        self._fallback.inc()
        try:
            async with self._context.database.transaction() as tx:
                found = await snapshots.read_latest(
                    tx, self._context.environment, closing_after_us=now_us
                )
        except Unavailable as error:
            self._problem = str(error)
            return
        for snapshot in found:
            self._take(snapshot)

    def _tell(self, problem: str) -> None:
        self._problem = problem

    async def _read_rules(self) -> None:
        async with self._context.database.transaction() as tx:
            self._config = await effective_config(tx, self._account)
            self._switch = (await effective_switch(tx, self._account)).state
        self._learn()

    async def _read_trades(self) -> None:
        async with self._context.database.transaction() as tx:
            self._trades = tuple(await live_trades(tx, self._account))
        self._learn()

    def _learn(self) -> None:
        if self._config is None or self._trades is None:
            return
        self._problem = ""
        self._take(Known(config=self._config, switch=self._switch, trades=self._trades))

    async def _write_waiting(self) -> None:
        saves, records = dict(self._saves), tuple(self._records)
        async with self._context.database.transaction() as tx:
            for save in saves.values():
                await decisions.write_stop(
                    tx, self._account, save.trade_id, save.stop, at_us=save.at_us
                )
            if records:
                await decisions.write_records(tx, records)
        del self._records[: len(records)]
        for trade_id, save in saves.items():
            if self._saves.get(trade_id) is save:
                del self._saves[trade_id]

    async def drain(self) -> None:
        """End the journal, then write the stops and records of all that was folded."""
        await self._journal.close()
        await self._write_waiting()

    async def active_trades(self, request: HttpRequest) -> HttpResponse:
        """Answer with every open trade as it stands now."""
        del request
        return HttpResponse(200, msgspec.json.encode(stop.live_views(self.state)))

    def readiness(self) -> Readiness:
        """Ready while the account is known: exits need no more."""
        return Readiness(is_ready=not self._problem, reason=self._problem)

    def service(self) -> Service:
        """Return it as a service."""
        return Service(
            recover=self.recover,
            tasks=(
                self._rules.listen,
                self._books.listen,
                self.follow_rules,
                self.follow_trades,
                self.leave,
                self.read_bus,
                self.tick,
                self.write,
                self._journal.write,
            ),
            readiness=self.readiness,
            routes={("GET", "/api/active_trades"): self.active_trades},
            drain=self.drain,
        )


def build(context: ServiceContext) -> Service:
    """Build the supervisor of the context's account."""
    assert context.account is not None
    load(NoSettings, context.row.name, context.settings)
    return ActiveTrades(context, context.account).service()
