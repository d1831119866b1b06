"""What an open trade is worth right now: sold at the other side's best bid, after the exit's fee.

No bid, no snapshot or a broken book: no value. A value is never carried forward by this service;
``at_us`` tells how old the book is that it was taken from.
"""

from __future__ import annotations

from typing import Any

from recio.domain import fees
from recio.domain.messages import Snapshot, StrikeRow
from recio.domain.units import P_ONE_E6, PRICE_ONE_E4


def bid_e4(side: str, row: StrikeRow) -> int | None:
    """Return what the side's contracts can be sold for: for NO, a dollar less the YES ask."""
    if side == "yes":
        return row.yes_bid_e4
    return None if row.yes_ask_e4 is None else PRICE_ONE_E4 - row.yes_ask_e4


def ask_e4(side: str, row: StrikeRow) -> int | None:
    """Return what the side's contracts cost: for NO, a dollar less the YES bid."""
    if side == "yes":
        return row.yes_ask_e4
    return None if row.yes_bid_e4 is None else PRICE_ONE_E4 - row.yes_bid_e4


def probability_e6(side: str, row: StrikeRow) -> int | None:
    """Return the model's probability that the side wins."""
    if row.p_yes_e6 is None:
        return None
    return row.p_yes_e6 if side == "yes" else P_ONE_E6 - row.p_yes_e6


def edge_e4(side: str, row: StrikeRow) -> int | None:
    """Return the side's edge per contract after the taker fee."""
    return row.yes_edge_e4 if side == "yes" else row.no_edge_e4


def value(
    trade: dict[str, Any], snapshot: Snapshot | None, row: StrikeRow | None
) -> dict[str, Any] | None:
    """Return the live figures of an open trade, None while nothing is known of its market.

    ``pnl_usd_e6`` is what closing now would leave in all, fees included; ``buffer_usd_e6`` is how
    far the price is on the winning side (negative: losing).
    """
    if snapshot is None or row is None:
        return None
    side = trade["side"]
    bid = bid_e4(side, row) if row.is_valid else None
    held_e2 = trade["filled_qty_e2"] - trade["exited_qty_e2"]
    ahead = None
    if snapshot.price_usd_e6 is not None:
        ahead = snapshot.price_usd_e6 - row.strike_usd_e6
        ahead = ahead if side == "yes" else -ahead
    return {
        "bid_e4": bid,
        "pnl_usd_e6": None if bid is None else _pnl(trade, bid, held_e2),
        "p_e6": probability_e6(side, row),
        "buffer_usd_e6": ahead,
        "at_us": row.book_at_us,
    }


def _pnl(trade: dict[str, Any], bid: int, held_e2: int) -> int:
    exit_fee = fees.taker_fee_usd_e6(bid, held_e2)
    got = trade["exit_proceeds_usd_e6"] + bid * held_e2 - exit_fee
    return int(got - trade["entry_cost_usd_e6"] - trade["fees_usd_e6"])
