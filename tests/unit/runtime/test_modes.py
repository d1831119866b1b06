"""Modes: where each may connect, and what is refused below everything else."""

from __future__ import annotations

import asyncio

import pytest

from recio.domain.account_config import Mode
from recio.domain.errors import Broken
from recio.ports import HttpReply
from recio.runtime import modes
from recio.runtime.settings import ProcessSettings


def settings(mode, rest="", websocket="", *, market=("", "")):
    """Return the settings of a process."""
    return ProcessSettings(
        market_rest_url=market[0],
        market_websocket_url=market[1],
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
@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.SHADOW])
def test_imagined_orders_go_to_no_real_exchange(mode, address):
    """However the host is written, for orders and for the stand-in of production."""
    with pytest.raises(Broken, match="exchanges of ours only"):
        modes.hosts(settings(mode, address, "ws://127.0.0.1:1"))
    with pytest.raises(Broken, match="exchanges of ours only"):
        modes.hosts(settings(mode, "http://127.0.0.1:1", address.replace("http", "ws")))
    with pytest.raises(Broken):
        modes.market_hosts(settings(mode, market=(address, "ws://127.0.0.1:1")))


@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.SHADOW])
@pytest.mark.parametrize("number", ["104.18.6.1", "[2606:4700::6812:601]"])
def test_imagined_orders_go_to_no_public_number(mode, number):
    """A real exchange cannot be named by its number either."""
    with pytest.raises(Broken, match="exchanges of ours only"):
        modes.hosts(settings(mode, f"https://{number}", f"wss://{number}"))
    assert modes.hosts(settings(mode, "http://10.1.2.3:8014", "ws://recio-mirror:8080"))


@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.SHADOW])
def test_a_process_of_imagined_money_must_be_told_where_its_exchange_is(mode):
    """There is no default that could be somebody else's."""
    with pytest.raises(Broken, match="RECIO_EXCHANGE_REST_URL"):
        modes.hosts(settings(mode))


def test_a_host_that_only_ends_alike_is_not_the_exchange():
    """notkalshi.com belongs to somebody else."""
    assert not modes.is_real_exchange("https://notkalshi.com")


@pytest.mark.parametrize("mode", [Mode.DEMO, Mode.PROD])
def test_the_other_modes_know_their_hosts(mode):
    """An address of one's own would send orders, or a key, elsewhere."""
    assert modes.hosts(settings(mode)).rest.startswith("https://")
    with pytest.raises(Broken, match="knows its hosts"):
        modes.hosts(settings(mode, "http://127.0.0.1:1", "ws://127.0.0.1:1"))


def test_demo_and_production_are_apart():
    """Demo money and real money never share a host."""
    demo, prod = modes.hosts(settings(Mode.DEMO)), modes.hosts(settings(Mode.PROD))
    assert {demo.rest, demo.websocket}.isdisjoint({prod.rest, prod.websocket})


def test_a_shadow_process_reads_production_and_trades_on_its_mirror():
    """Where markets are read and where orders go are two places, and production is only the first."""
    made = settings(Mode.SHADOW, "http://127.0.0.1:8014", "ws://127.0.0.1:8014")
    assert modes.market_hosts(made) == modes.PRODUCTION
    assert modes.hosts(made).rest == "http://127.0.0.1:8014"
    assert modes.has_live_feeds(made)
    assert not modes.keeps_own_time(made)


def test_production_may_be_played_by_an_exchange_of_ours():
    """Then prices and time come from there too; one address of two is a mistake."""
    played = ("http://127.0.0.1:9014", "ws://127.0.0.1:9014")
    made = settings(Mode.SHADOW, "http://127.0.0.1:8014", "ws://127.0.0.1:8014", market=played)
    assert modes.market_hosts(made).rest == played[0]
    assert not modes.has_live_feeds(made)
    assert modes.keeps_own_time(made)
    with pytest.raises(Broken, match="RECIO_MARKET_WEBSOCKET_URL"):
        modes.market_hosts(settings(Mode.SHADOW, market=(played[0], "")))


@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.DEMO, Mode.PROD])
def test_the_other_modes_read_markets_where_their_orders_go(mode):
    """Prices of one exchange and orders at another would be real money on a wrong book."""
    addresses = ("http://127.0.0.1:1", "ws://127.0.0.1:1") if mode is Mode.PAPER else ("", "")
    assert modes.market_hosts(settings(mode, *addresses)) == modes.hosts(settings(mode, *addresses))
    with pytest.raises(Broken, match="where its orders go"):
        modes.market_hosts(settings(mode, *addresses, market=("http://127.0.0.1:2", "ws://x")))


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
