"""Injected faults strike the next N matching requests or frames, and nothing else."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from tests.unit.exchange_simulator.builders import LOW, NOW_US, SECOND
from tests.unit.exchange_simulator.client import Venue

from recio.domain.errors import NoAnswer, Unavailable
from recio.exchange_simulator.api.messages import Request
from recio.exchange_simulator.control import Control
from recio.exchange_simulator.gateway import HOUSE_SAVE_US

ORDERS = "/portfolio/events/orders"


class Desk:
    """A venue with its control API."""

    def __init__(self, venue) -> None:
        self.venue = venue
        self.control = Control(venue.gateway)

    async def do(self, method, path, /, **body):
        """Send one control request; return (status, body)."""
        request = Request(method, path, {}, msgspec.json.encode(body), "127.0.0.1")
        reply = await self.control.request(request)
        return reply.status, msgspec.json.decode(reply.body)


def run(scenario):
    """Run a scenario on a fresh exchange with its control API and a member."""

    async def main():
        venue = Venue()
        await scenario(venue, Desk(venue), await venue.member("alice"))

    asyncio.run(main())


async def unanswered(alice, **fields):
    """Send an order that gets no answer; the request may have left."""
    alice.venue.http = _Impatient(alice.venue.http)
    with pytest.raises(NoAnswer) as caught:
        await alice.order(**fields)
    alice.venue.http = alice.venue.http.inner
    assert caught.value.sent


class _Impatient:
    """Waits hardly at all, so that a timeout costs the test nothing."""

    def __init__(self, inner) -> None:
        self.inner = inner

    async def request(self, *args, timeout_s, **kwargs):
        """Send with almost no patience."""
        assert timeout_s
        return await self.inner.request(*args, timeout_s=0.001, **kwargs)


@pytest.mark.parametrize(
    ("fault", "orders"),
    [
        ("timeout_before_acceptance", 0),
        ("timeout_after_acceptance", 1),
        ("cut_before_acceptance", 0),
        ("cut_after_acceptance", 1),
    ],
)
def test_an_unanswered_create_may_or_may_not_have_happened(fault, orders):
    """Before acceptance there is no order, after it there is one; the client cannot tell."""

    async def scenario(_venue, desk, alice):
        await desk.do("POST", "/faults/requests", fault=fault, method="POST", path=ORDERS)
        await unanswered(alice)
        assert len((await alice.get("/portfolio/orders"))["orders"]) == orders
        assert (await alice.order())[0] == 201

    run(scenario)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_error_statuses_strike_as_often_as_armed(status):
    """Two armed, two struck, then it is over; 429 has its own body."""

    async def scenario(_venue, desk, alice):
        await desk.do("POST", "/faults/requests", fault="status", status=status, count=2)
        for _ in range(2):
            got, body = await alice.call("GET", "/portfolio/balance")
            assert got == status
            assert (body == {"error": "too many requests"}) is (status == 429)
        assert (await alice.call("GET", "/portfolio/balance"))[0] == 200
        assert (await desk.do("GET", "/faults"))[1] == {"requests": [], "frames": [], "struck": 2}

    run(scenario)


def test_a_late_answer_is_late():
    """It waits in wall time and then tells the truth."""

    async def scenario(venue, desk, alice):
        await desk.do("POST", "/faults/requests", fault="late_answer", delay_seconds=2.5)
        assert (await alice.order())[0] == 201
        assert venue.clock.slept == [2.5]

    run(scenario)


@pytest.mark.parametrize(
    ("fault", "seqs"),
    [
        ("lose", [2, 4]),
        ("seq_gap", [2, 4]),
        ("duplicate", [2, 3, 3, 4]),
        ("reorder", [2, 4, 3]),
    ],
)
def test_frames_are_lost_doubled_and_exchanged(fault, seqs):
    """A lost frame of a numbered channel is a gap in its seq."""

    async def scenario(venue, desk, alice):
        stream = await alice.stream("orderbook_delta", market_ticker=LOW)
        on = venue.exchange
        on.set_external_level(LOW, "yes", 1000, 100, NOW_US)
        await venue.gateway.commit()
        stream.socket._frames.popleft(), stream.socket._frames.popleft()
        await desk.do("POST", "/faults/frames", fault=fault, type="orderbook_delta")
        for price in (1100, 1200):
            on.set_external_level(LOW, "yes", price, 100, NOW_US)
        await venue.gateway.commit()
        assert [frame["seq"] for frame in stream.frames()] == seqs

    run(scenario)


def test_late_frames_arrive_after_newer_ones():
    """Also unnumbered ones, of one account only."""

    async def scenario(_venue, desk, alice):
        stream = await alice.stream("user_orders")
        stream.frames()
        armed = {"fault": "late", "type": "user_order", "account": "alice", "delay_seconds": 0.01}
        await desk.do("POST", "/faults/frames", **armed)
        _, first = await alice.order()
        _, second = await alice.order()
        assert [one["order_id"] for one in stream.of("user_order")] == [second["order_id"]]
        frame = msgspec.json.decode(await stream.socket.receive())
        assert frame["msg"]["order_id"] == first["order_id"]

    run(scenario)


@pytest.mark.parametrize("how", ["frame", "now"])
def test_connections_are_cut(how):
    """By a frame that would have come, or at once; the session's subscriptions end."""

    async def scenario(venue, desk, alice):
        stream = await alice.stream("user_orders")
        stream.frames()
        if how == "frame":
            await desk.do("POST", "/faults/frames", fault="cut")
            await alice.order()
        else:
            await desk.do("POST", "/exchange", action="cut_connections")
        with pytest.raises(Unavailable):
            await stream.socket.receive()
        assert venue.gateway.connections == []
        assert all(not subs for subs in venue.gateway.hub.by_channel.values())

    run(scenario)


def test_pauses_slow_settlement_and_read_lag_by_control():
    """The exchange does what it is told, for as long as it is told."""

    async def scenario(venue, desk, alice):
        await desk.do("POST", "/exchange", action="pause_trading", seconds=30)
        assert (await alice.order())[0] == 400
        await venue.advance(31)
        await desk.do("POST", "/exchange", action="slow_settlement", seconds=600)
        assert venue.exchange.state.config.settle_delay_seconds == 600
        _, made = await alice.order()
        await venue.advance(1)
        await desk.do("POST", "/exchange", action="read_lag", milliseconds=800)
        path = f"{ORDERS}/{made['order_id']}"
        await alice.call("DELETE", path, query="exchange_index=2")
        order = (await alice.get(f"/portfolio/orders/{made['order_id']}"))["order"]
        assert order["status"] == "resting"

    run(scenario)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/faults/requests", {"fault": "explode"}, 400),
        ("/faults/requests", {"fault": "status", "count": 0}, 400),
        ("/faults/frames", {}, 400),
        ("/exchange", {"action": "activate", "ticker": "KXNONE"}, 400),
        ("/nothing", {}, 404),
    ],
)
def test_nonsense_arms_nothing(path, body, status):
    """Bad control requests are refused."""

    async def scenario(_venue, desk, _alice):
        assert (await desk.do("POST", path, **body))[0] == status
        assert (await desk.do("GET", "/faults"))[1]["requests"] == []

    run(scenario)


def test_control_answers_loopback_only():
    """403 for everybody else."""

    async def scenario(venue, _desk, _alice):
        reply = await Control(venue.gateway).request(Request("GET", "/faults", {}, b"", "10.1.2.3"))
        assert reply.status == 403

    run(scenario)


class FailingStore:
    """A store that fails while told to, and remembers what it saved."""

    def __init__(self) -> None:
        self.is_down = False
        self.saved = []

    async def save(self, exchange, changes) -> None:
        """Save, or not."""
        assert exchange
        if self.is_down:
            raise Unavailable("down")
        self.saved.append(changes)


def test_nothing_leaves_before_it_is_durable():
    """Without the database the reply is 503 and frames wait; the next commit saves and sends."""

    async def main():
        store = FailingStore()
        venue = Venue(store=store)
        alice = await venue.member("alice")
        stream = await alice.stream("user_orders")
        stream.frames()
        store.is_down = True
        status, _ = await alice.order(client_order_id="unknown")
        assert status == 503
        assert (stream.frames(), venue.gateway.is_saved) == ([], False)
        store.is_down = False
        status, body = await alice.order(client_order_id="unknown")
        assert (status, body["error"]["code"]) == (409, "order_already_exists")
        assert [one["client_order_id"] for one in stream.of("user_order")] == ["unknown"]
        assert len(store.saved[-1].orders) == 1

    asyncio.run(main())


def test_house_activity_is_saved_in_batches():
    """Anonymous quotes and trades alone do not make a transaction each."""

    async def main():
        store = FailingStore()
        venue = Venue(store=store)
        await venue.gateway.commit()
        before = len(store.saved)
        for _ in range(4):
            venue.exchange.set_external_level(LOW, "yes", 5000, 100, venue.clock.at_us)
            venue.exchange.external_trade(LOW, "no", 5000, 100, venue.clock.at_us)
            await venue.advance(1)
        assert len(store.saved) == before
        await venue.advance(HOUSE_SAVE_US / SECOND)
        assert len(store.saved) == before + 1
        assert len(store.saved[-1].trades) == 4

    asyncio.run(main())
