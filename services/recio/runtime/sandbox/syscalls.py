"""The seccomp filter: which system calls the strategy's process may still make.

Everything that a computation needs (memory, reading and writing the pipes it already has, the clock,
ending) and nothing else: no file, no socket, no process, no thread, no memory that can be executed.
Every other call fails with EPERM, so that the trader reads a sentence and not a signal; another
architecture's calls end the process.

Sources: seccomp(2), include/uapi/linux/{seccomp,filter,audit}.h; the tables of system calls in
arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

ARCHITECTURES: Final[Mapping[str, int]] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_BIT: Final = 0x40000000

PLAIN: Final[Mapping[str, tuple[int, int]]] = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "getpid": (39, 172),
    "exit": (60, 93),
    "gettimeofday": (96, 169),
    "getrusage": (98, 165),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "exit_group": (231, 94),
    "getrandom": (318, 278),
    "rseq": (334, 293),
}
"""Name -> number on x86-64 and on arm64."""
UNLESS_EXECUTABLE: Final[Mapping[str, tuple[int, int]]] = {"mmap": (9, 222), "mprotect": (10, 226)}

_LOAD: Final = 0x20
_EQUAL: Final = 0x15
_AT_LEAST: Final = 0x35
_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06
_KILL: Final = 0x80000000
_ALLOW: Final = 0x7FFF0000
_EPERM: Final = 0x00050000 | 1
_NUMBER_AT: Final = 0
_ARCHITECTURE_AT: Final = 4
_PROTECTION_AT: Final = 32
_PROT_EXEC: Final = 4

Instruction = tuple[int, int, int, int]
"""(code, steps if true, steps if false, value)."""


def program(machine: str) -> bytes | None:
    """Return the filter as the kernel reads it; None: not known for this machine."""
    audit = ARCHITECTURES.get(machine)
    if audit is None:
        return None
    place = list(ARCHITECTURES).index(machine)
    steps = _head(audit, is_x86=machine == "x86_64")
    for numbers in UNLESS_EXECUTABLE.values():
        steps += [
            (_EQUAL, 0, 4, numbers[place]),
            (_LOAD, 0, 0, _PROTECTION_AT),
            (_ANY_BIT, 0, 1, _PROT_EXEC),
            (_RETURN, 0, 0, _EPERM),
            (_RETURN, 0, 0, _ALLOW),
        ]
    for numbers in PLAIN.values():
        steps += [(_EQUAL, 0, 1, numbers[place]), (_RETURN, 0, 0, _ALLOW)]
    steps.append((_RETURN, 0, 0, _EPERM))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _head(audit: int, *, is_x86: bool) -> list[Instruction]:
    steps: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if is_x86:
        # The same numbers with this bit are another table on the same processor.
        steps += [(_AT_LEAST, 0, 1, X32_BIT), (_RETURN, 0, 0, _KILL)]
    return steps
