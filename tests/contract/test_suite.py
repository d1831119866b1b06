"""The contract suite: every numbered case, once for each client that can run it."""

from __future__ import annotations

import asyncio

import pytest
from tests.contract.house import House
from tests.contract.scene import Scene
from tests.contract.suite import OFFICIAL, SUITE, Case, load

CASES = load()
RUNS = [(case, client) for case in CASES for client in case.clients]


@pytest.mark.parametrize(
    ("case", "client"), RUNS, ids=[f"{case.name}-{client}" for case, client in RUNS]
)
def test_contract(
    case: Case,
    client: str,
    loop: asyncio.Runner,
    house: House,
    request: pytest.FixtureRequest,
) -> None:
    """The exchange does what its documentation promises, seen through this client."""
    driver = request.getfixturevalue("driver") if client == OFFICIAL else None

    async def run() -> None:
        scene = Scene(house, driver, case, client)
        try:
            async with asyncio.timeout(120):
                await case.run(scene)
        finally:
            await scene.close()

    loop.run(run())


def test_numbers_and_titles_are_their_own() -> None:
    """A number in a report names one case for ever."""
    titles = [case.title for case in SUITE.values()]
    assert sorted(titles) == sorted(set(titles))
