"""Grids over the settings of an account document: ``strategy.autoEntry.minProbabilityPermille=900,950``.

A path that is no field of the document is refused and the nearest one named; so is a combination
that the document's own rules refuse. Every combination is one cell, in the order of the axes.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Any, Final

import msgspec
import yaml
from msgspec import inspect

from recio.domain.account_config import parse_account
from recio.domain.account_fields import AccountSpec
from recio.domain.errors import InvalidValue

MOST_CELLS: Final = 10_000
_SHOWN_REFUSALS: Final = 5
_LONGEST_PATH: Final = 80
_ROOT: Final = "spec."


class GridAxis(msgspec.Struct, frozen=True):
    """A field of the document and the values that it takes."""

    path: str
    values: tuple[int | bool | str, ...]


class GridCell(msgspec.Struct, frozen=True):
    """One combination: its name, its settings by path, and the whole document with them."""

    name: str
    settings: dict[str, int | bool | str]
    document: dict[str, Any]


def parse_axis(text: str) -> GridAxis:
    """Return an axis from ``path=value,value``.

    >>> parse_axis("strategy.autoEntry.minNetEdgeBasisPoints=25,50")
    GridAxis(path='strategy.autoEntry.minNetEdgeBasisPoints', values=(25, 50))

    Raises:
        InvalidValue: no values, values twice, or no field of an account document.
    """
    path, is_given, listed = text.partition("=")
    path = path.strip().removeprefix(_ROOT)
    if not is_given or not listed.strip():
        raise InvalidValue(f"--grid: expected path=value,value; received {text[:80]!r}")
    _check_path(path)
    values = tuple(_value(path, one) for one in listed.split(","))
    if len({(type(one), one) for one in values}) != len(values):
        raise InvalidValue(f"--grid {path}: expected each value once, received {listed!r}")
    return GridAxis(path, values)


def _value(path: str, text: str) -> int | bool | str:
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidValue(f"--grid {path}: {text[:40]!r} is not a value of a document") from error
    if not isinstance(value, int | str):
        raise InvalidValue(
            f"--grid {path}: expected an integer, true, false or a word, received {text[:40]!r}"
        )
    return value


def _check_path(path: str) -> None:
    leaves, groups = field_paths()
    if path in leaves or any(path.startswith(f"{one}.") for one in _maps()):
        return
    if path in groups:
        within = ", ".join(one for one in leaves if one.startswith(f"{path}."))
        raise InvalidValue(f"--grid {path}: this is a group of fields: {within}")
    near = _nearest(path, leaves)
    raise InvalidValue(
        f"--grid {path}: an account document has no such field; did you mean {near}?"
    )


def _nearest(path: str, leaves: Sequence[str]) -> str:
    """Return the field whose whole path and whose last part are the most like what was given."""
    path = path[-_LONGEST_PATH:]

    def likeness(leaf: str) -> float:
        ends = path.rpartition(".")[2], leaf.rpartition(".")[2]
        return _alike(path, leaf) + _alike(*ends)

    return max(leaves, key=likeness)


def _alike(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


@cache
def field_paths() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the paths of all fields of a document's spec: those with a value, and the groups."""
    found = list(_walk(inspect.type_info(AccountSpec), ""))
    return (
        tuple(path for path, kind in found if kind != "group"),
        tuple(path for path, kind in found if kind == "group"),
    )


@cache
def _maps() -> tuple[str, ...]:
    return tuple(path for path, kind in _walk(inspect.type_info(AccountSpec), "") if kind == "map")


def _walk(info: inspect.Type, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(info, inspect.Metadata):
        info = info.type
    if isinstance(info, inspect.UnionType):
        info = next(one for one in info.types if not isinstance(one, inspect.NoneType))
        info = info.type if isinstance(info, inspect.Metadata) else info
    if not isinstance(info, inspect.StructType):
        yield path, "map" if isinstance(info, inspect.DictType) else "value"
        return
    if path:
        yield path, "group"
    for field in info.fields:
        yield from _walk(field.type, f"{path}.{field.encode_name}".removeprefix("."))


def cells(document: Mapping[str, Any], axes: Sequence[GridAxis]) -> list[GridCell]:
    """Return every combination, each a valid document.

    Raises:
        InvalidValue: an axis twice, too many combinations, or one that the document refuses.
    """
    paths = [axis.path for axis in axes]
    if len(set(paths)) != len(paths):
        raise InvalidValue(f"--grid: expected each path once, received {', '.join(paths)}")
    made, refused = [], []
    for number, chosen in enumerate(product(*(axis.values for axis in axes)), 1):
        if number > MOST_CELLS:
            raise InvalidValue(f"--grid: more than {MOST_CELLS:,} combinations; try fewer values")
        settings = dict(zip(paths, chosen, strict=True))
        cell = GridCell(name_of(settings), settings, with_settings(document, settings))
        try:
            parse_account(cell.document)
        except InvalidValue as error:
            refused.append(f"{cell.name}: {error}")
        made.append(cell)
    if refused:
        listed = "\n".join(refused[:_SHOWN_REFUSALS])
        raise InvalidValue(f"--grid: {len(refused)} of {len(made)} settings are refused:\n{listed}")
    return made


def name_of(settings: Mapping[str, int | bool | str]) -> str:
    """Return settings in words, by the last part of their paths.

    >>> name_of({"strategy.autoEntry.enabled": True, "risk.maxOpenTrades": 2})
    'enabled=true maxOpenTrades=2'
    """
    return " ".join(
        f"{path.rpartition('.')[2]}={value_text(value)}" for path, value in settings.items()
    )


def value_text(value: bool | int | str) -> str:  # noqa: FBT001 (a value of a document)
    """Return a value as a document spells it.

    >>> value_text(False), value_text(7)
    ('false', '7')
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


def with_settings(
    document: Mapping[str, Any], settings: Mapping[str, int | bool | str]
) -> dict[str, Any]:
    """Return a copy of a document with these fields of its spec set."""
    made = copy.deepcopy(dict(document))
    for path, value in settings.items():
        at = made.setdefault("spec", {})
        *groups, last = path.split(".")
        for group in groups:
            if not isinstance(at.get(group), dict):
                at[group] = {}
            at = at[group]
        at[last] = value
    return made
