"""Runs the unit tests against one changed module at a time, each in a forked child.

Two ways, because most changes are inside of functions: there the parent has collected all tests and
the child only exchanges the code of the living function (some milliseconds). A change on a module's
own level (a table, a bound, a default) needs a fresh import: the child of a parent that has not
imported the product yet collects the tests anew. Hypothesis draws the same examples each time.
"""

import ast
import contextlib
import functools
import gc
import importlib
import importlib.util
import marshal
import os
import pickle
import resource
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import hypothesis
import pytest
from _pytest.runner import runtestprotocol

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "services"
PLACES = ("tests/unit/domain", "tests/unit/engine")
KILLED, SURVIVED, TIMED_OUT = "killed", "survived", "timeout"
LIMIT_BYTES = 3 * 2**30
FRESH_EXAMPLES = 25
"""Fewer where all tests are imported anew for each change: what is missed counts as survived."""
_EXIT = {KILLED: 11, SURVIVED: 12}
_BY_EXIT = {code: what for what, code in _EXIT.items()}


def code_of(tree: ast.Module, path: Path) -> types.CodeType:
    """Compile a changed module as if it stood in its file."""
    return compile(tree, str(path), "exec", dont_inherit=True)


def functions_of(code: types.CodeType) -> Iterator[tuple[tuple[str, int], types.CodeType]]:
    """Yield every function of a module or of its classes with its name and line."""
    for const in code.co_consts:
        if isinstance(const, types.CodeType) and "<" not in const.co_qualname:
            if const.co_flags & 0x01:  # CO_OPTIMIZED: a function; a class body is not
                yield (const.co_qualname, const.co_firstlineno), const
            else:
                yield from functions_of(const)


def in_child(work: Callable[[], str], *, cpu_s: float) -> str:
    """Do the work in a forked child; KILLED, SURVIVED or TIMED_OUT."""
    pid = os.fork()
    if pid == 0:
        _end(work, cpu_s)
    deadline = time.monotonic() + 20 * cpu_s + 60
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)
    if os.WIFSIGNALED(status):
        return TIMED_OUT if os.WTERMSIG(status) in {signal.SIGXCPU, signal.SIGKILL} else KILLED
    # A child that ended in any other way could not even start its tests: it was noticed.
    return _BY_EXIT.get(os.WEXITSTATUS(status), KILLED)


def _end(work: Callable[[], str], cpu_s: float) -> None:
    code = _EXIT[KILLED]
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s) + 1, int(cpu_s) + 3))
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        code = _EXIT[work()]
    finally:
        os._exit(code)


class Collected:
    """All unit tests, collected once; run in children.

    ``reach`` tells for each test which functions of the product it calls; ``at_import`` which are
    called before any test runs, so that exchanging their code would come too late.
    """

    def __init__(self, session: pytest.Session) -> None:
        self.session = session
        self.living = _living()
        self.at_import: set[tuple[str, str, int]] = set()
        self.reach: dict[str, set[tuple[str, str, int]]] = {}
        self.seconds: dict[str, float] = {}

    def measure(self) -> None:
        """Run every test once in a child and note what it calls and how long it takes."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(self._measured(), pipe)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            self.reach, self.seconds, failed = pickle.load(pipe)
        os.waitpid(pid, 0)
        if failed:
            raise SystemExit(f"expected the unit tests to be green, these are not: {failed}")

    def _measured(self) -> tuple[dict, dict, list[str]]:
        reach, seconds, failed = {}, {}, []
        for item in self.session.items:
            begun = time.process_time()
            with calls_noted() as called:
                if not _passes(item):
                    failed.append(item.nodeid)
            reach[item.nodeid] = called
            seconds[item.nodeid] = time.process_time() - begun
        return reach, seconds, failed

    def tests_of(self, path: Path, keys: list[tuple[str, int]]) -> list[pytest.Item]:
        """Return the tests that call one of these functions, the module's own first, then quick ones."""
        wanted = {(str(path), *key) for key in keys}
        found = [item for item in self.session.items if self.reach[item.nodeid] & wanted]
        own = f"test_{path.stem}.py"
        return sorted(found, key=lambda item: (item.path.name != own, self.seconds[item.nodeid]))

    def files_of(self, path: Path) -> list[str]:
        """Return the test files that call anything of a module."""
        return sorted(
            {
                str(item.path)
                for item in self.session.items
                if any(file == str(path) for file, _, _ in self.reach[item.nodeid])
            }
        )

    def verdict(self, path: Path, changed: types.CodeType, function: str) -> str:
        """Return what the tests say to a change inside of a function."""
        news = [(key, code) for key, code in functions_of(changed) if key[0] == function]
        tests = self.tests_of(path, [key for key, _ in news])
        if not tests:
            return SURVIVED

        def work() -> str:
            for key, code in news:
                for living in self.living.get((str(path), *key), ()):
                    living.__code__ = code
            for each in gc.get_objects():
                if isinstance(each, functools._lru_cache_wrapper):
                    each.cache_clear()
            return SURVIVED if all(_passes(item) for item in tests) else KILLED

        usual_s = sum(self.seconds[item.nodeid] for item in tests)
        return in_child(work, cpu_s=5 * usual_s + 5)


def _living() -> dict[tuple[str, str, int], list[types.FunctionType]]:
    found: dict[tuple[str, str, int], list[types.FunctionType]] = {}
    for each in gc.get_objects():
        if isinstance(each, types.FunctionType):
            code = each.__code__
            if code.co_filename.startswith(str(SERVICES)):
                key = (code.co_filename, code.co_qualname, code.co_firstlineno)
                found.setdefault(key, []).append(each)
    return found


def _passes(item: pytest.Item) -> bool:
    item._initrequest()
    reports = runtestprotocol(item, nextitem=None, log=False)
    return not any(report.failed for report in reports)


@contextlib.contextmanager
def calls_noted() -> Iterator[set[tuple[str, str, int]]]:
    """Collect which functions of the product are called."""
    called: set[tuple[str, str, int]] = set()
    start = str(SERVICES)

    def trace(frame: types.FrameType, _event: str, _argument: object) -> None:
        code = frame.f_code
        if code.co_filename.startswith(start):
            called.add((code.co_filename, code.co_qualname.split(".<locals>")[0],
                        code.co_firstlineno))  # fmt: skip

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield called
    finally:
        sys.settrace(before)


def load_profile(*, examples: int = 100) -> None:
    """Make Hypothesis draw the same examples in each run, and stop at the first that fails."""
    hypothesis.settings.register_profile(
        "mutation",
        parent=hypothesis.settings.get_profile("untimed"),
        database=None,
        max_examples=examples,
        derandomize=True,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")


ARGUMENTS = ("-q", "-s", "-p", "no:randomly", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=0",
             "-W", "ignore::pytest.PytestAssertRewriteWarning")  # fmt: skip


class _Plugin:
    def __init__(self, work: Callable[[pytest.Session], None], examples: int = 100) -> None:
        self.work = work
        self.examples = examples

    def pytest_configure(self) -> None:
        load_profile(examples=self.examples)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if not session.testsfailed:
            self.work(session)
        return True


def with_collected(work: Callable[[Collected], None], places: Sequence[str] = PLACES) -> None:
    """Collect the unit tests and do the work with them."""
    noted: set[tuple[str, str, int]] = set()

    def loop(session: pytest.Session) -> None:
        sys.settrace(None)
        held = Collected(session)
        held.at_import = set(noted)
        held.measure()
        work(held)

    with calls_noted() as called:
        noted = called
        pytest.main([*ARGUMENTS, *places], plugins=[_Plugin(loop)])


class _Finder:
    """Gives one module its changed code when it is imported."""

    def __init__(self, name: str, path: Path, code: types.CodeType) -> None:
        self.name, self.path, self.code = name, path, code

    def find_spec(self, name: str, _path: object, _target: object = None) -> object:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def create_module(self, _spec: object) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        exec(self.code, module.__dict__)


class Nursery:
    """A process that has imported the tools but nothing of the product; its children import anew."""

    def __init__(self) -> None:
        for name in ("psycopg", "msgspec", "yaml", "cryptography.x509", "redis", "uvloop"):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        asked, self._ask = os.pipe()
        self._answer, answered = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._ask)
            os.close(self._answer)
            with os.fdopen(asked, "rb") as questions, os.fdopen(answered, "wb") as answers:
                _serve(questions, answers)
            os._exit(0)
        os.close(asked)
        os.close(answered)
        self._questions = os.fdopen(self._ask, "wb")
        self._answers = os.fdopen(self._answer, "rb")

    def verdict(self, path: Path, changed: types.CodeType, places: list[str], cpu_s: float) -> str:
        """Return what the tests say to a change on a module's own level."""
        pickle.dump((path, marshal.dumps(changed), places, cpu_s), self._questions)
        self._questions.flush()
        answer: str = pickle.load(self._answers)
        return answer

    def close(self) -> None:
        """End the process."""
        self._questions.close()
        self._answers.close()
        os.waitpid(self._pid, 0)


def _serve(questions: BinaryIO, answers: BinaryIO) -> None:
    while True:
        try:
            path, code, places, cpu_s = pickle.load(questions)
        except EOFError:
            return
        work = functools.partial(_import_and_run, path, marshal.loads(code), places)
        pickle.dump(in_child(work, cpu_s=cpu_s), answers)
        answers.flush()


def _import_and_run(path: Path, changed: types.CodeType, places: list[str]) -> str:
    def loop(session: pytest.Session) -> None:
        is_green = all(_passes(item) for item in session.items)
        os._exit(_EXIT[SURVIVED if is_green else KILLED])

    name = ".".join(path.relative_to(SERVICES).with_suffix("").parts)
    sys.meta_path.insert(0, _Finder(name, path, changed))
    pytest.main([*ARGUMENTS, *places], plugins=[_Plugin(loop, FRESH_EXAMPLES)])
    return KILLED  # It did not get as far as running a test.
