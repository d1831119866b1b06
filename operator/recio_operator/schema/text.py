"""The manual of a field: the text that stands under it in the source.

A field's text says what it is for and ends with ``Takes effect: …``; a field without that ending
has the one of the field above it. The members of a choice are listed below the text.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from enum import Enum
from functools import cache
from typing import Final

TAKES_EFFECT: Final = "Takes effect: "


@cache
def texts(kind: type) -> dict[str, str]:
    """Return the text under each field of a struct, or under each member of a choice, by name."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.partition(".")[0] in {"recio", "recio_operator"}:
            found |= _own_texts(base)
    return found


def manual(text: str, *, inherited: str = "") -> str:
    """Return a field's text with when a change takes effect, its own or the inherited one."""
    ending = "" if TAKES_EFFECT in text or not inherited else f" {TAKES_EFFECT}{inherited}"
    return f"{text}{ending}"


def effect_of(text: str, *, inherited: str = "") -> str:
    """Return when a change of this field takes effect."""
    return text.partition(TAKES_EFFECT)[2] or inherited


def without_effect(text: str) -> str:
    """Return a field's text without when a change takes effect."""
    return text.partition(TAKES_EFFECT)[0].rstrip()


def with_choices(text: str, choice: type[Enum]) -> str:
    """Return a text with a line for each member that explains itself."""
    said = texts(choice)
    lines = [f"{member.value}: {said[member.name]}." for member in choice if member.name in said]
    return "\n".join([text, *lines])


def _own_texts(kind: type) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for statement, after in zip(tree.body, tree.body[1:], strict=False):
        name, text = _assigned_name(statement), _text_of(after)
        if name and text:
            found[name] = text
    return found


def _assigned_name(statement: ast.stmt) -> str:
    target: ast.expr | None = None
    if isinstance(statement, ast.AnnAssign):
        target = statement.target
    elif isinstance(statement, ast.Assign):
        target = statement.targets[0]
    return target.id if isinstance(target, ast.Name) else ""


def _text_of(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        value = statement.value.value
        return " ".join(value.split()) if isinstance(value, str) else ""
    return ""
