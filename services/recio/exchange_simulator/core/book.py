"""One market's book in price-time priority, on the YES scale.

A bid of NO at q is an ask of YES at 1 - q: both sides are levels of one scale here. A level's queue
holds members' orders and anonymous quantity in the order of their arrival; anonymous quantity that
arrives last is merged with anonymous quantity before it, because nobody can tell it apart.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recio.exchange_simulator.core.records import Order


class Entry:
    """A place in a level's queue; ``order`` None is anonymous."""

    __slots__ = ("order", "qty_e2")

    def __init__(self, order: Order | None, qty_e2: int) -> None:
        self.order = order
        self.qty_e2 = qty_e2


class Level:
    """All that rests at one price, first come first."""

    __slots__ = ("entries", "external_e2", "price_e4", "total_e2")

    def __init__(self, price_e4: int) -> None:
        self.price_e4 = price_e4
        self.entries: list[Entry] = []
        self.total_e2 = 0
        self.external_e2 = 0

    def join(self, order: Order | None, qty_e2: int) -> None:
        """Put quantity at the back of the queue."""
        self.total_e2 += qty_e2
        if order is None:
            self.external_e2 += qty_e2
            if self.entries and self.entries[-1].order is None:
                self.entries[-1].qty_e2 += qty_e2
                return
        self.entries.append(Entry(order, qty_e2))

    def reduce(self, entry: Entry, qty_e2: int) -> None:
        """Take quantity out of one place, and the place with its last."""
        entry.qty_e2 -= qty_e2
        self.total_e2 -= qty_e2
        if entry.order is None:
            self.external_e2 -= qty_e2
        if entry.qty_e2 == 0:
            self.entries.remove(entry)

    def withdraw_external(self, qty_e2: int) -> None:
        """Cancel anonymous quantity from the back of the queue."""
        for entry in reversed(self.entries[:]):
            if qty_e2 == 0:
                return
            if entry.order is None:
                gone = min(qty_e2, entry.qty_e2)
                self.reduce(entry, gone)
                qty_e2 -= gone

    def entry_of(self, order: Order) -> Entry:
        """Return the place of a resting order."""
        return next(entry for entry in self.entries if entry.order is order)

    def ahead_of(self, order: Order) -> int:
        """Return the quantity in front of a resting order."""
        ahead = 0
        for entry in self.entries:
            if entry.order is order:
                return ahead
            ahead += entry.qty_e2
        return ahead


class BookSide:
    """The bids or the asks of one market.

    ``taken_e2`` tells by price what members took of the anonymous quantity since the world last
    changed it, also when nothing is left there.
    """

    __slots__ = ("is_bid", "levels", "prices", "taken_e2")

    def __init__(self, *, is_bid: bool) -> None:
        self.is_bid = is_bid
        self.levels: dict[int, Level] = {}
        self.prices: list[int] = []
        self.taken_e2: dict[int, int] = {}

    def best(self) -> Level | None:
        """Return the level that trades first."""
        if not self.prices:
            return None
        return self.levels[self.prices[-1] if self.is_bid else self.prices[0]]

    def is_top(self, price_e4: int) -> bool:
        """Tell whether no level is better than this price."""
        if not self.prices:
            return True
        return price_e4 >= self.prices[-1] if self.is_bid else price_e4 <= self.prices[0]

    def level(self, price_e4: int) -> Level:
        """Return the level at a price, made if it is new."""
        found = self.levels.get(price_e4)
        if found is None:
            found = self.levels[price_e4] = Level(price_e4)
            insort(self.prices, price_e4)
        return found

    def drop_if_empty(self, level: Level) -> None:
        """Forget a level without quantity."""
        if level.total_e2 == 0 and self.levels.get(level.price_e4) is level:
            del self.levels[level.price_e4]
            del self.prices[bisect_left(self.prices, level.price_e4)]

    def reachable(self, limit_e4: int) -> Iterator[Level]:
        """Yield the levels that an opposite order with this limit reaches, best first."""
        prices = reversed(self.prices) if self.is_bid else iter(self.prices)
        for price in list(prices):
            if price < limit_e4 if self.is_bid else price > limit_e4:
                return
            yield self.levels[price]


class Book:
    """Both sides."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = BookSide(is_bid=True)
        self.asks = BookSide(is_bid=False)

    def side(self, *, is_bid: bool) -> BookSide:
        """Return the bids or the asks."""
        return self.bids if is_bid else self.asks

    def clear(self) -> None:
        """Empty both sides."""
        for side in (self.bids, self.asks):
            side.levels.clear()
            side.prices.clear()
            side.taken_e2.clear()
