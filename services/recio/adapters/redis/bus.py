"""The Bus port on Redis Streams.

One stream a topic, ``recio:<environment>:<topic>``, capped at about ``STREAM_LENGTH`` entries, each
with one field that holds a message as ``domain.messages`` encodes it. Readers need no group: each
reads from the newest entry on, by itself.

Guarantees: messages of one topic arrive in order; after a broken connection reading goes on where
it stopped as far as the cap reaches, else from the oldest kept. What cannot be decoded, or does not
belong to its topic, is counted (``dropped``) and skipped. Publishing raises ``Unavailable`` at once.

Streams: https://redis.io/docs/latest/develop/data-types/streams/ (read November 2026).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from recio.domain import messages
from recio.domain.errors import Broken, Unavailable
from recio.domain.messages import Message

STREAM_LENGTH: Final = 1_000
"""About: Redis trims in whole nodes. At 10 messages a second more than a minute and a half."""
BLOCK_MS: Final = 5_000
READ_MOST: Final = 200
BACKOFF_FIRST_S: Final = 0.05
BACKOFF_MOST_S: Final = 5.0
PUBLISH_TIMEOUT_S: Final = 2.0

_FIELD: Final = b"m"
_SHARED: Final = "shared"
_BEFORE_ALL: Final = b"0-0"


def stream_name(environment: str, topic: str) -> str:
    """Return the stream of a topic.

    Raises:
        Broken: the topic is not in the list of topics.
    """
    if topic not in messages.TOPICS:
        raise Broken(f"expected one of the topics {', '.join(messages.TOPICS)}, received {topic!r}")
    owner = _SHARED if topic in messages.SHARED_TOPICS else environment
    return f"recio:{owner}:{topic}"


class RedisBus:
    """Publishes and reads messages; ``dropped`` counts what was not a message of ours, by topic."""

    def __init__(
        self, url: str, *, environment: str, jitter: Callable[[], float] = lambda: 0.5
    ) -> None:
        self._url = url
        self.environment = environment
        self._jitter = jitter
        self._publisher = _client(url, timeout_s=PUBLISH_TIMEOUT_S)
        self._readers: set[redis.asyncio.Redis] = set()
        self.dropped: Counter[str] = Counter()

    async def publish(self, topic: str, message: Message) -> None:
        """Append a message to a topic.

        Raises:
            Unavailable: Redis is gone; Broken: the message does not belong to the topic.
        """
        stream = stream_name(self.environment, topic)
        if not isinstance(message, messages.TOPICS[topic]):
            raise Broken(f"a {type(message).__name__} does not belong to the topic {topic}")
        try:
            await self._publisher.xadd(
                stream, {_FIELD: messages.encode(message)}, maxlen=STREAM_LENGTH, approximate=True
            )
        except (RedisError, OSError) as error:
            raise Unavailable(f"cannot publish to {stream}: {error}") from error

    async def subscribe(self, *topics: str) -> AsyncIterator[tuple[str, Message]]:
        """Yield (topic, message) from the newest of each topic on; reconnects for ever."""
        by_stream = {stream_name(self.environment, topic).encode(): topic for topic in topics}
        seen: dict[bytes, bytes] = {}
        wait_s = BACKOFF_FIRST_S
        while True:
            client = _client(self._url, timeout_s=2 * BLOCK_MS / 1000)
            self._readers.add(client)
            try:
                for entry in await _newest(client, by_stream, seen):
                    if (found := self._decoded(by_stream, *entry)) is not None:
                        yield found
                wait_s = BACKOFF_FIRST_S
                while True:
                    for entry in await _read(client, seen):
                        if (found := self._decoded(by_stream, *entry)) is not None:
                            yield found
            except (RedisError, OSError):
                await asyncio.sleep(wait_s * (0.5 + 0.5 * self._jitter()))
                wait_s = min(2 * wait_s, BACKOFF_MOST_S)
            finally:
                self._readers.discard(client)
                await client.aclose()

    def _decoded(
        self, by_stream: dict[bytes, str], stream: bytes, fields: dict[bytes, bytes]
    ) -> tuple[str, Message] | None:
        topic = by_stream[stream]
        try:
            message = messages.decode(fields[_FIELD])
        except (KeyError, msgspec.MsgspecError):
            message = None
        if message is None or not isinstance(message, messages.TOPICS[topic]):
            self.dropped[topic] += 1
            return None
        return topic, message

    async def ping(self) -> bool:
        """Return whether Redis answers."""
        try:
            return bool(await self._publisher.ping())
        except (RedisError, OSError):
            return False

    async def close(self) -> None:
        """Close the connections."""
        for client in (self._publisher, *self._readers):
            await client.aclose()


def _client(url: str, *, timeout_s: float) -> redis.asyncio.Redis:
    # No retry inside the client: a repeated XADD would be a second message, and waiting is ours.
    return redis.asyncio.Redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=2.0, retry=Retry(NoBackoff(), 0)
    )


async def _newest(
    client: redis.asyncio.Redis, streams: dict[bytes, str], seen: dict[bytes, bytes]
) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Find where to read on; at the first time return the newest entry of each stream."""
    found = []
    for stream in streams:
        entries: Any = await client.xrevrange(stream, count=1)
        newest_id = entries[0][0] if entries else _BEFORE_ALL
        if stream not in seen:
            seen[stream] = newest_id
            found += [(stream, fields) for _id, fields in entries]
        elif _order(newest_id) < _order(seen[stream]):
            # Redis came back empty, and perhaps with an older clock: its ids start below ours.
            seen[stream] = _BEFORE_ALL
    return found


async def _read(
    client: redis.asyncio.Redis, seen: dict[bytes, bytes]
) -> list[tuple[bytes, dict[bytes, bytes]]]:
    streams: dict[Any, Any] = dict(seen)
    answer: Any = await client.xread(streams, count=READ_MOST, block=BLOCK_MS)
    found = []
    for stream, entries in answer or ():
        for entry_id, fields in entries:
            seen[stream] = entry_id
            found.append((stream, fields))
    return found


def _order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence)
