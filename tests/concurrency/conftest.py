"""Accounts for the tests of limits: each in the module's database, or alone in one."""

from __future__ import annotations

from itertools import count

import pytest
from tests.integration.money.scene import account_scene, make_account

from recio.adapters.postgres.database import PostgresDatabase

_numbers = count(1)


class Accounts:
    """Makes accounts, and second processes of theirs."""

    def __init__(self, url, runner):
        self._url = url
        self._runner = runner
        self.owner = PostgresDatabase(url, connections=4, name="owner")
        self._made = []

    def make(self, **options):
        """Return a fresh account with $1000."""
        scene = account_scene(self.owner, self._url, f"limits-{next(_numbers)}")
        self._made.append(scene)
        self._runner.run(make_account(scene, **options))
        return scene

    def process(self, scene):
        """Return a second process of an account: connections of its own, the same clock."""
        other = account_scene(self.owner, self._url, scene.account)
        other.clock = scene.clock
        self._made.append(other)
        return other

    def close(self):
        """Close every connection."""
        for scene in self._made:
            self._runner.run(scene.database.close())
        self._runner.run(self.owner.close())


@pytest.fixture
def accounts(module_database_url, runner):
    """Makes accounts in the module's database."""
    made = Accounts(module_database_url, runner)
    yield made
    made.close()


@pytest.fixture
def lonely_accounts(database_url, runner):
    """The same in a database of the test's own: for what counts over all accounts."""
    made = Accounts(database_url, runner)
    yield made
    made.close()
