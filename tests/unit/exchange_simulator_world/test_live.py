"""Live prices: the median of what was heard, gaps as gaps, history from minutes."""

from __future__ import annotations

from recio.domain.units import SECOND_US, parse_time_us
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.world import LiveSource, attach
from recio.exchange_simulator.world.live import LivePrices

NOW_S = int(parse_time_us("2026-11-20T17:48:00Z")) // SECOND_US


def heard() -> LivePrices:
    """Five hours of quiet minutes, then two venues."""
    prices = LivePrices()
    start_s = NOW_S - 5 * 3600
    prices.tell_minutes(
        (second, (9_000_000, 9_001_000 + second % 7, 8_999_000, 9_000_500))
        for second in range(start_s, NOW_S, 60)
    )
    for second in range(NOW_S, NOW_S + 30):
        prices.tell("coinbase", 9_000_000 + second % 5, second)
        prices.tell("kraken", 9_000_100, second)
        prices.tell("bitstamp", 8_000_000, second)
    return prices


def test_index_is_the_median_of_the_venues() -> None:
    """One venue that is far off does not move it."""
    prices = heard()
    assert prices.index(NOW_S + 5) == 9_000_000 + (NOW_S + 5) % 5
    assert prices.venues() == ()
    assert prices.spot("coinbase", NOW_S) is None
    assert prices.minute("coinbase", NOW_S) is None


def test_silence_is_a_gap_after_three_seconds() -> None:
    """Carried three seconds, then unknown, although minutes were known before."""
    prices = heard()
    assert prices.index(NOW_S + 32) is not None
    assert prices.index(NOW_S + 33) is None


def test_the_past_comes_from_minutes() -> None:
    """Before the first live second the index runs inside the known bars."""
    prices = heard()
    value = prices.index(NOW_S - 1800)
    assert value is not None
    assert 8_999_000 <= value <= 9_001_007
    assert prices.index(NOW_S - 6 * 3600) is None
    assert prices.bar(NOW_S) is not None


def test_old_seconds_are_forgotten() -> None:
    """After four hours only the newer half is kept."""
    prices = heard()
    later_s = NOW_S + 5 * 3600
    prices.tell("coinbase", 9_100_000, later_s)
    assert prices.bar(NOW_S) is None
    assert prices.index(later_s) == 9_100_000


def test_a_world_runs_on_live_prices() -> None:
    """Ladder and makers work as on a recording."""
    prices, exchange = heard(), Exchange()
    world = attach(exchange, LiveSource(prices, NOW_S * SECOND_US), is_fine=False)
    world.step((NOW_S + 29) * SECOND_US)
    spec = exchange.open_events()[0]
    assert spec.event_ticker == "KXBTCD-26NOV2013"
    assert any(exchange.external_levels(market.ticker).yes for market in spec.markets)
    assert exchange.index_history("BRTI")[-1][0] == (NOW_S + 29) * SECOND_US
