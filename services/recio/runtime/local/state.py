"""The state directory of ``recio up``: everything that a second run goes on with.

    postgres/     the database (books, exchange state, market time)
    redis/        nothing that matters
    credentials/  paper API keys
    logs/         one file a process, JSON lines; the former one is kept as <name>.1
    lock          held while a run lives: two runs never share a directory

``--fresh`` moves the whole directory aside, so that nothing is lost by a wrong key.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recio.domain.errors import Broken

LOG_MOST_BYTES: Final = 50_000_000
_ASIDE: Final = ".previous"


@dataclass(slots=True)
class StateDirectory:
    """One directory; ``lock`` before anything else."""

    path: Path
    _lock: int = -1

    @property
    def postgres(self) -> Path:
        """Where the embedded database lives."""
        return self.path / "postgres"

    @property
    def redis(self) -> Path:
        """Where the embedded Redis has its socket."""
        return self.path / "redis"

    @property
    def credentials(self) -> Path:
        """Where the keys are."""
        return self.path / "credentials"

    @property
    def logs(self) -> Path:
        """Where the processes write their logs."""
        return self.path / "logs"

    def lock(self) -> None:
        """Take the directory for this run.

        Raises:
            Broken: another run has it, or it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Broken(
                f"cannot use the state directory {self.path}: {error.strerror}; choose another "
                "with --state"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise Broken(
                f"another `recio up` runs on {self.path}: stop it (Ctrl-C there), or choose "
                "another directory with --state"
            ) from error
        for folder in (self.logs, self.credentials):
            folder.mkdir(mode=0o700, exist_ok=True)

    def unlock(self) -> None:
        """Give the directory back."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def set_aside(self) -> Path | None:
        """Move what is in the directory beside it and return where; None if there was nothing.

        Only the newest such copy is kept.
        """
        if not self.postgres.exists() and not self.credentials.exists():
            return None
        aside = self.path.with_name(self.path.name + _ASIDE)
        if aside.exists():
            shutil.rmtree(aside)
        aside.mkdir(parents=True)
        for entry in self.path.iterdir():
            if entry.name != "lock":
                entry.rename(aside / entry.name)
        for folder in (self.logs, self.credentials):
            folder.mkdir(mode=0o700, exist_ok=True)
        return aside

    def log_file(self, name: str) -> Path:
        """Return a process's log file; a large one is put away first."""
        path = self.logs / f"{name}.jsonl"
        if path.exists() and path.stat().st_size > LOG_MOST_BYTES:
            path.rename(path.with_suffix(".jsonl.1"))
        return path
