"""What PostgreSQL says of all accounts: asked every few seconds with one round trip, kept, compared.

Whoever changed is told of. While the database cannot be asked there are no books, and the reason is
a text for a condition: nothing is concluded from what was known before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from recio.adapters.postgres import status
from recio.adapters.postgres.switches import ALL_ACCOUNTS
from recio.domain.errors import RecioError
from recio.domain.switches import SwitchRow
from recio.ports import Database
from recio_operator.planning.observed import Books, SwitchSource

SETTLE_S: Final = 0.2
"""Pokes within this time are answered together."""

_log = logging.getLogger("recio.operator.books")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The books of all accounts at one moment; ``all_accounts`` are the switches over all of them.

    ``key_holders`` maps the digest of an API key to the account that has claimed it, ``logins`` are
    the accounts whose database login may log in.
    """

    accounts: Mapping[str, Books] = field(default_factory=dict)
    all_accounts: tuple[SwitchSource, ...] = ()
    key_holders: Mapping[str, str] = field(default_factory=dict)
    logins: frozenset[str] = frozenset()


async def read(database: Database, accounts: Sequence[str] | None = None) -> Snapshot:
    """Return what the database says now of these accounts (None: of all).

    Raises:
        Unavailable: it cannot be asked.
    """
    async with database.transaction() as tx:
        found = await status.account_statuses(tx, accounts)
    everywhere = (row for one in found[:1] for row in one.switches if row.scope == ALL_ACCOUNTS)
    return Snapshot(
        accounts={one.account: _books(one) for one in found},
        all_accounts=tuple(_source(row) for row in everywhere),
        key_holders={one.key_sha256: one.account for one in found if one.key_sha256},
        logins=frozenset(one.account for one in found if one.has_login),
    )


def _books(one: status.AccountStatus) -> Books:
    return Books(
        is_flat=one.is_flat,
        live_orders=one.live_orders,
        open_trades=one.open_trades,
        executor=one.executor,
        switches=tuple(_source(row) for row in one.switches),
        has_overrides=one.has_overrides,
        applied_spec=one.applied_spec,
    )


def _source(row: SwitchRow) -> SwitchSource:
    return SwitchSource(
        source=row.source, state=row.state, reason=row.reason, since_us=row.changed_at_us
    )


class BooksPoll:
    """Keeps the newest snapshot.

    Args:
        database: under the operator's login.
        every_s: how often to ask.
        changed: told the accounts whose books are not what they were; all of them when the database
            went away or came back.
    """

    def __init__(
        self, database: Database, *, every_s: float, changed: Callable[[set[str] | None], None]
    ) -> None:
        self._database = database
        self._every_s = every_s
        self._changed = changed
        self._poked = asyncio.Event()
        self._is_asked = asyncio.Event()
        self._read_at = 0.0
        self._fresher: set[str] = set()
        """Accounts that were asked about while all of them were: what is known of them is newer."""
        self.snapshot: Snapshot | None = None
        self.reason = "the database was not asked yet"
        self.outages = 0
        """Counts up when the database comes back: what was checked before is checked again."""

    @property
    def age_s(self) -> float:
        """How old the snapshot is; since the start of the process if there was none."""
        return asyncio.get_running_loop().time() - self._read_at

    def poke(self) -> None:
        """Ask again soon: something of ours changed the books."""
        self._poked.set()

    async def first(self, patience_s: float) -> None:
        """Wait until the database has answered or failed for the first time, at most so long.

        What was not asked yet is not unreachable: a start on a busy machine must not say so.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._is_asked.wait()

    async def fresh(self, account: str) -> None:
        """Ask about one account now: something of ours changed its books, or depends on them."""
        before = self.snapshot
        if before is None:
            await self._ask()
            return
        try:
            found = await read(self._database, (account,))
        except RecioError as error:
            self._lose(" ".join(str(error).split()))
            return
        if self.snapshot is not None:
            self._fresher.add(account)
            self.snapshot = _with(self.snapshot, account, found)

    async def _ask(self) -> None:
        self._fresher.clear()
        try:
            found = await read(self._database)
        except RecioError as error:
            self._lose(" ".join(str(error).split()))
            return
        if self.snapshot is not None:
            for name in self._fresher:
                found = _with(found, name, _only(self.snapshot, name))
        before, self.snapshot, self.reason = self.snapshot, found, ""
        self._read_at = asyncio.get_running_loop().time()
        if before is None:
            self.outages += 1
            self._changed(None)
        else:
            self._tell(before, found)

    async def run(self) -> None:
        """Ask for ever."""
        self._read_at = asyncio.get_running_loop().time()
        while True:
            self._poked.clear()
            await self._ask()
            self._is_asked.set()
            try:
                async with asyncio.timeout(self._every_s):
                    await self._poked.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(SETTLE_S)

    def _lose(self, reason: str) -> None:
        was_known, self.snapshot = self.snapshot is not None, None
        if was_known:
            _log.warning("the database cannot be asked: %s", reason)
        if was_known or reason != self.reason:
            self.reason = reason
            self._changed(None)

    def _tell(self, before: Snapshot, now: Snapshot) -> None:
        names = before.accounts.keys() | now.accounts.keys()
        changed = {name for name in names if before.accounts.get(name) != now.accounts.get(name)}
        changed |= before.logins ^ now.logins
        for digest in before.key_holders.keys() | now.key_holders.keys():
            holders = {before.key_holders.get(digest), now.key_holders.get(digest)}
            if len(holders) > 1:
                # Whoever waits for this key is not named here: everybody looks again.
                self._changed(None)
                return
        if changed:
            self._changed(changed)


def _with(snapshot: Snapshot, account: str, found: Snapshot) -> Snapshot:
    """Return a snapshot in which one account is as it was found now."""
    accounts = {name: one for name, one in snapshot.accounts.items() if name != account}
    holders = {key: name for key, name in snapshot.key_holders.items() if name != account}
    return Snapshot(
        accounts={**accounts, **found.accounts},
        all_accounts=found.all_accounts if found.accounts else snapshot.all_accounts,
        key_holders={**holders, **found.key_holders},
        logins=(snapshot.logins - {account}) | found.logins,
    )


def _only(snapshot: Snapshot, account: str) -> Snapshot:
    """Return what a snapshot says of one account."""
    return Snapshot(
        accounts={name: one for name, one in snapshot.accounts.items() if name == account},
        all_accounts=snapshot.all_accounts,
        key_holders={key: name for key, name in snapshot.key_holders.items() if name == account},
        logins=snapshot.logins & {account},
    )
