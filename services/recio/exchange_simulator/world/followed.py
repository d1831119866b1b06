"""A book that is followed: recorded, or of the real exchange, on an exchange of ours.

Its levels become anonymous quantity. What a member took here was not taken there, so it is
subtracted: what is taken stays taken for as long as the followed level holds that much; it comes back
when that level shrinks below it or is gone and made anew. Nothing is ever added to what is followed.

A decrease that is known to have been traded fills members' orders in front of it first; any other
decrease leaves from behind them. So a member's resting order waits behind what was displayed when it
came, and fills when known trades reach it, or when the other side of the followed book crosses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from recio.domain.units import PRICE_ONE_E4
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.specs import Side, Taken
from recio.exchange_simulator.world.frames_book import LevelChange

SIDES: Final[tuple[Side, Side]] = ("yes", "no")
_OTHER: Final[dict[Side, Side]] = {"yes": "no", "no": "yes"}


class FollowedBook:
    """The levels of one market elsewhere on an exchange of ours, without what members took here.

    Whoever owns it passes on what members take (``Exchange.on_taken``) to ``take``. ``is_behind``: the exchange did not take a level (a pause); ``tell_all`` tries again.
    """

    def __init__(self, exchange: Exchange, ticker: str) -> None:
        self._exchange = exchange
        self._ticker = ticker
        self._levels: dict[Side, dict[int, int]] = {"yes": {}, "no": {}}
        self._taken: dict[tuple[Side, int], int] = {}
        self._hidden: set[tuple[Side, int]] = set()
        self._is_known = True
        self.is_behind = False

    def take(self, taken: Taken) -> None:
        """Note what a member took."""
        if taken.ticker == self._ticker:
            self._add_taken(taken.side, taken.price_e4, taken.qty_e2)

    def note(self, change: LevelChange) -> None:
        """Take in a change of the past, without telling the exchange."""
        level = (change.side, change.price_e4)
        self._levels[change.side][change.price_e4] = change.qty_e2
        if change.qty_e2 == 0:
            del self._levels[change.side][change.price_e4]
        if level in self._taken:
            self._taken[level] = min(self._taken[level], change.qty_e2)

    def apply(self, change: LevelChange) -> None:
        """Let a change happen on the exchange."""
        at_us = change.at_us
        if change.trade_e2:
            limit_e4 = PRICE_ONE_E4 - change.price_e4
            taker: Side = _OTHER[change.side]
            self._exchange.external_trade(self._ticker, taker, limit_e4, change.trade_e2, at_us)
            # Better recorded levels that the taker met on its way are restored.
            for price_e4 in [p for p in self._levels[change.side] if p > change.price_e4]:
                self._tell(change.side, price_e4, at_us)
        self.note(change)
        self._hide_crossed(change)
        self._tell(change.side, change.price_e4, at_us)
        self._show_hidden(at_us)

    def follow(self, yes: Mapping[int, int], no: Mapping[int, int], at_us: int) -> None:
        """Let the book become this one: prices on each side's own scale, no empty level."""
        changes = [*self._changes("yes", yes, at_us), *self._changes("no", no, at_us)]
        if self._is_known:
            for change in changes:
                self.apply(change)
            return
        for change in changes:
            self.note(change)
        self._is_known = True
        self._hidden.clear()
        self.tell_all(at_us)

    def lose(self, at_us: int) -> None:
        """Take everything away until the next ``follow``: the book is not known now."""
        self._is_known = False
        for side in SIDES:
            levels = [(price_e4, 0) for price_e4 in self._levels[side]]
            self._exchange.set_external_levels(self._ticker, side, levels, at_us)

    def _changes(self, side: Side, wanted: Mapping[int, int], at_us: int) -> list[LevelChange]:
        """Return what differs: withdrawals first, so that nothing crosses."""
        told = self._levels[side]
        if told == wanted:
            return []
        gone = [
            LevelChange(at_us, side, price_e4, 0) for price_e4 in told if price_e4 not in wanted
        ]
        return gone + [
            LevelChange(at_us, side, price_e4, qty_e2)
            for price_e4, qty_e2 in wanted.items()
            if told.get(price_e4) != qty_e2
        ]

    def tell_all(self, at_us: int) -> None:
        """Tell the exchange every level."""
        self.is_behind = False
        for side in SIDES:
            for price_e4 in list(self._levels[side]):
                self._tell(side, price_e4, at_us)

    def _tell(self, side: Side, price_e4: int, at_us: int) -> None:
        recorded_e2 = self._levels[side].get(price_e4, 0)
        wanted_e2 = recorded_e2 - min(self._taken.get((side, price_e4), 0), recorded_e2)
        told = self._exchange.set_external_level(self._ticker, side, price_e4, wanted_e2, at_us)
        self.is_behind = self.is_behind or not told
        if told and wanted_e2:
            # What was not left resting was traded with members' orders that it crossed.
            missing_e2 = wanted_e2 - self._exchange.external_level(self._ticker, side, price_e4)
            if missing_e2 > 0:
                self._add_taken(side, price_e4, missing_e2)

    def _add_taken(self, side: Side, price_e4: int, qty_e2: int) -> None:
        self._taken[side, price_e4] = self._taken.get((side, price_e4), 0) + qty_e2

    def _hide_crossed(self, change: LevelChange) -> None:
        """Remember the levels that the exchange withdraws, because a newer one crosses them."""
        if change.qty_e2:
            other = _OTHER[change.side]
            for price_e4 in self._levels[other]:
                if price_e4 + change.price_e4 >= PRICE_ONE_E4:
                    self._hidden.add((other, price_e4))

    def _show_hidden(self, at_us: int) -> None:
        """Tell hidden levels again once nothing crosses them."""
        for side, price_e4 in list(self._hidden):
            best_e4 = max(self._levels[_OTHER[side]], default=0)
            if price_e4 + best_e4 < PRICE_ONE_E4 or price_e4 not in self._levels[side]:
                self._hidden.discard((side, price_e4))
                self._tell(side, price_e4, at_us)
