"""Every account's money, trades, automation and switches, re-read when the change feed hints.

Nothing is read while nobody looks: a hint only marks a section of an account as stale, and a
browser that looks at the account makes the stale sections be read, at most ten times a second. A
hint can be lost with the bus, so what is looked at is read again every ten seconds besides, and so
are the names of the accounts.
Documents (see ``board``), all under ``account/<name>/``:

    whole  money  automation  decision  switches  settings  trade/<id>  stop/<id>  value/<id>  intent/<id>

(``whole``: all of it has been read) and ``accounts`` (the list) and ``database`` (whether it answers).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from recio.adapters.postgres.config import effective_config
from recio.adapters.postgres.switches import ALL_ACCOUNTS
from recio.apps.main_app import reads, settings_view, valuation
from recio.apps.main_app.board import Board
from recio.apps.main_app.market import Market
from recio.domain.account_config import AccountConfig, Model
from recio.domain.errors import Rejected, Unavailable
from recio.domain.messages import Change
from recio.domain.units import SECOND_US
from recio.ports import Clock, Database, Transaction

PAUSE_S: Final = 0.1
RETRY_S: Final = 1.0
BACKSTOP_S: Final = 10

SECTIONS: Final[dict[str, frozenset[str]]] = {
    "accounts": frozenset({"accounts"}),
    "account_config": frozenset({"settings", "money"}),
    "account_settings": frozenset({"settings", "money"}),
    "automation": frozenset({"automation"}),
    "balances": frozenset({"money"}),
    "exchange_limits": frozenset({"money"}),
    "fills": frozenset({"money", "trades"}),
    "intents": frozenset({"intents"}),
    "orders": frozenset({"money"}),
    "positions": frozenset({"money"}),
    "settlements": frozenset({"money", "trades"}),
    "stops": frozenset({"stops"}),
    "switches": frozenset({"switches"}),
    "totals": frozenset({"money"}),
    "trades": frozenset({"trades", "stops", "money"}),
}
"""Table of schema trading -> what must be read again when it changes."""
ALL: Final = frozenset(section for part in SECTIONS.values() for section in part) | {"decision"}
DECISION_US: Final = SECOND_US
"""Decisions follow snapshots and have no hints of their own: the newest is read at most once a
second of wall time, when a snapshot has come."""


class Accounts:
    """The accounts of the release, as documents on the board."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        board: Board,
        market: Market,
        *,
        clock_of: Callable[[str], Clock],
    ) -> None:
        self._clock_of = clock_of
        self._database = database
        self._clock = clock
        self._board = board
        self._market = market
        self._stale: dict[str, set[str]] = {}
        self._watched: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._decision_us = 0
        self._is_list_stale = False
        self._trades: dict[str, dict[str, reads.Row]] = {}
        self._readers: dict[str, Callable[[Transaction, str], Awaitable[None]]] = {
            "automation": self._read_automation,
            "decision": self._read_decision,
            "intents": self._read_intents,
            "money": self._read_money,
            "settings": self._read_settings,
            "stops": self._read_stops,
            "switches": self._read_switches,
            "trades": self._read_trades,
        }
        self.environments: dict[str, str] = {}
        self.configs: dict[str, AccountConfig] = {}
        self.reason = "the database has not been read yet"

    def apply(self, change: Change) -> None:
        """Mark what a change makes stale; one without an account, or of all, concerns every one."""
        sections = SECTIONS.get(change.table.rpartition(".")[2])
        if sections is None:
            return
        account = change.account
        if account is not None and account in self.environments:
            concerned = [account]
        else:
            concerned = list(self.environments)
            self._is_list_stale = account not in (None, ALL_ACCOUNTS)
        for name in concerned:
            self._stale.setdefault(name, set()).update(sections)
        self._wake.set()

    def note_snapshot(self) -> None:
        """A snapshot came: there may be a newer decision."""
        now = self._clock.wall_us()
        if self._watched and now >= self._decision_us + DECISION_US:
            self._decision_us = now
            for account in self._watched:
                self._stale.setdefault(account, set()).add("decision")
            self._wake.set()

    def watch(self, account: str) -> None:
        """Somebody looks at the account from now on."""
        self._watched[account] = self._watched.get(account, 0) + 1
        if self._watched[account] == 1:
            self._stale[account] = set(ALL)
            self._wake.set()

    def unwatch(self, account: str) -> None:
        """One reader less."""
        self._watched[account] -= 1
        if not self._watched[account]:
            del self._watched[account]
            # The next reader must not take figures of an hour ago for the present.
            self._board.replace(f"account/{account}/", {})

    async def load(self) -> None:
        """Read the list of accounts with their settings."""
        async with self._database.transaction() as tx:
            rows = await reads.accounts(tx)
            self.environments = {row["account"]: row["environment"] for row in rows}
            for row in rows:
                row["series"], row["problem"] = [], ""
                try:
                    config = await self._config(tx, row["account"])
                except Rejected as error:
                    # One account's document that cannot be read must not hide the others.
                    row["problem"] = str(error)
                else:
                    row["series"] = [item.value for item in config.series]
        self._board.put("accounts", rows)
        self._is_list_stale = False
        self._answers("")

    async def run(self) -> None:
        """Read stale sections of watched accounts, for ever."""
        whole_us = self._clock.wall_us()
        while True:
            try:
                async with asyncio.timeout(BACKSTOP_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            if self._clock.wall_us() >= whole_us + BACKSTOP_S * SECOND_US:
                whole_us = self._clock.wall_us()
                self._stale.update({account: set(ALL) for account in self._watched})
                await self._look_for_others()
            await self._refresh_watched()
            await self._clock.sleep_wall(PAUSE_S)

    async def refresh(self, account: str, sections: frozenset[str] = ALL) -> None:
        """Read sections of one account now.

        Raises:
            Unavailable: the database does not answer.
            Rejected: there is no such account.
        """
        if account not in self.environments or "accounts" in sections:
            await self.load()
        if account not in self.environments:
            raise Rejected(f"no account is called {account!r}")
        async with self._database.transaction() as tx:
            for section in sorted(sections & self._readers.keys()):
                await self._readers[section](tx, account)
        if sections >= ALL and account in self._watched:
            self._board.put(f"account/{account}/whole", value=True)
        self._answers("")

    def model_of(self, account: str | None) -> Model:
        """Return whose probabilities the account trades on."""
        config = self.configs.get(account) if account else None
        return config.strategy.model if config else Model.VOLATILITY

    def publish_values(self, account: str) -> None:
        """Value the account's open trades at the newest snapshot."""
        environment = self.environments.get(account)
        if environment is None:
            return
        model = self.model_of(account)
        values: dict[str, object] = {
            trade_id: valuation.value(
                trade, self._market.find_row(environment, trade["market_ticker"]), model
            )
            for trade_id, trade in self._trades.get(account, {}).items()
            if valuation.is_held(trade)
        }
        self._board.replace(f"account/{account}/value/", values)

    async def _look_for_others(self) -> None:
        """Accounts are made while nobody looks, and the hint may have been lost."""
        try:
            async with self._database.transaction() as tx:
                rows = await tx.fetch("SELECT account FROM trading.accounts")
        except Unavailable as error:
            self._answers(str(error))
            return
        # Nobody may be watching: then nothing else asks, and nobody could come while we are not ready.
        self._answers("")
        if {name for (name,) in rows} != self.environments.keys():
            self._is_list_stale = True

    async def _refresh_watched(self) -> None:
        try:
            if self._is_list_stale:
                await self.load()
            for account in list(self._watched):
                sections = self._stale.pop(account, set())
                if sections:
                    await self._refresh_or_keep(account, sections)
        except Unavailable as error:
            self._answers(str(error))
            await self._clock.sleep_wall(RETRY_S)
            self._wake.set()

    async def _refresh_or_keep(self, account: str, sections: set[str]) -> None:
        try:
            await self.refresh(account, frozenset(sections))
        except Unavailable:
            self._stale.setdefault(account, set()).update(sections)
            raise
        except Rejected as error:
            self._answers(str(error))

    def _answers(self, reason: str) -> None:
        self.reason = reason
        self._board.put("database", {"is_available": not reason, "reason": reason})

    async def _config(self, tx: Transaction, account: str) -> AccountConfig:
        config = await effective_config(tx, account)
        self.configs[account] = config
        self._market.models.add(config.strategy.model)
        return config

    async def _read_money(self, tx: Transaction, account: str) -> None:
        config = await self._config(tx, account)
        clock = self._clock_of(self.environments.get(account, ""))
        money = await reads.money(tx, account, config.risk, clock.market_us())
        self._board.put(f"account/{account}/money", money)

    async def _read_trades(self, tx: Transaction, account: str) -> None:
        rows = {row["trade_id"]: row for row in await reads.trades(tx, account)}
        self._trades[account] = rows
        self._board.replace(f"account/{account}/trade/", dict(rows))
        self.publish_values(account)

    async def _read_intents(self, tx: Transaction, account: str) -> None:
        rows = await reads.newest(tx, "intents", account, reads.INTENTS_SHOWN)
        self._board.replace(f"account/{account}/intent/", {row["intent_id"]: row for row in rows})

    async def _read_stops(self, tx: Transaction, account: str) -> None:
        rows = await reads.stops(tx, account)
        self._board.replace(f"account/{account}/stop/", {row["trade_id"]: row for row in rows})

    async def _read_automation(self, tx: Transaction, account: str) -> None:
        self._board.put(f"account/{account}/automation", await reads.automation(tx, account))

    async def _read_decision(self, tx: Transaction, account: str) -> None:
        self._board.put(f"account/{account}/decision", await reads.decision(tx, account))

    async def _read_switches(self, tx: Transaction, account: str) -> None:
        self._board.put(f"account/{account}/switches", await reads.switches(tx, account))

    async def _read_settings(self, tx: Transaction, account: str) -> None:
        await self._config(tx, account)
        view = await settings_view.view(tx, account)
        self._board.put(f"account/{account}/settings", view)
