"""Make every recorded decision again from what its service saw, and say where it is not the same.

Without FILE the database is replayed; --export writes one portable file, which needs no database.
Intents and decisions are compared byte by byte, the coordinator's snapshots by checksum. What cannot
be compared (a crash, a gap, a beginning that retention has removed) is a hole: it is counted, and
nothing is claimed of it. Exit status 0: everything that can be compared is equal.

--what-if decides with other settings and lists what would have been otherwise. It knows what really
followed, not what an additional trade would have led to: `recio backtest` plays that.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from recio import cli_database
from recio.adapters.postgres import recorded
from recio.adapters.postgres.recorded import Wanted
from recio.domain.errors import InvalidValue, Rejected
from recio.domain.intents import Purpose
from recio.domain.units import parse_time_us
from recio.engine.comparing import moment, sentence
from recio.engine.export import Kept
from recio.engine.replaying import HOSTS, HostReport, Replaying, Report
from recio.engine.until import Reached, Until
from recio.engine.what_if import CHANGED, NOT_MADE, Otherwise, WhatIf, setting
from recio.ports import Database
from recio.runtime import recording
from recio.runtime.revision import deciding_code

EXAMPLES: Final = """examples:
  recio replay                                     the database of the local run
  recio replay --account paper --export day.journal
  recio replay day.journal
  recio replay day.journal --until 80853845-8c14-8675-9318-9b640133675b
  recio replay day.journal --what-if risk.maxOpenTrades=1
  recio replay --what-if strategy.autoEntry.minNetEdgeBasisPoints=50
"""
TELL_SECONDS: Final = 2.0
SHOWN: Final = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="what --export wrote")
    parser.add_argument("--export", type=Path, metavar="FILE", help="write a file, replay nothing")
    parser.add_argument("--account", metavar="A", help="of the database: only this account (all)")
    parser.add_argument("--since", metavar="TIME", help="of the database: sessions that go on then")
    parser.add_argument("--before", metavar="TIME", help="of the database: nothing after it")
    parser.add_argument(
        "--host", action="append", choices=HOSTS, help="compare only this service; may be repeated"
    )
    parser.add_argument(
        "--until", metavar="ID", help="stop at this decision or intent and show the state then"
    )
    parser.add_argument(
        "--what-if", action="append", metavar="SETTING=VALUE", help="decide with another setting"
    )
    parser.add_argument(
        "--artefact", action="append", type=Path, metavar="FILE", default=[],
        help="fingerprints or a volatility model of your own, as the coordinator was given it",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="the report as JSON, for programs")
    cli_database.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Replay or export; return 0 if everything that can be compared is equal."""
    if arguments.export is not None:
        return _export(arguments)
    what_if = WhatIf([setting(text) for text in arguments.what_if or ()])
    until = Until(_id(arguments.until)) if arguments.until else None
    if until is not None and arguments.what_if:
        raise InvalidValue("expected --until or --what-if, received both")
    replaying = Replaying(
        code=deciding_code(),
        hosts=frozenset(arguments.host or HOSTS),
        watcher=until or (what_if if arguments.what_if else None),
    )
    report = _replayed(arguments, replaying)
    if until is not None:
        return _show_reached(until.reached, arguments.until)
    if arguments.what_if:
        print("\n".join(what_if_lines(what_if, arguments.what_if)))
        return 0
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        print("\n".join(lines(report)))
    return 0 if report.is_equal else 1


def _replayed(arguments: argparse.Namespace, replaying: Replaying) -> Report:
    progress = _Progress()
    for path in arguments.artefact:
        replaying.take(recording.artefact_file(path))
    if arguments.file is not None:
        for frame in recording.of_file(arguments.file, progress.bytes):
            replaying.take(frame)
            if replaying.is_stopped:
                break
        return replaying.finish()
    return cli_database.with_database(
        arguments, lambda database: _from_database(database, arguments, replaying, progress)
    )


async def _from_database(
    database: Database, arguments: argparse.Namespace, replaying: Replaying, progress: _Progress
) -> Report:
    wanted = await _wanted(database, arguments)
    chosen = await recording.sessions(database, wanted)
    total, done = sum(one.batches for one in chosen), 0
    async for frame in recording.of_database(database, wanted, chosen):
        replaying.take(frame)
        done += isinstance(frame, Kept)
        progress.batches(done, total)
        if replaying.is_stopped:
            break
    return replaying.finish()


def _export(arguments: argparse.Namespace) -> int:
    progress = _Progress()
    own = [recording.artefact_file(path) for path in arguments.artefact]

    async def work(database: Database) -> tuple[str, int]:
        wanted = await _wanted(database, arguments)
        return await recording.write_file(database, wanted, arguments.export, progress.batches, own)

    digest, size = cli_database.with_database(arguments, work)
    print(f"{arguments.export}: {size:,} bytes, last digest {digest}")
    return 0


async def _wanted(database: Database, arguments: argparse.Namespace) -> Wanted:
    return Wanted(
        accounts=await recorded.environments(database, arguments.account),
        since_us=parse_time_us(arguments.since) if arguments.since else None,
        until_us=parse_time_us(arguments.before) if arguments.before else None,
    )


def lines(report: Report) -> list[str]:
    """Return a report as text for a person."""
    made = [_heading(), *(_row(host) for host in report.hosts), ""]
    for host in report.hosts:
        made += _remarks(host)
    made += _code_lines(report)
    different = sum(len(host.differences) for host in report.hosts)
    damaged = sum(len(host.damage) for host in report.hosts)
    compared = sum(host.compared for host in report.hosts)
    if not compared:
        made.append("nothing could be compared")
    elif different or damaged:
        made.append(f"NOT EQUAL: {different} differences, {damaged} damaged places")
    else:
        made.append(f"equal: {compared:,} decisions, intents and snapshots, to the byte")
    return made


_COLUMNS: Final = ("sessions", "events", "made", "compared", "equal", "in holes")


def _heading() -> str:
    return f"{'':<40}" + "".join(f"{name:>11}" for name in _COLUMNS)


def _row(host: HostReport) -> str:
    numbers = (host.sessions, host.events, host.made, host.compared, host.equal, host.in_holes)
    name = f"{host.host} ({host.owner})"
    return f"{name:<40}" + "".join(f"{number:>11,}" for number in numbers)


def _remarks(host: HostReport) -> list[str]:
    made = [f"damaged: {text}" for text in host.damage]
    for hole in host.holes:
        end = "the end" if hole.until_us is None else moment(hole.until_us)
        since = moment(hole.since_us)
        made.append(f"hole in {host.host} from {since} to {end}: {hole.reason}")
    if host.unwritten:
        made.append(f"{host.host}: {host.unwritten} made just before a hole and not stored")
    if host.failed:
        made.append(f"{host.host}: {host.failed} not stored, as the service noted itself")
    made += [f"different: {sentence(one)}" for one in host.differences[:SHOWN]]
    if len(host.differences) > SHOWN:
        made.append(f"… and {len(host.differences) - SHOWN} more of {host.host}")
    return made


def _code_lines(report: Report) -> list[str]:
    others = sorted({code for host in report.hosts for code in host.codes} - {report.code})
    if not others:
        return []
    told = ", ".join(others)
    return [
        f"recorded by other code ({told}; this is {report.code}): differences may come from that"
    ]


def what_if_lines(what_if: WhatIf, settings: list[str]) -> list[str]:
    """Return what would have been otherwise as text for a person."""
    found = what_if.results()
    counts = f"{what_if.made} intents were made, {what_if.made_now} would be now"
    made = [f"what if {', '.join(settings)}: {counts}"]
    made += [_otherwise(one) for one in found[: SHOWN * 5]]
    if len(found) > SHOWN * 5:
        made.append(f"… and {len(found) - SHOWN * 5} more")
    gates = Counter(one.gate for one in found if one.kind == NOT_MADE)
    if gates:
        told = ", ".join(f"{gate} {count}" for gate, count in gates.most_common())
        made.append(f"not made, by the first gate: {told}")
    if not found:
        made.append("nothing would have been decided otherwise")
    made.append(
        "Trades are those that really followed: what an additional entry would have led to is not "
        "known here, `recio backtest` plays it."
    )
    return made


def _otherwise(one: Otherwise) -> str:
    intent = one.intent
    verb = "buy" if intent.purpose is Purpose.ENTRY else "sell"
    wish = (
        f"{verb} {intent.qty_e2 / 100:g} {intent.side} of {intent.market_ticker} at "
        f"{intent.limit_price_e4 / 100:g} cents"
    )
    told = {NOT_MADE: f"by {one.gate}", CHANGED: one.detail}.get(one.kind, one.detail)
    times = f" ({one.times} times)" if one.times > 1 else ""
    ending = f": {told}" if told else ""
    return f"{moment(intent.at_us)}  {one.kind:<14} {wish}{ending}{times}"


def _show_reached(reached: Reached | None, wanted: str) -> int:
    if reached is None:
        raise Rejected(
            f"the replay makes no decision and no intent {wanted}: it lies in a hole, belongs to "
            "another recording, or is not the wish of a strategy"
        )
    print(f"{reached.host} of {reached.owner} makes {wanted}:")
    print(_pretty(reached.made))
    print("\nthe state of its fold then:")
    print(_pretty(reached.state))
    return 0


def _pretty(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode()


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidValue(
            f"--until: expected the id of a decision or an intent, received {text!r}"
        ) from error


class _Progress:
    """Tells how far it is, to whoever looks at the terminal."""

    def __init__(self) -> None:
        self._told_s = time.monotonic()

    def batches(self, done: int, total: int) -> None:
        """Tell batches."""
        self._tell(f"{done:,}/{total:,} batches")

    def bytes(self, done: int, total: int) -> None:
        """Tell bytes."""
        self._tell(f"{done / 1e6:.1f}/{total / 1e6:.1f} MB")

    def _tell(self, text: str) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s > TELL_SECONDS:
            self._told_s = now_s
            print(text, file=sys.stderr, flush=True)
