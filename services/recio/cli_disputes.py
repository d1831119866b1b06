"""Show what the exchange tells of an account and is not believed, and decide it.

While something is undecided the account takes no new entries (breaker:books); exits go on. What is
accepted is booked as it was told; what is discarded stays out of the books. A difference ends by
itself when both sides agree again; one of cash can be accepted, and is booked against suspense.
What was told is kept either way. Each decision is written with your name and your note.
"""

from __future__ import annotations

import argparse
import getpass
from typing import Final
from uuid import UUID

import msgspec

from recio import cli_database
from recio.adapters.postgres import disputes
from recio.domain.disputes import ACCEPTED, BOOKABLE, OPEN, Dispute, Reason, may_pass
from recio.domain.errors import Rejected
from recio.domain.units import format_time_us
from recio.ports import Database

EXAMPLES: Final = """examples:
  recio disputes paper                                   what is undecided
  recio disputes paper --all                             the decided ones, too
  recio disputes paper --accept 5f0c --note "seen on the exchange's page"
  recio disputes paper --discard 5f0c --note "support says it never happened"
"""
SHOWN: Final = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("account", help="the account")
    parser.add_argument("--all", action="store_true", help="show decided ones, too")
    decision = parser.add_mutually_exclusive_group()
    decision.add_argument("--accept", metavar="ID", help="book it as it was told")
    decision.add_argument("--discard", metavar="ID", help="leave it out of the books")
    parser.add_argument("--note", default="", help="one line on why, kept with the decision")
    cli_database.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Decide, or print a paragraph each."""
    print(cli_database.with_database(arguments, lambda database: _work(database, arguments)))
    return 0


async def _work(database: Database, arguments: argparse.Namespace) -> str:
    environment = await cli_database.environment_of(database, arguments.account)
    async with database.transaction() as tx:
        found = await disputes.newest(tx, arguments.account, SHOWN)
    beginning = arguments.accept or arguments.discard
    if not beginning:
        shown = [each for each in found if arguments.all or each.state in {OPEN, ACCEPTED}]
        return "\n\n".join(map(told, shown)) or f"nothing is disputed in {arguments.account}"
    clock = await cli_database.clock_of(database, environment)
    async with database.transaction() as tx:
        decided = await disputes.decide(
            tx,
            arguments.account,
            the_one(found, beginning),
            is_accepted=bool(arguments.accept),
            note=arguments.note,
            author=f"cli:{getpass.getuser()}",
            at_us=clock.market_us(),
        )
    then = "account sync books it now" if decided.state == ACCEPTED else "it stays out of the books"
    return f"{decided.reason} is {decided.state}: {then}"


def the_one(found: list[Dispute], beginning: str) -> UUID:
    """Return the open dispute whose id begins so.

    Raises:
        Rejected: none, or several.
    """
    matching = [
        each.dispute_id
        for each in found
        if each.state == OPEN and str(each.dispute_id).startswith(beginning)
    ]
    if len(matching) != 1:
        what = "none does" if not matching else f"{len(matching)} do"
        raise Rejected(f"expected one open dispute whose id begins with {beginning!r}: {what}")
    return matching[0]


def told(dispute: Dispute) -> str:
    """Return a dispute for a person."""
    since = f"since {format_time_us(dispute.opened_at_us)[:19]}Z"
    lines = [
        f"{dispute.dispute_id}  {dispute.reason}  {dispute.state}  {since}",
        f"  {dispute.explanation}",
        f"  told  {msgspec.json.encode(dispute.told).decode()}",
    ]
    if dispute.held:
        lines.append(f"  held  {msgspec.json.encode(dispute.held).decode()}")
    if dispute.note:
        lines.append(f"  {dispute.author}: {dispute.note}")
    if dispute.state == OPEN:
        lines.append(f"  {_choices(dispute)}")
    return "\n".join(lines)


def _choices(dispute: Dispute) -> str:
    ways = [
        *(["ends by itself when both sides agree"] if may_pass(dispute.reason) else []),
        *(["--accept"] if dispute.reason in BOOKABLE else []),
        *(["--discard"] if dispute.reason is not Reason.CASH_DIFFERS else []),
    ]
    return "you can: " + ", ".join(ways)
