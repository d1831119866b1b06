"""Stop trading, from mild to hard, or allow it again.

NoNewEntries: no new positions. ReduceOnly: exits only. Halted: everything that rests is canceled
and nothing goes out. Flatten: everything is closed, then halted. Active releases what was set here;
what the account's document or a breaker holds stays.
"""

from __future__ import annotations

import argparse
import getpass
from typing import Final

from recio import cli_database
from recio.adapters.postgres.switches import ALL_ACCOUNTS, effective_switch, set_switch
from recio.domain.account_config import Trading
from recio.ports import Database

EXAMPLES: Final = """examples:
  recio halt paper                              cancel what rests, send nothing
  recio halt --all --reason "news at 14:00"     the same for every account
  recio halt paper --to Flatten                 close everything
  recio halt paper --to Active                  trade again
"""
SOURCE: Final = "person"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("account", nargs="?", help="the account")
    whose.add_argument("--all", action="store_true", help="every account")
    parser.add_argument("--to", choices=[str(one) for one in Trading], default=str(Trading.HALTED))
    parser.add_argument("--reason", default="by hand", help="one line that others will read")
    cli_database.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Set the switch and tell what holds now."""
    print(cli_database.with_database(arguments, lambda database: _set(database, arguments)))
    return 0


async def _set(database: Database, arguments: argparse.Namespace) -> str:
    scope = ALL_ACCOUNTS if arguments.all else arguments.account
    environment = ""
    if not arguments.all:
        environment = await cli_database.environment_of(database, scope)
    clock = await cli_database.clock_of(database, environment)
    async with database.transaction() as tx:
        is_changed = await set_switch(
            tx,
            scope,
            SOURCE,
            Trading(arguments.to),
            reason=arguments.reason,
            author=f"cli:{getpass.getuser()}",
            at_us=clock.market_us(),
        )
        held = await effective_switch(tx, scope)
    whose = "all accounts" if arguments.all else f"account {scope}"
    was = "" if is_changed else " (it was so already)"
    why = f": {held.reason}" if held.reason else ""
    return f"{whose}: a person's switch is {arguments.to}{was}; in force is {held.state}{why}"
