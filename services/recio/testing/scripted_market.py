"""A scripted market for tests and trials of the page: believable prices and strike tables.

One hourly event of 20 November 2026. Nothing here is measured or modelled: the further a strike is
from the price, the surer its side, which is all that a page needs.
"""

from __future__ import annotations

from typing import Final

import msgspec

from recio.domain.fees import fee_per_contract_e4
from recio.domain.messages import (
    EventMarkets,
    ExchangeStatus,
    MarketInfo,
    Momentum,
    PriceRange,
    PriceUpdate,
    Snapshot,
    SourceState,
    StrikeRow,
)
from recio.domain.units import HOUR_US, MINUTE_US, parse_time_us

EVENT: Final = "KXBTCD-26NOV2017"
CLOSE_US: Final = parse_time_us("2026-11-20T22:00:00Z")
START_US: Final = CLOSE_US - 9 * MINUTE_US


def strike_ticker(strike_dollars: int) -> str:
    """Return the ticker of "strike or above"."""
    return f"{EVENT}-T{strike_dollars - 1}.99"


def strike_row(strike_dollars: int, price_usd_e6: int, at_us: int, **changed: object) -> StrikeRow:
    """Return a believable row with some fields changed."""
    strike = strike_dollars * 1_000_000 - 10_000
    buffer = price_usd_e6 - strike
    p_yes = max(4_000, min(996_000, 500_000 + buffer // 1_100))
    fair = p_yes // 100
    row = StrikeRow(
        ticker=strike_ticker(strike_dollars),
        strike_usd_e6=strike,
        buffer_usd_e6=abs(buffer),
        side="yes" if buffer > 0 else "no",
        p_yes_e6=p_yes,
        p_volatility_e6=p_yes,
        p_blend_e6=p_yes,
        yes_bid_e4=max(fair - 130, 10),
        yes_ask_e4=min(fair + 60, 9_990),
        yes_bid_qty_e2=125_00,
        yes_ask_qty_e2=80_00,
        yes_edge_e4=None,
        no_edge_e4=None,
        volume_e2=(2_400 + strike_dollars // 250 % 17 * 137) * 100,
        seq=7,
        book_at_us=at_us,
        is_valid=True,
    )
    return _with_fees(msgspec.structs.replace(row, **changed))


def _with_fees(row: StrikeRow) -> StrikeRow:
    bid, ask = row.yes_bid_e4, row.yes_ask_e4
    return msgspec.structs.replace(
        row,
        yes_fee_e4=None if ask is None else fee_per_contract_e4(ask),
        no_fee_e4=None if bid is None else fee_per_contract_e4(10_000 - bid),
    )


def price_update(price_usd_e6: int, at_us: int, environment: str = "paper") -> PriceUpdate:
    """Return a price with a basis of $3.20."""
    spot = price_usd_e6 + 3_200_000
    return PriceUpdate(
        environment=environment,
        symbol="BTC",
        at_us=at_us,
        seen_us=at_us,
        index_usd_e6=price_usd_e6,
        index_at_us=at_us,
        spot_usd_e6=spot,
        spot_at_us=at_us,
        basis_usd_e6=spot - price_usd_e6,
        trailing_average_usd_e6=price_usd_e6 - 2_000_000,
        sources=(SourceState("coinbase", spot, at_us, is_fresh=True),),
    )


def snapshot(
    price_usd_e6: int,
    at_us: int,
    generation: int,
    *,
    score_e6: int = 124_000,
    rows: tuple[StrikeRow, ...] | None = None,
) -> Snapshot:
    """Return the strike table around a price, 21 strikes of $250."""
    middle = price_usd_e6 // 250_000_000 * 250
    strikes = range(middle - 2_250, middle + 3_000, 250)
    return Snapshot(
        environment="paper",
        symbol="BTC",
        series_ticker="KXBTCD",
        event_ticker=EVENT,
        title="Bitcoin price on Nov 20, 2026 at 5pm EST?",
        generation=generation,
        open_us=CLOSE_US - HOUR_US,
        close_us=CLOSE_US,
        at_us=at_us,
        seen_us=at_us,
        price_usd_e6=price_usd_e6,
        price_at_us=at_us,
        spot_usd_e6=price_usd_e6 + 3_200_000,
        basis_usd_e6=3_200_000,
        momentum=Momentum(
            score_e6=score_e6,
            bucket=round(score_e6 / 10_000),
            deltas_e6=(score_e6, score_e6 + 31_000, score_e6 - 62_000, -40_000, 18_000, 95_000),
            is_complete=True,
        ),
        model="Volatility",
        model_version="volatility-1",
        is_trading_active=True,
        rows=rows or tuple(strike_row(strike, price_usd_e6, at_us) for strike in strikes),
    )


def event_markets(at_us: int) -> EventMarkets:
    """Return the event's markets as the exchange lists them."""
    return EventMarkets(
        environment="paper",
        symbol="BTC",
        series_ticker="KXBTCD",
        event_ticker=EVENT,
        title="Bitcoin price on Nov 20, 2026 at 5pm EST?",
        open_us=CLOSE_US - HOUR_US,
        close_us=CLOSE_US,
        markets=tuple(
            MarketInfo(
                ticker=strike_ticker(strike),
                strike_usd_e6=strike * 1_000_000 - 10_000,
                strike_type="greater",
                status="active",
                price_ranges=(PriceRange(0, 10_000, 100),),
            )
            for strike in range(80_000, 100_000, 250)
        ),
        at_us=at_us,
        seen_us=at_us,
    )


def exchange_status(at_us: int, *, is_connected: bool = True) -> ExchangeStatus:
    """Return an exchange that trades."""
    return ExchangeStatus(
        environment="paper",
        is_exchange_active=True,
        is_trading_active=True,
        is_connected=is_connected,
        resume_us=None,
        at_us=at_us,
        seen_us=at_us,
    )
