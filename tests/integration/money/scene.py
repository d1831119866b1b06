"""A paper account on a real database, moved by hand: wishes, the gate, fills, settlements, time.

The account's services work under the account's own login, so every scenario tries its grants and
its row-level security as well. ``owner`` is for setting up and for looking.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import count
from typing import Any
from uuid import UUID, uuid5

import msgspec

from recio import manifest
from recio.adapters.kalshi.model import ExchangeFill, ExchangeOrder, ExchangeSettlement
from recio.adapters.postgres import config, facts, intents, leases, orders, status, switches
from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.postgres.orders import OrderRow
from recio.apps.kalshi_account_sync import booking
from recio.apps.trade_initiator.app import Gate
from recio.apps.trade_manager.app import TradeManager
from recio.domain.account_config import Trading
from recio.domain.disputes import Contradiction
from recio.domain.intents import Intent, Purpose, Source
from recio.domain.messages import PriceRange
from recio.domain.orders import BookSide, OrderState
from recio.domain.tickers import parse_event, parse_market
from recio.domain.units import MINUTE_US, SECOND_US, as_datetime
from recio.ports import Database
from recio.runtime.ids import SeededIds
from recio.runtime.metrics import Metrics, ProcessMetrics
from recio.runtime.service import ServiceContext

EVENT = "KXBTCD-25AUG0122"
MARKET = f"{EVENT}-T119499.99"
OTHER = f"{EVENT}-T119749.99"
NEXT_EVENT = "KXBTCD-25AUG0123"
NEXT = f"{NEXT_EVENT}-T119499.99"
CLOSE_US = parse_event(EVENT).close_us
START_US = CLOSE_US - 10 * MINUTE_US
WALL_START_US = 1_795_000_000_000_000
DOLLAR = 1_000_000
FEE = 26_900
LOCK_S = 60.0
"""The taker fee of ten contracts at 96 cents."""

_NAMESPACE = UUID(int=0x5EC10)
_numbers = count(1)


class ManualClock:
    """Market and wall time stand still until the test, or a sleep, moves both."""

    def __init__(self, at_us: int = START_US, wall_at_us: int = WALL_START_US) -> None:
        self.at_us = at_us
        self.wall_at_us = wall_at_us

    def market_us(self) -> int:
        """Return market time."""
        return self.at_us

    def wall_us(self) -> int:
        """Return wall time: years from market time, as in a recording."""
        return self.wall_at_us

    def pass_time(self, seconds: float) -> None:
        """Let time go on."""
        self.at_us += round(seconds * SECOND_US)
        self.wall_at_us += round(seconds * SECOND_US)

    async def sleep_market(self, seconds: float) -> None:
        """Sleep by moving time."""
        self.pass_time(seconds)
        await asyncio.sleep(0)

    async def sleep_wall(self, seconds: float) -> None:
        """Sleep by moving time."""
        await self.sleep_market(seconds)


def document(name: str = "paper", **risk: Any) -> dict[str, Any]:
    """Return a TradingAccount document; limits are given in snake case."""
    limits = {
        "maxContractsPerOrder": 10,
        "maxContractsPerEvent": 20,
        "maxContractsTotal": 30,
        "maxCostPerEventDollars": 30,
        "maxCostTotalDollars": 40,
        "maxOpenTrades": 3,
        "maxOrdersPerMinute": 30,
    } | {_camel(key): value for key, value in risk.items()}
    return {
        "apiVersion": "recio.io/v1alpha1",
        "kind": "TradingAccount",
        "metadata": {"name": name},
        "spec": {"risk": limits},
    }


def fleet(trading: str = "Active", **risk: int) -> dict[str, Any]:
    """Return a TradingFleet document."""
    return {
        "apiVersion": "recio.io/v1alpha1",
        "kind": "TradingFleet",
        "metadata": {"name": "default"},
        "spec": {"trading": trading, "risk": {_camel(key): value for key, value in risk.items()}},
    }


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def login_url(database_url: str, login: str) -> str:
    """Return the address of the same database for another login."""
    head, _, tail = database_url.partition("//")
    return f"{head}//{login}@{tail.partition('@')[2]}"


def context(
    service: str, database: Database, clock: ManualClock, account: str | None
) -> ServiceContext:
    """Return what a service is handed."""
    return ServiceContext(
        row=manifest.service(service),
        environment="paper",
        account=account,
        clock=clock,
        ids=SeededIds(f"{service} {next(_numbers)}"),
        database=database,
        bus=None,  # type: ignore[arg-type]
        access=None,  # type: ignore[arg-type]
        metrics=Metrics(ProcessMetrics(), service=service, account=account),
        log=logging.LoggerAdapter(logging.getLogger(service), {}),
        settings={},
    )


class Scene:
    """One account, its clock and its database."""

    def __init__(self, owner: Database, database: Database, account: str = "paper") -> None:
        self.owner = owner
        self.database = database
        self.account = account
        self.clock = ManualClock()

    def context(self, service: str) -> ServiceContext:
        """Return what a service of the account is handed."""
        return context(service, self.database, self.clock, self.account)

    @property
    def now_us(self) -> int:
        """Market time."""
        return self.clock.market_us()

    # What there is.

    async def apply(self, **risk: Any) -> None:
        """Apply the account's document."""
        async with self.owner.transaction() as tx:
            await config.apply_account(
                tx,
                document(self.account, **risk),
                environment="paper",
                at_us=self.now_us,
                author="test",
            )

    async def open_books(self, dollars: int = 1000) -> None:
        """Book the opening balance."""
        async with self.database.transaction() as tx:
            await facts.open_books(
                tx, self.account, cash_usd_e6=dollars * DOLLAR, at_us=self.now_us - 1
            )

    async def list_market(self, ticker: str = MARKET, **changes: Any) -> None:
        """Write what the exchange told of a market."""
        await list_market(self.owner, ticker, now_us=self.now_us, **changes)

    async def switch(self, state: Trading, source: str = "person", scope: str = "") -> None:
        """Set one source's switch."""
        async with self.owner.transaction() as tx:
            await switches.set_switch(
                tx,
                scope or self.account,
                source,
                state,
                reason="by hand",
                author="test",
                at_us=self.now_us,
            )

    # What is wished.

    def wish(self, **changes: Any) -> Intent:
        """Return an entry of ten contracts at 96 cents."""
        fields: dict[str, Any] = {
            "intent_id": uuid5(_NAMESPACE, str(next(_numbers))),
            "account": self.account,
            "purpose": Purpose.ENTRY,
            "source": Source.AUTO_ENTRY,
            "market_ticker": MARKET,
            "side": "yes",
            "qty_e2": 1000,
            "limit_price_e4": 9600,
            "at_us": self.now_us,
            "valid_until_us": self.now_us + 5 * SECOND_US,
            "price_at_us": self.now_us,
            "book_at_us": self.now_us,
        } | changes
        fields.setdefault("event_ticker", fields["market_ticker"].rpartition("-")[0])
        return Intent(**fields)

    def exit_wish(self, trade_id: UUID, **changes: Any) -> Intent:
        """Return an exit of everything at 40 cents."""
        return self.wish(
            **{
                "purpose": Purpose.EXIT,
                "source": Source.AUTO_STOP,
                "trade_id": trade_id,
                "limit_price_e4": 4000,
                "reason": "below 40 %",
            }
            | changes
        )

    async def propose(self, intent: Intent) -> bool:
        """Propose a wish."""
        async with self.database.transaction() as tx:
            return await intents.propose(tx, intent)

    async def decide(self) -> None:
        """Let the gate decide what is proposed."""
        await self.gate().decide_all()

    def gate(self) -> Gate:
        """Return a gate of the account."""
        return Gate(self.context("trade_initiator"), self.account)

    async def ask(self, intent: Intent) -> str:
        """Propose and decide; return the refusal, empty if it was accepted."""
        await self.propose(intent)
        await self.decide()
        state, refusal = await self.one(
            "SELECT state::text, refusal FROM trading.intents WHERE intent_id = %s",
            intent.intent_id,
        )
        assert (state == "refused") == bool(refusal)
        return str(refusal)

    async def enter(self, **changes: Any) -> UUID:
        """Let the gate accept an entry; return its trade."""
        intent = self.wish(**changes)
        assert await self.ask(intent) == ""
        (trade_id,) = await self.one(
            "SELECT trade_id FROM trading.orders WHERE intent_id = %s", intent.intent_id
        )
        assert isinstance(trade_id, UUID)
        return trade_id

    async def leave(self, trade_id: UUID, **changes: Any) -> UUID:
        """Let the gate accept an exit; return its order."""
        intent = self.exit_wish(trade_id, **changes)
        assert await self.ask(intent) == ""
        (order_id,) = await self.one(
            "SELECT order_id FROM trading.orders WHERE intent_id = %s", intent.intent_id
        )
        assert isinstance(order_id, UUID)
        return order_id

    async def entry_order(self, trade_id: UUID) -> UUID:
        """Return a trade's entry order."""
        (order_id,) = await self.one(
            "SELECT order_id FROM trading.orders WHERE trade_id = %s AND purpose = 'entry'",
            trade_id,
        )
        assert isinstance(order_id, UUID)
        return order_id

    # What the exchange tells.

    async def send(self, order_id: UUID) -> None:
        """Claim an order as the executor does, under whatever epoch holds."""
        async with self.database.transaction() as tx:
            # Renewed long ago: whoever comes takes the lease over at once.
            long_ago_us = self.clock.wall_us() - 3600 * SECOND_US
            epoch = await leases.acquire(
                tx, self.account, "trade_executor", UUID(int=1), wall_us=long_ago_us
            )
            assert epoch is not None
            row = await self._order(tx, order_id)
            made = await orders.claim(
                tx, row, epoch=epoch, wall_us=self.clock.wall_us(), at_us=self.now_us
            )
            assert made.is_ours

    async def _order(self, tx: Any, order_id: UUID) -> OrderRow:
        row = await orders.order_by_id(tx, self.account, order_id)
        assert row is not None
        return row

    async def order(self, order_id: UUID) -> OrderRow:
        """Return an order."""
        async with self.database.transaction() as tx:
            return await self._order(tx, order_id)

    async def report(
        self, order_id: UUID, filled_e2: int, *, status: str = "executed", sends: bool = True
    ) -> None:
        """Let the exchange tell where an order of ours stands (sent before, if it was not)."""
        row = await self.order(order_id)
        if sends and row.order.state is OrderState.CREATED:
            await self.send(order_id)
        await self.book_order(
            exchange_order(
                client_order_id=str(order_id),
                order_id=exchange_id(order_id),
                status=status,
                fill_qty_e2=filled_e2,
                qty_e2=row.order.qty_e2,
                ticker=row.order.market_ticker,
                book_side=row.order.book_side,
                yes_price_e4=row.order.yes_price_e4,
            )
        )

    async def book_order(self, told: ExchangeOrder) -> bool:
        """Book an order's word."""
        async with self.database.transaction() as tx:
            return await booking.book_order(tx, self.account, told, now_us=self.now_us)

    def fill(self, **changes: Any) -> ExchangeFill:
        """Return a fill of ten YES at 96 cents by somebody else's order."""
        number = next(_numbers)
        fields: dict[str, Any] = {
            "fill_id": f"fill-{number}",
            "order_id": f"foreign-{number}",
            "client_order_id": None,
            "ticker": MARKET,
            "book_side": BookSide.BID,
            "qty_e2": 1000,
            "yes_price_e4": 9600,
            "is_taker": True,
            "fee_usd_e6": FEE,
            "at_us": self.now_us,
            "exchange_index": 2,
            "subaccount": None,
        }
        return ExchangeFill(**fields | changes)

    async def fill_of(self, ours: UUID, **changes: Any) -> ExchangeFill:
        """Return a fill of an order of ours, at its limit, whole."""
        order = (await self.order(ours)).order
        fields = {
            "order_id": exchange_id(ours),
            "client_order_id": str(ours),
            "ticker": order.market_ticker,
            "book_side": order.book_side,
            "yes_price_e4": order.yes_price_e4,
            "qty_e2": order.qty_e2,
        }
        return self.fill(**fields | changes)

    async def book_fill(self, told: ExchangeFill, client_order_id: str | None = None) -> bool:
        """Book a fill as account sync does."""
        async with self.database.transaction() as tx:
            return await booking.book_fill(
                tx,
                self.account,
                told,
                client_order_id=told.client_order_id or client_order_id,
                now_us=self.now_us,
            )

    async def fill_entry(self, trade_id: UUID, **changes: Any) -> None:
        """Let a trade's entry fill whole, be reported and booked."""
        order_id = await self.entry_order(trade_id)
        order = (await self.order(order_id)).order
        told = await self.fill_of(order_id, **changes)
        status = "executed" if told.qty_e2 == order.qty_e2 else "canceled"
        await self.report(order_id, told.qty_e2, status=status)
        await self.book_fill(told)

    async def held_trade(self, **changes: Any) -> UUID:
        """Enter, fill and fold; return the open trade."""
        trade_id = await self.enter(**changes)
        await self.fill_entry(trade_id)
        await self.fold()
        return trade_id

    def settlement(self, *, yes_e2: int = 0, no_e2: int = 0, **changes: Any) -> ExchangeSettlement:
        """Return the settlement of the market, YES having won unless told otherwise."""
        result = changes.get("result", "yes")
        fields: dict[str, Any] = {
            "ticker": MARKET,
            "event_ticker": EVENT,
            "result": result,
            "yes_qty_e2": yes_e2,
            "yes_cost_usd_e6": 0,
            "no_qty_e2": no_e2,
            "no_cost_usd_e6": 0,
            "revenue_usd_e6": max(yes_e2 - no_e2, 0) * 10_000
            if result == "yes"
            else max(no_e2 - yes_e2, 0) * 10_000,
            "fee_usd_e6": FEE,
            "payout_usd_e6": None,
            "settled_at_us": CLOSE_US + 90 * SECOND_US,
            "exchange_index": 2,
        }
        return ExchangeSettlement(**fields | changes)

    async def settle(self, told: ExchangeSettlement) -> str:
        """Book a settlement, when it is told; return why it is not booked."""
        try:
            async with self.database.transaction() as tx:
                await booking.book_settlement(
                    tx, self.account, told, now_us=max(self.now_us, told.settled_at_us)
                )
        except Contradiction as found:
            return found.explanation
        return ""

    async def fold(self) -> int:
        """Let the trade manager fold everything."""
        return await TradeManager(self.context("trade_manager"), self.account).fold_all()

    # What is to be seen.

    async def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Read as the owner."""
        async with self.owner.transaction() as tx:
            return await tx.fetch(sql, *parameters)

    async def until_it_waits(self, work: asyncio.Future[Any]) -> None:
        """Wait until work of the account's services waits for a lock that somebody else holds."""
        async with asyncio.timeout(LOCK_S):
            while not await self.rows(
                "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                "AND application_name = %s",
                self.account,
            ):
                assert not work.done(), f"it did not wait: {work}"
                await asyncio.sleep(0)

    async def one(self, sql: str, *parameters: object) -> tuple[Any, ...]:
        """Read one row as the owner."""
        (row,) = await self.rows(sql, *parameters)
        return row

    async def execute(self, sql: str, *parameters: object) -> int:
        """Write as the account's own login."""
        async with self.database.transaction() as tx:
            return await tx.execute(sql, *parameters)

    async def trade(self, trade_id: UUID) -> dict[str, Any]:
        """Return a trade's row."""
        (row,) = await self.one(
            "SELECT to_jsonb(t) FROM trading.trades t WHERE trade_id = %s", trade_id
        )
        return dict(row)

    async def states(self, subject: str, subject_id: UUID) -> list[str]:
        """Return the states that something went through, by its audit."""
        found = await self.rows(
            "SELECT new_state FROM trading.audit WHERE subject = %s AND subject_id = %s "
            "ORDER BY version",
            subject,
            str(subject_id),
        )
        return [state for (state,) in found]

    async def assert_books_agree(self) -> None:
        """Check that ledger, totals, positions and fills tell one story."""
        cash, at_cost, imbalance = await self.one(
            "SELECT coalesce(sum(amount_usd_e6) FILTER (WHERE book = 'cash'), 0)::bigint, "
            "coalesce(sum(amount_usd_e6) FILTER (WHERE book = 'position'), 0)::bigint, "
            "coalesce(sum(amount_usd_e6), 0)::bigint "
            "FROM trading.ledger_postings WHERE account = %s",
            self.account,
        )
        assert imbalance == 0
        totals = await self.one(
            "SELECT cash_usd_e6, equity_usd_e6 FROM trading.totals WHERE account = %s",
            self.account,
        )
        assert totals == (cash, cash + at_cost)
        held = await self.one(
            "SELECT coalesce(sum(cost_usd_e6), 0)::bigint FROM trading.positions "
            "WHERE account = %s",
            self.account,
        )
        assert held == (at_cost,)
        wrong = await self.rows(
            "SELECT o.order_id FROM trading.orders o LEFT JOIN trading.fills f USING (order_id) "
            "WHERE o.account = %s GROUP BY o.order_id "
            "HAVING o.booked_qty_e2 <> coalesce(sum(f.qty_e2), 0)",
            self.account,
        )
        assert wrong == []


async def list_market(owner: Database, ticker: str, *, now_us: int, **changes: Any) -> None:
    """Write what the exchange told of a market and its event."""
    market = parse_market(ticker)
    fields: dict[str, Any] = {
        "strike_usd_e6": market.strike_usd_e6,
        "status": "active",
        "fee_type": "quadratic",
        "fee_multiplier_e6": 1_000_000,
        "open_us": market.close_us - 60 * MINUTE_US,
        "close_us": market.close_us,
        "price_ranges": (PriceRange(100, 9900, 100),),
    } | changes
    ranges = msgspec.json.encode(fields["price_ranges"]).decode()
    async with owner.transaction() as tx:
        await tx.execute(
            "INSERT INTO market.events VALUES ('paper', %s, %s, 'BTC', 'test', %s, %s, %s) "
            "ON CONFLICT DO NOTHING",
            *(market.event_ticker, market.series),
            *(as_datetime(fields["open_us"]), as_datetime(fields["close_us"])),
            as_datetime(now_us),
        )
        await tx.execute(
            "INSERT INTO market.markets (environment, ticker, event_ticker, strike_usd_e6, "
            "strike_type, status, price_ranges, fee_type, fee_multiplier_e6, exchange_index, "
            "changed_at) VALUES ('paper', %s, %s, %s, 'greater', %s, %s::jsonb, %s, %s, 2, %s) "
            "ON CONFLICT (environment, ticker) DO UPDATE SET status = excluded.status, "
            "strike_usd_e6 = excluded.strike_usd_e6, fee_type = excluded.fee_type, "
            "fee_multiplier_e6 = excluded.fee_multiplier_e6",
            *(ticker, market.event_ticker, fields["strike_usd_e6"], fields["status"], ranges),
            *(fields["fee_type"], fields["fee_multiplier_e6"], as_datetime(now_us)),
        )


def exchange_id(order_id: UUID) -> str:
    """Return the exchange's own id of an order of ours."""
    return f"x-{order_id}"


def exchange_order(
    *, status: str, fill_qty_e2: int, qty_e2: int = 1000, **changes: Any
) -> ExchangeOrder:
    """Return an order as the exchange holds it."""
    fields: dict[str, Any] = {
        "order_id": "foreign",
        "client_order_id": "",
        "ticker": MARKET,
        "book_side": BookSide.BID,
        "yes_price_e4": 9600,
        "taker_cost_usd_e6": 0,
        "maker_cost_usd_e6": 0,
        "taker_fees_usd_e6": 0,
        "maker_fees_usd_e6": 0,
        "created_at_us": None,
        "updated_at_us": None,
        "expires_at_us": None,
        "order_group_id": None,
        "exchange_index": 2,
        "subaccount": None,
    }
    return ExchangeOrder(
        **fields | changes,
        status=status,
        initial_qty_e2=qty_e2,
        fill_qty_e2=fill_qty_e2,
        remaining_qty_e2=qty_e2 - fill_qty_e2 if status == "resting" else 0,
    )


def account_scene(owner: Database, database_url: str, account: str = "paper") -> Scene:
    """Return the scene of an account that works under its own login."""
    login = config.account_login(account)
    port = PostgresDatabase(login_url(database_url, login), connections=4, name=account)
    return Scene(owner, port, account)


async def make_account(scene: Scene, *, opens_books: bool = True, **risk: Any) -> None:
    """Make the account's login, document, books and markets."""
    async with scene.owner.transaction() as tx:
        await status.set_account_login(tx, scene.account, None)
    await scene.apply(**risk)
    if opens_books:
        await scene.open_books()
    for ticker in (MARKET, OTHER, NEXT):
        await scene.list_market(ticker)
