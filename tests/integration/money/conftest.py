"""Accounts on a real database; each test has accounts of its own."""

from __future__ import annotations

from itertools import count

import pytest
from tests.integration.money.scene import account_scene, make_account

from recio.adapters.postgres.database import PostgresDatabase

_numbers = count(1)


def _scenes(url, runner):
    """Yield a function that makes a fresh account with $1000, working under its own login."""
    owner = PostgresDatabase(url, connections=4, name="owner")
    made = []

    def make(**options):
        scene = account_scene(owner, url, f"money-{next(_numbers)}")
        made.append(scene)
        runner.run(make_account(scene, **options))
        return scene

    yield make
    for scene in made:
        runner.run(scene.database.close())
    runner.run(owner.close())


@pytest.fixture
def accounts(module_database_url, runner):
    """A function that makes a fresh account in the module's database."""
    yield from _scenes(module_database_url, runner)


@pytest.fixture
def scene(accounts):
    """A fresh account with $1000."""
    return accounts()


@pytest.fixture
def lonely_accounts(database_url, runner):
    """The same in a database of the test's own: for what counts over all accounts."""
    yield from _scenes(database_url, runner)
