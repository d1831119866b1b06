"""Whether a live object says what is wanted, in spite of everything the API server adds.

The API server fills in defaults, drops empty maps and spells quantities its own way. So ``differs``
asks whether the live object *contains* the wanted one: maps by key, lists that server-side apply
merges by their merge key, other lists element by element, quantities by value. What others add is
theirs and no difference.

A field that we do not want any more cannot be seen that way; the digest of what we applied last,
kept in an annotation, tells.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from recio_operator.names import CHECKSUM
from recio_operator.planning.observed import Object

_DIGEST_CHARACTERS: Final = 16
_MERGE_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "ownerReferences": ("uid",),
    "conditions": ("type",),
    "ports": ("containerPort", "port", "protocol"),
}
"""Lists that the API server merges by key: https://github.com/kubernetes/kubernetes,
api/openapi-spec, ``x-kubernetes-list-map-keys`` (read November 2026). Both kinds of ports in one
entry: an element has one of the two."""
_DEFAULTS: Final = {"protocol": "TCP"}
_QUANTITIES: Final = frozenset({"requests", "limits"})
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_POWERS: Final = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_SUFFIXES: Final[Mapping[str, Decimal]] = {
    **{letter: Decimal(10) ** power for letter, power in _POWERS.items()},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}


def digest(value: object) -> str:
    """Return a short digest of any JSON value; the order of its keys does not matter."""
    content = msgspec.json.encode(value, order="deterministic")
    return hashlib.sha256(content).hexdigest()[:_DIGEST_CHARACTERS]


def stamped(wanted: Object) -> Object:
    """Return an object with the digest of itself among its annotations."""
    metadata = wanted["metadata"]
    annotations = {**metadata.get("annotations", {}), CHECKSUM: digest(wanted)}
    return wanted | {"metadata": metadata | {"annotations": annotations}}


def differs(wanted: object, live: object) -> bool:
    """Return whether the live value lacks anything of the wanted one."""
    return not _holds("", wanted, live)


def is_as_applied(wanted: Object, live: Object | None) -> bool:
    """Return whether a live object still has every field of ours, its digest aside.

    It tells drift (somebody changed it) from a change of what we want.
    """
    if live is None:
        return False
    annotation = live.get("metadata", {}).get("annotations", {}).get(CHECKSUM)
    return bool(annotation == wanted["metadata"].get("annotations", {}).get(CHECKSUM))


def _holds(key: str, wanted: object, live: object) -> bool:
    if isinstance(wanted, dict):
        return _holds_map(key, wanted, live)
    if isinstance(wanted, list | tuple):
        return _holds_list(key, wanted, live)
    return bool(wanted == live) and isinstance(wanted, bool) == isinstance(live, bool)


def _holds_map(key: str, wanted: Object, live: object) -> bool:
    if not wanted:
        return live is None or isinstance(live, dict)
    if not isinstance(live, dict):
        return False
    if key in _QUANTITIES:
        return all(name in live and _same(value, live[name]) for name, value in wanted.items())
    for name, value in wanted.items():
        found = live.get(name)
        if value is not found and not _holds(name, value, found):
            return False
    return True


def _holds_list(key: str, wanted: Sequence[Any], live: object) -> bool:
    if not wanted:
        return not live
    if not isinstance(live, list | tuple):
        return False
    merge = _MERGE_KEYS.get(key, ())
    if merge and all(isinstance(item, dict) for item in (*wanted, *live)):
        found = {_identity(item, merge): item for item in live}
        return all(_holds("", item, found.get(_identity(item, merge))) for item in wanted)
    pairs = zip(wanted, live, strict=False)
    return len(wanted) == len(live) and all(_holds("", item, other) for item, other in pairs)


def _identity(item: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.get(key, _DEFAULTS.get(key)) for key in keys)


def _same(wanted: object, live: object) -> bool:
    amount = quantity(str(wanted))
    return amount is not None and amount == quantity(str(live))


def quantity(text: str) -> Decimal | None:
    """Return the value of a Kubernetes quantity, or None if it is none."""
    for length in (2, 1):
        factor = _SUFFIXES.get(text[-length:]) if len(text) > length else None
        if factor is not None:
            return _decimal(text[:-length], factor)
    return _decimal(text, Decimal(1))


def _decimal(text: str, factor: Decimal) -> Decimal | None:
    return Decimal(text) * factor if _NUMBER.fullmatch(text) else None
