"""Exchange facts with their postings: each stored once, by the exchange's id, in one transaction.

The account's totals row is locked first, so that facts of one account are booked one after the
other whoever brings them (stream or REST, or two copies of account sync).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

import msgspec

from recio.domain import ledger
from recio.domain.intents import derived_id
from recio.domain.ledger import Booking, Holding, Posting
from recio.domain.orders import BookSide
from recio.domain.units import PRICE_ONE_E4, as_datetime, time_us
from recio.ports import Transaction

PARTS_AT_MOST: Final = 20
"""Trades of one market that one fill can belong to: the limit on open trades keeps it far lower."""

_FILL_COLUMNS: Final = (
    "fill_id, exchange_order_id, order_id, trade_id, market_ticker, event_ticker, book_side, "
    "yes_price_e4, qty_e2, fee_usd_e6, is_taker, at"
)
_SETTLEMENT_COLUMNS: Final = (
    "market_ticker, event_ticker, result, yes_qty_e2, no_qty_e2, revenue_usd_e6, fee_usd_e6, "
    "settled_at"
)


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Cash and equity at cost after the last booked fact."""

    cash_usd_e6: int
    equity_usd_e6: int
    equity_high_usd_e6: int


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One fill to book. ``order_id`` and ``trade_id`` say whose it is."""

    fill_id: str
    exchange_order_id: str
    order_id: UUID | None
    trade_id: UUID | None
    market_ticker: str
    event_ticker: str
    book_side: BookSide
    yes_price_e4: int
    qty_e2: int
    fee_usd_e6: int
    is_taker: bool
    at_us: int


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """One settlement to book; revenue and fee for the whole position."""

    market_ticker: str
    event_ticker: str
    result: str
    yes_qty_e2: int
    no_qty_e2: int
    revenue_usd_e6: int
    fee_usd_e6: int
    settled_at_us: int


async def lock_totals(tx: Transaction, account: str) -> Totals | None:
    """Lock and return the account's totals; None before the opening balance is booked."""
    row = await tx.fetch_one(
        "SELECT cash_usd_e6, equity_usd_e6, equity_high_usd_e6 FROM trading.totals "
        "WHERE account = %s FOR UPDATE",
        account,
    )
    if row is None:
        return None
    return Totals(cash_usd_e6=row[0], equity_usd_e6=row[1], equity_high_usd_e6=row[2])


async def open_books(tx: Transaction, account: str, *, cash_usd_e6: int, at_us: int) -> bool:
    """Book the opening balance, once in the account's life; return whether it was now."""
    made = await tx.execute(
        "INSERT INTO trading.totals VALUES (%s, 0, 0, 0, %s) ON CONFLICT DO NOTHING",
        account,
        as_datetime(at_us),
    )
    if not made:
        return False
    await _book(
        tx,
        account,
        "opening",
        "balance",
        ledger.book_transfer(cash_usd_e6),
        at_us=at_us,
        seen_us=at_us,
    )
    await _add_to_totals(tx, account, cash=cash_usd_e6, equity=cash_usd_e6, at_us=at_us)
    return True


async def open_position(
    tx: Transaction,
    account: str,
    held: Holding,
    *,
    trade_id: UUID | None,
    ticker: str,
    event_ticker: str,
    at_us: int,
) -> None:
    """Book a position that the exchange shows before our first start, at the exchange's cost.

    A fill row without cash stands for how it came about, so that its trade has figures.
    """
    fill = Fill(
        fill_id=f"opening:{ticker}",
        exchange_order_id="",
        order_id=None,
        trade_id=trade_id,
        market_ticker=ticker,
        event_ticker=event_ticker,
        book_side=BookSide.BID if held.qty_e2 > 0 else BookSide.ASK,
        yes_price_e4=_average_yes_price_e4(held),
        qty_e2=abs(held.qty_e2),
        fee_usd_e6=0,
        is_taker=True,
        at_us=at_us,
    )
    await _insert_fill(tx, account, fill, at_us)
    postings = ledger.book_opening_position(ticker, held.cost_usd_e6)
    await _book(tx, account, "opening", ticker, postings, at_us=at_us, seen_us=at_us)
    await _write_holding(tx, account, held, ticker=ticker, event_ticker=event_ticker, at_us=at_us)
    await _add_to_totals(tx, account, cash=0, equity=held.cost_usd_e6, at_us=at_us)


def _average_yes_price_e4(held: Holding) -> int:
    qty_e2 = abs(held.qty_e2)
    own_e4 = min((2 * held.cost_usd_e6 + qty_e2) // (2 * qty_e2), PRICE_ONE_E4)
    return own_e4 if held.qty_e2 > 0 else PRICE_ONE_E4 - own_e4


async def book_fill(tx: Transaction, account: str, fill: Fill, *, seen_us: int) -> bool:
    """Book one fill with its postings; return False if it stands there already."""
    await lock_totals(tx, account)
    if not await _insert_fill(tx, account, fill, seen_us):
        return False
    held = await holding(tx, account, fill.market_ticker)
    booking = ledger.book_fill(
        held,
        fill.market_ticker,
        side=fill.book_side,
        yes_price_e4=fill.yes_price_e4,
        qty_e2=fill.qty_e2,
        fee_usd_e6=fill.fee_usd_e6,
    )
    await _apply(
        tx,
        account,
        booking,
        kind="fill",
        fact_id=fill.fill_id,
        ticker=fill.market_ticker,
        event_ticker=fill.event_ticker,
        at_us=fill.at_us,
        seen_us=seen_us,
    )
    if fill.order_id is not None:
        await tx.execute(
            "UPDATE trading.orders SET booked_qty_e2 = booked_qty_e2 + %s, "
            "filled_qty_e2 = greatest(filled_qty_e2, booked_qty_e2 + %s), changed_at = %s "
            "WHERE order_id = %s",
            fill.qty_e2,
            fill.qty_e2,
            as_datetime(seen_us),
            fill.order_id,
        )
    return True


async def book_settlement(
    tx: Transaction, account: str, settlement: Settlement, *, seen_us: int
) -> bool:
    """Book one settlement with its postings; return False if it stands there already."""
    await lock_totals(tx, account)
    made = await tx.execute(
        "INSERT INTO trading.settlements VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (account, market_ticker) DO NOTHING",
        account,
        settlement.market_ticker,
        settlement.event_ticker,
        settlement.result,
        settlement.yes_qty_e2,
        settlement.no_qty_e2,
        settlement.revenue_usd_e6,
        settlement.fee_usd_e6,
        as_datetime(settlement.settled_at_us),
        as_datetime(seen_us),
    )
    if not made:
        return False
    held = await holding(tx, account, settlement.market_ticker)
    # The settlement row repeats the fees of the fills (Kalshi: "fee_cost total fees"), which are
    # booked already; a yes/no settlement itself costs nothing.
    booking = ledger.book_settlement(
        held, settlement.market_ticker, revenue_usd_e6=settlement.revenue_usd_e6, fee_usd_e6=0
    )
    await _apply(
        tx,
        account,
        booking,
        kind="settlement",
        fact_id=settlement.market_ticker,
        ticker=settlement.market_ticker,
        event_ticker=settlement.event_ticker,
        at_us=settlement.settled_at_us,
        seen_us=seen_us,
    )
    return True


async def book_transfer(
    tx: Transaction, account: str, fact_id: str, amount_usd_e6: int, *, at_us: int, seen_us: int
) -> bool:
    """Book a deposit or withdrawal; return False if it stands there already."""
    await lock_totals(tx, account)
    made = await _book(
        tx,
        account,
        "transfer",
        fact_id,
        ledger.book_transfer(amount_usd_e6),
        at_us=at_us,
        seen_us=seen_us,
    )
    if made:
        # The high moves along: a deposit makes no profit and a withdrawal no drawdown.
        await _add_to_totals(
            tx,
            account,
            cash=amount_usd_e6,
            equity=amount_usd_e6,
            high=amount_usd_e6,
            at_us=seen_us,
        )
    return made


async def holding(tx: Transaction, account: str, ticker: str) -> Holding:
    """Return what the account holds of a market by our books."""
    row = await tx.fetch_one(
        "SELECT qty_e2, cost_usd_e6, realised_usd_e6, fees_usd_e6 FROM trading.positions "
        "WHERE account = %s AND market_ticker = %s",
        account,
        ticker,
    )
    if row is None:
        return Holding()
    return Holding(qty_e2=row[0], cost_usd_e6=row[1], realised_usd_e6=row[2], fees_usd_e6=row[3])


async def booked_fill(tx: Transaction, account: str, fill_id: str) -> list[Fill]:
    """Return what is booked of this fill, in its parts; none if it is not.

    To decide on booking it, call it with the totals locked.
    """
    rows = await tx.fetch(
        f"SELECT {_FILL_COLUMNS} FROM trading.fills "  # noqa: S608 - own columns
        "WHERE account = %s AND fill_id = ANY(%s)",
        account,
        [part_id(fill_id, number) for number in range(1, PARTS_AT_MOST + 1)],
    )
    return [_fill(row) for row in rows]


def part_id(fill_id: str, number: int) -> str:
    """Return the id under which a part of a fill is booked; the first has the fill's own."""
    return fill_id if number == 1 else f"{fill_id}/{number}"


def _fill(row: tuple[Any, ...]) -> Fill:
    (fill_id, exchange_order_id, order_id, trade_id, market, event, book_side, price, qty, fee,
     is_taker, at) = row  # fmt: skip
    return Fill(
        fill_id=fill_id,
        exchange_order_id=exchange_order_id,
        order_id=order_id,
        trade_id=trade_id,
        market_ticker=market,
        event_ticker=event,
        book_side=BookSide(book_side),
        yes_price_e4=price,
        qty_e2=qty,
        fee_usd_e6=fee,
        is_taker=is_taker,
        at_us=time_us(at),
    )


async def booked_settlement(tx: Transaction, account: str, market_ticker: str) -> Settlement | None:
    """Return this market's booked settlement. To decide on booking, lock the totals first."""
    row = await tx.fetch_one(
        f"SELECT {_SETTLEMENT_COLUMNS} FROM trading.settlements "  # noqa: S608 - own columns
        "WHERE account = %s AND market_ticker = %s",
        account,
        market_ticker,
    )
    return None if row is None else _settlement(row)


def _settlement(row: tuple[Any, ...]) -> Settlement:
    return Settlement(
        market_ticker=row[0],
        event_ticker=row[1],
        result=row[2],
        yes_qty_e2=row[3],
        no_qty_e2=row[4],
        revenue_usd_e6=row[5],
        fee_usd_e6=row[6],
        settled_at_us=time_us(row[7]),
    )


async def booked_since(tx: Transaction, account: str, since_us: int) -> dict[str, list[Fill]]:
    """Return the booked fills that happened since then, each with its parts, by the fill's id.

    What stands for the opening positions is not among them: the exchange never told it.
    """
    rows = await tx.fetch(
        f"SELECT {_FILL_COLUMNS} FROM trading.fills "  # noqa: S608 - own columns
        "WHERE account = %s AND at >= %s AND exchange_order_id <> ''",
        *(account, as_datetime(since_us)),
    )
    found: dict[str, list[Fill]] = {}
    for row in rows:
        part = _fill(row)
        found.setdefault(part.fill_id.rpartition("/")[0] or part.fill_id, []).append(part)
    return found


async def settled_since(tx: Transaction, account: str, since_us: int) -> dict[str, Settlement]:
    """Return the booked settlements since then, by market."""
    rows = await tx.fetch(
        f"SELECT {_SETTLEMENT_COLUMNS} FROM trading.settlements "  # noqa: S608 - own columns
        "WHERE account = %s AND settled_at >= %s",
        *(account, as_datetime(since_us)),
    )
    return {row[0]: _settlement(row) for row in rows}


async def book_correction(
    tx: Transaction, account: str, fact_id: str, amount_usd_e6: int, *, at_us: int
) -> bool:
    """Book a difference of cash that a person accepted, against suspense; once."""
    await lock_totals(tx, account)
    made = await _book(
        tx,
        account,
        "correction",
        fact_id,
        ledger.book_correction(amount_usd_e6),
        at_us=at_us,
        seen_us=at_us,
    )
    if made:
        await _add_to_totals(tx, account, cash=amount_usd_e6, equity=amount_usd_e6, at_us=at_us)
    return made


async def _insert_fill(tx: Transaction, account: str, fill: Fill, seen_us: int) -> bool:
    made = await tx.execute(
        "INSERT INTO trading.fills VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (account, fill_id) DO NOTHING",
        account,
        fill.fill_id,
        fill.exchange_order_id,
        fill.order_id,
        fill.trade_id,
        fill.market_ticker,
        fill.event_ticker,
        fill.book_side.value,
        fill.yes_price_e4,
        fill.qty_e2,
        fill.fee_usd_e6,
        fill.is_taker,
        as_datetime(fill.at_us),
        as_datetime(seen_us),
    )
    return bool(made)


async def _apply(
    tx: Transaction,
    account: str,
    booking: Booking,
    *,
    kind: str,
    fact_id: str,
    ticker: str,
    event_ticker: str,
    at_us: int,
    seen_us: int,
) -> None:
    await _book(tx, account, kind, fact_id, booking.postings, at_us=at_us, seen_us=seen_us)
    await _write_holding(
        tx, account, booking.holding, ticker=ticker, event_ticker=event_ticker, at_us=seen_us
    )
    await _add_to_totals(
        tx, account, cash=booking.cash_usd_e6, equity=booking.equity_usd_e6, at_us=seen_us
    )


async def _book(
    tx: Transaction,
    account: str,
    kind: str,
    fact_id: str,
    postings: Iterable[Posting],
    *,
    at_us: int,
    seen_us: int,
) -> bool:
    transaction_id = derived_id(account, "ledger", kind, fact_id)
    at = as_datetime(at_us)
    made = await tx.execute(
        "INSERT INTO trading.ledger_transactions "
        "(transaction_id, account, kind, fact_id, at, seen_at) VALUES (%s, %s, %s, %s, %s, %s) "
        "ON CONFLICT DO NOTHING",
        transaction_id,
        account,
        kind,
        fact_id,
        at,
        as_datetime(seen_us),
    )
    if made:
        await tx.execute_many(
            "INSERT INTO trading.ledger_postings VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                (transaction_id, line, account, p.book, p.market_ticker, p.amount_usd_e6, at)
                for line, p in enumerate(postings, start=1)
            ],
        )
    return bool(made)


async def _write_holding(
    tx: Transaction, account: str, held: Holding, *, ticker: str, event_ticker: str, at_us: int
) -> None:
    await tx.execute(
        "INSERT INTO trading.positions VALUES (%s, %s, %s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (account, market_ticker) DO UPDATE SET qty_e2 = excluded.qty_e2, "
        "cost_usd_e6 = excluded.cost_usd_e6, realised_usd_e6 = excluded.realised_usd_e6, "
        "fees_usd_e6 = excluded.fees_usd_e6, changed_at = excluded.changed_at",
        account,
        ticker,
        event_ticker,
        held.qty_e2,
        held.cost_usd_e6,
        held.realised_usd_e6,
        held.fees_usd_e6,
        as_datetime(at_us),
    )


async def _add_to_totals(
    tx: Transaction, account: str, *, cash: int, equity: int, at_us: int, high: int = 0
) -> None:
    await tx.execute(
        "UPDATE trading.totals SET cash_usd_e6 = cash_usd_e6 + %s, "
        "equity_usd_e6 = equity_usd_e6 + %s, "
        "equity_high_usd_e6 = greatest(equity_high_usd_e6 + %s, equity_usd_e6 + %s), "
        "changed_at = %s WHERE account = %s",
        cash,
        equity,
        high,
        equity,
        as_datetime(at_us),
        account,
    )
