"""Gathers what a report about the models shows, from a folder of recordings."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from recio import data
from recio.domain.errors import InvalidValue
from recio.domain.volatility_model import VolatilityModel
from recio.research.models import minutes, recorded, yardstick
from recio.research.models.page import Found
from recio.research.models.yardstick import Tell


class Wanted(NamedTuple):
    """What to judge. ``content`` None: the packaged models; ``symbol`` None: all there are minutes of."""

    folder: Path
    symbol: str | None
    content: bytes | None
    days: tuple[str, str]
    against_market: bool
    hours: bool


def find(wanted: Wanted, *, tell: Tell) -> Found:
    """Judge everything that is wanted.

    Raises:
        InvalidValue: a model, a day or a file is not what it should be, or nothing can be judged.
    """
    symbols = _symbols(wanted)
    judged = [
        yardstick.judge(wanted.folder, symbol, _content(wanted, symbol), wanted.days, tell=tell)
        for symbol in (symbols if wanted.hours else ())
    ]
    compared = results = None
    symbol = symbols[0]
    if wanted.against_market:
        content = _content(wanted, symbol)
        _, compared = yardstick.against_market(wanted.folder, symbol, content, tell=tell)
        files = sorted((wanted.folder / "kalshi").glob(f"kx{symbol.lower()}15m_settled_*.csv.gz"))
        results = recorded.results(recorded.read_settled(files)) if files else None
    named = f" --symbol {wanted.symbol}" if wanted.symbol else ""
    also = " --against-market" if wanted.against_market else ""
    return Found(judged, compared, results, f"recio model report --data FOLDER{named}{also}")


def _symbols(wanted: Wanted) -> list[str]:
    if wanted.content is not None:
        own = VolatilityModel(wanted.content).symbol
        if wanted.symbol not in {None, own}:
            raise InvalidValue(f"expected a model of {wanted.symbol}, received one of {own}")
        return [own]
    if wanted.symbol is not None:
        return [wanted.symbol]
    first, last = wanted.days
    found = [
        name.upper() for name in data.volatility_names() if _has(wanted.folder, name, first, last)
    ]
    if not found and not wanted.hours:
        return ["BTC"]
    if not found:
        minutes.find(wanted.folder, "BTC", first, last)
    return found


def _has(folder: Path, name: str, first: str, last: str) -> bool:
    try:
        return bool(minutes.find(folder, name, first, last))
    except InvalidValue:
        return False


def _content(wanted: Wanted, symbol: str) -> bytes:
    return wanted.content or data.volatility_bytes(symbol.lower())
