"""Makes decisions again from a journal, and compares them with what was stored.

    replay(fold, events) -> Replayed

The events of a host's sessions, markers among them, are folded as the host folded them. Commands
follow from a journal exactly from a ``...Started`` up to a ``Gap``; what lies between a gap, or the
end of a session without ``Stopped``, and the next start is a ``Hole``: stored decisions in it are not
judged, and nothing is claimed of them. Events outside of a session are refused.

Compared are bytes: an intent and a decision record each as MessagePack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import msgspec

from recio.domain.errors import InvalidValue
from recio.domain.fingerprints import Fingerprints
from recio.domain.intents import Intent
from recio.domain.volatility_model import VolatilityModel
from recio.engine import entry, snapshot, stop
from recio.engine.journal import (
    EntryStarted,
    Gap,
    Late,
    Seen,
    SnapshotStarted,
    Stopped,
    StopStarted,
)
from recio.engine.records import Record

_STARTED: Final = (SnapshotStarted, EntryStarted, StopStarted)


class Fold(msgspec.Struct, frozen=True):
    """One of the folds: how it begins, how it steps, how its events are read."""

    name: str
    start: Callable[[Any], Any]
    step: Callable[[Any, Any], tuple[Any, tuple[Any, ...]]]
    decoder: msgspec.msgpack.Decoder[Any]


class Hole(msgspec.Struct, frozen=True):
    """Replay is not exact after ``since_us`` until ``until_us``; None: to the end."""

    since_us: int
    until_us: int | None
    reason: str


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What followed. ``failed``: ids of what the host could not write, or did not know if it had."""

    commands: tuple[Any, ...]
    holes: tuple[Hole, ...]
    failed: frozenset[UUID]


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """Intents and records by id, as the database has them."""

    intents: Mapping[UUID, Intent]
    records: Mapping[UUID, Record]


def snapshot_fold(
    artefacts: Mapping[str, Fingerprints],
    models: Mapping[str, VolatilityModel] = MappingProxyType({}),
) -> Fold:
    """Return the snapshot fold; artefacts are known by the SHA-256 of their bytes."""

    def start(started: SnapshotStarted) -> snapshot.State:
        missing = [digest for digest in started.fingerprints if digest not in artefacts]
        if missing:
            raise InvalidValue(
                f"expected the fingerprints with SHA-256 {missing[0]}, which the host used; "
                f"received {', '.join(artefacts) or 'none'}"
            )
        found = [artefacts[digest] for digest in started.fingerprints]
        absent = [digest for digest in started.volatility if digest not in models]
        if absent:
            raise InvalidValue(
                f"expected the volatility model with SHA-256 {absent[0]}, which the host used; "
                f"received {', '.join(models) or 'none'}"
            )
        volatility = [models[digest] for digest in started.volatility]
        return snapshot.State(
            started.environment,
            fingerprints={one.symbol: one for one in found},
            volatility={one.symbol: one for one in volatility},
            model=started.model,
            generation=started.generation,
            open_interval_us=started.open_interval_us,
            early_interval_us=started.early_interval_us,
        )

    decoder = msgspec.msgpack.Decoder(SnapshotStarted | Gap | Stopped | snapshot.Event)
    return Fold("snapshot", start, snapshot.step, decoder)


def _entry_state(started: EntryStarted) -> entry.State:
    return entry.State(started.account, slippage_cents=started.slippage_cents)


def _stop_state(started: StopStarted) -> stop.State:
    return stop.State(started.account)


ENTRY: Final = Fold(
    "entry",
    _entry_state,
    entry.step,
    msgspec.msgpack.Decoder(EntryStarted | Seen | Late | Gap | Stopped | entry.Event),
)
STOP: Final = Fold(
    "stop",
    _stop_state,
    stop.step,
    msgspec.msgpack.Decoder(StopStarted | Seen | Late | Gap | Stopped | stop.Event),
)


class Replay:
    """A replay on its way: ``take`` each event in order."""

    def __init__(self, fold: Fold) -> None:
        self.holes: list[Hole] = []
        self.failed: set[UUID] = set()
        self._fold = fold
        self._state: Any = None
        self._broken: tuple[int, str] | None = None
        self._exits: dict[tuple[UUID, int], stop.Exit] = {}
        self._entries: dict[UUID, entry.Propose] = {}

    def take(self, event: object) -> tuple[Any, ...]:
        """Return the commands that follow exactly; none where it cannot be exact.

        Raises:
            InvalidValue: an event came before a session's start or after its end.
        """
        if isinstance(event, _STARTED):
            self._start(event)
            return ()
        if isinstance(event, Gap):
            self._break(event.since_us, f"{event.events} events were not kept")
        elif self._state is None and self._broken is None:
            raise InvalidValue(
                f"journal of the {self._fold.name} fold: expected the start of a session, "
                f"received {type(event).__name__}"
            )
        elif isinstance(event, Stopped):
            self._state = None
        if self._state is None:
            return ()
        self._note_failure(event)
        _, commands = self._fold.step(self._state, event)
        for command in commands:
            self._note_wish(command)
        return commands

    @property
    def state(self) -> Any:  # noqa: ANN401 (of any fold)
        """The fold's state; None where it is not known."""
        return self._state

    def lose(self, since_us: int, reason: str) -> None:
        """Give up until the next start: what follows cannot be known."""
        self._break(max(since_us, self._now_us()), reason)

    def _now_us(self) -> int:
        return 0 if self._state is None else int(self._state.now_us)

    def end(self) -> None:
        """Close: a session that still goes on is open to its end."""
        if self._state is not None:
            self._break(self._state.now_us, "the session has no end")
        if self._broken is not None:
            self.holes.append(Hole(self._broken[0], None, self._broken[1]))
            self._broken = None

    def _start(self, started: SnapshotStarted | EntryStarted | StopStarted) -> None:
        if self._state is not None and self._state.now_us:
            self._break(self._state.now_us, "the session before has no end")
        if self._broken is not None:
            self.holes.append(Hole(self._broken[0], started.at_us, self._broken[1]))
            self._broken = None
        self._state = self._fold.start(started)

    def _break(self, since_us: int, reason: str) -> None:
        self._state = None
        self._broken = self._broken or (since_us, reason)

    def _note_wish(self, command: object) -> None:
        if isinstance(command, entry.Propose):
            self._entries[command.intent.intent_id] = command
        elif isinstance(command, stop.Exit):
            self._exits[command.save.trade_id, command.save.stop.attempts] = command

    def _note_failure(self, event: object) -> None:
        wish: entry.Propose | stop.Exit | None = None
        if isinstance(event, entry.ProposalFailed):
            wish = self._entries.get(event.intent.intent_id)
        elif isinstance(event, stop.ExitFailed):
            wish = self._exits.get((event.trade_id, event.number))
        if wish is not None:
            self.failed |= {wish.intent.intent_id, wish.record.decision_id}


def replay(fold: Fold, events: Iterable[object]) -> Replayed:
    """Fold the events of all sessions of one host and return the commands that follow.

    Raises:
        InvalidValue: an event came before a session's start or after its end.
    """
    going = Replay(fold)
    commands = [command for event in events for command in going.take(event)]
    going.end()
    return Replayed(
        commands=tuple(commands), holes=tuple(going.holes), failed=frozenset(going.failed)
    )


def differences(replayed: Replayed, stored: Stored) -> list[str]:
    """Return what is not the same, one sentence each; nothing if every byte is."""
    intents, records = made(replayed.commands)
    return [
        *_compared("intent", intents, stored.intents, replayed),
        *_compared("decision", records, stored.records, replayed),
    ]


def made(commands: Iterable[object]) -> tuple[dict[UUID, Intent], dict[UUID, Record]]:
    """Return the intents and records of commands by id; of two with one id the first is stored."""
    intents: dict[UUID, Intent] = {}
    records: dict[UUID, Record] = {}
    for command in commands:
        if isinstance(command, entry.Propose | stop.Exit):
            intents.setdefault(command.intent.intent_id, command.intent)
            records.setdefault(command.record.decision_id, command.record)
        elif isinstance(command, Record):
            records.setdefault(command.decision_id, command)
    return intents, records


def _compared(
    kind: str,
    again: Mapping[UUID, Intent] | Mapping[UUID, Record],
    stored: Mapping[UUID, Intent] | Mapping[UUID, Record],
    replayed: Replayed,
) -> Iterator[str]:
    for one, new in again.items():
        held = stored.get(one)
        if held is None:
            if one not in replayed.failed:
                yield f"{kind} {one} of {new.at_us}: made in replay, not stored"
        elif msgspec.msgpack.encode(new) != msgspec.msgpack.encode(held):
            yield f"{kind} {one} of {new.at_us}: in replay {new}, stored {held}"
    for one, held in stored.items():
        if one not in again and not _is_in_hole(held.at_us, replayed.holes):
            yield f"{kind} {one} of {held.at_us}: stored, not made in replay"


def _is_in_hole(at_us: int, holes: Iterable[Hole]) -> bool:
    return any(
        hole.since_us <= at_us and (hole.until_us is None or at_us <= hole.until_us)
        for hole in holes
    )
