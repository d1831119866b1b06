"""Whether what the exchange tells can be so, by what we know ourselves; a contradiction is raised.

Pure: each function is given the fact and what it must agree with. What is only late is not judged
here, and nothing is mended: a fact is booked as it was told, or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec

from recio.adapters.kalshi.model import ExchangeFill, ExchangeOrder, ExchangeSettlement
from recio.adapters.kalshi.rest_portfolio import BadRow
from recio.adapters.postgres.disputes import KnownMarket
from recio.adapters.postgres.external import HeldOrder
from recio.adapters.postgres.facts import Fill, Settlement
from recio.adapters.postgres.orders import OrderRow
from recio.domain.disputes import Contradiction, Reason
from recio.domain.errors import InvalidValue
from recio.domain.messages import PriceRange
from recio.domain.orders import BookSide, OrderState, later_of, reported_state
from recio.domain.tickers import parse_market
from recio.domain.units import CENT_E6, CONTRACT_E2, MINUTE_US, PRICE_ONE_E4, USD_E6

CLOCKS_DIFFER_US: Final = MINUTE_US
"""How far the exchange's clock may be from ours before a time is impossible."""
READS_LAG_US: Final = 5 * MINUTE_US
FEE_SHARE: Final = 10
"""A fee is at most this part (a tenth) of what the contracts can pay, and a cent."""

UNSENT: Final = frozenset({OrderState.CREATED, OrderState.EXPIRED_UNSENT})


def plain(told: ExchangeFill | ExchangeOrder | ExchangeSettlement) -> dict[str, Any]:
    """Return a fact as plain values, the evidence of a dispute."""
    value: dict[str, Any] = msgspec.to_builtins(told)
    return value


def unreadable(name: str, bad: BadRow) -> Contradiction:
    """Return what a row that does not convert is."""
    digest = blake2b(bad.raw.encode(), digest_size=8).hexdigest()
    return Contradiction(
        Reason.FACT_UNREADABLE,
        f"{name} {digest}",
        f"a row of {name}: {bad.problem}",
        told={"raw": bad.raw},
    )


def fill_from(told: dict[str, Any]) -> ExchangeFill:
    """Return the fill in a dispute's evidence."""
    return msgspec.convert(told, ExchangeFill)


def settlement_from(told: dict[str, Any]) -> ExchangeSettlement:
    """Return the settlement in a dispute's evidence."""
    return msgspec.convert(told, ExchangeSettlement)


def check_fill(
    told: ExchangeFill, row: OrderRow | None, market: KnownMarket | None, *, now_us: int
) -> None:
    """Check a fill that is not booked yet.

    Raises:
        Contradiction: it cannot be so.
    """
    name = f"fill {told.fill_id}"
    face_usd_e6 = told.qty_e2 * PRICE_ONE_E4
    if told.at_us is not None and told.at_us > now_us + CLOCKS_DIFFER_US:
        raise _fill(
            told, Reason.TIME_IMPOSSIBLE, f"{name} is {_seconds(told.at_us - now_us)} s ahead"
        )
    if abs(told.fee_usd_e6) > face_usd_e6 // FEE_SHARE + CENT_E6:
        fee = told.fee_usd_e6 / USD_E6
        raise _fill(
            told,
            Reason.FILL_FEE_IMPOSSIBLE,
            f"{name} costs a fee of ${fee:.2f} for {_contracts(told.qty_e2)} contracts",
        )
    if market is not None and not _is_on_grid(told.yes_price_e4, market.price_ranges):
        raise _fill(
            told,
            Reason.FILL_PRICE_OFF_GRID,
            f"{name} is at {told.yes_price_e4} e-4 dollar, which {told.ticker} does not have",
        )
    if row is not None:
        _check_fill_of(told, row, name)


def _check_fill_of(told: ExchangeFill, row: OrderRow, name: str) -> None:
    order, held = row.order, _of_order(row)
    if (told.ticker, told.book_side) != (order.market_ticker, order.book_side):
        raise _fill(
            told,
            Reason.FILL_CONTRADICTS_ORDER,
            f"{name} is a {told.book_side} of {told.ticker}, "
            f"its order a {order.book_side} of {order.market_ticker}",
            held,
        )
    if order.state in UNSENT:
        raise _fill(
            told,
            Reason.FILL_CONTRADICTS_ORDER,
            f"{name} is of order {order.order_id}, which was never sent",
            held,
        )
    if row.booked_qty_e2 + told.qty_e2 > order.qty_e2:
        raise _fill(
            told,
            Reason.FILL_EXCEEDS_ORDER,
            f"{name} makes {_contracts(row.booked_qty_e2 + told.qty_e2)} contracts "
            f"of an order for {_contracts(order.qty_e2)}",
            held,
        )
    if told.at_us is not None and told.at_us < order.created_at_us - CLOCKS_DIFFER_US:
        early_s = _seconds(order.created_at_us - told.at_us)
        raise _fill(
            told, Reason.TIME_IMPOSSIBLE, f"{name} is {early_s} s older than its order", held
        )
    is_worse = (
        told.yes_price_e4 > order.yes_price_e4
        if order.book_side is BookSide.BID
        else told.yes_price_e4 < order.yes_price_e4
    )
    if is_worse:
        raise _fill(
            told,
            Reason.FILL_BEYOND_LIMIT,
            f"{name} is at {told.yes_price_e4} e-4 dollar, the limit of its {order.book_side} "
            f"is {order.yes_price_e4}",
            held,
        )


def check_same_fill(told: ExchangeFill, booked: Sequence[Fill]) -> None:
    """Check a fill that is booked (in parts, where it belongs to several trades).

    Raises:
        Contradiction: it is not what was booked.
    """
    first = booked[0]
    before: dict[str, Any] = {
        "order_id": first.exchange_order_id,
        "ticker": first.market_ticker,
        "book_side": first.book_side.value,
        "yes_price_e4": first.yes_price_e4,
        "qty_e2": sum(part.qty_e2 for part in booked),
        "fee_usd_e6": sum(part.fee_usd_e6 for part in booked),
    }
    now = {name: value for name, value in plain(told).items() if name in before}
    changed = [name for name, value in before.items() if now[name] != value]
    if changed:
        raise Contradiction(
            Reason.FILL_TOLD_DIFFERENTLY,
            told.fill_id,
            f"fill {told.fill_id} is booked with another {' and '.join(changed)}",
            told=plain(told),
            held=before,
        )


def check_order(told: ExchangeOrder, row: OrderRow) -> None:
    """Check the word about an order of ours.

    Raises:
        Contradiction: it cannot be so.
    """
    order = row.order
    if told.fill_qty_e2 > order.qty_e2:
        raise _order(
            told,
            row,
            Reason.ORDER_OVERFILLED,
            f"order {order.order_id} for {_contracts(order.qty_e2)} contracts "
            f"is said to be filled for {_contracts(told.fill_qty_e2)}",
        )
    pairs = {
        "market": (told.ticker, order.market_ticker),
        "side": (told.book_side, order.book_side),
        "quantity": (told.initial_qty_e2, order.qty_e2),
        "price": (told.yes_price_e4, order.yes_price_e4),
        "exchange id": (told.order_id, order.exchange_order_id or told.order_id),
    }
    wrong = [f"{name} {a} instead of {b}" for name, (a, b) in pairs.items() if a != b]
    if order.state in UNSENT:
        wrong.append("it was never sent")
    if wrong:
        raise _order(
            told,
            row,
            Reason.ORDER_CONTRADICTS_OURS,
            f"order {order.order_id} is told with {', '.join(wrong)}",
        )


def collateral_usd_e6(resting: ExchangeOrder) -> int:
    """Return the most that a resting order can hold: its cost, a fee, and two cents of rounding."""
    is_bid = resting.book_side is BookSide.BID
    price_e4 = resting.yes_price_e4 if is_bid else PRICE_ONE_E4 - resting.yes_price_e4
    face_usd_e6 = resting.remaining_qty_e2 * PRICE_ONE_E4
    return resting.remaining_qty_e2 * price_e4 + face_usd_e6 // FEE_SHARE + 2 * CENT_E6


def is_news(told: ExchangeOrder, held: HeldOrder | None) -> bool:
    """Return whether the word about an order says anything that is not held already.

    False as well for a foreign order, of which nothing is held.
    """
    if held is None:
        return False
    is_same = (
        told.order_id == held.exchange_order_id
        and told.ticker == held.market_ticker
        and told.book_side.value == held.book_side
        and told.yes_price_e4 == held.yes_price_e4
        and told.initial_qty_e2 == held.qty_e2
        and held.booked_qty_e2 <= told.fill_qty_e2 <= held.filled_qty_e2
    )
    said = reported_state(
        held.qty_e2, told.fill_qty_e2, is_resting=told.status not in {"canceled", "executed"}
    )
    state = OrderState(held.state)
    return not is_same or state in UNSENT or later_of(state, said) is not state


def check_settlement(told: ExchangeSettlement, market: KnownMarket | None, *, now_us: int) -> None:
    """Check a settlement that is not booked yet.

    Raises:
        Contradiction: it cannot be so.
    """
    if told.settled_at_us > now_us + CLOCKS_DIFFER_US:
        ahead_s = _seconds(told.settled_at_us - now_us)
        raise _settlement(told, Reason.TIME_IMPOSSIBLE, f"{told.ticker}: settled {ahead_s} s ahead")
    close_us = _close_us(told.ticker, now_us) if market is None else market.close_us
    if close_us is not None and min(told.settled_at_us, now_us) < close_us - CLOCKS_DIFFER_US:
        raise _settlement(
            told,
            Reason.SETTLEMENT_BEFORE_CLOSE,
            f"{told.ticker}: settled {_seconds(close_us - told.settled_at_us)} s before its close",
        )
    if market is not None and market.result and market.result != told.result:
        raise _settlement(
            told,
            Reason.SETTLEMENT_CONTRADICTS_RESULT,
            f"{told.ticker}: settled as {told.result}, the market's result is {market.result}",
        )
    least, most = _revenue(told)
    if not least <= told.revenue_usd_e6 <= most:
        raise _settlement(
            told,
            Reason.SETTLEMENT_REVENUE_IMPOSSIBLE,
            f"{told.ticker}: {told.result} pays ${told.revenue_usd_e6 / USD_E6:.2f}, "
            f"expected ${least / USD_E6:.2f}" + (f" … ${most / USD_E6:.2f}" * (most > least)),
        )


def check_same_settlement(told: ExchangeSettlement, booked: Settlement) -> None:
    """Check a settlement that is booked.

    Raises:
        Contradiction: it is not what was booked.
    """
    names = ("result", "yes_qty_e2", "no_qty_e2", "revenue_usd_e6")
    changed = [name for name in names if getattr(told, name) != getattr(booked, name)]
    if changed:
        raise Contradiction(
            Reason.SETTLEMENT_TOLD_DIFFERENTLY,
            told.ticker,
            f"{told.ticker}: its settlement is booked with another {' and '.join(changed)}",
            told=plain(told),
            held=msgspec.to_builtins(booked),
        )


def _revenue(told: ExchangeSettlement) -> tuple[int, int]:
    """Return the least and the most that a settlement can pay, whole cents.

    Yes and no pay a dollar for each winning contract. A scalar result pays its value, rounded to a
    cent; where it is not told, and for a void market, anything up to the face is possible.
    """
    net_e2 = told.yes_qty_e2 - told.no_qty_e2
    face = abs(net_e2) * PRICE_ONE_E4
    if told.result in {"yes", "no"}:
        exact = face if (net_e2 > 0) == (told.result == "yes") else 0
        return exact, exact
    if told.result == "scalar" and told.payout_usd_e6 is not None:
        paid = told.payout_usd_e6 if net_e2 >= 0 else USD_E6 - told.payout_usd_e6
        exact = abs(net_e2) * paid // CONTRACT_E2
        return max(exact - CENT_E6, 0), min(exact + CENT_E6, face)
    return 0, face


def _close_us(ticker: str, now_us: int) -> int | None:
    try:
        return parse_market(ticker, now_us).close_us
    except InvalidValue:
        return None


def _is_on_grid(yes_price_e4: int, ranges: tuple[PriceRange, ...]) -> bool:
    return not ranges or any(
        each.start_e4 <= yes_price_e4 <= each.end_e4
        and (yes_price_e4 - each.start_e4) % each.step_e4 == 0
        for each in ranges
    )


def _fill(
    told: ExchangeFill, reason: Reason, explanation: str, held: dict[str, Any] | None = None
) -> Contradiction:
    return Contradiction(reason, told.fill_id, explanation, told=plain(told), held=held)


def _order(told: ExchangeOrder, row: OrderRow, reason: Reason, explanation: str) -> Contradiction:
    return Contradiction(reason, told.order_id, explanation, told=plain(told), held=_of_order(row))


def _settlement(told: ExchangeSettlement, reason: Reason, explanation: str) -> Contradiction:
    return Contradiction(reason, told.ticker, explanation, told=plain(told))


def _of_order(row: OrderRow) -> dict[str, Any]:
    order = row.order
    return {
        "order_id": str(order.order_id),
        "exchange_order_id": order.exchange_order_id,
        "market_ticker": order.market_ticker,
        "book_side": order.book_side.value,
        "yes_price_e4": order.yes_price_e4,
        "qty_e2": order.qty_e2,
        "state": order.state.value,
        "filled_qty_e2": order.filled_qty_e2,
        "booked_qty_e2": row.booked_qty_e2,
    }


def _contracts(qty_e2: int) -> str:
    return f"{qty_e2 / CONTRACT_E2:g}"


def _seconds(span_us: int) -> int:
    return span_us // 1_000_000
