"""Everything the exchange holds in memory, what changed since the last save, and who listens.

Keeps the one market clock (it never runs backwards), the one persisted counter that every
identifier and every place in a queue is derived from, and the timers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from heapq import heappush
from typing import Final, Protocol, TypeVar, cast

from recio.exchange_simulator.core.fees import MEMBER_PRECISION_E6
from recio.exchange_simulator.core.naming import derived_uuid
from recio.exchange_simulator.core.records import (
    Account,
    ApiKey,
    Event,
    Fill,
    Market,
    Order,
    OrderGroup,
    Position,
    Settlement,
    Trade,
    Transfer,
)
from recio.exchange_simulator.core.refusals import Refusal, market_not_found
from recio.exchange_simulator.specs import CRYPTO_SHARD, SeriesSpec, Taken

SHARDS: Final = {0: "Default", 1: "Combos and exotics", CRYPTO_SHARD: "Crypto", 3: "Sports"}
T = TypeVar("T")

HISTORY_US: Final = 60_000_000
RECENT_TRADES: Final = 20_000
"""Public trades kept in memory: about an hour of a busy ladder; older ones are forgotten."""


@dataclass(slots=True, kw_only=True)
class Config:
    """How this exchange behaves where sources disagree, and who its members are.

    ``is_client_order_id_used_forever``: demo showed that a canceled order keeps its
    client_order_id used; False frees it when the order is done. ``is_post_only_rejected``: refuse
    with 400 (seen on demo in June 2026) instead of accepting and canceling (changelog 2026-06-04).
    ``read_lag_ms``: how old portfolio reads are. ``has_history``: remember a minute of versions, so
    that a read lag switched on later (by an injected fault) shows the true past.
    """

    namespace: str = "paper"
    is_client_order_id_used_forever: bool = True
    is_post_only_rejected: bool = False
    balance_precision_e6: int = MEMBER_PRECISION_E6
    tier: str = "Advanced"
    read_lag_ms: int = 0
    settle_delay_seconds: int = 0
    has_weekly_pause: bool = True
    has_history: bool = False


class Listener(Protocol):
    """Who hears what happens, at once and in order (the streams)."""

    def book_changed(
        self, market: Market, price_e4: int, delta_e2: int, order: Order | None, *, is_bid: bool
    ) -> None:
        """A level changed by ``delta_e2``; ``order`` is the member's order that caused it."""

    def book_reset(self, market: Market) -> None:
        """The whole book is new."""

    def ticker_changed(self, market: Market) -> None:
        """Top of book or figures of a market changed."""

    def traded(self, trade: Trade) -> None:
        """A public trade happened."""

    def filled(self, fill: Fill, order: Order) -> None:
        """A member's order was filled."""

    def order_changed(self, order: Order) -> None:
        """An order was made or changed."""

    def position_changed(self, position: Position) -> None:
        """A position changed."""

    def market_changed(self, market: Market, event_type: str) -> None:
        """A market's life went on (created, activated, determined and so on)."""

    def event_listed(self, event: Event) -> None:
        """An event was listed."""

    def group_changed(self, group: OrderGroup, event_type: str) -> None:
        """An order group was created, triggered, reset, deleted or limited anew."""

    def index_published(self, index_id: str, value_usd_e6: int, at_us: int) -> None:
        """An index value was published."""


class Silence:
    """A listener that hears nothing."""

    def book_changed(
        self, market: Market, price_e4: int, delta_e2: int, order: Order | None, *, is_bid: bool
    ) -> None:
        """Do nothing."""

    def book_reset(self, market: Market) -> None:
        """Do nothing."""

    def ticker_changed(self, market: Market) -> None:
        """Do nothing."""

    def traded(self, trade: Trade) -> None:
        """Do nothing."""

    def filled(self, fill: Fill, order: Order) -> None:
        """Do nothing."""

    def order_changed(self, order: Order) -> None:
        """Do nothing."""

    def position_changed(self, position: Position) -> None:
        """Do nothing."""

    def market_changed(self, market: Market, event_type: str) -> None:
        """Do nothing."""

    def event_listed(self, event: Event) -> None:
        """Do nothing."""

    def group_changed(self, group: OrderGroup, event_type: str) -> None:
        """Do nothing."""

    def index_published(self, index_id: str, value_usd_e6: int, at_us: int) -> None:
        """Do nothing."""


@dataclass(slots=True)
class Changes:
    """Records changed since the last save. ``is_urgent``: a reply waits for them."""

    is_urgent: bool = False
    series: dict[str, SeriesSpec] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)
    markets: dict[str, Market] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    keys: dict[str, ApiKey] = field(default_factory=dict)
    removed_keys: set[str] = field(default_factory=set)
    orders: dict[str, Order] = field(default_factory=dict)
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)
    groups: dict[str, OrderGroup] = field(default_factory=dict)
    removed_groups: set[str] = field(default_factory=set)
    fills: list[Fill] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)


@dataclass(slots=True)
class House:
    """The anonymous counterparty of every member, and the fees: kept so that the sum is zero."""

    cash_e6: int = 0
    fees_e6: int = 0
    positions_e2: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Pauses:
    """Which pauses are on. The weekly one follows the calendar."""

    is_weekly: bool = False
    is_trading_paused: bool = False
    is_exchange_paused: bool = False
    resume_us: int | None = None


Timer = tuple[int, int, str, str]


class State:
    """The whole exchange in memory."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self.now_us = 0
        self.counter = 0
        self.listener: Listener = Silence()
        self.taken_listeners: list[Callable[[Taken], None]] = []
        self.changes = Changes()
        self.pauses = Pauses()
        self.weekly_boundary_us = 0
        self.timers: list[Timer] = []
        self.series: dict[str, SeriesSpec] = {}
        self.events: dict[str, Event] = {}
        self.markets: dict[str, Market] = {}
        self.accounts: dict[str, Account] = {}
        self.keys: dict[str, ApiKey] = {}
        self.orders: dict[str, Order] = {}
        self.orders_of: dict[str, list[Order]] = {}
        self.client_order_ids: dict[tuple[str, str], str] = {}
        self.fills_of: dict[str, list[Fill]] = {}
        self.positions: dict[tuple[str, str], Position] = {}
        self.settlements_of: dict[str, list[Settlement]] = {}
        self.transfers_of: dict[str, list[Transfer]] = {}
        self.groups: dict[str, OrderGroup] = {}
        self.trades: deque[Trade] = deque(maxlen=RECENT_TRADES)
        self.held_in: dict[tuple[str, str], int] = {}
        self.resting_of: dict[tuple[str, str], dict[str, Order]] = {}
        self.house = House()
        self.versions: dict[tuple[str, ...], deque[tuple[int, object]]] = {}

    def next_number(self) -> int:
        """Return the next number of the persisted counter."""
        self.counter += 1
        return self.counter

    def new_id(self, kind: str, number: int) -> str:
        """Return the identifier that belongs to a number."""
        return derived_uuid(self.config.namespace, kind, number)

    def at(self, at_us: int) -> int:
        """Take over a market time; it never runs backwards."""
        self.now_us = max(self.now_us, at_us)
        return self.now_us

    def set_timer(self, at_us: int, kind: str, key: str) -> None:
        """Ask ``advance`` to run something."""
        heappush(self.timers, (at_us, self.next_number(), kind, key))

    def market(self, ticker: str) -> Market:
        """Return a market.

        Raises:
            Refusal: there is no such market.
        """
        found = self.markets.get(ticker)
        if found is None:
            raise market_not_found(ticker)
        return found

    def account(self, name: str) -> Account:
        """Return an account.

        Raises:
            Refusal: there is no such account.
        """
        found = self.accounts.get(name)
        if found is None:
            raise Refusal(404, "not_found", f"account {name} not found")
        return found

    def position(self, account: str, market: Market) -> Position:
        """Return an account's position in a market, made if it is new."""
        key = (account, market.ticker)
        found = self.positions.get(key)
        if found is None:
            found = self.positions[key] = Position(
                account=account, ticker=market.ticker, exchange_index=market.exchange_index
            )
            market.positions[account] = found
        return found

    def position_e2(self, account: str, ticker: str) -> int:
        """Return an account's signed position in a market."""
        found = self.positions.get((account, ticker))
        return found.position_e2 if found else 0

    def touch_order(self, order: Order, *, is_told: bool = True) -> None:
        """Note that an order changed, and tell the streams.

        A taker is told of once, when its sweep is over: until then it does not rest.
        """
        order.updated_us = self.now_us
        self.keep_version(("order", order.order_id), order)
        self.changes.orders[order.order_id] = order
        self.changes.is_urgent = True
        if is_told:
            self.listener.order_changed(order)

    def touch_top(self, market: Market) -> None:
        """Note that top of book or figures of a market may have changed."""
        market.candles.quote(market.yes_bid()[0], market.yes_ask()[0], self.now_us)
        self.listener.ticker_changed(market)

    def touch_account(self, account: Account) -> None:
        """Note that an account's money changed."""
        account.updated_us = self.now_us
        self.keep_version(("account", account.account), account)
        self.changes.accounts[account.account] = account
        self.changes.is_urgent = True

    def touch_market(self, market: Market, event_type: str = "") -> None:
        """Note that a market changed; ``event_type`` tells the streams what happened."""
        market.updated_us = self.now_us
        self.changes.markets[market.ticker] = market
        if event_type:
            self.changes.is_urgent = True
            self.listener.market_changed(market, event_type)

    def touch_position(self, position: Position) -> None:
        """Note that a position changed, and tell the streams."""
        position.updated_us = self.now_us
        key = (position.account, position.ticker)
        self.keep_version(("position", *key), position)
        self.changes.positions[key] = position
        self.listener.position_changed(position)

    def keep_version(self, key: tuple[str, ...], record: object) -> None:
        """Keep a copy for reads that lag behind; nothing when they do not."""
        lag_us = max(self.config.read_lag_ms * 1000, HISTORY_US * self.config.has_history)
        if lag_us == 0:
            self.versions.pop(key, None)
            return
        kept = self.versions.setdefault(key, deque())
        kept.append((self.now_us, deepcopy(record)))
        while len(kept) > 1 and kept[1][0] <= self.now_us - lag_us:
            kept.popleft()

    def as_read(self, key: tuple[str, ...], record: T) -> T | None:
        """Return a record as a lagging read shows it; None: not visible yet."""
        if self.config.read_lag_ms == 0 or key not in self.versions:
            return record
        cutoff = self.as_of_us()
        shown: T | None = None
        for at_us, version in self.versions[key]:
            if at_us <= cutoff:
                shown = cast("T", version)
        return shown

    def as_of_us(self) -> int:
        """Return the time up to which portfolio reads are complete."""
        return self.now_us - self.config.read_lag_ms * 1000

    def take_changes(self) -> Changes:
        """Return what changed and start anew."""
        taken, self.changes = self.changes, Changes()
        return taken
