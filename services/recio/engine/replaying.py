"""Replays everything that a recording holds: all hosts side by side, and says what is not the same.

    Replaying(...).take(frame) for each frame in order, then .finish() -> Report

Frames are those of ``engine/export.py``, from a file or from the database. The coordinator's journal
makes the snapshots again; a host of an account takes them by reference (``Seen``) and waits until the
coordinator has come so far. Where a snapshot does not come out as the host saw it the difference is
told, and nothing is claimed of that host until its next start.

Damage (a changed or missing batch, an event that cannot be read) is told and counts as a failure; a
hole (a crash, a gap, a start that is not in the recording) is no failure: what lies in it is counted.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec

from recio.domain.errors import InvalidValue
from recio.domain.fingerprints import Fingerprints
from recio.domain.intents import Intent, Purpose
from recio.domain.messages import Snapshot
from recio.domain.volatility_model import VolatilityModel
from recio.engine.comparing import Comparison, Difference, made_of, moment
from recio.engine.export import Artefact, Decided, Frame, Kept, Opening
from recio.engine.journal import (
    Batch,
    EntryStarted,
    Late,
    Opener,
    Seen,
    SnapshotStarted,
    StopStarted,
    decoded_events,
    seen,
)
from recio.engine.records import ENTRY as ENTRY_KIND
from recio.engine.records import Record
from recio.engine.replay import ENTRY, STOP, Fold, Hole, Replay, snapshot_fold

COORDINATOR: Final = "unified_production_coordinator"
ENTRIES: Final = "auto_entry_supervisor"
STOPS: Final = "active_trade_supervisor"
HOSTS: Final = (COORDINATOR, ENTRIES, STOPS)
WINDOW: Final = 6_000
"""Snapshots that are held for the hosts that saw them."""
PATIENCE: Final = 20_000
"""Events of a host that may wait for a snapshot that only its own journal may still bring."""
_STARTED: Final = (SnapshotStarted, EntryStarted, StopStarted)
_WAIT: Final = object()


class Watcher(Protocol):
    """Looks on while events are folded."""

    def before(self, run: Run, event: object) -> None:
        """See an event before it is folded."""
        ...

    def after(self, run: Run, event: object, commands: tuple[Any, ...]) -> bool:
        """See what followed; return True to end the replay here."""
        ...


class HostReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one host. ``made`` counts what its fold made, snapshots or decisions."""

    owner: str
    host: str
    sessions: int
    events: int
    made: int
    compared: int
    equal: int
    in_holes: int
    unwritten: int
    failed: int
    differences: tuple[Difference, ...]
    holes: tuple[Hole, ...]
    damage: tuple[str, ...]
    codes: tuple[str, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a recording. ``code`` is that of the replay."""

    code: str
    hosts: tuple[HostReport, ...]
    is_stopped: bool = False

    @property
    def is_equal(self) -> bool:
        """Whether everything that can be compared is equal, and nothing is damaged."""
        return not any(host.differences or host.damage for host in self.hosts)


class Run:
    """One host's journal on its way through its fold."""

    def __init__(self, owner: str, host: str, fold: Fold) -> None:
        self.owner = owner
        self.host = host
        self.fold = fold
        self.replay = Replay(fold)
        self.comparison = Comparison()
        self.waiting: deque[Any] = deque()
        self.late: dict[int, Snapshot] = {}
        self.sessions = self.events = self.made = 0
        self.damage: list[str] = []
        self.codes: Counter[str] = Counter()
        self.begun_us: int | None = None
        self.before: Hole | None = None
        self._session: UUID | None = None
        self._opener: Opener | None = None

    def open(self, batch: Batch) -> None:
        """Take a batch's events; a batch that cannot be read ends what is known of its session."""
        if batch.session != self._session:
            self._session, self._opener = batch.session, Opener()
            self.sessions += 1
            if batch.seq != 1:
                self.lose(batch.first_at_us, f"the first {batch.seq - 1} batches are not here")
                self._opener = None
        if self._opener is None:
            return
        try:
            raw = self._opener.open(batch)
            self._sort(decoded_events(batch, raw, self.fold.decoder))
        except InvalidValue as error:
            self.damage.append(str(error))
            self.lose(batch.first_at_us, str(error))
            self._opener = None

    def lose(self, since_us: int, reason: str) -> None:
        """Know nothing until the next start."""
        self.waiting.append(_Lost(since_us, reason))

    def finish(self) -> None:
        """Judge what has no counterpart."""
        self.replay.end()
        oldest_us = self.comparison.oldest_us(before_us=self.begun_us)
        if oldest_us is not None:
            self.before = Hole(oldest_us, self.begun_us, "no journal of this time is here")
        spans = [(hole.since_us, hole.until_us) for hole in self._holes()]
        self.comparison.finish(spans, frozenset(self.replay.failed))

    def report(self) -> HostReport:
        """Return what became of it."""
        compared = self.comparison
        return HostReport(
            owner=self.owner,
            host=self.host,
            sessions=self.sessions,
            events=self.events,
            made=self.made,
            compared=compared.compared,
            equal=compared.equal,
            in_holes=compared.in_holes,
            unwritten=compared.unwritten,
            failed=compared.failed,
            differences=tuple(compared.differences),
            holes=tuple(self._holes()),
            damage=tuple(self.damage),
            codes=tuple(self.codes),
        )

    def _holes(self) -> list[Hole]:
        return [*([] if self.before is None else [self.before]), *self.replay.holes]

    def _sort(self, events: Iterable[Any]) -> None:
        for event in events:
            if isinstance(event, Late):
                self.late[event.snapshot.generation] = event.snapshot
            else:
                self.waiting.append(event)


class _Lost(msgspec.Struct, frozen=True):
    """A place in a journal after which nothing is known."""

    since_us: int
    reason: str


class Replaying:
    """A recording on its way. ``hosts``: which to compare; the coordinator is always folded."""

    def __init__(
        self,
        *,
        code: str,
        hosts: frozenset[str] = frozenset(HOSTS),
        watcher: Watcher | None = None,
        start: Callable[[Opening], None] = lambda _opening: None,
    ) -> None:
        self.is_stopped = False
        self.runs: dict[tuple[str, str], Run] = {}
        self._code = code
        self._hosts = hosts
        self._watcher = watcher
        self._start = start
        self._environments: dict[str, str] = {}
        self.fingerprints: dict[str, Fingerprints] = {}
        self.models: dict[str, VolatilityModel] = {}
        self._pictures: dict[str, dict[int, Snapshot]] = {}
        self._newest: Counter[str] = Counter()
        self._is_last = False
        self._until_us: int | None = None

    def take(self, frame: Frame) -> None:
        """Take the next frame.

        Raises:
            InvalidValue: a host that nobody knows, or an artefact that cannot be read.
        """
        if isinstance(frame, Kept):
            self._open(frame.batch)
        elif isinstance(frame, Decided):
            self._compare(frame)
        elif isinstance(frame, Artefact):
            self._learn(frame)
        elif isinstance(frame, Opening):
            self._environments, self._until_us = dict(frame.accounts), frame.until_us
            self._start(frame)

    def finish(self) -> Report:
        """Fold what still waits, and tell what became of everything."""
        self._is_last = True
        self._drain_all()
        for run in self.runs.values():
            if not self.is_stopped:
                run.finish()
        hosts = sorted(self.runs.values(), key=lambda run: (HOSTS.index(run.host), run.owner))
        return Report(
            code=self._code,
            hosts=tuple(run.report() for run in hosts),
            is_stopped=self.is_stopped,
        )

    def _learn(self, artefact: Artefact) -> None:
        if artefact.kind == "fingerprints":
            self.fingerprints[artefact.sha256] = Fingerprints(artefact.body)
        elif artefact.kind == "volatility":
            self.models[artefact.sha256] = VolatilityModel(artefact.body)

    def _open(self, batch: Batch) -> None:
        if batch.host not in HOSTS:
            raise InvalidValue(
                f"expected a journal of {', '.join(HOSTS)}, received one of {batch.host!r}"
            )
        if batch.host in self._hosts or batch.host == COORDINATOR:
            self._run(batch.owner, batch.host).open(batch)
            self._drain_all()

    def _run(self, owner: str, host: str) -> Run:
        found = self.runs.get((owner, host))
        if found is None:
            found = self.runs[owner, host] = Run(owner, host, self._fold(host))
        return found

    def _fold(self, host: str) -> Fold:
        if host == COORDINATOR:
            return snapshot_fold(self.fingerprints, self.models)
        return ENTRY if host == ENTRIES else STOP

    def _compare(self, decided: Decided) -> None:
        for record in decided.records:
            self._store(record, is_entry=record.kind == ENTRY_KIND)
        for intent in decided.intents:
            self._store(intent, is_entry=intent.purpose is Purpose.ENTRY)

    def _store(self, one: Intent | Record, *, is_entry: bool) -> None:
        host = ENTRIES if is_entry else STOPS
        if host in self._hosts:
            self._run(one.account, host).comparison.stored(one)

    def _drain_all(self) -> None:
        for run in tuple(self.runs.values()):
            if run.host == COORDINATOR:
                self._drain(run)
        for run in tuple(self.runs.values()):
            if run.host != COORDINATOR:
                self._drain(run)

    def _drain(self, run: Run) -> None:
        waiting = run.waiting
        while waiting and not self.is_stopped:
            event = waiting[0]
            if isinstance(event, Seen):
                event = self._found(run, event)
                if event is _WAIT:
                    return
            waiting.popleft()
            self._step(run, event)

    def _found(self, run: Run, wanted: Seen) -> object:
        """Return the snapshot that a host saw; ``_WAIT`` while it may still come."""
        if run.replay.state is None:
            return None
        environment = self._environments.get(run.owner, run.owner)
        made = self._pictures.get(environment, {}).get(wanted.generation)
        if made is not None and seen(made) == wanted:
            self._run(environment, COORDINATOR).comparison.equal += 1
            return made
        late = run.late.pop(wanted.generation, None)
        if late is not None and seen(late) == wanted:
            return late
        if made is not None:
            return self._otherwise(run, wanted, made)
        is_ahead = self._newest[environment] < wanted.generation
        if (is_ahead or len(run.waiting) < PATIENCE) and not self._is_last:
            return _WAIT
        what = "ends before" if is_ahead else "does not make"
        return _Lost(0, f"the coordinator's journal {what} snapshot {wanted.generation} here")

    def _otherwise(self, run: Run, wanted: Seen, made: Snapshot) -> _Lost:
        text = (
            f"snapshot {wanted.generation} of {made.event_ticker} at "
            f"{moment(made.at_us)} comes out otherwise than {run.host} saw it: SHA-256 "
            f"{wanted.digest.hex()} -> {seen(made).digest.hex()}"
        )
        run.damage.append(text)
        return _Lost(made.at_us, text)

    def _step(self, run: Run, event: object) -> None:
        if event is None:
            return
        if isinstance(event, _Lost):
            run.replay.lose(event.since_us, event.reason)
            return
        run.events += 1
        if isinstance(event, _STARTED):
            run.begun_us = event.at_us if run.begun_us is None else run.begun_us
            run.codes.update([event.code] if event.code else [])
        if self._watcher is not None:
            self._watcher.before(run, event)
        try:
            commands = run.replay.take(event)
        except InvalidValue as error:
            run.damage.append(str(error))
            run.replay.lose(getattr(event, "at_us", 0), str(error))
            return
        self._keep(run, commands)
        if self._watcher is not None and self._watcher.after(run, event, commands):
            self.is_stopped = True

    def _keep(self, run: Run, commands: tuple[Any, ...]) -> None:
        if run.host == COORDINATOR:
            run.made += len(commands)
            pictures = self._pictures.setdefault(run.owner, {})
            for one in commands:
                pictures[one.generation] = one
                self._newest[run.owner] = max(self._newest[run.owner], one.generation)
            while len(pictures) > WINDOW:
                del pictures[next(iter(pictures))]
            return
        for one in made_of(commands):
            if self._until_us is None or one.at_us <= self._until_us:
                run.made += 1
                run.comparison.made(one)
