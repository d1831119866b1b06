"""What an open trade is worth right now: sold at its side's best bid, after the exit's fee.

No bid, no snapshot or a broken book: no value. A value is never carried forward by this service;
``at_us`` tells how old the book is that it was taken from.
"""

from __future__ import annotations

from typing import Any

from recio.domain import fees
from recio.domain.account_config import Model
from recio.domain.messages import Snapshot, StrikeRow
from recio.domain.sides import YES, SideView, view


def value(
    trade: dict[str, Any], found: tuple[Snapshot, StrikeRow] | None, model: Model
) -> dict[str, Any] | None:
    """Return the live figures of an open trade, None while nothing is known of its market.

    ``pnl_usd_e6`` is what closing now would leave in all, fees included; ``buffer_usd_e6`` is how
    far the price is on the winning side (negative: losing).
    """
    if found is None:
        return None
    snapshot, row = found
    side: str = trade["side"]
    seen = view(snapshot, row, side, model)
    bid = seen.bid_e4 if row.is_valid else None
    ahead = None
    if snapshot.price_usd_e6 is not None:
        ahead = snapshot.price_usd_e6 - row.strike_usd_e6
        ahead = ahead if side == YES else -ahead
    return {
        "bid_e4": bid,
        "pnl_usd_e6": None if bid is None else _pnl(trade, bid),
        "p_e6": seen.p_e6,
        "buffer_usd_e6": ahead,
        "at_us": row.book_at_us,
    }


def is_held(trade: dict[str, Any]) -> bool:
    """Tell whether contracts of the trade are held and not yet settled."""
    return bool(
        trade["filled_qty_e2"] > trade["exited_qty_e2"]
        and trade["pnl_usd_e6"] is None
        and trade["settlement_usd_e6"] is None
    )


def _pnl(trade: dict[str, Any], bid: int) -> int:
    held_e2 = trade["filled_qty_e2"] - trade["exited_qty_e2"]
    exit_fee = fees.taker_fee_usd_e6(bid, held_e2)
    got = trade["exit_proceeds_usd_e6"] + bid * held_e2 - exit_fee
    return int(got - trade["entry_cost_usd_e6"] - trade["fees_usd_e6"])


def row_for(snapshot: Snapshot, row: StrikeRow, model: Model) -> dict[str, Any]:
    """Return a strike row as an account with this model sees it, edges from its probability."""
    yes, no = view(snapshot, row, "yes", model), view(snapshot, row, "no", model)
    return {
        "ticker": row.ticker,
        "strike_usd_e6": row.strike_usd_e6,
        "buffer_usd_e6": row.buffer_usd_e6,
        "side": row.side,
        "p_yes_e6": yes.p_e6,
        "yes": _side(yes, row.yes_ask_qty_e2),
        "no": _side(no, row.yes_bid_qty_e2),
        "volume_e2": row.volume_e2,
        "book_at_us": row.book_at_us,
        "is_valid": row.is_valid,
        "reason": row.reason,
    }


def _side(seen: SideView, ask_qty_e2: int) -> tuple[int | None, int | None, int, int | None]:
    return seen.bid_e4, seen.ask_e4, ask_qty_e2, seen.edge_e4
