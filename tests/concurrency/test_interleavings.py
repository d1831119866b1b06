"""The money transactions against each other, statement by statement: docs/reliability has them all.

Every order of two transactions' statements, up to statements that commute, and a death at each: no
deadlock, nothing wrong after any commit, and an ending that whole transactions in some order have.
"""

from __future__ import annotations

import asyncio

import pytest
from tests.concurrency import pairs
from tests.concurrency.arena import Arena
from tests.concurrency.kinds import BY_NAME


@pytest.fixture(scope="module")
def arena(module_database_url):
    """Both accounts, in the state from which every order starts."""
    with asyncio.Runner() as runner:
        made = Arena(module_database_url, runner)
        yield made
        made.close()


@pytest.mark.parametrize("names", pairs.QUICK, ids=" x ".join)
def test_no_order_of_statements_breaks_anything(arena, names):
    """Of two kinds of transactions; ``python -m tests.concurrency`` tries all kinds."""
    found = arena.every_order([BY_NAME[name] for name in names], pairs.MOST)

    assert found.is_complete
    assert found.orders > 1
    assert dict(found.found) == {}, found.examples
    assert found.deadlocks == 0
