"""What we know of the cluster: the newest version of every object that concerns us, small.

Objects are kept as JSON bytes without ``managedFields``: a tenth of what they take as mappings.
Versions only rise: an event that comes after the answer to our own write changes nothing, so that a
write of ours never causes another look by itself. Secrets are not kept, only what is known of them
(``secrets_io``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

Object = dict[str, Any]
Ref = tuple[str, str]
"""Kind and name."""

_NO_VERSION: Final = -1


class ClusterCache:
    """Objects by kind and name, and by the owner that a label names."""

    def __init__(self) -> None:
        self._kept: dict[Ref, tuple[int, bytes]] = {}
        self._owner: dict[Ref, str] = {}
        self._owned: dict[str, set[Ref]] = {}

    def put(self, found: Object, *, owner: str = "") -> bool:
        """Keep an object; return whether that is news."""
        ref = (found["kind"], found["metadata"]["name"])
        version = version_of(found)
        held, content = self._kept.get(ref, (_NO_VERSION, b""))
        if version <= held:
            return False
        encoded = msgspec.json.encode(_slim(found))
        self._kept[ref] = (version, encoded)
        self._own(ref, owner)
        return _essence(encoded) != _essence(content)

    def drop(self, kind: str, name: str, *, version: int | None = None) -> bool:
        """Forget an object that is gone; return whether it was known.

        With ``version``: not if a newer one was made meanwhile.
        """
        held = self._kept.get((kind, name))
        if held is None or (version is not None and version < held[0]):
            return False
        del self._kept[kind, name]
        self._own((kind, name), "")
        return True

    def get(self, kind: str, name: str) -> Object | None:
        """Return an object, or None."""
        held = self._kept.get((kind, name))
        return None if held is None else msgspec.json.decode(held[1])

    def has(self, kind: str, name: str) -> bool:
        """Whether there is such an object."""
        return (kind, name) in self._kept

    def names(self, kind: str) -> list[str]:
        """Return the names of a kind, sorted."""
        return sorted(name for held, name in self._kept if held == kind)

    def owned(self, owner: str) -> dict[Ref, Object]:
        """Return an owner's objects."""
        return {
            ref: msgspec.json.decode(self._kept[ref][1])
            for ref in sorted(self._owned.get(owner, ()))
        }

    def owner_of(self, kind: str, name: str) -> str:
        """Return whose an object is, or an empty text."""
        return self._owner.get((kind, name), "")

    def replace(
        self, kind: str, found: Iterable[tuple[Object, str]], version: int
    ) -> Iterator[str]:
        """Take a list of a kind, read at ``version``, with each object's owner; yield whose changed."""
        gone = {
            name
            for (held, name), (seen, _) in self._kept.items()
            if held == kind and seen <= version
        }
        for one, owner in found:
            gone.discard(one["metadata"]["name"])
            if self.put(one, owner=owner):
                yield owner
        for name in gone:
            owner = self.owner_of(kind, name)
            if self.drop(kind, name, version=version):
                yield owner

    def _own(self, ref: Ref, owner: str) -> None:
        before = self._owner.pop(ref, "")
        if before:
            held = self._owned[before]
            held.discard(ref)
            if not held:
                del self._owned[before]
        if owner and ref in self._kept:
            self._owner[ref] = owner
            self._owned.setdefault(owner, set()).add(ref)


def version_of(found: Object) -> int:
    """Return an object's version, a number that rises with each change.

    https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
    """
    version = found["metadata"].get("resourceVersion", "")
    return int(version) if version.isdigit() else 0


def _slim(found: Object) -> Object:
    metadata = {key: value for key, value in found["metadata"].items() if key != "managedFields"}
    return {**found, "metadata": metadata}


def _essence(encoded: bytes) -> Object:
    """Return an object without what changes with each write and means nothing by itself."""
    if not encoded:
        return {}
    found: Object = msgspec.json.decode(encoded)
    found["metadata"].pop("resourceVersion", None)
    return found
