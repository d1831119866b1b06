"""The market as the bus last told it, and the documents that browsers see of it.

Latest wins. A message that is older than what is known changes nothing; an event is forgotten two
minutes after its close. Documents (see ``board``):

    price/<environment>/<symbol>      the newest PriceUpdate
    point/<environment>/<symbol>      [at_us, price_usd_e6, score_e6] of the newest second
    exchange/<environment>/status        the newest ExchangeStatus
    event/<environment>/<event>       a snapshot without its rows
    row/<environment>/<event>/<model>/<ticker>   one of its strikes, by a model that is in use
    health/<service>/<account>        what system_monitor measured
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from recio.apps.main_app.board import Board
from recio.apps.main_app.valuation import row_for
from recio.domain.account_config import Model
from recio.domain.messages import (
    EventMarkets,
    ExchangeStatus,
    Health,
    MarketInfo,
    Message,
    PriceHistory,
    PriceUpdate,
    Snapshot,
    StrikeRow,
)
from recio.domain.units import MINUTE_US, SECOND_US
from recio.ports import Clock

KEEP_CLOSED_US: Final = 2 * MINUTE_US
FORGET_HEALTH_US: Final = MINUTE_US
HISTORY_POINTS: Final = 900
HISTORY_US: Final = HISTORY_POINTS * SECOND_US
"""A quarter of an hour: what the charts show when a page opens."""

Point = tuple[int, int, int | None]


class Market:
    """What is known of prices, events, the exchange and the services."""

    def __init__(self, clock_of: Callable[[str], Clock], board: Board) -> None:
        self._clock_of = clock_of
        self._board = board
        self.prices: dict[tuple[str, str], PriceUpdate] = {}
        self.statuses: dict[str, ExchangeStatus] = {}
        self.snapshots: dict[tuple[str, str], Snapshot] = {}
        self.health: dict[tuple[str, str], Health] = {}
        self._heard_wall_us: dict[tuple[str, str], int] = {}
        self._markets: dict[tuple[str, str], EventMarkets] = {}
        self._points: dict[tuple[str, str], deque[Point]] = {}
        self._changed: set[tuple[str, str]] = set()
        self.fillings = 0  # how often older points came: open pages then need the whole again
        self.models: set[Model] = {Model.VOLATILITY}  # what any account trades on

    def apply(self, message: Message) -> None:
        """Take one message of the bus."""
        match message:
            case PriceUpdate():
                self._price(message)
            case PriceHistory():
                self._history(message)
            case Snapshot():
                self._snapshot(message)
            case EventMarkets():
                self._markets[(message.environment, message.event_ticker)] = message
            case ExchangeStatus():
                self.statuses[message.environment] = message
                self._board.put(f"exchange/{message.environment}/status", message)
            case Health():
                key = (message.service, message.account or "")
                self.health[key] = message
                self._heard_wall_us[key] = self._clock_of("").wall_us()
                self._board.put(f"health/{message.service}/{message.account or ''}", message)
            case _:
                pass

    def publish(self) -> None:
        """Write the documents of what changed since the last call: once for all readers."""
        for environment, name in self._changed:
            snapshot = self.snapshots.get((environment, name))
            if snapshot is not None:
                self._publish_event(snapshot)
            price = self.prices.get((environment, name))
            if price is not None:
                self._publish_price(price)
        self._changed.clear()

    def forget_closed(self) -> None:
        """Drop events that closed more than two minutes of market time ago."""
        for key, snapshot in list(self.snapshots.items()):
            if snapshot.close_us < self._clock_of(key[0]).market_us() - KEEP_CLOSED_US:
                del self.snapshots[key]
                self._board.drop(_event_key(*key))
                self._board.replace(_rows_key(*key), {})
        for key, markets in list(self._markets.items()):
            if markets.close_us < self._clock_of(key[0]).market_us() - KEEP_CLOSED_US:
                del self._markets[key]

    def forget_unmeasured(self) -> None:
        """Drop the health of what nobody measures any more, though the monitor goes on."""
        newest_us = max(self._heard_wall_us.values(), default=0)
        for key, heard_us in list(self._heard_wall_us.items()):
            if heard_us < newest_us - FORGET_HEALTH_US:
                del self._heard_wall_us[key], self.health[key]
                self._board.drop(f"health/{key[0]}/{key[1]}")

    def history(self, environment: str, symbol: str) -> list[Point]:
        """Return the last quarter of an hour, one point a second that had a price."""
        return list(self._points.get((environment, symbol), ()))

    def add_older(self, environment: str, symbol: str, older: list[tuple[int, int]]) -> None:
        """Put (at_us, price_usd_e6) before the oldest point that is known, ascending."""
        points = self._points.setdefault((environment, symbol), deque(maxlen=HISTORY_POINTS))
        oldest = points[0][0] if points else None
        fitting = [point for point in older if oldest is None or point[0] < oldest]
        room = HISTORY_POINTS - len(points)
        if room > 0 and fitting:
            points.extendleft((at_us, price, None) for at_us, price in reversed(fitting[-room:]))
            self.fillings += 1
            self._board.wake()

    def live_events(self, environment: str) -> list[Snapshot]:
        """Return the environment's events, the next to close first; closed ones come last."""
        now = self._clock_of(environment).market_us()
        found = [item for (name, _), item in self.snapshots.items() if name == environment]
        return sorted(
            found, key=lambda item: (item.close_us <= now, item.close_us, item.event_ticker)
        )

    def find_row(self, environment: str, ticker: str) -> tuple[Snapshot, StrikeRow] | None:
        """Return the newest strike row of a market with its snapshot, or None."""
        for snapshot in self.live_events(environment):
            for row in snapshot.rows:
                if row.ticker == ticker:
                    return snapshot, row
        return None

    def market_info(self, environment: str, event_ticker: str, ticker: str) -> MarketInfo | None:
        """Return what the exchange says of a market, or None."""
        event = self._markets.get((environment, event_ticker))
        markets = event.markets if event else ()
        return next((market for market in markets if market.ticker == ticker), None)

    def _price(self, message: PriceUpdate) -> None:
        key = (message.environment, message.symbol)
        known = self.prices.get(key)
        if known is not None and message.at_us < known.at_us:
            return
        self.prices[key] = message
        price = message.index_usd_e6 or message.spot_usd_e6
        if price is not None:
            score = self._score(*key)
            self._add_point(key, (message.at_us // SECOND_US * SECOND_US, price, score))
        self._touch(key)

    def _score(self, environment: str, symbol: str) -> int | None:
        newest = max(
            (
                snapshot
                for (name, _), snapshot in self.snapshots.items()
                if name == environment and snapshot.symbol == symbol
            ),
            key=lambda snapshot: snapshot.at_us,
            default=None,
        )
        return newest.momentum.score_e6 if newest else None

    def _add_point(self, key: tuple[str, str], point: Point) -> None:
        points = self._points.setdefault(key, deque(maxlen=HISTORY_POINTS))
        if points and points[-1][0] >= point[0]:
            points[-1] = (points[-1][0], *point[1:])
        else:
            points.append(point)

    def _history(self, message: PriceHistory) -> None:
        after = message.at_us - HISTORY_US
        minutes = [(at_us, price) for at_us, price in message.minutes if at_us > after]
        self.add_older(message.environment, message.symbol, minutes)

    def _snapshot(self, message: Snapshot) -> None:
        key = (message.environment, message.event_ticker)
        known = self.snapshots.get(key)
        if known is None or message.generation >= known.generation:
            self.snapshots[key] = message
            self._touch(key)

    def _touch(self, key: tuple[str, str]) -> None:
        self._changed.add(key)
        self._board.wake()

    def _publish_price(self, message: PriceUpdate) -> None:
        name = f"{message.environment}/{message.symbol}"
        self._board.put(f"price/{name}", message)
        points = self._points.get((message.environment, message.symbol))
        if points:
            self._board.put(f"point/{name}", points[-1])

    def _publish_event(self, snapshot: Snapshot) -> None:
        key = (snapshot.environment, snapshot.event_ticker)
        self._board.put(_event_key(*key), _header(snapshot))
        for model in self.models:
            rows = {row.ticker: row_for(snapshot, row, model) for row in snapshot.rows}
            self._board.replace(f"{_rows_key(*key)}{model.value}/", rows)


def _event_key(environment: str, event_ticker: str) -> str:
    return f"event/{environment}/{event_ticker}"


def _rows_key(environment: str, event_ticker: str) -> str:
    return f"row/{environment}/{event_ticker}/"


_HEADER: Final = tuple(name for name in Snapshot.__struct_fields__ if name != "rows")


def _header(snapshot: Snapshot) -> dict[str, Any]:
    header: dict[str, Any] = {name: getattr(snapshot, name) for name in _HEADER}
    header["momentum"] = msgspec.to_builtins(snapshot.momentum)
    return header
