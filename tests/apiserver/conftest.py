"""A real kube-apiserver with etcd, once for all tests here; each test has a namespace of its own.

The programs are built from Go modules once and kept (tests/e2e/cluster/binaries.py). Without them
and without Go every test here fails with one line; ``RECIO_NO_APISERVER=1`` leaves them out.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator

import pytest
from tests.apiserver.operator_world import World, world
from tests.apiserver.server import Objects, Server
from tests.e2e.cluster import paths
from tests.e2e.cluster.control_plane import ControlPlane
from tests.e2e.cluster.shell import CommandFailed, TooLate

from recio_operator.schema.definitions import definitions

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """The servers, with the controllers that need no node: ownership and namespaces work."""
    if paths.environment().get("RECIO_NO_APISERVER") == "1":
        pytest.skip("RECIO_NO_APISERVER=1: tests against a real API server are left out")
    plane = ControlPlane(controllers=True)
    try:
        if failure := _failure_of(plane):
            pytest.fail(f"{failure} (RECIO_NO_APISERVER=1 leaves these tests out)", pytrace=False)
        yield plane
    finally:
        plane.stop()


def _failure_of(plane: ControlPlane) -> str:
    """Start the servers; return why they do not run, empty if they do."""
    try:
        plane.start()
    except (CommandFailed, TooLate) as error:
        return f"no API server: {error}"
    return ""


@pytest.fixture(scope="session")
def server(control_plane: ControlPlane) -> Iterator[Server]:
    """The API server as an administrator sees it, with our custom resource definitions."""
    one = Server(control_plane.kubeconfig)
    for definition in definitions().values():
        one.define(definition)
    yield one
    one.close()


@pytest.fixture
def namespace(server: Server) -> str:
    """A namespace that no other test uses."""
    name = f"test-{next(_numbers)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    server.request("POST", "/api/v1/namespaces", body).expect()
    return name


@pytest.fixture
def objects(server: Server, namespace: str) -> Objects:
    """The objects of this test's namespace."""
    return Objects(server, namespace)


@pytest.fixture
def run(
    runner: asyncio.Runner, objects: Objects, server: Server, database_url: str
) -> Callable[[Callable[[World], Awaitable[None]]], None]:
    """Run a test's coroutine with a world of its own."""

    def start(check: Callable[[World], Awaitable[None]]) -> None:
        async def main() -> None:
            async with world(objects, server.kubeconfig, database_url) as made:
                await check(made)

        runner.run(main())

    return start
