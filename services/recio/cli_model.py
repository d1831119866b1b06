"""Build models of probability from minutes of the past, and judge them on minutes they never saw.

build    count momentum fingerprints anew from one-minute prices
report   judge the models on minutes that they never saw, and beside recorded markets
blend    fit how far the market's own price is moved towards the volatility model's
"""

from __future__ import annotations

import argparse
import json
import lzma
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from recio import data
from recio.domain.errors import InvalidValue
from recio.domain.fingerprints import BASELINE, DOWN, UP, Fingerprints
from recio.domain.units import SECOND_US
from recio.runtime.clock import wall_us

EXAMPLES: Final = """examples:
  recio model build btc_1m_2024-*.csv.gz --out btc.fingerprints
  recio model build eth.parquet --symbol ETH --half-life-days 365 --out eth.fingerprints.xz
  recio model report --data recordings/ --out report.html --against-market
  recio model blend --data recordings/ --out volatility_btc.json

A coordinator reads the tables with
RECIO_UNIFIED_PRODUCTION_COORDINATOR_FINGERPRINTS=/path/btc.fingerprints; accounts then use them
with spec.strategy.model: Fingerprints.
"""
_PROGRESS_STEPS: Final = 10
_SHOWN: Final = ((1, 5), (2, 5), (15, 25), (60, 50))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help="count fingerprints anew from one-minute prices")
    build.add_argument("files", nargs="+", type=Path, metavar="FILE",
                       help="CSV, CSV.gz or Parquet with ts,open,high,low,close")  # fmt: skip
    build.add_argument("--out", type=Path, required=True, metavar="FILE",
                       help="the artefact; compressed if it ends in .xz")  # fmt: skip
    build.add_argument("--symbol", choices=("BTC", "ETH"), default="BTC")
    build.add_argument("--first", default="", metavar="DAY", help="leave out what is before, UTC")
    build.add_argument("--last", default="", metavar="DAY", help="leave out what is after, UTC")
    build.add_argument("--half-life-days", type=float, metavar="N",
                       help="older minutes weigh less (default: all weigh the same)")  # fmt: skip
    build.add_argument("--least-cases", type=int, default=100, metavar="N",
                       help="cases an hour apart; with fewer, momentum buckets are pooled (100)")  # fmt: skip
    build.set_defaults(act=_build)
    report = actions.add_parser("report", help="judge the models; writes a page with plots")
    _add_data(report)
    report.add_argument("--model", type=Path, metavar="FILE",
                        help="a volatility artefact (the packaged ones)")  # fmt: skip
    report.add_argument(
        "--first", default="2024-01-01", metavar="DAY", help="first day judged, UTC"
    )
    report.add_argument("--last", default="2024-12-31", metavar="DAY", help="last day judged, UTC")
    report.add_argument("--against-market", action="store_true",
                        help="also beside the recorded markets' own prices, with the blend")  # fmt: skip
    report.add_argument("--only-market", action="store_true", help="nothing else, which is quick")
    report.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page, HTML")
    report.add_argument("--figures", type=Path, metavar="FILE", help="its numbers, JSON")
    report.set_defaults(act=_report)
    blend = actions.add_parser("blend", help="fit the weight of a blend with the market")
    _add_data(blend)
    blend.add_argument("--model", type=Path, metavar="FILE",
                       help="a volatility artefact (the packaged one)")  # fmt: skip
    blend.add_argument("--out", type=Path, required=True, metavar="FILE",
                       help="the same artefact with the weight")  # fmt: skip
    blend.add_argument("--source", default="", metavar="TEXT",
                       help="where the trades come from (their files' names)")  # fmt: skip
    blend.set_defaults(act=_blend)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER",
                        help="<symbol>_1m_<from>_<to>.csv.gz, and in kalshi/ the recorded markets")  # fmt: skip
    parser.add_argument("--symbol", choices=("BTC", "ETH"), default=None,
                        help="BTC or ETH (report: both, where there are minutes; blend: BTC)")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Do what the words name."""
    act: Callable[[argparse.Namespace], int] = arguments.act
    return act(arguments)


def _report(arguments: argparse.Namespace) -> int:
    try:
        from recio.research.models import page, reporting  # noqa: PLC0415  (numpy)
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    wanted = reporting.Wanted(
        folder=arguments.data,
        symbol=arguments.symbol,
        content=None if arguments.model is None else _model(arguments.model, ""),
        days=(arguments.first, arguments.last),
        against_market=arguments.against_market or arguments.only_market,
        hours=not arguments.only_market,
    )
    found = reporting.find(wanted, tell=_say)
    print("\n".join(page.lines(found)))
    arguments.out.write_text(page.html(found), encoding="utf-8")
    if arguments.figures is not None:
        document = json.dumps(page.figures(found), indent=1, ensure_ascii=False)
        arguments.figures.write_text(document + "\n", encoding="utf-8")
    print(f"\nthe page: {arguments.out}")
    return 0


def _blend(arguments: argparse.Namespace) -> int:
    try:
        from recio.research.models import blending, yardstick  # noqa: PLC0415  (numpy)
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    symbol: str = arguments.symbol or "BTC"
    content = _model(arguments.model, symbol)
    trades, compared = yardstick.against_market(arguments.data, symbol, content, tell=_say)
    made = blending.with_blend(content, compared, trades, day=_today(), source=arguments.source)
    arguments.out.write_bytes(made)
    low, high = compared.weight_band
    print(f"{compared.markets} markets, {compared.first} to {compared.last}: weight of the model "
          f"{compared.weight:g} (90 % of resamples: {low:g} to {high:g})")  # fmt: skip
    print(f"wrote {arguments.out}: {len(made)} bytes")
    return 0


def _model(path: Path | None, symbol: str) -> bytes:
    if path is None:
        return data.volatility_bytes(symbol.lower())
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidValue(f"{path}: cannot be read: {error.strerror}") from error


def _today() -> str:
    return datetime.fromtimestamp(wall_us() // SECOND_US, UTC).date().isoformat()


def _build(arguments: argparse.Namespace) -> int:
    try:
        from recio.research.models import fingerprints, minutes  # noqa: PLC0415  (numpy)
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    half_life, least = arguments.half_life_days, arguments.least_cases
    if (half_life is not None and not 0 < half_life < float("inf")) or least < 1:
        raise InvalidValue("expected a half-life above 0 days and at least 1 case")
    history = minutes.load(arguments.files, arguments.symbol, progress=_say)
    if arguments.first or arguments.last:
        history = history.between(_second(arguments.first or "1970-01-01"),
                                  _second(arguments.last or "2200-01-01") + 86_400)  # fmt: skip
    _say(f"{len(history.close)} minutes from {history.first} to {history.last}, "
         f"{history.missing} of them missing")  # fmt: skip
    wanted = fingerprints.Wanted(half_life, least)
    counted = fingerprints.count(history, wanted, progress=_Steps())
    content = fingerprints.artefact(history, counted, wanted, _today())
    read = Fingerprints(content)  # what a service would refuse is refused here
    is_packed = arguments.out.suffix == ".xz"
    arguments.out.write_bytes(lzma.compress(content) if is_packed else content)
    print("\n".join(_summary(read)))
    print(f"\nwrote {arguments.out}: {arguments.out.stat().st_size} bytes, {read.name}")
    return 0


def _summary(read: Fingerprints) -> list[str]:
    """Return what was counted, as a person reads it."""
    lines = ["share of moves (up | down, 90 % interval)"]
    for minute, threshold in _SHOWN:
        sides = []
        for direction in (UP, DOWN):
            low, high = read.bounds(BASELINE, minute, threshold, direction) or (0.0, 0.0)
            share = read.cell(BASELINE, minute, threshold, direction)
            sides.append(f"{share / 100:.2f} % ({low / 100:.2f} … {high / 100:.2f})")
        lines.append(f"  {minute:2} min {threshold / 100:.2f} %   {' | '.join(sides)}")
    named = zip(read.header.buckets, read.header.pooled, strict=True)
    wide = {bucket: width for bucket, width in named if width}
    if wide:
        told = ", ".join(f"{bucket} (±{width})" for bucket, width in wide.items())
        lines.append(f"few cases, pooled with the neighbours: {told}")
    return lines


class _Steps:
    """Tells every tenth of the work."""

    def __init__(self) -> None:
        self._told = 0

    def __call__(self, done: int, total: int) -> None:
        step = done * _PROGRESS_STEPS // total
        if step > self._told:
            self._told = step
            _say(f"counted {done} of {total} minutes")


def _second(day: str) -> int:
    try:
        return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise InvalidValue(f"expected a day as 2024-12-31, received {day!r}") from error


def _missing(error: ModuleNotFoundError) -> InvalidValue:
    return InvalidValue(
        f"recio model needs {error.name}, which is not installed: pip install 'recio[research]'"
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
