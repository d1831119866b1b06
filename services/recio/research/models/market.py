"""The model beside the market's own price, on recorded 15-minute markets, and the weight of a blend.

From the trades of consecutive markets (``ticker,ts_ms,yes_price,count,taker``) and the minutes of
those days, at 12, 10, 7, 5, 3, 2 and 1 minutes before each close:

* the market's probability: the price of the last trade up to then. Bids and asks were not recorded;
  on these markets the middle of the last buyer's and the last seller's price is as good (docs/model.md);
* the model's: from minutes that ended by then; the strike is the mean of the minute before the window
  opens, at the venue of the minutes, because the recording does not name it;
* the blend: the market's log odds moved towards the model's by a weight that was fitted on the
  markets that had closed before this one's window opened, zero until there are ten, with a ridge
  towards zero.

The result is what the last trades paid; a market whose last trades do not tell it is left out and
counted, like a moment without a price.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import exp, inf, log
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from recio.domain.errors import InvalidValue
from recio.domain.settlement import WINDOW_SAMPLES, effective_seconds
from recio.domain.tickers import parse_market
from recio.domain.units import MINUTE_US
from recio.domain.volatility import Volatility
from recio.domain.volatility_model import VolatilityModel
from recio.research.models.minutes import MINUTE_S, Minutes, told
from recio.research.models.scores import CLIP, Bounds, bounds

AHEAD: Final = (12, 10, 7, 5, 3, 2, 1)
WINDOW: Final = 15
LEAST_MARKETS: Final = 10
RIDGE: Final = 2.0
WEIGHTS: Final = tuple(place / 20 for place in range(21))
DISTANCES: Final = (0.0, 0.5, 1.0, 2.0, inf)
"""Of strike and price, in deviations of the model's own scale."""
LEAST_SURE: Final = 0.9
"""A market's last price above it, or below one minus it, tells the result."""
_MS: Final = 60_000


class Trades(NamedTuple):
    """All trades of some markets: (time in ms, price) by ticker, and where they come from."""

    by_ticker: dict[str, list[tuple[int, float]]]
    sha256: str
    names: tuple[str, ...]


class Case(NamedTuple):
    """One market at one moment."""

    close: int
    """Minutes since 1970."""
    ahead: int
    market: float
    model: float
    is_yes: bool
    distance: float
    """From the strike, in deviations of the model's own scale."""

    def loss(self, p: float) -> float:
        """Return the log loss of a clipped probability."""
        p = min(max(p, CLIP), 1 - CLIP)
        return -log(p if self.is_yes else 1 - p)

    def blend(self, weight: float) -> float:
        """Return the market's log odds moved towards the model's."""
        market, model = (log(p / (1 - p)) for p in map(_clipped, (self.market, self.model)))
        return 1 / (1 + exp(-(market + weight * (model - market))))


class Row(NamedTuple):
    """One time to the close: mean losses, and the paired differences to the market."""

    ahead: int
    markets: int
    market: float
    model: float
    blend: float
    model_less_market: Bounds
    blend_less_market: Bounds
    weights: tuple[float, float]
    """Least and greatest on the way."""


class Compared(NamedTuple):
    """The result over all markets."""

    symbol: str
    markets: int
    first: str
    last: str
    left_out: int
    unknown: int
    rows: tuple[Row, ...]
    weight: float
    """Fitted over all markets: what a blend of today would use."""
    weight_band: tuple[float, float]
    """90 % of resampled sets of markets would give a weight in between."""
    cases: tuple[Case, ...]
    walked: dict[int, float]
    """The weight of each market's close."""


def read_trades(paths: Sequence[Path]) -> Trades:
    """Read files of trades.

    Raises:
        InvalidValue: no file, or one that is half-written or holds something else.
    """
    if not paths:
        raise InvalidValue("expected a file of trades (ticker,ts_ms,yes_price,count,taker)")
    found: dict[str, list[tuple[int, float]]] = {}
    digest = hashlib.sha256()
    for path in paths:
        raw = path.read_bytes()
        digest.update(raw)
        for ticker, at_ms, price in decode_trades(path.name, raw):
            found.setdefault(ticker, []).append((at_ms, price))
    in_order = {ticker: sorted(rows) for ticker, rows in found.items()}
    return Trades(in_order, digest.hexdigest(), tuple(path.name for path in paths))


def decode_trades(name: str, raw: bytes) -> list[tuple[str, int, float]]:
    """Return (ticker, time in ms, price) of every row of one file.

    Raises:
        InvalidValue: the file is half-written, or a row is not a trade.
    """
    try:
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        text = content.decode()
    except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise InvalidValue(f"{name}: half-written or damaged: {error}") from error
    if not text.endswith("\n"):
        raise InvalidValue(f"{name}: half-written: the last line has no end")
    found = []
    try:
        lines = list(csv.reader(io.StringIO(text)))
    except csv.Error as error:
        raise InvalidValue(f"{name}: expected lines of commas: {error}") from error
    for number, row in enumerate(lines, 1):
        if number == 1:
            if row[:3] != ["ticker", "ts_ms", "yes_price"]:
                raise InvalidValue(f"{name}: expected ticker,ts_ms,yes_price,…, received {row[:3]}")
            continue
        try:
            ticker, at_ms, price = row[0], int(row[1]), float(row[2])
        except (ValueError, IndexError) as error:
            raise InvalidValue(f"{name}: row {number}: expected a trade, received {row}") from error
        if not (0 < price < 1 and at_ms > 10**12):
            raise InvalidValue(
                f"{name}: row {number}: expected a price between 0 and 1 dollar and a time in ms"
            )
        found.append((ticker, at_ms, price))
    return found


def cases(trades: Trades, minutes: Minutes, model: VolatilityModel) -> tuple[list[Case], int, int]:
    """Return all cases in order of close, moments left out, and markets without a result."""
    closes = {ticker: parse_market(ticker).close_us // MINUTE_US for ticker in trades.by_ticker}
    stated = _stated(minutes, model, set(closes.values()))
    found, left_out, unknown = [], 0, 0
    for ticker, close in sorted(closes.items(), key=lambda each: each[1]):
        rows = trades.by_ticker[ticker]
        result = rows[-1][1]
        if 1 - LEAST_SURE <= result <= LEAST_SURE:
            unknown += 1
            continue
        times = [at for at, _ in rows]
        for ahead in AHEAD:
            place = bisect_right(times, (close - ahead) * _MS) - 1
            ours = stated.get((close, ahead))
            if place < 0 or ours is None:
                left_out += 1
                continue
            p, distance = ours
            found.append(Case(close, ahead, rows[place][1], p, result > LEAST_SURE, distance))
    return found, left_out, unknown


def compare(trades: Trades, minutes: Minutes, model: VolatilityModel) -> Compared:
    """Compare market, model and blend, walk-forward.

    Raises:
        InvalidValue: minutes and markets have no moment in common.
    """
    found, left_out, unknown = cases(trades, minutes, model)
    if not found:
        raise InvalidValue(
            f"expected minutes around these markets, received {minutes.first} to {minutes.last}"
        )
    closes = sorted({case.close for case in found})
    walked = {
        close: fit([case for case in found if case.close <= close - WINDOW]) for close in closes
    }
    rows = tuple(_row([case for case in found if case.ahead == ahead], walked) for ahead in AHEAD
                 if any(case.ahead == ahead for case in found))  # fmt: skip
    return Compared(
        symbol=minutes.symbol,
        markets=len(closes),
        first=told(closes[0] * MINUTE_S),
        last=told(closes[-1] * MINUTE_S),
        left_out=left_out,
        unknown=unknown,
        rows=rows,
        weight=fit(found),
        weight_band=_band(found, closes),
        cases=tuple(found),
        walked=walked,
    )


def by_distance(compared: Compared) -> list[tuple[str, Row]]:
    """Return the same for strikes at, near and far from the price, all times together."""
    found = []
    for low, high in pairwise(DISTANCES):
        here = [case for case in compared.cases if low <= case.distance < high]
        if here:
            told_ = f"{low:g} and more" if high == inf else f"{low:g} to {high:g}"
            found.append((told_, _row(here, compared.walked)))
    return found


def fit(known: Sequence[Case]) -> float:
    """Return the weight with the least loss over these cases and a ridge; 0 with too few markets."""
    if len({case.close for case in known}) < LEAST_MARKETS:
        return 0.0
    market, model = (
        np.array([log(p / (1 - p)) for p in map(_clipped, column)])
        for column in ([case.market for case in known], [case.model for case in known])
    )
    sign = np.array([1.0 if case.is_yes else -1.0 for case in known])

    def total(weight: float) -> float:
        moved = np.clip(market + weight * (model - market), -_MOST_ODDS, _MOST_ODDS)
        return float(np.log1p(np.exp(-sign * moved)).sum()) + RIDGE * weight * weight

    return min(WEIGHTS, key=total)


def _row(here: Sequence[Case], walked: dict[int, float]) -> Row:
    event = np.array([case.close for case in here])
    market = np.array([case.loss(case.market) for case in here])
    model = np.array([case.loss(case.model) for case in here])
    blend = np.array([case.loss(case.blend(walked[case.close])) for case in here])
    used = [walked[case.close] for case in here]
    return Row(
        ahead=here[0].ahead,
        markets=len({case.close for case in here}),
        market=float(market.mean()),
        model=float(model.mean()),
        blend=float(blend.mean()),
        model_less_market=bounds(model - market, event),
        blend_less_market=bounds(blend - market, event),
        weights=(min(used), max(used)),
    )


def _band(
    found: Sequence[Case], closes: Sequence[int], resamples: int = 200
) -> tuple[float, float]:
    chance = np.random.default_rng(1)
    by_close = {close: [case for case in found if case.close == close] for close in closes}
    drawn = []
    for _ in range(resamples):
        picked = chance.choice(closes, len(closes)).tolist()
        # Renamed, so that a market drawn twice counts as two.
        drawn.append(fit([case._replace(close=place) for place, close in enumerate(picked)
                          for case in by_close[close]]))  # fmt: skip
    low, high = np.quantile(drawn, (0.05, 0.95))
    return float(low), float(high)


def _stated(
    minutes: Minutes, model: VolatilityModel, wanted: set[int]
) -> dict[tuple[int, int], tuple[float, float]]:
    """Return P(settlement > strike) and the distance by close (minute) and minutes ahead."""
    ours, found = Volatility(model), {}
    closes = minutes.close.tolist()
    means = ((minutes.opened + minutes.high + minutes.low + minutes.close) / 4).tolist()
    first = minutes.start_s // MINUTE_S
    for place, close in enumerate(closes):
        if not close > 0:
            continue
        end = first + place + 1
        ours.add(end * MINUTE_US, round(close * 1e6))
        for ahead in AHEAD:
            # The minute before the window opens, whose mean is the strike.
            before = place + ahead - WINDOW
            if end + ahead not in wanted or before < 0 or not means[before] > 0:
                continue
            left_us = ahead * MINUTE_US
            seconds = effective_seconds(WINDOW_SAMPLES, left_us)
            spread = ours.spread(end * MINUTE_US, end * MINUTE_US + left_us, seconds)
            if spread is not None:
                ratio = close / means[before]
                distance = abs(log(ratio)) / spread.scale
                found[end + ahead, ahead] = spread.above(ratio), distance
    return found


def _clipped(p: float) -> float:
    return min(max(p, CLIP), 1 - CLIP)


_MOST_ODDS: Final = log((1 - CLIP) / CLIP)
"""Log odds of a clipped probability."""
