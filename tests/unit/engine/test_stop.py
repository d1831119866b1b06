"""The stop fold: exits, durable states, freshness, live views."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain.account_config import AccountConfig, Model, Risk, Strategy, Trading
from recio.domain.intents import Purpose, Source
from recio.domain.trades import TradeState
from recio.domain.units import SECOND_US
from recio.engine import records, stop
from recio.engine.stop import Exit, ExitFailed, Known, Restored, Save, State, Tick, step
from recio.testing import pictures
from recio.testing.pictures import ABOVE, AT_US, BELOW, CLOSE_US, PICTURE

LOSING = pictures.with_row(PICTURE, BELOW, p_yes_e6=300_000, yes_bid_e4=2_900, yes_ask_e4=3_100)
CONFIG = AccountConfig(name="paper", strategy=Strategy(model=Model.FINGERPRINTS), risk=Risk())


def known(*trades, switch=Trading.ACTIVE):
    """Return what the database says of an account with these trades."""
    return Known(config=CONFIG, switch=switch, trades=trades or (pictures.trade(),))


def prepared(*trades, switch=Trading.ACTIVE):
    """Return a state that knows its account."""
    state = State("paper")
    step(state, known(*trades, switch=switch))
    return state


def exits(commands):
    """Return the exits among commands."""
    return [command for command in commands if isinstance(command, Exit)]


def play(state, picture, seconds):
    """Show the picture once a second, each a little later; return the exits with their times."""
    found = []
    for _ in range(seconds):
        found += exits(step(state, picture)[1])
        picture = pictures.later(picture, 1)
    return found


def test_a_losing_trade_is_closed_after_verification():
    """Fifteen seconds below 40 %: an exit of all that is held, at the bid."""
    state = prepared()
    assert play(state, LOSING, 15) == []

    (found,) = play(state, pictures.later(LOSING, 15, generation=100), 1)

    intent = found.intent
    assert (intent.purpose, intent.source, intent.side) == (Purpose.EXIT, Source.AUTO_STOP, "yes")
    assert (intent.qty_e2, intent.limit_price_e4) == (500, 2_900)
    assert intent.trade_id == pictures.trade().trade_id
    assert intent.valid_until_us == intent.at_us + 5 * SECOND_US
    assert found.save.stop.attempts == 1
    body = records.read_stop(found.record.body)
    assert (body.p_e6, body.bid_e4, body.intent_id) == (300_000, 2_900, intent.intent_id)


def test_exits_go_on_until_the_trade_is_flat():
    """Every two seconds with a new id and a lower limit; then it is left alone."""
    state = prepared()
    picture = msgspec.structs.replace(LOSING, momentum=pictures.momentum(-400_000))

    found = play(state, picture, 6)
    step(state, known(pictures.trade(state=TradeState.CLOSED, open_qty_e2=0, pnl_usd_e6=-1)))
    after = play(state, pictures.later(picture, 6, generation=100), 6)

    assert [each.intent.limit_price_e4 for each in found] == [2_900, 2_700, 2_400]
    assert len({each.intent.intent_id for each in found}) == 3
    assert {each.intent.source for each in found} == {Source.MOMENTUM_STOP}
    assert after == []


def test_a_no_trade_is_priced_on_its_own_side():
    """NO bid = 1 - YES ask; momentum up closes it."""
    trade = pictures.trade(ABOVE, "no")
    picture = msgspec.structs.replace(PICTURE, momentum=pictures.momentum(400_000))

    (found,) = exits(step(prepared(trade), picture)[1])

    ask = next(row.yes_ask_e4 for row in picture.rows if row.ticker == ABOVE)
    assert (found.intent.side, found.intent.limit_price_e4) == ("no", 10_000 - ask)


def test_a_partly_closed_trade_sells_what_is_left():
    """The rest, not the whole."""
    trade = pictures.trade(state=TradeState.CLOSING, open_qty_e2=200)
    picture = msgspec.structs.replace(LOSING, momentum=pictures.momentum(-400_000))

    (found,) = exits(step(prepared(trade), picture)[1])

    assert found.intent.qty_e2 == 200


@pytest.mark.parametrize(
    "trade",
    [
        pictures.trade(state=TradeState.ENTERING, open_qty_e2=0),
        pictures.trade(state=TradeState.EXPIRED),
        pictures.trade(close_us=AT_US),
    ],
)
def test_only_what_is_held_before_its_close_is_watched(trade):
    """Nothing to sell, or too late to."""
    picture = msgspec.structs.replace(LOSING, momentum=pictures.momentum(-400_000))

    assert exits(step(prepared(trade), picture)[1]) == []


def test_stale_prices_switch_the_rules_off():
    """An index older than the limit gives neither probability nor momentum."""
    state = prepared()
    picture = msgspec.structs.replace(LOSING, momentum=pictures.momentum(-400_000))
    stale = msgspec.structs.replace(picture, price_at_us=AT_US - 3 * SECOND_US - 1)

    assert step(state, stale)[1] == ()
    (view,) = stop.live_views(state)
    assert (view.p_e6, view.stop.is_fired) == (None, False)


def test_a_stale_book_gives_no_bid():
    """The exit waits ten seconds for a fresh one, then takes what comes."""
    state = prepared()
    spike = msgspec.structs.replace(LOSING, momentum=pictures.momentum(-400_000))
    old = pictures.with_row(spike, BELOW, book_at_us=AT_US - 6 * SECOND_US)

    assert exits(step(state, old)[1]) == []
    assert exits(step(state, Tick(AT_US + 9 * SECOND_US))[1]) == []
    (found,) = exits(step(state, Tick(AT_US + 10 * SECOND_US))[1])
    assert found.intent.limit_price_e4 == 100


def test_flatten_closes_everything_without_any_snapshot():
    """The switch needs no market data."""
    state = State("paper")
    step(state, Tick(AT_US))

    found = exits(step(state, known(pictures.trade(), switch=Trading.FLATTEN))[1])

    assert [(each.intent.source, each.intent.limit_price_e4) for each in found] == [
        (Source.FLATTEN, 100)
    ]


def test_halted_lets_no_automatic_exit_out():
    """Only a person's exits go out; when the halt ends the stop goes on."""
    state = prepared(switch=Trading.HALTED)
    picture = msgspec.structs.replace(LOSING, momentum=pictures.momentum(-400_000))

    assert exits(step(state, picture)[1]) == []
    assert len(exits(step(state, known())[1])) == 1


def test_reduce_only_lets_exits_out():
    """Every softer switch does."""
    picture = msgspec.structs.replace(LOSING, momentum=pictures.momentum(-400_000))
    for switch in (Trading.NO_NEW_ENTRIES, Trading.REDUCE_ONLY):
        assert len(exits(step(prepared(switch=switch), picture)[1])) == 1


def test_the_beginning_and_end_of_a_verification_are_kept():
    """A state is saved when it turns, not at each look."""
    state = prepared()
    begun = step(state, LOSING)[1]
    going = step(state, pictures.later(LOSING, 1))[1]
    ended = step(state, pictures.later(PICTURE, 2, generation=50))[1]

    (save,) = [command for command in begun if isinstance(command, Save)]
    assert save.stop.below_since_us == AT_US
    assert going == ()
    (save,) = [command for command in ended if isinstance(command, Save)]
    assert save.stop.below_since_us is None


def test_a_restart_goes_on_where_it_was():
    """What has fired and how often it was tried is durable."""
    state = prepared()
    picture = msgspec.structs.replace(LOSING, momentum=pictures.momentum(-400_000))
    (first,) = exits(step(state, picture)[1])

    restarted = State("paper")
    step(restarted, Restored({first.save.trade_id: first.save.stop}))
    step(restarted, known())
    calm = pictures.later(PICTURE, 2, generation=60)
    (second,) = exits(step(restarted, calm)[1])

    assert second.save.stop.attempts == 2
    assert second.intent.intent_id != first.intent.intent_id


def test_an_exit_that_could_not_be_written_keeps_its_number():
    """If it was written after all, the same id makes the repetition no second wish."""
    state = prepared()
    picture = msgspec.structs.replace(LOSING, momentum=pictures.momentum(-400_000))
    (first,) = exits(step(state, picture)[1])
    step(state, ExitFailed(first.save.trade_id, first.save.stop.attempts))

    (again,) = exits(step(state, pictures.later(picture, 2))[1])

    assert again.intent.intent_id == first.intent.intent_id


def test_live_views_show_what_a_trade_is_worth():
    """PnL at the bid after the fees paid; buffer negative on the losing side."""
    state = prepared(pictures.trade(), pictures.trade(ABOVE, "no"))
    step(state, LOSING)
    yes, no = stop.live_views(state)

    assert yes.pnl_usd_e6 == 500 * 2_900 - 4_750_000 - 17_000
    assert (yes.p_e6, yes.seconds_to_close) == (300_000, 600)
    assert yes.buffer_usd_e6 == pictures.PRICE - pictures.STRIKES[1]
    assert no.buffer_usd_e6 == pictures.STRIKES[7] - pictures.PRICE
    assert no.market_ticker == ABOVE


def test_old_pictures_are_not_taken_for_new():
    """The snapshot row may be behind the bus."""
    state = prepared()
    step(state, pictures.later(PICTURE, 5, generation=9))

    assert step(state, LOSING)[1] == ()
    assert state.snapshots[PICTURE.event_ticker].generation == 9


@given(st.lists(st.tuples(st.floats(0.1, 4), st.integers(-60, 60), st.booleans()), max_size=40))
def test_attempts_are_numbered_without_gaps_and_apart(steps):
    """Whatever comes, exits are two seconds apart at least and never after the close."""
    state, picture, seen = prepared(), LOSING, []
    for wait, momentum, has_bid in steps:
        picture = pictures.later(picture, wait, momentum=pictures.momentum(momentum * 10_000))
        shown = pictures.with_row(picture, BELOW, is_valid=has_bid)
        seen += exits(step(state, shown)[1])

    assert [each.save.stop.attempts for each in seen] == list(range(1, len(seen) + 1))
    times = [each.intent.at_us for each in seen]
    assert all(b - a >= 2 * SECOND_US for a, b in pairwise(times))
    assert all(each.intent.at_us < CLOSE_US for each in seen)
    assert all(100 <= each.intent.limit_price_e4 <= 2_900 for each in seen)
