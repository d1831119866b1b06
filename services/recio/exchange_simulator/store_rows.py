"""How the exchange's records become rows of schema exchange_sim.

Each table is written by one upsert; its columns, in order, are those of the row functions here.
Times are timestamptz in the database and microseconds in the records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from recio.domain.units import as_datetime
from recio.exchange_simulator.core.records import (
    Account,
    ApiKey,
    Event,
    Fill,
    Market,
    Order,
    OrderGroup,
    Position,
    Settlement,
    Trade,
    Transfer,
)
from recio.exchange_simulator.core.state import Changes
from recio.exchange_simulator.specs import SeriesSpec

Row = Sequence[object]
T = TypeVar("T")
_text = msgspec.json.encode


def _json(value: object) -> str:
    return _text(value).decode()


def _time(at_us: int | None) -> datetime | None:
    return None if at_us is None else as_datetime(at_us)


@dataclass(frozen=True, slots=True)
class Table:
    """A table, its columns in the order of its rows, and how many of them are its key."""

    name: str
    columns: str
    keys: int = 1

    def upsert(self) -> str:
        """Return the statement that writes one row."""
        names = self.columns.split()
        marks = ", ".join(["%s"] * len(names))
        sets = ", ".join(f"{name} = EXCLUDED.{name}" for name in names[self.keys :])
        key = ", ".join(names[: self.keys])
        return (
            f"INSERT INTO exchange_sim.{self.name} ({', '.join(names)}) "  # noqa: S608 - constants
            f"VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {sets}"
        )

    def select(self, order: str, as_text: Iterable[str] = ()) -> str:
        """Return the statement that reads all rows; columns in ``as_text`` come as text."""
        wanted = [f"{n}::text" if n in as_text else n for n in self.columns.split()]
        return (
            f"SELECT {', '.join(wanted)} FROM exchange_sim.{self.name} "  # noqa: S608 - constants
            f"ORDER BY {order}"
        )


EXCHANGE: Final = Table("exchange", "namespace counter market_at")
SERIES: Final = Table("series", "ticker spec")
EVENTS: Final = Table(
    "events",
    "event_ticker number exchange_index fee_type fee_multiplier_e6 spec created_at changed_at",
)
MARKETS: Final = Table(
    "markets",
    "ticker event_ticker number status spec close_at volume_e2 open_interest_e2 last_price_e4 "
    "last_size_e2 result expiration_value payout_cents determined_at settled_at created_at "
    "changed_at",
)
ACCOUNTS: Final = Table(
    "accounts", "account user_id number tier opening_usd_e6 created_at changed_at"
)
BALANCES: Final = Table("balances", "account exchange_index cash_usd_e6", keys=2)
KEYS: Final = Table("api_keys", "key_id account name public_pem scopes created_at")
GROUPS: Final = Table(
    "order_groups", "group_id number account exchange_index limit_e2 is_triggered matched"
)
ORDERS: Final = Table(
    "orders",
    "order_id number queue account client_order_id ticker is_bid price_e4 initial_e2 remaining_e2 "
    "filled_e2 status reason flags exchange_index group_id expires_at taker_cost_e6 maker_cost_e6 "
    "taker_fees_e6 maker_fees_e6 accumulator_e6 created_at changed_at",
)
FILLS: Final = Table(
    "fills",
    "number trade_id order_id client_order_id account ticker exchange_index is_bid is_taker "
    "price_e4 qty_e2 fee_e6 revenue_e6 position_e2 filled_at",
)
POSITIONS: Final = Table(
    "positions",
    "account ticker exchange_index position_e2 cost_e6 traded_e6 realized_e6 fees_e6 open_fees_e6 "
    "volume_e2 is_settled changed_at",
    keys=2,
)
SETTLEMENTS: Final = Table(
    "settlements",
    "number account ticker event_ticker exchange_index result yes_e2 yes_cost_e6 no_e2 no_cost_e6 "
    "revenue_cents payout_cents fee_e6 settled_at",
)
TRANSFERS: Final = Table(
    "transfers", "transfer_id number account source destination amount_e6 moved_at"
)
TRADES: Final = Table("trades", "number trade_id ticker price_e4 qty_e2 is_taker_bid traded_at")


class OrderFlags(msgspec.Struct, frozen=True):
    """The parts of an order that only it itself needs."""

    time_in_force: str
    self_trade: str
    is_post_only: bool
    is_reduce_only: bool
    is_canceled_on_pause: bool


def _series(one: SeriesSpec) -> Row:
    return (one.ticker, _json(one))


def _event(one: Event) -> Row:
    return (
        one.spec.event_ticker,
        one.number,
        one.exchange_index,
        one.fee_terms.fee_type,
        one.fee_terms.multiplier_e6,
        _json(one.spec),
        _time(one.created_us),
        _time(one.updated_us),
    )


def _market(one: Market) -> Row:
    return (
        one.ticker,
        one.event.spec.event_ticker,
        one.number,
        str(one.status),
        _json(one.spec),
        _time(one.close_us),
        one.volume_e2,
        one.open_interest_e2,
        one.last_price_e4,
        one.last_size_e2,
        one.result,
        one.expiration_value,
        one.payout_cents,
        _time(one.determined_us),
        _time(one.settled_us),
        _time(one.created_us),
        _time(one.updated_us),
    )


def _account(one: Account) -> Row:
    return (
        one.account,
        one.user_id,
        one.number,
        one.tier,
        one.opening_e6,
        _time(one.created_us),
        _time(one.updated_us),
    )


def _balances(accounts: Iterable[Account]) -> list[Row]:
    return [(one.account, shard, cash) for one in accounts for shard, cash in one.cash_e6.items()]


def _key(one: ApiKey) -> Row:
    created = _time(one.created_us)
    return (one.key_id, one.account, one.name, one.public_pem, " ".join(one.scopes), created)


def _group(one: OrderGroup) -> Row:
    return (
        one.group_id,
        one.number,
        one.account,
        one.exchange_index,
        one.limit_e2,
        one.is_triggered,
        _json(list(one.matched)),
    )


def _order(one: Order) -> Row:
    flags = OrderFlags(
        one.time_in_force,
        one.self_trade,
        one.is_post_only,
        one.is_reduce_only,
        one.is_canceled_on_pause,
    )
    return (
        one.order_id,
        one.number,
        one.queue,
        one.account,
        one.client_order_id,
        one.ticker,
        one.is_bid,
        one.price_e4,
        one.initial_e2,
        one.remaining_e2,
        one.filled_e2,
        one.status,
        str(one.reason),
        _json(flags),
        one.exchange_index,
        one.group_id,
        _time(one.expiration_us),
        one.taker_cost_e6,
        one.maker_cost_e6,
        one.taker_fees_e6,
        one.maker_fees_e6,
        one.accumulator_e6,
        _time(one.created_us),
        _time(one.updated_us),
    )


def _fill(one: Fill) -> Row:
    return (
        one.number,
        one.trade_id,
        one.order_id,
        one.client_order_id,
        one.account,
        one.ticker,
        one.exchange_index,
        one.is_bid,
        one.is_taker,
        one.price_e4,
        one.qty_e2,
        one.fee_e6,
        one.revenue_e6,
        one.position_e2,
        _time(one.at_us),
    )


def _position(one: Position) -> Row:
    return (
        one.account,
        one.ticker,
        one.exchange_index,
        one.position_e2,
        one.cost_e6,
        one.traded_e6,
        one.realized_e6,
        one.fees_e6,
        one.open_fees_e6,
        one.volume_e2,
        one.is_settled,
        _time(one.updated_us),
    )


def _settlement(one: Settlement) -> Row:
    return (
        one.number,
        one.account,
        one.ticker,
        one.event_ticker,
        one.exchange_index,
        one.result,
        one.yes_e2,
        one.yes_cost_e6,
        one.no_e2,
        one.no_cost_e6,
        one.revenue_cents,
        one.payout_cents,
        one.fee_e6,
        _time(one.at_us),
    )


def _transfer(one: Transfer) -> Row:
    return (
        one.transfer_id,
        one.number,
        one.account,
        one.source,
        one.destination,
        one.amount_e6,
        _time(one.at_us),
    )


def _trade(one: Trade) -> Row:
    return (
        one.number,
        one.trade_id,
        one.ticker,
        one.price_e4,
        one.qty_e2,
        one.is_taker_bid,
        _time(one.at_us),
    )


def _rows(make: Callable[[T], Row], records: Iterable[T]) -> list[Row]:
    return [make(one) for one in records]


def writes(changes: Changes) -> list[tuple[str, list[Row]]]:
    """Return (statement, rows) of everything changed, so ordered that references hold."""
    accounts = changes.accounts.values()
    all_writes = (
        (SERIES, _rows(_series, changes.series.values())),
        (EVENTS, _rows(_event, changes.events.values())),
        (MARKETS, _rows(_market, changes.markets.values())),
        (ACCOUNTS, _rows(_account, accounts)),
        (BALANCES, _balances(accounts)),
        (KEYS, _rows(_key, changes.keys.values())),
        (GROUPS, _rows(_group, changes.groups.values())),
        (ORDERS, _rows(_order, changes.orders.values())),
        (FILLS, _rows(_fill, changes.fills)),
        (POSITIONS, _rows(_position, changes.positions.values())),
        (SETTLEMENTS, _rows(_settlement, changes.settlements)),
        (TRANSFERS, _rows(_transfer, changes.transfers)),
        (TRADES, _rows(_trade, changes.trades)),
    )
    return [(_UPSERTS[table.name], rows) for table, rows in all_writes if rows]


_UPSERTS: Final = {
    table.name: table.upsert()
    for table in (
        EXCHANGE,
        SERIES,
        EVENTS,
        MARKETS,
        ACCOUNTS,
        BALANCES,
        KEYS,
        GROUPS,
        ORDERS,
        FILLS,
        POSITIONS,
        SETTLEMENTS,
        TRANSFERS,
        TRADES,
    )
}
WRITE_EXCHANGE: Final = _UPSERTS["exchange"].rstrip() + " WHERE exchange.epoch = %s"
"""Touches no row if another copy of the exchange has taken over."""
TAKE_EXCHANGE: Final = (
    "UPDATE exchange_sim.exchange SET epoch = epoch + 1 "
    "RETURNING namespace, counter, market_at, epoch"
)


def exchange_row(namespace: str, counter: int, now_us: int) -> Row:
    """Return the one row of the exchange itself."""
    return (namespace, counter, _time(now_us))
