"""A clock that stands still until it is told otherwise; sleeping moves it."""

from __future__ import annotations

import asyncio

START_US = 1_780_000_000_000_000


class HandClock:
    """The Clock port, moved by hand and by sleeping."""

    def __init__(self):
        self.now_us = START_US
        self.slept = []

    def market_us(self):
        """Return market time."""
        return self.now_us

    def wall_us(self):
        """Return wall time."""
        return self.now_us

    async def sleep_market(self, seconds):
        """Let the time pass."""
        self.slept.append(seconds)
        self.now_us += round(seconds * 1_000_000)
        await asyncio.sleep(0)

    sleep_wall = sleep_market
