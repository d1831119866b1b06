"""The order book of one market: resting bids for YES and for NO, kept from snapshot and deltas.

Prices are 1e-4 dollar on each side's own scale, sizes 1e-2 contract. The exchange lists bids only:
buying YES at p takes a NO bid at 1 - p, so the best YES ask is 10_000 - the best NO bid.

A book starts invalid and becomes valid by a snapshot. It becomes invalid, and takes no delta until
the next snapshot, when a frame is missing, when the connection is lost, or when a
delta would leave less than nothing at a price: no data is better than wrong data. A crossed book
(best bids that sum to a dollar or more) is legal for a moment, between the deltas of one match; it
is kept, and its quote is not valid.
"""

from __future__ import annotations

from collections.abc import Iterable

from recio.domain.errors import InvalidValue
from recio.domain.messages import MarketQuote
from recio.domain.units import PRICE_ONE_E4


class Side:
    """The bids of one side. ``best_e4`` is the highest price with size, 0 if there is none.

    ``levels`` maps price_e4 to qty_e2 and holds no empty level.
    """

    __slots__ = ("best_e4", "levels")

    def __init__(self) -> None:
        self.levels: dict[int, int] = {}
        self.best_e4 = 0

    @property
    def best_qty_e2(self) -> int:
        """Size at the best price, 0 if there is none."""
        return self.levels.get(self.best_e4, 0)


class OrderBook:
    """The book of one market. ``seq`` and ``at_us`` are those of the last frame applied."""

    __slots__ = ("at_us", "is_valid", "no", "reason", "seq", "ticker", "yes")

    def __init__(self, ticker: str) -> None:
        self.ticker = ticker
        self.yes = Side()
        self.no = Side()
        self.seq = 0
        self.at_us = 0
        self.is_valid = False
        self.reason = "no snapshot yet"

    def load(
        self,
        yes: Iterable[tuple[int, int]],
        no: Iterable[tuple[int, int]],
        *,
        seq: int,
        at_us: int,
    ) -> None:
        """Replace the whole book by a snapshot: (price_e4, qty_e2) in any order.

        Raises:
            InvalidValue: a price outside 0 … 1 dollar or a size that is not above 0; the book is
                then invalid.
        """
        try:
            _load(self.yes, yes)
            _load(self.no, no)
        except InvalidValue as error:
            self.invalidate(str(error))
            raise
        self.seq = seq
        self.at_us = at_us
        self.is_valid = True
        self.reason = ""

    def apply(self, side: Side, price_e4: int, delta_e2: int, seq: int, at_us: int) -> bool:
        """Add ``delta_e2`` to a level of ``side`` (this book's ``yes`` or ``no``).

        Returns whether it was applied. An invalid book takes nothing; one that becomes invalid by
        this delta has its ``seq``.
        """
        if not self.is_valid:
            return False
        levels = side.levels
        qty_e2 = levels.get(price_e4, 0) + delta_e2
        if qty_e2 > 0:
            levels[price_e4] = qty_e2
            if price_e4 > side.best_e4:  # noqa: PLR1730  (max() costs 0.12 us, half of this method)
                side.best_e4 = price_e4
        elif qty_e2 == 0:
            levels.pop(price_e4, None)
            if price_e4 == side.best_e4:
                side.best_e4 = max(levels) if levels else 0
        else:
            self.seq = seq
            self.invalidate(f"{qty_e2}e-2 contracts at {price_e4}e-4 after frame {seq}")
            return False
        self.seq = seq
        self.at_us = at_us
        return True

    def invalidate(self, reason: str) -> None:
        """Take nothing more until the next snapshot."""
        self.is_valid = False
        self.reason = reason

    @property
    def is_crossed(self) -> bool:
        """Whether the best bids of both sides sum to a dollar or more."""
        return self.yes.best_e4 + self.no.best_e4 >= PRICE_ONE_E4

    def quote(self, volume_e2: int | None = None) -> MarketQuote:
        """Return the top of the book on the YES scale."""
        yes, no = self.yes, self.no
        return MarketQuote(
            self.ticker,
            yes.best_e4 or None,
            yes.best_qty_e2,
            PRICE_ONE_E4 - no.best_e4 if no.best_e4 else None,
            no.best_qty_e2,
            volume_e2,
            self.at_us,
            self.seq,
            self.is_valid and not self.is_crossed,
        )

    def fillable(self, *, buy_yes: bool, limit_e4: int) -> int:
        """Return how many contracts (1e-2) rest at ``limit_e4`` (YES scale) or better.

        ``buy_yes`` looks at NO bids (yes asks up to the limit), else at YES bids from it on.
        """
        levels = self.no.levels if buy_yes else self.yes.levels
        floor_e4 = PRICE_ONE_E4 - limit_e4 if buy_yes else limit_e4
        return sum(qty for price, qty in levels.items() if price >= floor_e4)


def _load(side: Side, rows: Iterable[tuple[int, int]]) -> None:
    levels = dict(rows)
    if levels and not (min(levels) > 0 and max(levels) < PRICE_ONE_E4 and min(levels.values()) > 0):
        raise InvalidValue("expected prices between 0 and 1 dollar with a size above 0")
    side.levels = levels
    side.best_e4 = max(levels, default=0)
