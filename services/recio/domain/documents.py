"""Decode a plain object (from YAML or JSON) into typed structs, listing every problem at once.

``msgspec.convert`` stops at the first fault; a person who edits a document wants all of them, each
with its path, what was expected and what was received. The bounds stay where they are declared, in
the struct's ``Meta`` annotations: this module only walks them.

It refuses what a decoder may be lenient about: unknown fields, null, ``true`` or ``1.0`` where an
integer is meant, numbers in quotes, duplicate members of a set. It guesses nothing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec import inspect

from recio.domain.errors import InvalidValue

StructT = TypeVar("StructT", bound=msgspec.Struct)

_SHOWN_CHARACTERS: Final = 60
_MISSING: Final = object()


class InvalidDocument(InvalidValue):
    """A document with one or more problems; ``problems`` holds one line for each."""

    def __init__(self, title: str, problems: list[str]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n  ".join([f"{title}: {count}", *problems]))


class Problems:
    """Collects problems by path."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._paths: set[str] = set()

    def add(self, path: str, expected: str, received: object) -> None:
        """Note that ``path`` holds ``received`` where ``expected`` was due."""
        self.say(path, f"expected {expected}, received {shown(received)}")

    def say(self, path: str, text: str) -> None:
        """Note a problem in words of its own."""
        self.lines.append(f"{path}: {text}")
        self._paths.add(path)

    def has(self, path: str) -> bool:
        """Tell whether ``path``, something above it or something below it has a problem.

        Rules between fields are not checked on such values: the second message would mislead.
        """
        return any(_is_related(path, other) for other in self._paths)

    def raise_if_any(self, title: str) -> None:
        """Raise what was collected.

        Raises:
            InvalidDocument: there was at least one problem.
        """
        if self.lines:
            raise InvalidDocument(title, self.lines)


def _is_related(path: str, other: str) -> bool:
    short, long = sorted((path, other), key=len)
    return long == short or (long.startswith(short) and long[len(short)] in ".[")


def shown(value: object) -> str:
    """Return a value as a person reads it in a message: short, and null spelled as in YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def decode(type_: type[StructT], value: object, path: str, problems: Problems) -> StructT | None:
    """Return ``value`` as a ``type_`` and note every problem in ``problems``.

    A bad field falls back to its default, so that the rules between the good ones can be checked
    too; the result must not be used when there are problems. None: a bad field has no default.
    """
    decoded = _walk(_info(type_), value, path, problems)
    return None if decoded is _MISSING else cast("StructT", decoded)


@cache
def _info(type_: type[msgspec.Struct]) -> inspect.Type:
    return inspect.type_info(type_)


def _walk(info: inspect.Type, value: object, path: str, problems: Problems) -> object:
    info = info.type if isinstance(info, inspect.Metadata) else info
    if isinstance(info, inspect.UnionType):
        info = next(kind for kind in info.types if not isinstance(kind, inspect.NoneType))
    return _WALKERS[type(info)](info, value, path, problems)


def _walk_struct(info: inspect.StructType, value: object, path: str, problems: Problems) -> object:
    if not isinstance(value, Mapping):
        problems.add(path, "a mapping of fields", value)
        return _MISSING
    known = {field.encode_name: field for field in info.fields}
    for key in value:
        if key not in known:
            problems.say(f"{path}.{key}", _unknown_field(str(key), list(known)))
    decoded: dict[str, object] = {}
    for key, field in known.items():
        if key in value:
            item = _walk(field.type, value[key], f"{path}.{key}", problems)
            if item is not _MISSING:
                decoded[field.name] = item
        elif field.required:
            problems.say(f"{path}.{key}", "is required and missing")
    is_whole = all(field.name in decoded for field in info.fields if field.required)
    return info.cls(**decoded) if is_whole else _MISSING


def _unknown_field(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
    return f"unknown field; {hint}"


def _walk_int(info: inspect.IntType, value: object, path: str, problems: Problems) -> object:
    low, high = info.ge, info.le
    fits = isinstance(value, int) and not isinstance(value, bool)
    if fits and (low is None or value >= low) and (high is None or value <= high):  # type: ignore[operator]
        return value
    bounds = f" from {low} to {high}" if low is not None and high is not None else ""
    problems.add(path, f"an integer{bounds}", value)
    return _MISSING


def _walk_str(info: inspect.StrType, value: object, path: str, problems: Problems) -> object:
    if not isinstance(value, str):
        problems.add(path, "a string (in quotes)", value)
        return _MISSING
    low, high = info.min_length or 0, info.max_length
    if len(value) < low or (high is not None and len(value) > high):
        problems.add(path, f"{low} to {high} characters", value)
        return _MISSING
    if info.pattern is not None and not re.search(info.pattern, value):
        problems.add(path, f"text that matches {info.pattern}", value)
        return _MISSING
    return value


def _walk_bool(_: inspect.BoolType, value: object, path: str, problems: Problems) -> object:
    if isinstance(value, bool):
        return value
    problems.add(path, "true or false", value)
    return _MISSING


def _walk_enum(info: inspect.EnumType, value: object, path: str, problems: Problems) -> object:
    members = {str(member.value): member for member in info.cls}
    if isinstance(value, str) and value in members:
        return members[value]
    problems.add(path, f"one of {', '.join(members)}", value)
    return _MISSING


def _walk_list(info: inspect.VarTupleType, value: object, path: str, problems: Problems) -> object:
    low, high = info.min_length or 0, info.max_length
    if not isinstance(value, list | tuple):
        problems.add(path, "a list", value)
        return _MISSING
    if len(value) < low or (high is not None and len(value) > high):
        problems.say(path, f"expected {low} to {high} entries, received {len(value)}")
        return _MISSING
    items = [
        _walk(info.item_type, item, f"{path}[{index}]", problems)
        for index, item in enumerate(value)
    ]
    return _MISSING if _has_missing(items) else tuple(items)


def _walk_dict(info: inspect.DictType, value: object, path: str, problems: Problems) -> object:
    if not isinstance(value, Mapping):
        problems.add(path, "a mapping", value)
        return _MISSING
    if info.max_length is not None and len(value) > info.max_length:
        problems.say(path, f"expected at most {info.max_length} entries, received {len(value)}")
        return _MISSING
    keys = [_walk(info.key_type, key, f"{path} (key)", problems) for key in value]
    values = [
        _walk(info.value_type, item, f"{path}.{key}", problems) for key, item in value.items()
    ]
    if _has_missing(keys) or _has_missing(values):
        return _MISSING
    return dict(zip(keys, values, strict=True))


def _has_missing(items: list[object]) -> bool:
    return any(item is _MISSING for item in items)


_WALKERS: Final[dict[type, Callable[[Any, object, str, Problems], object]]] = {
    inspect.StructType: _walk_struct,
    inspect.IntType: _walk_int,
    inspect.StrType: _walk_str,
    inspect.BoolType: _walk_bool,
    inspect.EnumType: _walk_enum,
    inspect.VarTupleType: _walk_list,
    inspect.DictType: _walk_dict,
}
