"""A day by chance: wishes good and bad, a book that moves, orders by hand, faults, kills, a switch.

Everything follows from the seed: what is wished and when, what the book shows, which faults are
armed before which wish, and after which commit all services are killed.
"""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 (seeded: the same day in each run)
from functools import partial

from tests.simulation.floor import FRAMES, REQUESTS, Floor, copied, judge
from tests.unit.exchange_simulator.builders import CLOSE_US, HIGH, LOW

from recio.domain.account_config import Trading
from recio.domain.intents import Source
from recio.domain.orders import BookSide
from recio.domain.units import SECOND_US
from recio.exchange_simulator.faults import ArmedFrame, FrameFault

LENGTH_S = 240
AFTER_CLOSE_S = 150
WISHES = 18
SIDES = {LOW: "yes", HIGH: "no"}
PRICES = {LOW: 9_600, HIGH: 7_000}
TIGHT = {
    "max_contracts_per_event": 25,
    "max_contracts_total": 25,
    "max_cost_per_event_dollars": 20,
    "max_cost_total_dollars": 20,
    "max_open_trades": 2,
    "max_orders_per_minute": 6,
}


class BusyDay:
    """One seed's day."""

    def __init__(self, database_url, seed):
        self.chance = random.Random(seed)
        self.floor = Floor(
            database_url,
            read_lag_ms=self.chance.choice([0, 0, 1_500, 3_000]),
            start_us=CLOSE_US - LENGTH_S * SECOND_US,
            **TIGHT,
        )
        self.requests = [fault for faults in REQUESTS.values() for fault in faults]
        self.frames = list(FRAMES.values())
        self.restarting = asyncio.Lock()

    def play(self):
        """Play the day; return its history."""
        return self.floor.play(self._script)

    async def _script(self):
        killing = asyncio.create_task(self._kill())
        self.floor.kept.add(killing)
        halted_at = self.chance.choice([None, None, self.chance.randint(4, WISHES - 1)])
        pause_s = (LENGTH_S - 60) / WISHES
        for number in range(WISHES):
            self._move_book()
            if number == halted_at:
                state = self.chance.choice([Trading.HALTED, Trading.NO_NEW_ENTRIES])
                await self.floor.scene.switch(state)
            await self._wish()
            await asyncio.sleep(self.chance.uniform(0.2, 2 * pause_s - 0.2))
        async with self.restarting:
            killing.cancel()
        await asyncio.wait([killing])
        left_s = (CLOSE_US - self.floor.clock.market_us()) / SECOND_US
        await asyncio.sleep(max(left_s, 0) + AFTER_CLOSE_S)
        await self.floor.scene.assert_books_agree()
        return await judge(self.floor)

    def _arm(self):
        chance, faults = self.chance, self.floor.faults
        if chance.random() < 0.5:
            faults.arm_request(copied(chance.choice(self.requests)))
        if chance.random() < 0.3:
            kind, frame = chance.choice(self.frames)
            most = 1 if kind is FrameFault.CUT else 5
            faults.arm_frame(ArmedFrame(kind, chance.randint(1, most), frame, delay_seconds=4.0))

    def _move_book(self):
        chance, now_us = self.chance, self.floor.clock.market_us()
        levels = (
            (LOW, "no", 400), (LOW, "no", 500), (LOW, "yes", 9_400), (LOW, "yes", 9_300),
            (HIGH, "yes", 3_000), (HIGH, "no", 6_800),
        )  # fmt: skip
        for ticker, side, price_e4 in levels:
            qty_e2 = chance.choice([0, 100, 250, 500, 1_000, 5_000])
            self.floor.exchange.set_external_level(ticker, side, price_e4, qty_e2, now_us)

    async def _wish(self):
        """Wish an entry or an exit, or trade by hand; some wishes are wrong on purpose."""
        doing = self.chance.choice([self._enter] * 4 + [self._leave] * 4 + [self._by_hand])
        if doing != self._by_hand:
            self._arm()
        await doing()

    async def _enter(self):
        chance, scene = self.chance, self.floor.scene
        tickers = chance.choice([[LOW], [HIGH], [LOW, HIGH]])
        for ticker in tickers:
            old_us = chance.choice([0] * 9 + [4 * SECOND_US])
            await scene.propose(
                scene.wish(
                    market_ticker=ticker,
                    side=SIDES[ticker],
                    limit_price_e4=PRICES[ticker] + chance.choice([0] * 7 + [100, 50]),
                    qty_e2=chance.choice([300, 500, 500, 700, 1_000, 1_000, 1_000, 1_100]),
                    price_at_us=scene.now_us - old_us,
                    book_at_us=chance.choice([scene.now_us] * 11 + [None]),
                )
            )

    async def _leave(self):
        chance, scene = self.chance, self.floor.scene
        held = await scene.rows(
            "SELECT trade_id, market_ticker, side::text FROM trading.trades WHERE account = %s "
            "AND state IN ('open', 'closing') AND source <> 'external' ORDER BY number",
            scene.account,
        )
        for trade_id, ticker, side in held:
            for _ in range(chance.choice([1, 1, 2])):
                await scene.propose(
                    scene.exit_wish(
                        trade_id,
                        market_ticker=ticker,
                        side=side,
                        qty_e2=chance.choice([200, 500, 1_000]),
                        limit_price_e4=chance.choice([9_300, 3_100])
                        if ticker == LOW
                        else chance.choice([3_200, 3_000]),
                        source=chance.choice([Source.AUTO_STOP, Source.MANUAL]),
                    )
                )

    async def _by_hand(self):
        if self.floor.clock.market_us() > CLOSE_US - 20 * SECOND_US:
            return
        side = self.chance.choice([BookSide.BID, BookSide.ASK])
        price_e4 = 9_600 if side is BookSide.BID else 9_300
        await self.floor.by_hand(side, price_e4, self.chance.choice([100, 300]))

    async def _kill(self):
        """Kill all services a few times: when an order is just in some state, or at any commit."""
        for _ in range(self.chance.randint(0, 3)):
            await asyncio.sleep(self.chance.uniform(1.0, 60.0))
            state = self.chance.choice(["", "created", "submitted", "unknown", "executed"])
            later = self.floor.watch.commits + self.chance.randint(1, 15)
            await reached(self.floor, partial(_is_due, later=later, state=state))
            async with self.restarting:
                await self.floor.restart()


async def reached(floor, is_due):
    """Wait for the commit that ``is_due`` says; what runs next is what its author would do next."""
    found = asyncio.Event()

    def look(number):
        if is_due(number, floor.watch.samples[-1]):
            floor.watch.on_commit = None
            found.set()

    floor.watch.on_commit = look
    await found.wait()


def _is_due(number, sample, *, later, state):
    if not state:
        return number >= later
    if state == "executed":
        return any(one.booked_e2 < one.filled_e2 for one in sample.orders)
    return any(one.state == state for one in sample.orders)
