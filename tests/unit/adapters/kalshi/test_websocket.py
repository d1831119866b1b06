"""The stream over reconnects, in virtual time, on a scripted connection."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

from tests.unit.adapters.clock import START_US
from tests.unit.adapters.keys import ed25519_key, pkcs8

from recio.adapters.kalshi.events import BookChanged, Connected, Disconnected
from recio.adapters.kalshi.signing import RequestSigner
from recio.adapters.kalshi.stream import FILL, ORDER_BOOK, Subscription, account_subscriptions
from recio.adapters.kalshi.websocket import KalshiStream
from recio.domain.errors import Rejected, Unavailable
from recio.runtime.clock import SteppedClock
from recio.runtime.ids import SeededIds
from recio.runtime.stepped import SteppedLoop, run

TICKER = "KXBTCD-25AUG0122-T119499.99"


class Socket:
    """An exchange's end: acknowledges, sends snapshots, answers probes unless it is dead."""

    def __init__(self, *, is_dead=False):
        self.frames = asyncio.Queue()
        self.commands = []
        self.is_dead = is_dead

    def say(self, frame):
        """Let the exchange say something."""
        self.frames.put_nowait(json.dumps(frame).encode())

    async def send(self, text):
        """Take a command."""
        command = json.loads(text)
        self.commands.append(command)
        if self.is_dead:
            return
        if command["cmd"] == "subscribe":
            channel = command["params"]["channels"][0]
            self.say(
                {"type": "subscribed", "id": command["id"], "msg": {"channel": channel, "sid": 1}}
            )
            if channel == ORDER_BOOK:
                body = {"market_ticker": TICKER, "yes_dollars_fp": [["0.4500", "1.00"]]}
                self.say({"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": body})
        else:
            self.say({"type": "ok", "id": command["id"], "msg": []})

    async def receive(self):
        """Give the next frame."""
        frame = await self.frames.get()
        if frame is None:
            raise Unavailable("cut")
        return frame

    def cut(self):
        """End the connection."""
        self.frames.put_nowait(None)

    async def close(self):
        """End the connection."""
        self.cut()


class Sockets:
    """A WebSocketTransport over given sockets; an exception in the list is raised."""

    def __init__(self, *sockets):
        self.sockets = list(sockets)
        self.headers = []

    async def connect(self, target, headers):
        """Open the next connection."""
        assert target == "/trade-api/ws/v2"
        self.headers.append(headers)
        found = self.sockets.pop(0) if self.sockets else Unavailable("nobody there")
        if isinstance(found, Exception):
            raise found
        return found


class Follower:
    """A stream that is followed in a task; ``events`` are (seconds, event)."""

    def __init__(self, clock, *sockets, subscriptions=None):
        self.clock = clock
        self.transport = Sockets(*sockets)
        self.events = []
        wanted = Subscription(key="b", channel=ORDER_BOOK, tickers=(TICKER,))
        signer = RequestSigner("key", pkcs8(ed25519_key()))
        self.stream = KalshiStream(
            self.transport,
            signer,
            clock,
            SeededIds("s"),
            subscriptions=(wanted,) if subscriptions is None else subscriptions,
        )
        self.task = asyncio.create_task(self.follow())

    async def follow(self):
        """Note every event with its time."""
        async for event in self.stream.events():
            self.events.append(((self.clock.wall_us() - START_US) / 1e6, event))

    async def stop(self):
        """Close the stream and wait for its end."""
        await self.stream.close()
        await asyncio.wait_for(self.task, 60)

    def kinds(self):
        """Return the types of the events."""
        return [type(event) for _, event in self.events]


def stepped(scenario):
    """Run a scenario in virtual time."""
    loop = SteppedLoop()
    return run(scenario(SteppedClock(loop, START_US)), loop=loop)


def test_it_signs_subscribes_and_follows():
    """The upgrade is signed for GET and the path."""

    async def scenario(clock):
        follower = Follower(clock, Socket())
        await clock.sleep_wall(1)
        assert follower.kinds() == [Connected, BookChanged]
        assert follower.stream.books[TICKER].is_valid
        assert follower.stream.heard_us == START_US
        await follower.stop()
        assert follower.kinds()[-1] is Disconnected
        assert not follower.stream.books[TICKER].is_valid
        (headers,) = follower.transport.headers
        assert headers["KALSHI-ACCESS-TIMESTAMP"] == str(START_US // 1000)

    stepped(scenario)


def test_a_cut_connection_is_made_anew_soon():
    """Books are invalid in between, and whole again after it."""

    async def scenario(clock):
        first, second = Socket(), Socket()
        follower = Follower(clock, first, second)
        await clock.sleep_wall(1)
        first.cut()
        await clock.sleep_wall(1)
        assert follower.kinds() == [Connected, BookChanged, Disconnected, Connected, BookChanged]
        assert follower.events[3][0] - follower.events[2][0] <= 0.25
        assert follower.stream.reconnects == 1
        await follower.stop()

    stepped(scenario)


def test_refused_connections_back_off():
    """A wrong key is tried again and again, ever more slowly; each failure is told."""

    async def scenario(clock):
        refusals = [Rejected("401")] * 3 + [Unavailable("down")] * 50
        follower = Follower(clock, *refusals)
        await clock.sleep_wall(200)
        told = [at for at, event in follower.events if isinstance(event, Disconnected)]
        pauses = [later - sooner for sooner, later in pairwise(told)]
        assert pauses[0] <= 0.5
        assert max(pauses) <= 30
        assert pauses[-1] >= 15
        await follower.stop()

    stepped(scenario)


def test_a_silent_connection_is_asked_and_kept_if_it_answers():
    """A quiet private stream is no dead one."""

    async def scenario(clock):
        socket = Socket()
        follower = Follower(clock, socket)
        await clock.sleep_wall(120)
        assert follower.kinds() == [Connected, BookChanged]
        probes = [command for command in socket.commands if command["cmd"] == "list_subscriptions"]
        assert 3 <= len(probes) <= 15
        await follower.stop()

    stepped(scenario)


def test_a_dead_connection_is_left():
    """It is open, and nobody is there."""

    async def scenario(clock):
        follower = Follower(clock, Socket(is_dead=True), Socket())
        await clock.sleep_wall(40)
        assert follower.kinds() == [Connected, Disconnected, Connected, BookChanged]
        assert "no answer to subscribe" in follower.events[1][1].reason
        assert follower.events[1][0] <= 20
        await follower.stop()

    stepped(scenario)


def test_subscriptions_change_while_it_runs():
    """What is wanted later is asked for at once, and again after a reconnect."""

    async def scenario(clock):
        first, second = Socket(), Socket()
        follower = Follower(clock, first, second, subscriptions=account_subscriptions())
        await clock.sleep_wall(1)
        await follower.stream.want(Subscription(key="b", channel=ORDER_BOOK, tickers=(TICKER,)))
        await follower.stream.drop(FILL)
        await clock.sleep_wall(1)
        assert [command["cmd"] for command in first.commands][-2:] == ["subscribe", "unsubscribe"]
        first.cut()
        await clock.sleep_wall(1)
        channels = [command["params"]["channels"][0] for command in second.commands]
        assert channels == ["user_orders", "market_positions", "order_group_updates", ORDER_BOOK]
        await follower.stop()

    stepped(scenario)


def test_a_bad_frame_does_not_end_the_connection():
    """It is refused and counted."""

    async def scenario(clock):
        socket = Socket()
        follower = Follower(clock, socket)
        await clock.sleep_wall(1)
        socket.frames.put_nowait(b"\xff{")
        socket.say({"type": "ticker", "sid": 9, "msg": {"market_ticker": 5}})
        await clock.sleep_wall(1)
        assert follower.kinds() == [Connected, BookChanged]
        assert follower.stream.refused == {"frame": 1, "ticker": 1}
        await follower.stop()

    stepped(scenario)


def test_a_reader_that_stops_closes_the_connection():
    """Cancelling the reader leaves no socket and no task behind."""

    async def scenario(clock):
        socket = Socket()
        follower = Follower(clock, socket)
        await clock.sleep_wall(1)
        follower.task.cancel()
        await asyncio.wait([follower.task])
        assert not follower.stream.is_connected
        assert len(asyncio.all_tasks()) == 1

    stepped(scenario)
