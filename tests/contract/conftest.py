"""The servers, the Node.js process and the event loop of the contract suite: one each for the run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.contract.install import install

pytest.register_assert_rewrite("tests.contract.cases", "tests.contract.members")

from tests.contract.house import House  # noqa: E402 - its asserts are rewritten
from tests.contract.official import Driver  # noqa: E402


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for all cases, so that the servers and the process live through them."""
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="session")
def house(loop: asyncio.Runner) -> Iterator[House]:
    """The two servers."""
    made = House()
    loop.run(made.open())
    yield made
    loop.run(made.close())


@pytest.fixture(scope="session")
def driver(loop: asyncio.Runner) -> Iterator[Driver]:
    """The official client's process."""
    install()
    made = Driver()
    loop.run(made.open())
    yield made
    loop.run(made.close())
