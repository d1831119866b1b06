"""The walls by themselves, without the good messages in front of them."""

from __future__ import annotations

import json
import os
import platform
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import recio
from recio.runtime.sandbox import syscalls

ROOT = str(Path(recio.__file__).parents[1])
PROBE = """
import encodings.ascii, ctypes, json, mmap, os, resource, socket, sys, _thread
from recio.runtime.sandbox import walls
libc = ctypes.CDLL(None, use_errno=True)
if len(sys.argv) > 1:
    # What a pod's user is, in the same interpreter: it may lie where only root can read it.
    user = int(sys.argv[1])
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
answers = os.dup(1)
standing = walls.build(
    memory_bytes=walls.in_use_bytes() + 64 * 2**20, cpu_seconds=10, descriptors=answers + 1
)
tried = {}
def attempt(name, act):
    try:
        found = act()
        tried[name] = f"DONE: {found!r}"
    except BaseException as error:
        tried[name] = getattr(error, "strerror", None) or type(error).__name__
attempt("open", lambda: os.open("/", 0))
attempt("open relative", lambda: os.open(".", 0))
attempt("write a file", lambda: os.open("notes", os.O_CREAT | os.O_WRONLY))
attempt("stat", lambda: os.stat("/"))
attempt("socket", lambda: socket.socket())
attempt("unix socket", lambda: socket.socket(socket.AF_UNIX))
attempt("pipe", os.pipe)
attempt("dup", lambda: os.dup(answers))
attempt("fork", os.fork)
attempt("thread", lambda: _thread.start_new_thread(print, ()))
attempt("exec", lambda: os.execv("/bin/true", ["true"]))
attempt("kill", lambda: os.kill(os.getppid(), 0))
attempt("more memory for itself", lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)))
attempt("1 GB", lambda: bytearray(2**30))
attempt("code", lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC))
attempt("ptrace", lambda: libc.ptrace(16, os.getpid(), 0, 0) and ctypes.get_errno() == 1 and 1 / 0)
attempt("another user", lambda: os.setuid(0))
attempt("sleep", lambda: libc.nanosleep(0, 0) and ctypes.get_errno() == 1 and 1 / 0)
attempt("arithmetic", lambda: sum(range(10)))
os.write(answers, json.dumps([standing, tried]).encode())
os._exit(0)
"""


def probed(*arguments, cwd):
    """Return which walls stand in a process, and what it could do."""
    done = subprocess.run(
        [sys.executable, "-s", "-P", "-B", "-c", f"import sys; sys.path.insert(0, {ROOT!r})\n{PROBE}",
         *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=60, cwd=cwd,
    )  # fmt: skip
    return json.loads(done.stdout)


USERS = [None, pytest.param(65533, marks=pytest.mark.skipif(os.getuid() != 0, reason="needs root"))]


@pytest.mark.skipif(platform.machine() not in syscalls.ARCHITECTURES, reason="no filter for it")
@pytest.mark.parametrize("user", USERS)
def test_nothing_but_computing_is_left(user, tmp_path):
    """As whoever runs the tests, and as a user without rights, who is what a pod has."""
    standing, tried = probed(*([] if user is None else [str(user)]), cwd=tmp_path)

    assert {"rlimits", "no_new_privs", "seccomp"} <= set(standing)
    assert tried.pop("arithmetic") == "DONE: 45"
    assert not [name for name, how in tried.items() if how.startswith("DONE")], tried


@pytest.mark.parametrize("machine", syscalls.ARCHITECTURES)
def test_every_jump_of_the_filter_stays_inside_it(machine):
    """The kernel refuses a program that jumps out; a wrong distance would allow something."""
    code = syscalls.program(machine)
    steps = list(struct.iter_unpack("=HBBI", code))

    for place, (_, if_true, if_false, _) in enumerate(steps):
        assert place + 1 + max(if_true, if_false) < len(steps) or (if_true, if_false) == (0, 0)
    assert steps[-1][0] == 0x06
    assert steps[-1][3] == 0x00050001


@pytest.mark.parametrize("machine", syscalls.ARCHITECTURES)
def test_the_filter_answers_as_its_table_says(machine):
    """Interpreted here, because only one of the architectures is at hand."""
    steps = list(struct.iter_unpack("=HBBI", syscalls.program(machine)))
    place = list(syscalls.ARCHITECTURES).index(machine)
    audit = syscalls.ARCHITECTURES[machine]
    plain = {numbers[place] for numbers in syscalls.PLAIN.values()}
    guarded = {numbers[place] for numbers in syscalls.UNLESS_EXECUTABLE.values()}

    for number in range(600):
        allowed = answered(steps, number, audit, protection=3) == 0x7FFF0000
        assert allowed == (number in plain | guarded), number
        executable = answered(steps, number, audit, protection=5) == 0x7FFF0000
        assert executable == (number in plain), number
    assert answered(steps, 1, audit ^ 1) == 0x80000000
    if machine == "x86_64":
        assert answered(steps, 1 | 0x40000000, audit) == 0x80000000


def answered(steps, number, architecture, *, protection=0):
    """Interpret a filter."""
    data = {0: number, 4: architecture, 32: protection}
    held, at = 0, 0
    while True:
        code, if_true, if_false, value = steps[at]
        if code == 0x06:
            return value
        if code == 0x20:
            held, at = data[value], at + 1
            continue
        is_true = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
        at += 1 + (if_true if is_true else if_false)


def test_another_machine_has_no_filter():
    """It is told by its absence in the list of walls."""
    assert syscalls.program("riscv64") is None
