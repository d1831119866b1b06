"""A machine of the cluster's own on this one: namespaces for mounts, network and processes.

Everything that the cluster runs lives in them. The kernel ends and removes all of it with the first
process, whatever state it is in; so a crashed run leaves nothing behind that has to be looked for.
Only the control groups have a place outside; they are removed by their path. Root is needed.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.e2e.cluster import paths, processes
from tests.e2e.cluster.binaries import content_key
from tests.e2e.cluster.processes import Process
from tests.e2e.cluster.shell import CommandFailed, TooLate, run, tail, wait_for

NODE_ADDRESS: Final = "10.99.0.1"
CONTROL_GROUPS: Final = Path("/sys/fs/cgroup")
COVERED: Final = ("/run", "/var")
"""Folders of this machine that the cluster's machine sees differently."""

_START_SECONDS: Final = 30.0
_END_SECONDS: Final = 20.0


class NoMachine(RuntimeError):
    """The cluster is not running."""


class Machine:
    """The cluster's machine: started, entered, ended.

    Args:
        state: the folder of everything that belongs to one cluster.
    """

    def __init__(self, state: Path | None = None) -> None:
        self.state = state or paths.node()

    @property
    def control_group(self) -> str:
        """The name of its control groups: another state folder is another machine."""
        return f"recio-{content_key([str(self.state)])}"

    @property
    def _pid_file(self) -> Path:
        return self.state / "pids" / "machine"

    @property
    def _outer_file(self) -> Path:
        return self.state / "pids" / "unshare"

    def first_process(self) -> Process | None:
        """Return the process that holds the namespaces, if it runs."""
        return processes.load(self._pid_file)

    def start(self, reaper: Path) -> None:
        """Make the namespaces, the mounts and the network.

        Args:
            reaper: the static program that becomes the first process.

        Raises:
            CommandFailed: the machine could not be made.
        """
        _check(self.state)
        for folder in ("pids", "logs"):
            (self.state / folder).mkdir(parents=True, exist_ok=True)
        for group in control_group_roots():
            (group / self.control_group).mkdir(exist_ok=True)
        log = self.state / "logs" / "machine.log"
        outer = processes.start(
            [
                *(
                    "unshare",
                    "--mount",
                    "--net",
                    "--pid",
                    "--fork",
                    "--mount-proc",
                    "--kill-child",
                    "--",
                ),
                *(paths.HERE / "machine.sh", self.state, reaper, NODE_ADDRESS),
            ],
            log,
            dies_with_us=False,
        )
        # Known from its first moment on: a start that is cut short is cleaned up as well.
        outer.save(self._outer_file)
        try:
            inner = wait_for("machine", lambda: _only_child(outer), timeout_seconds=_START_SECONDS)
            inner.save(self._pid_file)
            ready = Path(f"/proc/{inner.pid}/root/run/machine-is-ready")
            wait_for("machine", ready.exists, timeout_seconds=_START_SECONDS)
        except TooLate as error:
            said = tail(log.read_text(errors="replace"))
            raise CommandFailed(f"the machine did not start: {said}") from error

    def entered(self, command: Sequence[str | Path]) -> list[str]:
        """Return a command that runs another one inside: with its files, network and processes."""
        return [*self._nsenter("--mount", "--net", "--pid"), *(str(word) for word in command)]

    def connected(self, command: Sequence[str | Path]) -> list[str]:
        """Return a command that runs another one with the machine's network and our files."""
        return [*self._nsenter("--net"), *(str(word) for word in command)]

    def _nsenter(self, *which: str) -> list[str]:
        first = self.first_process()
        if first is None:
            raise NoMachine("the cluster is not running: python -m tests.e2e.cluster up")
        return ["nsenter", "--target", str(first.pid), *which, "--"]

    def run(
        self,
        command: Sequence[str | Path],
        *,
        source: Path | None = None,
        timeout_seconds: float = 600.0,
    ) -> str:
        """Run a command inside to its end and return what it printed."""
        return run(self.entered(command), source=source, timeout_seconds=timeout_seconds)

    def launch(self, name: str, command: Sequence[str | Path]) -> None:
        """Start a server inside; it goes on when we end. Its log is ``logs/NAME.log``."""
        outer = processes.start(self.entered(command), self.log(name), dies_with_us=False)
        try:
            inner = wait_for(name, lambda: _only_child(outer), timeout_seconds=_START_SECONDS)
        except TooLate as error:
            said = tail(self.log(name).read_text(errors="replace"))
            raise CommandFailed(f"{name} did not start: {said}") from error
        inner.save(self.state / "pids" / name)

    def server(self, name: str) -> Process | None:
        """Return a server that was started inside, if it runs."""
        return processes.load(self.state / "pids" / name)

    def log(self, name: str) -> Path:
        """Return a server's log file."""
        return self.state / "logs" / f"{name}.log"

    def power_off(self) -> None:
        """End everything inside at once, as pulling the plug would; the state stays."""
        for file in (self._outer_file, self._pid_file):
            process = processes.load(file)
            if process is not None:
                process.kill()
            file.unlink(missing_ok=True)
        remove_control_groups(self.control_group)

    def remove(self) -> None:
        """End everything inside and delete the state. Nothing happens if there is nothing."""
        self.power_off()
        if self.state.exists():
            shutil.rmtree(self.state)


def _only_child(outer: Process) -> Process | None:
    processes.reap(outer.pid)
    return next(iter(outer.children()), None)


def _check(state: Path) -> None:
    if os.geteuid() != 0:
        raise CommandFailed("expected to be root: a cluster needs namespaces, mounts and cgroups")
    for covered in COVERED:
        if state.resolve().is_relative_to(covered):
            raise CommandFailed(
                f"expected the cache folder to lie outside of {', '.join(COVERED)}, found {state}: "
                "set XDG_CACHE_HOME to another folder"
            )


def control_group_roots() -> list[Path]:
    """Return the root of each control group hierarchy: one, or one a controller (version 1)."""
    if (CONTROL_GROUPS / "cgroup.controllers").exists():
        return [CONTROL_GROUPS]
    hierarchies = [path for path in CONTROL_GROUPS.iterdir() if (path / "cgroup.procs").exists()]
    return sorted(path for path in hierarchies if not path.is_symlink())


def remove_control_groups(name: str) -> None:
    """Remove the control groups of this name, deepest first."""
    for root in control_group_roots():
        top = root / name
        if top.exists():
            wait_for(
                f"end of {top}", functools.partial(_is_removed, top), timeout_seconds=_END_SECONDS
            )


def _is_removed(top: Path) -> bool:
    # A member that is still ending keeps its group busy for a moment.
    found = subprocess.run(
        ["find", str(top), "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"],
        capture_output=True,
        check=False,
    )
    return found.returncode == 0 and not top.exists()
