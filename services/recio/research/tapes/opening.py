"""The one door to tapes: a text such as ``minutes:FOLDER?from=2024-01-01&until=2024-02-01``.

    kind[:path[,path…]][?option=value&…]

A kind, an option or a value that is not known is refused; the message lists what there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from recio import data
from recio.data import frames, seconds
from recio.data.frames import Frame
from recio.domain import tickers
from recio.domain.errors import InvalidValue
from recio.domain.units import CENT_E6, SECOND_US
from recio.exchange_simulator.world.regimes import REGIMES, regime_of
from recio.research.tapes import jsonl_frames
from recio.research.tapes.along_minutes import Bars, MinutesTape, Plan
from recio.research.tapes.bars import BarFiles, PackagedBars, bar_paths
from recio.research.tapes.quoted import QuotesTape
from recio.research.tapes.reading import lines
from recio.research.tapes.recorded import RecordedTape, Session
from recio.research.tapes.results import Result, read_results
from recio.research.tapes.spot import Seconds, read_seconds
from recio.research.tapes.tally import Tally
from recio.research.tapes.tape import Tape
from recio.research.tapes.trades import TradesTape

SPECS: Final[dict[str, str]] = {
    "packaged": "the packaged recording of KXBTC15M-26MAY130915-15 and its two neighbours: real books",
    "packaged-hours": (
        "hourly events with made-up seconds and quotes along packaged real minutes "
        ""
        f"[?days=7&from=2024-07-02&regime={'|'.join(REGIMES)}]"
    ),
    "recording": (
        "PATH of a kxbtc15m_ws_*.jsonl.gz, or a folder of them; btc_1s_*.csv.gz and "
        "kxbtc15m_settled_*.csv.gz are looked for beside it, or given after commas"
    ),
    "trades": (
        "PATH of a kx*15m_trades_*.csv.gz: public trades, quotes inferred from them; minutes "
        "(btc_1m_*) and results (kxbtc15m_settled_*) are looked for beside it, or given after commas"
    ),
    "quotes": "PATH of a kx*15m_quotes_*.csv.gz: recorded best bid and ask, with spot [?size=1]",
    "database": (
        "SERIES, as `recio history import` has stored it (RECIO_DATABASE_URL, or the local run's) "
        "[?from=2026-05-13&until=2026-05-14&source=&size=1]"
    ),
    "database-minutes": (
        "SERIES along the minutes that the history holds; seconds and quotes are made up "
        "[?source=&from=2024-01-01&until=2024-02-01 and the options of minutes]"
    ),
    "minutes": (
        "PATH or folder of one-minute prices; seconds and quotes are made up "
        "[?from=2024-01-01&until=2024-02-01&series=KXBTCD&regime=recorded&edge_bp=0&window=20]"
    ),
}
"""Kind of tape -> what follows it and what it is."""

_RECORDING: Final = "kxbtc15m_ws_2026-05-13T125943Z"
_SECONDS: Final = "btc_seconds_2026-05-13T12"
_SETTLED: Final = ("KXBTC15M-26MAY130900-00", "KXBTC15M-26MAY130915-15")
_RECORDINGS: Final = "kxbtc15m_ws_*"
_TRADES: Final = "kx*15m_trades_*"
_QUOTES: Final = "kx*15m_quotes_*"
_DAY_S: Final = 86_400
_PACKAGED_FROM: Final = "2024-07-02"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A spec in its parts."""

    spec: str
    kind: str
    paths: tuple[Path, ...]
    options: Mapping[str, str]
    seed: int
    series: str = ""


def open_tape(spec: str, *, seed: int = 1) -> Tape:
    """Return the tape that a spec names; ``seed`` draws what is made up.

    Raises:
        InvalidValue: not a spec, or files that are not there or not what is expected.
    """
    asked = _parsed(spec, seed)
    return _OPENERS[asked.kind](asked)


def _parsed(spec: str, seed: int) -> Asked:
    place, _, query = spec.partition("?")
    kind, _, path = place.partition(":")
    if kind not in _OPENERS:
        raise InvalidValue(f"expected a tape of {', '.join(SPECS)}; received {spec!r}")
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(options.keys() - _OPTIONS[kind])
    if unknown:
        known = ", ".join(sorted(_OPTIONS[kind])) or "none"
        raise InvalidValue(f"{spec!r}: option {unknown[0]!r} is not known to {kind} ({known})")
    if kind.startswith("database"):
        return Asked(spec=spec, kind=kind, paths=(), options=options, seed=seed, series=path)
    paths = tuple(Path(each).expanduser() for each in path.split(",") if each)
    for each in paths:
        if not each.exists():
            raise InvalidValue(f"{spec!r}: there is no {each}")
    if bool(paths) is kind.startswith("packaged"):
        words = "takes no path" if paths else f"needs a path, such as {kind}:FOLDER"
        raise InvalidValue(f"{spec!r}: {kind} {words}")
    return Asked(spec=spec, kind=kind, paths=paths, options=options, seed=seed)


def _packaged(asked: Asked) -> Tape:
    def session(tally: Tally) -> Iterator[Frame]:
        for frame in frames.load(_RECORDING):
            tally.rows += 1
            yield frame

    def prices(_: Tally) -> Seconds:
        held = seconds.load(_SECONDS)
        return ((second, cents * CENT_E6) for second, cents in sorted(held.items()))

    def results(_: Tally) -> Iterator[Result]:
        for ticker in _SETTLED:
            row = data.settled(ticker)
            yield Result(
                ticker=ticker,
                close_us=row.close_us,
                at_us=row.settled_us,
                result=row.result,
                strike_usd_e6=row.strike_usd_e6,
                settlement_usd_e6=row.settlement_usd_e6,
            )

    return RecordedTape(asked.spec, [session], prices, results)


def _recording(asked: Asked) -> Tape:
    recordings = _files(asked, _RECORDINGS)
    if not recordings:
        raise InvalidValue(f"{asked.spec!r}: no file named {_RECORDINGS} is there")
    second_files, result_files = _files(asked, "btc_1s_*"), _files(asked, "kxbtc15m_settled_*")

    def session(path: Path) -> Session:
        return lambda tally: jsonl_frames.read(lines(path, tally), tally)

    def results(tally: Tally) -> Iterator[Result]:
        for path in result_files:
            yield from read_results(path, tally)

    return RecordedTape(
        asked.spec,
        [session(path) for path in recordings],
        lambda tally: read_seconds(second_files, tally),
        results,
    )


def _trades(asked: Asked) -> Tape:
    found = _files(asked, _TRADES)
    if not found:
        raise InvalidValue(f"{asked.spec!r}: no file named {_TRADES} is there")
    prefixes = {path.name.partition("_")[0] for path in found}
    if len(prefixes) > 1:
        raise InvalidValue(
            f"{asked.spec!r}: expected trades of one series, found {len(found)} files"
        )
    prefix = prefixes.pop()
    symbol = prefix[2:5]
    result_files = _files(asked, f"{prefix}_settled_*")

    def results(tally: Tally) -> Iterator[Result]:
        for path in result_files:
            yield from read_results(path, tally)

    bar_files = _files(asked, f"{symbol}_1m_*")
    bars = BarFiles(bar_files) if bar_files else None
    return TradesTape(asked.spec, found, bars, results)


def _quotes(asked: Asked) -> Tape:
    found = _files(asked, _QUOTES)
    if not found:
        raise InvalidValue(f"{asked.spec!r}: no file named {_QUOTES} is there")
    return QuotesTape(asked.spec, found, size=_whole(asked, "size", 1, least=1, most=10_000))


def _database(asked: Asked) -> Tape:
    # Nothing else here needs a database driver, and a fresh install may lack the embedded one.
    from recio.research.history.database_tape import Wanted, database_tape  # noqa: PLC0415
    from recio.research.tapes.address import address  # noqa: PLC0415

    since_s = _day_s(asked, "from", "1970-01-01")
    until_s = _day_s(asked, "until", "2100-01-01")
    wanted = Wanted(
        series=asked.series,
        since_us=since_s * SECOND_US,
        until_us=until_s * SECOND_US,
        source=asked.options.get("source", ""),
        size=_whole(asked, "size", 1, least=1, most=10_000),
    )
    return database_tape(address(), wanted)


def _database_minutes(asked: Asked) -> Tape:
    from recio.research.history.database_bars import DatabaseBars  # noqa: PLC0415
    from recio.research.tapes.address import address  # noqa: PLC0415

    symbol = tickers.series_of(asked.series).symbol
    since_s, until_s = _day_s(asked, "from"), _day_s(asked, "until")
    bars = DatabaseBars(address(), symbol, asked.options.get("source", ""))
    return _along(asked, bars, asked.series, (since_s, until_s))


def _files(asked: Asked, pattern: str) -> list[Path]:
    """Return the files of a pattern: those that are given, else those beside or above them."""
    given = [path for path in asked.paths if path.is_file() and fnmatch(path.name, pattern)]
    if given:
        return sorted(given)
    folders = [path if path.is_dir() else path.parent for path in asked.paths]
    if pattern not in (_RECORDINGS, _TRADES, _QUOTES):
        folders += [folder.parent for folder in folders]
    for folder in folders:
        found = sorted(folder.glob(pattern))
        if found:
            return found
    return []


def _packaged_hours(asked: Asked) -> Tape:
    since_s = _day_s(asked, "from", _PACKAGED_FROM)
    days = _whole(asked, "days", 7, least=1, most=92)
    return _along(asked, PackagedBars(), "KXBTCD", (since_s, since_s + days * _DAY_S))


def _minutes(asked: Asked) -> Tape:
    series = asked.options.get("series", "KXBTCD")
    symbol = tickers.series_of(series).symbol
    since_s = _day_s(asked, "from") if "from" in asked.options else None
    until_s = _day_s(asked, "until") if "until" in asked.options else None
    period_us = tuple(None if each is None else each * SECOND_US for each in (since_s, until_s))
    found = [path for each in asked.paths for path in bar_paths(each, symbol, *period_us)]
    return _along(asked, BarFiles(found), series, (since_s, until_s))


def _along(asked: Asked, bars: Bars, series: str, period: tuple[int | None, int | None]) -> Tape:
    regime = asked.options.get("regime", "recorded")
    regime_of(regime)
    plan = Plan(
        series=series,
        since_s=period[0],
        until_s=period[1],
        regime=regime,
        edge_e4=_whole(asked, "edge_bp", 0, least=-2_000, most=2_000),
        window_s=60 * _whole(asked, "window", 20, least=1, most=60),
        seed=asked.seed,
    )
    return MinutesTape(asked.spec, bars, plan)


def _whole(asked: Asked, name: str, default: int, *, least: int, most: int) -> int:
    text = asked.options.get(name)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise InvalidValue(
            f"{asked.spec!r}: expected {name} from {least} to {most}, received {text!r}"
        )
    return value


def _day_s(asked: Asked, name: str, default: str = "") -> int:
    """Return a day (or a time of UTC on a full hour) in seconds since 1970."""
    text = asked.options.get(name, default)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidValue(
            f"{asked.spec!r}: expected {name} as 2024-01-31 or 2024-01-31T13:00, received {text!r}"
        ) from error
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    second = int(moment.timestamp())
    if second % 3600:
        raise InvalidValue(f"{asked.spec!r}: expected {name} on a full hour, received {text!r}")
    return second


_ALONG_OPTIONS: Final = frozenset({"from", "regime", "edge_bp", "window"})
_OPTIONS: Final[dict[str, frozenset[str]]] = {
    "packaged": frozenset(),
    "recording": frozenset(),
    "trades": frozenset(),
    "quotes": frozenset({"size"}),
    "database": frozenset({"from", "until", "source", "size"}),
    "packaged-hours": _ALONG_OPTIONS | {"days"},
    "database-minutes": _ALONG_OPTIONS | {"until", "source"},
    "minutes": _ALONG_OPTIONS | {"until", "series"},
}
_OPENERS: Final[dict[str, Callable[[Asked], Tape]]] = {
    "packaged": _packaged,
    "recording": _recording,
    "trades": _trades,
    "quotes": _quotes,
    "database": _database,
    "packaged-hours": _packaged_hours,
    "database-minutes": _database_minutes,
    "minutes": _minutes,
}
