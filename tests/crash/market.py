"""A frozen market: the product's exchange with books that are set once and nobody else in it.

It lives in the harness, not in a process that could be killed: it is the other side, and its own
log is the truth that the books are compared with.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from recio.domain.tickers import parse_event
from recio.domain.units import MINUTE_US, SECOND_US
from recio.exchange_simulator.app import listening
from recio.exchange_simulator.core import orders
from recio.exchange_simulator.core.orders import NewOrder
from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.feeds import Feeds
from recio.exchange_simulator.gateway import Gateway
from recio.exchange_simulator.memory import MemoryHttp
from recio.exchange_simulator.server import ExchangeApp
from recio.exchange_simulator.specs import EventSpec, MarketSpec, SeriesSpec
from recio.ports import Clock
from recio.runtime.ids import SeededIds

ACCOUNT = "crash"
DOLLARS = 1000
EVENT = "KXBTCD-26NOV2012"
CLOSE_US = parse_event(EVENT).close_us
START_US = CLOSE_US - 30 * MINUTE_US
AFTER_US = CLOSE_US + 2 * SECOND_US
TICK_S = 0.1


@dataclass(frozen=True, slots=True)
class Listed:
    """One market: what rests in its book as (side, price, quantity), and how it will settle."""

    ticker: str
    strike_usd_e6: int
    levels: tuple[tuple[str, int, int], ...]
    result: str


def _listed(number: int, result: str, *levels: tuple[str, int, int]) -> Listed:
    strike = 90_000 + 250 * number
    return Listed(f"{EVENT}-T{strike - 1}.99", strike * 1_000_000 - 10_000, levels, result)


FULL = _listed(0, "yes", ("no", 5_000, 5_000), ("yes", 4_000, 600), ("yes", 3_900, 5_000))
PART = _listed(1, "yes", ("no", 4_000, 300), ("no", 3_900, 100))
OTHER_SIDE = _listed(2, "yes", ("yes", 3_000, 5_000), ("no", 6_500, 300))
LATER = _listed(3, "no", ("no", 6_000, 5_000))
NOBODY = _listed(4, "no", ("no", 1_000, 5_000))
MARKETS = (FULL, PART, OTHER_SIDE, LATER, NOBODY)


class FrozenMarket:
    """One exchange at the beginning of the script."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.exchange = Exchange(Config(has_history=True), fresh=SeededIds("crash").fresh)
        self.exchange.list_series(
            SeriesSpec(ticker="KXBTCD", title="Bitcoin", fee_type="quadratic")
        )
        self.exchange.advance(START_US - MINUTE_US)
        self.exchange.list_event(_event(), START_US - MINUTE_US)
        self.exchange.advance(clock.market_us())
        for market in MARKETS:
            for side, price_e4, qty_e2 in market.levels:
                self.exchange.set_external_level(
                    market.ticker, side, price_e4, qty_e2, clock.market_us()
                )
        self.gateway = Gateway(self.exchange, clock)
        self.app = ExchangeApp(self.gateway, Feeds(self.exchange))
        self.app.is_open = True

    async def open_account(self, credentials: Path) -> None:
        """Make the account with its money, and write its key where services read it."""
        body = {"account": ACCOUNT, "initial_balance_dollars": DOLLARS, "key_type": "ed25519"}
        reply = await MemoryHttp(self.gateway).request(
            "POST", "/admin/accounts", {}, msgspec.json.encode(body), timeout_s=1
        )
        made = msgspec.json.decode(reply.body)
        folder = credentials / ACCOUNT
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "key-id").write_text(made["api_key_id"])
        (folder / "private-key").write_text(made["private_key"])

    def follow(self, clock: Clock) -> None:
        """Go on by another clock."""
        self.clock = self.gateway.clock = clock

    async def tick(self) -> None:
        """Let the exchange's own timers run."""
        while True:
            self.exchange.advance(self.clock.market_us())
            await self.gateway.commit()
            await asyncio.sleep(TICK_S)

    def rest_by_hand(self, market: Listed, price_e4: int, qty_e2: int) -> None:
        """Let the account's owner place an order that rests, past all services."""
        by_hand = NewOrder(
            ticker=market.ticker,
            is_bid=True,
            price_e4=price_e4,
            qty_e2=qty_e2,
            time_in_force="good_till_canceled",
            self_trade="taker_at_cross",
            client_order_id="by hand",
        )
        orders.create(self.exchange.state, self.exchange.state.accounts[ACCOUNT], by_hand)

    async def settle(self) -> None:
        """Say the results and pay."""
        now_us = self.clock.market_us()
        for market in MARKETS:
            self.exchange.determine(market.ticker, market.result, now_us, expiration_value="1.00")
            self.exchange.finalize(market.ticker, now_us)
        await self.gateway.commit()


class Venue:
    """The port that the exchange listens on; another exchange can take the place of the last."""

    def __init__(self) -> None:
        self.port = 0
        self._market: FrozenMarket | None = None

    async def __call__(self, scope, receive, send) -> None:
        """Hand a connection to today's exchange."""
        assert self._market is not None
        await self._market.app(scope, receive, send)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen while the block runs."""
        async with listening(self, 0) as self.port:
            yield

    @contextlib.asynccontextmanager
    async def plays(self, market: FrozenMarket) -> AsyncIterator[None]:
        """Let an exchange run behind the port while the block runs."""
        self._market = market
        ticking = asyncio.create_task(market.tick())
        try:
            yield
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
            market.gateway.cut_all()


def _event() -> EventSpec:
    return EventSpec(
        event_ticker=EVENT,
        series_ticker="KXBTCD",
        title="Bitcoin price on Nov 20, 2026 at 12pm EST?",
        sub_title="On Nov 20, 2026 at 12pm EST",
        open_us=CLOSE_US - 60 * MINUTE_US,
        close_us=CLOSE_US,
        markets=tuple(
            MarketSpec(
                ticker=market.ticker,
                yes_sub_title="above",
                no_sub_title="above",
                strike_type="greater",
                floor_strike_usd_e6=market.strike_usd_e6,
            )
            for market in MARKETS
        ),
    )
