"""Explain in plain words why a trade was or was not made.

ID is a trade (account#number as the page shows it), an intent, an order, a fill or a decision: what
was seen, which rule decided with its numbers and what it asks, what followed. --not counts the entry
decisions of a time: how many strikes failed at which gate, in the order of the gates, and which came
nearest. Decisions are recorded once a second while the window is open: the counts are looks.
`recio trace ID` tells every step with its fields.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any, Final
from uuid import UUID

import msgspec

from recio import cli_database
from recio.adapters.postgres import chain, decisions
from recio.adapters.postgres.chain import Chain
from recio.adapters.postgres.config_history import ConfigHistory, read_history
from recio.domain.errors import InvalidValue, Rejected
from recio.domain.units import parse_time_us
from recio.engine import funnel, records
from recio.engine.comparing import body_of, moment
from recio.engine.explaining import entry_lines, stop_lines, words
from recio.engine.funnel import Funnel, Funnels, Step
from recio.engine.records import EntryBody, Record
from recio.ports import Database

EXAMPLES: Final = """examples:
  recio why paper#1
  recio why 80853845-8c14-8675-9318-9b640133675b
  recio why --not
  recio why --not paper --event KXBTCD-24JUL3014
  recio why --not paper --since 2024-07-30T17:00:00Z --before 2024-07-30T18:00:00Z
"""
PAGE: Final = 2_000
TELL_SECONDS: Final = 2.0
_NOBODY: Final = UUID(int=0)
_TOLD: Final = ("intent", "audit", "order event", "fill", "settlement")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "id", nargs="?", help="trade, intent, order, fill or decision; with --not: an account (all)"
    )
    parser.add_argument("--not", action="store_true", dest="is_not", help="why nothing was bought")
    parser.add_argument("--event", metavar="E", help="with --not: only this event")
    parser.add_argument("--since", metavar="TIME", help="with --not: from this market time on")
    parser.add_argument("--before", metavar="TIME", help="with --not: up to this market time")
    parser.add_argument("--json", action="store_true", help="with --not: as JSON, for programs")
    cli_database.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation."""
    if arguments.is_not:
        return _why_not(arguments)
    if not arguments.id:
        raise InvalidValue("expected an ID such as paper#1, or --not")
    told = cli_database.with_database(arguments, lambda database: _why(database, arguments.id))
    print("\n".join(told))
    return 0


async def _why(database: Database, wanted: str) -> list[str]:
    async with database.transaction() as tx:
        found = await chain.chain(tx, wanted)
        ids = _decision_ids(found) if found is not None else _own_id(wanted)
        held = await decisions.with_ids(tx, ids)
        account = found.account if found is not None and found.account else None
        account = account or (held[0].account if held else None)
        history = None if account is None else await read_history(tx, account)
    if history is None:
        raise Rejected(
            f"nothing has the id {wanted!r}: expected a trade, intent, order, fill or decision, or "
            "account#number"
        )
    return why_lines(found, held, history)


def why_lines(found: Chain | None, held: list[Record], history: ConfigHistory) -> list[str]:
    """Return the explanation of a chain, or of a decision without one."""
    made: list[str] = []
    if found is not None:
        subject = f"trade {found.trade_id}" if found.trade_id else "an intent that became no trade"
        made += [f"account {found.account}, {subject}", ""]
    markets = {} if found is None else _markets(found)
    for record in held:
        made += [*_decision(record, markets.get(record.decision_id), history), ""]
    if found is not None:
        if not held:
            made += ["No decision of a strategy led to it: it was wished by a person.", ""]
        made += _what_followed(found)
    return made


def _decision(record: Record, market: str | None, history: ConfigHistory) -> list[str]:
    body, config = body_of(record), history.at(record.at_us)
    if isinstance(body, EntryBody):
        told = entry_lines(
            body, event=record.event_ticker, at_us=record.at_us, market=market, config=config
        )
    else:
        told = stop_lines(body, at_us=record.at_us, config=config)
    if config is None:
        told.append("The settings of that time are not known: what the gates asked is left out.")
    return [f"{record.kind.upper()} DECISION {record.decision_id}", *told]


def _what_followed(found: Chain) -> list[str]:
    made = ["WHAT FOLLOWED"]
    refused: list[str] = []
    for step in found.steps:
        if step.kind in _TOLD:
            made.append(f"{moment(step.at_us)}  {step.text}")
        if step.kind == "intent" and step.fields.get("refusal"):
            refused.append(f"The gate refused it: {step.fields['refusal']}.")
    made += refused
    if found.pnl_usd_e6 is not None:
        made.append(f"Result after fees: {found.pnl_usd_e6 / 1e6:+.4f} $.")
    return made


def _decision_ids(found: Chain) -> list[UUID]:
    wanted = (
        step.fields.get("decision_id")
        for step in found.steps
        if step.kind in {"intent", "decision"}
    )
    return list(dict.fromkeys(UUID(str(one)) for one in wanted if one))


def _markets(found: Chain) -> dict[UUID, str]:
    """Return by decision which market the chain is about."""
    intents = (step.fields for step in found.steps if step.kind == "intent")
    return {
        UUID(str(fields["decision_id"])): str(fields["market_ticker"])
        for fields in intents
        if fields.get("decision_id")
    }


def _own_id(wanted: str) -> list[UUID]:
    try:
        return [UUID(wanted)]
    except ValueError:
        return []


def _why_not(arguments: argparse.Namespace) -> int:
    counted = cli_database.with_database(arguments, lambda database: _count(database, arguments))
    if arguments.json:
        found = {account: [*one.by_event(), one.total()] for account, one in counted.items()}
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
        return 0
    for account, funnels in counted.items():
        print("\n".join(not_lines(account, funnels)))
    return 0


def not_lines(account: str, funnels: Funnels) -> list[str]:
    """Return the funnels of an account: one for each event, and all together if there are several."""
    by_event = funnels.by_event()
    if not by_event:
        return [f"account {account}: no entry decision in that time"]
    made = [f"account {account}"]
    for one in by_event:
        made += ["", *funnel_lines(one)]
    if len(by_event) > 1:
        made += ["", *funnel_lines(funnels.total())]
    return made


def funnel_lines(one: Funnel) -> list[str]:
    """Return one funnel as text."""
    made = [f"{one.name}: {one.looks:,} looks, {moment(one.since_us)} to {moment(one.until_us)}"]
    made += [_step(step, "looks", "held") for step in one.event_steps]
    if one.strikes:
        judged = one.looks - sum(step.failed for step in one.event_steps)
        made.append(f"  in the other {judged:,} looks {one.strikes:,} strikes were judged")
        made += [_step(step, "strikes", "failed") for step in one.strike_steps]
    made.append(f"  {one.passed:>9,} passed every gate and were proposed")
    return made


def _step(step: Step, of: str, verb: str) -> str:
    text = (
        f"  {step.failed:>9,} of {step.reached:>9,} {of:<7} {verb:<6} {step.gate}: "
        f"{words(step.gate)}"
    )
    if step.closest is None:
        return text
    near = step.closest
    where = f" ({near.ticker} {near.side})" if near.ticker else ""
    at = moment(near.at_us)[11:19]
    return f"{text}\n{'':>33}closest: {funnel.told(near)} at {at}{where}"


async def _count(database: Database, arguments: argparse.Namespace) -> dict[str, Funnels]:
    since_us = parse_time_us(arguments.since) if arguments.since else 0
    until_us = parse_time_us(arguments.before) if arguments.before else None
    async with database.transaction() as tx:
        rows = await tx.fetch("SELECT account FROM trading.accounts ORDER BY account")
    accounts = [str(row[0]) for row in rows]
    if arguments.id and arguments.id not in accounts:
        raise Rejected(
            f"no account is called {arguments.id!r}; there are {', '.join(accounts) or 'none'}"
        )
    made: dict[str, Funnels] = {}
    for account in [arguments.id] if arguments.id else accounts:
        counting = made[account] = Funnels()
        async with database.transaction() as tx:
            history = await read_history(tx, account)
        await _read(database, account, counting, history, (arguments.event, since_us, until_us))
    return made


async def _read(
    database: Database,
    account: str,
    counting: Funnels,
    history: ConfigHistory,
    bounds: tuple[str | None, int, int | None],
) -> None:
    event, since_us, until_us = bounds
    after: tuple[int, UUID] = (since_us, _NOBODY)
    told_s, done = time.monotonic(), 0
    while True:
        async with database.transaction() as tx:
            page = await decisions.page(tx, account, after, until_us=until_us, most=PAGE)
        for record in page:
            if record.kind == records.ENTRY and event in {None, record.event_ticker}:
                _add(counting, record, history)
        if len(page) < PAGE:
            return
        after = (page[-1].at_us, page[-1].decision_id)
        done += len(page)
        if time.monotonic() - told_s > TELL_SECONDS:
            told_s = time.monotonic()
            print(f"{done:,} decisions, at {moment(after[0])}", file=sys.stderr, flush=True)


def _add(counting: Funnels, record: Record, history: ConfigHistory) -> None:
    config: Any = history.at(record.at_us)
    if config is not None:
        body = records.read_entry(record.body)
        counting.add(record.event_ticker, record.at_us, body, funnel.asked(config))
