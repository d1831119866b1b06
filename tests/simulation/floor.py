"""One account's four money services at the real paper exchange, in virtual time, under faults.

The floor of the short days: ``play`` runs a script, ``restart`` ends all services like kill -9 and
starts them anew. Everything is watched from the first commit on (``watching``); ``check_end`` asks
what must hold when everything is quiet, and judges the invariants over the whole history.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import count

import msgspec
from tests.integration.money.desk import TwoTimes
from tests.integration.money.scene import Scene, context, login_url
from tests.unit.exchange_simulator import builders
from tests.unit.exchange_simulator.builders import CLOSE_US, HIGH, LOW

from recio.adapters.kalshi.budget import Budget
from recio.adapters.kalshi.model import NewOrder, TimeInForce
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.signing import RequestSigner
from recio.adapters.kalshi.stream import account_subscriptions
from recio.adapters.kalshi.websocket import KalshiStream
from recio.adapters.postgres import config, status
from recio.adapters.postgres.hints import Hints
from recio.adapters.postgres.stepped import SteppedDatabase
from recio.apps.kalshi_account_sync.app import AccountSync
from recio.apps.trade_executor.app import Executor
from recio.apps.trade_initiator.app import Gate
from recio.apps.trade_manager.app import TradeManager
from recio.domain.errors import Unavailable
from recio.domain.intents import Source
from recio.domain.orders import BookSide
from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.faults import ArmedRequest, FrameFault, RequestFault
from recio.exchange_simulator.gateway import Gateway
from recio.exchange_simulator.memory import MemoryHttp, MemoryWebSockets
from recio.runtime.ids import SeededIds
from recio.runtime.stepped import SteppedLoop
from recio.simulation import invariants
from recio.simulation.reading import append_only, read_history
from recio.simulation.watching import Watch, WatchedFaults

_numbers = count(1)
START_US = CLOSE_US - 90_000_000
CREATE = {"method": "POST", "path": "/portfolio/events/orders"}
RISK = {
    "max_contracts_per_event": 100,
    "max_contracts_total": 100,
    "max_cost_per_event_dollars": 90,
    "max_cost_total_dollars": 90,
    "max_open_trades": 9,
}
READ = {"method": "GET", "path": "/portfolio"}


class WatchedDatabase(SteppedDatabase):
    """A stepped database whose every commit is followed by a look at the books."""

    def __init__(self, dsn, *, hints, after):
        super().__init__(dsn, hints=hints)
        self._after = after

    @asynccontextmanager
    async def _transaction(self):
        async with super()._transaction() as tx:
            yield tx
        await self._after()


def attach(watch, gateway):
    """Note each request that goes to an exchange."""
    request, handle = gateway.request, gateway.api.handle
    asked_now = None

    def handled(asked, now):
        nonlocal asked_now
        number, asked_now = asked_now, None
        reply = handle(asked, now)
        if number is not None:
            watch.handled(number)
        return reply

    async def requested(asked):
        nonlocal asked_now
        number = asked_now = await watch.leaving(gateway, asked)
        answer = await request(asked)
        if number is not None:
            watch.answered(number, answer)
        return answer

    gateway.request = requested
    gateway.api.handle = handled


async def _recovered(service):
    """Let a service recover as its host does: as often as it needs."""
    while service.recover is not None:
        try:
            await service.recover()
        except Unavailable:
            await asyncio.sleep(0.5)
        else:
            return


class Floor:
    """One account at one paper exchange, in virtual time."""

    def __init__(self, database_url, *, read_lag_ms=0, start_us=START_US, **risk):
        self.loop = SteppedLoop()
        self.clock = TwoTimes(self.loop, start_us)
        self.risk = RISK | risk
        self.exchange = builders.exchange(Config(has_history=True, read_lag_ms=read_lag_ms))
        self.exchange.fresh = SeededIds("exchange").fresh
        self.exchange.advance(start_us)
        self.name = f"floor-{next(_numbers)}"
        self.looking = SteppedDatabase(database_url, name="watch")
        self.watch = Watch(self.looking, self.name, self.clock)
        self.faults = WatchedFaults(self.watch.struck)
        self.gateway = Gateway(self.exchange, self.clock, faults=self.faults)
        attach(self.watch, self.gateway)
        self.http = MemoryHttp(self.gateway)
        self.hints = Hints()
        self.ports = []
        self.url = database_url
        self.history = None
        self.scene = Scene(self.port("postgres"), self.port(self.login), self.name)
        self.scene.clock = self.clock
        self.signer = None
        self.tasks = []
        self.kept = set()

    @property
    def login(self):
        """The account's login."""
        return config.account_login(self.name)

    def port(self, login):
        """Return a session of a login."""
        url = self.url if login == "postgres" else login_url(self.url, login)
        self.ports.append(WatchedDatabase(url, hints=self.hints, after=self.watch.look))
        return self.ports[-1]

    def rest(self):
        """Return a client of the exchange under the account's key."""
        return KalshiRest(self.http, self.signer, self.clock, Budget(self.clock))

    def context(self, service):
        """Return what a service is handed, with a session of its own."""
        return context(service, self.port(self.login), self.clock, self.name)

    async def open(self):
        """Make the account on both sides, and liquidity."""
        body = {"account": self.name, "initial_balance_dollars": "1000", "key_type": "ed25519"}
        reply = await self.http.request(
            "POST", "/admin/accounts", {}, msgspec.json.encode(body), timeout_s=1
        )
        made = msgspec.json.decode(reply.body)
        self.signer = RequestSigner(made["api_key_id"], made["private_key"])
        async with self.scene.owner.transaction() as tx:
            await status.set_account_login(tx, self.name, None)
        await self.scene.apply(**self.risk)
        for ticker in (LOW, HIGH):
            await self.scene.list_market(ticker)
        now_us = self.clock.market_us()
        for ticker, side, price_e4, qty_e2 in (
            (LOW, "no", 400, 700),
            (LOW, "no", 500, 5_000),
            (LOW, "yes", 9_400, 5_000),
            (HIGH, "yes", 3_000, 400),
        ):
            assert self.exchange.set_external_level(ticker, side, price_e4, qty_e2, now_us)

    async def tick(self):
        """Move the exchange's time, once a second; say the results a few seconds after the close."""
        results = {LOW: "yes", HIGH: "no"}
        while True:
            now_us = self.clock.market_us()
            self.exchange.advance(now_us)
            if now_us > CLOSE_US + 5_000_000:
                for ticker, result in results.items():
                    self.exchange.determine(ticker, result, now_us, expiration_value="90100.00")
                results.clear()
            await self.gateway.commit()
            await asyncio.sleep(1)

    async def start(self):
        """Start the four services."""
        stream = KalshiStream(
            MemoryWebSockets(self.gateway),
            self.signer,
            self.clock,
            SeededIds("stream"),
            subscriptions=account_subscriptions(),
        )
        services = [
            Gate(self.context("trade_initiator"), self.name).service(),
            Executor(self.context("trade_executor"), self.name, self.rest()).service(),
            AccountSync(
                self.context("kalshi_account_sync"), self.name, self.rest(), stream
            ).service(),
            TradeManager(self.context("trade_manager"), self.name).service(),
        ]
        for service in services:
            await _recovered(service)
        self.tasks = [asyncio.create_task(task()) for service in services for task in service.tasks]

    async def restart(self):
        """End all four services like kill -9, their sessions included, and start them anew."""
        self.watch.struck("kill -9 of all services")
        await self.watch.keep_ledger()
        for task in asyncio.all_tasks() - {asyncio.current_task(), *self.kept}:
            task.cancel()
        await asyncio.sleep(0)
        for port in self.ports[2:]:
            await port.close()
        del self.ports[2:]
        await self.start()

    def play(self, script):
        """Run a script while the exchange's time goes on; no service may end."""

        async def main():
            await self.open()
            self.kept = {asyncio.current_task(), asyncio.create_task(self.tick())}
            await self.start()
            await asyncio.sleep(1)
            try:
                result = await script()
                assert [task for task in self.tasks if task.done()] == []
                return result
            finally:
                for task in asyncio.all_tasks() - {asyncio.current_task()}:
                    task.cancel()
                await asyncio.sleep(0)
                for port in (*self.ports, self.looking):
                    await port.close()
                self.watch.stop()

        try:
            return self.loop.run_until_complete(main())
        finally:
            self.loop.close()

    async def by_hand(self, side, price_e4, qty_e2, ticker=LOW):
        """Send an order that none of our services knows."""
        while True:
            try:
                return await self.rest().create_order(
                    NewOrder(
                        ticker=ticker,
                        book_side=side,
                        qty_e2=qty_e2,
                        yes_price_e4=price_e4,
                        client_order_id=f"hand-{next(_numbers)}",
                        time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL,
                        exchange_index=2,
                    )
                )
            except Unavailable:
                await asyncio.sleep(1)


async def short_day(floor):
    """Buy on both markets, sell a part, trade by hand, wait for the settlement."""
    scene = floor.scene
    await scene.propose(scene.wish(market_ticker=LOW, limit_price_e4=9_600))
    await scene.propose(
        scene.wish(market_ticker=HIGH, side="no", limit_price_e4=7_000, qty_e2=1_000)
    )
    await asyncio.sleep(25)
    held = await scene.rows(
        "SELECT trade_id, market_ticker FROM trading.trades "
        "WHERE account = %s AND state = 'open' AND market_ticker = %s",
        *(scene.account, LOW),
    )
    for trade_id, ticker in held:
        await scene.propose(
            scene.exit_wish(
                trade_id, market_ticker=ticker, qty_e2=300, limit_price_e4=9_300,
                source=Source.MANUAL,
            )
        )  # fmt: skip
    await asyncio.sleep(5)
    await floor.by_hand(BookSide.BID, 9_500, 800)
    await asyncio.sleep(1)
    await floor.by_hand(BookSide.ASK, 9_400, 600)
    await asyncio.sleep(240)
    await check_end(floor)
    return await scene.rows(
        "SELECT source, market_ticker, state::text, pnl_usd_e6 FROM trading.trades "
        "WHERE account = %s ORDER BY number",
        scene.account,
    )


async def judge(floor):
    """Judge every invariant that one history can break; keep the history."""
    history = await read_history(
        floor.scene.owner, floor.exchange, floor.watch, refusals=append_only(floor.url)
    )
    floor.history = history
    found = invariants.violations(history)
    assert not found, "\n".join(found)
    return history


async def check_end(floor):
    """Check what must hold when everything is quiet."""
    await judge(floor)
    scene, state = floor.scene, floor.exchange.state
    await scene.assert_books_agree()
    venue = state.accounts[floor.name]
    (cash,) = await scene.one(
        "SELECT cash_usd_e6 FROM trading.totals WHERE account = %s", scene.account
    )
    assert cash == sum(venue.cash_e6.values())

    sent = [o for o in state.orders.values() if o.account == floor.name]
    names = [o.client_order_id for o in sent if not o.client_order_id.startswith("hand")]
    assert len(names) == len(set(names))
    ours = {
        str(order_id): filled
        for order_id, filled in await scene.rows(
            "SELECT order_id, filled_qty_e2 FROM trading.orders WHERE account = %s", scene.account
        )
    }
    assert set(names) <= set(ours)
    assert {n: f for n, f in ours.items() if f} == {
        o.client_order_id: o.filled_e2 for o in sent if o.filled_e2 and o.client_order_id in ours
    }

    booked = await scene.rows(
        "SELECT split_part(fill_id, '/', 1), sum(qty_e2)::bigint, sum(fee_usd_e6)::bigint "
        "FROM trading.fills WHERE account = %s GROUP BY 1",
        scene.account,
    )
    assert len(booked) == len(await floor.rest().fills())
    told = {(f.fill_id, f.qty_e2, f.fee_usd_e6) for f in await floor.rest().fills()}
    assert set(booked) == told

    alive = await scene.rows(
        "SELECT number, state::text FROM trading.trades WHERE account = %s "
        "AND state NOT IN ('closed', 'settled', 'abandoned')",
        scene.account,
    )
    assert alive == []
    earned = await scene.one(
        "SELECT sum(pnl_usd_e6)::bigint FROM trading.trades WHERE account = %s", scene.account
    )
    assert earned == (cash - 1_000_000_000,)
    assert await scene.rows(
        "SELECT source, state::text FROM trading.switches WHERE scope = %s AND state <> 'Active'",
        scene.account,
    ) == []  # fmt: skip


REQUESTS = {
    "creates are accepted and time out": [ArmedRequest(RequestFault.TIMEOUT_AFTER, 2, **CREATE)],
    "creates never arrive": [ArmedRequest(RequestFault.TIMEOUT_BEFORE, 2, **CREATE)],
    "connections are cut after acceptance": [ArmedRequest(RequestFault.CUT_AFTER, 3, **CREATE)],
    "connections are cut before acceptance": [ArmedRequest(RequestFault.CUT_BEFORE, 3, **CREATE)],
    "creates get 503": [ArmedRequest(RequestFault.STATUS, 2, **CREATE, status=503)],
    "creates get 429": [ArmedRequest(RequestFault.STATUS, 2, **CREATE, status=429)],
    "answers are late": [ArmedRequest(RequestFault.LATE, 3, **CREATE, delay_seconds=3.0)],
    "reads fail": [ArmedRequest(RequestFault.STATUS, 12, **READ, status=500)],
    "creates are lost and reads fail": [
        ArmedRequest(RequestFault.CUT_AFTER, 2, **CREATE),
        ArmedRequest(RequestFault.TIMEOUT_BEFORE, 6, **READ),
    ],
}


FRAMES = {
    "fills are lost": (FrameFault.LOSE, "fill"),
    "order updates are lost": (FrameFault.LOSE, "user_order"),
    "everything is lost": (FrameFault.LOSE, ""),
    "frames come twice": (FrameFault.DUPLICATE, ""),
    "frames are late": (FrameFault.LATE, ""),
    "frames change places": (FrameFault.REORDER, ""),
    "the connection is cut": (FrameFault.CUT, ""),
}


def copied(fault):
    """Return an armed fault as it was before it struck."""
    return type(fault)(**{name: getattr(fault, name) for name in fault.__slots__})
