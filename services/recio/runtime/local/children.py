"""Processes forked from the warmed parent: started, watched, restarted, stopped.

A child tells that it is ready by one byte on a pipe; the pipe's end tells that it is gone. One that
dies is started again after a pause that doubles with each death in a row, up to ``PAUSE_MOST_S``;
one that lived for a minute begins with the shortest pause again. Children die with the parent
(PR_SET_PDEATHSIG) and do not get the terminal's Ctrl-C: the parent stops them in order.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

PAUSE_FIRST_S: Final = 0.5
PAUSE_MOST_S: Final = 20.0
STEADY_S: Final = 60.0
STOP_S: Final = 12.0

_PR_SET_PDEATHSIG: Final = 1
_READY: Final = b"r"

Body = Callable[[Callable[[], None]], int]
"""What a child does: it is handed the function that tells it is ready, and returns its status."""


@dataclass(slots=True, kw_only=True)
class Child:
    """One process and its history."""

    name: str
    body: Body
    log: Path
    pid: int = 0
    pipe: int = -1
    is_ready: bool = False
    started_s: float = 0.0
    next_start_s: float = 0.0
    pause_s: float = PAUSE_FIRST_S
    deaths: int = 0
    status: int | None = None


class Children:
    """All children of one run. ``say`` gets one line a change of state."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._children: dict[str, Child] = {}
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._parent = os.getpid()
        self.restarts = 0

    def __iter__(self) -> Iterator[Child]:
        return iter(self._children.values())

    def start(self, child: Child) -> None:
        """Fork a child now."""
        self._children[child.name] = child
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            self._run(child, writer)
        os.close(writer)
        child.pid, child.pipe = pid, reader
        child.is_ready, child.status = False, None
        child.started_s = time.monotonic()

    def _run(self, child: Child, writer: int) -> NoReturn:
        status = 1
        try:
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != self._parent:
                os._exit(1)
            os.setpgid(0, 0)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, set())
            log = os.open(child.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            _keep_only(writer, log)
            status = child.body(lambda: _tell_ready(writer))
        finally:
            os._exit(status)

    def watch(self, timeout_s: float) -> None:
        """Wait for news at most so long; take them in, and start what is due."""
        poll = select.poll()
        by_pipe = {child.pipe: child for child in self._children.values() if child.pipe >= 0}
        for pipe in by_pipe:
            poll.register(pipe, select.POLLIN)
        for pipe, _event in poll.poll(timeout_s * 1000):
            self._hear(by_pipe[pipe])
        now = time.monotonic()
        for child in self._children.values():
            if child.pid == 0 and child.status is not None and child.next_start_s <= now:
                self.restarts += 1
                self.start(child)

    def _hear(self, child: Child) -> None:
        if os.read(child.pipe, 1) == _READY:
            child.is_ready = True
            after = "" if child.deaths == 0 else f" again (after {child.deaths} restarts)"
            self._say(f"{child.name} is ready{after}")
            return
        _pid, status = os.waitpid(child.pid, 0)
        self._bury(child, os.waitstatus_to_exitcode(status))

    def _bury(self, child: Child, status: int) -> None:
        os.close(child.pipe)
        now = time.monotonic()
        if now - child.started_s > STEADY_S:
            child.pause_s = PAUSE_FIRST_S
        child.pid, child.pipe, child.is_ready, child.status = 0, -1, False, status
        child.deaths += 1
        child.next_start_s = now + child.pause_s
        self._say(
            f"{child.name} ended ({_cause(status)}); starts again in {child.pause_s:g} s; "
            f"its log: {child.log}"
        )
        child.pause_s = min(2 * child.pause_s, PAUSE_MOST_S)

    def are_ready(self) -> bool:
        """Whether every child has told that it is ready."""
        return all(child.is_ready for child in self._children.values())

    def stop(self, names: Iterable[str] | None = None) -> list[str]:
        """Ask children to end (all, or those named), wait, kill what stays; return whom it killed."""
        chosen = [
            child for child in self._children.values() if names is None or child.name in set(names)
        ]
        for child in chosen:
            child.next_start_s = float("inf")
            if child.pid:
                os.kill(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        return [child.name for child in chosen if child.pid and not self._wait_for(child, deadline)]

    def kill(self) -> None:
        """End all at once: what they were doing is recovered at the next start."""
        for child in self._children.values():
            if child.pid:
                os.kill(child.pid, signal.SIGKILL)

    def _wait_for(self, child: Child, deadline: float) -> bool:
        poll = select.poll()
        poll.register(child.pipe, select.POLLIN)
        is_gone = False
        while not is_gone and (left_s := deadline - time.monotonic()) > 0:
            heard = poll.poll(left_s * 1000)
            is_gone = os.waitpid(child.pid, os.WNOHANG)[0] != 0
            if heard and not is_gone:
                os.read(child.pipe, 1)
        if not is_gone:
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
        os.close(child.pipe)
        child.pid, child.pipe, child.is_ready = 0, -1, False
        return is_gone


def _keep_only(writer: int, log: int) -> None:
    """Close what the parent had open: its connections and pipes are not ours."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, writer)
    os.closerange(writer + 1, _fd_most() + 1)


def _fd_most() -> int:
    return max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())


def _tell_ready(writer: int) -> None:
    os.write(writer, _READY)


def _cause(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
