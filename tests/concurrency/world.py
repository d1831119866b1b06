"""The state from which every order of statements starts, kept in the database and put back each time.

Account ``one`` holds a trade, has one entry at the exchange that nobody has heard of again, one entry
and one exit that wait for the executor, a market that is over, two entries and two exits that wait
for the gate. Its limits and the fleet's leave room for exactly one entry more; ``two`` wants it too.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final
from uuid import UUID

import psycopg
import psycopg.sql
from tests.integration.money.scene import (
    CLOSE_US,
    EVENT,
    FEE,
    MARKET,
    OTHER,
    START_US,
    Scene,
    account_scene,
    exchange_id,
    exchange_order,
    fleet,
    list_market,
    make_account,
)

from recio.adapters.kalshi.model import ExchangeFill, ExchangeOrder, ExchangeSettlement
from recio.adapters.postgres import config
from recio.adapters.postgres.database import PostgresDatabase
from recio.domain.intents import Intent, Source
from recio.domain.orders import BookSide
from recio.domain.units import MINUTE_US

LIMITS: Final = {
    "max_contracts_per_event": 50,
    "max_contracts_total": 50,
    "max_cost_per_event_dollars": 90,
    "max_cost_total_dollars": 90,
    "max_open_trades": 9,
    "max_orders_per_minute": 30,
}
FLEET: Final = {"max_cost_total_dollars": 50, "max_open_trades": 9, "max_orders_per_minute": 60}
OVER: Final = "KXBTCD-25AUG0121-T119499.99"
WAITING: Final = f"{EVENT}-T120499.99"
FIRST_WISH: Final = f"{EVENT}-T119999.99"
SECOND_WISH: Final = f"{EVENT}-T120249.99"
HOUR_US: Final = 60 * MINUTE_US


class World:
    """Two accounts in one database, and what of them is to be tried."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self.url = url
        self._runner = runner
        self.one: Scene
        self.two: Scene
        self.wishes: dict[str, Intent] = {}
        self.trades: dict[str, UUID] = {}
        self.orders: dict[str, UUID] = {}
        self.fills: dict[str, ExchangeFill] = {}
        self.told: dict[str, ExchangeOrder] = {}
        self.settled: ExchangeSettlement
        owner = PostgresDatabase(url, connections=4, name="owner")
        self.one, self.two = (account_scene(owner, url, name) for name in ("one", "two"))
        try:
            runner.run(self._build())
        finally:
            for port in (owner, self.one.database, self.two.database):
                runner.run(port.close())
        self._keep()

    async def _build(self) -> None:
        one, two = self.one, self.two
        for scene in (one, two):
            scene.clock.at_us = START_US - HOUR_US
            await make_account(scene, **LIMITS)
        for ticker in (OVER, WAITING, FIRST_WISH, SECOND_WISH):
            await list_market(one.owner, ticker, now_us=one.now_us)
        async with one.owner.transaction() as tx:
            await config.apply_fleet(tx, fleet(**FLEET), at_us=one.now_us, author="test")
        self.trades["over"] = await one.held_trade(market_ticker=OVER)
        self.settled = one.settlement(
            yes_e2=1000, ticker=OVER, event_ticker=OVER.rpartition("-")[0],
            settled_at_us=CLOSE_US - HOUR_US + 90_000_000,
        )  # fmt: skip
        for scene in (one, two):
            scene.clock.at_us = START_US
        await self._trade()
        await self._wish()

    async def _trade(self) -> None:
        one = self.one
        self.trades["held"] = await one.held_trade()
        self.trades["sent"] = await one.enter(market_ticker=OTHER)
        self.trades["waiting"] = await one.enter(market_ticker=WAITING)
        sent = self.orders["sent"] = await one.entry_order(self.trades["sent"])
        await one.send(sent)
        self.orders["entry"] = await one.entry_order(self.trades["waiting"])
        self.orders["exit"] = await one.leave(self.trades["held"], qty_e2=400)
        self.fills["ours"] = await one.fill_of(sent, fill_id="ours")
        self.fills["by hand"] = one.fill(
            fill_id="by hand", book_side=BookSide.ASK, qty_e2=300, yes_price_e4=9500, fee_usd_e6=FEE
        )
        self.fills["opens"] = one.fill(
            fill_id="opens", ticker=FIRST_WISH, qty_e2=500, yes_price_e4=5000
        )
        for name, filled_e2, status in (
            ("executed", 1000, "executed"),
            ("in part", 400, "canceled"),
        ):
            self.told[name] = exchange_order(
                client_order_id=str(sent), order_id=exchange_id(sent), ticker=OTHER,
                status=status, fill_qty_e2=filled_e2,
            )  # fmt: skip

    async def _wish(self) -> None:
        one, two = self.one, self.two
        # Newer than any valid moment of waiting: nothing here dies of the schedule's length.
        late = {"valid_until_us": CLOSE_US}
        self.wishes = {
            "entry": one.wish(market_ticker=FIRST_WISH, **late),
            "other entry": one.wish(market_ticker=SECOND_WISH, **late),
            "exit": one.exit_wish(self.trades["held"], **late),
            "other exit": one.exit_wish(self.trades["held"], source=Source.MANUAL, **late),
            "entry of two": two.wish(market_ticker=FIRST_WISH, **late),
        }
        for name, wish in self.wishes.items():
            await (two if name == "entry of two" else one).propose(wish)
        self.wishes["new"] = one.wish(market_ticker=FIRST_WISH, source=Source.MANUAL, **late)

    def _keep(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            columns = dict(
                connection.execute(
                    "SELECT c.relname, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) "
                    "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
                    "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition "
                    "AND c.relnamespace = 'trading'::regnamespace "
                    "AND c.relname NOT LIKE '%transitions' "
                    "AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' GROUP BY 1"
                ).fetchall()
            )
            connection.execute("CREATE SCHEMA kept")
            # Who waits for whom is looked at here; the server must not resolve it first.
            connection.execute(
                psycopg.sql.SQL("ALTER DATABASE {} SET deadlock_timeout = '60s'").format(
                    psycopg.sql.Identifier(connection.info.dbname)
                )
            )
            for name in columns:
                connection.execute(f"CREATE TABLE kept.{name} AS TABLE trading.{name}")
            self.references = _references(connection)
        self.tables = frozenset(columns)
        self._columns = columns

    def putting_back(self, touched: frozenset[str]) -> str:
        """Return what puts these tables back as they were kept."""
        return (
            "BEGIN; SET LOCAL session_replication_role = replica; "
            + " ".join(
                f"DELETE FROM trading.{name}; INSERT INTO trading.{name} ({self._columns[name]}) "
                f"SELECT {self._columns[name]} FROM kept.{name};"
                for name in sorted(touched & self.tables)
            )
            + " COMMIT"
        )

    @property
    def now_us(self) -> int:
        """Market time, which stands still."""
        return START_US

    @property
    def markets(self) -> tuple[str, ...]:
        """Every market that something happens in."""
        return (MARKET, OTHER, WAITING, OVER, FIRST_WISH, SECOND_WISH)


def _references(connection: psycopg.Connection[Any]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for table, other in connection.execute(
        "SELECT a.relname, b.relname FROM pg_constraint k JOIN pg_class a ON a.oid = k.conrelid "
        "JOIN pg_class b ON b.oid = k.confrelid WHERE k.contype = 'f' "
        "AND k.connamespace = 'trading'::regnamespace"
    ):
        found.setdefault(table, set()).add(other)
    return {table: frozenset(others) for table, others in found.items()}
