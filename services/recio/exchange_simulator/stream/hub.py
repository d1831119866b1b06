"""Who listens to what: hears the exchange, and pushes to the subscriptions that want it.

Does nothing for what nobody subscribed to. A message's ``msg`` is encoded once and shared by all
its receivers. Tickers are gathered and sent at ``settle``, only when something in them changed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from recio.exchange_simulator.api import wire
from recio.exchange_simulator.core.records import (
    Event,
    Fill,
    Market,
    Order,
    OrderGroup,
    Position,
    Trade,
)
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.stream import bodies
from recio.exchange_simulator.stream.subscriptions import ALL_INDICES, CHANNELS, Subscription

_encode = msgspec.json.encode


class Hub:
    """The listener of an exchange (see ``core.state.Listener``)."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.state = exchange.state
        self.state.listener = self
        self.by_channel: dict[str, list[Subscription]] = {name: [] for name in CHANNELS}
        self.books: dict[str, list[Subscription]] = {}
        self.changed: dict[str, Market] = {}
        self.last_tickers: dict[str, bodies.Figures] = {}
        self._deltas = bodies.DeltaWriter()

    def add(self, one: Subscription) -> None:
        """Start pushing to a subscription."""
        self.by_channel[one.channel].append(one)
        if one.channel == "orderbook_delta":
            self.add_books(one, one.tickers or set())

    def remove(self, one: Subscription) -> None:
        """Stop pushing to a subscription."""
        self.by_channel[one.channel].remove(one)
        if one.channel == "orderbook_delta":
            self.remove_books(one, set(one.tickers or ()))

    def add_books(self, one: Subscription, tickers: set[str]) -> None:
        """Push the changes of more books."""
        for ticker in tickers:
            self.books.setdefault(ticker, []).append(one)

    def remove_books(self, one: Subscription, tickers: set[str]) -> None:
        """Push the changes of fewer books."""
        for ticker in tickers:
            listening = self.books.get(ticker, [])
            if one in listening:
                listening.remove(one)
            if not listening:
                self.books.pop(ticker, None)

    def settle(self) -> None:
        """Send the tickers that changed."""
        if not self.changed:
            return
        for ticker, market in self.changed.items():
            shown = bodies.figures(market)
            if self.last_tickers.get(ticker) != shown:
                self.last_tickers[ticker] = shown
                body = bodies.ticker(market, self.state.now_us)
                self._send("ticker", "ticker", body, ticker=ticker)
        self.changed.clear()

    def _send(
        self, channel: str, kind: str, body: dict[str, Any], *, ticker: str = "", account: str = ""
    ) -> None:
        msg = b""
        for one in self.by_channel[channel]:
            if (not account or one.account == account) and (not ticker or one.wants(ticker)):
                msg = msg or _encode(body)
                one.push(kind, msg)

    def send_snapshot(
        self, one: Subscription, market: Market, command_id: int | None = None
    ) -> None:
        """Push a whole book to one subscription."""
        body = bodies.snapshot(market, is_yes_scale=one.is_yes_scale)
        one.push("orderbook_snapshot", _encode(body), command_id)

    def book_changed(
        self, market: Market, price_e4: int, delta_e2: int, order: Order | None, *, is_bid: bool
    ) -> None:
        """Push a delta to everybody who follows the book."""
        listening = self.books.get(market.ticker)
        if not listening:
            return
        change, side = wire.count(delta_e2), "yes" if is_bid else "no"
        made: dict[tuple[bool, bool], bytes] = {}
        for one in listening:
            is_own = order is not None and order.account == one.account
            key = (is_own, one.is_yes_scale or is_bid)
            msg = made.get(key)
            if msg is None:
                price = wire.price(price_e4 if key[1] else 10_000 - price_e4)
                cause = order if is_own else None
                level = (side, price, change)
                msg = made[key] = self._deltas.write(market, level, self.state.now_us, cause)
            one.push("orderbook_delta", msg)

    def book_reset(self, market: Market) -> None:
        """Push the whole book to everybody who follows it."""
        self._deltas.forget(market.ticker)
        for one in self.books.get(market.ticker, ()):
            self.send_snapshot(one, market)

    def ticker_changed(self, market: Market) -> None:
        """Note a ticker to be sent."""
        if self.by_channel["ticker"]:
            self.changed[market.ticker] = market

    def traded(self, trade: Trade) -> None:
        """Push a public trade."""
        if self.by_channel["trade"]:
            self._send("trade", "trade", bodies.trade(trade), ticker=trade.ticker)

    def filled(self, fill: Fill, order: Order) -> None:
        """Push a fill to its member."""
        if self.by_channel["fill"]:
            body = bodies.fill(fill)
            self._send("fill", "fill", body, ticker=order.ticker, account=fill.account)

    def order_changed(self, order: Order) -> None:
        """Push an order to its member."""
        if self.by_channel["user_orders"]:
            body = bodies.user_order(order, self.state.accounts[order.account])
            account, ticker = order.account, order.ticker
            self._send("user_orders", "user_order", body, ticker=ticker, account=account)

    def position_changed(self, position: Position) -> None:
        """Push a position to its member."""
        if self.by_channel["market_positions"]:
            account, ticker = position.account, position.ticker
            body = bodies.position(position, self.state.accounts[account])
            self._send("market_positions", "market_position", body, ticker=ticker, account=account)

    def market_changed(self, market: Market, event_type: str) -> None:
        """Push a step of a market's life."""
        if self.by_channel["market_lifecycle_v2"]:
            body = bodies.lifecycle(market, event_type)
            self._send("market_lifecycle_v2", "market_lifecycle_v2", body)

    def event_listed(self, event: Event) -> None:
        """Push a new event."""
        if self.by_channel["market_lifecycle_v2"]:
            self._send("market_lifecycle_v2", "event_lifecycle", bodies.event_lifecycle(event))

    def group_changed(self, group: OrderGroup, event_type: str) -> None:
        """Push a change of an order group to its member."""
        if self.by_channel["order_group_updates"]:
            body = bodies.group(group, event_type, self.state.now_us)
            self._send("order_group_updates", "order_group_updates", body, account=group.account)

    def index_published(self, index_id: str, value_usd_e6: int, at_us: int) -> None:
        """Push an index value."""
        listening = [
            one
            for one in self.by_channel["cfbenchmarks_value"]
            if index_id in one.indices or ALL_INDICES in one.indices
        ]
        if listening:
            index = self.exchange.indexes[index_id]
            msg = _encode(bodies.index(index_id, index, value_usd_e6, at_us))
            for one in listening:
                one.push("cfbenchmarks_value", msg)
