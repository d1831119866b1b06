"""The Bus port in memory: for stepped runs, where all services live in one process, and for tests.

The same guarantees as on Redis: capped, in order, from the newest of each topic on, checked types.
Messages are handed over as they are, because they are frozen.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from recio.domain import messages
from recio.domain.errors import Broken
from recio.domain.messages import Message

STREAM_LENGTH: Final = 1_000


class _Reader:
    def __init__(self) -> None:
        self.waiting: deque[tuple[str, Message]] = deque(maxlen=STREAM_LENGTH)
        self.waiter: asyncio.Future[None] | None = None

    def put(self, topic: str, message: Message) -> None:
        self.waiting.append((topic, message))
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def take(self) -> tuple[str, Message]:
        while not self.waiting:
            self.waiter = asyncio.get_running_loop().create_future()
            try:
                await self.waiter
            finally:
                self.waiter = None
        return self.waiting.popleft()


class MemoryBus:
    """A bus within one process; the environment plays no part, because there is only one."""

    def __init__(self) -> None:
        self._newest: dict[str, Message] = {}
        self._readers: dict[str, list[_Reader]] = {topic: [] for topic in messages.TOPICS}

    async def publish(self, topic: str, message: Message) -> None:
        """Hand a message to every reader of the topic.

        Raises:
            Broken: the topic is unknown, or the message does not belong to it.
        """
        _check(topic)
        if not isinstance(message, messages.TOPICS[topic]):
            raise Broken(f"a {type(message).__name__} does not belong to the topic {topic}")
        self._newest[topic] = message
        for reader in self._readers[topic]:
            reader.put(topic, message)

    async def subscribe(self, *topics: str) -> AsyncIterator[tuple[str, Message]]:
        """Yield (topic, message) from the newest of each topic on, for ever."""
        reader = _Reader()
        for topic in topics:
            _check(topic)
            self._readers[topic].append(reader)
            if topic in self._newest:
                reader.put(topic, self._newest[topic])
        try:
            while True:
                yield await reader.take()
        finally:
            for topic in topics:
                self._readers[topic].remove(reader)

    async def ping(self) -> bool:
        """Return True: it is always there."""
        return True

    async def close(self) -> None:
        """Forget everything."""
        self._newest.clear()


def _check(topic: str) -> None:
    if topic not in messages.TOPICS:
        raise Broken(f"expected one of the topics {', '.join(messages.TOPICS)}, received {topic!r}")
