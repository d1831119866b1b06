"""A whole release of real processes with two accounts, and every door through which it is stopped.

PostgreSQL and Redis are embedded; each process is one `recio run`, as a container starts it. Nothing
restarts them but the test. What the exchange holds is asked with the accounts' own keys, what the
books hold as the database's owner.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

import httpx
import psycopg
from tests.integration.money.scene import document, fleet
from tests.integration.runtime.test_run_alone import Pod, free_port

from recio.adapters.kalshi.budget import Budget
from recio.adapters.kalshi.model import NewOrder, TimeInForce
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.postgres import config, intents, status, switches
from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.transport.client import HttpClient
from recio.cli_keys import signer_at
from recio.domain.account_config import Mode, Trading
from recio.domain.intents import Intent, Purpose, Source
from recio.domain.orders import BookSide
from recio.domain.units import SECOND_US
from recio.manifest import SERVICES, Scope
from recio.runtime.clock import AcceleratedClock, WallClock, load_market_time
from recio.runtime.ids import SystemIds
from recio.runtime.local.embedded import EmbeddedPostgres, EmbeddedRedis
from recio.runtime.local.keys import ensure_keys
from recio.runtime.preparing import EnvironmentSpec, prepare_release

ONE, TWO = "one", "two"
PASSWORD = "only for this test"
MARKET = ("btc_price_watchdog", "kalshi_api_watchdog", "unified_production_coordinator")
OF_ACCOUNT = tuple(row.name for row in SERVICES if row.scope is Scope.ACCOUNT)
WATCH = ("system_monitor", "cascading_failure_detector")
PATIENCE_S = 90.0
ASK_S = 0.25
"""How often the exchange is asked: it has a rate limit, and the services need most of it."""
RISK = {
    "max_contracts_per_event": 5_000,
    "max_contracts_total": 5_000,
    "max_cost_per_event_dollars": 900,
    "max_cost_total_dollars": 900,
    "max_open_trades": 90,
    "max_orders_per_minute": 300,
    "max_daily_loss_dollars": 900,
    "max_drawdown_dollars": 900,
}
QUICK_WATCH = {
    "system_monitor_interval_seconds": "1",
    "cascading_failure_detector_trip_after_seconds": "5",
    "cascading_failure_detector_starting_seconds": "5",
    "cascading_failure_detector_release_after_seconds": "5",
}
GOOD_TILL_CANCELED, IMMEDIATE = TimeInForce.GOOD_TILL_CANCELED, TimeInForce.IMMEDIATE_OR_CANCEL
BUY, SELL = BookSide.BID, BookSide.ASK
_numbers = count(1)
IDS = SystemIds()


async def propose(database, wish):
    """Hand an intent to the gate."""
    async with database.transaction() as tx:
        await intents.propose(tx, wish)


def hand_order(ticker, price_e4, qty_e2, *, side=BUY, rests=False):
    """Return an order that none of the services knows."""
    return NewOrder(
        ticker=ticker,
        book_side=side,
        qty_e2=qty_e2,
        yes_price_e4=price_e4,
        client_order_id=f"hand-{IDS.fresh()}",
        time_in_force=GOOD_TILL_CANCELED if rests else IMMEDIATE,
        exchange_index=2,
    )


@dataclass
class Release:
    """Everything that runs. ``pods`` are by the name of their first service or by their account."""

    directory: object
    tier: str = "Advanced"
    accounts: tuple[str, ...] = (ONE, TWO)
    postgres_settings: tuple[str, ...] = ()
    has_own_database: bool = False
    """Whether the exchange has a PostgreSQL of its own, as a real one would: it outlives ours."""
    pods: dict = field(default_factory=dict)

    def __post_init__(self):
        self.postgres = EmbeddedPostgres(
            self.directory / "pg", settings=("max_connections=100", *self.postgres_settings)
        )
        self.venue = self.postgres
        if self.has_own_database:
            self.venue = EmbeddedPostgres(self.directory / "venue")
        self.redis = EmbeddedRedis(self.directory / "redis")
        self.credentials = self.directory / "credentials"
        self.runner = asyncio.Runner()
        self.ports = {}

    # What runs.

    @property
    def owner(self):
        """The owner's address."""
        return self.postgres.url("recio")

    @property
    def exchange_url(self):
        """Where the exchange listens."""
        return f"http://127.0.0.1:{self.ports['exchange_simulator']}"

    def start(self):
        """Start everything, from nothing."""
        self.credentials.mkdir()
        self.redis.start()
        self._prepare(self.postgres)
        if self.venue is not self.postgres:
            self._prepare(self.venue)
        self.run("exchange_simulator").until(200)
        if self.venue is not self.postgres:
            self._share_market_time()
        self.runner.run(self._make_accounts())
        self.start_services()
        self.until_ready()

    def _prepare(self, server):
        server.start()
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE recio")
        prepare_release(
            server.url("recio"),
            logins={},
            environments=[EnvironmentSpec(name="paper", mode=Mode.PAPER)],
            say=print,
            page_password=PASSWORD,
        )

    def _share_market_time(self):
        """Write the exchange's line of time into our own database."""
        with psycopg.connect(self.venue.url("recio")) as theirs:
            row = theirs.execute("SELECT * FROM ops.environments").fetchone()
        with psycopg.connect(self.owner) as ours:
            ours.execute("DELETE FROM ops.environments")
            places = ", ".join(["%s"] * len(row))
            ours.execute(f"INSERT INTO ops.environments VALUES ({places})", row)

    async def _make_accounts(self):
        http = HttpClient(self.exchange_url)
        await ensure_keys(http, self.credentials, dict.fromkeys(self.accounts, 1000))
        await http.close()
        self.database = PostgresDatabase(self.owner, connections=3)
        self.clock = AcceleratedClock(await load_market_time(self.database, "paper"))
        for name in self.accounts:
            async with self.database.transaction() as tx:
                await status.set_account_login(tx, name, None)
            await self._apply(name, "Active")

    def at_exchange(self, account, work):
        """Return what ``work`` says, given a client of the exchange with the account's key."""

        async def ask():
            clock = WallClock()
            # Nobody reads a connection between two calls: each has one of its own.
            http = HttpClient(self.exchange_url)
            signer = signer_at(self.credentials / account)
            rest = KalshiRest(http, signer, clock, Budget(clock))
            try:
                return await work(rest)
            finally:
                await rest.close()

        return self.runner.run(ask())

    def start_services(self):
        """Start whatever does not run, except the exchange."""
        for name in self.accounts:
            # The monitor is told of all ports when it starts.
            self.ports.setdefault(name, free_port())
            if name not in self.pods:
                self.run(*OF_ACCOUNT, account=name)
        for names in (MARKET, ("main_app", "db_poller"), WATCH):
            if names[0] not in self.pods:
                self.run(*names)

    def run(self, *names, account=""):
        """Start a process on the port that it had before."""
        name = account or names[0]
        port = self.ports.setdefault(name, free_port())
        server = self.venue if name == "exchange_simulator" else self.postgres
        told = {"exchange_simulator_tier": self.tier}
        if name != "exchange_simulator":
            url = self.exchange_url
            told = {
                "credentials_dir": str(self.credentials),
                "exchange_rest_url": url,
                "exchange_websocket_url": url.replace("http", "ws", 1),
            }
        if names == WATCH:
            told |= QUICK_WATCH | {"system_monitor_probe_urls": ",".join(self._probes())}
        if account:
            told["account"] = account
        self.pods[name] = Pod(
            *names,
            port=port,
            log=self.directory / f"{name}-{next(_numbers)}.log",
            database_url=server.url("recio").replace("postgres@", ""),
            redis_url=self.redis.url,
            **told,
        )
        return self.pods[name]

    def _probes(self):
        shared = {MARKET: self.ports[MARKET[0]]}
        for names, port in shared.items():
            yield "+".join(names) + f"=http://127.0.0.1:{port}"
        for account in self.accounts:
            hosted = "+".join(f"{name}@{account}" for name in OF_ACCOUNT)
            yield f"{hosted}=http://127.0.0.1:{self.ports[account]}"

    def until_ready(self, *names):
        """Wait until these processes, or all, can do their job."""
        for name in names or self.pods:
            self.pods[name].until(200)

    def kill(self, *names):
        """Kill processes -9, all at once; without a name all of them."""
        chosen = names or tuple(self.pods)
        for name in chosen:
            self.pods[name].process.kill()
        for name in chosen:
            self.pods.pop(name).stop()

    def start_postgres(self):
        """Start PostgreSQL again; connections of before are gone."""
        self.postgres.start()
        self.runner.run(self.database.close())
        self.database = PostgresDatabase(self.owner, connections=3)

    def start_again(self):
        """Start whatever does not run."""
        if "exchange_simulator" not in self.pods:
            self.run("exchange_simulator").until(200)
        self.start_services()
        self.until_ready()

    def stop(self):
        """End everything."""
        self.kill()
        if hasattr(self, "_page"):
            self._page.close()
        if hasattr(self, "database"):
            self.runner.run(self.database.close())
        self.runner.close()
        self.redis.stop()
        for server in {id(one): one for one in (self.postgres, self.venue)}.values():
            server.stop(is_immediate=True)

    # The doors.

    def by_api(self, scope, state, reason="by a person"):
        """Set the person's switch as the page does."""
        self.page().post(
            "/api/switches", json={"scope": scope, "state": state, "reason": reason}
        ).raise_for_status()

    def page(self):
        """Return a logged-in browser, so to say."""
        url = f"http://127.0.0.1:{self.ports['main_app']}"
        if not hasattr(self, "_page"):
            self._page = httpx.Client(base_url=url, headers={"Origin": url}, timeout=20)
            self._page.post(
                "/api/auth/login", json={"username": "admin", "password": PASSWORD}
            ).raise_for_status()
        return self._page

    def by_command(self, scope, state, reason="by a command"):
        """Set the person's switch by `recio halt`; return what it prints."""
        whose = ["--all"] if scope == "*" else [scope]
        words = ["halt", *whose, "--to", state, "--reason", reason, "--database-url", self.owner]
        done = subprocess.run(
            [sys.executable, "-m", "recio", *words],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def by_account(self, scope, state):
        """Apply the account's document with this state, as the operator does."""
        self.runner.run(self._apply(scope, state))

    async def _apply(self, name, state):
        wanted = document(name, **RISK)
        wanted["spec"]["trading"] = state
        async with self.database.transaction() as tx:
            await config.apply_account(
                tx, wanted, environment="paper", at_us=self.clock.market_us(), author="operator"
            )

    def by_fleet(self, _scope, state):
        """Apply the fleet's document with this state, as the operator does."""

        async def apply():
            async with self.database.transaction() as tx:
                await config.apply_fleet(
                    tx, fleet(state), at_us=self.clock.market_us(), author="operator"
                )

        self.runner.run(apply())

    def by_breaker(self, scope, state):
        """Set the row of a breaker with the function that all automatic sources call.

        No service knows this breaker, so none releases it.
        """
        self._set(scope, "breaker:drill", state)

    def _set(self, scope, source, state):
        async def write():
            async with self.database.transaction() as tx:
                await switches.set_switch(
                    tx, scope, source, Trading(state), reason="drill", author="drill",
                    at_us=self.clock.market_us(),
                )  # fmt: skip

        self.runner.run(write())

    def release_all(self):
        """Release every switch and cancel whatever rests."""
        for scope, source in self.rows():
            match source:
                case "resource":
                    self.by_account(scope, "Active")
                case "fleet":
                    self.by_fleet(scope, "Active")
                case _:
                    self._set(scope, source, "Active")
        for account in self.accounts:
            self.cancel_by_hand(account)

    # What is there.

    def ask(self, sql, *params):
        """Return the rows of a query."""
        with psycopg.connect(self.owner) as connection:
            return connection.execute(sql, params).fetchall()

    def metrics(self, name):
        """Return what a process tells Prometheus."""
        return httpx.get(f"http://127.0.0.1:{self.ports[name]}/metrics", timeout=20).text

    def held(self, account=ONE):
        """Return the switch in force."""

        async def read():
            async with self.database.transaction() as tx:
                return (await switches.effective_switch(tx, account)).state.value

        return self.runner.run(read())

    def rows(self):
        """Return the switch rows that are not released: (scope, source) to state."""
        found = self.ask(
            "SELECT scope, source, state::text FROM trading.switches WHERE state <> 'Active'"
        )
        return {(scope, source): state for scope, source, state in found}

    def wait(self, what, is_there, *, patience_s=PATIENCE_S, pause_s=0.02):
        """Wait until something holds; return it."""
        deadline = time.monotonic() + patience_s
        while True:
            with suppress(psycopg.OperationalError):
                if found := is_there():
                    return found
            for name, pod in self.pods.items():
                assert pod.process.poll() is None, f"{name} has ended"
            assert time.monotonic() < deadline, f"no {what} within {patience_s:g} s"
            # A wait on real processes, not on virtual time.
            time.sleep(pause_s)

    # What is wanted of the gate.

    def answer(self, account=ONE, *, trade=None, source=Source.AUTO_ENTRY, **changes):
        """Propose an order and return the gate's refusal; "" if it let it through.

        Its price is one at which nothing is filled, so that asking changes nothing.
        """
        wish = self.wish(account, trade=trade, source=source, **changes)
        self.runner.run(propose(self.database, wish))
        intent_id = wish.intent_id
        found = self.wait(
            "decision of the gate",
            lambda: self.ask(
                "SELECT refusal FROM trading.intents WHERE intent_id = %s AND state <> 'proposed'",
                intent_id,
            ),
        )
        return found[0][0]

    def wish(self, account=ONE, *, trade=None, source=Source.AUTO_ENTRY, **changes):
        """Return an entry of one contract, or an exit from a trade, that nobody would fill."""
        now_us = self.clock.market_us()
        ticker = changes.pop("ticker", None) or (trade[1] if trade else self.far_market(account))
        fields = {
            "intent_id": IDS.fresh(),
            "account": account,
            "purpose": Purpose.EXIT if trade else Purpose.ENTRY,
            "source": source,
            "market_ticker": ticker,
            "event_ticker": ticker.rpartition("-")[0],
            "side": "yes",
            "qty_e2": 100,
            "limit_price_e4": 9_900 if trade else 100,
            "at_us": now_us,
            "valid_until_us": now_us + 10 * SECOND_US,
            "trade_id": trade[0] if trade else None,
            "price_at_us": now_us,
            "book_at_us": now_us,
            "reason": "a drill",
        } | changes
        return Intent(**fields)

    def markets(self):
        """Return the open markets (ticker, YES bid, YES ask), the dearest first."""
        found = self.at_exchange(self.accounts[0], lambda rest: rest.markets(status="open"))
        found = [market for market in found if market.ticker.startswith("KXBTCD")]
        assert found
        return sorted(found, key=lambda m: -(m.yes_bid_e4 or 0))

    def far_market(self, account):
        """Return a market that the account is not in and where nobody sells for a cent."""
        if not hasattr(self, "_far"):
            self._far = [m.ticker for m in self.markets() if m.yes_ask_e4 is None]
        busy = self.ask(
            "SELECT market_ticker FROM trading.trades WHERE account = %s AND state NOT IN "
            "('closed', 'settled', 'abandoned')",
            account,
        )
        return next(ticker for ticker in self._far if (ticker,) not in busy)

    # Orders by hand, with the account's key.

    def by_hand(self, account, ticker, price_e4, qty_e2=100, *, side=BUY, rests=False):
        """Send an order that none of the services knows."""
        order = hand_order(ticker, price_e4, qty_e2, side=side, rests=rests)
        return self.at_exchange(account, lambda rest: rest.create_order(order))

    def rest_many(self, account, tickers, number):
        """Let many purchases for a cent rest, as fast as the account may send them."""

        async def place(rest):
            await rest.adopt_limits()
            for turn in range(number):
                ticker = tickers[turn % len(tickers)]
                await rest.create_order(hand_order(ticker, 100, 100, rests=True))

        self.at_exchange(account, place)

    def trade(self, account):
        """Return an open trade of three contracts (id, market), bought by hand if there is none."""
        found = self._open_trades(account)
        if not found:
            market = next(m for m in self.markets() if m.yes_ask_e4 and m.yes_bid_e4)
            assert self.by_hand(account, market.ticker, 9_900, 300).fill_qty_e2 == 300
            found = self.wait(
                "trade of what was bought by hand", lambda: self._open_trades(account)
            )
        return found[0]

    def _open_trades(self, account):
        return self.ask(
            "SELECT trade_id, market_ticker FROM trading.trades "
            "WHERE account = %s AND state = 'open' AND filled_qty_e2 - exited_qty_e2 = 300",
            account,
        )

    def cancel_by_hand(self, account):
        """Cancel whatever rests."""
        self.at_exchange(account, lambda rest: rest.cancel_all())

    def until_nothing_rests(self, account):
        """Wait until the exchange says that nothing rests."""
        self.wait(
            f"empty book of {account}",
            lambda: not self.resting(account),
            patience_s=20,
            pause_s=ASK_S,
        )

    def until_flat(self, account):
        """Wait until the exchange says that nothing is held, and the books say the same."""
        self.wait(f"flat account {account}", lambda: not self.positions(account), pause_s=ASK_S)
        self.wait(
            f"end of the trades of {account}",
            lambda: (
                not self.ask(
                    "SELECT 1 FROM trading.trades WHERE account = %s AND state NOT IN "
                    "('closed', 'settled', 'abandoned')",
                    account,
                )
            ),
        )

    def rest(self, account, trade):
        """Let an order rest that binds no cash: a sale of one held contract for 99 cents."""
        return self.by_hand(account, trade[1], 9_900, side=SELL, rests=True).order_id

    def until_equal(self, account):
        """Wait until the books' cash is the exchange's, and every fill of it is booked once."""

        def is_equal():
            cash = self.at_exchange(account, lambda rest: rest.balance()).cash_usd_e6
            booked = self.ask("SELECT cash_usd_e6 FROM trading.totals WHERE account = %s", account)[
                0
            ][0]
            return cash == booked

        self.wait(f"equal books of {account}", is_equal, pause_s=ASK_S)
        fills = self.at_exchange(account, lambda rest: rest.fills())
        assert sorted((fill.fill_id, fill.qty_e2) for fill in fills) == self.ask(
            "SELECT split_part(fill_id, '/', 1) AS id, sum(qty_e2)::bigint FROM trading.fills "
            "WHERE account = %s GROUP BY 1 ORDER BY 1",
            account,
        )

    def resting(self, account):
        """Return the orders that rest at the exchange."""
        return self.at_exchange(account, lambda rest: rest.orders(status="resting"))

    def positions(self, account):
        """Return what the exchange says is held."""
        found = self.at_exchange(account, lambda rest: rest.positions())
        return {each.ticker: each.qty_e2 for each in found if each.qty_e2}


def a_release(tmp_path_factory, **options):
    """Yield a release that runs; end it afterwards."""
    directory = tmp_path_factory.mktemp("kill")
    for parent in (directory, *directory.parents[:2]):
        parent.chmod(0o755)
    made = Release(directory, **options)
    try:
        made.start()
        yield made
    finally:
        made.stop()
