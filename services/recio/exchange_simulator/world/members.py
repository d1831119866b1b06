"""What the exchange still knows of its members after a restart, as far as the world needs it.

Books are not stored, fills and strikes are.
"""

from __future__ import annotations

from recio.domain.units import PRICE_ONE_E4
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.specs import Side, Taken


def taken(exchange: Exchange, ticker: str, since_us: int = 0) -> list[Taken]:
    """Return what members took of anonymous quantity in a market, oldest first."""
    fills = [
        fill
        for own in exchange.state.fills_of.values()
        for fill in own
        if fill.ticker == ticker and fill.at_us >= since_us
    ]
    between_members = {fill.trade_id for fill in fills if not fill.is_taker}
    found = []
    for fill in fills:
        if fill.is_taker and fill.trade_id not in between_members:
            side: Side = "no" if fill.is_bid else "yes"
            price_e4 = PRICE_ONE_E4 - fill.price_e4 if fill.is_bid else fill.price_e4
            found.append(Taken(ticker, side, price_e4, fill.qty_e2, 0, fill.at_us))
    return sorted(found, key=lambda one: one.at_us)


def strike_usd_e6(exchange: Exchange, ticker: str) -> int | None:
    """Return the floor strike of a market; None: it has none yet."""
    return exchange.state.markets[ticker].spec.floor_strike_usd_e6
