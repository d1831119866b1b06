"""An account's books in memory: what the gate, the ledger and the trade fold keep in PostgreSQL.

The rules are theirs: ``engine.gate`` decides, ``domain.ledger`` books, ``domain.trade_book`` folds
each trade from its facts, ``domain.risk`` judges what is at stake. Every order is either waiting to
arrive at the market (and counts at its worst) or over. Every booking is balanced; ``check`` proves
that cash and positions are what the postings say.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final
from uuid import UUID

import msgspec

from recio.domain import ledger, risk, trade_book
from recio.domain.account_config import AccountConfig, Trading
from recio.domain.entry import Attempt, Key
from recio.domain.errors import Broken
from recio.domain.intents import Intent, Purpose
from recio.domain.ledger import Booking, Holding
from recio.domain.orders import Order, OrderState
from recio.domain.risk import Exposure, Held, InFlight
from recio.domain.switches import Effective, SwitchRow, effective
from recio.domain.tickers import new_york_day_end_us
from recio.domain.trade_book import FillFact, OrderFact, SettlementFact
from recio.domain.trades import FINAL, HOLDING, Trade, TradeState
from recio.domain.units import MINUTE_US, PRICE_ONE_E4
from recio.engine import gate
from recio.engine.gate import Accepted, EntryGround, ExitGround, MarketFacts

BREAKER = "breaker:losses"


_NOTHING: Final = Holding()


class _Kept:
    """One trade with everything it is folded from."""

    __slots__ = ("fills", "orders", "settlement", "trade")

    def __init__(self, trade: Trade) -> None:
        self.trade = trade
        self.fills: list[FillFact] = []
        self.orders: dict[UUID, OrderFact] = {}
        self.settlement: SettlementFact | None = None


class Portfolio:
    """The books of one account from an opening balance on."""

    def __init__(self, config: AccountConfig, cash_usd_e6: int) -> None:
        self.config = config
        self.cash_usd_e6 = self.equity_usd_e6 = self.equity_high_usd_e6 = cash_usd_e6
        self.holdings: dict[str, Holding] = {}
        self.attempts: dict[Key, Attempt] = {}
        self.orders = 0
        self._opening_usd_e6 = cash_usd_e6
        self._events: dict[str, str] = {}
        self._kept: dict[UUID, _Kept] = {}
        self._done: dict[Key, Trade] = {}
        self._flying: dict[UUID, Accepted] = {}
        self._recent: deque[int] = deque()
        self._sums: Counter[str] = Counter()
        self._last_number = 0
        self._day_end_us = 0
        self._day_result_usd_e6 = 0
        self._losses = ""

    @property
    def trades(self) -> tuple[Trade, ...]:
        """Every trade that is not over, and the newest that is of each side of a live market."""
        return (*self._done.values(), *(kept.trade for kept in self._kept.values()))

    @property
    def open_trades(self) -> tuple[Trade, ...]:
        """Every trade that is not over, in the order of its birth."""
        return tuple(kept.trade for kept in self._kept.values() if kept.trade.state not in FINAL)

    def trade(self, trade_id: UUID) -> Trade:
        """Return one trade."""
        return self._kept[trade_id].trade

    def fills(self, trade_id: UUID) -> tuple[FillFact, ...]:
        """Return a trade's fills."""
        return tuple(self._kept[trade_id].fills)

    @property
    def holds_something(self) -> bool:
        """Whether any contract is held."""
        return any(held.qty_e2 for held in self.holdings.values())

    @property
    def switch(self) -> Effective:
        """The document's switch and, while a loss limit is broken, what it asks for then."""
        rows = [_row("resource", self.config.trading, "the document says so")]
        if self._losses:
            on_breach = Trading(self.config.risk.on_breach.value)
            rows.append(_row(BREAKER, on_breach, self._losses))
        return effective(rows)

    def decide(
        self, intent: Intent, facts: MarketFacts | None, now_us: int
    ) -> Accepted | tuple[str, ...]:
        """Let the gate decide on a wish; an accepted one is reserved and on its way."""
        self._turn_day(now_us)
        key = (intent.market_ticker, intent.side)
        if intent.purpose is Purpose.ENTRY:
            before = self.attempts.get(key)
            number = 1 if before is None else before.number + 1
            self.attempts[key] = Attempt(number, intent.at_us, is_pending=False)
            made = gate.enter(intent, self._entry_ground(facts, now_us), now_us)
        else:
            made = gate.leave(intent, self._exit_ground(intent, facts), now_us)
        if isinstance(made, Accepted):
            self._send(made, now_us)
        return made

    def book(self, order: Order, fills: tuple[FillFact, ...], now_us: int) -> Trade:
        """Book what an order got when it arrived; with that it is over. Return its trade."""
        self._turn_day(now_us)
        flying = self._flying.pop(order.order_id)
        kept = self._kept[order.trade_id]
        filled = sum(fill.qty_e2 for fill in fills)
        state = OrderState.EXECUTED if filled == order.qty_e2 else OrderState.CANCELED
        kept.orders[order.order_id] = OrderFact(Purpose(order.purpose), state, filled, filled)
        self._events[order.market_ticker] = flying.event_ticker
        for fill in fills:
            held = self.holdings.get(order.market_ticker, Holding())
            self._apply(
                order.market_ticker,
                ledger.book_fill(
                    held,
                    order.market_ticker,
                    side=fill.book_side,
                    yes_price_e4=fill.yes_price_e4,
                    qty_e2=fill.qty_e2,
                    fee_usd_e6=fill.fee_usd_e6,
                ),
            )
        kept.fills += fills
        return self._fold(kept, now_us)

    def close(self, event_ticker: str, now_us: int) -> None:
        """An event's close has come: what is held is held to settlement."""
        for kept in self._kept.values():
            if kept.trade.event_ticker == event_ticker and kept.trade.state not in FINAL:
                self._fold(kept, now_us)

    def settle(self, ticker: str, result: str, yes_value_e4: int, now_us: int) -> list[Trade]:
        """Book the exchange's payout of a market; return its trades that are over with that.

        One of which an order is still on its way is over when that has arrived, with nothing.
        """
        held = self.holdings.get(ticker)
        if held is None or not held.qty_e2:
            return []
        self._turn_day(now_us)
        each_e4 = yes_value_e4 if held.qty_e2 > 0 else PRICE_ONE_E4 - yes_value_e4
        revenue = abs(held.qty_e2) * each_e4
        fact = SettlementFact(result, held.qty_e2, revenue)
        self._apply(
            ticker, ledger.book_settlement(held, ticker, revenue_usd_e6=revenue, fee_usd_e6=0)
        )
        paid = []
        for kept in self._kept.values():
            if kept.trade.market_ticker == ticker and kept.trade.state in HOLDING:
                kept.settlement = fact
                paid.append(self._fold(kept, now_us))
        waiting = {made.order.trade_id for made in self._flying.values()}
        return [trade for trade in paid if trade.trade_id not in waiting]

    def watch_losses(self, now_us: int) -> bool:
        """Compare with the loss limits; return whether the switch is another one now."""
        self._turn_day(now_us)
        broken = "; ".join(risk.breaches(self.config.risk, self._exposure(now_us)))
        is_changed = bool(broken) is not bool(self._losses)
        self._losses = broken
        return is_changed

    def put_away(self, trade: Trade) -> None:
        """Drop what an ended trade was folded from; that it was is known until ``forget``."""
        del self._kept[trade.trade_id]
        if trade.filled_qty_e2:
            self._done[trade.market_ticker, trade.side] = trade
        if not self.holdings.get(trade.market_ticker, _NOTHING).qty_e2:
            self.holdings.pop(trade.market_ticker, None)

    def forget(self, event_ticker: str) -> None:
        """Drop what entries must know of an event that is over."""
        prefix = f"{event_ticker}-"
        for known in (self.attempts, self._done):
            for key in [key for key in known if key[0].startswith(prefix)]:
                del known[key]

    def check(self) -> None:
        """Prove the books: balanced, and cash and positions as posted.

        Raises:
            Broken: they are not; the figures must not be believed.
        """
        at_cost = sum(held.cost_usd_e6 for held in self.holdings.values())
        told = (self._opening_usd_e6 + self._sums["cash"], self._sums["position"])
        if sum(self._sums.values()) or told != (self.cash_usd_e6, at_cost):
            raise Broken(
                f"the books do not agree: postings {dict(self._sums)}, cash {self.cash_usd_e6}, "
                f"positions at cost {at_cost}"
            )

    def _entry_ground(self, facts: MarketFacts | None, now_us: int) -> EntryGround:
        return EntryGround(
            switch=self.switch,
            market=facts,
            config=self.config,
            exposure=self._exposure(now_us),
            fleet=None,
            live=list(self.open_trades),
            trade_number=self._last_number + 1,
        )

    def _exit_ground(self, intent: Intent, facts: MarketFacts | None) -> ExitGround:
        kept = None if intent.trade_id is None else self._kept.get(intent.trade_id)
        if kept is None:
            return ExitGround(switch=self.switch, market=facts, trade=None, free_qty_e2=0)
        selling = sum(
            made.order.qty_e2
            for made in self._flying.values()
            if made.order.trade_id == intent.trade_id and made.new_trade is None
        )
        free_e2 = kept.trade.open_qty_e2 - selling
        return ExitGround(switch=self.switch, market=facts, trade=kept.trade, free_qty_e2=free_e2)

    def _exposure(self, now_us: int) -> Exposure:
        recent = self._recent
        while recent and recent[0] <= now_us - MINUTE_US:
            recent.popleft()
        return Exposure(
            held=tuple(
                Held(self._events[ticker], ticker, abs(held.qty_e2), held.cost_usd_e6)
                for ticker, held in self.holdings.items()
                if held.qty_e2
            ),
            in_flight=tuple(
                _in_flight(made) for made in self._flying.values() if made.new_trade is not None
            ),
            open_trades=len(self.open_trades),
            orders_in_minute=len(recent),
            result_today_usd_e6=self._day_result_usd_e6,
            cash_usd_e6=self.cash_usd_e6,
            equity_usd_e6=self.equity_usd_e6,
            equity_high_usd_e6=self.equity_high_usd_e6,
        )

    def _send(self, made: Accepted, now_us: int) -> None:
        order, trade = made.order, made.new_trade
        if trade is not None:
            self._last_number = trade.number
            self._kept[trade.trade_id] = _Kept(trade)
        self._flying[order.order_id] = made
        self._recent.append(now_us)
        self.orders += 1
        kept = self._kept[order.trade_id]
        kept.orders[order.order_id] = OrderFact(Purpose(order.purpose), OrderState.SUBMITTED, 0, 0)
        self._fold(kept, now_us)

    def _apply(self, ticker: str, booking: Booking) -> None:
        self.holdings[ticker] = booking.holding
        self.cash_usd_e6 += booking.cash_usd_e6
        self.equity_usd_e6 += booking.equity_usd_e6
        self.equity_high_usd_e6 = max(self.equity_high_usd_e6, self.equity_usd_e6)
        for line in booking.postings:
            self._sums[line.book] += line.amount_usd_e6
            if line.book in ("result", "fees"):
                self._day_result_usd_e6 -= line.amount_usd_e6

    def _fold(self, kept: _Kept, now_us: int) -> Trade:
        old, settled = kept.trade, kept.settlement
        sums = trade_book.figures(old.side, kept.fills)
        state = trade_book.state(
            sums,
            tuple(kept.orders.values()),
            is_past_close=now_us >= old.close_us,
            is_settled=settled is not None,
        )
        payout = None
        if settled is not None and state is TradeState.SETTLED:
            payout = trade_book.payout_usd_e6(old.side, sums.open_qty_e2, settled)
        trade_book.path(old.state, state)
        kept.trade = msgspec.structs.replace(
            old,
            state=state,
            filled_qty_e2=sums.filled_qty_e2,
            open_qty_e2=0 if state in FINAL else sums.open_qty_e2,
            entry_cost_usd_e6=sums.entry_cost_usd_e6,
            exit_proceeds_usd_e6=sums.exit_proceeds_usd_e6,
            fees_usd_e6=sums.fees_usd_e6,
            pnl_usd_e6=trade_book.pnl_usd_e6(sums, payout) if state in FINAL else None,
            opened_at_us=sums.opened_at_us,
        )
        return kept.trade

    def _turn_day(self, now_us: int) -> None:
        if now_us >= self._day_end_us:
            self._day_end_us = new_york_day_end_us(now_us)
            self._day_result_usd_e6 = 0


def _row(source: str, state: Trading, reason: str) -> SwitchRow:
    return SwitchRow(scope="account", source=source, state=state, reason=reason, changed_at_us=0)


def _in_flight(made: Accepted) -> InFlight:
    order = made.order
    return InFlight(
        made.event_ticker, order.market_ticker, order.qty_e2, order.qty_e2, order.reserved_usd_e6
    )
