"""Running commands and telling how long things take.

A command that fails raises ``CommandFailed`` with the end of what it said: the reason is in the
message, not in a log that nobody finds.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, TypeVar

from tests.e2e.cluster import paths

SHOWN_LINES: Final = 25
T = TypeVar("T")


class CommandFailed(RuntimeError):
    """A program ended with an error; the message holds its last words."""


class TooLate(TimeoutError):
    """Something did not come about in time; the message says what was seen last."""


def say(text: str) -> None:
    """Print one line of progress on standard error."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a command's progress


def run(
    command: Sequence[str | Path],
    *,
    given: str | None = None,
    source: Path | None = None,
    cwd: Path | None = None,
    extra: Mapping[str, str] | None = None,
    timeout_seconds: float = 600.0,
) -> str:
    """Run a command to its end and return its standard output.

    Args:
        command: the program and its arguments.
        given: text for its standard input.
        source: a file for its standard input instead.
        cwd: the folder to run it in.
        extra: variables that are added to the environment.
        timeout_seconds: how long it may take.

    Raises:
        CommandFailed: it ended with an error, or not in time.
    """
    words = [str(word) for word in command]
    try:
        with _standard_input(given, source) as file:
            done = subprocess.run(
                words,
                stdin=file,
                cwd=cwd,
                env=paths.environment() | dict(extra or {}),
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout_seconds,
            )
    except FileNotFoundError as error:
        raise CommandFailed(f"{words[0]} is not installed (make apt)") from error
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"{' '.join(words)}: no end after {timeout_seconds:.0f} s") from error
    if done.returncode != 0:
        raise CommandFailed(
            f"{' '.join(words)} ended with {done.returncode}:\n{tail(done.stdout + done.stderr)}"
        )
    return done.stdout


def _standard_input(given: str | None, source: Path | None) -> IO[bytes]:
    if source is not None:
        return source.open("rb")
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write((given or "").encode())
    file.seek(0)
    return file


def tail(text: str, lines: int = SHOWN_LINES) -> str:
    """Return the last lines of a text."""
    return "\n".join(text.strip().splitlines()[-lines:])


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Tell what is being done, and how long it took."""
    started = time.monotonic()
    if sys.stderr.isatty():
        sys.stderr.write(f"           {name} …\r")
        sys.stderr.flush()
    yield
    say(f"  {time.monotonic() - started:6.1f} s  {name}")


def wait_for(
    what: str,
    probe: Callable[[], T | None],
    *,
    timeout_seconds: float,
    pause_seconds: float = 0.1,
) -> T:
    """Ask until something other than None or False comes back, and return it.

    Raises:
        TooLate: the deadline passed.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        answer = probe()
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() > deadline:
            raise TooLate(f"{what}: not within {timeout_seconds:.0f} s")
        time.sleep(pause_seconds)


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Hold a file lock: two runs that want the same thing made make it once."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
