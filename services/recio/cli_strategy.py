"""Try a strategy of your own before an account runs it: load it, ask it, and ask it again.

It runs in the same closed process as live: what it may not do there, it may not do here. The questions
are hand-made pictures of one hourly event, ten minutes before its close; what it is worth only a
backtest can tell (`recio backtest`), and that only about the past.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Final

from recio.domain.errors import InvalidValue, StrategyFailed
from recio.domain.proposals import View
from recio.runtime.sandbox import checking
from recio.runtime.sandbox.client import Sandbox
from recio.testing import pictures
from recio.testing.views import seen

EXAMPLES: Final = """examples:
  recio strategy k8s/examples/steady/strategy.py --class Steady
  recio strategy mine.py --class Mine --parameter edge=40 --parameter calm=20
"""
PICTURES: Final = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", type=Path, help="the Python file")
    parser.add_argument("--class", dest="class_name", required=True, help="the class in it")
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=TEXT", help="as in the document"
    )


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if it answered every question, and alike both times."""
    parameters = dict(_parameter(text) for text in arguments.parameter)
    views = _views()
    try:
        _ask(arguments.file, arguments.class_name, parameters, views)
    except StrategyFailed as error:
        print(f"refused: {error}")
        return 1
    found = checking.differences(arguments.file, arguments.class_name, parameters, views)
    for difference in found:
        print(f"not the same twice: {difference}")
    if not found:
        print(f"the same {len(views)} questions asked again got the same answers")
    return 1 if found else 0


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise InvalidValue(f"--parameter: expected NAME=TEXT, received {text!r}")
    return name, value


def _views() -> list[View]:
    """Return pictures in which time passes, prices move a little, and bursts come and go."""
    made, picture = [], pictures.PICTURE
    for number in range(PICTURES):
        score_e6 = 20_000 * (number % 21 - 10)
        row = picture.rows[1]
        ask = 9_000 + 50 * (number % 17)
        moved = pictures.with_row(picture, row.ticker, yes_ask_e4=ask, yes_bid_e4=ask - 200)
        picture = pictures.later(moved, 1, momentum=pictures.momentum(score_e6))
        made.append(seen(picture))
    return made


def _ask(file: Path, class_name: str, parameters: dict[str, str], views: list[View]) -> None:
    with Sandbox(file, class_name, parameters) as sandbox:
        sandbox.start()
        print(f"loaded {sandbox.source.name} behind: {', '.join(sandbox.walls)}")
        began_s = time.monotonic()
        answers = [sandbox.ask(view) for view in views]
        mean_us = (time.monotonic() - began_s) / len(views) * 1e6
    proposals = sum(len(answer) for answer in answers)
    print(f"{len(views)} questions, {proposals} proposals, {mean_us:.0f} us each")
    for one in next((answer for answer in answers if answer), ()):
        print(
            f"  such as: {one.contracts} {one.side} of {one.market_ticker} at its own "
            f"{one.p_e6 / 10_000:.1f} %" + (f" ({one.reason})" if one.reason else "")
        )
