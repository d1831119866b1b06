"""The whole local system on a scripted exchange: what ``tick_to_order`` and ``services`` measure.

The topology is that of ``recio up`` (same runner, same processes, embedded PostgreSQL with fsync,
Redis); only the exchange's world is replaced. Its script: one hourly event with 100 strikes $10
apart; the index is published once a second and walks up over one strike after the other, each
of which thereby becomes likelier than its ask of 30 cents and is entered; then it falls back below
all of them and the walk begins anew. Three of four asks are gone when the order arrives, so that it
is canceled and the strike can be entered again; the fourth is filled. Beside it runs the load:
``deltas`` book changes a second in prices that no rule takes, and five spot prices a second.

Each order's arrival at the exchange is written to a file with the publication of the tick that
caused it, both on the exchange process's monotonic clock.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec
from psycopg.conninfo import make_conninfo

from recio.apps.main_app.users import ensure_admin
from recio.domain.account_config import Topology
from recio.domain.tickers import format_event, format_market
from recio.domain.units import HOUR_US, MINUTE_US, SECOND_US
from recio.exchange_simulator.app import SERVICE, service_of
from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.simulator import Simulator
from recio.exchange_simulator.specs import Candle, EventSpec, MarketSpec, SeriesSpec
from recio.manifest import ServiceRow
from recio.runtime.local.children import Children
from recio.runtime.local.embedded import SUPERUSER
from recio.runtime.local.environment import LocalEnvironment
from recio.runtime.local.options import UpOptions
from recio.runtime.local.plan import PlannedProcess
from recio.runtime.local.runner import Runner
from recio.runtime.local.state import StateDirectory
from recio.runtime.service import Service, ServiceContext

STRIKES: Final = 100
FIRST_STRIKE: Final = 65_500_000_000
STEP: Final = 10_000_000
WALK: Final = range(20, 80)
ASK_NO_E4: Final = 7_000
"""An anonymous bid of 70 cents for NO is an ask of 30 cents for YES."""
QTY_E2: Final = 100_00
BATCH_US: Final = 10_000
SPOT_US: Final = SECOND_US // 5
LEFT_US: Final = 10 * MINUTE_US
ORDERS: Final = "/portfolio/events/orders"

DOCUMENT: Final[dict[str, Any]] = {
    "apiVersion": "recio.io/v1alpha1",
    "kind": "TradingAccount",
    "metadata": {"name": "bench"},
    "spec": {
        "mode": "paper",
        "paper": {"source": "Recording", "initialBalanceDollars": 100_000},
        "series": ["KXBTCD"],
        "trading": "Active",
        "risk": {
            "maxContractsPerOrder": 10,
            "maxContractsPerEvent": 10_000,
            "maxContractsTotal": 10_000,
            "maxCostPerEventDollars": 10_000,
            "maxCostTotalDollars": 10_000,
            "maxOpenTrades": 100,
            "maxOrdersPerMinute": 300,
            "maxDailyLossDollars": 10_000,
            "maxDrawdownDollars": 10_000,
            "minPriceCents": 1,
            "maxPriceCents": 60,
        },
        "strategy": {
            "name": "HourlyHTC",
            "model": "Volatility",
            "autoEntry": {
                "enabled": True,
                "allowReentry": True,
                "minProbabilityPermille": 500,
                "minNetEdgeBasisPoints": 25,
                "minSecondsToClose": 0,
                "maxSecondsToClose": 3600,
                "cooldownSeconds": 0,
                "minVolumeContracts": 0,
            },
            "spikeAlert": {"enabled": False},
            "autoStop": {"probability": {"enabled": False}, "momentum": {"enabled": False}},
            "sizing": {"method": "Fixed", "contracts": 1},
        },
    },
}


class ScriptedWorld:
    """What drives the exchange; ``ticked`` tells when the tick over a strike was published."""

    def __init__(self, exchange: Exchange, *, deltas: int) -> None:
        self.ticked: dict[str, int] = {}
        self._exchange = exchange
        self._deltas = deltas
        self._tickers: list[str] = []
        self._asks: set[str] = set()
        self._index_us = self._spot_us = self._batch_us = 0
        self._place = WALK.start - 3
        self._turn = 0
        self._filled: set[str] = set()

    def step(self, now_us: int) -> None:
        """Do what is due."""
        if not self._tickers:
            self._list(now_us)
        self._exchange.advance(now_us)
        if now_us >= self._spot_us:
            self._spot_us = now_us + SPOT_US
            self._exchange.set_spot(
                "coinbase", "BTC", self._price() + self._turn % 7 * 10_000, now_us
            )
        if now_us >= self._batch_us:
            self._batch_us = max(self._batch_us + BATCH_US, now_us)
            self._change_books(now_us)
        if now_us >= self._index_us:
            self._index_us = now_us // SECOND_US * SECOND_US + SECOND_US
            self._walk(now_us)

    def next_event_us(self) -> int:
        """Return when something is due."""
        return min(self._index_us, self._spot_us, self._batch_us)

    def arrived(self, ticker: str, now_us: int) -> None:
        """An order has arrived: take the ask away, except from each fourth strike once."""
        if self._tickers.index(ticker) % 4 == 0 and ticker not in self._filled:
            self._filled.add(ticker)
        elif ticker in self._asks:
            self._asks.discard(ticker)
            self._exchange.set_external_level(ticker, "no", ASK_NO_E4, 0, now_us)

    def _price(self) -> int:
        return FIRST_STRIKE + self._place * STEP + STEP - 100_000

    def _list(self, now_us: int) -> None:
        close_us = (now_us + LEFT_US) // HOUR_US * HOUR_US + HOUR_US
        event = format_event("KXBTCD", close_us)
        strikes = [FIRST_STRIKE + place * STEP for place in range(STRIKES)]
        markets = tuple(
            MarketSpec(
                ticker=format_market(event, strike), yes_sub_title="above", no_sub_title="below",
                strike_type="greater", floor_strike_usd_e6=strike,
            )
            for strike in strikes
        )  # fmt: skip
        self._exchange.list_series(SeriesSpec(ticker="KXBTCD", title="Bitcoin price"))
        self._exchange.list_event(
            EventSpec(
                event_ticker=event, series_ticker="KXBTCD", title="Bitcoin price", sub_title="",
                open_us=close_us - 2 * HOUR_US, close_us=close_us, markets=markets,
            ),
            now_us,
        )  # fmt: skip
        self._exchange.advance(now_us)
        first_us = now_us // MINUTE_US * MINUTE_US - 90 * MINUTE_US
        prices = [self._price() + minute % 5 * 20_000_000 for minute in range(90)]
        self._exchange.set_spot_history(
            "coinbase",
            "BTC",
            [
                Candle(first_us + place * MINUTE_US, price, price, price, price)
                for place, price in enumerate(prices)
            ],
        )
        self._tickers = [market.ticker for market in markets]

    def _offer(self, now_us: int) -> None:
        """Put an ask on every strike of the walk that has none."""
        for place in WALK:
            ticker = self._tickers[place]
            if ticker not in self._asks:
                self._asks.add(ticker)
                self._exchange.set_external_level(ticker, "no", ASK_NO_E4, QTY_E2, now_us)

    def _walk(self, now_us: int) -> None:
        if self._place == WALK.start - 2:
            # Everybody has seen the fall: now there is something to be had again.
            self._offer(now_us)
        if self._place + 1 < WALK.stop:
            self._place += 1
        else:
            self._place = WALK.start - 2
        self.ticked[self._tickers[self._place]] = time.monotonic_ns()
        self._exchange.set_index("BRTI", self._price(), now_us // SECOND_US * SECOND_US)

    def _change_books(self, now_us: int) -> None:
        for _ in range(self._deltas * BATCH_US // SECOND_US):
            self._turn += 1
            ticker = self._tickers[self._turn % STRIKES]
            level = self._turn // STRIKES
            side, price_e4 = ("no", 1_000) if level % 2 else ("yes", 100)
            qty_e2 = QTY_E2 + level % 89 * 100
            self._exchange.set_external_level(
                ticker, side, price_e4 + level % 5 * 100, qty_e2, now_us
            )


class Stamping:
    """The exchange's ASGI application; notes when an order's request is there."""

    def __init__(self, simulator: Simulator, world: ScriptedWorld, path: Path) -> None:
        self._simulator = simulator
        self._world = world
        self._file = path.open("a", buffering=1)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "POST" or ORDERS not in scope["path"]:
            await self._simulator.asgi(scope, receive, send)
            return
        first = await receive()
        arrived_ns = time.monotonic_ns()
        ticker = msgspec.json.decode(first["body"])["ticker"]
        line = {"ticker": ticker, "tick_ns": self._world.ticked.get(ticker), "order_ns": arrived_ns}
        self._file.write(json.dumps(line) + "\n")
        self._world.arrived(ticker, self._simulator.clock.market_us())
        given = [first]

        async def again() -> Any:  # noqa: ANN401
            return given.pop() if given else await receive()

        await self._simulator.asgi(scope, again, send)


@dataclass(slots=True)
class Script:
    """What the forked exchange process is told: the load, and where to write arrivals."""

    deltas: int = 2000
    file: Path = Path("arrivals.jsonl")


SCRIPT: Final = Script()


def build_exchange(context: ServiceContext) -> Service:
    """Build the scripted exchange as the service that it stands in for."""
    made: list[ScriptedWorld] = []

    def attach(exchange: Exchange) -> ScriptedWorld:
        made.append(ScriptedWorld(exchange, deltas=SCRIPT.deltas))
        return made[0]

    simulator = Simulator(
        config=Config(namespace=context.environment),
        clock=context.clock,
        fresh=context.ids.fresh,
        database=context.database,
        attach=attach,
        log=context.log,
    )
    service = service_of(simulator)
    service.asgi = Stamping(simulator, made[0], SCRIPT.file)
    return service


class ScriptedRow(ServiceRow):
    """The exchange's row of the manifest with the scripted exchange behind its door."""

    @property
    def entry(self) -> str:
        """Where its door is."""
        return "benchmarks.scene:build_exchange"


Work = Callable[["SceneRunner"], None]


@dataclass(kw_only=True)
class SceneRunner(Runner):
    """``recio up`` on the scripted exchange; ``work`` measures once everything is ready."""

    work: Work
    is_favoured: bool = False
    first_port: int = 4800
    database_url: str = ""
    pids: dict[str, int] = field(default_factory=dict)
    pause: Callable[[float], None] = time.sleep

    def _existing(self, planned: Sequence[PlannedProcess]) -> list[PlannedProcess]:
        return [
            dataclasses.replace(_scripted(one), port=self.first_port + place)
            for place, one in enumerate(planned)
        ]

    def _start(
        self,
        planned: Sequence[PlannedProcess],
        environment: LocalEnvironment,
        children: Children,
        state: StateDirectory,
    ) -> None:
        self.database_url = make_conninfo(environment.database_url, user=SUPERUSER)
        Runner._start(self, planned, environment, children, state)

    def _watch(self, children: Children, heart: Any) -> NoReturn:  # noqa: ANN401
        def pause(seconds: float) -> None:
            end_s = time.monotonic() + seconds
            while (left_s := end_s - time.monotonic()) > 0:
                children.watch(min(left_s, 0.2))
                heart.beat(self.say)

        if self.is_favoured:
            favour(self.options.state)
        self.pids = {child.name: child.pid for child in children}
        self.pause = pause
        self.work(self)
        raise KeyboardInterrupt


def _scripted(one: PlannedProcess) -> PlannedProcess:
    if one.name != SERVICE:
        return one
    placed = one.placements[0]
    values = {each.name: getattr(placed.row, each.name) for each in dataclasses.fields(placed.row)}
    row = ScriptedRow(**values)
    return dataclasses.replace(one, placements=(dataclasses.replace(placed, row=row),))


def favour(state: Path) -> None:
    """Give this session, PostgreSQL and Redis the processor before the machine's other work.

    The kernel shares it between sessions first (sched_autogroup), so that a nice level alone does
    nothing against another session's work. Needs root.
    """
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.name == str(os.getpid()) or str(state) in (process / "cmdline").read_text():
                (process / "autogroup").write_text("-15")
        except OSError:
            continue


def run(
    work: Work, *, deltas: int, topology: Topology | None = None, is_favoured: bool = False
) -> None:
    """Start everything in a directory of its own, let ``work`` measure, stop everything."""
    with tempfile.TemporaryDirectory(prefix="recio-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        SCRIPT.deltas, SCRIPT.file = deltas, Path(directory) / "arrivals.jsonl"
        account = Path(directory) / "account.yaml"
        account.write_text(json.dumps(DOCUMENT))
        options = UpOptions(
            state=Path(directory) / "state", account_file=account, topology=topology, port=4800
        )
        SceneRunner(
            options=options, ensure_admin=ensure_admin, say=_say, work=work, is_favoured=is_favoured
        ).run()


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)
