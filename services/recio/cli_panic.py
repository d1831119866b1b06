"""Break-glass: cancel all orders and close every position of one key, with the key alone.

Needs no database, no Redis and no other process. It asks the exchange what rests and what is held,
cancels, and sells at whatever price there is until nothing is held. Each request stands in the
journal, on disk, before it leaves; the account's books learn of the fills as facts when it is back.
It does not stop services that still run: `recio halt` does. Run it as often as you like.

Exit status 0: nothing is held and nothing rests. 1: something is, or nobody knows; it says what.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from recio.adapters.kalshi.budget import Budget
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.signing import RequestSigner
from recio.adapters.transport.client import HttpClient
from recio.cli_keys import KEY_HELP, signer_at
from recio.domain.errors import Broken
from recio.domain.units import format_scaled, format_time_us
from recio.runtime import modes
from recio.runtime.clock import WallClock, wall_us
from recio.runtime.panic import Left, Panic

EXAMPLES: Final = """examples:
  recio panic .state/credentials/paper --url http://127.0.0.1:8014 --yes
  recio panic /keys/main --demo
  recio panic /keys/main --prod
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("key", type=Path, metavar="DIR", help=KEY_HELP)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--prod", action="store_const", dest="url", const=modes.PRODUCTION.rest)
    where.add_argument("--demo", action="store_const", dest="url", const=modes.DEMO.rest)
    where.add_argument("--url", help="another address, such as a local exchange")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--journal", type=Path, help="file (default recio-panic-<time>.jsonl)")


def run(arguments: argparse.Namespace) -> int:
    """Close everything; status 1 if something is left."""
    signer = signer_at(arguments.key)
    if not arguments.yes and not _is_meant(arguments.url):
        print("nothing was done")
        return 1
    path = arguments.journal or Path(f"recio-panic-{format_time_us(wall_us())[:19]}.jsonl")
    with _opened(path) as journal:
        print(f"journal: {path}")
        left = asyncio.run(_flatten(arguments.url, signer, journal))
    print(told(left))
    return 0 if left.is_nothing else 1


def told(left: Left) -> str:
    """Return what remains, for a person."""
    if left.is_nothing:
        return "nothing is held and nothing rests any more"
    lines = [f"{len(left.held)} positions and {len(left.resting)} orders are left:"]
    lines += [
        f"  held: {format_scaled(abs(each.qty_e2), 2)} {'YES' if each.qty_e2 > 0 else 'NO'} "
        f"of {each.ticker}"
        for each in left.held
    ]
    lines += [f"  resting: order {each.order_id} in {each.ticker}" for each in left.resting]
    return "\n".join([*lines, "run it again, or wait for a buyer or the settlement"])


def _is_meant(url: str) -> bool:
    print(f"This cancels every order and sells every position of the key at {url}, at any price.")
    return input("Type the word panic to do it: ").strip() == "panic"


def _opened(path: Path) -> IO[bytes]:
    try:
        journal = path.open("ab", buffering=0)
    except OSError as error:
        raise Broken(
            f"cannot write the journal {path}: {error.strerror}; name another with --journal"
        ) from error
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # The name of a new file must survive a power cut as well as its lines.
        os.fsync(folder)
    finally:
        os.close(folder)
    return journal


async def _flatten(url: str, signer: RequestSigner, journal: IO[bytes]) -> Left:
    clock = WallClock()
    rest = KalshiRest(HttpClient(url), signer, clock, Budget(clock), modes.BASE_PATH)

    def write(what: str, fields: dict[str, Any]) -> None:
        line = {"at": format_time_us(wall_us()), "what": what, **fields}
        print(f"{line['at']} {what} {fields or ''}".rstrip(), flush=True)
        try:
            journal.write(msgspec.json.encode(line, enc_hook=str) + b"\n")
            os.fsync(journal.fileno())
        except OSError as error:
            # A full disk may be why we are here: what is held goes first, and the line is printed.
            print(f"  (not in the journal: {error.strerror})", flush=True)

    try:
        return await Panic(rest, clock, write).flatten()
    finally:
        await rest.close()
