"""Whether the database takes the passwords in the accounts' Secrets: it may have been restored.

Each is tried once after a start and after each outage of the database, one after the other and beside
the reconciling: a server that does not answer must not hold up a halt.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

from recio.domain.errors import RecioError
from recio_operator import kube as api
from recio_operator import names
from recio_operator.books import BooksPoll
from recio_operator.cluster import Cluster
from recio_operator.observing import DATABASE
from recio_operator.records import Records
from recio_operator.secrets_io import PASSWORD, value_of

PAUSE_S: Final = 30.0

_log = logging.getLogger("recio.operator.logins")


@dataclass(slots=True, kw_only=True)
class LoginChecks:
    """Tries logins. ``checked`` says after which outage's end an account's was last found right."""

    cluster: Cluster
    books: BooksPoll
    records: Records
    checked: dict[str, int] = field(default_factory=dict)
    _waiting: dict[str, None] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, name: str) -> None:
        """Have an account's login tried, unless that was done."""
        if self.checked.get(name) != self.books.outages:
            self._waiting[name] = None
            self._wake.set()

    def is_right(self, name: str) -> None:
        """We have set it just now."""
        self.checked[name] = self.books.outages

    def forget(self, name: str) -> None:
        """An account is gone."""
        self.checked.pop(name, None)
        self._waiting.pop(name, None)

    async def run(self) -> None:
        """Try for ever."""
        while True:
            self._wake.clear()
            while self._waiting:
                name = next(iter(self._waiting))
                del self._waiting[name]
                try:
                    await self._check(name)
                except RecioError as error:
                    _log.info("account %s: its login could not be tried: %s", name, error)
                    self._waiting[name] = None
                    await asyncio.sleep(PAUSE_S)
            await self._wake.wait()

    async def _check(self, name: str) -> None:
        outage, secret = self.books.outages, names.child(name, DATABASE)
        if not self._has_login(name) or secret not in self.cluster.secrets:
            return
        held = await self.cluster.kube.get(api.SECRETS, secret)
        if held is None:
            return
        password = value_of(held, PASSWORD).decode()
        if not await self.records.lets_in(name, password) and self._has_login(name):
            _log.warning("account %s: the database does not know its password: set again", name)
            await self.records.set_login(name, password)
        self.checked[name] = outage

    def _has_login(self, name: str) -> bool:
        """Whether the account should be able to log in: one that leaves is let go."""
        document, snapshot = self.cluster.account(name), self.books.snapshot
        is_staying = document is not None and "deletionTimestamp" not in document["metadata"]
        return is_staying and snapshot is not None and name in snapshot.logins
