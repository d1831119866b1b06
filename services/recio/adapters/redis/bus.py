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
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from recio.adapters.redis.resp import RespConnection, connect, parse_address
from recio.domain import messages
from recio.domain.errors import Broken, Unavailable
from recio.domain.messages import Message

STREAM_LENGTH: Final = 1_000
"""About: Redis trims in whole nodes. At 10 messages a second more than a minute and a half."""
BLOCK_MS: Final = 5_000
READ_MOST: Final = 200
READ_TIMEOUT_S: Final = 2 * BLOCK_MS / 1000
BACKOFF_FIRST_S: Final = 0.05
BACKOFF_MOST_S: Final = 5.0
PUBLISH_TIMEOUT_S: Final = 2.0

_FIELD: Final = b"m"
_SHARED: Final = "shared"
_BEFORE_ALL: Final = b"0-0"

Entry = tuple[bytes, list[bytes]]
"""A stream and the fields of one of its entries, names and values in turn."""


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
    """Publishes and reads messages; ``dropped`` counts what was not a message of ours, by topic.

    ``environments`` are those that are read (none: our own); what is published is our own's.
    ``password`` is asked at each connection and takes the place of the address's.
    """

    def __init__(
        self,
        url: str,
        *,
        environment: str,
        jitter: Callable[[], float] = lambda: 0.5,
        password: Callable[[], str] | None = None,
        environments: Sequence[str] = (),
    ) -> None:
        self._environments = tuple(environments) or (environment,)
        self.environment = environment
        self.dropped: Counter[str] = Counter()
        self._address = parse_address(url)
        self._jitter = jitter
        self._password = password
        self._publisher: RespConnection | None = None
        self._opening = asyncio.Lock()
        self._readers: set[RespConnection] = set()

    async def publish(self, topic: str, message: Message) -> None:
        """Append a message to a topic.

        Raises:
            Unavailable: Redis is gone; Broken: the message does not belong to the topic.
        """
        stream = stream_name(self.environment, topic)
        if not isinstance(message, messages.TOPICS[topic]):
            raise Broken(f"a {type(message).__name__} does not belong to the topic {topic}")
        body = messages.encode(message)
        await self._send("XADD", stream, "MAXLEN", "~", STREAM_LENGTH, "*", _FIELD, body)

    async def _connect(self) -> RespConnection:
        if self._password is None:
            return await connect(self._address)
        return await connect(replace(self._address, password=self._password()))

    async def _send(self, *words: bytes | str | int) -> Any:  # noqa: ANN401 (whatever Redis says)
        connection = self._publisher
        if connection is None or not connection.is_open:
            async with self._opening:
                if self._publisher is None or not self._publisher.is_open:
                    self._publisher = await self._connect()
                connection = self._publisher
        return await connection.command(*words, timeout_s=PUBLISH_TIMEOUT_S)

    async def subscribe(self, *topics: str) -> AsyncIterator[tuple[str, Message]]:
        """Yield (topic, message) from the newest of each topic on; reconnects for ever."""
        by_stream = {
            stream_name(environment, topic).encode(): topic
            for environment in self._environments
            for topic in topics
        }
        seen: dict[bytes, bytes] = {}
        wait_s = BACKOFF_FIRST_S
        while True:
            try:
                connection = await self._connect()
            except Unavailable:
                await asyncio.sleep(wait_s * (0.5 + 0.5 * self._jitter()))
                wait_s = min(2 * wait_s, BACKOFF_MOST_S)
                continue
            wait_s = BACKOFF_FIRST_S
            self._readers.add(connection)
            try:
                entries = await _newest(connection, by_stream, seen)
                while True:
                    for stream, fields in entries:
                        if (found := self._decoded(by_stream[stream], fields)) is not None:
                            yield found
                    entries = await _read(connection, seen)
            except Unavailable:
                await asyncio.sleep(wait_s * (0.5 + 0.5 * self._jitter()))
            finally:
                self._readers.discard(connection)
                connection.close()

    def _decoded(self, topic: str, fields: list[bytes]) -> tuple[str, Message] | None:
        try:
            message = messages.decode(fields[fields.index(_FIELD) + 1])
        except (ValueError, IndexError, msgspec.MsgspecError):
            message = None
        if message is None or not isinstance(message, messages.TOPICS[topic]):
            self.dropped[topic] += 1
            return None
        return topic, message

    async def ping(self) -> bool:
        """Return whether Redis answers."""
        try:
            return bool(await self._send("PING") == b"PONG")
        except Unavailable:
            return False

    async def close(self) -> None:
        """Close the connections."""
        for connection in (self._publisher, *self._readers):
            if connection is not None:
                connection.close()


async def _newest(
    connection: RespConnection, streams: dict[bytes, str], seen: dict[bytes, bytes]
) -> list[Entry]:
    """Find where to read on; at the first time return the newest entry of each stream."""
    found: list[Entry] = []
    for stream in streams:
        entries = await connection.command(
            "XREVRANGE", stream, "+", "-", "COUNT", 1, timeout_s=READ_TIMEOUT_S
        )
        newest_id = entries[0][0] if entries else _BEFORE_ALL
        if stream not in seen:
            seen[stream] = newest_id
            found += [(stream, fields) for _id, fields in entries]
        elif _order(newest_id) < _order(seen[stream]):
            # Redis came back empty, and perhaps with an older clock: its ids start below ours.
            seen[stream] = _BEFORE_ALL
    return found


async def _read(connection: RespConnection, seen: dict[bytes, bytes]) -> list[Entry]:
    answer = await connection.command(
        *("XREAD", "COUNT", READ_MOST, "BLOCK", BLOCK_MS, "STREAMS"),
        *seen,
        *seen.values(),
        timeout_s=READ_TIMEOUT_S,
    )
    found: list[Entry] = []
    for stream, entries in answer or ():
        for entry_id, fields in entries:
            seen[stream] = entry_id
            found.append((stream, fields))
    return found


def _order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence)
