"""Snapshots and trades made by hand, for tests of whoever decides on them.

The picture: KXBTCD-25AUG0122 ten minutes before its close, Bitcoin at $115,000, strikes every $250;
strikes below the price are nearly sure, every book is two cents wide around the probability.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import msgspec

from recio.domain.fees import fee_per_contract_e4
from recio.domain.intents import derived_id
from recio.domain.messages import Momentum, Snapshot, StrikeRow
from recio.domain.tickers import format_market, parse_event
from recio.domain.trades import Trade, TradeState
from recio.domain.units import MINUTE_US, P_ONE_E6

EVENT: Final = "KXBTCD-25AUG0122"
CLOSE_US: Final = parse_event(EVENT).close_us
AT_US: Final = CLOSE_US - 10 * MINUTE_US
PRICE: Final = 115_000_000_000
STRIKES: Final = tuple(PRICE + place * 250_000_000 - 10_000 for place in range(-4, 5))
BELOW: Final = format_market(EVENT, STRIKES[1])
"""A market whose YES is at 98 %, offered at 95 cents: an edge of 2.66 cents."""
ABOVE: Final = format_market(EVENT, STRIKES[7])
"""Its mirror: NO is at 98 %, offered at 95 cents."""


def momentum(score_e6: int | None = 0) -> Momentum:
    """Return a momentum with this score (1e-6 percent) for all look-backs."""
    bucket = None if score_e6 is None else max(-30, min(30, round(score_e6 / 10_000)))
    return Momentum(
        score_e6=score_e6,
        bucket=bucket,
        deltas_e6=(score_e6,) * 6,
        is_complete=score_e6 is not None,
    )


def row(
    strike_usd_e6: int, p_yes_e6: int | None, bid_e4: int | None, ask_e4: int | None
) -> StrikeRow:
    """Return one strike; its fees and edges follow from the rest."""
    yes_fee = None if ask_e4 is None else fee_per_contract_e4(ask_e4)
    no_fee = None if bid_e4 is None else fee_per_contract_e4(bid_e4)
    yes_edge = no_edge = None
    if p_yes_e6 is not None and ask_e4 is not None and yes_fee is not None:
        yes_edge = p_yes_e6 // 100 - ask_e4 - yes_fee
    if p_yes_e6 is not None and bid_e4 is not None and no_fee is not None:
        no_edge = (P_ONE_E6 - p_yes_e6) // 100 - (10_000 - bid_e4) - no_fee
    return StrikeRow(
        ticker=format_market(EVENT, strike_usd_e6),
        strike_usd_e6=strike_usd_e6,
        buffer_usd_e6=abs(PRICE - strike_usd_e6),
        side="yes" if strike_usd_e6 < PRICE else "no",
        p_yes_e6=p_yes_e6,
        yes_bid_e4=bid_e4,
        yes_ask_e4=ask_e4,
        yes_bid_qty_e2=0 if bid_e4 is None else 10_000,
        yes_ask_qty_e2=0 if ask_e4 is None else 10_000,
        yes_edge_e4=yes_edge,
        no_edge_e4=no_edge,
        volume_e2=200_000,
        seq=1,
        book_at_us=AT_US,
        is_valid=True,
        p_fingerprints_e6=p_yes_e6,
        p_volatility_e6=p_yes_e6,
        p_blend_e6=p_yes_e6,
        yes_fee_e4=yes_fee,
        no_fee_e4=no_fee,
    )


def _rows() -> tuple[StrikeRow, ...]:
    made = []
    for strike in STRIKES:
        p_yes = 500_000 if strike == STRIKES[4] else (980_000 if strike < PRICE else 20_000)
        ask = 9_500 if strike == STRIKES[1] else min(p_yes // 100 + 100, 9_900)
        bid = 500 if strike == STRIKES[7] else max(ask - 200, 100)
        made.append(row(strike, p_yes, bid, ask))
    return tuple(made)


PICTURE: Final = Snapshot(
    environment="paper",
    symbol="BTC",
    series_ticker="KXBTCD",
    event_ticker=EVENT,
    title="BTC price today at 10pm?",
    generation=1,
    open_us=CLOSE_US - 60 * MINUTE_US,
    close_us=CLOSE_US,
    at_us=AT_US,
    seen_us=AT_US,
    price_usd_e6=PRICE,
    price_at_us=AT_US,
    spot_usd_e6=PRICE,
    basis_usd_e6=0,
    momentum=momentum(),
    model="Fingerprints",
    model_version="test",
    is_trading_active=True,
    rows=_rows(),
)


def later(picture: Snapshot, seconds: float, **changes: object) -> Snapshot:
    """Return the next picture so much later, with fresh price and books, and other fields changed."""
    moved_us = round(seconds * 1_000_000)
    at_us = picture.at_us + moved_us
    rows = tuple(msgspec.structs.replace(each, book_at_us=at_us) for each in picture.rows)
    fresh = msgspec.structs.replace(
        picture,
        generation=picture.generation + 1,
        at_us=at_us,
        seen_us=at_us,
        price_at_us=at_us,
        rows=rows,
    )
    return msgspec.structs.replace(fresh, **changes)


def with_row(picture: Snapshot, market_ticker: str, **changes: object) -> Snapshot:
    """Return the picture with one strike's fields changed."""
    rows = tuple(
        msgspec.structs.replace(each, **changes) if each.ticker == market_ticker else each
        for each in picture.rows
    )
    return msgspec.structs.replace(picture, rows=rows)


def trade(market_ticker: str = BELOW, side: str = "yes", **changes: object) -> Trade:
    """Return an open trade of five contracts bought at 95 cents."""
    made = Trade(
        trade_id=trade_id(market_ticker, side),
        account="paper",
        number=1,
        state=TradeState.OPEN,
        source="auto_entry",
        strategy="HourlyHTC",
        symbol="BTC",
        event_ticker=EVENT,
        market_ticker=market_ticker,
        strike_usd_e6=STRIKES[1] if market_ticker == BELOW else STRIKES[7],
        side=side,
        close_us=CLOSE_US,
        wanted_qty_e2=500,
        filled_qty_e2=500,
        open_qty_e2=500,
        entry_cost_usd_e6=4_750_000,
        exit_proceeds_usd_e6=0,
        fees_usd_e6=17_000,
        pnl_usd_e6=None,
        opened_at_us=AT_US,
        created_at_us=AT_US,
    )
    return msgspec.structs.replace(made, **changes)


def trade_id(market_ticker: str, side: str) -> UUID:
    """Return the id that ``trade`` gives."""
    return derived_id(market_ticker, side, "trade")
