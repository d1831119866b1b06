"""A small exchange to test on: one ladder with two strikes, one 15-minute market, members."""

from __future__ import annotations

from itertools import count

from recio.domain.units import parse_time_us
from recio.exchange_simulator.core import accounts, orders
from recio.exchange_simulator.core.orders import NewOrder
from recio.exchange_simulator.core.records import Account, Order
from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.specs import EventSpec, MarketSpec, SeriesSpec

OPEN_US = parse_time_us("2026-11-20T16:00:00Z")
CLOSE_US = parse_time_us("2026-11-20T17:00:00Z")
NOW_US = parse_time_us("2026-11-20T16:48:00Z")
SECOND = 1_000_000
EVENT = "KXBTCD-26NOV2012"
LOW = "KXBTCD-26NOV2012-T89999.99"
HIGH = "KXBTCD-26NOV2012-T90249.99"
QUARTER_EVENT = "KXBTC15M-26NOV201200"
QUARTER = "KXBTC15M-26NOV201200-00"
_names = count(1)


def hourly_event() -> EventSpec:
    """Return an hourly ladder of two strikes."""
    return EventSpec(
        event_ticker=EVENT,
        series_ticker="KXBTCD",
        title="Bitcoin price on Nov 20, 2026 at 12pm EST?",
        sub_title="On Nov 20, 2026 at 12pm EST",
        open_us=OPEN_US,
        close_us=CLOSE_US,
        markets=tuple(
            MarketSpec(
                ticker=ticker,
                yes_sub_title=f"{name} or above",
                no_sub_title=f"{name} or above",
                strike_type="greater",
                floor_strike_usd_e6=strike,
            )
            for ticker, name, strike in (
                (LOW, "$90,000", 89_999_990_000),
                (HIGH, "$90,250", 90_249_990_000),
            )
        ),
    )


def quarter_event() -> EventSpec:
    """Return a 15-minute event whose strike is not known yet."""
    return EventSpec(
        event_ticker=QUARTER_EVENT,
        series_ticker="KXBTC15M",
        title="BTC price up in next 15 mins?",
        sub_title="12:00PM EST",
        open_us=CLOSE_US - 15 * 60 * SECOND,
        close_us=CLOSE_US,
        price_level_structure="tapered_deci_cent",
        settlement_timer_seconds=1,
        markets=(
            MarketSpec(
                ticker=QUARTER,
                yes_sub_title="Target price: TBD",
                no_sub_title="Target price: TBD",
            ),
        ),
    )


def exchange(config: Config | None = None, *, fee_type: str = "quadratic") -> Exchange:
    """Return an exchange with both events, twelve minutes before their close."""
    made = Exchange(config)
    for ticker in ("KXBTCD", "KXBTC15M"):
        made.list_series(SeriesSpec(ticker=ticker, title="Bitcoin", fee_type=fee_type))
    made.advance(OPEN_US - SECOND)
    made.list_event(hourly_event(), OPEN_US - SECOND)
    made.list_event(quarter_event(), OPEN_US - SECOND)
    made.advance(NOW_US)
    return made


def member(on: Exchange, name: str = "alice", dollars: int = 1000, shard: int = 2) -> Account:
    """Open an account with cash on a shard."""
    return accounts.open_account(on.state, name, dollars * 1_000_000, shard, on.now_us)


def place(on: Exchange, who: Account, side: str, price_e4: int, qty_e2: int, **more) -> Order:
    """Send an order; a name makes each client_order_id its own."""
    fields = {
        "ticker": LOW,
        "time_in_force": "good_till_canceled",
        "self_trade": "taker_at_cross",
        "client_order_id": f"c{next(_names)}",
    } | more
    new = NewOrder(is_bid=side == "bid", price_e4=price_e4, qty_e2=qty_e2, **fields)
    return orders.create(on.state, who, new)
