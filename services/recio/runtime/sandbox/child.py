"""Starts, feeds and ends the process of a strategy; never waits for it.

The process gets one variable (``PYTHONHASHSEED``, so that sets have one order), a folder of its own
that is empty, two pipes and no other file descriptor, and a session of its own. Whatever it does that
it must not, it is killed and the reason named. Its CPU time is limited from here, a little at a time:
as long as it is not asked it cannot use any.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

import recio
from recio.domain.errors import StrategyFailed
from recio.domain.proposals import View
from recio.runtime.sandbox import wire

_ROOT: Final = str(Path(recio.__file__).resolve().parents[1])
_START: Final = (
    f"import sys; sys.path.insert(0, {_ROOT!r}); "
    "from recio.runtime.sandbox.inside import main; main()"
)
_PIPE_BYTES: Final = 512 * 1024
_READ_BYTES: Final = 64 * 1024


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy may use: wall seconds for an answer and for the start, memory, CPU at a time.

    ``memory_bytes`` come on top of the interpreter's own 18 MiB: with a service's they stay below the
    smallest limit of a pod (128 MiB), so that the kernel need not choose whom to end.
    """

    answer_seconds: float = 1.0
    start_seconds: float = 10.0
    memory_bytes: int = 32 * 1024 * 1024
    cpu_seconds: int = 30


@dataclass(frozen=True, slots=True)
class Source:
    """A strategy as it was read: text, class and parameters. ``name`` tells it from any other."""

    text: str
    file_name: str
    class_name: str
    parameters: Mapping[str, str]

    @property
    def name(self) -> str:
        """Return the class with a digest of everything that makes it what it is."""
        parts = (self.class_name, self.text, sorted(self.parameters.items()))
        digest = hashlib.sha256(msgspec.msgpack.encode(parts)).hexdigest()
        return f"Custom {self.class_name} {digest[:12]}"


def read_source(file: Path, class_name: str, parameters: Mapping[str, str]) -> Source:
    """Read a strategy's file.

    Raises:
        StrategyFailed: it is not there, too long, or not UTF-8.
    """
    try:
        data = file.read_bytes()
        text = data.decode("utf-8")
    except OSError as error:
        raise StrategyFailed(
            "not_loaded", f"expected the strategy in {file}: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise StrategyFailed("not_loaded", f"expected UTF-8 in {file}: {error}") from error
    if len(data) > wire.MOST_SOURCE_BYTES:
        raise StrategyFailed(
            "not_loaded",
            f"expected at most {wire.MOST_SOURCE_BYTES} bytes in {file}, received {len(data)}",
        )
    return Source(text, file.name, class_name, dict(parameters))


class Child:
    """One process. ``take`` gives its answers; after a ``StrategyFailed`` it is to be killed."""

    def __init__(self, source: Source, limits: Limits, *, hash_seed: int = 0) -> None:
        self.source = source
        self.limits = limits
        self.walls: tuple[str, ...] = ()
        self._number = 0
        self._waiting = bytearray()
        self._folder = tempfile.mkdtemp(prefix="recio-strategy-")
        self._process = subprocess.Popen(  # noqa: S603 (our own program, nothing of the trader's)
            [sys.executable, "-s", "-P", "-B", "-X", "utf8", "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            env={"PYTHONHASHSEED": str(hash_seed)},
            close_fds=True,
            start_new_session=True,
            bufsize=0,
        )
        self._began_s = time.monotonic()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions = self._process.stdin.fileno()
        self.answers = self._process.stdout.fileno()
        """The file descriptor that is readable when there may be an answer."""
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._questions, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.set_blocking(self._questions, False)
        os.set_blocking(self.answers, False)
        self._send(
            wire.Setup(
                source=source.text,
                file_name=source.file_name,
                class_name=source.class_name,
                parameters=dict(source.parameters),
                memory_bytes=limits.memory_bytes,
                cpu_seconds=limits.cpu_seconds,
            )
        )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def ask(self, view: View) -> None:
        """Put a question; its answer is the next one that ``take`` returns.

        Raises:
            StrategyFailed: the process is gone or does not read.
        """
        self._number += 1
        self._extend_cpu()
        self._send(wire.Question(self._number, view))

    def take(self) -> wire.Answer | None:
        """Return the answer that was waited for; None: it has not come yet, or not whole.

        Raises:
            StrategyFailed: the process ended, or what came is no answer.
        """
        try:
            part = os.read(self.answers, _READ_BYTES)
        except BlockingIOError:
            return None
        if not part:
            raise StrategyFailed("ended", f"the process ended {self._how()}")
        self._waiting += part
        return self._whole()

    def _whole(self) -> wire.Answer | None:
        if len(self._waiting) < wire.LENGTH_BYTES:
            return None
        size = int.from_bytes(self._waiting[: wire.LENGTH_BYTES], "big")
        if size > wire.MOST_ANSWER_BYTES:
            raise StrategyFailed(
                "too_long",
                f"expected an answer of at most {wire.MOST_ANSWER_BYTES} bytes, received {size}",
            )
        end = wire.LENGTH_BYTES + size
        if len(self._waiting) < end:
            return None
        body = bytes(self._waiting[wire.LENGTH_BYTES : end])
        if len(self._waiting) > end:
            raise StrategyFailed(
                "nonsense", "expected one answer, received more than was asked for"
            )
        self._waiting.clear()
        return self._judged(wire.read_answer(body))

    def _judged(self, answer: wire.Answer) -> wire.Answer:
        if answer.number != self._number:
            raise StrategyFailed(
                "nonsense", f"expected the answer to {self._number}, received {answer.number}"
            )
        if answer.failure:
            # It is shown on the page and kept in a database, which take no control characters.
            said = "".join(each if each.isprintable() else " " for each in answer.failure)
            raise StrategyFailed("raised" if self._number else "not_loaded", said)
        if not self._number:
            self.walls = answer.walls
        return answer

    def _send(self, message: wire.Setup | wire.Question) -> None:
        frame = wire.framed(message)
        if len(frame) > wire.MOST_QUESTION_BYTES:
            raise StrategyFailed("too_long", f"a question of {len(frame)} bytes is not asked")
        try:
            sent = os.write(self._questions, frame)
        except BrokenPipeError as error:
            raise StrategyFailed("ended", f"the process ended {self._how()}") from error
        except BlockingIOError:
            sent = 0
        if sent < len(frame):
            raise StrategyFailed("ended", "the process does not read its questions")

    def _extend_cpu(self) -> None:
        """Allow the CPU time that can have been used at most, and as much again for the answer."""
        used_s = int(time.monotonic() - self._began_s)
        with contextlib.suppress(OSError):
            most = (used_s + self.limits.cpu_seconds, resource.RLIM_INFINITY)
            resource.prlimit(self.pid, resource.RLIMIT_CPU, most)

    def _how(self) -> str:
        try:
            status = self._process.wait(0.2)
        except subprocess.TimeoutExpired:
            return "its side of the pipe"
        return (
            f"by signal {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        )

    def kill(self) -> None:
        """End it at once and wait for its end, which nothing can put off."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
