"""Documents that hypothesis makes up: good ones with a few fields changed, removed or added.

Values lie within the bounds, at them, just beyond them, or are of a wrong type. Left out is what is
known to be judged in another way (``account_documents.DIFFERENT``), and time zones that are nowhere.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

from hypothesis import strategies as st
from msgspec import inspect
from tests.apiserver import account_documents as table

from recio.domain.account_config import AccountSpec, to_fields

Path = tuple[str | int, ...]
Values = st.SearchStrategy[Any]

_REMOVED: Final = object()
_CHARACTERS: Final = "aZ09-._/ \né"
_WRONG: Final = st.sampled_from([True, -1, 2**31, 2**70, 0.5, "", "x", [], ["x"], {}, {"x": "y"}])
_WRITTEN_OUT: Final = to_fields(AccountSpec()) | {
    "rollout": {"windows": [table.WINDOW | {"days": ["Monday"]}]},
    "pod": {
        "tolerations": [table.TAINT | {"tolerationSeconds": 5}],
        "nodeSelector": {"a": "b"},
        "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}},
    },
}
_CUSTOM: Final = {"name": "Custom", "custom": table.CUSTOM | {"parameters": {"a": "b"}}}
_BASES: Final = (
    _WRITTEN_OUT,
    _WRITTEN_OUT | {"mode": "demo", **table.CREDENTIALS},
    _WRITTEN_OUT | {"mode": "prod", "arming": "main", **table.CREDENTIALS},
    _WRITTEN_OUT | {"strategy": _WRITTEN_OUT["strategy"] | _CUSTOM},
    *(case.spec for case in table.ACCEPTED),
)


def specs() -> st.SearchStrategy[dict[str, Any]]:
    """Return specs of a TradingAccount: about as many good ones as bad ones."""
    fields = list(_fields(inspect.type_info(AccountSpec), ()))
    change = st.sampled_from(fields).flatmap(_changes)
    return st.builds(_changed, st.sampled_from(_BASES), st.lists(change, max_size=3))


def _changes(field: tuple[Path, Values]) -> Values:
    path, good = field
    removed = st.just((path, _REMOVED))
    unknown = st.just(((*path[:-1], "nonsense"), 1))
    fine = st.tuples(st.just(path), good)
    return st.one_of(*[fine] * 8, st.tuples(st.just(path), _WRONG), removed, unknown)


def _changed(base: dict[str, Any], changes: list[tuple[Path, Any]]) -> dict[str, Any]:
    spec = copy.deepcopy(base)
    for path, value in changes:
        _put(spec, path, value)
    return spec


def _put(spec: Any, path: Path, value: object) -> None:
    for step, after in itertools.pairwise(path):
        if isinstance(step, int):
            spec += [] if spec else [{}]
            spec = spec[step]
        else:
            spec = spec.setdefault(step, [] if isinstance(after, int) else {})
        if not isinstance(spec, list if isinstance(after, int) else dict):
            return  # an earlier change put something else there
    leaf = path[-1]
    if value is not _REMOVED:
        spec[leaf] = copy.deepcopy(value)
    elif leaf in spec:
        del spec[leaf]


def _fields(info: inspect.Type, path: Path) -> Iterator[tuple[Path, Values]]:
    assert isinstance(info, inspect.StructType)
    for field in info.fields:
        kind, where = _plain(field.type), (*path, field.encode_name)
        special = _SPECIAL.get(field.encode_name)
        yield where, _value(kind) if special is None else special
        inner, below = kind, where
        if isinstance(kind, inspect.VarTupleType):
            inner, below = _plain(kind.item_type), (*where, 0)
        if isinstance(inner, inspect.StructType):
            yield from _fields(inner, below)


def _plain(info: inspect.Type) -> inspect.Type:
    if isinstance(info, inspect.Metadata):
        return _plain(info.type)
    if isinstance(info, inspect.UnionType):
        return _plain(next(i for i in info.types if not isinstance(i, inspect.NoneType)))
    return info


def _value(info: inspect.Type) -> Values:
    plain = _plain(info)
    return _MAKERS[type(plain)](plain)


def _struct(info: inspect.StructType) -> Values:
    required = {field.encode_name: _value(field.type) for field in info.fields if field.required}
    return st.fixed_dictionaries(required)


def _enum(info: inspect.EnumType) -> Values:
    return st.sampled_from([member.value for member in info.cls])


def _list(info: inspect.VarTupleType) -> Values:
    most = info.max_length or 3
    few = st.lists(_value(info.item_type), max_size=3)
    return st.one_of(few, few, st.lists(_value(info.item_type), min_size=most, max_size=most + 1))


def _map(info: inspect.DictType) -> Values:
    most = info.max_length or 3
    keys = st.one_of(_value(info.key_type), st.sampled_from(["cpu", "memory", "mem"]))
    few = st.dictionaries(keys, _value(info.value_type), max_size=3)
    many = st.sampled_from([most, most + 1]).map(lambda count: {f"k{n}": "1" for n in range(count)})
    return st.one_of(few, few, few, many)


def _integer(info: inspect.IntType) -> Values:
    low, high = info.ge, info.le
    assert isinstance(low, int)
    assert isinstance(high, int)
    edges = st.sampled_from([low, low, high, high, low - 1, high + 1])
    return st.one_of(st.integers(low, high), edges)


def _text(info: inspect.StrType) -> Values:
    most = info.max_length or 10
    edges = st.sampled_from(["a" * most, "é" * most, "a" * (most + 1), "a" * most + "\n"])
    plain = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
    return st.one_of(plain, plain, plain, st.text(_CHARACTERS, max_size=6), edges)


_SPECIAL: Final[dict[str, Values]] = {
    "timeZone": st.sampled_from(
        ["UTC", "America/New_York", "Etc/GMT+5", "/UTC", "", "a b", "UTC\n"]
    ),
    "startTime": st.sampled_from(["00:00", "23:59", "24:00", "9:00", "09:60", "09:00\n", ""]),
    "arming": st.sampled_from(["main", "main", "other", "", "a" * 64]),
}
_MAKERS: Final[dict[type, Callable[[Any], Values]]] = {
    inspect.BoolType: lambda _: st.booleans(),
    inspect.DictType: _map,
    inspect.EnumType: _enum,
    inspect.IntType: _integer,
    inspect.StrType: _text,
    inspect.StructType: _struct,
    inspect.VarTupleType: _list,
}
