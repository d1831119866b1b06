"""Plays a tape through the live folds, one account's limits and one account's books. Pure.

    take(event) for each event of the tape, then end()

What a service does between the folds is done here as it does it: books become tops at the market
watch's cadence (``engine.quotes``), tops and prices become snapshots at the coordinator's
(``engine.snapshot``), wishes meet the gate (``engine.gate``), orders arrive ``latency_us`` later and
take what is displayed then (``engine.imagined``), facts become trades and the next ``Known``. Time is
the tape's; what is due between two events happens in its order, at its own time.

Other than live: the gate and the books answer at once; an event that cannot be entered now and of
which nothing is held gets one picture a second, without strikes; nobody reacts to our orders.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import msgspec

from recio.domain import sides
from recio.domain.account_config import AccountConfig, Model
from recio.domain.book import OrderBook
from recio.domain.errors import InvalidValue
from recio.domain.fingerprints import Fingerprints
from recio.domain.intents import Intent
from recio.domain.messages import (
    BookUpdate,
    EventMarkets,
    ExchangeStatus,
    MarketInfo,
    PriceHistory,
    PriceUpdate,
    Snapshot,
)
from recio.domain.trade_book import FillFact
from recio.domain.trades import FINAL, Trade, TradeState
from recio.domain.units import MINUTE_US, PRICE_ONE_E4, SECOND_US
from recio.domain.volatility_model import VolatilityModel
from recio.engine import entry, snapshot, stop, tape
from recio.engine.gate import Accepted, MarketFacts
from recio.engine.imagined import ImaginedMarket
from recio.engine.portfolio import Portfolio
from recio.engine.quotes import EventQuotes
from recio.engine.records import Record

BOOK_US: Final = SECOND_US // 10
FULL_US: Final = SECOND_US
QUIET_BEAT_US: Final = 5 * SECOND_US
MARGIN_US: Final = 10 * SECOND_US
"""An event is looked at from so long before it may be entered: longer than between two beats."""
FORGET_US: Final = 5 * MINUTE_US
"""How long after its close an event's result is waited for before its books are put away; a result
that comes later is still booked."""
_NEVER: Final = 2**62


class Seen(NamedTuple):
    """What stood on the screen when an entry was decided; prices on the trade's own side."""

    ask_e4: int | None
    bid_e4: int | None
    edge_e4: int | None
    seconds_to_close: int
    decision_id: UUID


class Ended(NamedTuple):
    """A trade at its end, and what its decision saw."""

    trade: Trade
    seen: Seen
    fills: tuple[FillFact, ...]
    at_us: int
    reason: str


class Watcher(Protocol):
    """Is told of everything that comes out, in order."""

    def decided(self, record: Record) -> None:
        """A decision was recorded."""
        ...

    def refused(self, intent: Intent, reasons: tuple[str, ...]) -> None:
        """The gate said no."""
        ...

    def ended(self, ended: Ended) -> None:
        """A trade is over, or the tape is and the trade's result is not on it."""
        ...

    def moved(self, at_us: int, cash_usd_e6: int, equity_usd_e6: int) -> None:
        """Money moved."""
        ...


class Arrival(NamedTuple):
    """An order on its way to the market; ``number`` keeps the order of two at once."""

    at_us: int
    number: int
    made: Accepted


Answer = Callable[[entry.Ask], entry.Proposed]
"""From the entry fold's question to a trader's own strategy to what it proposes."""


class _LiveEvent:
    """One event of the tape: its markets, and what conflates its tops."""

    __slots__ = ("books", "markets", "quotes", "volumes_e2")

    def __init__(self, markets: EventMarkets) -> None:
        self.markets = markets
        self.quotes = EventQuotes(
            markets.environment, markets.event_ticker, least_us=BOOK_US, full_us=FULL_US
        )
        self.books: dict[str, OrderBook] = {}
        """Of the markets that have a book on the tape; the others' tops come as they are."""
        self.volumes_e2: dict[str, int] = {}


class Artefacts(msgspec.Struct, frozen=True, kw_only=True):
    """The models that probabilities are made with, by symbol."""

    fingerprints: Mapping[str, Fingerprints]
    volatility: Mapping[str, VolatilityModel]


class Backtest:
    """One account on one tape."""

    def __init__(
        self,
        config: AccountConfig,
        artefacts: Artefacts,
        watcher: Watcher,
        *,
        cash_usd_e6: int,
        latency_us: int,
        slippage_cents: int = 0,
        answer: Answer | None = None,
    ) -> None:
        """Begin flat.

        Args:
            config: the account as its document says; series, limits, strategy.
            artefacts: of the symbols that it trades; without one there is no probability.
            watcher: told of what comes out.
            cash_usd_e6: the opening balance.
            latency_us: from a decision to the order's arrival at the market.
            slippage_cents: how much above the ask seen an entry may pay.
            answer: gives what a trader's own strategy proposes; None: there is none.
        """
        self.portfolio = Portfolio(config, cash_usd_e6)
        self.markets: dict[str, ImaginedMarket] = {}
        self.now_us = self.events = self.snapshots = 0
        self._config = config
        self._watcher = watcher
        self._latency_us = latency_us
        self._answer = answer
        self._pictures = _pictures(config, artefacts)
        self._entries = entry.State(config.name, slippage_cents=slippage_cents)
        self._exits = stop.State(config.name)
        self._facts: dict[str, MarketFacts] = {}
        self._live: dict[str, _LiveEvent] = {}
        self._closing: list[tuple[int, str]] = []
        self._arrivals: list[Arrival] = []
        self._seen: dict[UUID, Seen] = {}
        self._reasons: dict[UUID, str] = {}
        self._recorded: UUID | None = None
        self._heartbeat_us = self._due_us = 0
        self._know()
        self._takes: dict[type, Callable[..., None]] = {
            tape.Changed: self._take_change,
            tape.Loaded: self._take_book,
            tape.Lost: self._take_loss,
            tape.Traded: self._take_trade,
            tape.Settled: self._take_result,
            BookUpdate: self._take_tops,
            EventMarkets: self._take_markets,
            PriceUpdate: self._picture,
            PriceHistory: self._picture,
            ExchangeStatus: self._picture,
        }

    def take(self, event: tape.Event) -> None:
        """Let everything happen that was due before the event, then the event."""
        at_us = event.at_us
        if not self.events:
            self._heartbeat_us = self._due_us = at_us + SECOND_US
        if at_us >= self._due_us:
            self._run_until(at_us)
        self.now_us = max(self.now_us, at_us)
        self.events += 1
        self._takes[type(event)](event)

    def end(self) -> None:
        """Let what is on its way arrive, prove the books, and tell of what is left open."""
        self._run_until(self.now_us + self._latency_us + SECOND_US)
        self.portfolio.check()
        for trade in self.portfolio.open_trades:
            self._tell_end(trade)

    def _run_until(self, at_us: int) -> None:
        """Do what is due up to and at ``at_us``, each thing at its own time."""
        while (due_us := self._next_us()) <= at_us:
            self.now_us = max(self.now_us, due_us)
            self._arrive()
            self._close_events()
            self._tell_tops()
            if self.now_us >= self._heartbeat_us:
                self._beat()
            elif self.now_us >= (snapshot.next_due_us(self._pictures) or _NEVER):
                self._picture(snapshot.Tick(self.now_us))
        self._due_us = due_us

    def _next_us(self) -> int:
        next_us = snapshot.next_due_us(self._pictures) or _NEVER
        next_us = min(next_us, self._heartbeat_us)
        for live in self._live.values():
            if live.quotes.has_changes:
                next_us = min(next_us, live.quotes.due_us())
        if self._arrivals:
            next_us = min(next_us, self._arrivals[0].at_us)
        return min(next_us, self._closing[0][0]) if self._closing else next_us

    def _beat(self) -> None:
        """Once a second time passes for everybody, as live; more rarely where nothing can happen."""
        self._picture(snapshot.Tick(self.now_us))
        dull = {ticker for ticker, live in self._live.items() if self._is_dull(live)}
        self._pictures.dull = dull
        every_us = QUIET_BEAT_US if len(dull) == len(self._live) else SECOND_US
        if not self._live:
            every_us = MINUTE_US
        self._heartbeat_us = self.now_us - self.now_us % every_us + every_us
        self._obey(entry.step(self._entries, entry.Tick(self.now_us))[1])
        if self.portfolio.holds_something:
            self._obey(stop.step(self._exits, stop.Tick(self.now_us))[1])

    def _is_dull(self, live: _LiveEvent) -> bool:
        rules, left_us = self._config.strategy.auto_entry, live.markets.close_us - self.now_us
        if (
            rules.min_seconds_to_close * SECOND_US - MARGIN_US
            <= left_us
            <= rules.max_seconds_to_close * SECOND_US + MARGIN_US
        ):
            return False
        ticker = live.markets.event_ticker
        return all(trade.event_ticker != ticker for trade in self.portfolio.open_trades)

    def _arrive(self) -> None:
        while self._arrivals and self._arrivals[0].at_us <= self.now_us:
            order = heapq.heappop(self._arrivals).made.order
            facts, market = self._facts[order.market_ticker], self.markets[order.market_ticker]
            fills: tuple[FillFact, ...] = ()
            if self.now_us < facts.close_us:
                multiplier = facts.info.fee_multiplier_e6
                fills = market.take(order, multiplier_e6=multiplier, at_us=self.now_us)
            self._settle_down([self.portfolio.book(order, fills, self.now_us)])

    def _settle_down(self, trades: list[Trade]) -> None:
        """After money may have moved: tell of it, look at the losses, let the folds know."""
        self._watcher.moved(self.now_us, self.portfolio.cash_usd_e6, self.portfolio.equity_usd_e6)
        for trade in trades:
            if trade.state in FINAL:
                self._tell_end(trade)
        self.portfolio.watch_losses(self.now_us)
        self._know()

    def _tell_end(self, trade: Trade) -> None:
        fills, seen = self.portfolio.fills(trade.trade_id), self._seen.pop(trade.trade_id)
        reason = self._reasons.pop(trade.trade_id, "")
        if trade.state is not TradeState.CLOSED:
            reason = trade.state.value
        self._watcher.ended(Ended(trade, seen, fills, self.now_us, reason))
        if trade.state in FINAL:
            self.portfolio.put_away(trade)

    def _close_events(self) -> None:
        """Fold a close as it comes, and put an event away some minutes later."""
        while self._closing and self._closing[0][0] <= self.now_us:
            at_us, ticker = heapq.heappop(self._closing)
            live = self._live[ticker]
            if at_us < live.markets.close_us + FORGET_US:
                self.portfolio.close(ticker, self.now_us)
                self._know()
                heapq.heappush(self._closing, (live.markets.close_us + FORGET_US, ticker))
            else:
                self._put_away(self._live.pop(ticker))

    def _put_away(self, live: _LiveEvent) -> None:
        self.portfolio.forget(live.markets.event_ticker)
        waiting = {trade.market_ticker for trade in self.portfolio.open_trades}
        for market in live.markets.markets:
            if market.ticker not in waiting:
                self._facts.pop(market.ticker, None)
                self.markets.pop(market.ticker, None)
        self._know()

    def _take_markets(self, message: EventMarkets) -> None:
        ticker = message.event_ticker
        live = self._live.get(ticker)
        if live is None:
            if message.close_us <= self.now_us:
                return
            live = self._live[ticker] = _LiveEvent(message)
            heapq.heappush(self._closing, (message.close_us, ticker))
        live.markets = message
        for market in message.markets:
            self._facts[market.ticker] = _facts(message, market)
            if market.ticker not in self.markets:
                self.markets[market.ticker] = ImaginedMarket(market.ticker)
        self._picture(message)

    def _take_change(self, change: tape.Changed) -> None:
        market = self.markets.get(change.ticker)
        if market is not None and market.change(change):
            self._touch(change.ticker)

    def _take_book(self, loaded: tape.Loaded) -> None:
        market, facts = self.markets.get(loaded.ticker), self._facts.get(loaded.ticker)
        if market is None or facts is None:
            return
        market.load(loaded)
        live = self._live.get(facts.event_ticker)
        if live is not None:
            live.books[loaded.ticker] = market.book
            self._touch(loaded.ticker)

    def _take_loss(self, lost: tape.Lost) -> None:
        market = self.markets.get(lost.ticker)
        if market is not None:
            market.lose(lost.reason)
            self._touch(lost.ticker)

    def _touch(self, ticker: str) -> None:
        live = self._live.get(self._facts[ticker].event_ticker)
        if live is not None and live.quotes.touch(ticker):
            self._due_us = min(self._due_us, live.quotes.due_us())

    def _take_trade(self, trade: tape.Traded) -> None:
        market, facts = self.markets.get(trade.ticker), self._facts.get(trade.ticker)
        if market is None or facts is None:
            return
        known = market.volume_e2 or 0
        market.volume_e2 = known + trade.qty_e2 if trade.volume_e2 is None else trade.volume_e2
        live = self._live.get(facts.event_ticker)
        if live is not None:
            live.volumes_e2[trade.ticker] = market.volume_e2

    def _take_tops(self, update: BookUpdate) -> None:
        for quote in update.quotes:
            market = self.markets.get(quote.ticker)
            if market is not None:
                market.see(quote)
        self._picture(update)

    def _take_result(self, settled: tape.Settled) -> None:
        yes_e4 = {"yes": PRICE_ONE_E4, "no": 0}.get(settled.result, settled.yes_value_e4)
        if yes_e4 is None:
            raise InvalidValue(
                f"{settled.ticker}: expected the result yes or no, or the value of a YES with it; "
                f"received {settled.result!r}"
            )
        market = self.markets.get(settled.ticker)
        if market is not None:
            market.end()
        paid = self.portfolio.settle(settled.ticker, settled.result, yes_e4, self.now_us)
        if paid:
            self._settle_down(paid)
            if settled.event_ticker not in self._live:
                self.portfolio.forget(settled.event_ticker)

    def _tell_tops(self) -> None:
        for live in self._live.values():
            if live.books and self.now_us >= live.quotes.due_us():
                update = live.quotes.update(
                    live.books, live.volumes_e2, self.now_us, heard_us=self.now_us
                )
                if update is not None:
                    self._picture(update)

    def _picture(self, message: snapshot.Event) -> None:
        for picture in snapshot.step(self._pictures, message)[1]:
            self.snapshots += 1
            self._obey(entry.step(self._entries, picture)[1], picture)
            self._obey(stop.step(self._exits, picture)[1])
        if self._due_us > self.now_us:
            held_back_us = snapshot.next_due_us(self._pictures)
            if held_back_us is not None and held_back_us < self._due_us:
                self._due_us = held_back_us

    def _obey(self, commands: tuple[Any, ...], picture: Snapshot | None = None) -> None:
        for command in commands:
            if isinstance(command, Record):
                self._watcher.decided(command)
            elif isinstance(command, entry.Propose | stop.Exit):
                self._wish(command, picture)
            elif isinstance(command, entry.Ask) and self._answer is not None:
                answered = self._answer(command)
                self._obey(entry.step(self._entries, answered)[1], picture)

    def _wish(self, command: entry.Propose | stop.Exit, picture: Snapshot | None) -> None:
        intent = command.intent
        # Two wishes of one look have one record.
        if command.record.decision_id != self._recorded:
            self._recorded = command.record.decision_id
            self._watcher.decided(command.record)
        made = self.portfolio.decide(intent, self._facts.get(intent.market_ticker), self.now_us)
        if isinstance(made, Accepted):
            if made.new_trade is not None:
                self._seen[made.order.trade_id] = _seen(intent, picture)
            else:
                self._reasons[made.order.trade_id] = intent.reason
            at_us = self.now_us + self._latency_us
            heapq.heappush(self._arrivals, Arrival(at_us, self.portfolio.orders, made))
            self._due_us = min(self._due_us, at_us)
        else:
            self._watcher.refused(intent, made)
        self._know()

    def _know(self) -> None:
        """Tell both folds what the books say now."""
        books = self.portfolio
        switch, live = books.switch.state, books.open_trades
        known = entry.Known(
            config=self._config,
            switch=switch,
            trades=books.trades,
            attempts=dict(books.attempts),
            cash_usd_e6=books.cash_usd_e6,
        )
        self._obey(entry.step(self._entries, known)[1])
        self._obey(
            stop.step(self._exits, stop.Known(config=self._config, switch=switch, trades=live))[1]
        )


def _pictures(config: AccountConfig, artefacts: Artefacts) -> snapshot.State:
    """Return the snapshot fold with the account's own model alone: nobody else looks."""
    model = config.strategy.model
    return snapshot.State(
        tape.ENVIRONMENT,
        fingerprints=dict(artefacts.fingerprints) if model is Model.FINGERPRINTS else {},
        volatility={} if model is Model.FINGERPRINTS else artefacts.volatility,
        model=model,
        blends=model is Model.BLEND,
    )


def _facts(message: EventMarkets, market: MarketInfo) -> MarketFacts:
    return MarketFacts(
        info=market,
        event_ticker=message.event_ticker,
        symbol=message.symbol,
        open_us=message.open_us,
        close_us=message.close_us,
    )


def _seen(intent: Intent, picture: Snapshot | None) -> Seen:
    row = None if picture is None else sides.row_of(picture, intent.market_ticker)
    assert picture is not None
    assert row is not None
    assert intent.decision_id is not None
    view = sides.view(picture, row, intent.side, Model(picture.model))
    return Seen(
        ask_e4=view.ask_e4,
        bid_e4=view.bid_e4,
        edge_e4=intent.edge_e4,
        seconds_to_close=(picture.close_us - picture.at_us) // SECOND_US,
        decision_id=intent.decision_id,
    )
