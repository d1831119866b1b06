"""Hands NOTIFY hints to whoever listens in this process, each pending hint once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from recio.ports import Notification

EVERYTHING = Notification("", "")
"""The connection was made anew: everything may have changed."""


class Inbox:
    """What one listener has not taken yet, in order of arrival, without repetition."""

    def __init__(self, channels: Sequence[str]) -> None:
        self.channels = frozenset(channels)
        self.is_told = False
        self._pending: dict[Notification, None] = {}
        self._waiter: asyncio.Future[None] | None = None

    def put(self, hint: Notification) -> None:
        """Keep a hint, unless the same one is waiting already."""
        self._pending[hint] = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self) -> Notification:
        """Return the oldest hint; wait for one if there is none."""
        while not self._pending:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        hint = next(iter(self._pending))
        del self._pending[hint]
        return hint


class Hints:
    """The listeners of a process."""

    def __init__(self) -> None:
        self._inboxes: list[Inbox] = []
        self.changed = asyncio.Event()

    @contextmanager
    def subscribed(self, channels: Sequence[str]) -> Iterator[Inbox]:
        """Receive hints of the channels while the block runs."""
        inbox = Inbox(channels)
        self._inboxes.append(inbox)
        try:
            yield inbox
        finally:
            self._inboxes.remove(inbox)

    def channels(self) -> set[str]:
        """Return every channel somebody listens to."""
        return {channel for inbox in self._inboxes for channel in inbox.channels}

    def connected(self, channels: set[str]) -> None:
        """Tell whoever these channels now reach, once a connection, that all may have changed."""
        for inbox in self._inboxes:
            if not inbox.is_told and inbox.channels <= channels:
                inbox.is_told = True
                inbox.put(EVERYTHING)

    def disconnected(self) -> None:
        """Hints may be lost from now until ``connected``."""
        for inbox in self._inboxes:
            inbox.is_told = False

    def deliver(self, hint: Notification) -> None:
        """Hand a hint to the listeners of its channel."""
        for inbox in self._inboxes:
            if hint.channel in inbox.channels:
                inbox.put(hint)
