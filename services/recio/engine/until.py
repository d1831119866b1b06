"""Stops a replay at one decision and shows the state of its fold then."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from recio.domain.intents import Intent
from recio.domain.messages import Snapshot
from recio.engine.comparing import body_of, made_of
from recio.engine.records import Record
from recio.engine.replaying import Run


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """Where the replay stopped: the decision or intent as it was made again, and the fold's state."""

    owner: str
    host: str
    made: Any
    state: Any


class Until:
    """Watches for a decision's or an intent's id."""

    def __init__(self, wanted: UUID) -> None:
        self.reached: Reached | None = None
        self._wanted = wanted

    def before(self, run: Run, event: object) -> None:
        """Look at nothing: the decision is not made yet."""

    def after(self, run: Run, event: object, commands: tuple[Any, ...]) -> bool:
        """Return True when the wanted one was made."""
        del event
        for one in made_of(commands):
            made_id = one.intent_id if isinstance(one, Intent) else one.decision_id
            if made_id == self._wanted:
                self.reached = Reached(
                    owner=run.owner, host=run.host, made=_made(one), state=plain(run.replay.state)
                )
                return True
        return False


def _made(one: Intent | Record) -> Any:  # noqa: ANN401 (names and values)
    if isinstance(one, Intent):
        return plain(one)
    return plain(one) | {"body": plain(body_of(one))}


def plain(value: Any) -> Any:  # noqa: ANN401 (any part of a fold's state)
    """Return a part of a state as names, lists and plain values; a snapshot only by its name."""
    if isinstance(value, Snapshot | Enum | UUID | bytes):
        return _word(value)
    if isinstance(value, Mapping):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    names = getattr(value, "__struct_fields__", None) or getattr(value, "__slots__", None)
    if names:
        return {name: plain(getattr(value, name)) for name in names}
    return value


def _word(value: Snapshot | Enum | UUID | bytes) -> object:
    if isinstance(value, Snapshot):
        return f"snapshot {value.generation} of {value.event_ticker}"
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, UUID) else f"{len(value)} bytes"


def _key(key: object) -> str:
    return " ".join(map(str, key)) if isinstance(key, tuple) else str(key)
