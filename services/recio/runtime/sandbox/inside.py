"""The strategy's own process: reads its set-up, walls itself in, loads the class, answers questions.

Nothing of the trader's runs before the walls stand. Whatever the class raises is told as the answer's
failure; whoever started us decides what becomes of us, usually the end. Standard input brings
questions, standard output takes answers; both are moved away from where ``print`` would find them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from recio.domain.proposals import MOST_PROPOSALS, Proposal
from recio.runtime.sandbox import guard, walls, wire

_MOST_CHARACTERS: Final = 500
_QUESTIONS: Final = 3
_ANSWERS: Final = 4
Ask = Callable[[Any], Iterable[Proposal] | None]


def main() -> None:
    """Serve until the questions end."""
    _take_pipes()
    setup = wire.read_setup(_read_frame())
    guard.load_allowed()
    _go_first_when_memory_ends()
    standing = walls.build(
        memory_bytes=walls.in_use_bytes() + setup.memory_bytes,
        cpu_seconds=setup.cpu_seconds,
        descriptors=_ANSWERS + 1,
    )
    guard.install()
    try:
        ask = _load(setup)
    except BaseException as error:  # noqa: BLE001 (the outermost loop of a process that is not ours)
        _write(wire.Reply(0, failure=_told(error, setup.file_name)))
        return
    _write(wire.Reply(0, walls=tuple(standing)))
    while body := _read_frame():
        question = wire.read_question(body)
        try:
            reply = wire.Reply(question.number, _proposals(ask(question.view)))
            frame = wire.framed(reply)
        except BaseException as error:  # noqa: BLE001
            reply = wire.Reply(question.number, failure=_told(error, setup.file_name))
            frame = wire.framed(reply)
        _write_all(frame)


def _take_pipes() -> None:
    """Keep the two pipes as 3 and 4, and nothing else: 0, 1 and 2 lead nowhere."""
    questions, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(questions, 10)
    os.dup2(answers, 11)
    os.dup2(10, _QUESTIONS)
    os.dup2(11, _ANSWERS)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.closerange(_ANSWERS + 1, 64)


def _go_first_when_memory_ends() -> None:
    """Let the kernel end this process before any other of the container."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(b"1000")


def _read_frame() -> bytes:
    """Return the next message; nothing when there is nobody left who asks."""
    head = _read(wire.LENGTH_BYTES)
    return _read(int.from_bytes(head, "big")) if len(head) == wire.LENGTH_BYTES else b""


def _read(size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0 and (part := os.read(_QUESTIONS, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _write(reply: wire.Reply) -> None:
    _write_all(wire.framed(reply))


def _write_all(frame: bytes) -> None:
    while frame:
        frame = frame[os.write(_ANSWERS, frame) :]


def _load(setup: wire.Setup) -> Ask:
    module = ModuleType(guard.MODULE)
    sys.modules[guard.MODULE] = module
    code = compile(setup.source, setup.file_name, "exec", dont_inherit=True)
    exec(code, module.__dict__)  # noqa: S102 (this is what the process is for)
    made = getattr(module, setup.class_name, None)
    if not isinstance(made, type):
        found = [name for name, each in vars(module).items() if isinstance(each, type)]
        raise LookupError(  # noqa: TRY004 (a class is missing, not of another type)
            f"expected a class {setup.class_name} in {setup.file_name}, "
            f"found {', '.join(found) or 'no class'}"
        )
    ask: Ask = made(dict(setup.parameters)).propose
    return ask


def _proposals(given: Iterable[Proposal] | None) -> tuple[Proposal, ...]:
    if given is None:
        return ()
    taken = tuple(itertools.islice(given, MOST_PROPOSALS + 1))
    if len(taken) > MOST_PROPOSALS:
        raise ValueError(f"expected at most {MOST_PROPOSALS} proposals, received more")
    for one in taken:
        if not isinstance(one, Proposal):
            raise TypeError(f"expected a list of Proposal, received in it {type(one).__name__}")
    return taken


def _told(error: BaseException, file_name: str) -> str:
    """Return the error with the trader's own line."""
    line = 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file_name:
            line = trace.tb_lineno
        trace = trace.tb_next
    where = f" ({file_name}, line {line})" if line else ""
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 (an error of the trader's that cannot be shown)
        text = "?"
    shown = text[:_MOST_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
    return f"{type(error).__name__}: {shown}{where}"


if __name__ == "__main__":
    main()
