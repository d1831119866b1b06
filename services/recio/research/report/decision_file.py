"""Decision records as rows of a file, written as they come.

One row for each strike that was looked at, or one for a look at an event that a rule ended whole, or
one for a change of a stop. By default only what is new is written: a strike whose first failed rule
differs from its last look, and every wish. Memory holds the last look of events that are not closed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self

from recio.engine.records import ENTRY, EntryBody, Record, StrikeDecision, read_entry, read_stop
from recio.research.axes import time_text
from recio.research.report.rows import RowFile, Value

COLUMNS: Final[dict[str, type[str | int]]] = {
    "at": str,
    "at_us": int,
    "kind": str,
    "event_ticker": str,
    "market_ticker": str,
    "side": str,
    "gate": str,
    "seconds_to_close": int,
    "p_e6": int,
    "ask_e4": int,
    "bid_e4": int,
    "edge_e4": int,
    "volume_e2": int,
    "book_age_us": int,
    "price_usd_e6": int,
    "price_age_us": int,
    "momentum_e6": int,
    "momentum_bucket": int,
    "volatility_e9": int,
    "window_average_usd_e6": int,
    "window_count": int,
    "model": str,
    "model_version": str,
    "intents": str,
    "generation": int,
    "decision_id": str,
}
_KEPT_EVENTS: Final = 64
_SECOND_US: Final = 1_000_000
_EVENT: Final = ""
"""Stands for the whole event where a strike's ticker and side would be."""


class DecisionFile:
    """A sink of decision records: ``.csv``, ``.csv.gz`` or ``.parquet``, as its name ends."""

    def __init__(self, path: Path, *, everything: bool = False) -> None:
        self.path = path
        self.decisions = 0
        self._everything = everything
        self._file = RowFile(path, COLUMNS)
        self._last: dict[str, dict[str, str]] = {}

    @property
    def rows(self) -> int:
        """How many rows were written."""
        return self._file.rows

    def decision(self, record: Record) -> None:
        """Write what is new in a decision."""
        self.decisions += 1
        if record.kind == ENTRY:
            self._entry(record, read_entry(record.body))
        else:
            self._file.write(_stop_row(record))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _entry(self, record: Record, body: EntryBody) -> None:
        last = self._last_of(record.event_ticker)
        if body.gate:
            if last.get(_EVENT) != body.gate or self._everything:
                self._file.write(_entry_row(record, body, None))
            last[_EVENT] = body.gate
            return
        last[_EVENT] = ""
        for strike in body.strikes:
            key = f"{strike.ticker}/{strike.side}"
            if self._everything or not strike.gate or last.get(key) != strike.gate:
                self._file.write(_entry_row(record, body, strike))
            last[key] = strike.gate

    def _last_of(self, event: str) -> dict[str, str]:
        # The event that was looked at longest ago is over first.
        held = self._last.pop(event, {})
        self._last[event] = held
        if len(self._last) > _KEPT_EVENTS:
            del self._last[next(iter(self._last))]
        return held


def _entry_row(record: Record, body: EntryBody, strike: StrikeDecision | None) -> list[Value]:
    seen = strike or StrikeDecision(_EVENT, "", None, None, None, None, None, body.gate)
    values: dict[str, Value] = {
        "market_ticker": seen.ticker,
        "side": seen.side,
        "gate": seen.gate,
        "seconds_to_close": (body.close_us - record.at_us) // _SECOND_US,
        "p_e6": seen.p_e6,
        "ask_e4": seen.ask_e4,
        "edge_e4": seen.edge_e4,
        "volume_e2": seen.volume_e2,
        "book_age_us": seen.book_age_us,
        "price_usd_e6": body.price_usd_e6,
        "price_age_us": body.price_age_us,
        "momentum_e6": body.momentum_e6,
        "momentum_bucket": body.momentum_bucket,
        "volatility_e9": body.volatility_e9,
        "window_average_usd_e6": body.window_average_usd_e6,
        "window_count": body.window_count,
        "model": body.model,
        "model_version": body.model_version,
        "intents": "" if seen.gate else " ".join(map(str, body.intents)),
    }
    return _row(record, values)


def _stop_row(record: Record) -> list[Value]:
    body = read_stop(record.body)
    values: dict[str, Value] = {
        "market_ticker": body.market_ticker,
        "side": body.side,
        "gate": "flatten" if body.is_flatten else "",
        "seconds_to_close": (body.close_us - record.at_us) // _SECOND_US,
        "p_e6": body.p_e6,
        "bid_e4": body.bid_e4,
        "price_usd_e6": body.price_usd_e6,
        "momentum_e6": body.momentum_e6,
        "intents": "" if body.intent_id is None else str(body.intent_id),
    }
    return _row(record, values)


def _row(record: Record, values: dict[str, Value]) -> list[Value]:
    values |= {
        "at": time_text(record.at_us),
        "at_us": record.at_us,
        "kind": record.kind,
        "event_ticker": record.event_ticker,
        "generation": record.generation,
        "decision_id": str(record.decision_id),
    }
    return [values.get(name) for name in COLUMNS]
