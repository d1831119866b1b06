"""Good messages for what a strategy may not do. The walls hold it; these only say so in words.

Whoever wants to get past an import list in Python can; that is why it is not what we rely on. An
honest mistake (``import requests``, ``open("notes.txt")``) reads a sentence that says what to do.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Final

ALLOWED: Final = frozenset(
    {
        "__future__",
        "abc",
        "array",
        "bisect",
        "cmath",
        "collections",
        "collections.abc",
        "contextlib",
        "copy",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "heapq",
        "itertools",
        "json",
        "math",
        "numbers",
        "operator",
        "re",
        "recio.strategy",
        "statistics",
        "string",
        "types",
        "typing",
    }
)
"""What a strategy may import: loaded before the walls stand, because no file can be read after."""
_HIDDEN: Final = ("_strptime", "encodings.idna", "zoneinfo")
"""What these load only when they need it."""
MODULE: Final = "strategy"
"""The name that the trader's own module has."""

_REFUSED: Final[Mapping[str, str]] = {
    "open": "open files",
    "socket": "use the network",
    "ssl": "use the network",
    "urllib": "use the network",
    "http": "use the network",
    "smtplib": "use the network",
    "subprocess": "start processes",
    "os": "use the operating system",
    "pty": "start processes",
    "signal": "use the operating system",
    "ctypes": "call foreign code",
    "shutil": "touch files",
    "tempfile": "touch files",
    "glob": "touch files",
    "_thread": "start threads",
    "mmap": "map memory",
    "fcntl": "use the operating system",
    "resource": "change its limits",
    "sys.addaudithook": "watch what we watch",
    "builtins.input": "ask a person",
    "builtins.breakpoint": "stop for a debugger",
}


def load_allowed() -> None:
    """Import everything that a strategy may import."""
    for name in sorted(ALLOWED | set(_HIDDEN)):
        importlib.import_module(name)


def install() -> None:
    """From now on refuse with a sentence."""
    inner = builtins.__import__

    def guarded(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 (the standard library's name)
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if (globals or {}).get("__name__") == MODULE and not _may_import(name, level):
            raise ImportError(
                f"a strategy may not import {name!r}: expected one of {', '.join(sorted(ALLOWED))}"
            )
        return inner(name, globals, locals, fromlist or (), level)

    builtins.__import__ = guarded
    sys.addaudithook(_refuse)


def _may_import(name: str, level: int) -> bool:
    return level == 0 and (name in ALLOWED or name == "recio")


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    what = _REFUSED.get(event) or _REFUSED.get(event.partition(".")[0])
    if what is not None:
        shown = f" ({event} {arguments[0]!r})" if arguments else f" ({event})"
        raise PermissionError(
            f"a strategy may not {what}{shown[:120]}: it gets values and proposes"
        )
