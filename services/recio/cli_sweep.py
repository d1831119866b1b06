"""Try settings of an account document on a tape: a grid, over all processors, judged honestly.

Every combination of the --grid values is one backtest with the live code. Then the tape is walked
forward: each part is traded with the settings that were best before it. The page says how much of
the best result luck explains. What is finished is kept in the folder, so an interrupted sweep goes on
where it was.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any, Final, Self

from recio.domain.account_config import parse_account
from recio.domain.errors import InvalidValue
from recio.research.axes import time_text
from recio.research.backtest import LATENCY_MS
from recio.research.grid import GridAxis, GridCell, cells, parse_axis, value_text
from recio.research.report import words
from recio.research.report.sweep_page import lines, write_sweep
from recio.research.running import own_strategy
from recio.research.sweep import Asked, Progress, sweep
from recio.research.tapes.opening import SPECS, open_tape
from recio.research.walking import BY, Tried, judge
from recio.runtime.local.documents import read_document

EXAMPLES: Final = f"""tapes:
{chr(10).join(f"  {kind:<16}{about}" for kind, about in SPECS.items())}

examples:
  recio sweep -f account.yaml --tape 'packaged-hours?days=7' \\
      --grid strategy.autoEntry.minProbabilityPermille=900,950,970 --out sweep
  recio sweep -f account.yaml --tape 'minutes:history?from=2024-01-01&until=2024-02-01' \\
      --grid strategy.model=Fingerprints,Volatility \\
      --grid strategy.autoEntry.minNetEdgeBasisPoints=25,50,100 --folds 6 --out sweep
"""
_BAR: Final = 24
_TELL_SECONDS: Final = 0.5
_LINE_SECONDS: Final = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("-f", "--file", type=Path, required=True, help="a TradingAccount document")
    parser.add_argument("--tape", required=True, metavar="SPEC", help="what is played; see below")
    parser.add_argument(
        "--grid",
        action="append",
        required=True,
        metavar="PATH=A,B",
        help="a field of the document's spec and the values to try; may be given again",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where all is kept")
    parser.add_argument(
        "--folds", type=int, default=4, metavar="N", help="later parts to judge (4)"
    )
    parser.add_argument("--by", choices=BY, default=BY[0], help="what is best (profit)")
    parser.add_argument("--jobs", type=int, metavar="N", help="workers (one for each processor)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="draws a made-up tape (1)")
    parser.add_argument(
        "--latency-ms", type=int, default=LATENCY_MS, metavar="MS", help=f"({LATENCY_MS})"
    )
    parser.add_argument(
        "--strategy-file", type=Path, metavar="FILE", help="the code of a strategy of your own"
    )
    parser.add_argument("--again", action="store_true", help="play what is finished once more")


def run(arguments: argparse.Namespace) -> int:
    """Play the grid and write the page."""
    document, axes, wanted = _asked_for(arguments)
    asked = Asked(
        tape=arguments.tape,
        seed=arguments.seed,
        latency_ms=arguments.latency_ms,
        strategy_file=str(arguments.strategy_file or ""),
    )
    with Bar() as bar:
        tried = sweep(
            wanted,
            asked,
            arguments.out,
            jobs=arguments.jobs or os.cpu_count() or 1,
            again=arguments.again,
            tell=bar.tell,
            warn=_say,
        )
    judgement = judge(tried, folds=arguments.folds, by=arguments.by, seed=arguments.seed)
    about = {"account": parse_account(document).name, **_about(arguments, axes, tried)}
    write_sweep(arguments.out, tried, judgement, axes, about)
    print("\n".join(lines(tried, judgement)))
    print(f"\nthe page: {arguments.out / 'sweep.html'}")
    return 0


def _asked_for(
    arguments: argparse.Namespace,
) -> tuple[dict[str, Any], list[GridAxis], list[GridCell]]:
    """Return the document, the axes and the cells; everything wrong is told before a run starts."""
    if arguments.folds < 1 or (arguments.jobs is not None and arguments.jobs < 1):
        raise InvalidValue("expected --folds and --jobs from 1")
    if arguments.latency_ms < 0:
        raise InvalidValue(f"expected --latency-ms from 0, received {arguments.latency_ms}")
    document = read_document(arguments.file)
    parse_account(document)
    axes = [parse_axis(text) for text in arguments.grid]
    wanted = cells(document, axes)
    open_tape(arguments.tape, seed=arguments.seed)
    for cell in wanted:
        with own_strategy(parse_account(cell.document), arguments.strategy_file):
            pass
    return document, axes, wanted


def _about(
    arguments: argparse.Namespace, axes: list[GridAxis], tried: list[Tried]
) -> dict[str, str]:
    coverage = tried[0].found.coverage
    made = {axis.path: ", ".join(map(value_text, axis.values)) for axis in axes}
    if arguments.strategy_file is not None:
        made["strategy"] = str(arguments.strategy_file)
    return made | {
        "tape": arguments.tape,
        "from": f"{time_text(coverage.first_us)} UTC",
        "to": f"{time_text(coverage.last_us)} UTC",
        "covered": words.share(coverage.share, 2),
        "rows not used": f"{sum(coverage.refused.values()):,}",
        "best by": arguments.by,
        "seed": str(arguments.seed),
        "latency of an order": f"{arguments.latency_ms} ms",
        "processor time": f"{sum(one.found.cpu_seconds for one in tried):,.0f} s",
    }


class Bar:
    """One line that tells how far a sweep is; many lines where nobody sees it move."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._told_s = 0.0
        self._is_terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_terminal:
            print(file=sys.stderr)

    def tell(self, progress: Progress) -> None:
        """Show a step if the last is long enough ago, or if it is the last."""
        now_s = time.monotonic()
        pause_s = _TELL_SECONDS if self._is_terminal else _LINE_SECONDS
        if progress.done < progress.whole and now_s - self._told_s < pause_s:
            return
        self._told_s = now_s
        line = bar_line(progress, now_s - self._began_s)
        print(f"\r{line}\x1b[K" if self._is_terminal else line, end="", file=sys.stderr)
        if not self._is_terminal:
            print(file=sys.stderr)
        sys.stderr.flush()


def bar_line(progress: Progress, seconds: float) -> str:
    """Return how far a sweep is after so many seconds."""
    share = progress.done / progress.whole
    made = progress.done - progress.kept
    bar = ("#" * round(share * _BAR)).ljust(_BAR, ".")
    line = f"[{bar}] {progress.done}/{progress.whole} settings"
    if progress.kept:
        line += f", {progress.kept} from before"
    if progress.done == progress.whole:
        return f"{line}, {words.span(round(seconds * 1e6))}"
    if made:
        left_s = seconds / made * (progress.whole - progress.done)
        line += f", {words.span(round(left_s * 1e6))} left"
    playing = [time_text(at_us)[:16] for at_us in progress.playing_us if at_us]
    return f"{line}; playing {', '.join(playing)}" if playing else line


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
