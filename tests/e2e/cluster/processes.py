"""Processes that outlive the command that started them, known by pid and start time.

A pid alone may be somebody else's by now; with the kernel's start time it cannot. Nothing here is
ever found or stopped by its name.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.cluster import paths
from tests.e2e.cluster.shell import CommandFailed, TooLate, tail, wait_for

STOP_SECONDS: Final = 10.0
_START_TIME_FIELD: Final = 19
"""Field 22 of /proc/PID/stat, counted behind the name in brackets."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process by pid and start time, in clock ticks since boot."""

    pid: int
    start_ticks: int

    def is_alive(self) -> bool:
        """Tell whether this very process runs (a zombie does not)."""
        state, start_ticks = _stat(self.pid)
        # A killed process's first thread is a zombie while others still hold its sockets.
        return start_ticks == self.start_ticks and (state != "Z" or _threads(self.pid) > 1)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the process is still there."""
        if self.is_alive():
            os.kill(self.pid, number)

    def stop(self, *, seconds: float = STOP_SECONDS) -> None:
        """Ask the process to end, and end it when it does not."""
        self.send(signal.SIGTERM)
        try:
            self.wait(seconds)
        except TooLate:
            self.send(signal.SIGKILL)
            self.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End the process at once."""
        self.send(signal.SIGKILL)
        self.wait(STOP_SECONDS)

    def wait(self, seconds: float) -> None:
        """Wait for the process's end.

        Raises:
            TooLate: it is still there.
        """
        wait_for(
            f"end of process {self.pid}", lambda: not self._is_there(), timeout_seconds=seconds
        )

    def _is_there(self) -> bool:
        reap(self.pid)
        return self.is_alive()

    def children(self) -> list[Process]:
        """Return the processes that this one started."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        try:
            pids = listed.read_text().split()
        except OSError:
            return []
        return [found for pid in pids if (found := find(int(pid))) is not None]

    def save(self, path: Path) -> None:
        """Write the two numbers into a file."""
        path.write_text(f"{self.pid} {self.start_ticks}\n")


def load(path: Path) -> Process | None:
    """Return the process that a file names, if it still runs."""
    try:
        pid, start_ticks = (int(word) for word in path.read_text().split())
    except (FileNotFoundError, ValueError):
        return None
    process = Process(pid, start_ticks)
    return process if process.is_alive() else None


def find(pid: int) -> Process | None:
    """Return the process that has this pid now."""
    _state, start_ticks = _stat(pid)
    return None if start_ticks is None else Process(pid, start_ticks)


def _stat(pid: int) -> tuple[str, int | None]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "", None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[_START_TIME_FIELD])


def _threads(pid: int) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return 0


def reap(pid: int) -> None:
    """Take in the status of a child that has ended; nothing happens if it is not our child."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def start(
    command: Sequence[str | Path], log: Path, *, dies_with_us: bool, cwd: Path | None = None
) -> Process:
    """Start a program in a session of its own; what it says goes to a log file.

    Args:
        command: the program and its arguments.
        log: the file that its output is added to.
        dies_with_us: the kernel kills it when the starting thread ends, however that happens.
        cwd: the folder that it starts in.

    Raises:
        CommandFailed: it could not be started.
    """
    words = [str(word) for word in command]
    if dies_with_us:
        words = ["setpriv", "--pdeathsig", "KILL", *words]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=paths.environment(),
            cwd=cwd,
        )
    # We wait for it ourselves (reap); the object must not warn that its child goes on.
    child.returncode = 0
    process = find(child.pid)
    if process is None:
        raise CommandFailed(f"{words[0]} ended at once:\n{tail(log.read_text(errors='replace'))}")
    return process
