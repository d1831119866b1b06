"""Stop rules: verification, momentum, flatten, and the price and time of exits."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain import stop
from recio.domain.account_config import AutoStop, MomentumStop, ProbabilityStop
from recio.domain.intents import Source
from recio.domain.stop import FRESH, Look, StopState
from recio.domain.units import SECOND_US

SETTINGS = AutoStop()
"""Below 40 % for 15 seconds, not in the last minute; momentum 36."""
START = 1_754_100_000 * SECOND_US
CLOSE = START + 600 * SECOND_US


def look(second=0.0, p=None, *, side="yes", momentum=None, is_flatten=False):
    """Return a look so many seconds after the start: probability in percent, momentum in bp."""
    return Look(
        at_us=START + round(second * SECOND_US),
        close_us=CLOSE,
        side=side,
        p_e6=None if p is None else round(p * 10_000),
        score_e6=None if momentum is None else round(momentum * 10_000),
        is_flatten=is_flatten,
    )


def run(looks, *, settings=SETTINGS, state=FRESH):
    """Fold looks."""
    for each in looks:
        state = stop.judge(state, settings, each)
    return state


def test_a_probability_below_for_the_whole_time_fires():
    """At fifteen seconds, not at fourteen."""
    assert not run([look(s, 39) for s in range(15)]).is_fired
    fired = run([look(s, 39) for s in range(16)])
    assert fired.source is Source.AUTO_STOP
    assert fired.fired_at_us == START + 15 * SECOND_US
    assert fired.reason == "probability 39.0 % below 40 % for 15 s"


@pytest.mark.parametrize("between", [40, 95, None])
def test_one_look_that_is_not_below_starts_anew(between):
    """The limit itself, a recovery and an unknown probability all do."""
    looks = [look(s, 39) for s in range(14)] + [look(14, between)]
    looks += [look(s, 39) for s in range(15, 30)]

    assert not run(looks).is_fired
    assert run([*looks, look(30, 39)]).is_fired


def test_a_gap_in_the_looks_starts_anew():
    """Six seconds without a look are not verified."""
    looks = [look(s, 39) for s in range(10)] + [look(s, 39) for s in range(16, 31)]

    assert not run(looks).is_fired


def test_without_verification_it_fires_at_once():
    """Zero seconds."""
    settings = AutoStop(probability=ProbabilityStop(verify_seconds=0))

    assert run([look(0, 39)], settings=settings).is_fired


def test_near_the_close_it_is_left_to_settle():
    """Less than a minute to go: the probability stop is silent."""
    assert not run([look(s, 5) for s in range(541, 600)]).is_fired
    assert run([look(s, 5) for s in range(500, 541)]).is_fired


def test_the_settings_count():
    """Switched off, or with another limit."""
    off = AutoStop(probability=ProbabilityStop(enabled=False))
    low = AutoStop(probability=ProbabilityStop(below_permille=300))

    assert not run([look(s, 1) for s in range(60)], settings=off).is_fired
    assert not run([look(s, 39) for s in range(60)], settings=low).is_fired


@pytest.mark.parametrize(
    ("side", "momentum", "fires"),
    [("no", 36, True), ("no", 35, False), ("no", -90, False),
     ("yes", -36, True), ("yes", -35, False), ("yes", 90, False), ("yes", None, False)],
)  # fmt: skip
def test_momentum_closes_the_side_it_runs_against(side, momentum, fires):
    """Up closes NO, down closes YES, at once."""
    state = run([look(0, 99, side=side, momentum=momentum)])

    assert state.is_fired is fires
    assert (state.source is Source.MOMENTUM_STOP) is fires


def test_momentum_overrides_a_running_verification():
    """It does not wait, and it works in the last minute."""
    assert run([look(0, 39), look(1, 39, momentum=-40)]).source is Source.MOMENTUM_STOP
    assert run([look(590, 99, momentum=-40)]).is_fired
    off = AutoStop(momentum=MomentumStop(enabled=False))
    assert not run([look(0, 99, momentum=-40)], settings=off).is_fired


def test_flatten_needs_no_data_and_takes_over():
    """The switch closes a trade whose stop has fired already, with its attempts kept."""
    assert run([look(0, is_flatten=True)]).source is Source.FLATTEN
    fired = stop.attempted(run([look(0, momentum=-40)]), START)
    taken = run([look(1, is_flatten=True)], state=fired)
    assert (taken.source, taken.attempts, taken.fired_at_us) == (Source.FLATTEN, 1, START)


def test_a_stop_that_fired_stays_fired():
    """A recovery does not call it back: it fires once and holds."""
    fired = run([look(0, momentum=-40)])

    assert run([look(s, 99) for s in range(1, 100)], state=fired).is_fired


def test_exits_are_repeated_with_a_lower_limit_until_the_close():
    """Every two seconds: the bid, 2, 5, 10 and 20 cents below it, then one cent."""
    state = run([look(0, momentum=-40)])
    limits = []
    for second in range(14):
        at_us = START + second * SECOND_US
        if stop.is_exit_due(state, at_us, CLOSE):
            limits.append(stop.exit_limit_e4(state, 3_050, at_us))
            state = stop.attempted(state, at_us)

    assert limits == [3_000, 2_800, 2_500, 2_000, 1_000, 100, 100]
    assert not stop.is_exit_due(state, CLOSE, CLOSE)
    assert not stop.is_exit_due(FRESH, START, CLOSE)


def test_without_a_bid_it_waits_ten_seconds_and_flatten_does_not():
    """Then it offers at a cent to whoever comes."""
    state = run([look(0, momentum=-40)])
    flat = run([look(0, is_flatten=True)])

    assert stop.exit_limit_e4(state, None, START + 9 * SECOND_US) is None
    assert stop.exit_limit_e4(state, None, START + 10 * SECOND_US) == 100
    assert stop.exit_limit_e4(flat, None, START) == 100
    assert stop.exit_limit_e4(state, 50, START) == 100


def test_the_state_survives_a_restart_in_the_middle():
    """Through its durable form a verification and the attempts go on."""
    state = stop.attempted(run([look(s, 39) for s in range(8)]), START)
    restored = msgspec.json.decode(msgspec.json.encode(state), type=StopState)

    assert restored == state
    assert run([look(s, 39) for s in range(8, 16)], state=restored).is_fired


@given(
    st.lists(st.tuples(st.floats(0.1, 8), st.none() | st.floats(0, 100)), min_size=1, max_size=60),
    st.integers(0, 20),
)
def test_it_never_fires_without_the_whole_window_below(steps, verify):
    """Whatever comes: firing means unbroken looks below the limit for the whole time."""
    settings = AutoStop(probability=ProbabilityStop(verify_seconds=verify, min_seconds_to_close=0))
    state, second, since, last = FRESH, 0.0, None, None
    for wait, p in steps:
        second += wait
        seen = look(second, p)
        state = stop.judge(state, settings, seen)
        is_below = seen.p_e6 is not None and seen.p_e6 < 400_000 and seen.at_us < CLOSE
        if not is_below:
            since = None
        elif since is None or seen.at_us - last > 5 * SECOND_US:
            since = seen.at_us
        last = seen.at_us
        if state.is_fired:
            assert since is not None
            assert seen.at_us - since >= verify * SECOND_US
            return
