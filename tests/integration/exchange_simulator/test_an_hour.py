"""The exchange with its world and its database: a trade, a kill in between, the close, the payment."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import psycopg
import pytest
from tests.unit.exchange_simulator.client import Client, TestClock

from recio.adapters.postgres.database import PostgresDatabase
from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.simulator import Simulator
from recio.exchange_simulator.world import MinutesSource, attach
from recio.runtime.ids import SeededIds

SECOND = 1_000_000


@pytest.fixture
def own(database_url, runner):
    """The database port under the simulator's own login."""
    login = psycopg.conninfo.make_conninfo(database_url, user="recio_exchange_simulator")
    port = PostgresDatabase(login, connections=2)
    yield port
    runner.run(port.close())


class House:
    """A simulator on a clock that the test moves, with what a client needs."""

    def __init__(self, clock, database) -> None:
        self.clock = clock
        self.simulator = Simulator(
            config=Config(),
            clock=clock,
            fresh=SeededIds("hour").fresh,
            database=database,
            attach=lambda on: attach(on, MinutesSource(), is_fine=False),
            log=logging.getLogger("test"),
        )
        self.http = self.simulator.http()
        self.websockets = self.simulator.websockets()

    async def go(self, seconds):
        """Let market time go on, second by second."""
        for _ in range(seconds):
            self.clock.at_us += SECOND
            self.simulator.world.step(self.clock.at_us)
            self.simulator.exchange.advance(self.clock.at_us)
            await self.simulator.gateway.commit()

    async def client(self, name):
        """Open an account and return its client."""
        body = msgspec.json.encode({"account": name, "initial_balance_dollars": 1000})
        reply = await self.http.request("POST", "/admin/accounts", {}, body, timeout_s=1)
        made = msgspec.json.decode(reply.body)
        return Client(self, name, made["api_key_id"], made["private_key"])


async def a_liquid_market(client):
    """Return an hourly market that closes next, with both sides quoted."""
    listed = (await client.get("/markets", "status=open&series_ticker=KXBTCD&limit=1000"))[
        "markets"
    ]
    quoted = [m for m in listed if 0.2 < float(m["yes_ask_dollars"]) < 0.8]
    return min(quoted, key=lambda market: market["close_time"])


@pytest.mark.parametrize("is_killed", [False, True], ids=["in one go", "killed in between"])
def test_money_adds_up_from_trade_to_settlement(own, runner, is_killed):
    """Cash = opening + fills' revenue - fees + payout, to the micro-dollar, with or without a kill."""

    async def scenario():
        clock = TestClock(attach(Exchange(), MinutesSource()).start_us)
        house = House(clock, own)
        await house.simulator.recover()
        alice = await house.client("alice")
        market = await a_liquid_market(alice)
        order = {"ticker": market["ticker"], "time_in_force": "immediate_or_cancel"}
        status, made = await alice.order("bid", "0.99", "25", **order)
        assert (status, made["fill_count"]) == (201, "25.00")
        await house.go(100)
        if is_killed:
            # Nothing is closed or drained: only what was committed survives.
            house = alice.venue = House(clock, own)
            clock.at_us += 7 * SECOND
            await house.simulator.recover()
        await house.go(800)
        truth = await _truth(house, "alice")
        fills, (paid,) = truth["fills"], truth["settlements"]
        assert paid["yes_e2"] == 2500
        assert paid["result"] in {"yes", "no"}
        assert paid["revenue_cents"] == (2500 if paid["result"] == "yes" else 0)
        flow = sum(one["revenue_e6"] - one["fee_e6"] for one in fills)
        assert truth["cash_usd_e6"] == 1_000_000_000 + flow + paid["revenue_cents"] * 10_000
        shown = (await alice.get(f"/markets/{market['ticker']}"))["market"]
        assert (shown["status"], shown["result"]) == ("finalized", paid["result"])

    runner.run(scenario())


async def _truth(house, name):
    reply = await house.http.request("GET", f"/admin/accounts/{name}", {}, timeout_s=1)
    return msgspec.json.decode(reply.body)


def test_the_service_s_loop_runs_by_the_clock(own, runner):
    """``run`` steps, commits and sleeps in market time until it is cancelled."""

    class Runner(TestClock):
        """Goes on by as much as it is slept."""

        async def sleep_market(self, seconds) -> None:
            self.at_us += max(round(seconds * SECOND), 1)
            await asyncio.sleep(0)

    async def scenario():
        clock = Runner(attach(Exchange(), MinutesSource()).start_us)
        house, start_us = House(clock, own), clock.at_us
        await house.simulator.recover()
        running = asyncio.create_task(house.simulator.run())
        while clock.at_us < start_us + 20 * SECOND:
            await asyncio.sleep(0)
            assert not running.done()
        running.cancel()
        assert house.simulator.exchange.index_window("BRTI", start_us + 19 * SECOND)[1] == 60

    runner.run(scenario())
