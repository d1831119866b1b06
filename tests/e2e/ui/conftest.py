"""main_app for real (PostgreSQL, its own HTTP server), a scripted market, and a browser.

The desk runs on a thread of its own, because the browser's driver blocks this one. Its clock starts
nine minutes before an hour's close and runs on; a test publishes what the market says.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import re
import shutil
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from recio import manifest
from recio.adapters.postgres.config import apply_account
from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.postgres.facts import open_books
from recio.adapters.postgres.intents import decide, propose
from recio.apps.main_app.app import build
from recio.apps.main_app.users import reset_password
from recio.domain.fees import taker_fee_usd_e6
from recio.domain.intents import Intent, Purpose, Source, derived_id
from recio.domain.messages import (
    Change,
    Message,
    PriceHistory,
    StrikeRow,
)
from recio.domain.units import HOUR_US, MINUTE_US, SECOND_US, as_datetime
from recio.runtime.clock import AcceleratedClock, MarketTime, monotonic_ns
from recio.runtime.host import http_server
from recio.runtime.ids import SystemIds
from recio.runtime.metrics import Metrics, ProcessMetrics
from recio.runtime.service import ServiceContext
from recio.testing.memory_bus import MemoryBus
from recio.testing.scripted_market import (
    CLOSE_US,
    EVENT,
    START_US,
    event_markets,
    exchange_status,
    price_update,
    snapshot,
    strike_row,
    strike_ticker,
)

T = TypeVar("T")
SOON_S = 60
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
ACCOUNT = "paper-one"
DOCUMENT = {
    "apiVersion": "recio.io/v1alpha1",
    "kind": "TradingAccount",
    "metadata": {"name": ACCOUNT},
    "spec": {
        "mode": "paper",
        "paper": {"initialBalanceDollars": 1000},
        "series": ["KXBTCD"],
        "strategy": {"autoEntry": {"enabled": True}, "sizing": {"contracts": 10}},
        "risk": {"maxContractsPerOrder": 50},
    },
}


class Desk:
    """A running main_app with a fresh database, and its market's voice."""

    def __init__(self, database_url: str, settings: dict[str, str] | None = None) -> None:
        self.database_url = database_url
        self.clock = AcceleratedClock(MarketTime(START_US, monotonic_ns(), 1))
        self.bus = MemoryBus()
        self.password = ""
        self.port = 0
        self._settings = settings or {}
        self._generation = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._is_listening = asyncio.Event()
        self._failure: BaseException | None = None
        self._sockets: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._main, daemon=True)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://localhost:{self.port}"

    def start(self) -> None:
        """Start and wait until it answers."""
        self._thread.start()
        assert self._ready.wait(90), "main_app did not start"
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Stop it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(SOON_S)
        assert not self._thread.is_alive(), f"main_app has not stopped within {SOON_S} s"
        if self._failure is not None:
            raise self._failure

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the desk's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SOON_S)

    def publish(self, topic: str, message: Message) -> None:
        """Say something on the bus."""
        self.run(self.bus.publish(topic, message))

    def market(self, price_dollars: float, **changed: Any) -> None:
        """Tell a price and the strike table around it."""
        price = round(price_dollars * 1_000_000)
        now = self.clock.market_us()
        self._generation += 1
        self.publish("prices", price_update(price, now))
        self.publish("snapshots", snapshot(price, now, self._generation, **changed))
        self.publish("exchange_status", exchange_status(now))

    def cut(self) -> None:
        """Cut every browser's socket, as a network does."""

        def cancel() -> None:
            for task in tuple(self._sockets):
                task.cancel()

        self._loop.call_soon_threadsafe(cancel)

    async def propose_and_refuse(self, intent: Intent, reason: str) -> None:
        """Do the gate's work with an intent."""
        async with self._owner.transaction() as tx:
            await propose(tx, intent)
            await decide(tx, intent.intent_id, refusal=reason, at_us=intent.at_us)

    def sql(self, text: str, *params: object) -> list[tuple[Any, ...]]:
        """Run a statement as the owner, as another service would."""
        return self.run(self._sql(text, params))

    def execute(self, text: str) -> None:
        """Run a statement without rows as the owner."""
        self.run(self._execute(text))

    async def _execute(self, text: str) -> None:
        async with self._owner.transaction() as tx:
            await tx.execute(text)

    async def _sql(self, text: str, params: tuple[object, ...]) -> list[tuple[Any, ...]]:
        async with self._owner.transaction() as tx:
            return await tx.fetch(text, *params)

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001 (handed to the test's thread)
            self._failure = error
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        self._owner = PostgresDatabase(self.database_url, connections=2)
        await self._seed()
        database = PostgresDatabase(
            re.sub(r"://[^@]+@", "://recio_main_app@", self.database_url), connections=4
        )
        row = manifest.service("main_app")
        context = ServiceContext(
            row=row,
            environment="paper",
            account=None,
            clock=self.clock,
            ids=SystemIds(),
            database=database,
            bus=self.bus,
            access=None,  # type: ignore[arg-type]  # main_app opens no connection to an exchange
            metrics=Metrics(ProcessMetrics(), service=row.name, account=None),
            log=logging.LoggerAdapter(logging.getLogger("recio.main_app")),
            settings=self._settings,
        )
        service = build(context)
        assert service.asgi is not None
        async with http_server(
            service.asgi, "127.0.0.1", 0, websockets="websockets-sansio"
        ) as self.port:
            tasks = [asyncio.ensure_future(task()) for task in service.tasks]
            tasks.append(asyncio.create_task(self._feed_changes()))
            await asyncio.sleep(0.05)
            # A change before that would be told to nobody.
            async with asyncio.timeout(SOON_S):
                await self._is_listening.wait()
            self._ready.set()
            stopping = asyncio.create_task(self._stop.wait())
            await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            failed = [task for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await database.close()
        await self._owner.close()
        for task in failed:
            task.result()

    async def _seed(self) -> None:
        async with self._owner.transaction() as tx:
            await apply_account(
                tx, DOCUMENT, environment="paper", at_us=START_US - HOUR_US, author="test"
            )
            await open_books(tx, ACCOUNT, cash_usd_e6=1000_000_000, at_us=START_US - HOUR_US)
        self.password = await reset_password(self._owner, self.clock, "admin")
        now = self.clock.market_us()
        minutes = tuple(
            (now - minute * MINUTE_US, 91_310_000_000 + minute % 7 * 11_000_000)
            for minute in range(14, 0, -1)
        )
        await self.bus.publish(
            "prices",
            PriceHistory(
                environment="paper", symbol="BTC", at_us=now, seen_us=now, source="test",
                minutes=minutes,
            ),
        )  # fmt: skip
        await self.bus.publish("markets", event_markets(now))

    async def _feed_changes(self) -> None:
        """Do db_poller's work."""
        async for hint in self._owner.listen("changes"):
            self._is_listening.set()
            if not hint.payload:
                continue
            body = json.loads(hint.payload)
            now = self.clock.market_us()
            await self.bus.publish(
                "changes",
                Change(
                    table=body["table"], account=body["account"], row_id=str(body["id"]),
                    at_us=now, seen_us=now,
                ),
            )  # fmt: skip


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """main_app with one paper account of $1000 and no market yet."""
    made = Desk(database_url)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def shared_desk(module_database_url: str) -> Iterator[Desk]:
    """The same for the tests of a module that leave nothing behind; its market is there."""
    made = Desk(module_database_url)
    made.start()
    made.market(91_300)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    expect.set_options(timeout=SOON_S * 1000)
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield made
        made.close()


@pytest.fixture(name="log_in")
def log_in_fixture(desk: Desk) -> Callable[[Page], None]:
    """Return what opens the desk in a page."""

    def log_in(page: Page) -> None:
        page.goto(desk.url)
        page.get_by_label("Name").fill("admin")
        page.get_by_label("Password").fill(desk.password)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("banner").get_by_text("live").wait_for()

    return log_in


@pytest.fixture
def page(browser: Browser, log_in: Callable[[Page], None]) -> Iterator[Page]:
    """The page, logged in, 1440 x 900."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    made = context.new_page()
    log_in(made)
    yield made
    context.close()


def add_trade(desk: Desk, number: int, strike_dollars: int, side: str, **changed: Any) -> str:
    """Write a trade as trade_manager would have folded it; return its id."""
    trade_id = str(derived_id("test", number))
    state = changed.pop("state", "open")
    price_e4 = changed.pop("price_e4", 9_540)
    qty_e2 = changed.pop("qty_e2", 10_00)
    is_over = state in ("closed", "settled", "abandoned")
    opened = desk.clock.market_us() - (number_age(number) if is_over else 95 * SECOND_US)
    row = {
        "trade_id": trade_id,
        "account": ACCOUNT,
        "number": number,
        "state": state,
        "source": "auto_entry",
        "strategy": "HourlyHTC",
        "symbol": "BTC",
        "event_ticker": EVENT,
        "market_ticker": strike_ticker(strike_dollars),
        "strike_usd_e6": strike_dollars * 1_000_000 - 10_000,
        "side": side,
        "close_at": as_datetime(CLOSE_US),
        "wanted_qty_e2": qty_e2,
        "filled_qty_e2": 0 if state == "abandoned" else qty_e2,
        "entry_cost_usd_e6": 0 if state == "abandoned" else price_e4 * qty_e2,
        "fees_usd_e6": taker_fee_usd_e6(price_e4, qty_e2),
        "p_entry_e6": 968_000,
        "symbol_open_usd_e6": 91_318_000_000,
        "momentum_bucket": 6,
        "opened_at": None if state == "abandoned" else as_datetime(opened),
        "created_at": as_datetime(opened),
        "changed_at": as_datetime(opened),
        **changed,
    }
    names = ", ".join(row)
    marks = ", ".join(["%s"] * len(row))
    desk.sql(
        f"INSERT INTO trading.trades ({names}) VALUES ({marks}) RETURNING trade_id", *row.values()
    )
    return trade_id


@pytest.fixture(name="strike_row")
def strike_row_fixture() -> Callable[..., StrikeRow]:
    """Return what makes a believable row."""
    return strike_row


@pytest.fixture
def add_refusal(desk: Desk) -> Callable[[str], None]:
    """Return what writes an intent that the gate has refused."""

    def add(reason: str) -> None:
        now = desk.clock.market_us()
        intent = Intent(
            intent_id=derived_id("refused", reason),
            account=ACCOUNT,
            purpose=Purpose.ENTRY,
            source=Source.AUTO_ENTRY,
            market_ticker=strike_ticker(91_000),
            event_ticker=EVENT,
            side="yes",
            qty_e2=1000,
            limit_price_e4=9610,
            at_us=now,
            valid_until_us=now,
        )
        desk.run(desk.propose_and_refuse(intent, reason))

    return add


@pytest.fixture(name="add_trade")
def add_trade_fixture(desk: Desk) -> Callable[..., str]:
    """Return what writes a trade of the desk's account."""
    return functools.partial(add_trade, desk)


def number_age(number: int) -> int:
    """Return how long ago a finished trade began: the higher its number, the later."""
    return HOUR_US + (30 - number) * 11 * MINUTE_US
