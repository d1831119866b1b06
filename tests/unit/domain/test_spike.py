"""The spike alert's state machine."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from recio.domain import spike
from recio.domain.account_config import SpikeAlert
from recio.domain.spike import QUIET, SpikeState
from recio.domain.units import MINUTE_US, SECOND_US

SETTINGS = SpikeAlert()
"""Enter at 36, leave below 30, cool down for 15 minutes."""
START = 1_754_100_000 * SECOND_US


def run(levels, *, settings=SETTINGS, state=QUIET, start=START):
    """Fold levels in basis points, one a second; None: not known."""
    for second, level in enumerate(levels):
        score = None if level is None else level * 10_000
        state = spike.step(state, settings, score, start + second * SECOND_US)
    return state


def test_it_alarms_at_the_level_in_both_directions():
    """36 or more, up or down."""
    assert not run([35]).is_alarmed
    assert run([36]).is_alarmed
    assert run([-36]).is_alarmed


def test_calm_must_last_for_the_whole_cool_down():
    """Fifteen minutes below 30, to the second."""
    assert run([40] + [29] * 900).is_alarmed
    assert not run([40] + [29] * 901).is_alarmed


def test_a_relapse_starts_the_cool_down_again():
    """At 30 it is not calm."""
    state = run([40] + [0] * 800 + [30] + [0] * 200)

    assert state.is_alarmed
    assert spike.seconds_left(state, SETTINGS, state.seen_at_us) == 900 - 199


def test_between_the_levels_it_stays_as_it_is():
    """33 neither alarms nor calms."""
    assert not run([33] * 50).is_alarmed
    assert run([40] + [33] * 2000).is_alarmed


def test_unknown_momentum_is_not_calm():
    """What is not known does not count down, nor does it alarm."""
    assert run([40] + [None] * 2000).is_alarmed
    assert not run([None] * 5).is_alarmed


def test_the_state_survives_a_restart():
    """Through its durable form the cool-down goes on where it was."""
    state = run([40] + [0] * 600)
    restored = msgspec.json.decode(msgspec.json.encode(state), type=SpikeState)

    ended = run([0] * 302, state=restored, start=state.seen_at_us + SECOND_US)

    assert restored == state
    assert not ended.is_alarmed


def test_after_a_long_absence_calm_must_be_seen_anew():
    """Two minutes without a look are not two minutes of calm."""
    state = run([40] + [0] * 600)

    later = run([0], state=state, start=state.seen_at_us + 10 * MINUTE_US)

    assert later.is_alarmed
    assert spike.seconds_left(later, SETTINGS, later.seen_at_us) == 900


def test_switched_off_it_is_quiet():
    """The setting ends a pause at once."""
    assert run([40], settings=SpikeAlert(enabled=False)) == QUIET


def test_without_a_cool_down_it_ends_with_the_calm():
    """Zero minutes: only as long as momentum is high."""
    settings = SpikeAlert(cooldown_minutes=0)

    assert run([40, 30], settings=settings).is_alarmed
    assert not run([40, 29], settings=settings).is_alarmed


@given(st.lists(st.none() | st.integers(-60, 60), max_size=60), st.integers(0, 1))
def test_it_never_ends_before_the_cool_down(levels, cooldown):
    """However momentum moves: an alarm ends only after as much unbroken calm as is set."""
    settings = SpikeAlert(cooldown_minutes=cooldown)
    state = QUIET
    calm = 0
    for second, level in enumerate(levels):
        was = state
        score = None if level is None else level * 10_000
        state = spike.step(state, settings, score, START + second * SECOND_US)
        calm = calm + 1 if level is not None and abs(level) < 30 else 0
        if was.is_alarmed and not state.is_alarmed:
            assert calm > cooldown * 60
        if level is not None and abs(level) >= 36:
            assert state.is_alarmed
        assert 0 <= spike.seconds_left(state, settings, state.seen_at_us) <= cooldown * 60
