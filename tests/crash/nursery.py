"""The warmed parent of the services' processes, as ``recio up`` is: it imports once, then forks.

Reads a line of JSON for each process to start (services, settings, log) and writes a line for each
thing that happens: ``born <name> <pid>``, ``ready <pid>``, ``gone <pid> <status>``. Every child is a
real process of its own with nothing but its sockets; it dies with this parent, this parent with its
input.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import sys
from pathlib import Path

import msgspec

from recio import manifest
from recio.runtime.host import Placement, entry
from recio.runtime.process import run_in_new_loop
from recio.runtime.settings import ProcessSettings

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Fork until the input ends."""
    for row in manifest.SERVICES:
        entry(row)
    gc.collect()
    gc.freeze()
    heard, told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(told)
    pending = b""
    while True:
        for ready in select.select([0, heard], [], [])[0]:
            if ready == heard:
                os.read(heard, 4096)
                continue
            data = os.read(0, 65_536)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                _start(json.loads(line))
        _bury()


def _start(told: dict[str, object]) -> None:
    pid = os.fork()
    if pid == 0:
        _live(told)
    _say(f"born {told['name']} {pid}")


def _live(told: dict[str, object]) -> None:
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        log = os.open(Path(str(told["log"])), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 2)
        settings = msgspec.convert(told["settings"], ProcessSettings)
        placements = [
            Placement(manifest.service(name), settings.account)
            for name in msgspec.convert(told["services"], list[str])
        ]
        status = run_in_new_loop(
            settings, {}, placements, on_ready=lambda: _say(f"ready {os.getpid()}")
        )
    finally:
        os._exit(status)


def _bury() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _say(f"gone {pid} {os.waitstatus_to_exitcode(status)}")


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
