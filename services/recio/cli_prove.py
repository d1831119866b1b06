"""Simulate trading hours under faults with your own account document, and write one page about it.

Limits, strategy and topology are the document's; markets, prices and wishes are made up, nothing
outside is contacted, no key is used. The page shows how far each limit was used at worst, how long a
halt took, and which seeds to play again.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

from recio.domain.errors import Broken, InvalidValue
from recio.runtime.local.documents import read_document
from recio.simulation.campaign import played
from recio.simulation.proving import lines, page, plan_of, proof_of
from recio.simulation.run import Outcome

EXAMPLES: Final = """examples:
  recio prove -f k8s/examples/paper-account.yaml
  recio prove -f account.yaml --seeds 200 --page proof.html
  recio prove -f account.yaml --first-seed 17 --seeds 1
"""
TELL_SECONDS: Final = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("-f", "--file", type=Path, required=True, help="a TradingAccount document")
    parser.add_argument("--seeds", type=int, default=40, metavar="N", help="how many hours (40)")
    parser.add_argument("--first-seed", type=int, default=1, metavar="K", help="the first (1)")
    parser.add_argument("--jobs", type=int, metavar="N", help="workers (one for each processor)")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page as HTML")


def run(arguments: argparse.Namespace) -> int:
    """Play the seeds and show the page; return 0 if nothing was broken."""
    if arguments.seeds < 1 or arguments.first_seed < 0:
        raise InvalidValue("expected at least one seed, and no seed below 0")
    document = read_document(arguments.file)
    outcomes = _played(document, arguments)
    proof = proof_of(document, outcomes)
    print("\n".join(lines(proof)))
    if arguments.page is not None:
        command = (
            f"recio prove -f {arguments.file} --first-seed {arguments.first_seed} "
            f"--seeds {arguments.seeds}"
        )
        arguments.page.write_text(page(proof, command), encoding="utf-8")
        print(f"\nthe page: {arguments.page}")
    return 1 if proof.failed else 0


def _played(document: dict[str, Any], arguments: argparse.Namespace) -> list[Outcome]:
    wanted = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    # Made here already, so that a document that is not valid is told before anything starts.
    plans = [plan_of(document, seed) for seed in wanted]
    jobs = min(arguments.jobs or os.cpu_count() or 1, len(plans))
    _say(f"starting {jobs} workers, each with a PostgreSQL of its own")
    told_s, made = time.monotonic(), []
    for plan, reply in played(plans, jobs):
        if reply.outcome is None:
            raise Broken(f"seed {plan.seed} could not be played: {reply.error}")
        made.append(reply.outcome)
        if time.monotonic() - told_s > TELL_SECONDS:
            told_s = time.monotonic()
            _say(f"{len(made)}/{len(plans)} hours")
    return made


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
