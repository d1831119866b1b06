"""Explain a trade from the price tick it was decided on to its settlement, or a refused intent.

ID is any id of the chain (trade, intent, order, fill, decision), or account#number as the page
shows it. Times are market time; amounts are exact.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

import msgspec

from recio import cli_database
from recio.adapters.postgres import chain
from recio.adapters.postgres.chain import Chain
from recio.domain.errors import Rejected
from recio.domain.units import format_time_us
from recio.ports import Database

EXAMPLES: Final = """examples:
  recio trace paper#1
  recio trace 80853845-8c14-8675-9318-9b640133675b --fields
  recio trace paper#1 --json | jq .
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("id", help="trade, intent, order, fill or decision; or account#number")
    parser.add_argument("--fields", action="store_true", help="with every field of every step")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    cli_database.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the chain, oldest first."""
    found = cli_database.with_database(arguments, lambda database: _chain(database, arguments.id))
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(found, enc_hook=str)).decode())
        return 0
    for line in lines(found, has_fields=arguments.fields):
        print(line)
    return 0


def lines(found: Chain, *, has_fields: bool) -> list[str]:
    """Return the chain as text for a person."""
    subject = f"trade {found.trade_id}" if found.trade_id else "an intent that became no trade"
    made = [f"account {found.account}, {subject}"]
    for step in found.steps:
        made.append(f"{format_time_us(step.at_us)}  {step.kind:<11}  {step.text}")
        if has_fields:
            made += [f"{'':28}  {name} = {_shown(value)}" for name, value in step.fields.items()]
    return made


def _shown(value: Any) -> str:  # noqa: ANN401 (a field of any row)
    is_text = isinstance(value, str)
    return value if is_text else msgspec.json.encode(value, enc_hook=str).decode()


async def _chain(database: Database, wanted: str) -> Chain:
    async with database.transaction() as tx:
        found = await chain.chain(tx, wanted)
    if found is None:
        raise Rejected(
            f"nothing has the id {wanted!r}: expected a trade, intent, order, fill or decision, or "
            "account#number"
        )
    return found
