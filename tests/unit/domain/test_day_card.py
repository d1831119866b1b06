"""A card says what a day was worth after fees, and never compares what it does not know."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recio.domain import card_words
from recio.domain.day_card import CardTrade, card, cards
from recio.domain.tickers import new_york_day_start_us
from recio.domain.units import MINUTE_US, parse_time_us

NOON_US = int(parse_time_us("2026-05-13T12:00:00-04:00"))
DAY_US = 24 * 60 * MINUTE_US


def trade(**changes):
    """Return five contracts bought at 90 cents after an ask of 89, won."""
    known = {
        "ended_us": NOON_US,
        "pnl_usd_e6": 450_000,
        "cost_usd_e6": 4_500_000,
        "fees_usd_e6": 50_000,
        "qty_e2": 500,
        "p_e6": 950_000,
        "ask_e4": 8_900,
        "edge_e4": 300,
        "is_won": True,
    }
    return CardTrade(**(known | changes))


def lost(**changes):
    """Return the same, lost."""
    return trade(**({"pnl_usd_e6": -4_550_000, "is_won": False} | changes))


def test_a_card_in_numbers():
    """Checked by hand: two trades of five contracts, one won, one lost."""
    made = card([trade(), lost()])
    assert made.figures.pnl_usd_e6 == -4_100_000
    assert (made.figures.win_rate_e6, made.figures.break_even_e6) == (500_000, 910_000)
    assert made.promised_edge_e4 == 300
    assert made.realised_e4 == -4_100
    assert made.slippage_e4 == 100
    assert made.brier_e6 == round((0.05**2 + 0.95**2) / 2 * 1e6)
    assert made.market_brier_e6 == round((0.11**2 + 0.89**2) / 2 * 1e6)
    assert made.compared == 2


def test_what_is_not_known_is_not_compared():
    """Ours and the market's Brier are over the same trades, or there is none."""
    made = card([trade(ask_e4=None), trade(p_e6=None), trade(is_won=None), lost()])
    assert made.compared == 1
    assert made.figures.trades == 4
    nothing = card([trade(ask_e4=None, edge_e4=None)])
    assert (nothing.brier_e6, nothing.market_brier_e6, nothing.compared) == (None, None, 0)
    assert (nothing.promised_edge_e4, nothing.slippage_e4) == (None, None)
    assert nothing.realised_e4 == 900


def test_a_day_is_new_yorks_and_shows_even_without_a_trade():
    """A trade of 23:59 and one of 00:01 there are of two days; a watched day has a card."""
    start_us = new_york_day_start_us(NOON_US)
    trades = [trade(ended_us=start_us - MINUTE_US), trade(ended_us=start_us + MINUTE_US)]
    made = cards(trades, {start_us: 90, start_us - 2 * DAY_US: 30})
    assert [one.day_start_us for one in made] == [start_us - n * DAY_US for n in (0, 1, 2)]
    assert [one.figures.trades for one in made] == [1, 1, 0]
    assert [one.watched_minutes for one in made] == [90, None, 30]


TRADES = st.builds(
    trade,
    ended_us=st.integers(NOON_US - 5 * DAY_US, NOON_US),
    pnl_usd_e6=st.integers(-(10**8), 10**8),
    qty_e2=st.integers(1, 10_000),
    p_e6=st.none() | st.integers(0, 1_000_000),
    ask_e4=st.none() | st.integers(1, 9_999),
    is_won=st.none() | st.booleans(),
)


@given(st.lists(TRADES, max_size=20))
def test_days_add_up_to_all(trades):
    """No trade is lost or counted twice, and no score leaves 0 … 1."""
    made, total = cards(trades, {}), card(trades)
    assert sum(one.figures.pnl_usd_e6 for one in made) == total.figures.pnl_usd_e6
    assert sum(one.figures.trades for one in made) == len(trades)
    assert sum(one.compared for one in made) == total.compared
    for one in (*made, total):
        assert (one.brier_e6 is None) is (one.market_brier_e6 is None) is (one.compared == 0)
        assert 0 <= (one.brier_e6 or 0) <= 1_000_000
        assert len(card_words.row(one)) == len(card_words.HEADER)
        assert card_words.summary(one)


def test_words_say_what_a_result_cannot_tell():
    """Few trades prove nothing, and chances that are no better than the market's are called so."""
    said = card_words.summary(card([trade(), lost()], watched_minutes=90))
    assert said == (
        "2 trades, -$4.10 after fees, won 50.0 % where 91.0 % breaks even, 1.5 h watched; chances "
        "no better than the market's price (2 compared); too few to prove anything"
    )
    assert card_words.summary(card([], watched_minutes=30)) == "no ended trade in 0.5 h watched"
    assert card_words.row(card([], day_start_us=new_york_day_start_us(NOON_US)))[0] == "2026-05-13"
