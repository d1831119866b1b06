"""The snapshot fold: when a picture is made, what is in it, what is refused."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio import data
from recio.domain import messages
from recio.domain.account_config import Model
from recio.domain.fingerprints import Fingerprints
from recio.domain.messages import (
    BookUpdate,
    EventMarkets,
    ExchangeStatus,
    MarketInfo,
    MarketQuote,
    PriceHistory,
    PriceUpdate,
)
from recio.domain.tickers import format_market, parse_event
from recio.domain.units import MINUTE_US, SECOND_US
from recio.domain.volatility_model import VolatilityModel
from recio.engine.snapshot import EARLY_US, State, Tick, next_due_us, step

EVENT = "KXBTCD-25AUG0122"
NEXT = "KXBTCD-25AUG0123"
CLOSE = parse_event(EVENT).close_us
START = CLOSE - 10 * MINUTE_US
PRICE = 115_000_000_000
STRIKES = [PRICE + place * 250_000_000 - 10_000 for place in range(-15, 16)]


@lru_cache(maxsize=1)
def prints():
    """Return the published tables."""
    return Fingerprints(data.fingerprints_bytes("btc_2025-08-11"))


@lru_cache(maxsize=1)
def volatility():
    """Return the packaged model."""
    return VolatilityModel(data.volatility_bytes("btc"))


def new_state(**changes):
    """Return a state without knowledge."""
    known = {"fingerprints": {"BTC": prints()}, "volatility": {"BTC": volatility()}}
    return State("paper", **known | changes)


def price(at_us, usd_e6=PRICE, **changes):
    """Return an index tick that was seen at once."""
    fields = {
        "environment": "paper", "symbol": "BTC", "at_us": at_us, "seen_us": at_us,
        "index_usd_e6": usd_e6, "index_at_us": at_us,
    }  # fmt: skip
    return PriceUpdate(**fields | changes)


def history(at_us):
    """Return forty minutes of closes."""
    return PriceHistory(
        environment="paper", symbol="BTC", at_us=at_us, seen_us=at_us, source="test",
        minutes=tuple((at_us - k * MINUTE_US, PRICE + k % 3 * 50_000_000) for k in range(40)),
    )  # fmt: skip


def markets(event=EVENT, at_us=START, **changes):
    """Return an event with its ladder."""
    close_us = parse_event(event).close_us
    fields = {
        "environment": "paper", "symbol": "BTC", "series_ticker": "KXBTCD", "event_ticker": event,
        "title": "?", "open_us": close_us - 60 * MINUTE_US, "close_us": close_us,
        "at_us": at_us, "seen_us": at_us,
        "markets": tuple(
            MarketInfo(
                ticker=format_market(event, strike), strike_usd_e6=strike, strike_type="greater",
                status="active", price_ranges=(),
            )
            for strike in STRIKES
        ),
    }  # fmt: skip
    return EventMarkets(**fields | changes)


def books(at_us, *, event=EVENT, bid=4_000, is_full=True, count=31, **changes):
    """Return tops of books."""
    quotes = tuple(
        MarketQuote(
            format_market(event, strike), bid, 100, bid + 200, 100, 1, at_us, 1, is_valid=True
        )
        for strike in STRIKES[:count]
    )
    fields = {
        "environment": "paper", "event_ticker": event, "quotes": quotes, "is_full": is_full,
        "at_us": at_us, "seen_us": at_us,
    }  # fmt: skip
    return BookUpdate(**fields | changes)


def status(at_us, **changes):
    """Return an exchange that trades."""
    fields = {
        "environment": "paper", "is_exchange_active": True, "is_trading_active": True,
        "is_connected": True, "resume_us": None, "at_us": at_us, "seen_us": at_us,
    }  # fmt: skip
    return ExchangeStatus(**fields | changes)


def prepared(**changes):
    """Return a state that has seen one of everything, a second before the start."""
    state = new_state(**changes)
    at_us = START - SECOND_US
    for event in (history(at_us), markets(at_us=at_us), status(at_us), books(at_us), price(at_us)):
        step(state, event)
    return state


def one(state, event):
    """Fold an event that makes one picture; return it."""
    (made,) = step(state, event)[1]
    return made


def test_a_tick_makes_a_whole_picture():
    """21 strikes, momentum, both models, the version they were made with."""
    made = one(prepared(), price(START, PRICE + 1_000_000))

    assert (made.event_ticker, made.at_us, made.price_at_us) == (EVENT, START, START)
    assert len(made.rows) == 21
    assert made.momentum.is_complete
    assert (made.model, made.model_version) == ("Fingerprints", "avg60-t2+btc_2025-08-11")
    assert made.volatility_e9 > 0
    assert (made.is_trading_active, made.reason) == (True, "")
    for row in made.rows:
        assert row.p_yes_e6 == row.p_fingerprints_e6
        assert row.p_volatility_e6 is not None
        assert row.yes_edge_e4 is not None
    assert [row.p_yes_e6 for row in made.rows] == sorted(
        (row.p_yes_e6 for row in made.rows), reverse=True
    )


def test_generations_rise_by_one():
    """Also over a restart, from the last one made before."""
    state = prepared(generation=1_000)
    first = one(state, price(START))

    assert first.generation > 1_000
    assert one(state, price(START + SECOND_US)).generation == first.generation + 1


def test_at_most_ten_a_second_and_the_last_change_is_not_lost():
    """A change within a tenth of a second waits; a tick at the time due brings it out."""
    state = prepared()
    one(state, price(START))

    assert step(state, books(START + 50_000, bid=4_100))[1] == ()
    assert next_due_us(state) == START + 100_000
    made = one(state, Tick(START + 100_000))
    assert made.rows[0].yes_bid_e4 == 4_100
    assert next_due_us(state) is None


def test_a_new_price_takes_the_next_turn_at_once():
    """A trader acts on it: what changed before and after it waits, on average still ten a second."""
    state = prepared()
    one(state, price(START))
    step(state, books(START + 30_000, bid=4_100))

    assert one(state, price(START + 40_000, PRICE + 1)).price_usd_e6 == PRICE + 1
    assert step(state, price(START + 50_000, PRICE + 2))[1] == ()
    assert next_due_us(state) == START + 100_000
    assert one(state, Tick(START + 100_000)).price_usd_e6 == PRICE + 2
    assert step(state, books(START + 299_999, bid=4_200))[1] == ()
    assert one(state, Tick(START + 300_000)).rows[0].yes_bid_e4 == 4_200


def test_an_early_event_can_be_shown_more_rarely():
    """Where nobody may enter yet, a stepped run looks every few seconds; later as ever."""
    state = new_state(early_interval_us=5 * SECOND_US)
    at_us = CLOSE - EARLY_US - 2 * SECOND_US
    step(state, markets(at_us=at_us))
    state.events[EVENT].shown_us = at_us - 5 * SECOND_US

    assert one(state, price(at_us)).at_us == at_us
    assert step(state, price(at_us + SECOND_US, PRICE + 1))[1] == ()
    assert one(state, price(at_us + 2 * SECOND_US, PRICE + 2)).price_usd_e6 == PRICE + 2


def test_an_unchanged_event_is_shown_once_a_second():
    """So that growing ages are seen."""
    state = prepared()
    one(state, price(START))

    assert step(state, Tick(START + 999_999))[1] == ()
    assert one(state, Tick(START + SECOND_US)).price_at_us == START


def test_two_live_events_around_the_hour():
    """Both are pictured; the one whose window is not open yet once a second."""
    state = prepared()
    first = step(state, markets(NEXT))[1]
    second = step(state, price(START + 200_000, PRICE + 1))[1]
    third = step(state, price(START + SECOND_US, PRICE + 2))[1]

    assert {made.event_ticker for made in first} == {EVENT, NEXT}
    assert {made.event_ticker for made in second} == {EVENT}
    assert {made.event_ticker for made in third} == {EVENT, NEXT}


def test_the_clock_comes_with_the_events_and_never_runs_backwards():
    """A late message does not move time back."""
    state = prepared()
    one(state, price(START))
    step(state, books(START - 5 * SECOND_US, bid=4_100))

    assert one(state, Tick(START + 100_000)).at_us == START + 100_000


def test_without_momentum_fingerprints_are_unknown_and_said_to_be():
    """No history, no look-backs: a reason in each row, the other model too early to know."""
    state = new_state()
    for event in (markets(), status(START), books(START)):
        step(state, event)
    made = step(state, price(START + SECOND_US))[1][0]

    assert made.momentum.bucket is None
    assert {row.reason for row in made.rows} == {"fingerprints_unknown"}
    assert {row.p_yes_e6 for row in made.rows} == {None}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"index_usd_e6": None, "index_at_us": None, "spot_usd_e6": PRICE}, "no_index")],
)
def test_spot_is_shown_but_is_no_index(changes, reason):
    """Settlement is on the index: without it there is no probability."""
    made = one(prepared(), price(START, **changes))

    assert (made.reason, made.price_usd_e6, made.spot_usd_e6) == (reason, None, PRICE)
    assert {row.p_yes_e6 for row in made.rows} == {None}


def test_an_old_index_gives_no_probability():
    """More than fifteen seconds is older than any account may allow."""
    state = prepared()
    one(state, price(START))

    assert one(state, books(START + 15 * SECOND_US, bid=4_100)).reason == ""
    assert one(state, books(START + 15 * SECOND_US + 100_000, bid=4_200)).reason == "price_stale"


def test_a_closed_event_is_pictured_as_closed_and_then_dropped():
    """No probability at or after the close; five minutes later it is gone."""
    state = prepared()
    made = one(state, price(CLOSE))

    assert made.reason == "closed"
    assert {row.reason for row in made.rows} == {"closed"}
    step(state, Tick(CLOSE + 5 * MINUTE_US))
    assert state.events == {}


def test_the_last_minute_needs_the_running_mean():
    """With it there is a probability, without it none."""
    at_us = CLOSE - 30 * SECOND_US
    mean = {
        "window_average_usd_e6": PRICE - 200_000_000, "window_count": 30, "window_close_us": CLOSE
    }  # fmt: skip
    state = prepared()
    step(state, price(at_us - 61 * SECOND_US))

    known = step(state, price(at_us, **mean))[1][0]
    unknown = one(state, price(at_us + SECOND_US))

    assert (known.reason, known.window_count) == ("", 30)
    assert known.window_average_usd_e6 == PRICE - 200_000_000
    assert unknown.reason == "window_unknown"


def test_a_partial_book_update_keeps_the_rest():
    """A full one replaces all; what is not in it has no book."""
    state = prepared()
    one(state, price(START))
    partial = one(state, books(START + SECOND_US, bid=4_100, is_full=False, count=16))
    full = one(state, books(START + 2 * SECOND_US, bid=4_200, count=16))

    assert [row.yes_bid_e4 for row in partial.rows] == [4_100] * 10 + [4_000] * 11
    assert {row.reason for row in full.rows[-10:]} == {"no_book"}
    assert partial.rows[0].book_at_us == START + SECOND_US
    assert partial.rows[-1].book_at_us == START - SECOND_US


def test_trading_status():
    """Unknown while we are not connected; stopped when the exchange says so."""
    state = prepared()
    paused = one(state, status(START, is_trading_active=False))
    lost = one(state, status(START + SECOND_US, is_connected=False))
    down = one(state, status(START + 2 * SECOND_US, is_exchange_active=False))

    assert [made.is_trading_active for made in (paused, lost, down)] == [False, None, False]
    assert paused.reason == "exchange_paused_or_unknown"


def test_a_market_that_changes_is_shown_at_once():
    """Its new status is in the next picture."""
    state = prepared()
    one(state, price(START))
    changed = markets(at_us=START + SECOND_US)
    closed = tuple(msgspec.structs.replace(m, status="inactive") for m in changed.markets)

    made = one(state, msgspec.structs.replace(changed, markets=closed))

    assert {row.reason for row in made.rows} == {"market_inactive"}


def test_fifteen_minute_markets_without_a_strike_have_no_rows():
    """The strike comes when the window opens."""
    event = "KXBTC15M-25AUG012200"
    state = prepared()
    market = MarketInfo(
        ticker=format_market(event), strike_usd_e6=None, strike_type="greater_or_equal",
        status="initialized", price_ranges=(),
    )  # fmt: skip
    quarter = msgspec.structs.replace(
        markets(), event_ticker=event, series_ticker="KXBTC15M", markets=(market,)
    )
    step(state, quarter)

    later = price(START + SECOND_US)
    made = {each.event_ticker: each for each in step(state, later)[1]}[event]

    assert (made.rows, made.reason) == ((), "strike_unknown")


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (price(START, environment="prod"), "environment"),
        (price(START, 0), "price_not_positive"),
        (price(START, -5), "price_not_positive"),
        (price(START, seen_us=START, index_at_us=START + 6 * SECOND_US), "price_from_the_future"),
        (price(START, index_at_us=START - 2 * SECOND_US), "price_older_than_known"),
        (books(START, event=NEXT), "book_of_unknown_event"),
        (markets("KXBTCD-25AUG0121", close_us=CLOSE), "event_close"),
        (markets(open_us=CLOSE), "event_close"),
        (markets(event_ticker="nonsense"), "event_ticker"),
        (markets("KXBTCD-25AUG0120"), "event_over"),
    ],
)
def test_what_is_refused_is_counted_and_changes_nothing(event, reason):
    """Bad messages never stop it."""
    state = prepared()
    step(state, event)

    assert state.refused[reason] == 1
    assert list(state.events) == [EVENT]


def test_history_that_comes_late_still_counts():
    """After live prices began: momentum and volatility are there with the next tick."""
    state = new_state()
    step(state, markets())
    step(state, price(START - SECOND_US))
    step(state, history(START - SECOND_US))

    made = one(state, price(START + SECOND_US))

    assert made.momentum.is_complete
    assert made.volatility_e9 is not None


def test_a_longer_past_makes_the_volatility_begin_anew():
    """Forty minutes are enough to know; five hours are known better, another forty are not."""
    state = prepared()
    short = state.symbols["BTC"].volatility
    step(state, history(START - 20 * MINUTE_US))
    assert state.symbols["BTC"].volatility is short

    minutes = tuple((START - k * MINUTE_US, PRICE + k % 5 * 90_000_000) for k in range(300))
    step(state, msgspec.structs.replace(history(START), minutes=minutes))

    assert state.symbols["BTC"].volatility is not short
    assert state.symbols["BTC"].volatility.since_us == START - 299 * MINUTE_US
    assert one(state, price(START + SECOND_US)).volatility_e9 is not None


def test_the_environments_model_makes_probability_and_edges():
    """Another model, other numbers; all of them are shown."""
    made = one(prepared(model=Model.VOLATILITY), price(START))

    assert all(row.p_yes_e6 == row.p_volatility_e6 for row in made.rows)
    assert made.model == "Volatility"


@given(st.lists(st.tuples(st.integers(0, 300_000), st.sampled_from("pbt")), max_size=40))
def test_no_event_is_pictured_more_than_ten_times_a_second(script):
    """Whatever comes, generations rise by one; only a price's early picture is one more."""
    state, at_us, made = prepared(), START, []
    for number, (wait_us, word) in enumerate(script):
        at_us += wait_us
        event = {
            "p": lambda at, n: price(at, PRICE + n),
            "b": lambda at, n: books(at, bid=4_000 + n),
            "t": lambda at, _: Tick(at),
        }[word](at_us, number)
        made += step(state, event)[1]

    times = [each.at_us for each in made]
    assert all(b - a >= SECOND_US for a, b in zip(times, times[11:], strict=False))
    generations = [each.generation for each in made]
    assert all(b - a == 1 for a, b in pairwise(generations))


def test_two_folds_over_the_same_events_give_the_same_bytes():
    """Replay: byte for byte."""

    def run():
        state = prepared()
        script = [price(START), books(START + 200_000, bid=4_300), Tick(START + SECOND_US)]
        return [messages.encode(made) for event in script for made in step(state, event)[1]]

    assert run() == run()
