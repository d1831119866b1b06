"""Rows of the strike table: which, on which side, with which edge, and why not."""

from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain.account_config import Model
from recio.domain.messages import MarketInfo, MarketQuote
from recio.domain.probability import Odds
from recio.domain.settlement import Outlook
from recio.domain.strike_table import MAX_ROWS, Ladder
from recio.domain.volatility_model import Spread

PRICE = 115_000_000_000
NOW = 1_754_100_000_000_000
TEN_MINUTES = Spread(9e-5 * sqrt(600))


def market(place, **changes):
    """Return the market of a strike so many times 250 dollars above the price."""
    fields = {
        "ticker": f"M{place:+d}",
        "strike_usd_e6": PRICE + place * 250_000_000 - 10_000,
        "strike_type": "greater",
        "status": "active",
        "price_ranges": (),
    }
    return MarketInfo(**fields | changes)


def quote(ticker, bid, ask, *, is_valid=True):
    """Return the top of a book."""
    return MarketQuote(ticker, bid, 1_000, ask, 2_000, 300_000, NOW - 5, 7, is_valid=is_valid)


def table(markets, quotes, *, odds=None, model=Model.VOLATILITY, price=PRICE):
    """Return the rows by ticker."""
    odds = odds or Odds(Outlook(PRICE, 600.0), None, TEN_MINUTES)
    rows = Ladder(tuple(markets)).rows(
        odds,
        {each.ticker: each for each in quotes},
        price_usd_e6=price,
        model=model,
        known_at_us={"M+1": NOW},
        all_known_at_us=NOW - 100,
    )
    return {row.ticker: row for row in rows}


def test_the_nearest_21_in_order():
    """Ten below the expected settlement, eleven at or above; ascending."""
    rows = list(table([market(place) for place in range(40, -41, -1)], []).values())

    assert [row.strike_usd_e6 for row in rows] == sorted(row.strike_usd_e6 for row in rows)
    assert len(rows) == MAX_ROWS
    assert (rows[0].ticker, rows[-1].ticker) == ("M-9", "M+11")


@pytest.mark.parametrize(("place", "first"), [(-40, "M-40"), (40, "M+20")])
def test_at_the_end_of_the_ladder_it_still_shows_21(place, first):
    """A price beyond the ladder shows its end."""
    odds = Odds(Outlook(PRICE + place * 250_000_000, 600.0), None, TEN_MINUTES)

    rows = list(table([market(p) for p in range(-40, 41)], [], odds=odds).values())

    assert len(rows) == MAX_ROWS
    assert rows[0].ticker == first


def test_sides_and_edges():
    """YES below the settlement expected, NO above; edge = probability - ask - fee."""
    rows = table([market(-2), market(1)], [quote("M-2", 9_300, 9_500), quote("M+1", 1_000, 1_200)])
    below, above = rows["M-2"], rows["M+1"]

    assert (below.side, above.side) == ("yes", "no")
    assert below.yes_edge_e4 == below.p_yes_e6 // 100 - 9_500 - 34
    assert above.no_edge_e4 == (1_000_000 - above.p_yes_e6) // 100 - 9_000 - 63
    assert (below.yes_fee_e4, above.no_fee_e4) == (34, 63)
    assert below.buffer_usd_e6 == 500_010_000
    assert (below.book_at_us, above.book_at_us) == (NOW - 100, NOW)


def test_inside_the_last_minute_the_side_follows_the_expected_mean():
    """The price is above the strike, the settlement is expected below it: NO wins if it stays."""
    odds = Odds(Outlook(PRICE - 300_000_000, 5.0), None, Spread(9e-5 * sqrt(5)))

    assert table([market(-1)], [quote("M-1", 500, 900)], odds=odds)["M-1"].side == "no"


@pytest.mark.parametrize(
    ("changes", "top", "reason"),
    [
        ({"status": "closed"}, (4_000, 4_200), "market_closed"),
        ({"strike_type": "between"}, (4_000, 4_200), "strike_type"),
        ({"fee_type": "flat"}, (4_000, 4_200), "fee_unknown"),
        ({}, None, "no_book"),
        ({}, (4_300, 4_200), "book_crossed"),
        ({}, (4_200, 4_200), "book_crossed"),
    ],
)
def test_what_stands_against_trading_a_market(changes, top, reason):
    """The first reason is in the row, and there is no edge."""
    quotes = [quote("M+1", *top)] if top else []

    row = table([market(1, **changes)], quotes)["M+1"]

    assert row.reason == reason
    assert (row.yes_edge_e4, row.no_edge_e4) == (None, None)


def test_a_book_with_a_gap_is_not_tradable_but_seen():
    """The probability stays for people; the edges go."""
    row = table([market(1)], [quote("M+1", 4_000, 4_200, is_valid=False)])["M+1"]

    assert (row.reason, row.is_valid, row.yes_edge_e4) == ("book_invalid", False, None)
    assert row.p_yes_e6 is not None
    assert row.book_at_us == NOW - 5


@pytest.mark.parametrize(("bid", "ask"), [(None, None), (0, 10_000)])
def test_empty_sides_have_no_price(bid, ask):
    """0 and 1 dollar are no offers."""
    row = table([market(1)], [quote("M+1", bid, ask)])["M+1"]

    assert (row.yes_bid_e4, row.yes_ask_e4) == (None, None)
    assert (row.yes_edge_e4, row.no_edge_e4) == (None, None)
    assert (row.reason, row.is_valid) == ("", True)


def test_no_probability_is_a_reason():
    """Unknown volatility, unknown outlook, or a model that has none."""
    quotes = [quote("M+1", 4_000, 4_200)]

    def reason(odds, model):
        return table([market(1)], quotes, odds=odds, model=model)["M+1"].reason

    assert reason(Odds(Outlook(PRICE, 600.0), None, None), Model.VOLATILITY) == "volatility_unknown"
    assert reason(Odds(Outlook(PRICE, 600.0), None, TEN_MINUTES), Model.FINGERPRINTS) == (
        "fingerprints_unknown"
    )
    assert reason(Odds(Outlook(PRICE, 600.0), None, TEN_MINUTES), Model.BLEND) == "blend_unknown"
    assert reason(Odds(Outlook(PRICE, 600.0), None, None), Model.BLEND) == "volatility_unknown"
    assert (
        reason(Odds(Outlook(0, 0.0, "no_index"), None, TEN_MINUTES), Model.VOLATILITY) == "no_index"
    )


HALF = TEN_MINUTES._replace(weight=0.5)


def blended(top, *, is_valid=True, spread=HALF):
    """Return the row of one market whose page shows the blend."""
    odds = Odds(Outlook(PRICE, 600.0), None, spread)
    quotes = [quote("M+1", *top, is_valid=is_valid)]
    return table([market(1)], quotes, odds=odds, model=Model.BLEND)["M+1"]


def test_the_blend_lies_between_the_market_and_the_model():
    """Half way in log odds; with a weight of zero it is the market's middle, of one the model."""
    row = blended((5_900, 6_100))

    assert row.p_volatility_e6 < row.p_blend_e6 < 600_000
    assert row.p_yes_e6 == row.p_blend_e6
    assert row.yes_edge_e4 == row.p_blend_e6 // 100 - 6_100 - row.yes_fee_e4
    market_alone = blended((5_900, 6_100), spread=TEN_MINUTES._replace(weight=0.0))
    ours_alone = blended((5_900, 6_100), spread=TEN_MINUTES._replace(weight=1.0))
    assert market_alone.p_blend_e6 == 600_000
    assert ours_alone.p_blend_e6 == ours_alone.p_volatility_e6
    odds = [p / (1e6 - p) for p in (row.p_blend_e6, row.p_volatility_e6, 600_000)]
    assert odds[0] ** 2 == pytest.approx(odds[1] * odds[2], rel=1e-4)


@pytest.mark.parametrize(
    ("top", "changes"),
    [
        ((None, 6_100), {}),
        ((5_900, None), {}),
        ((0, 6_100), {}),
        ((3_000, 5_001), {}),
        ((6_100, 5_900), {}),
        ((5_900, 6_100), {"is_valid": False}),
        ((5_900, 6_100), {"spread": TEN_MINUTES}),
    ],
)
def test_a_blend_without_a_market_is_unknown(top, changes):
    """One side only, sides 20 cents apart, crossed, a book with a gap, no weight: no number."""
    row = blended(top, **changes)

    assert (row.p_blend_e6, row.p_yes_e6, row.yes_edge_e4) == (None, None, None)
    assert row.reason
    assert row.p_volatility_e6 is not None


def test_markets_without_a_strike_are_no_rows():
    """A 15-minute market before its window opens."""
    ladder = Ladder((market(1, strike_usd_e6=None), market(2)))

    assert (len(ladder), ladder.unknown_strikes) == (1, 1)


def test_without_a_price_the_middle_of_the_ladder_is_shown():
    """Nothing is near to an unknown price."""
    odds = Odds(Outlook(0, 0.0, "no_index"), None, None)

    rows = list(table([market(p) for p in range(-40, 41)], [], odds=odds, price=None).values())

    assert (rows[0].ticker, rows[10].ticker) == ("M-10", "M+0")
    assert all(row.buffer_usd_e6 == 0 for row in rows)


@given(st.integers(1, 9_998), st.integers(1, 9_999), st.integers(-5, 5))
def test_both_edges_together_lose_spread_and_fees(bid, ask, place):
    """Buying both sides costs the spread and two fees: one edge at most is positive."""
    if bid >= ask:
        return
    row = table([market(place)], [quote(f"M{place:+d}", bid, ask)])[f"M{place:+d}"]

    assert row.yes_edge_e4 + row.no_edge_e4 <= bid - ask - row.yes_fee_e4 - row.no_fee_e4
    assert row.yes_edge_e4 + row.no_edge_e4 >= bid - ask - row.yes_fee_e4 - row.no_fee_e4 - 1
