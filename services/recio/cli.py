"""The command ``recio``: reads the words, loads only what the chosen command needs, runs it.

Every command has its own help with examples: ``recio COMMAND --help``. Exit status 0 is success,
1 a failure that the message explains, 2 words that were not understood, 130 an interruption.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Final

from recio.domain.errors import RecioError

_COMMANDS: Final = {
    "up": "run the whole system on this machine in paper mode",
    "run": "run services alone or together, as variables tell",
    "exchange": "run the simulated exchange alone, for any client",
    "migrate": "bring the database's schema up to date",
    "doctor": "show the effective configuration and what is wrong",
    "trace": "explain a trade from price tick to settlement",
    "why": "explain a decision in plain words, or why nothing was bought",
    "replay": "make recorded decisions again, or with other settings",
    "accounts": "list the accounts, their switches and their money",
    "card": "show what each day was worth after fees, beside the market's own price",
    "halt": "stop trading, or allow it again",
    "disputes": "show what the exchange tells and is not believed, and decide it",
    "panic": "cancel all orders and close everything, with the key alone",
    "keys": "check an API key",
    "simulate": "simulate trading hours under faults and judge the invariants",
    "prove": "the same with your own account document, and one page about it",
    "model": "build models of probability from minutes, and judge them",
    "history": "load, look at and take out a history for research",
    "backtest": "play an account document over recorded or made-up markets",
    "sweep": "try settings of an account document on a tape, judged honestly",
    "strategy": "try a strategy of your own in the closed process that live uses",
    "version": "show the versions in use",
}

INTERRUPTED: Final = 130


def main(words: Sequence[str] | None = None) -> int:
    """Run the command that the words name; return the exit status."""
    given = list(sys.argv[1:] if words is None else words)
    if not given or given[0] not in _COMMANDS:
        _parser().parse_args(given or ["--help"])
        return 2
    name, *rest = given
    command = importlib.import_module(f"recio.cli_{name}")
    own = argparse.ArgumentParser(
        prog=f"recio {name}",
        description=command.__doc__,
        epilog=command.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(own)
    return _run(command.run, own.parse_args(rest))


def _parser() -> argparse.ArgumentParser:
    listing = "\n".join(f"  {name:<10}{about}" for name, about in _COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="recio",
        usage="recio COMMAND [options]",
        description=f"A trader's own system for Kalshi's Bitcoin event contracts.\n\n{listing}",
        epilog="`recio COMMAND --help` tells the options of each, with examples.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=_COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


def _run(command: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    try:
        return command(arguments)
    except RecioError as error:
        print(f"recio: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output (head, less) has had enough.
        return 0


if __name__ == "__main__":
    sys.exit(main())
