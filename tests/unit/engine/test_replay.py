"""Replay: the same commands from the noted events, and honesty about what it cannot know."""

from __future__ import annotations

import msgspec
import pytest

from recio.domain.account_config import AccountConfig, AutoEntry, Model, Sizing, Strategy, Trading
from recio.domain.entry import Attempt
from recio.domain.errors import InvalidValue
from recio.domain.intents import Source
from recio.domain.spike import SpikeState
from recio.domain.stop import StopState
from recio.domain.units import SECOND_US
from recio.engine import entry, replay, snapshot, stop
from recio.engine.journal import EntryStarted, Gap, SnapshotStarted, Stopped, StopStarted
from recio.engine.replay import ENTRY, STOP, Hole, Stored, differences, made
from recio.testing import pictures
from recio.testing.pictures import ABOVE, AT_US, BELOW, PICTURE

CONFIG = AccountConfig(
    name="paper",
    strategy=Strategy(
        model=Model.FINGERPRINTS, auto_entry=AutoEntry(enabled=True), sizing=Sizing(contracts=5)
    ),
)
KNOWN = entry.Known(
    config=CONFIG,
    switch=Trading.ACTIVE,
    attempts={(ABOVE, "no"): Attempt(1, AT_US, is_pending=True)},
    cash_usd_e6=1_000_000_000,
)
ENTRY_START = EntryStarted(at_us=AT_US, account="paper", slippage_cents=1)
STOP_START = StopStarted(at_us=AT_US, account="paper")
LOSING = pictures.with_row(PICTURE, BELOW, p_yes_e6=300_000, yes_bid_e4=2_900, yes_ask_e4=3_100)


def noted(fold, events):
    """Return events as they come back from a journal."""
    return [fold.decoder.decode(msgspec.msgpack.encode(event)) for event in events]


def entering(seconds=3):
    """Return the events of an entry session."""
    shown = [pictures.later(PICTURE, second, generation=second + 1) for second in range(seconds)]
    restored = entry.Restored({"BTC": SpikeState(seen_at_us=AT_US - SECOND_US)})
    return [ENTRY_START, restored, KNOWN, *shown, entry.Tick(AT_US + 9 * SECOND_US)]


def stored_of(*commands):
    """Return commands as if every one had been written."""
    intents, records = made(commands)
    return Stored(intents=intents, records=records)


def test_an_entry_session_makes_the_same_commands_again():
    """Live and from the noted bytes."""
    state = entry.State("paper", slippage_cents=1)
    live = [one for event in entering()[1:] for one in entry.step(state, event)[1]]

    again = replay.replay(ENTRY, [*noted(ENTRY, entering()), Stopped(AT_US)])

    assert any(isinstance(one, entry.Propose) for one in live)
    assert list(again.commands) == live
    assert msgspec.msgpack.encode(again.commands) == msgspec.msgpack.encode(live)
    assert again.holes == ()
    assert differences(again, stored_of(*live)) == []


def test_a_stop_session_makes_the_same_exits_again():
    """With a failed exit on the way, whose number is used again."""
    trade = pictures.trade()
    known = stop.Known(config=CONFIG, switch=Trading.ACTIVE, trades=(trade,))
    shown = [pictures.later(LOSING, second, generation=second + 1) for second in range(20)]
    held = StopState(source=Source.AUTO_STOP, reason="probability", fired_at_us=AT_US, attempts=1)
    restored = stop.Restored({trade.trade_id: held})
    failed = stop.ExitFailed(trade.trade_id, 2)
    events = [restored, stop.Tick(AT_US), known, *shown[:9], failed, *shown[9:]]
    state = stop.State("paper")
    live = [one for event in events for one in stop.step(state, event)[1]]

    again = replay.replay(STOP, [*noted(STOP, [STOP_START, *events]), Stopped(AT_US)])

    exits = [one for one in live if isinstance(one, stop.Exit)]
    assert len(exits) > 1
    assert msgspec.msgpack.encode(again.commands) == msgspec.msgpack.encode(live)
    assert again.failed <= {one.intent.intent_id for one in exits} | {
        one.record.decision_id for one in exits
    }
    assert again.failed


def test_a_gap_is_a_hole_until_the_next_start():
    """Nothing is claimed of what was decided in it."""
    gap, end = Gap(5, AT_US + 1), Stopped(AT_US + 10 * SECOND_US)
    later = EntryStarted(at_us=AT_US + 60 * SECOND_US, account="paper", slippage_cents=1)
    events = [*entering(1), gap, *entering()[3:], end, later]
    lost = replay.replay(ENTRY, [*entering(), end]).commands

    again = replay.replay(ENTRY, [*events, Stopped(later.at_us)])

    assert again.holes == (Hole(gap.since_us, later.at_us, "5 events were not kept"),)
    assert differences(again, stored_of(*again.commands, *lost)) == []


@pytest.mark.parametrize("is_followed", [True, False])
def test_a_session_without_an_end_is_a_hole_until_the_next_start(is_followed):
    """A crash loses what was not written yet."""
    later = EntryStarted(at_us=AT_US + 60 * SECOND_US, account="paper", slippage_cents=1)
    rest = [later, Stopped(later.at_us)] if is_followed else []

    (hole,) = replay.replay(ENTRY, [*entering(), *rest]).holes

    assert hole.since_us == AT_US + 9 * SECOND_US
    assert hole.until_us == (later.at_us if is_followed else None)


def test_a_gap_may_hide_the_start():
    """Then nothing is known until the next one; without a gap it is refused."""
    events = [Gap(3, AT_US), *entering()[2:], *entering(), Stopped(AT_US + 10 * SECOND_US)]

    again = replay.replay(ENTRY, events)

    assert again.holes == (Hole(AT_US, AT_US, "3 events were not kept"),)
    assert again.commands == replay.replay(ENTRY, entering()).commands
    with pytest.raises(InvalidValue, match="entry fold: expected the start of a session"):
        replay.replay(ENTRY, entering()[1:])


def test_nothing_follows_the_end_of_a_session():
    """The host folds nothing after it."""
    with pytest.raises(InvalidValue, match="expected the start of a session, received Tick"):
        replay.replay(ENTRY, [*entering(), Stopped(AT_US), entry.Tick(AT_US)])


def test_every_difference_is_told():
    """Changed, missing, and not made again."""
    again = replay.replay(ENTRY, [*entering(), Stopped(AT_US)])
    stored = stored_of(*again.commands)
    (one, intent), *_ = stored.intents.items()
    dearer = msgspec.structs.replace(intent, limit_price_e4=intent.limit_price_e4 + 1)
    nothing = replay.Replayed(commands=(), holes=(), failed=frozenset())

    assert f"intent {one} of {intent.at_us}: in replay" in differences(
        again, Stored(intents={one: dearer}, records=stored.records)
    )[0]  # fmt: skip
    assert "made in replay, not stored" in differences(
        again, Stored(intents={}, records=stored.records)
    )[0]  # fmt: skip
    assert len(differences(nothing, stored)) == len(stored.intents) + len(stored.records)


def test_what_could_not_be_written_need_not_be_stored():
    """Nobody knows whether it was."""
    first = replay.replay(ENTRY, entering(1)).commands
    wish = next(one for one in first if isinstance(one, entry.Propose))
    events = [*entering(1), entry.ProposalFailed(wish.intent), Stopped(AT_US)]

    again = replay.replay(ENTRY, noted(ENTRY, events))

    without = [one for one in first if one is not wish]
    assert again.failed == {wish.intent.intent_id, wish.record.decision_id}
    assert differences(again, stored_of(*without)) == []
    assert differences(again, stored_of(*first)) == []


def test_fingerprints_that_are_not_at_hand_are_asked_for():
    """Other tables would make other probabilities."""
    started = SnapshotStarted(
        at_us=AT_US, environment="paper", model=Model.FINGERPRINTS, generation=7,
        open_interval_us=snapshot.OPEN_INTERVAL_US, fingerprints=("abc",),
    )  # fmt: skip

    with pytest.raises(InvalidValue, match="expected the fingerprints with SHA-256 abc"):
        replay.replay(replay.snapshot_fold({}, {}), [started])
