"""The entry fold: intents, records, indicator; restarts and failures."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from recio.domain.account_config import (
    AccountConfig,
    AutoEntry,
    Model,
    Risk,
    Series,
    Sizing,
    Strategy,
    Trading,
)
from recio.domain.entry import Attempt
from recio.domain.intents import Purpose, Source
from recio.domain.trades import TradeState
from recio.domain.units import SECOND_US
from recio.engine import entry, records
from recio.engine.automation import Show
from recio.engine.entry import Known, ProposalFailed, Propose, Restored, State, Tick, step
from recio.engine.records import Record
from recio.testing import pictures
from recio.testing.pictures import ABOVE, AT_US, BELOW, CLOSE_US, EVENT, PICTURE


def known(*, trades=(), attempts=None, switch=Trading.ACTIVE, risk=None, series=(), **rules):
    """Return what the database says of an account that enters automatically."""
    strategy = Strategy(
        model=Model.FINGERPRINTS,
        auto_entry=AutoEntry(**{"enabled": True} | rules),
        sizing=Sizing(contracts=5),
    )
    config = AccountConfig(
        name="paper", strategy=strategy, risk=risk or Risk(), series=series or (Series.KXBTCD,)
    )
    return Known(
        config=config,
        switch=switch,
        trades=tuple(trades),
        attempts=attempts or {},
        cash_usd_e6=None,
    )


def prepared(**changes):
    """Return a state that knows its account."""
    state = State("paper")
    step(state, known(**changes))
    return state


def intents(commands):
    """Return the intents among commands."""
    return [command.intent for command in commands if isinstance(command, Propose)]


def gates(commands):
    """Return the recorded gates by strike."""
    (record,) = [command for command in commands if isinstance(command, Record)]
    return {strike.ticker: strike.gate for strike in records.read_entry(record.body).strikes}


def test_an_entry_is_an_intent_with_all_it_was_decided_on():
    """Limit = ask seen on the side's own scale; valid for five seconds; ids follow from inputs."""
    _, commands = step(prepared(), PICTURE)
    found = {intent.market_ticker: intent for intent in intents(commands)}

    assert set(found) == {BELOW, ABOVE}
    yes, no = found[BELOW], found[ABOVE]
    assert (yes.purpose, yes.source) == (Purpose.ENTRY, Source.AUTO_ENTRY)
    assert (yes.side, yes.limit_price_e4, yes.qty_e2) == ("yes", 9_500, 500)
    assert (no.side, no.limit_price_e4, no.p_e6) == ("no", 9_500, 980_000)
    assert yes.valid_until_us == AT_US + 5 * SECOND_US
    assert (yes.edge_e4, yes.snapshot_generation, yes.book_at_us) == (266, 1, AT_US)
    assert intents(step(prepared(), PICTURE)[1]) == intents(commands)


def test_the_record_says_why_every_other_strike_was_not_bought():
    """One record for both intents of the picture; its id stands in them."""
    _, commands = step(prepared(), PICTURE)
    wishes = [command for command in commands if isinstance(command, Propose)]
    body = records.read_entry(wishes[0].record.body)
    outcome = {strike.ticker: strike.gate for strike in body.strikes}

    assert len({wish.record.decision_id for wish in wishes}) == 1
    assert wishes[0].intent.decision_id == wishes[0].record.decision_id
    assert [outcome.pop(ticker) for ticker in (BELOW, ABOVE)] == ["", ""]
    assert all(outcome.values())
    assert (body.gate, body.price_usd_e6, body.price_age_us) == ("", pictures.PRICE, 0)


def test_nothing_happens_before_the_account_is_known():
    """Unknown settings or trades mean no entry."""
    assert step(State("paper"), PICTURE)[1] == ()


def test_other_series_are_not_looked_at():
    """The account trades another series."""
    assert step(prepared(series=(Series.KXBTC15M,)), PICTURE)[1] == ()


def test_a_pending_attempt_is_not_repeated():
    """Until the gate has decided; then the trade or the cool-down stands against it."""
    state = prepared()
    step(state, PICTURE)

    _, commands = step(state, pictures.later(PICTURE, 1))

    assert intents(commands) == []
    assert gates(commands)[BELOW] == "attempt_pending"


def test_a_refused_attempt_is_repeated_after_the_cool_down_under_a_new_number():
    """Another wish, another id."""
    state = prepared()
    first = intents(step(state, PICTURE)[1])
    refused = {
        (BELOW, "yes"): Attempt(1, AT_US, is_pending=False),
        (ABOVE, "no"): Attempt(1, AT_US, is_pending=False),
    }
    step(state, known(attempts=refused))

    cooling = step(state, pictures.later(PICTURE, 5))[1]
    again = intents(step(state, pictures.later(pictures.later(PICTURE, 5), 5))[1])

    assert gates(cooling)[BELOW] == "cooldown"
    assert {wish.intent_id for wish in again}.isdisjoint(wish.intent_id for wish in first)
    assert [wish.market_ticker for wish in again] == [wish.market_ticker for wish in first]


def test_a_restart_goes_on_with_the_attempts_of_before():
    """A wish that waits for the gate is found again in the database."""
    waiting = {(BELOW, "yes"): Attempt(1, AT_US, is_pending=True)}
    state = prepared(attempts=waiting)

    found = intents(step(state, pictures.later(PICTURE, 1))[1])

    assert [intent.market_ticker for intent in found] == [ABOVE]


def test_an_old_reading_does_not_hide_a_newer_wish():
    """What was read before the wish was written knows nothing of it."""
    state = prepared()
    step(state, PICTURE)
    step(state, known())

    assert intents(step(state, pictures.later(PICTURE, 1))[1]) == []


def test_a_wish_that_could_not_be_written_is_tried_again():
    """After the cool-down, under another number, whether or not the first one was written."""
    state = prepared()
    (first, *_) = intents(step(state, PICTURE)[1])
    step(state, ProposalFailed(first))

    again = intents(step(state, pictures.later(PICTURE, 10))[1])

    assert [wish.market_ticker for wish in again] == [first.market_ticker]
    assert again[0].intent_id != first.intent_id


def test_an_attempt_nothing_is_heard_of_is_given_up():
    """After thirty seconds it is no longer waited for."""
    state = prepared()
    step(state, PICTURE)

    assert len(intents(step(state, pictures.later(PICTURE, 31))[1])) == 2


def test_limits_hold_over_the_wishes_of_one_picture():
    """One open trade is allowed: the surest strike gets it, the other is told why not."""
    risk = msgspec.structs.replace(Risk(), max_open_trades=1)
    _, commands = step(prepared(risk=risk), PICTURE)
    (wish,) = [command for command in commands if isinstance(command, Propose)]
    outcome = {s.ticker: s.gate for s in records.read_entry(wish.record.body).strikes}

    assert {outcome[BELOW], outcome[ABOVE]} == {"", "max_open_trades"}


def test_a_trade_of_ones_own_bars_its_market():
    """A live one, and without re-entry an ended one too."""
    for state in (TradeState.OPEN, TradeState.SETTLED):
        held = pictures.trade(BELOW, state=state, pnl_usd_e6=0)
        found = intents(step(prepared(trades=[held]), PICTURE)[1])
        assert [intent.market_ticker for intent in found] == [ABOVE]


def test_a_spike_pauses_entries_and_is_shown():
    """The alarm holds while momentum is calm again, until the cool-down is over."""
    state = prepared()
    _, spiking = step(state, msgspec.structs.replace(PICTURE, momentum=pictures.momentum(400_000)))
    _, calm = step(state, pictures.later(PICTURE, 1, momentum=pictures.momentum(0)))

    assert intents(spiking) == intents(calm) == []
    (shown,) = [command for command in calm if isinstance(command, Show)]
    assert (shown.status.status, shown.status.paused_until_us) == (
        "PAUSED", AT_US + SECOND_US + 900 * SECOND_US,
    )  # fmt: skip
    restarted = State("paper")
    step(restarted, Restored(shown.spikes))
    step(restarted, known())
    assert intents(step(restarted, pictures.later(PICTURE, 2))[1]) == []


def test_the_indicator():
    """ACTIVE inside the window, INACTIVE outside or without data, DISABLED when switched off."""

    def status(state):
        return (state.shown.status, state.shown.reason)

    state = prepared()
    assert status(state) == ("INACTIVE", "no fresh market data")
    step(state, PICTURE)
    assert status(state) == ("ACTIVE", "inside the entry window")
    step(state, known(switch=Trading.HALTED))
    assert status(state) == ("INACTIVE", "switch Halted")
    step(state, known(enabled=False))
    assert status(state)[0] == "DISABLED"
    step(state, known())
    step(state, pictures.later(PICTURE, 550))
    assert status(state) == ("INACTIVE", "too_late")
    step(state, Tick(AT_US + 570 * SECOND_US))
    assert status(state) == ("INACTIVE", "no fresh market data")


def test_records_once_a_second_in_the_window_and_only_changes_outside():
    """Ten pictures a second in the window make one record, a quiet hour makes one in all."""
    risk = msgspec.structs.replace(Risk(), max_open_trades=1)
    state = prepared(trades=[pictures.trade(BELOW)], risk=risk)
    picture, inside = PICTURE, 0
    for _ in range(30):
        inside += sum(isinstance(c, Record) for c in step(state, picture)[1])
        picture = pictures.later(picture, 0.1)
    early = pictures.later(PICTURE, -1200)
    outside = 0
    state = prepared()
    for _ in range(100):
        outside += sum(isinstance(c, Record) for c in step(state, early)[1])
        early = pictures.later(early, 1)

    assert (inside, outside) == (3, 1)


def test_a_picture_is_judged_once():
    """The bus may tell the newest one again."""
    state = prepared()
    step(state, PICTURE)

    assert step(state, PICTURE)[1] == ()


def test_events_that_are_over_are_forgotten():
    """State stays small over days."""
    state = prepared()
    step(state, PICTURE)
    step(state, Tick(CLOSE_US + 3601 * SECOND_US))

    assert (state.events, state.attempts) == ({}, {})
    assert EVENT not in state.events


def test_slippage_is_whole_cents_within_the_band():
    """One cent above the ask, never above the highest price allowed."""
    state = State("paper", slippage_cents=1)
    step(state, known())
    (first, *_) = intents(step(state, PICTURE)[1])
    assert first.limit_price_e4 == 9_600

    narrow = State("paper", slippage_cents=5)
    step(narrow, known())
    (first, *_) = intents(step(narrow, PICTURE)[1])
    assert first.limit_price_e4 == 9_800


@given(st.lists(st.sampled_from(["picture", "known", "fail", "tick", "second"]), max_size=30))
def test_whatever_happens_an_intent_is_never_repeated(script):
    """No id is proposed twice in one life of the fold, and a market has one pending wish."""
    state, picture, seen, last = prepared(), PICTURE, set(), None
    for word in script:
        if word == "known":
            step(state, known())
        elif word == "fail" and last is not None:
            step(state, ProposalFailed(last))
        elif word == "tick":
            step(state, Tick(picture.at_us))
        else:
            picture = pictures.later(picture, 1 if word == "second" else 0.1)
            for intent in intents(step(state, picture)[1]):
                assert intent.intent_id not in seen
                seen.add(intent.intent_id)
                last = intent


def test_two_folds_over_the_same_events_decide_alike():
    """Replay: commands are equal, bytes of records included."""
    script = [known(), PICTURE, pictures.later(PICTURE, 1), Tick(AT_US + 2 * SECOND_US)]

    def run():
        state = State("paper")
        return [entry.step(state, event)[1] for event in script]

    assert run() == run()
