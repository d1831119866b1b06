"""What browsers see, as small named documents, each with the version at which it last changed.

A document is JSON under a key such as ``row/KXBTCD-25AUG0122/KXBTCD-25AUG0122-T119499.99``. A
browser that has seen version n receives the documents that changed since, whatever happened in
between: that is what conflates a fast feed for a slow reader. A deleted document is remembered as
gone until every reader has passed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

_encoder: Final = msgspec.json.Encoder()
_GONE: Final = b""


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed between two versions: new documents, and keys that are gone."""

    version: int
    documents: dict[str, msgspec.Raw]
    gone: list[str]


class Board:
    """The documents. One writer, many readers, one event loop."""

    def __init__(self) -> None:
        self._documents: dict[str, tuple[int, bytes]] = {}
        self._version = 0
        self._listeners: set[Callable[[], None]] = set()

    @property
    def version(self) -> int:
        """Rises with each change."""
        return self._version

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` on each change; returns what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def wake(self) -> None:
        """Tell the listeners that there will be something to publish."""
        for listener in tuple(self._listeners):
            listener()

    def put(self, key: str, value: object) -> None:
        """Set a document; an equal one changes nothing."""
        self._set(key, _encoder.encode(value))

    def drop(self, key: str) -> None:
        """Delete a document."""
        if key in self._documents:
            self._set(key, _GONE)

    def replace(self, prefix: str, documents: Mapping[str, object]) -> None:
        """Make ``documents`` all that there is under ``prefix``; their keys are without it."""
        for key, value in documents.items():
            self.put(prefix + key, value)
        for key in self.keys(prefix):
            if key.removeprefix(prefix) not in documents:
                self._set(key, _GONE)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of present documents under ``prefix``."""
        return [
            key
            for key, (_, data) in self._documents.items()
            if data is not _GONE and key.startswith(prefix)
        ]

    def get(self, key: str) -> msgspec.Raw | None:
        """Return a document's JSON, or None."""
        _, data = self._documents.get(key, (0, _GONE))
        return None if data is _GONE else msgspec.Raw(data)

    def since(self, version: int, prefixes: tuple[str, ...]) -> Changes:
        """Return what changed after ``version`` under any of ``prefixes``."""
        documents: dict[str, msgspec.Raw] = {}
        gone: list[str] = []
        for key, (changed, data) in self._documents.items():
            if changed <= version or not key.startswith(prefixes):
                continue
            if data is _GONE:
                gone.append(key)
            else:
                documents[key] = msgspec.Raw(data)
        return Changes(self._version, documents, gone)

    def forget(self, seen: Iterable[int]) -> None:
        """Forget what is gone and older than every version in ``seen``."""
        oldest = min(seen, default=self._version)
        passed = [
            key
            for key, (changed, data) in self._documents.items()
            if data is _GONE and changed <= oldest
        ]
        for key in passed:
            del self._documents[key]

    def _set(self, key: str, data: bytes) -> None:
        _, old = self._documents.get(key, (0, _GONE))
        if old == data:
            return
        self._version += 1
        self._documents[key] = (self._version, data)
        self.wake()
