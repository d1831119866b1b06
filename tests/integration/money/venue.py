"""The executor's surroundings with the real paper exchange behind a wire that takes its time.

Nothing but the executor runs: no account sync tells it of fills or ends. What a person does at the
exchange goes past the executor with the same key.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import count

import msgspec
from tests.integration.money.desk import Desk, TwoTimes
from tests.unit.exchange_simulator import builders
from tests.unit.exchange_simulator.builders import CLOSE_US, HIGH, LOW

from recio.adapters.kalshi.budget import Budget
from recio.adapters.kalshi.model import NewOrder, TimeInForce
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.signing import RequestSigner
from recio.adapters.postgres import status
from recio.adapters.postgres.failures import DatabaseUnavailable
from recio.domain.orders import BookSide
from recio.domain.units import SECOND_US
from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.gateway import Gateway
from recio.exchange_simulator.memory import MemoryHttp
from recio.runtime.ids import SeededIds

HALF_TRIP_S = 0.04
_names = count(1)

COPIES = """
INSERT INTO trading.orders (order_id, trade_id, intent_id, account, attempt, market_ticker,
    event_ticker, purpose, book_side, yes_price_e4, qty_e2, time_in_force, is_reduce_only,
    exchange_index, state, reserved_usd_e6, valid_until, created_at, changed_at)
SELECT md5(o.order_id::text || n)::uuid, o.trade_id, o.intent_id, o.account, n, o.market_ticker,
    o.event_ticker, o.purpose, o.book_side, 1000, 100, 'good_till_canceled', false,
    o.exchange_index, 'created', o.reserved_usd_e6, o.created_at + interval '5 minutes',
    o.created_at, o.created_at
  FROM trading.orders o, generate_series(%s::integer, %s::integer) n WHERE o.order_id = %s
"""


class Wire:
    """HTTP to the exchange with a way there and a way back; keeps what was asked and answered."""

    def __init__(self, inner):
        self._inner = inner
        self.log = []

    async def request(self, method, target, headers, body=b"", *, timeout_s):
        """Send one request."""
        await asyncio.sleep(HALF_TRIP_S)
        reply = await self._inner.request(method, target, headers, body, timeout_s=timeout_s)
        self.log.append((method, target.partition("?")[0].removeprefix("/trade-api/v2"), reply))
        await asyncio.sleep(HALF_TRIP_S)
        return reply

    async def close(self):
        """Do nothing."""

    def times(self, method, path):
        """Return how often an endpoint was asked."""
        return sum((one[0], one[1]) == (method, path) for one in self.log)

    def statuses(self, code):
        """Return how many answers had a status."""
        return sum(one[2].status == code for one in self.log)


class AwayDatabase:
    """A database port that can be away: refusing at once, or silent for as long as it takes."""

    def __init__(self, inner, venue):
        self._inner = inner
        self._venue = venue
        self.poll_seconds = 2.0
        self.settle_seconds = inner.settle_seconds
        self.session_pid = inner.session_pid

    @asynccontextmanager
    async def transaction(self):
        """Open a transaction, if it is there."""
        if self._venue.is_database_silent:
            await asyncio.sleep(30)
        if self._venue.is_database_away:
            raise DatabaseUnavailable("the server is gone")
        async with self._inner.transaction() as tx:
            yield tx

    def listen(self, *channels):
        """Pass hints on."""
        return self._inner.listen(*channels)

    async def close(self):
        """Close it."""
        await self._inner.close()


class Ice:
    """SIGSTOP for one process: from its n-th step on nothing of it runs until it is thawed.

    Steps are where it waits for others: a transaction begun, about to commit, committed; a request
    about to leave, answered; a sleep over. A server does not keep a transaction open for a client
    that is silent: what was about to commit is rolled back meanwhile.
    """

    def __init__(self):
        self.freezes_at = None
        self.steps = 0
        self.is_frozen = False
        self.at = ""
        self._thawed = asyncio.Event()

    def arm(self, number):
        """Freeze at the n-th step from now on."""
        self.steps, self.freezes_at = 0, number

    def is_due(self, name):
        """Whether it freezes at this step."""
        self.steps += 1
        if self.steps == self.freezes_at:
            self.is_frozen, self.at = True, name
            return True
        return False

    async def step(self, name):
        """Pass a step, or stand still at it."""
        self.is_due(name)
        await self.stand()

    async def stand(self):
        """Stand still while frozen."""
        while self.is_frozen:
            await self._thawed.wait()

    def thaw(self):
        """Let everything go on."""
        self.is_frozen, self.freezes_at = False, None
        self._thawed.set()


class IcedDatabase(AwayDatabase):
    """The database as a process that can freeze reaches it."""

    def __init__(self, inner, venue, ice):
        super().__init__(inner, venue)
        self._ice = ice

    @asynccontextmanager
    async def transaction(self):
        """Open a transaction."""
        await self._ice.step("a transaction begins")
        try:
            async with self._inner.transaction() as tx:
                yield tx
                if self._ice.is_due("before a commit"):
                    raise _RolledBack  # noqa: TRY301 (the server's doing)
        except _RolledBack:
            await self._ice.stand()
            raise DatabaseUnavailable("idle-in-transaction timeout") from None
        await self._ice.step("committed")


class _RolledBack(Exception):
    pass


class IcedWire:
    """The wire as a process that can freeze reaches it; keeps the creates that left."""

    def __init__(self, inner, ice):
        self._inner = inner
        self._ice = ice
        self.left = []

    async def request(self, method, target, headers, body=b"", *, timeout_s):
        """Send one request."""
        await self._ice.step("a request leaves")
        if (method, target) == ("POST", "/trade-api/v2/portfolio/events/orders"):
            self.left.append(msgspec.json.decode(body)["client_order_id"])
        reply = await self._inner.request(method, target, headers, body, timeout_s=timeout_s)
        await self._ice.step("a reply arrives")
        return reply

    async def close(self):
        """Do nothing."""


class IcedClock:
    """The clock of a process that can freeze: it goes on, sleepers do not."""

    def __init__(self, inner, ice):
        self._inner = inner
        self._ice = ice
        self.market_us, self.wall_us = inner.market_us, inner.wall_us

    async def sleep_market(self, seconds):
        """Sleep."""
        await self._inner.sleep_market(seconds)
        await self._ice.stand()

    sleep_wall = sleep_market


class Venue(Desk):
    """An account at the paper exchange, in virtual time."""

    def __init__(self, database_url, account, **config):
        super().__init__(database_url, account)
        start_us = CLOSE_US - 600 * SECOND_US
        self.clock = self.scene.clock = TwoTimes(self.loop, start_us)
        settings = {"tier": "Basic", "has_history": True} | config
        self.venue = builders.exchange(Config(**settings))
        self.venue.fresh = SeededIds("exchange").fresh
        self.venue.advance(start_us)
        self.gateway = Gateway(self.venue, self.clock)
        self.wire = Wire(MemoryHttp(self.gateway))
        self.signer = None
        self.is_database_away = self.is_database_silent = False
        self.ice = None
        self.iced_wire = None

    def seen_by_process(self, port):
        """Return the database as processes see it: sometimes not at all."""
        return AwayDatabase(port, self) if self.ice is None else IcedDatabase(port, self, self.ice)

    def clock_of_process(self):
        """Return the clock of a process."""
        return self.clock if self.ice is None else IcedClock(self.clock, self.ice)

    def process_on_ice(self):
        """Start an executor that can freeze; return it with its ice and its wire."""
        self.ice = ice = Ice()
        made = self.process()
        self.ice = None
        return made, ice, self.iced_wire

    def lose_database(self, *, is_silent=False):
        """Let it be gone for every process."""
        self.is_database_away, self.is_database_silent = True, is_silent

    def bring_database_back(self):
        """Let it be there again."""
        self.is_database_away = self.is_database_silent = False

    async def open(self):
        """Make the account on both sides."""
        body = {
            "account": self.scene.account,
            "initial_balance_dollars": "1000",
            "key_type": "ed25519",
        }
        made = await MemoryHttp(self.gateway).request(
            "POST", "/admin/accounts", {}, msgspec.json.encode(body), timeout_s=1
        )
        key = msgspec.json.decode(made.body)
        self.signer = RequestSigner(key["api_key_id"], key["private_key"])
        async with self.scene.owner.transaction() as tx:
            await status.set_account_login(tx, self.scene.account, None)
        await self.scene.apply()
        await self.scene.open_books()
        for ticker in (LOW, HIGH):
            await self.scene.list_market(ticker)

    def client(self):
        """Return a client with a budget of its own, as every process has."""
        wire, clock = self.wire, self.clock_of_process()
        if self.ice is not None:
            wire = self.iced_wire = IcedWire(self.wire, self.ice)
        return KalshiRest(wire, self.signer, clock, Budget(clock))

    async def enter(self, **changes):
        """Let the gate accept an entry in the exchange's market; return its order."""
        trade_id = await self.scene.enter(**{"market_ticker": LOW} | changes)
        return await self.scene.entry_order(trade_id)

    async def rest_orders(self, number):
        """Let the running executor place so many orders that rest."""
        first = await self.enter()
        for start in range(2, number + 2, 4):
            last = min(start + 3, number + 1)
            async with self.scene.owner.transaction() as tx:
                await tx.execute(COPIES, start, last, first)
            self.executor_wakes()
            await asyncio.sleep(1)

    def executor_wakes(self):
        """Wake every executor: the owner's writes are heard by nobody here."""
        for process in self.processes:
            process.executor._wake.now()

    @property
    def own(self):
        """The account's orders at the exchange."""
        return self.venue.state.orders_of.get(self.scene.account, [])

    def resting(self):
        """Return the account's orders that rest at the exchange."""
        return [order for order in self.own if order.is_resting]

    async def by_hand(self, number=1, *, price_e4=1000):
        """Place orders that rest, as a person does with the same key."""
        for _ in range(number):
            reply = await KalshiRest(
                MemoryHttp(self.gateway), self.signer, self.clock, Budget(self.clock)
            ).create_order(
                NewOrder(
                    ticker=LOW,
                    book_side=BookSide.BID,
                    qty_e2=100,
                    yes_price_e4=price_e4,
                    client_order_id=f"hand-{next(_names)}",
                    time_in_force=TimeInForce.GOOD_TILL_CANCELED,
                    exchange_index=2,
                )
            )
            assert reply.remaining_qty_e2 == 100
