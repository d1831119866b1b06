"""The rules of the tree that no linter knows: names, sizes, words, places."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in ("services", "operator", "benchmarks", "docs")
    for path in (ROOT / folder).rglob("*.py")
)
PRODUCT = [path for path in SOURCES if path.is_relative_to(ROOT / "services")]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LARGEST_MODULE = 600
LARGEST_TEST_MODULE = 800  # a list of cases may be longer than a thought
LARGEST_FUNCTION = 60
MODE_WORDS = {"paper", "shadow", "demo", "prod"}
MODES_ARE_KNOWN_TO = {
    "runtime/modes.py",
    "runtime/settings.py",
    "domain/account_config.py",
    "domain/account_rules.py",
}
WRITTEN_BY_HAND = {".py", ".sql", ".md", ".yaml", ".yml", ".toml", ".sh", ".ts", ".tsx", ".css"}
NOT_OURS = {".git", ".venv", "node_modules", "static", ".state"}


def named(path):
    """Return a path as it reads in a message."""
    return path.relative_to(ROOT).as_posix()


def hand_written():
    """Yield every file that a person wrote."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if path.suffix in WRITTEN_BY_HAND and not NOT_OURS & set(parts) and path.is_file():
            yield path


def test_operator_is_only_a_source_root():
    """As a package it would shadow the standard library's operator and break every program."""
    assert [named(path) for path in (ROOT / "operator").glob("*.py")] == []
    assert not (ROOT / "services" / "__init__.py").exists()


def test_no_module_has_a_name_of_the_standard_library():
    """A file called queue.py hides the module of that name from whatever runs in its folder."""
    wrong = [
        named(path)
        for path in SOURCES
        if path.stem in sys.stdlib_module_names and path.stem not in {"__init__", "__main__"}
    ]
    folders = [
        named(path.parent)
        for path in SOURCES
        if path.name == "__init__.py" and path.parent.name in sys.stdlib_module_names
    ]
    assert wrong + folders == []


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=named)
def test_modules_and_functions_stay_small(path):
    """A module above 600 lines or a function above 60 holds more than one idea."""
    text = path.read_text(encoding="utf-8")
    most = LARGEST_TEST_MODULE if path in TESTS else LARGEST_MODULE
    assert text.count("\n") <= most, f"{named(path)} is too long: split it"
    long = [
        f"{node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > LARGEST_FUNCTION
    ]
    assert long == []


def test_functions_are_short_in_the_middle():
    """The median is under ten lines: the best single sign of readable code."""
    lengths = sorted(
        node.end_lineno - node.lineno + 1
        for path in PRODUCT
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert lengths[len(lengths) // 2] < 10


@pytest.mark.parametrize("path", PRODUCT, ids=named)
def test_modes_are_told_apart_in_one_place(path):
    """A mode that is asked for in a service is how paper and live drift apart."""
    if path.relative_to(ROOT / "services" / "recio").as_posix() in MODES_ARE_KNOWN_TO:
        return
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        compared = isinstance(node, ast.Compare) and [node.left, *node.comparators]
        cases = isinstance(node, ast.MatchValue) and [node.value]
        for part in compared or cases or []:
            if isinstance(part, ast.Constant) and part.value in MODE_WORDS:
                found.append(f"line {part.lineno}: {part.value!r}")
            if isinstance(part, ast.Attribute) and named_mode(part):
                found.append(f"line {part.lineno}: Mode.{part.attr}")
    assert found == [], "ask runtime.modes instead"


def named_mode(node):
    """Tell whether an attribute is a member of Mode."""
    return isinstance(node.value, ast.Name) and node.value.id == "Mode"


OUTERMOST = {
    "services/recio/runtime/host.py",
    "services/recio/simulation/stage.py",  # plays the host of simulated processes
    "services/recio/simulation/worker.py",  # a seed that cannot be played is an answer
}


@pytest.mark.parametrize("path", PRODUCT, ids=named)
def test_only_the_host_catches_everything(path):
    """Catching and carrying on hides faults; the host catches, logs and stops."""
    caught = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
    ]
    if named(path) not in OUTERMOST:
        assert caught == []


@pytest.mark.parametrize("path", PRODUCT, ids=named)
def test_no_thread_is_started(path):
    """Threads would make a stepped run another program than the live one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    assert imported & {"threading", "concurrent.futures", "multiprocessing"} == set()
    calls = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert calls & {"to_thread", "run_in_executor"} == set()


def test_nothing_is_left_to_do_later():
    """A reminder in the code is forgotten there; the issue tracker is the place."""
    words = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    found = [
        f"{named(path)}: {match[0]}"
        for path in hand_written()
        for match in words.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_no_path_of_somebody_s_machine():
    """A clone works wherever it lies."""
    places = re.compile(r"(/ho" r"me/|/wo" r"rk/|/Us" r"ers/|\.\./sha" r"red|/tmp/rec" r"io/)")
    found = [
        f"{named(path)}: {match[0]}"
        for path in hand_written()
        for match in places.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "name",
    [
        "requirements.lock",
        "requirements-dev.lock",
        "requirements-image.lock",
        "requirements-build.lock",
        "ui/package-lock.json",
        "tests/contract/typescript/package-lock.json",
    ],
)
def test_lock_files_name_no_index(name):
    """Packages come from whatever index the machine is set to; the hashes decide what is taken."""
    text = (ROOT / name).read_text(encoding="utf-8")
    # What a package asks its users to fund is no address that anything is fetched from.
    text = re.sub(r'"funding": (\{[^}]*\}|\[[^\]]*\])', "", text)
    assert re.findall(r"https?://[^\s\"]+|--index-url|--extra-index-url", text) == []


LOCKS = ("requirements.lock", "requirements-image.lock", "requirements-build.lock")


def pins(name):
    """Return the versions that a lock file pins."""
    text = (ROOT / name).read_text()
    return dict(re.findall(r"^([a-z0-9_.-]+)==([^\s;]+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_files_agree(name):
    """What the tests ran on is what a person gets."""
    tested = pins("requirements-dev.lock")
    assert {package: tested.get(package) for package in pins(name)} == pins(name)


def test_every_locked_package_has_a_hash():
    """Nothing is installed that was not seen before."""
    for name in ("requirements-dev.lock", *LOCKS):
        for entry in re.split(r"\n(?=\S)", (ROOT / name).read_text()):
            if "==" in entry.partition("\n")[0]:
                assert "--hash=sha256:" in entry, entry.partition("\n")[0]
