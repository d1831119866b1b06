"""What a live and a stepped local run begin with: documents, state directory, world, database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from recio import manifest
from recio.adapters.postgres.config import account_login
from recio.domain.account_config import AccountConfig
from recio.manifest import Scope
from recio.runtime.clock import MarketTime, wall_us
from recio.runtime.ids import new_secret
from recio.runtime.local import documents, prepare, servers, start
from recio.runtime.local.options import UpOptions
from recio.runtime.local.start import World
from recio.runtime.local.state import StateDirectory
from recio.runtime.preparing import prepare_release
from recio.runtime.process import login

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Ground:
    """A locked state directory, the accounts of the run, and the world that its books began in."""

    state: StateDirectory
    account_file: Path
    documents: Sequence[tuple[dict[str, Any], AccountConfig]]
    world: World

    @property
    def accounts(self) -> list[AccountConfig]:
        """The accounts of the run."""
        return [config for _, config in self.documents]


@dataclass(frozen=True, slots=True)
class Store:
    """The database, ready. ``url`` names no user; ``password`` is the page's, if it is new."""

    owner_url: str
    url: str
    passwords: Path | None
    market_time: MarketTime
    password: str | None


def lay(options: UpOptions, undo: ExitStack, say: Say) -> Ground:
    """Read the account documents, take the state directory, and choose the world.

    Raises:
        Rejected: a document, or options that contradict what is there.
        Broken: the directory cannot be used.
    """
    if options.account_file is not None:
        # A bad document is told of before anything is touched.
        _accounts(options, options.account_file, is_shadow=options.is_shadow)
    state = StateDirectory(options.state)
    state.lock()
    undo.callback(state.unlock)
    if options.is_fresh and (aside := state.set_aside()) is not None:
        say(f"a fresh start: what was there is now in {aside}")
    world = start.world_of(options, state.path)
    path = options.account_file or documents.example(is_recording=bool(world.recording))
    found = _accounts(options, path, is_shadow=world.is_shadow)
    return Ground(state, path, documents.fitted(found, world), world)


def _accounts(
    options: UpOptions, path: Path, *, is_shadow: bool
) -> list[tuple[dict[str, Any], AccountConfig]]:
    return documents.paper_accounts(
        path, number=options.accounts, topology=options.topology, is_shadow=is_shadow
    )


def open_store(
    options: UpOptions,
    ground: Ground,
    undo: ExitStack,
    say: Say,
    *,
    ensure_admin: prepare.EnsureAdmin,
    extra: Sequence[str] = (),
) -> Store:
    """Start the database if it is ours, bring its schema and its accounts up to date.

    Raises:
        Broken: the database cannot be used.
        Unavailable: it does not answer.
    """
    owner_url, url = servers.database(options, ground.state, undo, say, extra=extra)
    directory = ground.state.path / "database-passwords" if options.database_url else None
    passwords = {} if directory is None else own_passwords(directory, logins(ground.accounts))
    of_accounts = {account_login(config.name) for config in ground.accounts}
    shared = {name: text for name, text in passwords.items() if name not in of_accounts}
    prepare_release(
        owner_url, logins=shared, environments=(), say=say, timeout_s=0, is_rollback=False
    )
    names = ", ".join(config.name for config in ground.accounts)
    say(f"applying {ground.account_file} (accounts: {names})")
    prepared = uvloop.run(
        prepare.prepare(
            owner_url,
            ground.documents,
            environment=ground.world.environment,
            start_us=ground.world.start_us,
            at_least_us=wall_us() if ground.world.is_live else 0,
            speed=options.speed,
            passwords=passwords,
            ensure_admin=ensure_admin,
        )
    )
    return Store(owner_url, url, directory, prepared.market_time, prepared.password)


def own_passwords(directory: Path, names: Sequence[str]) -> dict[str, str]:
    """Return a password for each login, kept where only we can read it; new ones are made.

    The embedded server needs none: nobody else reaches its socket. A database of one's own asks.
    """
    directory.mkdir(mode=0o700, exist_ok=True)
    found = {}
    for name in names:
        path = directory / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(new_secret())
        found[name] = path.read_text()
    return found


def logins(accounts: Sequence[AccountConfig]) -> list[str]:
    """Return the database logins of all services."""
    found = {
        login(row, account.name if row.scope is Scope.ACCOUNT else None)
        for row in manifest.SERVICES
        for account in accounts
    }
    return sorted(found)
