"""Which failure is the cause and which the consequence, and when entries must be blocked.

A fold: ``step(state, event) -> (state, commands)``. Events are what system_monitor says of each
service and the passing of time; commands trip or release a breaker, which is a switch row
``NoNewEntries`` with the source ``breaker:<service>``. Exits are never touched.

Rules that keep it quiet and safe:
- only a *reported* failure counts; a service nobody reports on is unknown, which changes nothing;
- a failure must last (``trip_after_s``; longer for a service that has not been ready yet, because
  it may be starting), and so must a recovery (``release_after_s``): that is the hysteresis;
- of failing services only those whose own dependencies are well are root causes, and only those trip;
- at most ``trips_per_hour`` for each breaker: the last one allowed stays latched until the hour is
  over, so that a flapping service blocks entries instead of opening and closing them.

Times are wall time in microseconds, handed in with each event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from recio.domain.units import HOUR_US, SECOND_US

ALL_ACCOUNTS: Final = "*"


class Subject(msgspec.Struct, frozen=True, order=True):
    """A service, of one account or (``account`` empty) of all."""

    service: str
    account: str = ""

    @property
    def name(self) -> str:
        """How it is called in ``ops.breakers`` and on the page."""
        return f"{self.service}/{self.account}" if self.account else self.service

    @property
    def scope(self) -> str:
        """Whose entries its breaker blocks."""
        return self.account or ALL_ACCOUNTS


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The detector's settings.

    ``depends_on``: service -> services it cannot work without. ``guards``: the services without
    which an entry would be unsafe; only their failures trip.
    """

    depends_on: Mapping[str, frozenset[str]]
    guards: frozenset[str]
    trip_after_s: int = 30
    starting_s: int = 120
    release_after_s: int = 30
    stale_after_s: int = 30
    trips_per_hour: int = 4


class Report(msgspec.Struct, frozen=True):
    """What was said of one subject."""

    subject: Subject
    is_ready: bool
    reason: str
    at_us: int


class Tick(msgspec.Struct, frozen=True):
    """Time has passed."""

    at_us: int


class Trip(msgspec.Struct, frozen=True):
    """Block entries; ``also_failing`` are consequences of the same cause."""

    subject: Subject
    reason: str
    also_failing: tuple[str, ...]
    at_us: int


class Release(msgspec.Struct, frozen=True):
    """Unblock what this breaker had blocked."""

    subject: Subject
    reason: str
    at_us: int


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one subject. ``since_us``: since when it is as it is."""

    is_ready: bool
    reason: str
    since_us: int
    reported_us: int
    was_ever_ready: bool


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the detector remembers. ``trips``: times of each breaker's trips, ascending."""

    rules: Rules
    seen: Mapping[Subject, Seen] = {}
    open: frozenset[Subject] = frozenset()
    trips: Mapping[Subject, tuple[int, ...]] = {}


Command = Trip | Release


def start(rules: Rules, open_breakers: Iterable[tuple[Subject, int]]) -> State:
    """Return the state after a restart: breakers found open, with the time they tripped, stay so."""
    found = dict(open_breakers)
    trips = {subject: (at_us,) for subject, at_us in found.items()}
    return State(rules=rules, open=frozenset(found), trips=trips)


def step(state: State, event: Report | Tick) -> tuple[State, tuple[Command, ...]]:
    """Fold one event into the state and return the breakers that trip or release by it."""
    if isinstance(event, Report):
        state = _reported(state, event)
    commands = (*_releases(state, event.at_us), *_trips(state, event.at_us))
    return _applied(state, commands), commands


def root_causes(state: State, at_us: int) -> dict[Subject, tuple[Subject, ...]]:
    """Return each failing subject that no failing dependency explains, with what fails behind it."""
    failing = [subject for subject in sorted(state.seen) if _is_failing(state, subject, at_us)]
    roots: dict[Subject, tuple[Subject, ...]] = {}
    for subject in failing:
        if not _causes(state.rules, subject, failing):
            roots[subject] = tuple(
                other for other in failing if subject in _causes(state.rules, other, failing)
            )
    return roots


def _reported(state: State, report: Report) -> State:
    old = state.seen.get(report.subject)
    # Silence longer than the bound is a new beginning: nobody knows what happened in it.
    is_same = (
        old is not None
        and old.is_ready == report.is_ready
        and report.at_us - old.reported_us <= state.rules.stale_after_s * SECOND_US
    )
    new = Seen(
        is_ready=report.is_ready,
        reason=report.reason,
        since_us=old.since_us if old is not None and is_same else report.at_us,
        reported_us=report.at_us,
        was_ever_ready=report.is_ready or (old is not None and old.was_ever_ready),
    )
    return msgspec.structs.replace(state, seen={**state.seen, report.subject: new})


def _is_known(state: State, subject: Subject, at_us: int) -> bool:
    seen = state.seen.get(subject)
    return seen is not None and at_us - seen.reported_us <= state.rules.stale_after_s * SECOND_US


def _is_failing(state: State, subject: Subject, at_us: int) -> bool:
    return _is_known(state, subject, at_us) and not state.seen[subject].is_ready


def _lasted_s(state: State, subject: Subject, at_us: int) -> int:
    return (at_us - state.seen[subject].since_us) // SECOND_US


def _causes(rules: Rules, subject: Subject, failing: Iterable[Subject]) -> set[Subject]:
    """Return the failing subjects that this one depends on, over any number of steps."""
    needed = _needed(rules, subject.service)
    return {
        other
        for other in failing
        if other.service in needed and other.account in ("", subject.account)
    }


def _needed(rules: Rules, service: str) -> set[str]:
    found: set[str] = set()
    waiting = [service]
    while waiting:
        for other in rules.depends_on.get(waiting.pop(), frozenset()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found - {service}


def _trips(state: State, at_us: int) -> list[Command]:
    rules = state.rules
    commands: list[Command] = []
    for subject, behind in root_causes(state, at_us).items():
        group = (subject, *behind)
        if subject in state.open or not any(item.service in rules.guards for item in group):
            continue
        seen = state.seen[subject]
        patience_s = rules.trip_after_s if seen.was_ever_ready else rules.starting_s
        if _lasted_s(state, subject, at_us) >= patience_s and _has_budget(state, subject, at_us):
            names = tuple(item.name for item in behind)
            reason = f"{subject.name} has failed for {patience_s} s or more: {seen.reason}"
            commands.append(Trip(subject, reason, names, at_us))
    return commands


def _releases(state: State, at_us: int) -> list[Command]:
    return [
        Release(subject, f"{subject.name} is well again", at_us)
        for subject in sorted(state.open)
        if _may_release(state, subject, at_us)
    ]


def _may_release(state: State, subject: Subject, at_us: int) -> bool:
    if not _is_known(state, subject, at_us) or not state.seen[subject].is_ready:
        return False
    if _lasted_s(state, subject, at_us) < state.rules.release_after_s:
        return False
    # The last trip of the budget is held: another one could not be afforded.
    return _recent_trips(state, subject, at_us) < state.rules.trips_per_hour


def _has_budget(state: State, subject: Subject, at_us: int) -> bool:
    return _recent_trips(state, subject, at_us) < state.rules.trips_per_hour


def _recent_trips(state: State, subject: Subject, at_us: int) -> int:
    return sum(1 for trip_us in state.trips.get(subject, ()) if at_us - trip_us < HOUR_US)


def _applied(state: State, commands: Iterable[Command]) -> State:
    is_open, trips = set(state.open), dict(state.trips)
    for command in commands:
        if isinstance(command, Trip):
            is_open.add(command.subject)
            every = (*trips.get(command.subject, ()), command.at_us)
            trips[command.subject] = every[-state.rules.trips_per_hour :]
        else:
            is_open.discard(command.subject)
    return msgspec.structs.replace(state, open=frozenset(is_open), trips=trips)
