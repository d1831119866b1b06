"""Judges all models on the full hours of a range of minutes, each fitted on what came before.

Which minutes a model saw is part of the result: tables that were published later than the hours have
seen them, and say so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from recio import data
from recio.domain.errors import InvalidValue
from recio.domain.fingerprints import Fingerprints
from recio.domain.volatility_model import VolatilityModel
from recio.research.models import fingerprints, hours, market, minutes, scores
from recio.research.models.hours import AHEAD, Judged, Tables
from recio.research.models.minutes import MINUTE_S, Minutes
from recio.research.models.scores import Bounds, Murphy

AT_MOST: Final = (0.2480, 0.1805, 0.1234, 0.0983, 0.0628, 0.0448, 0.0328)
AIM: Final = (0.2450, 0.1790, 0.1222, 0.0972, 0.0620, 0.0442, 0.0323)
YEAR: Final = ("2024-01-01", "2024-12-31")
"""The hours that the rows above are wanted on, of Bitcoin."""
REBUILT: Final = "fingerprints rebuilt before"
PUBLISHED: Final = "published fingerprints"
_PUBLISHED_BTC: Final = "btc_2025-07-20"
DISTANCES: Final = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, float("inf"))
"""Of strikes, in deviations of the naive model over the time left."""
Tell = Callable[[str], None]


class Hours(NamedTuple):
    """What was judged, on which minutes."""

    symbol: str
    first: str
    last: str
    model: str
    fitted: tuple[str, str]
    is_ahead: bool
    """Whether the model was fitted on earlier minutes alone."""
    deviation: float
    before: tuple[str, str]
    """The minutes that the naive model and the rebuilt tables saw."""
    judged: Judged

    def names(self) -> list[str]:
        """Return the models, worst baseline first."""
        return list(self.judged.cases.stated)


class Line(NamedTuple):
    """One model over some cases."""

    name: str
    cases: int
    log_loss: float
    murphy: Murphy
    skill: Bounds
    """Share of the naive model's log loss that is saved."""


def judge(
    folder: Path, symbol: str, content: bytes, days: tuple[str, str] = YEAR, *, tell: Tell
) -> Hours:
    """Judge a volatility artefact and the baselines on the hours of some days.

    Args:
        folder: with the minute files.
        symbol: BTC or ETH.
        content: the artefact.
        days: the first and the last, UTC.
        tell: is told what goes on.

    Raises:
        InvalidValue: no minutes of these days, or none before them.
    """
    model, (first, last) = VolatilityModel(content), days
    begin_s, end_s = day_second(first), day_second(last) + 86_400
    history = minutes.load(minutes.find(folder, symbol, last=last), symbol, progress=tell)
    before, range_ = history.between(0, begin_s), history.between(begin_s, end_s)
    if len(before.close) < hours.WARM_MINUTES or not len(range_.close):
        raise InvalidValue(
            f"expected minutes of {first} to {last} and forty days before, received "
            f"{history.first} to {history.last}"
        )
    tell(f"counting fingerprints of {before.first} to {before.last}")
    deviation = hours.deviation_of(before)
    judged = hours.judge(
        history.between(begin_s - hours.WARM_MINUTES * MINUTE_S, end_s),
        model,
        _tables(symbol, before),
        begin_s=begin_s,
        deviation=deviation,
        progress=lambda done, of: tell(f"judged {done} of {of} minutes"),
    )
    fitted = model.parameters.fitted
    return Hours(
        symbol=symbol,
        first=range_.first,
        last=range_.last,
        model=model.name,
        fitted=(fitted.first, fitted.last),
        is_ahead=fitted.last < range_.first,
        deviation=deviation,
        before=(before.first, before.last),
        judged=judged,
    )


def _tables(symbol: str, before: Minutes) -> tuple[Tables, ...]:
    wanted = fingerprints.Wanted()
    counted = fingerprints.count(before, wanted)
    rebuilt = Fingerprints(fingerprints.artefact(before, counted, wanted, ""))
    found = [Tables(REBUILT, rebuilt)]
    if symbol == "BTC":
        found.append(Tables(PUBLISHED, Fingerprints(data.fingerprints_bytes(_PUBLISHED_BTC))))
    return tuple(found)


def losses(judged: Hours, name: str) -> list[float]:
    """Return a model's mean log loss at each time to the close."""
    cases = judged.judged.cases.known_to([name])
    values = scores.log_losses(cases.stated[name], cases.is_yes)
    return [float(values[cases.ahead == ahead].mean()) for ahead in AHEAD]


def lines(judged: Hours, names: Sequence[str]) -> list[Line]:
    """Return every model over all cases together."""
    return [_line(judged.judged.cases, name, names) for name in names]


def by_distance(judged: Hours, names: Sequence[str]) -> list[tuple[str, list[Line]]]:
    """Return the same for strikes at, near and far from the price."""
    cases, found = judged.judged.cases, []
    for low, high in pairwise(DISTANCES):
        here = cases.where((cases.distance >= low) & (cases.distance < high))
        if len(here.event):
            told = f"{low:g} and more" if high == float("inf") else f"{low:g} to {high:g}"
            found.append((told, [_line(here, name, names) for name in names]))
    return found


def by_time(judged: Hours, names: Sequence[str]) -> list[tuple[int, list[Line]]]:
    """Return the same for each time to the close."""
    cases = judged.judged.cases
    return [
        (ahead, [_line(cases.where(cases.ahead == ahead), name, names) for name in names])
        for ahead in AHEAD
    ]


def by_month(judged: Hours, name: str) -> list[tuple[str, float, float]]:
    """Return (month, mean log loss, skill against the naive model) over all times."""
    cases = judged.judged.cases.known_to([name, hours.CONSTANT])
    ours = scores.log_losses(cases.stated[name], cases.is_yes)
    naive = scores.log_losses(cases.stated[hours.CONSTANT], cases.is_yes)
    months = np.array([_month(int(hour)) for hour in cases.event])
    return [
        (month, float(ours[here].mean()), 1 - float(ours[here].mean() / naive[here].mean()))
        for month in sorted(set(months.tolist()))
        for here in (months == month,)
    ]


def _month(hour: int) -> str:
    return f"{datetime.fromtimestamp((hour - 1) * 3600, UTC):%Y-%m}"


def _line(cases: scores.Cases, name: str, names: Sequence[str]) -> Line:
    """Judge one model on the cases that all of them know."""
    same = cases.known_to([*names, hours.CONSTANT])
    p, naive = same.stated[name], same.stated[hours.CONSTANT]
    values = scores.log_losses(p, same.is_yes)
    saved = scores.log_losses(naive, same.is_yes) - values
    base = float(values.mean() + saved.mean())
    gain = scores.bounds(saved, same.event)
    skill = Bounds(*(each / base for each in gain))
    murphy = scores.murphy(p, same.is_yes)
    return Line(name, len(p), float(values.mean()), murphy, skill)


def against_market(
    folder: Path, symbol: str, content: bytes, *, tell: Tell
) -> tuple[market.Trades, market.Compared]:
    """Compare an artefact with the recorded 15-minute markets of a folder.

    Raises:
        InvalidValue: no trades, or no minutes around them.
    """
    found = sorted((folder / "kalshi").glob(f"kx{symbol.lower()}15m_trades_*.csv.gz"))
    if not found:
        raise InvalidValue(f"expected kalshi/kx{symbol.lower()}15m_trades_*.csv.gz in {folder}")
    trades = market.read_trades(found)
    tell(f"read {len(trades.by_ticker)} markets")
    times = [at for rows in trades.by_ticker.values() for at, _ in (rows[0], rows[-1])]
    first, last = (f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%d}"
                   for at in (min(times), max(times)))  # fmt: skip
    files = minutes.find(folder, symbol, first, last)
    history = minutes.load(files, symbol, progress=tell)
    return trades, market.compare(trades, history, VolatilityModel(content))


def day_second(day: str) -> int:
    """Return when a day begins, in seconds since 1970.

    Raises:
        InvalidValue: it is no day.
    """
    try:
        return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise InvalidValue(f"expected a day as 2024-12-31, received {day!r}") from error
