"""How long one 21-strike snapshot takes: `python benchmarks/snapshot.py`.

Feeds the snapshot fold a ladder of 40 markets, an index tick and a book update a turn, and prints
the time of a whole step (fold one book update, make one snapshot of 21 strikes) and of its encoding.
The original needed 50 to 100 ms for a strike.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time

from recio import data
from recio.domain import messages
from recio.domain.fingerprints import Fingerprints
from recio.domain.messages import (
    BookUpdate,
    EventMarkets,
    MarketInfo,
    MarketQuote,
    PriceHistory,
    PriceUpdate,
)
from recio.domain.tickers import format_market, parse_event
from recio.domain.units import MINUTE_US, SECOND_US
from recio.domain.volatility_model import VolatilityModel
from recio.engine import snapshot

EVENT = "KXBTCD-25AUG0122"
CLOSE_US = parse_event(EVENT).close_us
START_US = CLOSE_US - 20 * MINUTE_US
PRICE = 115_000_000_000
STRIKES = [PRICE + (place - 20) * 250_000_000 - 10_000 for place in range(40)]


def main() -> None:
    """Measure and print."""
    state = prepared()
    tickers = [format_market(EVENT, strike) for strike in STRIKES]
    steps, encodings = [], []
    for turn in range(1, 2001):
        at_us = START_US + turn * SECOND_US // 5
        snapshot.step(state, price(at_us, turn))
        update = BookUpdate(
            environment="paper", event_ticker=EVENT, is_full=False, at_us=at_us + 1, seen_us=at_us + SECOND_US // 10,
            quotes=tuple(quote(ticker, at_us, turn) for ticker in tickers[:20]),
        )  # fmt: skip
        begun = time.perf_counter_ns()
        _, made = snapshot.step(state, update)
        middle = time.perf_counter_ns()
        body = messages.encode(made[0])
        encodings.append(time.perf_counter_ns() - middle)
        steps.append(middle - begun)
        assert len(made[0].rows) == 21
        assert made[0].rows[10].p_yes_e6 is not None
    print(f"python {sys.version.split()[0]} on {platform.processor() or platform.machine()}")
    for name, values in (("step with snapshot", steps), ("encoding", encodings)):
        p50, p99 = statistics.median(values), statistics.quantiles(values, n=100)[98]
        print(
            f"{name:20} best {min(values) / 1e6:.3f}  p50 {p50 / 1e6:.3f}  p99 {p99 / 1e6:.3f} ms"
        )
    print(f"message              {len(body)} bytes")


def prepared() -> snapshot.State:
    """Return a state with history, markets and a whole book."""
    prints = Fingerprints(data.fingerprints_bytes(data.fingerprint_names()[0]))
    model = VolatilityModel(data.volatility_bytes("btc"))
    state = snapshot.State("paper", fingerprints={"BTC": prints}, volatility={"BTC": model})
    minutes = tuple((START_US - k * MINUTE_US, PRICE + k % 7 * 10_000_000) for k in range(40))
    snapshot.step(
        state,
        PriceHistory(
            environment="paper", symbol="BTC", at_us=START_US, seen_us=START_US, source="benchmark",
            minutes=minutes,
        ),
    )  # fmt: skip
    markets = tuple(
        MarketInfo(
            ticker=format_market(EVENT, strike), strike_usd_e6=strike, strike_type="greater",
            status="active", price_ranges=(),
        )
        for strike in STRIKES
    )  # fmt: skip
    snapshot.step(
        state,
        EventMarkets(
            environment="paper", symbol="BTC", series_ticker="KXBTCD", event_ticker=EVENT, title="",
            open_us=CLOSE_US - 60 * MINUTE_US, close_us=CLOSE_US, markets=markets,
            at_us=START_US, seen_us=START_US,
        ),
    )  # fmt: skip
    quotes = tuple(quote(market.ticker, START_US, 0) for market in markets)
    snapshot.step(
        state,
        BookUpdate(
            environment="paper", event_ticker=EVENT, quotes=quotes, is_full=True, at_us=START_US, seen_us=START_US
        ),
    )  # fmt: skip
    return state


def price(at_us: int, turn: int) -> PriceUpdate:
    """Return an index tick."""
    return PriceUpdate(
        environment="paper", symbol="BTC", at_us=at_us, seen_us=at_us, index_at_us=at_us,
        index_usd_e6=PRICE + turn % 13 * 1_000_000,
    )  # fmt: skip


def quote(ticker: str, at_us: int, turn: int) -> MarketQuote:
    """Return the top of a book."""
    bid = 4_000 + turn % 11 * 100
    return MarketQuote(ticker, bid, 10_000, bid + 300, 10_000, 500_000, at_us, turn, is_valid=True)


if __name__ == "__main__":
    main()
