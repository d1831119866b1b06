"""Plays a plan and judges what happened.

A ``Theatre`` is what many runs share: a database with all migrations, logins, markets, connections.
Between runs everything that a run wrote is removed, so that each begins with empty books.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import random  # noqa: TID251 (seeded: the same delays in each run)
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

import msgspec
import psycopg

from recio.adapters.kalshi.signing import RequestSigner
from recio.adapters.postgres import config, status
from recio.adapters.postgres.stepped import SteppedDatabase
from recio.domain.units import SECOND_US, USD_E6
from recio.exchange_simulator.api.messages import Now, Request, Response
from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.gateway import Gateway, Lost
from recio.exchange_simulator.memory import MemoryHttp
from recio.runtime.ids import SeededIds
from recio.simulation import invariants, world
from recio.simulation.catalogue import SERVICES, SUPERVISORS
from recio.simulation.database import Server, Sessions
from recio.simulation.faults import Faults
from recio.simulation.history import FleetLimits, History, Sample
from recio.simulation.loop import SimulatedLoop
from recio.simulation.market_plane import MarketPlane
from recio.simulation.measures import Halt, Reached, halts, reached
from recio.simulation.network import Network
from recio.simulation.over_all import invariant_08_over_all_accounts
from recio.simulation.people import People
from recio.simulation.plan import ACCOUNTS, Enter, Hand, Leave, Move, Plan, Strike, Switch
from recio.simulation.reading import append_only, read_history
from recio.simulation.stage import SimulatedClock, Stage
from recio.simulation.watching import Watch, WatchedFaults

BALANCE_DOLLARS: Final = 1_000
READY_SECONDS: Final = 30.0
CALM_SECONDS: Final = 90.0
"""Wall seconds after the last settlement in which everything must have become quiet."""
WAIT_FOR_STATE_SECONDS: Final = 60.0
TICK_SECONDS: Final = 3.0
"""Market seconds between looks at the exchange's own timers; each request looks as well."""
RISK: Final[dict[str, dict[str, int]]] = {
    "north": {
        "maxContractsPerOrder": 10,
        "maxContractsPerEvent": 15,
        "maxContractsTotal": 18,
        "maxCostPerEventDollars": 20,
        "maxCostTotalDollars": 24,
        "maxOpenTrades": 2,
        "maxOrdersPerMinute": 2,
        "maxDailyLossDollars": 200,
        "maxDrawdownDollars": 300,
    },
    "south": {
        "maxContractsPerOrder": 10,
        "maxContractsPerEvent": 40,
        "maxContractsTotal": 60,
        "maxCostPerEventDollars": 14,
        "maxCostTotalDollars": 18,
        "maxOpenTrades": 3,
        "maxOrdersPerMinute": 3,
        "maxDailyLossDollars": 200,
        "maxDrawdownDollars": 300,
    },
}
FLEET_RISK: Final = {
    "maxCostTotalDollars": 26,
    "maxDailyLossDollars": 300,
    "maxOpenTrades": 4,
    "maxOrdersPerMinute": 4,
}
"""Every limit binds now and then: a trade a market and account, at most ten contracts each."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one run showed. ``hits`` counts "fault | order state"; ``digest`` is of all histories."""

    seed: int
    violations: tuple[str, ...]
    hits: dict[str, int]
    intents: int
    orders: int
    fills: int
    settlements: int
    commits: int
    requests: int
    steps: int
    digest: str
    reached: dict[str, tuple[Reached, ...]] = {}
    halts: tuple[Halt, ...] = ()


class Theatre:
    """What runs share. ``url(login)`` gives the database's address for a login, "" for its owner."""

    def __init__(self, url: Any) -> None:  # noqa: ANN401
        self._url = url
        self.sessions = Sessions(url)
        self.owner = SteppedDatabase(url(""), name="simulation owner")
        self.looking = SteppedDatabase(url(""), name="simulation watch")
        self.looking.may_stay_open = True
        self._refusals: tuple[bool, bool] | None = None
        self._admin = psycopg.connect(url(""), autocommit=True)
        self._admin.execute("SET session_replication_role = replica")
        self._wipe = self._wiping()

    def refusals(self) -> tuple[bool, bool]:
        """Tell whether the ledger refuses changes and deletions; asked once, of rows that are there."""
        if self._refusals is None:
            self._refusals = append_only(self._url(""))
        return self._refusals

    def _wiping(self) -> str:
        """Return what empties every table of ours, physically: rows come in the same order again."""
        rows = self._admin.execute(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'trading' "
            "AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
            "AND c.relname NOT LIKE '%transitions' ORDER BY 1"
        ).fetchall()
        return "TRUNCATE " + ", ".join(name for (name,) in rows)

    async def prepare(self) -> None:
        """Make the accounts' logins and the markets, once."""
        exchange = world.make_exchange(Config(), SeededIds("prepare"))
        async with self.owner.transaction() as tx:
            for account in ACCOUNTS:
                await status.set_account_login(tx, account, None)
            await world.tell_markets(tx, exchange)

    async def clean(self, documents: Mapping[str, dict[str, Any]]) -> None:
        """Remove what a run wrote, and write the accounts' documents anew."""
        self.looking.end_reading()
        self._admin.execute(self._wipe)
        async with self.owner.transaction() as tx:
            for account in ACCOUNTS:
                document = documents.get(account) or _document(account)
                await config.apply_account(
                    tx, document, environment=world.ENVIRONMENT, at_us=world.START_US, author="plan"
                )
            await config.apply_fleet(tx, _fleet(), at_us=world.START_US, author="plan")

    def vacuum(self) -> None:
        """Clear away what the runs removed, so that none becomes slower than the one before."""
        self._admin.execute("VACUUM")

    def close(self) -> None:
        """Close every connection."""
        self.sessions.close()
        self._admin.close()


def _document(account: str) -> dict[str, Any]:
    return {
        "apiVersion": "recio.io/v1alpha1",
        "kind": "TradingAccount",
        "metadata": {"name": account},
        "spec": {
            "series": ["KXBTCD", "KXBTC15M"],
            "risk": RISK[account],
            "strategy": {"autoEntry": {"enabled": True, "minProbabilityPermille": 700}},
        },
    }


def _fleet() -> dict[str, Any]:
    return {
        "apiVersion": "recio.io/v1alpha1",
        "kind": "TradingFleet",
        "metadata": {"name": "default"},
        "spec": {"trading": "Active", "risk": FLEET_RISK},
    }


def play(theatre: Theatre, plan: Plan) -> tuple[Outcome, dict[str, History]]:
    """Play a plan and judge it."""
    run = Run(theatre, plan)
    gc.disable()
    try:
        return run.play()
    finally:
        run.end()
        gc.enable()


class Run:
    """One run of one plan."""

    def __init__(self, theatre: Theatre, plan: Plan) -> None:
        self.theatre = theatre
        self.plan = plan
        seed = plan.seed
        self.loop = SimulatedLoop(f"loop {seed}")
        self.venue = self.loop.process("exchange")
        self.clock = SimulatedClock(self.loop, self.loop.stage, plan.speed)
        self.exchange = world.make_exchange(
            Config(
                has_history=True,
                read_lag_ms=plan.read_lag_ms,
                is_client_order_id_used_forever=plan.are_used_ids_refused_forever,
            ),
            SeededIds(f"exchange {seed}"),
            scale=plan.scale,
        )
        self.watches = {
            name: Watch(theatre.looking, name, self.clock, is_gated=False) for name in ACCOUNTS
        }
        self.armed = WatchedFaults(partial(self._struck, account=""))
        self.gateway = Gateway(
            self.exchange,
            SimulatedClock(self.loop, self.venue, plan.speed),
            faults=self.armed,
        )
        draw = random.Random(f"delays {seed}").random  # noqa: S311 (repeatable on purpose)
        self.network = Network(self.loop, self.gateway, self.venue, draw)
        self.server = Server(self.loop, theatre.sessions, draw)
        self.server.after = self._look
        self.server.on_strike = partial(self._struck, account="")
        self._waiting: list[tuple[str, Strike]] = []
        self._asked: tuple[Watch, int] | None = None

    def play(self) -> tuple[Outcome, dict[str, History]]:
        """Play it to its end."""
        return self.loop.run_until_complete(self._main())

    def end(self) -> None:
        """Leave nothing behind that could act."""
        self.server.close()
        self.loop.bury()
        self.loop.close()

    async def _main(self) -> tuple[Outcome, dict[str, History]]:
        loop = self.loop
        await self.theatre.clean(self.plan.documents)
        signers = await self._open_accounts()
        self.stage = Stage(
            loop=loop,
            exchange=self.exchange,
            gateway=self.gateway,
            network=self.network,
            server=self.server,
            signers=signers,
            seed=self.plan.seed,
            speed=self.plan.speed,
            clock=self.clock,
        )
        self._note_wire(signers)
        self.faults = Faults(self.stage, self.armed, self._struck_of)
        loop.start(self.venue, self._tick())
        step_s = self.plan.snapshot_seconds
        services = (*SERVICES, *SUPERVISORS) if step_s else SERVICES
        self.stage.open(ACCOUNTS, services, self.plan.topology)
        if step_s:
            process = self.loop.process("market")
            clock = SimulatedClock(self.loop, process, self.plan.speed)
            plane = MarketPlane(self.exchange, self.stage.bus, clock, self.plan.seed, step_s)
            self.loop.start(process, plane.run())
        await self._until(lambda: self.stage.is_ready, READY_SECONDS)
        await self._act()
        await self._settle()
        return await self._judge()

    async def _open_accounts(self) -> dict[str, RequestSigner]:
        http = MemoryHttp(self.gateway)
        signers = {}
        for name in ACCOUNTS:
            body = {
                "account": name,
                "initial_balance_dollars": str(BALANCE_DOLLARS * self.plan.scale),
                "key_type": "ed25519",
            }
            reply = await http.request(
                "POST", "/admin/accounts", {}, msgspec.json.encode(body), timeout_s=1
            )
            made = msgspec.json.decode(reply.body)
            signers[name] = RequestSigner(made["api_key_id"], made["private_key"])
        return signers

    async def _tick(self) -> None:
        """Move the exchange's time, and say the results a few seconds after each close."""
        results = dict(self.plan.results)
        clock = self.gateway.clock
        while True:
            now_us = clock.market_us()
            self.exchange.advance(now_us)
            for ticker in list(results):
                if now_us > world.close_us(ticker) + world.RESULT_AFTER_S * SECOND_US:
                    result = results.pop(ticker)
                    self.exchange.determine(ticker, result, now_us, expiration_value="90100.00")
            await self.gateway.commit()
            await clock.sleep_market(TICK_SECONDS)

    # The plan.

    async def _act(self) -> None:
        people = People(self.stage, self.loop.process("people"))
        begun_us = self.clock.market_us()
        for act in self.plan.acts:
            due_us = max(world.START_US + round(act.at_s * SECOND_US), begun_us)
            left_s = (due_us - self.clock.market_us()) / SECOND_US
            if left_s > 0:
                await self.clock.sleep_market(left_s)
            self._do(people, act)
        left_s = (world.CLOSE_US - self.clock.market_us()) / SECOND_US
        await self.clock.sleep_market(max(left_s, 0))

    def _do(self, people: People, act: Any) -> None:  # noqa: ANN401 (any act)
        process = people.process
        match act:
            case Move():
                people.move(act)
            case Enter():
                self.loop.start(process, people.enter(act))
            case Leave():
                self.loop.start(process, people.leave(act))
            case Hand():
                self.loop.start(process, people.hand(act))
            case Switch():
                self.loop.start(process, people.switch(act))
            case Strike():
                self._strike(act)

    def _strike(self, act: Strike) -> None:
        if not act.when:
            self.faults.do(act)
            return
        waiting = (act.when, act)
        self._waiting.append(waiting)

        def give_up() -> None:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
                self.faults.do(act)

        self.loop.call_later(
            WAIT_FOR_STATE_SECONDS, give_up, context=self.loop.stage.context.copy()
        )

    async def _settle(self) -> None:
        """End all faults and wait until everything is quiet."""
        self._waiting.clear()
        self.faults.end()
        await asyncio.sleep(CALM_SECONDS)
        for watch in self.watches.values():
            watch.stop()

    async def _until(self, is_done: Any, seconds: float) -> None:  # noqa: ANN401
        end_us = self.loop.now_us + round(seconds * 1e6)
        while not is_done() and self.loop.now_us < end_us:
            await asyncio.sleep(0.1)  # virtual time: it costs nothing

    # The notes.

    def _note_wire(self, signers: dict[str, RequestSigner]) -> None:
        watch_of = {signer.key_id: self.watches[name] for name, signer in signers.items()}
        handle, request = self.gateway.api.handle, self.gateway.request

        def handled(asked: Request, now: Now) -> Response:
            noted, self._asked = self._asked, None
            if noted is not None:
                noted[0].handled(noted[1])
            return handle(asked, now)

        async def requested(asked: Request, noted: Any) -> Response | Lost:  # noqa: ANN401
            self._asked = noted
            answer = await request(asked)
            if noted is not None:
                noted[0].answered(noted[1], answer)
            return answer

        async def leaving(asked: Request) -> tuple[Watch, int] | None:
            watch = watch_of.get(asked.headers.get("kalshi-access-key", ""))
            number = None if watch is None else await watch.leaving(self.gateway, asked)
            return None if watch is None or number is None else (watch, number)

        self.gateway.api.handle = handled  # type: ignore[method-assign,assignment]
        self.network.on_leave = leaving
        self.network.ask = requested

    async def _look(self, account: str) -> None:
        names = (account,) if account else ACCOUNTS
        for name in names:
            watch = self.watches[name]
            await watch.look()
            if self._waiting and watch.samples:
                self._meet(name, watch.samples[-1])

    def _meet(self, account: str, sample: Sample) -> None:
        for waiting in list(self._waiting):
            when, act = waiting
            if act.account == account and _is_in(sample, when):
                self._waiting.remove(waiting)
                self.faults.do(act)

    def _struck_of(self, fault: str, account: str) -> None:
        self._struck(fault, account=account)

    def _struck(self, fault: str, *, account: str) -> None:
        for name, watch in self.watches.items():
            if account in ("", name):
                watch.struck(fault)

    # The judgement.

    async def _judge(self) -> tuple[Outcome, dict[str, History]]:
        histories = {
            name: await read_history(
                self.theatre.owner,
                self.exchange,
                watch,
                refusals=self.theatre.refusals(),
                speed=self.plan.speed,
            )
            for name, watch in self.watches.items()
        }
        found = [*self.stage.died, *_violations(histories)]
        return _outcome(self, histories, tuple(found)), histories


def _is_in(sample: Sample, state: str) -> bool:
    if state == "unbooked":
        return any(one.booked_e2 < one.filled_e2 for one in sample.orders)
    return any(one.state == state for one in sample.orders)


def _violations(histories: dict[str, History]) -> Iterator[str]:
    for name, history in histories.items():
        for what in invariants.violations(history):
            yield f"{name}: {what}"
    limits = FleetLimits(
        cost_total_usd_e6=FLEET_RISK["maxCostTotalDollars"] * USD_E6,
        open_trades=FLEET_RISK["maxOpenTrades"],
        orders_per_minute=FLEET_RISK["maxOrdersPerMinute"],
    )
    for what in invariant_08_over_all_accounts(list(histories.values()), limits):
        yield f"all accounts: invariant 8: {what}"


def _outcome(run: Run, histories: dict[str, History], found: tuple[str, ...]) -> Outcome:
    hits: Counter[str] = Counter()
    for history in histories.values():
        for strike in history.strikes:
            hits.update(f"{strike.fault} | {state}" for state in strike.states)
    told = msgspec.json.encode(list(histories.values()))
    return Outcome(
        seed=run.plan.seed,
        violations=found,
        hits=dict(sorted(hits.items())),
        intents=sum(len(one.intents) for one in histories.values()),
        orders=sum(len(one.orders) for one in histories.values()),
        fills=sum(len(one.ledger.fills) for one in histories.values()),
        settlements=sum(len(one.ledger.settlements) for one in histories.values()),
        commits=sum(len(one.samples) for one in histories.values()),
        requests=sum(len(one.sent) for one in histories.values()),
        steps=run.loop.steps,
        digest=hashlib.sha256(told).hexdigest()[:16],
        reached={name: reached(one) for name, one in histories.items()},
        halts=tuple(halt for name, one in histories.items() for halt in halts(name, one)),
    )
