"""The Bus port, on Redis and in memory."""

from __future__ import annotations

import asyncio

import pytest
import redis

from recio.adapters.redis.bus import RedisBus
from recio.domain.errors import Broken, Unavailable
from recio.domain.messages import Change, ExchangeStatus, PriceUpdate, encode
from recio.runtime.local.embedded import EmbeddedRedis
from recio.testing.memory_bus import MemoryBus


def price(number):
    """Return a message that can be told from others."""
    return PriceUpdate(environment="paper", symbol="BTC", at_us=number, seen_us=number)


@pytest.fixture(params=["redis", "memory"])
def either(request):
    """The port, both kinds."""
    return request.getfixturevalue("bus") if request.param == "redis" else MemoryBus()


async def take(messages, number):
    """Return so many messages, or fail within a minute."""
    async with asyncio.timeout(60):
        return [await anext(messages) for _ in range(number)]


def test_reading_begins_with_the_newest_and_goes_on_in_order(either, runner):
    """Who subscribes late has the present state at once, not the history."""

    async def scenario():
        for number in range(3):
            await either.publish("prices", price(number))
        messages = either.subscribe("prices", "exchange_status")
        heard = await take(messages, 1)
        for number in range(3, 6):
            await either.publish("prices", price(number))
        heard += await take(messages, 3)
        await messages.aclose()
        return [(topic, message.at_us) for topic, message in heard]

    assert runner.run(scenario()) == [("prices", number) for number in (2, 3, 4, 5)]


def test_one_reader_hears_several_topics(either, runner):
    """Topics do not mix."""
    status = ExchangeStatus(
        environment="paper",
        is_exchange_active=True,
        is_trading_active=None,
        is_connected=True,
        resume_us=None,
        at_us=1,
        seen_us=1,
    )

    async def scenario():
        await either.publish("exchange_status", status)
        await either.publish("prices", price(7))
        messages = either.subscribe("prices", "exchange_status")
        heard = await take(messages, 2)
        await messages.aclose()
        return dict(heard)

    assert runner.run(scenario()) == {"prices": price(7), "exchange_status": status}


def test_a_topic_nobody_declared_is_broken(either, runner):
    """A misspelt topic is a mistake of ours, found at once."""
    with pytest.raises(Broken, match="prizes"):
        runner.run(either.publish("prizes", price(1)))


def test_a_message_of_another_topic_is_broken(either, runner):
    """Each topic has its types."""
    change = Change(table="trades", account="paper", row_id="1", at_us=1, seen_us=1)
    with pytest.raises(Broken, match="Change"):
        runner.run(either.publish("prices", change))


@pytest.mark.parametrize(
    "fields",
    [
        {"m": b"\xc1"},
        {"m": b""},
        {"x": b"1"},
        {"m": encode(Change(table="t", account=None, row_id="1", at_us=1, seen_us=1))},
    ],
)
def test_what_is_no_message_is_counted_and_skipped(bus, redis_url, runner, fields):
    """A bad message harms nobody."""

    async def scenario():
        messages = bus.subscribe("prices")
        await bus.publish("prices", price(1))
        heard = await take(messages, 1)
        with redis.Redis.from_url(redis_url) as client:
            client.xadd(f"recio:{bus.environment}:prices", fields)
        await bus.publish("prices", price(2))
        heard += await take(messages, 1)
        await messages.aclose()
        return [message.at_us for _topic, message in heard], bus.dropped["prices"]

    assert runner.run(scenario()) == ([1, 2], 1)


def test_a_stream_is_capped(bus, redis_url, runner, monkeypatch):
    """Nobody reading does not fill the memory."""
    monkeypatch.setattr("recio.adapters.redis.bus.STREAM_LENGTH", 10)

    async def scenario():
        for number in range(500):
            await bus.publish("prices", price(number))

    runner.run(scenario())
    with redis.Redis.from_url(redis_url) as client:
        assert client.xlen(f"recio:{bus.environment}:prices") <= 200


def test_a_reader_outlives_the_server(tmp_path_factory, runner):
    """Redis lost is market data lost, and nothing else; reading resumes by itself."""
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    server.start()
    bus = RedisBus(server.url, environment="paper")

    async def publish_when_back():
        async with asyncio.timeout(60):
            while True:
                try:
                    return await bus.publish("prices", price(2))
                except Unavailable:
                    await asyncio.sleep(0.02)

    async def scenario():
        messages = bus.subscribe("prices")
        await bus.publish("prices", price(1))
        heard = await take(messages, 1)
        server.stop()
        with pytest.raises(Unavailable):
            await bus.publish("prices", price(0))
        reading = asyncio.ensure_future(take(messages, 1))
        server.start()
        await publish_when_back()
        heard += await reading
        await messages.aclose()
        await bus.close()
        return [message.at_us for _topic, message in heard]

    assert runner.run(scenario()) == [1, 2]
    server.stop()


def test_the_password_is_asked_at_each_connection(tmp_path_factory, runner):
    """A mounted Secret that was changed is found without a restart."""
    server = EmbeddedRedis(tmp_path_factory.mktemp("secret"))
    server.start()
    words = ["wrong"]
    bus = RedisBus(server.url, environment="paper", password=lambda: words[-1])
    with redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", "right")

    async def scenario():
        found = [await bus.ping()]
        words.append("right")
        found.append(await bus.ping())
        await bus.close()
        return found

    assert runner.run(scenario()) == [False, True]
    server.stop()


def test_a_reader_of_several_environments_hears_each_and_publishes_as_itself(redis_url, runner):
    """What it says is its own's; every message names where it is from."""
    ours, theirs = f"ours{id(runner)}", f"theirs{id(runner)}"

    async def scenario():
        one = RedisBus(redis_url, environment=ours, environments=(ours, theirs))
        other = RedisBus(redis_url, environment=theirs)
        await one.publish("prices", price(1))
        await other.publish("prices", price(2))
        wide, narrow = one.subscribe("prices"), other.subscribe("prices")
        heard = await take(wide, 2), await take(narrow, 1)
        for stream in (wide, narrow):
            await stream.aclose()
        for bus in (one, other):
            await bus.close()
        return [sorted(message.at_us for _topic, message in part) for part in heard]

    assert runner.run(scenario()) == [[1, 2], [2]]
