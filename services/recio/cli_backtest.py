"""Play an account document over recorded or made-up markets, with the code that trades live.

Limits, strategy, sizing and the opening balance are the document's; orders arrive late, take what
was displayed then, and pay the exchange's fee. The folder gets one page, the trades, the curve and
every decision with its reason. Nothing outside is contacted, no database is needed.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final, Self

from recio.domain.account_config import AccountConfig, parse_account
from recio.domain.errors import InvalidValue
from recio.research import bias
from recio.research.axes import time_text
from recio.research.backtest import LATENCY_MS
from recio.research.backtest import run as play
from recio.research.report import words
from recio.research.report.decision_file import DecisionFile
from recio.research.report.writing import lines, write
from recio.research.result import Result
from recio.research.running import Job
from recio.research.tapes.opening import SPECS, open_tape
from recio.research.tapes.tape import Tape
from recio.runtime.local.documents import read_document
from recio.runtime.sandbox.client import Sandbox

EXAMPLES: Final = f"""tapes:
{chr(10).join(f"  {kind:<16}{about}" for kind, about in SPECS.items())}

examples:
  recio backtest -f k8s/examples/paper-account.yaml
  recio backtest -f account.yaml --tape 'packaged-hours?days=7&regime=jumpy' --out jumpy
  recio backtest -f account.yaml --tape recording:recordings --parquet --all-decisions
  recio backtest -f account.yaml --tape 'minutes:history?from=2024-01-01&until=2024-02-01'
  recio backtest -f mine.yaml --strategy-file strategy.py --check-bias
"""
TAPE: Final = "packaged-hours?days=7"
_TELL_SECONDS: Final = 0.5
_LINE_SECONDS: Final = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("-f", "--file", type=Path, required=True, help="a TradingAccount document")
    parser.add_argument(
        "--tape", default=TAPE, metavar="SPEC", help=f"what is played ({TAPE}); see below"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("backtest"), metavar="DIR", help="(backtest)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="draws a made-up tape (1)")
    parser.add_argument(
        "--latency-ms", type=int, default=LATENCY_MS, metavar="MS", help=f"({LATENCY_MS})"
    )
    parser.add_argument(
        "--strategy-file",
        type=Path,
        metavar="FILE",
        help="the code of a strategy of your own (beside the document: CONFIGMAP/KEY)",
    )
    parser.add_argument("--parquet", action="store_true", help="the tables as Parquet too")
    parser.add_argument(
        "--all-decisions", action="store_true", help="keep unchanged looks at a strike too"
    )
    parser.add_argument(
        "--check-bias",
        action="store_true",
        help="also look for look-ahead and for what is not repeatable",
    )


def run(arguments: argparse.Namespace) -> int:
    """Play the tape, write the folder, show the headline; 1 if a bias was found."""
    if arguments.latency_ms < 0:
        raise InvalidValue(f"expected --latency-ms from 0, received {arguments.latency_ms}")
    document = read_document(arguments.file)
    config = parse_account(document)
    tape = open_tape(arguments.tape, seed=arguments.seed)
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    decisions = out / ("decisions.parquet" if arguments.parquet else "decisions.csv.gz")
    file = _strategy_file(config, arguments.file, arguments.strategy_file)
    with (
        _sandbox(config, file) as sandbox,
        DecisionFile(decisions, everything=arguments.all_decisions) as sink,
        _Progress() as progress,
    ):
        result = play(
            config,
            tape,
            sink=sink,
            seed=arguments.seed,
            latency_ms=arguments.latency_ms,
            document=document,
            answer=None if sandbox is None else sandbox.answer,
            progress=progress.tell,
        )
    head = write(result, out, decisions=decisions, parquet=arguments.parquet)
    print("\n".join(lines(head, result)))
    if sandbox is not None and sandbox.failures:
        print(f"\nthe strategy failed {sandbox.failures} times: see strategy_failed in the funnel")
    print(f"\nthe page: {out / 'report.html'}")
    if not arguments.check_bias:
        return 0
    return _check_bias(arguments, document, config, file)


def _strategy_file(config: AccountConfig, document: Path, given: Path | None) -> Path | None:
    """Return the file of a strategy of one's own: the one given, or where `recio up` looks too.

    Raises:
        InvalidValue: a file for an account that runs the built-in strategy.
    """
    custom = config.strategy.custom
    if custom is None:
        if given is not None:
            raise InvalidValue(
                f"expected --strategy-file only with strategy.name Custom, received "
                f"{config.strategy.name.value} and {given}"
            )
        return None
    where = custom.config_map_ref
    return given or document.parent / where.name / where.key


def _sandbox(config: AccountConfig, file: Path | None) -> AbstractContextManager[Sandbox | None]:
    custom = config.strategy.custom
    if file is None or custom is None:
        return nullcontext()
    return Sandbox(file, custom.class_name, custom.parameters)


def _check_bias(
    arguments: argparse.Namespace,
    document: dict[str, Any],
    config: AccountConfig,
    file: Path | None,
) -> int:
    spec, seed, latency_ms = arguments.tape, arguments.seed, arguments.latency_ms
    make, align = bias.opener(spec, seed=seed)
    others = (seed + 1, seed + 2) if open_tape(spec, seed=seed).is_synthetic else ()

    def play_anew(config: AccountConfig, tape: Tape, **how: Any) -> Result:  # noqa: ANN401 (as play takes them)
        with _sandbox(config, file) as sandbox:
            answer = None if sandbox is None else sandbox.answer
            return play(config, tape, answer=answer, **how)

    job = Job(name="check", document=document, tape=spec, seed=seed, latency_ms=latency_ms)
    findings = bias.check(
        config,
        make,
        align=align,
        elsewhere=job if file is None else None,
        other_seeds={one: bias.opener(spec, seed=one)[0] for one in others},
        seed=seed,
        latency_ms=latency_ms,
        play=play_anew,
        tell=_say,
    )
    print("\n" + "\n".join(bias.lines(findings)))
    return 0 if findings.is_clean else 1


class _Progress:
    """One line that tells where on the tape the run is."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._told_s = self._began_s
        self._is_terminal = sys.stderr.isatty()
        self._is_shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_terminal and self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def tell(self, at_us: int) -> None:
        """Show the tape's time if the last is long enough ago."""
        now_s = time.monotonic()
        pause_s = _TELL_SECONDS if self._is_terminal else _LINE_SECONDS
        if now_s - self._told_s < pause_s:
            return
        self._told_s, self._is_shown = now_s, True
        spent = words.span(round((now_s - self._began_s) * 1e6))
        line = f"playing {time_text(at_us)[:16]} UTC, {spent}"
        if self._is_terminal:
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        else:
            _say(line)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
