"""Break-glass against the paper exchange on loopback: everything goes, and the books learn of it."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import asynccontextmanager

import msgspec
import pytest
from tests.contract.house import Venue
from tests.contract.listing import CRYPTO, HIGH, LOW, QUIET
from tests.integration.money.test_paper_exchange import Floor
from tests.unit.exchange_simulator import builders

from recio import cli
from recio.adapters.kalshi import caller
from recio.adapters.kalshi.budget import Budget
from recio.adapters.kalshi.model import NewOrder, TimeInForce
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.signing import RequestSigner
from recio.adapters.transport.client import HttpClient
from recio.domain.orders import BookSide
from recio.exchange_simulator.app import listening
from recio.runtime import panic
from recio.runtime.clock import WallClock
from recio.runtime.credentials import Credentials, write

ORDERS = "/portfolio/events/orders"
IOC, RESTS = TimeInForce.IMMEDIATE_OR_CANCEL, TimeInForce.GOOD_TILL_CANCELED
BUY, SELL = BookSide.BID, BookSide.ASK


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The same steps with shorter waits."""
    monkeypatch.setattr(panic, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(caller, "MUTATION_TIMEOUT_S", 0.3)
    monkeypatch.setattr(caller, "READ_TIMEOUT_S", 0.3)


class Drill:
    """An exchange with one trader's positions and orders, the trader's key file, and a journal."""

    def __init__(self, folder, monkeypatch):
        self.venue = Venue({}, {})
        self.folder = folder
        self.journal = folder / "journal.jsonl"
        self.durable = 0
        self.unannounced = []
        self.created = []
        self.port = self.control_port = 0
        self._answer = self.venue.gateway.request
        self.venue.gateway.request = self._noted
        sync = os.fsync

        def noting(descriptor):
            sync(descriptor)
            if threading.current_thread() is not threading.main_thread():
                self.durable = self.journal.stat().st_size

        monkeypatch.setattr(os, "fsync", noting)

    async def _noted(self, request):
        """Look whether the journal on disk names what arrives."""
        if request.method in {"POST", "DELETE"} and ORDERS in request.path and self.durable:
            on_disk = self.journal.read_bytes()[: self.durable].decode()
            name = request.path.partition("?")[0].rpartition("/")[2]
            if request.method == "POST":
                name = msgspec.json.decode(request.body)["client_order_id"]
                self.created.append(name)
            if ("cancel all" if name == "orders" else name) not in on_disk:
                self.unannounced.append((request.method, request.path))
        return await self._answer(request)

    @asynccontextmanager
    async def open(self):
        """Serve the exchange and its control API; make the trader."""
        async with (
            listening(self.venue.app, 0) as self.port,
            listening(self.venue.control, 0) as self.control_port,
        ):
            self.http = HttpClient(self.url)
            made = await self.ask(
                self.http, "/admin/accounts", account="trader", initial_balance_dollars="1000"
            )
            write(self.folder, "trader", Credentials(made["api_key_id"], _pem(made)))
            clock = WallClock()
            signer = RequestSigner(made["api_key_id"], made["private_key"])
            self.rest = KalshiRest(self.http, signer, clock, Budget(clock))
            yield self
            await self.http.close()

    @property
    def url(self):
        """Where the exchange listens."""
        return f"http://127.0.0.1:{self.port}"

    @staticmethod
    async def ask(http, path, /, **body):
        """Post to an unsigned API."""
        reply = await http.request("POST", path, {}, msgspec.json.encode(body), timeout_s=5)
        assert reply.status < 300, reply.body
        return msgspec.json.decode(reply.body)

    async def fault(self, kind, *, count=1, **where):
        """Arm a fault by the control API."""
        http = HttpClient(f"http://127.0.0.1:{self.control_port}")
        await self.ask(http, "/faults/requests", fault=kind, count=count, **where)
        await http.close()

    def level(self, ticker, side, price_e4, qty_e2):
        """Put a stranger's order into a book."""
        now_us = self.venue.clock.market_us()
        assert self.venue.exchange.set_external_level(ticker, side, price_e4, qty_e2, now_us)

    async def order(self, ticker, side, price_e4, qty_e2, force=RESTS):
        """Send an order by hand."""
        return await self.rest.create_order(
            NewOrder(
                ticker=ticker,
                book_side=side,
                qty_e2=qty_e2,
                yes_price_e4=price_e4,
                client_order_id=f"by-hand-{ticker}-{side}-{price_e4}",
                time_in_force=force,
                exchange_index=CRYPTO,
            )
        )

    async def hold(self):
        """YES in one market, NO in another, orders in both and in a third; books to sell into."""
        self.level(LOW, "no", 400, 1_000)
        self.level(HIGH, "yes", 3_000, 700)
        assert (await self.order(LOW, BUY, 9_600, 1_000, IOC)).fill_qty_e2 == 1_000
        assert (await self.order(HIGH, SELL, 3_000, 650, IOC)).fill_qty_e2 == 650
        self.level(LOW, "yes", 9_000, 600)
        self.level(LOW, "yes", 200, 5_000)
        self.level(HIGH, "no", 6_000, 5_000)
        await self.order(LOW, BUY, 100, 500)
        await self.order(HIGH, SELL, 9_000, 500)
        await self.order(QUIET, BUY, 2_000, 500)

    async def hold_what_nobody_buys(self):
        """YES in a market without a bid."""
        self.level(QUIET, "no", 7_000, 300)
        assert (await self.order(QUIET, BUY, 3_000, 300, IOC)).fill_qty_e2 == 300

    async def panic(self):
        """Run the command as a person does; return its exit status."""
        words = ("panic", str(self.folder / "trader"), "--yes")
        return await asyncio.to_thread(
            cli.main,
            [*words, "--url", self.url, "--journal", str(self.journal)],
        )

    async def left(self):
        """Return what the exchange holds for the trader."""
        held = {each.ticker: each.qty_e2 for each in await self.rest.positions() if each.qty_e2}
        return held, len(await self.rest.orders(status="resting"))

    def said(self):
        """Return what the journal tells, in order."""
        return [
            msgspec.json.decode(line)["what"] for line in self.journal.read_bytes().splitlines()
        ]


def _pem(made):
    return made["private_key"].encode()


@pytest.fixture
def drill(tmp_path, monkeypatch, runner):
    """Run a script with an open exchange."""

    def play(script):
        async def main():
            async with Drill(tmp_path, monkeypatch).open() as opened:
                await script(opened)
                assert opened.unannounced == []

        runner.run(main())

    return play


def test_everything_goes_and_a_second_run_does_nothing(drill, capsys):
    """YES and NO, three books; each request is in the journal on disk before it arrives."""

    async def script(opened):
        await opened.hold()
        assert await opened.panic() == 0
        assert await opened.left() == ({}, 0)
        sales = len(opened.created)
        assert sales == 2
        assert await opened.panic() == 0
        assert len(opened.created) == sales
        assert opened.said().count("cancel all") == 2

    drill(script)
    assert "nothing is held and nothing rests any more" in capsys.readouterr().out


def test_what_nobody_buys_is_told_and_left(drill, capsys):
    """The rest is sold all the same; the status says that something remains."""

    async def script(opened):
        await opened.hold()
        await opened.hold_what_nobody_buys()
        assert await opened.panic() == 1
        assert await opened.left() == ({QUIET: 300}, 0)
        opened.level(QUIET, "yes", 100, 300)
        assert await opened.panic() == 0
        assert await opened.left() == ({}, 0)

    drill(script)
    said = capsys.readouterr().out
    assert "1 positions and 0 orders are left" in said
    assert f"held: 3.00 YES of {QUIET}" in said


CREATE = {"method": "POST", "path": ORDERS}
FAULTS = {
    "cancel-all fails and so does the first cancel": [
        ("status", {"method": "DELETE", "path": ORDERS, "count": 2, "status": 500})
    ],
    "reads fail": [("status", {"method": "GET", "path": "/portfolio", "count": 5, "status": 503})],
    "reads hang": [("timeout_before_acceptance", {"method": "GET", "count": 3})],
    "markets are not told": [
        ("status", {"method": "GET", "path": "/markets/", "count": 9, "status": 500})
    ],
    "sales are taken, the answer is lost": [("timeout_after_acceptance", {**CREATE, "count": 2})],
    "sales are lost": [("cut_before_acceptance", {**CREATE, "count": 2})],
    "sales get 503 and 429": [
        ("status", {**CREATE, "status": 503}),
        ("status", {**CREATE, "status": 429}),
    ],
}


@pytest.mark.parametrize("name", FAULTS)
def test_an_exchange_that_stumbles(drill, name):
    """It looks again and goes on; reduce-only keeps a lost answer from turning a position."""

    async def script(opened):
        await opened.hold()
        for kind, where in FAULTS[name]:
            await opened.fault(kind, **where)
        assert await opened.panic() == 0
        assert await opened.left() == ({}, 0)

    drill(script)


def test_an_exchange_that_is_away_ends_in_an_error(drill, monkeypatch, capsys):
    """After minutes of trying; nobody knows what is left, and the status says so."""
    monkeypatch.setattr(panic, "READS", 3)

    async def script(opened):
        await opened.fault("status", count=99, status=503)
        assert await opened.panic() == 1
        assert opened.said().count("no answer") == 2

    drill(script)
    assert "the exchange answered 503" in capsys.readouterr().err


def test_a_full_disk_does_not_keep_positions_open(drill, monkeypatch, capsys):
    """The lines are printed instead."""

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    async def script(opened):
        await opened.hold()
        monkeypatch.setattr("recio.cli_panic._opened", lambda path: path.open("ab", buffering=0))
        monkeypatch.setattr(os, "fsync", full)
        assert await opened.panic() == 0
        assert await opened.left() == ({}, 0)

    drill(script)
    assert "not in the journal: No space left on device" in capsys.readouterr().out


def test_a_journal_that_cannot_be_made_is_told_first(drill, capsys):
    """Nothing was done yet: another place is one word away."""

    async def script(opened):
        await opened.hold()
        before = await opened.left()
        opened.journal = opened.folder / "nowhere/journal"
        assert await opened.panic() == 1
        assert await opened.left() == before

    drill(script)
    assert "name another with --journal" in capsys.readouterr().err


def test_the_books_learn_of_it(module_database_url):
    """Account sync books the sales of the key as facts; the trades end as sold outside."""
    floor = Floor(module_database_url)
    scene, lines = floor.scene, []

    async def script():
        await scene.propose(scene.wish(market_ticker=builders.LOW, limit_price_e4=9_600))
        await scene.propose(
            scene.wish(market_ticker=builders.HIGH, side="no", limit_price_e4=7_000, qty_e2=1_000)
        )
        await asyncio.sleep(20)
        sold = panic.Panic(floor.rest(), floor.clock, lambda *line: lines.append(line))
        now_us = floor.clock.market_us()
        assert floor.exchange.set_external_level(builders.HIGH, "no", 5_000, 9_000, now_us)
        left = await sold.flatten()
        await asyncio.sleep(60)
        await scene.assert_books_agree()
        venue = floor.exchange.state.accounts[floor.name]
        booked = await scene.one(
            "SELECT cash_usd_e6 FROM trading.totals WHERE account = %s", scene.account
        )
        assert booked == (sum(venue.cash_e6.values()),)
        breakers = await scene.rows(
            "SELECT source FROM trading.switches WHERE scope = %s AND state <> 'Active'",
            scene.account,
        )
        trades = await scene.rows(
            "SELECT state::text, close_reason FROM trading.trades WHERE account = %s",
            scene.account,
        )
        return left, breakers, trades

    left, breakers, trades = floor.play(script)

    assert left.is_nothing
    assert breakers == []
    assert trades == [("closed", "external: sold outside this system")] * 2
    assert [what for what, _ in lines].count("send") == 2
