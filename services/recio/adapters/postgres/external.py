"""Whose a fill is: an order of ours, or a live trade that somebody else changed, or nobody's yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from recio.adapters.postgres import orders, trades
from recio.adapters.postgres.orders import OrderRow
from recio.domain.errors import InvalidValue
from recio.domain.intents import derived_id
from recio.domain.orders import BookSide, Order
from recio.domain.tickers import parse_market, series_of
from recio.domain.trade_book import opening_side
from recio.domain.trades import Trade, TradeState
from recio.domain.units import as_datetime, time_us
from recio.ports import Query, Transaction

EXTERNAL: Final = "external"


async def our_order(
    tx: Transaction, account: str, exchange_order_id: str, client_order_id: str | None
) -> OrderRow | None:
    """Return the order of ours that a fact belongs to, or None for a foreign order."""
    row = await orders.order_by_exchange_id(tx, account, exchange_order_id)
    if row is not None or client_order_id is None:
        return row
    order_id = _uuid(client_order_id)
    return None if order_id is None else await orders.order_by_id(tx, account, order_id)


class HeldOrder(msgspec.Struct, frozen=True):
    """What of an order of ours the exchange's word about it must agree with."""

    order_id: UUID
    exchange_order_id: str | None
    market_ticker: str
    book_side: str
    yes_price_e4: int
    qty_e2: int
    state: str
    filled_qty_e2: int
    booked_qty_e2: int


async def held_orders(
    tx: Transaction, account: str, names: Sequence[tuple[str, str]]
) -> list[HeldOrder]:
    """Return the orders of ours among these pairs of the exchange's id and the client's, unlocked."""
    rows = await tx.fetch(
        "SELECT order_id, exchange_order_id, market_ticker, book_side, yes_price_e4, qty_e2, "
        "state, filled_qty_e2, booked_qty_e2 FROM trading.orders WHERE account = %s "
        "AND (exchange_order_id = ANY(%s) OR order_id = ANY(%s))",
        account,
        [exchange_id for exchange_id, _ in names],
        [found for _, client_id in names if (found := _uuid(client_id)) is not None],
    )
    return [HeldOrder(*row) for row in rows]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


class Share(msgspec.Struct, frozen=True):
    """A part of a fill and the trade that it belongs to; None: a market of other series."""

    trade_id: UUID | None
    qty_e2: int


class Stake(msgspec.Struct, frozen=True):
    """What one trade of a market holds by its booked fills."""

    trade_id: UUID
    side: str
    source: str
    state: TradeState
    open_qty_e2: int


async def shares(
    tx: Transaction,
    account: str,
    order: Order | None,
    *,
    market_ticker: str,
    book_side: BookSide,
    qty_e2: int,
    at_us: int,
    fill_id: str,
) -> list[Share]:
    """Return whose the contracts of a fill are, all of them, so that no trade sells what it has not.

    An entry of ours is its trade's. What closes goes to the order's own trade as far as that still
    holds something, then to what else is held on the other side of this market: positions opened by
    hand first (who sells by hand sells those), then by number. The rest is a position opened by
    hand: an external trade.

    The trades stay locked against a fold until the transaction ends.
    """
    own_id = None if order is None else order.trade_id
    stakes = await _stakes(tx, account, market_ticker, own_id)
    own = next((stake for stake in stakes if stake.trade_id == own_id), None)
    if own is not None and opening_side(own.side) is book_side:
        if own.state is TradeState.ABANDONED:
            await trades.revive(tx, own.trade_id, at_us=at_us)
        return [Share(own.trade_id, qty_e2)]
    found, left_e2 = [], qty_e2
    for stake in sorted(stakes, key=lambda s: (s is not own, s.source != EXTERNAL)):
        part_e2 = min(left_e2, stake.open_qty_e2)
        if part_e2 > 0 and opening_side(stake.side) is not book_side:
            found.append(Share(stake.trade_id, part_e2))
            left_e2 -= part_e2
    if left_e2:
        side = "yes" if book_side is BookSide.BID else "no"
        trade_id = next(
            (s.trade_id for s in stakes if (s.source, s.side) == (EXTERNAL, side)), None
        ) or await external_trade(
            tx, account, market_ticker, side=side, qty_e2=left_e2, at_us=at_us, cause=fill_id
        )
        found.append(Share(trade_id, left_e2))
    return found


async def _stakes(
    tx: Transaction, account: str, market_ticker: str, own_id: UUID | None
) -> list[Stake]:
    """Return the market's trades that can take fills, locked, by number, with what they hold.

    These are the live ones, and the order's own if it was given up.
    """
    rows = await tx.fetch(
        "SELECT trade_id, side, source, state FROM trading.trades WHERE account = %s "
        "AND (market_ticker = %s AND state NOT IN ('closed', 'settled', 'abandoned') "
        "     OR trade_id = %s AND state = 'abandoned') ORDER BY number FOR SHARE",
        account,
        market_ticker,
        own_id,
    )
    if not rows:
        return []
    held = dict(
        await tx.fetch(
            "SELECT t.trade_id, sum(CASE WHEN (f.book_side = 'bid') = (t.side = 'yes') "
            "THEN f.qty_e2 ELSE -f.qty_e2 END)::bigint "
            "FROM trading.trades t JOIN trading.fills f USING (trade_id) "
            "WHERE trade_id = ANY(%s) GROUP BY t.trade_id",
            [row[0] for row in rows],
        )
    )
    return [
        Stake(trade_id, side, source, TradeState(state), held.get(trade_id, 0))
        for trade_id, side, source, state in rows
    ]


async def external_trade(
    tx: Transaction,
    account: str,
    market_ticker: str,
    *,
    side: str,
    qty_e2: int,
    at_us: int,
    cause: str,
) -> UUID | None:
    """Make a trade of a position that did not come from here; None for a market of other series."""
    try:
        market = parse_market(market_ticker, at_us)
    except InvalidValue:
        return None
    await tx.fetch_one(
        "SELECT 1 FROM trading.accounts WHERE account = %s FOR NO KEY UPDATE", account
    )
    trade = Trade(
        trade_id=derived_id(account, EXTERNAL, market_ticker, cause),
        account=account,
        number=await trades.next_number(tx, account),
        state=TradeState.CREATED,
        source=EXTERNAL,
        strategy=EXTERNAL,
        symbol=series_of(market_ticker).symbol,
        event_ticker=market.event_ticker,
        market_ticker=market_ticker,
        strike_usd_e6=market.strike_usd_e6,
        side=side,
        close_us=market.close_us,
        wanted_qty_e2=qty_e2,
        filled_qty_e2=0,
        open_qty_e2=0,
        entry_cost_usd_e6=0,
        exit_proceeds_usd_e6=0,
        fees_usd_e6=0,
        pnl_usd_e6=None,
        opened_at_us=None,
        created_at_us=at_us,
    )
    await trades.insert_trade(tx, trade)
    return trade.trade_id


async def opening_us(tx: Transaction, account: str) -> int | None:
    """Return when the books were opened; facts from before are in the opening balance. None: not yet."""
    row = await tx.fetch_one(
        "SELECT at FROM trading.ledger_transactions "
        "WHERE account = %s AND kind = 'opening' AND fact_id = 'balance'",
        account,
    )
    return None if row is None else time_us(row[0])


async def last_fact_us(tx: Transaction, account: str) -> int | None:
    """Return when the newest booked fact of the account happened; None before the books are open."""
    row = await tx.fetch_one(
        "SELECT max(at) FROM trading.ledger_transactions WHERE account = %s", account
    )
    if row is None or row[0] is None:
        return None
    return time_us(row[0])


async def oldest_open_us(tx: Transaction, account: str, default_us: int) -> int:
    """Return when the oldest thing began that still waits for facts, or ``default_us``.

    That is an order without a known end or with fills to come, or a trade after its close: its
    settlement can wait for a fill that the exchange shows much later than newer facts.
    """
    row = await tx.fetch_one(
        # OFFSET 0: else min() is looked for along all orders in the order of their times.
        "SELECT least("  # noqa: S608 - own text
        "(SELECT min(created_at) FROM (SELECT created_at FROM trading.orders WHERE account = %s "
        f"  AND {orders.MAY_BRING_FILLS} OFFSET 0) alive), "
        "(SELECT min(created_at) FROM trading.trades WHERE account = %s AND close_at < %s "
        "  AND state NOT IN ('closed', 'settled', 'abandoned')), %s::timestamptz)",
        account,
        account,
        as_datetime(default_us),
        as_datetime(default_us),
    )
    assert row is not None
    return time_us(row[0])


class MissingFills(msgspec.Struct, frozen=True):
    """An order that is said to be filled further than its fills are booked."""

    order_id: UUID
    filled_qty_e2: int
    booked_qty_e2: int


async def missing_fills(tx: Transaction, account: str) -> list[MissingFills]:
    """Return the account's orders whose fills are not all booked."""
    rows = await tx.fetch(
        "SELECT order_id, filled_qty_e2, booked_qty_e2 FROM trading.orders WHERE account = %s "  # noqa: S608
        f"AND {orders.MAY_BRING_FILLS} AND booked_qty_e2 < filled_qty_e2 "
        "ORDER BY created_at, order_id",
        account,
    )
    return [MissingFills(*row) for row in rows]


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """What decides how soon the exchange is read again."""

    in_doubt: int
    """Orders without a known end, or with fills that are not booked."""
    last_action_us: int
    held: tuple[tuple[str, int], ...]
    """(market, signed quantity) of every open position."""


async def pulse(tx: Transaction, account: str) -> Pulse:
    """Return what is open now."""
    counts, held = await tx.fetch_many(
        Query(
            "SELECT (SELECT count(*) FROM trading.orders WHERE account = %s "  # noqa: S608 - own text
            f"  AND {orders.MAY_BRING_FILLS}), "
            "(SELECT max(changed_at) FROM trading.orders WHERE account = %s)",
            (account, account),
        ),
        Query(
            "SELECT market_ticker, qty_e2 FROM trading.positions "
            "WHERE account = %s AND qty_e2 <> 0 ORDER BY market_ticker",
            (account,),
        ),
    )
    ((in_doubt, last_action),) = counts
    return Pulse(
        in_doubt=in_doubt,
        last_action_us=0 if last_action is None else time_us(last_action),
        held=tuple((ticker, qty) for ticker, qty in held),
    )


async def record_balance(
    tx: Transaction,
    account: str,
    *,
    exchange_usd_e6: int,
    ledger_usd_e6: int,
    as_of_us: int,
    at_us: int,
) -> None:
    """Keep one comparison of cash, if it differs from the last one kept."""
    await tx.execute(
        "INSERT INTO trading.balances SELECT %s, %s, %s, %s, %s WHERE NOT EXISTS ("
        "SELECT FROM (SELECT exchange_usd_e6, ledger_usd_e6 FROM trading.balances "
        "WHERE account = %s ORDER BY at DESC LIMIT 1) last "
        "WHERE last.exchange_usd_e6 = %s AND last.ledger_usd_e6 = %s) ON CONFLICT DO NOTHING",
        account,
        as_datetime(at_us),
        exchange_usd_e6,
        ledger_usd_e6,
        as_datetime(as_of_us),
        account,
        exchange_usd_e6,
        ledger_usd_e6,
    )
