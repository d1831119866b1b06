"""Show the daily cards of an account: what each New York day was worth after fees.

Win rate beside the one that breaks even, edge promised beside edge realised (cents a contract), the
Brier score of our chances beside that of the market's own price at the decision (the ask), slippage
beyond the ask that was seen, and the hours in which books were watched. A shadow account's card is the
result to look at before arming a prod account of the same strategy: of imagined fills at displayed
prices, without anybody who reacts to them.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Final

from recio import cli_database
from recio.adapters.postgres.day_cards import Cards, read_cards
from recio.domain.card_words import HEADER, row, summary
from recio.domain.errors import InvalidValue
from recio.ports import Database

EXAMPLES: Final = """examples:
  recio card                     every account, the last seven days
  recio card btc-shadow --days 30
"""
DAYS: Final = 7
DAYS_MOST: Final = 90


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("account", nargs="?", help="whose (all accounts)")
    parser.add_argument("--days", type=int, default=DAYS, help=f"1 to {DAYS_MOST} ({DAYS})")
    cli_database.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a table for each account."""
    if not 1 <= arguments.days <= DAYS_MOST:
        raise InvalidValue(f"--days: expected 1 to {DAYS_MOST}, received {arguments.days}")
    work = partial(_read, account=arguments.account, days=arguments.days)
    for found in cli_database.with_database(arguments, work):
        print(f"{found.account} ({found.mode})")
        _print_table([HEADER, *(row(day) for day in found.days)])
        print(f"  {summary(found.total)}\n")
    return 0


async def _read(database: Database, *, account: str | None, days: int) -> list[Cards]:
    async with database.transaction() as tx:
        rows = await tx.fetch(
            "SELECT account, environment FROM trading.accounts "
            "WHERE %s IN (account, '') AND retired_at IS NULL ORDER BY account",
            account or "",
        )
    if account and not rows:
        raise InvalidValue(f"there is no account {account!r}: see `recio accounts`")
    found = []
    for name, environment in rows:
        clock = await cli_database.clock_of(database, environment)
        async with database.transaction() as tx:
            found.append(await read_cards(tx, name, days=days, now_us=clock.market_us()))
    return found


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(one[column]) for one in rows) for column in range(len(HEADER))]
    for one in rows:
        cells = [one[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(one[1:], widths[1:], strict=True)]
        print("  " + "  ".join(cells))
