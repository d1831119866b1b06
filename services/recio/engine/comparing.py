"""Compares what a replay makes with what was stored: byte by byte, and where not, field by field.

Both sides come in order of time, though not in step: what has met its counterpart is forgotten, so
that a comparison holds little at once. Of two with one id the first is stored, as the database does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from recio.domain.errors import InvalidValue
from recio.domain.intents import Intent
from recio.domain.units import SECOND_US, format_time_us
from recio.engine import records
from recio.engine.records import Record

UNWRITTEN_US: Final = 30 * SECOND_US
"""So long before a hole a decision may have been made and not have reached its table."""
_SHOWN: Final = 120
_ABSENT: Final = "nothing"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One decision or intent that is not the same; ``text`` names the first field that differs."""

    kind: str
    id: UUID
    at_us: int
    text: str


class Comparison:
    """What is made again beside what was stored, of one host."""

    def __init__(self) -> None:
        self.equal = 0
        self.in_holes = 0
        self.unwritten = 0
        self.failed = 0
        self.differences: list[Difference] = []
        self._made: dict[UUID, Intent | Record] = {}
        self._stored: dict[UUID, Intent | Record] = {}
        self._known: set[UUID] = set()

    @property
    def compared(self) -> int:
        """How many could be compared."""
        return self.equal + len(self.differences)

    def made(self, one: Intent | Record) -> None:
        """Take what the replay made."""
        key = _id(one)
        if key in self._known:
            return
        self._known.add(key)
        held = self._stored.pop(key, None)
        if held is None:
            self._made[key] = one
        else:
            self._judge(one, held)

    def stored(self, one: Intent | Record) -> None:
        """Take what the database has."""
        again = self._made.pop(_id(one), None)
        if again is None:
            self._stored[_id(one)] = one
        else:
            self._judge(again, one)

    def oldest_us(self, *, before_us: int | None) -> int | None:
        """Return when the oldest stored one without counterpart was made, if before that time."""
        found = (
            one.at_us for one in self._stored.values() if before_us is None or one.at_us < before_us
        )
        return min(found, default=None)

    def finish(self, holes: Sequence[tuple[int, int | None]], failed: frozenset[UUID]) -> None:
        """Judge what has no counterpart.

        Args:
            holes: from when to when (None: to the end) the replay is not exact.
            failed: ids of what the host itself noted as perhaps not written.
        """
        for key, one in self._made.items():
            if key in failed:
                self.failed += 1
            elif any(since - UNWRITTEN_US <= one.at_us <= since for since, _ in holes):
                self.unwritten += 1
            else:
                self._differ(one, "made in replay, not stored")
        for one in self._stored.values():
            if any(
                since <= one.at_us and (end is None or one.at_us <= end) for since, end in holes
            ):
                self.in_holes += 1
            else:
                self._differ(one, "stored, not made in replay")
        self._made.clear()
        self._stored.clear()
        self.differences.sort(key=lambda one: (one.at_us, one.kind, one.id))

    def _judge(self, again: Intent | Record, held: Intent | Record) -> None:
        if msgspec.msgpack.encode(again) == msgspec.msgpack.encode(held):
            self.equal += 1
        else:
            self._differ(held, f"{first_difference(held, again)} (stored -> replay)")

    def _differ(self, one: Intent | Record, text: str) -> None:
        kind = "intent" if isinstance(one, Intent) else f"{one.kind} decision"
        self.differences.append(Difference(kind=kind, id=_id(one), at_us=one.at_us, text=text))


def moment(at_us: int) -> str:
    """Return a time for a person; a number that is no time as it is."""
    try:
        return format_time_us(at_us)
    except (ValueError, OverflowError, OSError):
        return f"{at_us} us"


def sentence(one: Difference) -> str:
    """Return a difference as one line."""
    return f"{moment(one.at_us)}  {one.kind} {one.id}: {one.text}"


def first_difference(held: Intent | Record, again: Intent | Record) -> str:
    """Return the first field that differs, with both values: ``strikes[3].p_e6 971234 -> 971233``."""
    return next(_fields("", held, again), "the bytes differ, though no field does")


def _fields(path: str, held: Any, again: Any) -> Iterator[str]:  # noqa: ANN401 (any field's value)
    if type(held) is not type(again):
        yield _line(path, held, again)
    elif isinstance(held, Record):
        yield from _record_fields(held, again)
    elif isinstance(held, msgspec.Struct):
        for name in held.__struct_fields__:
            yield from _fields(_joined(path, name), getattr(held, name), getattr(again, name))
    elif isinstance(held, tuple | list):
        yield from _places(path, held, again)
    elif isinstance(held, dict):
        for key in dict.fromkeys((*held, *again)):
            yield from _fields(f"{path}[{key}]", held.get(key, _ABSENT), again.get(key, _ABSENT))
    elif held != again:
        yield _line(path, held, again)


def _places(path: str, held: Sequence[Any], again: Sequence[Any]) -> Iterator[str]:
    for place, (one, other) in enumerate(zip(held, again, strict=False)):
        yield from _fields(f"{path}[{place}]", one, other)
    if len(held) != len(again):
        yield _line(f"length of {path}", len(held), len(again))


def _record_fields(held: Record, again: Record) -> Iterator[str]:
    for name in ("decision_id", "account", "kind", "event_ticker", "generation", "at_us"):
        yield from _fields(name, getattr(held, name), getattr(again, name))
    try:
        yield from _fields("", body_of(held), body_of(again))
    except InvalidValue as error:
        yield f"body: {error}"
    if held.body != again.body:
        yield f"body: the same fields in {len(held.body)} -> {len(again.body)} other bytes"


def body_of(record: Record) -> records.EntryBody | records.StopBody:
    """Return what a decision saw.

    Raises:
        InvalidValue: not the body of a record of its kind.
    """
    if record.kind == records.ENTRY:
        return records.read_entry(record.body)
    return records.read_stop(record.body)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _line(path: str, held: object, again: object) -> str:
    return f"{path} {_short(held)} -> {_short(again)}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _id(one: Intent | Record) -> UUID:
    return one.intent_id if isinstance(one, Intent) else one.decision_id


def made_of(commands: Iterable[object]) -> Iterator[Intent | Record]:
    """Yield the intents and records of a fold's commands."""
    for command in commands:
        if isinstance(command, Record):
            yield command
            continue
        intent, record = getattr(command, "intent", None), getattr(command, "record", None)
        if isinstance(intent, Intent) and isinstance(record, Record):
            yield intent
            yield record
