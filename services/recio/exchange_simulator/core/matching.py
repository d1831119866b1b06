"""Matching in price-time priority: what a taker meets, and how each trade is booked.

A taker is a member's order or anonymous quantity; so is each place in the book. A trade of a member
with the house moves the house's money and position the other way, so that everything adds up.
Trades happen at the price of what rested.
"""

from __future__ import annotations

from dataclasses import dataclass

from recio.exchange_simulator.core import accounts, fees, groups, resting
from recio.exchange_simulator.core.book import Entry, Level
from recio.exchange_simulator.core.records import Fill, Market, Order, Reason, Trade
from recio.exchange_simulator.core.state import State
from recio.exchange_simulator.specs import Taken

_ONE_E4 = 10_000


@dataclass(slots=True)
class Taker:
    """Who comes to the book: up to ``qty_e2`` at ``limit_e4`` or better, YES scale."""

    order: Order | None
    is_bid: bool
    limit_e4: int
    qty_e2: int
    traded_e2: int = 0
    is_self_crossed: bool = False

    @property
    def left_e2(self) -> int:
        """Return what is still wanted."""
        return self.qty_e2 - self.traded_e2


def sweep(state: State, market: Market, taker: Taker) -> None:
    """Trade until the taker is done, the book is out of reach, or a rule stops it."""
    side = market.book.side(is_bid=not taker.is_bid)
    while taker.left_e2 > 0 and not taker.is_self_crossed:
        level = side.best()
        if level is None or not _is_reached(taker, level.price_e4):
            break
        qty_e2 = _allowed_e2(state, taker, level.entries[0])
        if qty_e2 == 0:
            break
        _meet(state, market, taker, level, qty_e2)
        side.drop_if_empty(level)
    if taker.traded_e2:
        state.touch_top(market)


def _is_reached(taker: Taker, price_e4: int) -> bool:
    return price_e4 <= taker.limit_e4 if taker.is_bid else price_e4 >= taker.limit_e4


def _allowed_e2(state: State, taker: Taker, entry: Entry) -> int:
    qty_e2 = min(taker.left_e2, entry.qty_e2)
    for order in (taker.order, entry.order):
        allowance = None if order is None else groups.allowance_e2(state, order.group_id)
        if allowance is not None:
            qty_e2 = min(qty_e2, allowance)
    return qty_e2


def _meet(state: State, market: Market, taker: Taker, level: Level, qty_e2: int) -> None:
    entry = level.entries[0]
    maker, order = entry.order, taker.order
    if maker is not None and order is not None and maker.account == order.account:
        if order.self_trade == "taker_at_cross":
            taker.is_self_crossed = True
        else:
            resting.cancel(state, maker, Reason.SELF_TRADE_CANCEL)
        return
    if maker is not None and not _can_pay(state, market, maker, qty_e2):
        resting.cancel(state, maker, Reason.MARGIN_CANCEL)
        return
    _trade(state, market, taker, (level, entry), qty_e2)


def _can_pay(state: State, market: Market, maker: Order, qty_e2: int) -> bool:
    held = state.position_e2(maker.account, market.ticker)
    revenue = accounts.revenue_e6(held, maker.price_e4, qty_e2, is_bid=maker.is_bid)
    one = _charge(state, market, maker, (maker.price_e4, qty_e2, revenue), is_taker=False)
    cash = state.accounts[maker.account].cash_e6.get(market.exchange_index, 0)
    return revenue >= 0 or cash + revenue - one.net_e6 >= 0


def _charge(
    state: State,
    market: Market,
    order: Order,
    fill: tuple[int, int, int],
    *,
    is_taker: bool,
) -> fees.Charge:
    price_e4, qty_e2, revenue_e6 = fill
    trade_fee = fees.trade_fee_e6(price_e4, qty_e2, market.fee_terms, is_taker=is_taker)
    precision = state.config.balance_precision_e6
    return fees.charge(revenue_e6, trade_fee, order.accumulator_e6, precision)


def _trade(
    state: State, market: Market, taker: Taker, place: tuple[Level, Entry], qty_e2: int
) -> None:
    level, entry = place
    maker, order, price_e4 = entry.order, taker.order, level.price_e4
    number = state.next_number()
    trade = Trade(
        trade_id=state.new_id("trade", number),
        number=number,
        ticker=market.ticker,
        price_e4=price_e4,
        qty_e2=qty_e2,
        is_taker_bid=taker.is_bid,
        at_us=state.now_us,
    )
    level.reduce(entry, qty_e2)
    taker.traded_e2 += qty_e2
    state.listener.book_changed(market, price_e4, -qty_e2, maker or order, is_bid=not taker.is_bid)
    _count(state, market, trade, _open_interest_change(state, market, trade, (order, maker)))
    for member, is_taker in ((order, True), (maker, False)):
        if member is not None:
            _fill(state, market, member, trade, is_taker=is_taker)
    if (order is None) != (maker is None):
        _house(state, market, trade, is_house_bid=taker.is_bid is (order is None))
    if maker is None and order is not None:
        _note_taken(state, market, level, trade)


def _open_interest_change(
    state: State, market: Market, trade: Trade, members: tuple[Order | None, Order | None]
) -> int:
    # Anonymous traders' positions are not known: beside a member they do as the member does
    # (open or close), among themselves they open.
    changes: list[int] = []
    for member in members:
        if member is not None:
            held = state.position_e2(member.account, market.ticker)
            closing = accounts.closing_e2(held, trade.qty_e2, is_bid=member.is_bid)
            changes.append(trade.qty_e2 - 2 * closing)
    return sum(changes) // len(changes) if changes else trade.qty_e2


def _count(state: State, market: Market, trade: Trade, open_interest_e2: int) -> None:
    market.volume_e2 += trade.qty_e2
    market.open_interest_e2 = max(market.open_interest_e2 + open_interest_e2, 0)
    market.last_price_e4 = trade.price_e4
    market.last_size_e2 = trade.qty_e2
    market.candles.trade(trade.price_e4, trade.qty_e2, market.open_interest_e2, state.now_us)
    state.touch_market(market)
    state.trades.append(trade)
    state.changes.trades.append(trade)
    state.listener.traded(trade)


def _fill(state: State, market: Market, order: Order, trade: Trade, *, is_taker: bool) -> None:
    account = state.accounts[order.account]
    position = state.position(order.account, market)
    price_e4, qty_e2 = trade.price_e4, trade.qty_e2
    revenue = accounts.revenue_e6(position.position_e2, price_e4, qty_e2, is_bid=order.is_bid)
    one = _charge(state, market, order, (price_e4, qty_e2, revenue), is_taker=is_taker)
    opening = qty_e2 - accounts.closing_e2(position.position_e2, qty_e2, is_bid=order.is_bid)
    accounts.apply_to_position(position, price_e4, qty_e2, is_bid=order.is_bid)
    position.fees_e6 += one.net_e6
    position.open_fees_e6 += one.net_e6 * opening // qty_e2
    order.accumulator_e6 = one.accumulator_e6
    _count_on_order(order, price_e4, qty_e2, one.net_e6, is_taker=is_taker)
    accounts.pay(state, account, market.exchange_index, revenue - one.net_e6)
    state.house.cash_e6 -= revenue
    state.house.fees_e6 += one.net_e6
    fill = Fill(
        trade_id=trade.trade_id,
        number=state.next_number(),
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        account=order.account,
        ticker=market.ticker,
        exchange_index=market.exchange_index,
        is_bid=order.is_bid,
        is_taker=is_taker,
        price_e4=price_e4,
        qty_e2=qty_e2,
        fee_e6=one.net_e6,
        revenue_e6=revenue,
        position_e2=position.position_e2,
        at_us=state.now_us,
    )
    state.fills_of.setdefault(order.account, []).append(fill)
    state.changes.fills.append(fill)
    if not is_taker and order.remaining_e2 == 0:
        resting.forget(state, market, order)
    accounts.hold(state, account, market)
    resting.enforce_margin(state, account, market.exchange_index)
    state.listener.filled(fill, order)
    state.touch_order(order, is_told=not is_taker)
    state.touch_position(position)
    groups.matched(state, order.group_id, qty_e2)


def _count_on_order(
    order: Order, price_e4: int, qty_e2: int, fee_e6: int, *, is_taker: bool
) -> None:
    cost = accounts.unit_cost_e4(price_e4, is_bid=order.is_bid) * qty_e2
    order.filled_e2 += qty_e2
    order.remaining_e2 -= qty_e2
    order.reason = Reason.TRADE
    if is_taker:
        order.taker_cost_e6 += cost
        order.taker_fees_e6 += fee_e6
    else:
        order.maker_cost_e6 += cost
        order.maker_fees_e6 += fee_e6
    if order.remaining_e2 == 0:
        order.status = "executed"


def _house(state: State, market: Market, trade: Trade, *, is_house_bid: bool) -> None:
    # The member's revenue was taken from the house's cash already; this is its position.
    held = state.house.positions_e2
    signed = trade.qty_e2 if is_house_bid else -trade.qty_e2
    held[market.ticker] = held.get(market.ticker, 0) + signed


def _note_taken(state: State, market: Market, level: Level, trade: Trade) -> None:
    is_bid_level = not trade.is_taker_bid
    taken = market.book.side(is_bid=is_bid_level).taken_e2
    taken[level.price_e4] = taken.get(level.price_e4, 0) + trade.qty_e2
    if state.taken_listeners:
        price_e4 = level.price_e4 if is_bid_level else _ONE_E4 - level.price_e4
        note = Taken(
            market.ticker,
            "yes" if is_bid_level else "no",
            price_e4,
            trade.qty_e2,
            level.external_e2,
            state.now_us,
        )
        for listener in state.taken_listeners:
            listener(note)
