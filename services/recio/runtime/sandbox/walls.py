"""The walls that the strategy's process builds around itself, before it loads anything of the trader's.

    namespaces    no network but an empty one, no shared memory of others   where the system lets us
    empty root    the file system is an empty folder                        where the system lets us
    nobody        another user than the one who started us                  only if that was root
    rlimits       memory, CPU, no new file descriptor, no process, no bytes into files     always
    no_new_privs  nothing that it could start would gain rights                            Linux
    seccomp       computing, and the two pipes; every other system call fails  Linux, x86-64 and arm64

Each wall that stands is told by name to whoever started us. A wall that the system refuses is left
out: in a restricted pod these are the first three, and the pod has an empty file system to write to
and a network policy of its own. Nothing here is undone: there is no way back.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
from pathlib import Path
from typing import Final

from recio.runtime.sandbox import syscalls

NOBODY: Final = 65534
_NEW_USER: Final = 0x10000000
_NEW_OTHERS: Final = 0x40000000 | 0x08000000 | 0x04000000 | 0x00020000
"""Network, IPC, host name, mounts."""
_SET_DEATH_SIGNAL: Final = 1
_SET_DUMPABLE: Final = 4
_SET_SECCOMP: Final = 22
_SET_NO_NEW_PRIVS: Final = 38
_FILTER: Final = 2


class _Program(ctypes.Structure):
    _fields_ = (("count", ctypes.c_ushort), ("steps", ctypes.c_void_p))


def build(*, memory_bytes: int, cpu_seconds: int, descriptors: int) -> list[str]:
    """Build every wall that the system lets us build; return their names.

    Args:
        memory_bytes: how much address space beyond what is in use now.
        cpu_seconds: CPU time from the process's start; whoever started it may raise this.
        descriptors: file descriptors below this number are open already; none is to follow.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    standing = _set_apart(libc)
    # Nobody but root can go into an empty root, and whoever goes needs no rights afterwards.
    if _enter_empty_root():
        standing.append("empty root")
    if os.geteuid() == 0 and "own user" not in standing:
        _become_nobody()
        standing.append("nobody")
    _limit(memory_bytes=memory_bytes, cpu_seconds=cpu_seconds, descriptors=descriptors)
    standing.append("rlimits")
    libc.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        standing.append("no_new_privs")
        if _filter(libc):
            standing.append("seccomp")
    return standing


def _set_apart(libc: ctypes.CDLL) -> list[str]:
    """Leave the namespaces of the machine; without rights, by way of a user namespace."""
    if libc.unshare(_NEW_OTHERS) == 0:
        return ["own network"]
    if libc.unshare(_NEW_USER | _NEW_OTHERS) == 0:
        return ["own user", "own network"]
    return []


def _enter_empty_root() -> bool:
    try:
        os.chroot(".")
    except OSError:
        return False
    os.chdir("/")
    return True


def _become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def in_use_bytes() -> int:
    """Return the address space in use; must be asked while files can still be read."""
    pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    return pages * resource.getpagesize()


def _limit(*, memory_bytes: int, cpu_seconds: int, descriptors: int) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_NOFILE, descriptors),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, resource.RLIM_INFINITY))


def _filter(libc: ctypes.CDLL) -> bool:
    code = syscalls.program(platform.machine())
    if code is None:
        return False
    steps = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(steps, ctypes.c_void_p))
    installed: int = libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)
    return installed == 0
