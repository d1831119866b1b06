"""auto_entry_supervisor: snapshots in, entry fold, intents out.

The path from a snapshot to a committed intent waits for nothing but that commit: settings, switch,
trades and attempts are held in memory and refreshed by hints, with a slow poll behind them. Records
and the indicator are written by another task. A strategy of one's own is asked by a third, in a
process of its own: what it does or fails to do holds up nothing here.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from recio.adapters.postgres import decisions
from recio.adapters.postgres.config import effective_config
from recio.adapters.postgres.intents import propose
from recio.adapters.postgres.switches import effective_switch
from recio.domain import spike
from recio.domain.account_config import AccountConfig, Trading
from recio.domain.entry import Attempt, Key
from recio.domain.errors import Rejected, Unavailable
from recio.domain.messages import Snapshot
from recio.domain.trades import Trade
from recio.domain.units import HOUR_US, SECOND_US
from recio.engine import entry
from recio.engine.automation import Show
from recio.engine.entry import Ask, Command, Event, Known, ProposalFailed, Propose, Restored, Tick
from recio.engine.journal import EntryStarted
from recio.engine.records import Record
from recio.runtime.journal import Journal
from recio.runtime.sandbox.asking import Asking, Place
from recio.runtime.sandbox.child import Limits
from recio.runtime.service import HttpRequest, HttpResponse, Readiness, Service, ServiceContext
from recio.runtime.settings import load
from recio.runtime.wake import Wake

ATTEMPTS_US = 30 * HOUR_US
"""Longer than any event that is traded stays open."""
SILENCE_US = 15 * SECOND_US
"""Wall time without a snapshot after which it says so; there is one at each price, every second."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """``RECIO_AUTO_ENTRY_SUPERVISOR_*``.

    ``slippage_cents``: how much above the ask an entry may pay; ``write_seconds``: how long records
    may wait to be written together. A strategy of one's own is the file
    ``strategies_dir``/<ConfigMap>/<key>; ``strategy_seconds`` is how long it may think.
    """

    slippage_cents: Annotated[int, Meta(ge=0, le=10)] = 0
    write_seconds: Annotated[float, Meta(ge=0, le=60)] = 1.0
    strategies_dir: str = "/etc/recio/strategies"
    strategy_seconds: Annotated[float, Meta(gt=0, le=2)] = 1.0
    strategy_memory_bytes: Annotated[int, Meta(ge=2**24, le=2**32)] = 2**25


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    trades: tuple[Trade, ...]
    attempts: dict[Key, Attempt]
    cash_usd_e6: int | None


class AutoEntry:
    """Enters for one account."""

    def __init__(self, context: ServiceContext, account: str, settings: Settings) -> None:
        self._context = context
        self._account = account
        self._settings = settings
        self.state = entry.State(account, slippage_cents=settings.slippage_cents)
        self._journal = Journal(context)
        database = context.database
        self._rules = Wake(database, "settings", "switches", account=account)
        self._books = Wake(database, "trades", "intents", account=account, is_follower=True)
        self._config: AccountConfig | None = None
        self._switch = Trading.HALTED
        self._held: _Read | None = None
        self._records: list[Record] = []
        self._show: Show | None = None
        self._work = asyncio.Event()
        self._problem = "has not read the account yet"
        self._heard_us = context.clock.wall_us()
        self._strategy = Asking(
            Limits(
                answer_seconds=settings.strategy_seconds,
                memory_bytes=settings.strategy_memory_bytes,
            ),
            lambda: not self.state.held.open_trades,
            metrics=context.metrics,
            log=context.log,
        )
        self._proposed = context.metrics.counter(
            "recio_entry_intents_total", "Entry intents proposed.", "outcome"
        )

    async def recover(self) -> None:
        """Read the account, its trades and attempts, and the spike alert's state."""
        # Read first: however often that is tried, the journal begins once.
        async with self._context.database.transaction() as tx:
            spikes = await decisions.read_spikes(tx, self._account)
        self._journal.append(
            EntryStarted(
                at_us=self._context.clock.market_us(),
                account=self._account,
                slippage_cents=self._settings.slippage_cents,
            )
        )
        self._take(Restored(spikes))
        await self._read_rules()
        await self._read_books()

    async def read_bus(self) -> None:
        """Judge every snapshot for ever."""
        async for _topic, message in self._context.bus.subscribe("snapshots"):
            if isinstance(message, Snapshot):
                self._heard_us = self._context.clock.wall_us()
                for wish in self._take(message):
                    await self._propose(wish)

    async def ask_strategy(self) -> None:
        """Judge every answer of a strategy of one's own for ever; without one nothing comes."""
        while True:
            for wish in self._take(await self._strategy.next()):
                await self._propose(wish)

    async def tick(self) -> None:
        """Let time pass, so that the indicator says when data ceases."""
        while True:
            await self._context.clock.sleep_market(1.0)
            self._take(Tick(self._context.clock.market_us()))

    async def follow_rules(self) -> None:
        """Read settings and switches again whenever they may have changed."""
        await self._rules.follow(self._read_rules, self._tell)

    async def follow_books(self) -> None:
        """Read trades and attempts again whenever they may have changed."""
        await self._books.follow(self._read_books, self._tell)

    async def write(self) -> None:
        """Write records and the indicator, off the path of the intents."""
        # Stepped, where nothing is lost between processes, larger batches are written more rarely.
        pause_s = self._settings.write_seconds * max(self._context.database.poll_seconds / 2.0, 1.0)
        while True:
            await self._work.wait()
            await self._context.clock.sleep_wall(pause_s)
            self._work.clear()
            try:
                await self._write_waiting()
            except Unavailable as error:
                self._context.log.warning("decisions wait to be written: %s", error)
                self._work.set()
            except Rejected:
                # They would be refused again: what is lost is a record, never a wish.
                self._context.log.exception("decisions refused by the database")
                self._records.clear()
                self._show = None

    def _take(self, event: Event) -> list[Propose]:
        """Fold one event; keep what can wait and return the wishes, which cannot."""
        if self._journal.is_closed:
            return []
        self._journal.append(event)
        _, commands = entry.step(self.state, event)
        wishes = [command for command in commands if isinstance(command, Propose)]
        for command in commands:
            self._keep(command)
        return wishes

    def _keep(self, command: Command) -> None:
        if isinstance(command, Record):
            self._records.append(command)
        elif isinstance(command, Show):
            self._show = command
        elif isinstance(command, Ask):
            self._strategy.put(command)
            return
        else:
            return
        self._work.set()

    async def _propose(self, wish: Propose) -> None:
        try:
            async with self._context.database.transaction() as tx:
                is_new = await propose(tx, wish.intent)
                await decisions.write_records(tx, [wish.record])
        except (Unavailable, Rejected) as error:
            self._take(ProposalFailed(wish.intent))
            self._proposed.inc(1, "failed")
            self._context.log.warning("intent %s not written: %s", wish.intent.intent_id, error)
            return
        self._proposed.inc(1, "proposed" if is_new else "repeated")
        self._context.log.info(
            "entry proposed: %s %s", wish.intent.market_ticker, wish.intent.side,
            extra={"id": wish.intent.intent_id},
        )  # fmt: skip

    def _tell(self, problem: str) -> None:
        self._problem = problem

    async def _read_rules(self) -> None:
        async with self._context.database.transaction() as tx:
            self._config = await effective_config(tx, self._account)
            self._switch = (await effective_switch(tx, self._account)).state
        self._learn()

    async def _read_books(self) -> None:
        now_us = self._context.clock.market_us()
        async with self._context.database.transaction() as tx:
            self._held = _Read(
                trades=await decisions.trades_for_entries(tx, self._account, now_us=now_us),
                attempts=await decisions.read_attempts(
                    tx, self._account, since_us=now_us - ATTEMPTS_US
                ),
                cash_usd_e6=await decisions.cash_usd_e6(tx, self._account),
            )
        self._learn()

    def _learn(self) -> None:
        if self._config is None or self._held is None:
            return
        self._problem = ""
        self._strategy.follow(self._place(self._config))
        self._take(
            Known(
                config=self._config,
                switch=self._switch,
                trades=self._held.trades,
                attempts=self._held.attempts,
                cash_usd_e6=self._held.cash_usd_e6,
            )
        )

    def _place(self, config: AccountConfig) -> Place | None:
        own = config.strategy.custom
        if own is None:
            return None
        where = own.config_map_ref
        file = Path(self._settings.strategies_dir) / where.name / where.key
        return Place(file, own.class_name, own.parameters)

    async def _write_waiting(self) -> None:
        records, show = tuple(self._records), self._show
        async with self._context.database.transaction() as tx:
            if records:
                await decisions.write_records(tx, records)
            if show is not None:
                await decisions.write_automation(
                    tx, self._account, show, cooldown_seconds=self._cooldown(show)
                )
        del self._records[: len(records)]
        if self._show is show:
            self._show = None

    def _cooldown(self, show: Show) -> int:
        if self._config is None:
            return 0
        settings = self._config.strategy.spike_alert
        left = [spike.seconds_left(one, settings, show.at_us) for one in show.spikes.values()]
        return max(left, default=0)

    async def drain(self) -> None:
        """End the strategy and the journal, then write the records of all that was folded."""
        self._strategy.close()
        await self._journal.close()
        await self._write_waiting()

    async def indicator(self, request: HttpRequest) -> HttpResponse:
        """Answer with the automation's indicator."""
        del request
        shown = self.state.shown
        if shown is None:
            return HttpResponse(503, b'{"message":"the account is not read yet"}')
        return HttpResponse(200, msgspec.json.encode(shown))

    def readiness(self) -> Readiness:
        """Ready while the account is known and the market is heard."""
        problem = self._problem
        if not problem and self._context.clock.wall_us() > self._heard_us + SILENCE_US:
            problem = "no snapshot comes: the market plane or Redis is away, nothing is entered"
        return Readiness(is_ready=not problem, reason=problem)

    def service(self) -> Service:
        """Return it as a service."""
        return Service(
            recover=self.recover,
            tasks=(
                self._rules.listen,
                self._books.listen,
                self.follow_rules,
                self.follow_books,
                self.read_bus,
                self.ask_strategy,
                self.tick,
                self.write,
                self._journal.write,
            ),
            readiness=self.readiness,
            routes={("GET", "/api/auto_entry_indicator"): self.indicator},
            drain=self.drain,
        )


def build(context: ServiceContext) -> Service:
    """Build automatic entry for the context's account."""
    assert context.account is not None
    settings = load(Settings, context.row.name, context.settings)
    return AutoEntry(context, context.account, settings).service()
