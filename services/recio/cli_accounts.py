"""List the accounts with mode, generation, what trading is allowed, position and cash."""

from __future__ import annotations

import argparse
from typing import Any, Final

from recio import cli_database
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
    rows = cli_database.with_database(arguments, _rows)
    widths = [max(len(row[column]) for row in [_HEADER, *rows]) for column in range(len(_HEADER))]
    for row in (_HEADER, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    return 0


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
