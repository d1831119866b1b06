"""A recorded order book as a list of level changes, each with how much of it was traded.

There is no recorded trade channel. The ticker tells how much was traded so far and the price of the
last trade. A level's decrease counts as trade only as far as the ticker's volume grew at that price
since the ticker before, the latest decrease first; every other decrease is a cancel.

The exchange's own times order the changes; one that is stamped earlier than its predecessor counts as
simultaneous with it. A level that would fall below zero is refused: the recording is broken then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from recio.data import frames
from recio.domain.errors import Broken
from recio.domain.units import PRICE_ONE_E4
from recio.exchange_simulator.specs import Side


@dataclass(slots=True)
class LevelChange:
    """A recorded level after a change; ``trade_e2`` of the decrease was traded, not canceled."""

    at_us: int
    side: Side
    price_e4: int
    qty_e2: int
    trade_e2: int = 0


def level_changes(recorded: Iterable[frames.Frame], market: str) -> list[LevelChange]:
    """Return every change of a market's levels in order.

    Raises:
        Broken: a level would hold less than nothing.
    """
    reader = _Reader(market)
    for frame in recorded:
        if frame.market == market:
            reader.read(frame)
    return reader.changes


class _Reader:
    def __init__(self, market: str) -> None:
        self.changes: list[LevelChange] = []
        self._market = market
        self._book: dict[Side, dict[int, int]] = {"yes": {}, "no": {}}
        self._decreases: dict[int, list[tuple[LevelChange, int]]] = defaultdict(list)
        self._volume_e2: int | None = None
        self._last_us = 0

    def read(self, frame: frames.Frame) -> None:
        if isinstance(frame, frames.DeltaFrame):
            self._read_delta(frame)
        elif isinstance(frame, frames.SnapshotFrame):
            self._read_snapshot(frame)
        elif isinstance(frame, frames.TickerFrame):
            self._read_ticker(frame)

    def _add(self, at_us: int, side: Side, price_e4: int, qty_e2: int) -> LevelChange:
        self._last_us = max(self._last_us, at_us)
        change = LevelChange(self._last_us, side, price_e4, qty_e2)
        self._book[side][price_e4] = qty_e2
        self.changes.append(change)
        return change

    def _read_delta(self, frame: frames.DeltaFrame) -> None:
        side: Side = "yes" if frame.is_yes else "no"
        qty_e2 = self._book[side].get(frame.price_e4, 0) + frame.change_e2
        if qty_e2 < 0:
            raise Broken(f"{self._market}: level {side} {frame.price_e4} would hold {qty_e2}")
        change = self._add(frame.at_us, side, frame.price_e4, qty_e2)
        if frame.change_e2 < 0:
            yes_e4 = frame.price_e4 if frame.is_yes else PRICE_ONE_E4 - frame.price_e4
            self._decreases[yes_e4].append((change, -frame.change_e2))

    def _read_snapshot(self, frame: frames.SnapshotFrame) -> None:
        sides: tuple[tuple[Side, frames.Levels], ...] = (("yes", frame.yes), ("no", frame.no))
        for side, levels in sides:
            wanted = dict(levels)
            for price_e4 in sorted(self._book[side].keys() | wanted.keys()):
                qty_e2 = wanted.get(price_e4, 0)
                if self._book[side].get(price_e4, 0) != qty_e2:
                    self._add(frame.received_ms * 1000, side, price_e4, qty_e2)

    def _read_ticker(self, frame: frames.TickerFrame) -> None:
        if self._volume_e2 is not None:
            left_e2 = frame.volume_e2 - self._volume_e2
            for change, decrease_e2 in reversed(self._decreases[frame.price_e4]):
                change.trade_e2 = max(min(left_e2, decrease_e2), 0)
                left_e2 -= change.trade_e2
        self._volume_e2 = frame.volume_e2
        self._decreases.clear()
