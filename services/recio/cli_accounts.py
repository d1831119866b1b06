"""List the accounts with mode, generation, what trading is allowed, position and cash.

Below a prod account stands what a shadow account of the same strategy and series would have earned.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from recio import cli_database
from recio.adapters.postgres.day_cards import shadow_words
from recio.adapters.postgres.switches import effective_switch
from recio.domain.units import format_scaled
from recio.ports import Database, Transaction

EXAMPLES: Final = "examples:\n  recio accounts\n  recio accounts --state /var/lib/recio\n"

_HEADER: Final = ("account", "mode", "generation", "trading", "open trades", "cash", "reason")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    cli_database.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print one line each."""
    rows, shadows = cli_database.with_database(arguments, _all)
    widths = [max(len(row[column]) for row in [_HEADER, *rows]) for column in range(len(_HEADER))]
    for row in (_HEADER, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    for line in shadows:
        print(line)
    return 0


async def _all(database: Database) -> tuple[list[tuple[str, ...]], list[str]]:
    return await _rows(database), await _shadows(database)


async def _shadows(database: Database) -> list[str]:
    """Return what is known of each prod account's strategy without money."""
    async with database.transaction() as tx:
        accounts = await tx.fetch(
            "SELECT account, environment FROM trading.accounts "
            "WHERE mode = 'prod' AND retired_at IS NULL ORDER BY account"
        )
    lines = []
    for name, environment in accounts:
        clock = await cli_database.clock_of(database, environment)
        async with database.transaction() as tx:
            told = await shadow_words(tx, name, now_us=clock.market_us())
        lines.append(f"{name}: {told}")
    return lines


async def _rows(database: Database) -> list[tuple[str, ...]]:
    async with database.transaction() as tx:
        accounts = await tx.fetch(
            "SELECT account, mode, coalesce((SELECT max(generation) FROM trading.account_config c "
            "WHERE c.account = a.account), 0), (SELECT count(*) FROM trading.trades t "
            "WHERE t.account = a.account AND t.state IN ('open', 'closing', 'expired')) "
            "FROM trading.accounts a WHERE retired_at IS NULL ORDER BY account"
        )
        return [await _row(tx, account) for account in accounts]


async def _row(tx: Transaction, account: tuple[Any, ...]) -> tuple[str, ...]:
    name, mode, generation, open_trades = account
    held = await effective_switch(tx, name)
    balance = await tx.fetch_one("SELECT cash_usd_e6 FROM trading.totals WHERE account = %s", name)
    cash = "unknown" if balance is None else f"${format_scaled(balance[0], 6)}"
    return (name, mode, str(generation), str(held.state), str(open_trades), cash, held.reason)
