"""`recio up` in the background of a test: started as from a terminal, read line by line, ended.

Every wait has an end and says what it waited for. Whoever runs the tests may ignore signals (nohup
ignores SIGHUP, a shell's background SIGINT) or have no input; neither is handed on. What a failing
test leaves running is killed, so that it fails alone.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import re
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

START_S = 120
STOP_S = 90
RECIO = (sys.executable, "-m", "recio")
BY_DEFAULT = ("env", "--default-signal=HUP,INT,TERM")
"""Signals as a terminal hands them to what is started in it."""

_numbers = itertools.count(1)


def state_in(directory):
    """Return a state directory of its own with a short path."""
    path = directory / f"up{next(_numbers)}-{os.getpid()}"
    path.mkdir(mode=0o755)
    return path / "state"


def processes(state):
    """Return the ids of the processes that mention the state directory."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(state) in (entry / "cmdline").read_text():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def kill_all(process, state):
    """End a run and whatever it started at once."""
    if process.poll() is None:
        process.kill()
    # Its servers are sessions of their own and outlive it.
    for pid in processes(state):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(STOP_S)


class Run:
    """One `recio up` in the background, and what it said."""

    def __init__(self, state, *words):
        self.said = []
        self._state = state
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            [*BY_DEFAULT, *RECIO, "up", "--state", str(state), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self):
        """The supervising process."""
        return self._process.pid

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line.rstrip())
        self._lines.put(None)

    def until(self, pattern):
        """Wait for a line that matches; return the match."""
        deadline = time.monotonic() + START_S
        while (line := self._next(deadline, pattern)) is not None:
            self.said.append(line)
            if (match := re.search(pattern, line)) is not None:
                return match
        raise AssertionError(self._told(f"ended without {pattern!r}"))

    def _next(self, deadline, pattern):
        try:
            return self._lines.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            raise AssertionError(self._told(f"no {pattern!r} within {START_S} s")) from None

    def _told(self, what):
        return "\n".join([f"recio up: {what}; it said:", *self.said])

    def end(self):
        """Press Ctrl-C and wait; return the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        return self.status()

    def status(self):
        """Wait for the end; return the exit status."""
        try:
            status = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(self._told(f"did not end within {STOP_S} s")) from None
        self._close()
        return status

    def kill(self):
        """End it and everything that it started at once; nothing to do if it has ended."""
        kill_all(self._process, self._state)
        self._close()

    def _close(self):
        self._reader.join(10)
        # A reader that still reads holds the pipe: somebody has inherited it.
        assert not self._reader.is_alive(), self._told(f"open output: {processes(self._state)}")
        self._process.stdout.close()
        while not self._lines.empty():
            if (line := self._lines.get()) is not None:
                self.said.append(line)


class TerminalRun:
    """One `recio up` in a terminal of its own, which can be closed."""

    def __init__(self, state, *words):
        self._state = state
        self._said = b""
        self._ours, theirs = os.openpty()
        try:
            self._process = subprocess.Popen(
                [*BY_DEFAULT, "setsid", "-c", *RECIO, "up", "--state", str(state), *words],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
            )
        finally:
            os.close(theirs)

    def until(self, words):
        """Wait until it has said some words."""
        deadline = time.monotonic() + START_S
        while words.encode() not in self._said:
            left_s = max(deadline - time.monotonic(), 0)
            assert select.select([self._ours], [], [], left_s)[0], self._told(f"no {words!r}")
            try:
                self._said += os.read(self._ours, 4096)
            except OSError:  # Nobody is at the other end any more.
                raise AssertionError(self._told(f"ended without {words!r}")) from None

    def _told(self, what):
        return f"recio up: {what} within {START_S} s; it said:\n{self._said.decode()}"

    def close_terminal(self):
        """Close it, which the kernel tells by SIGHUP; return the exit status."""
        os.close(self._ours)
        self._ours = -1
        return self._process.wait(STOP_S)

    def kill(self):
        """End whatever is left of it at once."""
        if self._ours >= 0:
            os.close(self._ours)
        kill_all(self._process, self._state)
