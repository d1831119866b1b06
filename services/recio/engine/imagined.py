"""Imagined fills: what an order would have got of a book that it never reached.

Ours are immediate-or-cancel, so only what is displayed when the order arrives counts, from the best
level to its limit. Nobody saw our order, so the tape goes on as if nothing had been taken; therefore
what we took stays taken: of a level at most what it displays beyond that is free, and as the level
shrinks so does what we took of it, to nothing when it is gone. That is the worst place in the queue
that still is a place. Of a market of which only tops are known, there is only the top.

Fees are the exchange's taker fee of each fill; a whole order moves whole cents of cash, the rest
being charged with its last fill, as if the exchange's accumulator never paid back (``domain.fees``).
"""

from __future__ import annotations

from typing import NamedTuple

from recio.domain import fees
from recio.domain.book import OrderBook, Side
from recio.domain.errors import InvalidValue
from recio.domain.messages import MarketQuote
from recio.domain.orders import BookSide, Order
from recio.domain.trade_book import FillFact
from recio.domain.units import CENT_E6, PRICE_ONE_E4, UsdE6
from recio.engine import tape


class Taken(NamedTuple):
    """A level that is hit: of which side's bids, at which price on that side's scale."""

    is_yes: bool
    price_e4: int


class ImaginedMarket:
    """One market's book as the tape tells it, and what imagined orders took of it."""

    __slots__ = ("_taken", "book", "top", "volume_e2")

    def __init__(self, ticker: str) -> None:
        self.book = OrderBook(ticker)
        self.top: MarketQuote | None = None
        """The newest quote of a market of which no book is on the tape."""
        self.volume_e2: int | None = None
        self._taken: dict[Taken, int] = {}

    def load(self, loaded: tape.Loaded) -> None:
        """Take a whole book; one that cannot be right leaves the book invalid."""
        try:
            self.book.load(loaded.yes, loaded.no, seq=self.book.seq + 1, at_us=loaded.at_us)
        except InvalidValue:
            self._taken.clear()
            return
        for level in tuple(self._taken):
            self._shrink(level, self._side(level.is_yes).levels.get(level.price_e4, 0))

    def change(self, change: tape.Changed) -> bool:
        """Take one change of a level; return whether the top of the book is another one now."""
        book = self.book
        side = book.yes if change.is_yes else book.no
        best_e4 = side.best_e4
        is_applied = book.apply(side, change.price_e4, change.delta_e2, book.seq + 1, change.at_us)
        if self._taken:
            level = Taken(change.is_yes, change.price_e4)
            if level in self._taken:
                self._shrink(level, side.levels.get(change.price_e4, 0))
        return not is_applied or change.price_e4 >= best_e4

    def lose(self, reason: str) -> None:
        """Trust nothing until the next whole book."""
        self.book.invalidate(reason)

    def end(self) -> None:
        """The market is settled: nobody trades in it any more."""
        self.lose("settled")
        self.top = None

    def see(self, quote: MarketQuote) -> None:
        """Take a new top of a market without a book."""
        self.top = quote
        if quote.volume_e2 is not None:
            self.volume_e2 = quote.volume_e2
        if not self._taken:
            return
        shown = {
            Taken(True, quote.yes_bid_e4 or 0): quote.yes_bid_qty_e2,  # noqa: FBT003
            Taken(False, PRICE_ONE_E4 - (quote.yes_ask_e4 or 0)): quote.yes_ask_qty_e2,  # noqa: FBT003
        }
        for level in tuple(self._taken):
            self._shrink(level, shown.get(level, 0))

    def take(self, order: Order, *, multiplier_e6: int, at_us: int) -> tuple[FillFact, ...]:
        """Return the fills of an order that arrives now, best price first; none: it ends canceled."""
        is_buying = order.book_side is BookSide.BID
        left, found = order.qty_e2, []
        for price_e4, shown_e2 in self._levels(is_yes=not is_buying):
            yes_price_e4 = PRICE_ONE_E4 - price_e4 if is_buying else price_e4
            if left <= 0 or _is_beyond(yes_price_e4, order.yes_price_e4, is_buying=is_buying):
                break
            level = Taken(not is_buying, price_e4)
            qty = min(left, shown_e2 - self._taken.get(level, 0))
            if qty > 0:
                self._taken[level] = self._taken.get(level, 0) + qty
                left -= qty
                found.append((yes_price_e4, qty))
        return _with_fees(order.book_side, found, multiplier_e6, at_us)

    def _levels(self, *, is_yes: bool) -> list[tuple[int, int]]:
        if self.book.is_valid:
            return sorted(self._side(is_yes).levels.items(), reverse=True)
        top = self.top
        if top is None or not top.is_valid:
            return []
        if is_yes:
            return [] if not top.yes_bid_e4 else [(top.yes_bid_e4, top.yes_bid_qty_e2)]
        ask = top.yes_ask_e4
        return [] if not ask else [(PRICE_ONE_E4 - ask, top.yes_ask_qty_e2)]

    def _side(self, is_yes: bool) -> Side:  # noqa: FBT001
        return self.book.yes if is_yes else self.book.no

    def _shrink(self, level: Taken, shown_e2: int) -> None:
        if shown_e2 <= 0:
            self._taken.pop(level, None)
        elif level in self._taken:
            self._taken[level] = min(self._taken[level], shown_e2)


def _is_beyond(yes_price_e4: int, limit_e4: int, *, is_buying: bool) -> bool:
    return yes_price_e4 > limit_e4 if is_buying else yes_price_e4 < limit_e4


def _with_fees(
    side: BookSide, found: list[tuple[int, int]], multiplier_e6: int, at_us: int
) -> tuple[FillFact, ...]:
    """Return the fills with their fees; the last one brings the order to whole cents.

    Buying YES at p costs p; selling it brings p when it closes a YES and costs 1 - p when it opens a
    NO: both differ by whole dollars for whole contracts, so the cents are the same.
    """
    owed = [fees.taker_fee_usd_e6(price, qty, multiplier_e6) for price, qty in found]
    if owed:
        sign = -1 if side is BookSide.BID else 1
        moved = sign * sum(price * qty for price, qty in found) - sum(owed)
        owed[-1] = UsdE6(owed[-1] + moved % CENT_E6)
    return tuple(
        FillFact(side, price, qty, fee, at_us)
        for (price, qty), fee in zip(found, owed, strict=True)
    )
