"""Anonymous liquidity: levels that the world sets, and anonymous takers.

A level's quantity is absolute. More of it joins at the back; less of it leaves from the back,
behind members' orders first, so that a member's place in the queue never gets better than it must.
"""

from __future__ import annotations

from collections.abc import Iterable

from recio.domain.errors import InvalidValue
from recio.exchange_simulator.core import matching
from recio.exchange_simulator.core.book import Level
from recio.exchange_simulator.core.records import Market, MarketStatus
from recio.exchange_simulator.core.state import State
from recio.exchange_simulator.specs import Levels, Side

_ONE_E4 = 10_000


def yes_price(side: Side, price_e4: int) -> int:
    """Return a price on the YES scale.

    Raises:
        InvalidValue: not between 0 and 1 dollar, exclusive.
    """
    if not 0 < price_e4 < _ONE_E4:
        raise InvalidValue(f"expected a price between 0 and 1 dollar, received {price_e4}e-4")
    return price_e4 if side == "yes" else _ONE_E4 - price_e4


def set_levels(
    state: State, market: Market, side: Side, wanted: Iterable[tuple[int, int]]
) -> list[int]:
    """Set the anonymous quantity of levels of one side; return those the market does not take now."""
    is_active, pauses = market.status is MarketStatus.ACTIVE, state.pauses
    is_paused = pauses.is_weekly or pauses.is_trading_paused or pauses.is_exchange_paused
    book_side = market.book.side(is_bid=side == "yes")
    refused: list[int] = []
    is_top = False
    for price_e4, qty_e2 in wanted:
        if qty_e2 < 0:
            raise InvalidValue(f"expected a quantity of 0 or more, received {qty_e2}e-2")
        at_e4 = yes_price(side, price_e4)
        level = book_side.levels.get(at_e4)
        delta = qty_e2 - (level.external_e2 if level else 0)
        if not is_active or (is_paused and delta > 0):
            refused.append(price_e4)
            continue
        if book_side.taken_e2:
            book_side.taken_e2.pop(at_e4, None)
        if delta > 0:
            _increase(state, market, at_e4, delta, is_bid=book_side.is_bid)
        elif delta < 0 and level:
            _withdraw(state, market, level, -delta, is_bid=book_side.is_bid)
        is_top = is_top or (delta != 0 and book_side.is_top(at_e4))
    if is_top:
        state.touch_top(market)
    return refused


def _increase(state: State, market: Market, price_e4: int, qty_e2: int, *, is_bid: bool) -> None:
    opposite = market.book.side(is_bid=not is_bid)
    best = opposite.best()
    if best and (best.price_e4 <= price_e4 if is_bid else best.price_e4 >= price_e4):
        qty_e2 = _cross(state, market, price_e4, qty_e2, is_bid=is_bid)
    if qty_e2:
        market.book.side(is_bid=is_bid).level(price_e4).join(None, qty_e2)
        state.listener.book_changed(market, price_e4, qty_e2, None, is_bid=is_bid)


def _cross(state: State, market: Market, price_e4: int, qty_e2: int, *, is_bid: bool) -> int:
    # A recorded book is crossed only between two messages of one match: the newer message is right.
    for level in list(market.book.side(is_bid=not is_bid).reachable(price_e4)):
        _withdraw(state, market, level, level.external_e2, is_bid=not is_bid)
    taker = matching.Taker(None, is_bid, price_e4, qty_e2)
    matching.sweep(state, market, taker)
    return taker.left_e2


def _withdraw(state: State, market: Market, level: Level, qty_e2: int, *, is_bid: bool) -> None:
    if qty_e2:
        level.withdraw_external(qty_e2)
        market.book.side(is_bid=is_bid).drop_if_empty(level)
        state.listener.book_changed(market, level.price_e4, -qty_e2, None, is_bid=is_bid)


def trade(state: State, market: Market, side: Side, price_e4: int, qty_e2: int) -> int:
    """Let an anonymous taker buy ``side`` up to a price; return the quantity traded."""
    if qty_e2 <= 0:
        raise InvalidValue(f"expected a quantity above 0, received {qty_e2}e-2")
    paused = state.pauses.is_weekly or state.pauses.is_trading_paused
    if market.status is not MarketStatus.ACTIVE or paused or state.pauses.is_exchange_paused:
        return 0
    taker = matching.Taker(None, side == "yes", yes_price(side, price_e4), qty_e2)
    matching.sweep(state, market, taker)
    return taker.traded_e2


def external_qty(market: Market, side: Side, price_e4: int) -> int:
    """Return the anonymous quantity at a level."""
    level = market.book.side(is_bid=side == "yes").levels.get(yes_price(side, price_e4))
    return level.external_e2 if level else 0


def taken_qty(market: Market, side: Side, price_e4: int) -> int:
    """Return what members took of a level since the world last set it."""
    taken = market.book.side(is_bid=side == "yes").taken_e2
    return taken.get(yes_price(side, price_e4), 0)


def levels(market: Market) -> Levels:
    """Return all anonymous levels, ascending on their own scales."""
    bids, asks = market.book.bids, market.book.asks
    return Levels(
        yes=tuple(
            (p, bids.levels[p].external_e2) for p in bids.prices if bids.levels[p].external_e2
        ),
        no=tuple(
            (_ONE_E4 - p, asks.levels[p].external_e2)
            for p in reversed(asks.prices)
            if asks.levels[p].external_e2
        ),
    )
