"""Two of each service for one account, started on purpose: exactly one acts, at the real exchange.

Virtual time, the paper exchange, two processes with sessions of their own. Only the executor has a
lease; gates, managers and account syncs take turns by row locks, and what the second one finds is
done already. Both rules about used client order ids are played: for ever, and only while open.
"""

from __future__ import annotations

import asyncio

import pytest
from tests.concurrency.freezing import FreezingLoop, Frost
from tests.simulation import floor as floors
from tests.simulation.floor import Floor, check_end, short_day
from tests.unit.exchange_simulator.builders import LOW

from recio.adapters.kalshi.stream import account_subscriptions
from recio.adapters.kalshi.websocket import KalshiStream
from recio.adapters.postgres import leases
from recio.apps.kalshi_account_sync.app import AccountSync
from recio.apps.trade_executor.app import RENEW_SECONDS, Executor
from recio.apps.trade_initiator.app import Gate
from recio.apps.trade_manager.app import TradeManager
from recio.domain.intents import Source
from recio.exchange_simulator.faults import ArmedRequest, RequestFault
from recio.exchange_simulator.memory import MemoryHttp, MemoryWebSockets
from recio.runtime.ids import SeededIds

UNSIGNED = 401
PATIENCE_S = leases.LEASE_SECONDS + leases.MARGIN_SECONDS


class Copy:
    """One process with all four services."""

    def __init__(self, floor, name):
        self.floor = floor
        self.name = name
        self.frost = Frost(floor.loop)
        self.http = Http(MemoryHttp(floor.gateway))
        self.ports_from = len(floor.ports)
        stream = KalshiStream(
            MemoryWebSockets(floor.gateway), floor.signer, floor.clock, SeededIds(name),
            subscriptions=account_subscriptions(),
        )  # fmt: skip
        contexts = {
            service: floor.context(service)
            for service in (
                "trade_initiator", "trade_executor", "kalshi_account_sync", "trade_manager",
            )
        }  # fmt: skip
        self.executor = Executor(contexts["trade_executor"], floor.name, self.rest())
        self.services = [
            Gate(contexts["trade_initiator"], floor.name).service(),
            self.executor.service(),
            AccountSync(contexts["kalshi_account_sync"], floor.name, self.rest(), stream).service(),
            TradeManager(contexts["trade_manager"], floor.name).service(),
        ]
        self.ports = floor.ports[self.ports_from :]

    def rest(self):
        """Return a client over this process's own connection."""
        http, self.floor.http = self.floor.http, self.http
        try:
            return self.floor.rest()
        finally:
            self.floor.http = http

    async def start(self):
        """Start it, as far as it comes."""
        await self.frost.start(self._recover())
        for service in self.services:
            for task in service.tasks:
                self.floor.tasks.append(self.frost.start(task()))

    async def _recover(self):
        for service in self.services:
            await floors._recovered(service)

    async def kill(self):
        """End it like kill -9: its sessions are gone."""
        self.floor.tasks = [t for t in self.floor.tasks if t not in self.frost.tasks]
        self.frost.freeze()
        for port in self.ports:
            await port.close()


class Http:
    """A process's connection to the exchange; ``before`` is told of each create."""

    def __init__(self, inner):
        self._inner = inner
        self.before = None
        self.after = None
        self.creates = 0

    async def request(self, method, target, headers, body=b"", *, timeout_s):
        """Send one request."""
        is_create = method == "POST" and target.endswith(floors.CREATE["path"])
        self.creates += is_create
        if is_create and self.before is not None:
            self.before()
            await asyncio.sleep(0)
        reply = await self._inner.request(method, target, headers, body, timeout_s=timeout_s)
        if is_create and self.after is not None:
            self.after()
            await asyncio.sleep(0)
        return reply

    async def close(self):
        """Close it."""


class Twins(Floor):
    """Two copies at one exchange."""

    def __init__(self, url, *, is_used_forever, **options):
        super().__init__(url, **options)
        self.exchange.state.config.is_client_order_id_used_forever = is_used_forever
        self.copies = []

    async def start(self):
        """Start both; the first one has the lease."""
        for name in ("first", "second"):
            self.copies.append(Copy(self, name))
            await self.copies[-1].start()
            await asyncio.sleep(0.5)

    def play(self, script):
        """Run a script; afterwards frozen tasks can be cancelled like all others."""

        async def ended():
            try:
                return await script()
            finally:
                for copy in self.copies:
                    copy.frost.end()

        return super().play(ended)

    async def epochs(self):
        """Return every epoch under which something was recorded, with the kinds of events."""
        return await self.scene.rows(
            "SELECT DISTINCT epoch FROM trading.order_events WHERE account = %s ORDER BY 1",
            self.name,
        )

    async def lease(self):
        """Return the lease's epoch."""
        (epoch,) = await self.scene.one(
            "SELECT epoch FROM trading.leases WHERE account = %s", self.name
        )
        return epoch

    async def enter(self, **changes):
        """Propose an entry; return its intent."""
        wish = self.scene.wish(**{"market_ticker": LOW, "limit_price_e4": 9_600} | changes)
        await self.scene.propose(wish)
        return wish


@pytest.fixture
def open_twins(module_database_url, monkeypatch):
    """A function that gives two copies of everything, under a rule of the exchange."""
    monkeypatch.setattr(floors, "SteppedLoop", FreezingLoop)

    def make(**rule):
        return Twins(module_database_url, **rule)

    return make


@pytest.fixture
def twins(open_twins):
    """Two copies at an exchange that takes a client order id once and for ever."""
    return open_twins(is_used_forever=True)


@pytest.fixture(params=[True, False], ids=["an id is used for ever", "an id is free again"])
def twins_by_rule(open_twins, request):
    """Two copies, under each rule."""
    return open_twins(is_used_forever=request.param)


def test_two_copies_of_every_service_act_as_one(twins):
    """A whole short day with a settlement: the books are the exchange's, every invariant holds."""

    async def script():
        told = await short_day(twins)
        ready = [copy.executor.service().readiness().reason for copy in twins.copies]
        return told, ready, await twins.epochs()

    told, ready, epochs = twins.play(script)

    assert len(told) >= 3
    assert ready == ["", "another copy holds the lease"]
    assert epochs == [(1,)]
    assert [copy.http.creates > 0 for copy in twins.copies] == [True, False]


@pytest.mark.parametrize("fault", [RequestFault.TIMEOUT_AFTER, RequestFault.CUT_BEFORE])
def test_two_copies_and_lost_answers(twins_by_rule, fault):
    """An order in doubt is looked for by the one that holds the lease."""
    twins = twins_by_rule
    twins.faults.requests.append(ArmedRequest(fault, 2, **floors.CREATE))

    twins.play(lambda: short_day(twins))


def test_limits_hold_with_two_gates(twins):
    """Twelve wishes at once for what two may take: the second gate sees what the first reserved."""
    twins.risk |= {"max_contracts_total": 20, "max_contracts_per_event": 20}

    async def script():
        for number in range(12):
            await twins.enter(qty_e2=1000, at_us=twins.clock.market_us() + number)
        await asyncio.sleep(3)
        states = await twins.scene.rows(
            "SELECT state::text, count(*) FROM trading.intents WHERE account = %s GROUP BY 1",
            twins.name,
        )
        await asyncio.sleep(240)
        await check_end(twins)
        return dict(states)

    # One market takes one trade; the others are refused, none is left.
    assert twins.play(script) == {"accepted": 1, "refused": 11}


def test_a_frozen_copy_is_taken_over_after_lease_and_margin(twins):
    """Its session still stands, so only time can tell; what it wakes up with is kept nowhere."""

    async def script():
        first, second = twins.copies
        first.http.after = first.frost.freeze
        await twins.enter()
        await asyncio.sleep(1)
        assert first.frost.is_frozen
        first.http.after = None
        (renewed,) = await twins.scene.one(
            "SELECT renewed_wall_at FROM trading.leases WHERE account = %s", twins.name
        )
        for _ in range(4 * 40):
            if await twins.lease() > 1:
                break
            await asyncio.sleep(0.25)
        (taken,) = await twins.scene.one(
            "SELECT renewed_wall_at FROM trading.leases WHERE account = %s", twins.name
        )
        await asyncio.sleep(5)
        before = await _events(twins)
        first.frost.thaw()
        await asyncio.sleep(5)
        after = await _events(twins)
        ready = [copy.executor.service().readiness().reason for copy in (first, second)]
        await asyncio.sleep(200)
        await check_end(twins)
        return (taken - renewed).total_seconds(), before, after, ready

    waited_s, before, after, ready = twins.play(script)

    assert PATIENCE_S <= waited_s <= PATIENCE_S + RENEW_SECONDS
    # The other's account sync has heard of the fill: nobody is in doubt, and nothing is added.
    assert before == after == [("submitted", 1)]
    assert ready == ["another copy holds the lease", ""]


async def _events(twins):
    return await twins.scene.rows(
        "SELECT kind, epoch FROM trading.order_events WHERE account = %s ORDER BY order_id, seq",
        twins.name,
    )


@pytest.mark.parametrize("purpose", ["entry", "exit"])
def test_what_was_claimed_before_the_frost_makes_no_second_order(twins_by_rule, purpose):
    """Its request leaves when it wakes, with headers that are long dead: the exchange takes none."""
    twins = twins_by_rule

    async def script():
        first, _second = twins.copies
        trade_id = None
        if purpose == "exit":
            trade_id = await _held(twins)
        first.http.before = first.frost.freeze
        if trade_id is None:
            await twins.enter()
        else:
            await twins.scene.propose(
                twins.scene.exit_wish(
                    trade_id,
                    market_ticker=LOW,
                    limit_price_e4=9_300,
                    source=Source.MANUAL,
                    # Long enough to be sent again when its first signature is dead.
                    valid_until_us=twins.clock.market_us() + 60_000_000,
                )
            )
        await asyncio.sleep(1)
        assert first.frost.is_frozen
        first.http.before = None
        await asyncio.sleep(45)
        first.frost.thaw()
        await asyncio.sleep(190)
        creates = [one for one in twins.watch.sent if one.kind == "create"]
        # What the exchange refused for its dead signature was never an order: the rest is judged.
        twins.watch.sent = [one for one in twins.watch.sent if one.status != UNSIGNED]
        await check_end(twins)
        return creates

    creates = twins.play(script)

    statuses = [one.status for one in creates]
    if purpose == "entry":
        # Nobody sends an entry again: it ended when its signature was dead.
        assert statuses == [UNSIGNED]
    else:
        assert statuses == [201, 201, UNSIGNED]
        assert creates[1].client_order_id == creates[2].client_order_id


async def _held(twins):
    await twins.enter()
    await asyncio.sleep(5)
    ((trade_id,),) = await twins.scene.rows(
        "SELECT trade_id FROM trading.trades WHERE account = %s AND state = 'open'", twins.name
    )
    return trade_id


def test_a_copy_that_is_gone_is_replaced_at_the_next_look(twins):
    """Its sessions are gone, which the database knows: nobody waits for the lease to end."""

    async def script():
        first, _second = twins.copies
        await first.kill()
        wish = await twins.enter()
        for _ in range(100):
            sent = await twins.scene.rows(
                "SELECT FROM trading.orders WHERE intent_id = %s AND state <> 'created'",
                wish.intent_id,
            )
            if sent:
                break
            await asyncio.sleep(0.1)
        waited_s = (twins.clock.market_us() - wish.at_us) / 1e6
        await asyncio.sleep(240)
        await check_end(twins)
        return waited_s, await twins.epochs()

    waited_s, epochs = twins.play(script)

    assert waited_s <= RENEW_SECONDS + 1
    assert epochs == [(2,)]
