"""A strategy that does what it must not: refused with a sentence, killed, started anew."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest

from recio.domain.errors import StrategyFailed
from recio.domain.proposals import MOST_PROPOSALS
from recio.engine.entry import Ask
from recio.runtime.sandbox import wire
from recio.runtime.sandbox.child import Limits
from recio.runtime.sandbox.client import Sandbox
from recio.testing.views import VIEW

QUICK = Limits(answer_seconds=0.5, cpu_seconds=5)
ASK = Ask(VIEW.event_ticker, VIEW.generation, VIEW.at_us, VIEW)
GOOD = """
    def propose(self, view):
        return [Proposal(view.strikes[0].ticker, "yes", 1, 970_000)]
"""


def written(folder: Path, body: str, *, head: str = "") -> Path:
    """Write a strategy whose class has this body."""
    file = folder / "mine.py"
    text = "from recio.strategy import *\n" + dedent(head) + "class Mine:\n"
    text += "    def __init__(self, parameters):\n        self.parameters = parameters\n"
    file.write_text(text + body, encoding="utf-8")
    return file


def proposing(line: str) -> str:
    """Return the body of a class whose answer begins with this line."""
    return f"    def propose(self, view):\n        {line}\n        return []\n"


def failure_of(file: Path, limits=QUICK) -> StrategyFailed:
    """Return how a strategy failed; its process must be gone then."""
    with Sandbox(file, "Mine", {}, limits=limits) as sandbox:
        with pytest.raises(StrategyFailed) as caught:
            sandbox.ask(VIEW)
        assert sandbox.walls == ()
        assert sandbox.failures == 1
    return caught.value


RAISED = {
    "an exception": ("raise ValueError('no idea')", "ValueError: no idea (mine.py, line 6)"),
    "sys.exit": ("raise SystemExit(3)", "SystemExit: 3"),
    "Ctrl-C": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "endless recursion": ("self.propose(view)", "RecursionError"),
    "1 GB": ("x = bytearray(2**30)", "MemoryError"),
    "a list of 1 GB": ("x = [0] * 2**27", "MemoryError"),
    "open": ("open('/etc/passwd')", "a strategy may not open files (open '/etc/passwd')"),
    "writing": ("open('notes.txt', 'w')", "a strategy may not open files"),
    "import os": ("import os", "a strategy may not import 'os': expected one of"),
    "import socket": ("import socket", "a strategy may not import 'socket'"),
    "import ctypes": ("import ctypes", "a strategy may not import 'ctypes'"),
    "import threading": ("import threading", "a strategy may not import 'threading'"),
    "import time": ("import time", "a strategy may not import 'time'"),
    "import random": ("import random", "a strategy may not import 'random'"),
    "import psycopg": ("import psycopg", "a strategy may not import 'psycopg'"),
    "our own modules": ("from recio.runtime import settings", "may not import 'recio.runtime'"),
    "a relative import": ("from . import settings", "may not import ''"),
    "a breakpoint": ("breakpoint()", "a strategy may not stop for a debugger"),
    "a question to a person": ("input('?')", "a strategy may not ask a person"),
    "a number": ("return 3", "TypeError"),
    "tuples": ("return [('T', 'yes', 1)]", "expected a list of Proposal, received in it tuple"),
    "changing what it sees": ("view.at_us = 0", "AttributeError"),
    "too many": (
        "return (Proposal('T', 'yes', 1, 1) for _ in iter(int, 1))",
        f"expected at most {MOST_PROPOSALS} proposals",
    ),
    "an error that cannot be shown": (
        "raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})",
        "E: ?",
    ),
}


@pytest.mark.parametrize("name", RAISED)
def test_what_it_may_not_do_is_told_in_a_sentence(name, tmp_path):
    """The person reads what was tried, and where."""
    line, message = RAISED[name]

    error = failure_of(written(tmp_path, proposing(line)))

    assert (error.kind, message in str(error)) == ("raised", True), error


REACH = """
    import types
    def module(name):
        # What a person who knows Python finds behind the list of imports.
        return type(types).__class__.__base__.__subclasses__ and __builtins__["__import__"](
            name, {"__name__": "json"}
        )
"""
BEYOND = {
    "fork": ("module('posix').fork()", "use the operating system"),
    "a thread": ("module('_thread').start_new_thread(print, ())", "thread"),
    "exec": ("module('posix').execv('/bin/sh', ['sh'])", "use the operating system"),
    "reading a file": ("module('posix').open('/etc/passwd', 0)", "open files"),
    "listing files": ("module('posix').listdir('/')", "use the operating system"),
    "killing its parent": ("module('posix').kill(module('posix').getppid(), 9)", "system"),
}


@pytest.mark.parametrize("name", BEYOND)
def test_behind_the_list_of_imports_it_finds_nothing(name, tmp_path):
    """Who gets past the list meets the audit hook and the system's own walls."""
    line, message = BEYOND[name]

    error = failure_of(written(tmp_path, proposing(line), head=REACH))

    assert (error.kind, message in str(error)) == ("raised", True), error


@pytest.mark.parametrize(
    "line",
    ["module('_socket').socket()", "module('ctypes').CDLL(None)", "module('subprocess').run('x')"],
)
def test_foreign_code_and_sockets_are_out_of_reach(line, tmp_path):
    """Their modules are files that cannot be read, or part of Python and refused by the hook."""
    error = failure_of(written(tmp_path, proposing(line), head=REACH))

    assert error.kind == "raised", error


def test_its_environment_says_nothing(tmp_path, monkeypatch):
    """No secret of the one who started it is in it."""
    monkeypatch.setenv("RECIO_REDIS_PASSWORD", "a secret")
    line = "raise ValueError(sorted(module('posix').environ))"

    error = failure_of(written(tmp_path, proposing(line), head=REACH))

    assert "[b'LC_CTYPE', b'PYTHONHASHSEED']" in str(error) or "[b'PYTHONHASHSEED']" in str(error)


@pytest.mark.parametrize("line", ["while True: pass", "x = 9 ** 9 ** 9", "sum(iter(int, 1))"])
def test_a_loop_without_end_is_killed_in_time(line, tmp_path):
    """Also one that never comes back to Python."""
    error = failure_of(written(tmp_path, proposing(line)))

    assert (error.kind, str(error)) == ("timeout", "timeout: no answer within 0.5 s")


def test_a_loop_without_end_at_the_start_is_killed(tmp_path):
    """Before it was asked anything."""
    limits = Limits(start_seconds=1.0)
    file = written(tmp_path, GOOD, head="while True: pass\n")

    assert failure_of(file, limits).kind == "timeout"


def test_its_cpu_time_is_limited_by_the_system_too(tmp_path):
    """Even if nobody watched the clock."""
    limits = Limits(answer_seconds=60, cpu_seconds=1)

    error = failure_of(written(tmp_path, proposing("while True: pass")), limits)

    assert str(error) == "ended: the process ended by signal SIGXCPU"


def test_a_process_that_ends_itself_is_named(tmp_path):
    """Without an exception."""
    error = failure_of(written(tmp_path, proposing("module('posix')._exit(7)"), head=REACH))

    assert str(error) == "ended: the process ended with status 7"


NOT_PROPOSALS = {
    "no such side": "Proposal('T', 'maybe', 1, 970_000)",
    "half a contract": "Proposal('T', 'yes', 0.5, 970_000)",
    "no contract": "Proposal('T', 'yes', 0, 970_000)",
    "a percentage": "Proposal('T', 'yes', 1, 97.0)",
    "too sure": "Proposal('T', 'yes', 1, 1_000_001)",
    "a free lunch": "Proposal('T', 'yes', 1, 970_000, 0)",
    "another type": "Proposal(None, 'yes', 1, 970_000)",
    "an endless ticker": "Proposal('T' * 65, 'yes', 1, 970_000)",
    "a novel": "Proposal('T', 'yes', 1, 970_000, None, 'x' * 201)",
    "a market twice": "Proposal('T', 'yes', 1, 970_000)] + [Proposal('T', 'no', 1, 970_000)",
}


@pytest.mark.parametrize("name", NOT_PROPOSALS)
def test_nonsense_is_refused_by_the_one_who_reads_it(name, tmp_path):
    """The process is not trusted to judge itself."""
    error = failure_of(written(tmp_path, proposing(f"return [{NOT_PROPOSALS[name]}]")))

    assert error.kind == "nonsense", error


def test_an_answer_that_is_too_long_is_not_read(tmp_path):
    """It would fill the memory of the one who trades."""
    line = "return [Proposal('T', 'yes', 1, 970_000, None, 'x' * 10**6)]"

    assert failure_of(written(tmp_path, proposing(line))).kind == "too_long"


FORGED = {
    "bytes of its own": (b"\x00\x00\x00\x02\x90\x90", "nonsense"),
    "a gigabyte": (b"\x40\x00\x00\x00", "too_long"),
    "an answer to another question": (wire.framed(wire.Reply(99)), "nonsense"),
    "two answers": (wire.framed(wire.Reply(1)) * 2, "nonsense"),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_it_writes_past_us_is_judged_alike(name, tmp_path):
    """It may find the pipe; it still can only answer, once."""
    data, kind = FORGED[name]
    body = proposing(f"module('posix').write(4, {data!r}); return iter(int, 1)")

    assert failure_of(written(tmp_path, body, head=REACH)).kind == kind


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class Mine:\n  def propose(self", "SyntaxError"),
        ("class Yours: pass", "expected a class Mine in mine.py, found Yours"),
        ("Mine = 3", "found no class"),
        ("class Mine: pass", "TypeError: Mine() takes no arguments"),
        ("class Mine:\n  def __init__(self, p): self.x = p['window']", "KeyError: 'window'"),
        ("class Mine:\n  def __init__(self, p): pass", "no attribute 'propose'"),
        ("import requests", "a strategy may not import 'requests'"),
        ("open('x')", "a strategy may not open files"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_told(text, message, tmp_path):
    """With the line."""
    file = tmp_path / "mine.py"
    file.write_text(text, encoding="utf-8")
    error = failure_of(file)

    assert (error.kind, message in str(error)) == ("not_loaded", True), error


@pytest.mark.parametrize("data", [None, b"\xff\xfe", b"#" * (wire.MOST_SOURCE_BYTES + 1)])
def test_a_file_that_cannot_be_read_is_told(data, tmp_path):
    """Absent, not text, or too long."""
    file = tmp_path / "mine.py"
    if data is not None:
        file.write_bytes(data)

    with pytest.raises(StrategyFailed, match="not_loaded: expected"):
        Sandbox(file, "Mine", {})


def test_after_a_failure_it_is_started_anew(tmp_path):
    """The process is another one, and what the last one knew is gone."""
    body = """
    def propose(self, view):
        if view.generation == 2:
            raise ValueError("two")
        self.seen = getattr(self, "seen", 0) + 1
        return [Proposal(f"T{self.seen}", "yes", 1, 970_000)]
"""
    with Sandbox(written(tmp_path, body), "Mine", {}, limits=QUICK) as sandbox:
        assert sandbox.ask(VIEW)[0].market_ticker == "T1"
        assert sandbox.ask(VIEW)[0].market_ticker == "T2"
        with pytest.raises(StrategyFailed):
            sandbox.ask(msgspec.structs.replace(VIEW, generation=2))
        assert sandbox.ask(VIEW)[0].market_ticker == "T1"


def test_failures_are_told_to_the_fold_and_asked_ever_more_rarely(tmp_path):
    """One, two, four … questions pass unasked: counted, not timed, so that runs are the same."""
    with Sandbox(written(tmp_path, proposing("raise ValueError")), "Mine", {}) as sandbox:
        told = [sandbox.answer(ASK) for _ in range(12)]

    assert {one.failure for one in told} == {"raised: ValueError:  (mine.py, line 6)"}
    assert sandbox.failures == 4


def test_nothing_of_it_stays(tmp_path):
    """Neither process nor folder."""
    sandbox = Sandbox(written(tmp_path, GOOD), "Mine", {})
    sandbox.ask(VIEW)
    child = sandbox._child
    folder, pid = Path(child._folder), child.pid
    assert folder.is_dir()

    sandbox.close()

    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


ORPHANING = """
import os, sys
from pathlib import Path
from recio.runtime.sandbox.child import Child, Limits, read_source
from recio.runtime.sandbox.client import waited
from recio.testing.views import VIEW
child = Child(read_source(Path(sys.argv[1]), "Mine", {}), Limits())
waited(child, 20)
child.ask(VIEW)
print(child.pid, child._folder, flush=True)
os._exit(0)
"""


def test_it_dies_with_the_one_who_started_it(tmp_path):
    """Also while it loops and reads nothing: a killed service leaves nothing that computes."""
    file = written(tmp_path, proposing("while True: pass"))

    done = subprocess.run(
        [sys.executable, "-c", ORPHANING, str(file)], capture_output=True, check=True, timeout=60
    )

    pid, folder = done.stdout.decode().split()
    watched = select.poll()
    try:
        process = os.pidfd_open(int(pid))
    except ProcessLookupError:
        process = None
    if process is not None:
        watched.register(process, select.POLLIN)
        assert watched.poll(20_000)
        os.close(process)
    Path(folder).rmdir()
