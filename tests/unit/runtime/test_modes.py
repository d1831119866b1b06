"""Modes: where each may connect, and what is refused below everything else."""

from __future__ import annotations

import asyncio

import pytest

from recio.domain.account_config import Mode
from recio.domain.errors import Broken
from recio.ports import HttpReply
from recio.runtime import modes
from recio.runtime.settings import ProcessSettings


def settings(mode, rest="", websocket=""):
    """Return the settings of a process."""
    return ProcessSettings(
        environment="x",
        mode=mode,
        database_url="",
        redis_url="",
        exchange_rest_url=rest,
        exchange_websocket_url=websocket,
    )


class Recorder:
    """A transport that remembers what it was asked for."""

    def __init__(self):
        self.asked = []

    async def request(self, method, target, headers, body=b"", *, timeout_s):
        """Answer everything."""
        self.asked.append((method, target, headers, body, timeout_s))
        return HttpReply(200, {}, b"{}")

    async def close(self):
        """Do nothing."""


@pytest.mark.parametrize(
    "address",
    [
        "https://external-api.kalshi.com",
        "https://api.elections.kalshi.com",
        "https://external-api.demo.kalshi.co",
        "https://EXTERNAL-API.KALSHI.COM.",
        "https://kalshi.com:8443",
    ],
)
def test_a_paper_process_connects_to_no_real_exchange(address):
    """However the host is written."""
    with pytest.raises(Broken, match="no connection to a real exchange"):
        modes.hosts(settings(Mode.PAPER, address, "ws://127.0.0.1:1"))


def test_a_paper_process_must_be_told_where_its_exchange_is():
    """There is no default that could be somebody else's."""
    with pytest.raises(Broken, match="RECIO_EXCHANGE_REST_URL"):
        modes.hosts(settings(Mode.PAPER))


def test_a_host_that_only_ends_alike_is_not_the_exchange():
    """notkalshi.com belongs to somebody else."""
    assert not modes.is_real_exchange("https://notkalshi.com")


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.DEMO, Mode.PROD])
def test_the_other_modes_know_their_hosts(mode):
    """An address of one's own would send orders, or a key, elsewhere."""
    assert modes.hosts(settings(mode)).rest.startswith("https://")
    with pytest.raises(Broken, match="knows its hosts"):
        modes.hosts(settings(mode, "http://127.0.0.1:1", "ws://127.0.0.1:1"))


def test_demo_and_production_are_apart():
    """Demo money and real money never share a host."""
    demo, prod = modes.hosts(settings(Mode.DEMO)), modes.hosts(settings(Mode.PROD))
    assert {demo.rest, demo.websocket}.isdisjoint({prod.rest, prod.websocket})
    assert modes.hosts(settings(Mode.SHADOW)) == prod


@pytest.mark.parametrize(
    ("method", "body"), [("POST", b""), ("DELETE", b""), ("PUT", b"{}"), ("GET", b"{}")]
)
def test_a_shadow_process_sends_nothing_that_could_change_something(method, body):
    """Refused in the transport: nothing leaves."""
    inner = Recorder()
    transport = modes.guarded(inner, Mode.SHADOW)
    with pytest.raises(Broken, match="shadow"):
        asyncio.run(transport.request(method, "/portfolio/orders", {}, body, timeout_s=1))
    assert inner.asked == []


def test_a_shadow_process_reads():
    """Market data and the account's own state may be looked at."""
    inner = Recorder()
    asyncio.run(modes.guarded(inner, Mode.SHADOW).request("GET", "/markets", {}, timeout_s=1))
    assert inner.asked == [("GET", "/markets", {}, b"", 1)]
