"""Every place that decodes what comes from outside is fuzzed."""

import ast
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import BaseModel
from tests.fuzz.everything import NOT_FROM_OUTSIDE, TARGETS

ROOT = Path(__file__).parents[2]
ROOTS = (str(ROOT / "services"), str(ROOT / "operator"))
ROUTES = [
    import_module(f"recio.apps.main_app.routes.{path.stem}")
    for path in (ROOT / "services/recio/apps/main_app/routes").glob("[a-z]*.py")
]
SOURCES = sorted([*(ROOT / "services").rglob("*.py"), *(ROOT / "operator").rglob("*.py")])
DECODERS = {
    "json.decode", "msgpack.decode", "json.Decoder", "msgpack.Decoder", "msgspec.convert",
    "json.loads", "yaml.safe_load", "yaml.safe_load_all", "yaml.load", "pickle.loads",
    "wire.decode", "messages.decode",
}  # fmt: skip


def named(path):
    """Return a path as it reads in a message."""
    return path.relative_to(ROOT).as_posix()


def called(node):
    """Return the last two names of what is called: json.decode of msgspec.json.decode(…)."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.insert(0, node.id)
    return ".".join(parts[-2:])


def decoding_functions(path):
    """Return the functions (or ``<module>``) of a file in which something is decoded."""
    found = set()

    def walk(node, inside):
        for child in ast.iter_child_nodes(node):
            name = inside
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = child.name if inside == "<module>" else f"{inside}.{child.name}"
            if isinstance(child, ast.Call) and called(child.func) in DECODERS:
                found.add(inside)
            walk(child, name)

    walk(ast.parse(path.read_text("utf-8")), "<module>")
    return found


@cache
def entered():
    """Return (file, function) of everything of the product that the targets' good examples enter."""
    found = set()

    def trace(frame, _event, _argument):
        file = frame.f_code.co_filename
        for root in ROOTS:
            if file.startswith(root):
                found.add((file, frame.f_code.co_qualname.split(".<locals>")[0]))

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for target in TARGETS:
            if target.begin is not None:
                target.begin()
            for example in target.examples or (b"x",):
                with suppress(*target.refusals):
                    target.decode(example)
    finally:
        sys.settrace(before)
    return found


@pytest.mark.parametrize("path", [path for path in SOURCES if decoding_functions(path)], ids=named)
def test_a_decoder_has_a_target_or_a_reason(path):
    """A decoder that nobody feeds nonsense is one that has only met good manners."""
    if named(path).startswith(tuple(NOT_FROM_OUTSIDE)):
        return
    missing = {
        function
        for function in decoding_functions(path)
        if function != "<module>" and (str(path), function) not in entered()
    }
    assert missing == set(), "register a target in tests/fuzz, or a reason in everything.py"


def test_a_request_body_of_the_page_has_a_target():
    """FastAPI decodes it; its model is what we decide."""
    models = {
        name
        for module in ROUTES
        for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, BaseModel) and each is not BaseModel
    }
    tested = {target.name.removeprefix("request ") for target in TARGETS}
    assert models - tested - {"Who"} == set()
