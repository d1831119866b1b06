"""Break-glass: cancel all orders and close every position of one key, with the key alone.

Needs no database, no Redis and no other process. It asks the exchange what rests and what is held,
cancels, and sells at whatever price there is until nothing is held. Each request stands in the
journal, on disk, before it leaves; the account's books learn of the fills as facts when it is back.
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
from recio.domain.units import format_time_us
from recio.runtime import credentials, modes, panic
from recio.runtime.clock import WallClock, wall_us

EXAMPLES: Final = """examples:
  recio panic .state/credentials/paper --url http://127.0.0.1:8014 --yes
  recio panic /keys/main --demo
  recio panic /keys/main --prod
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("directory", type=Path, help="holds key-id and private-key")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--prod", action="store_const", dest="url", const=modes.PRODUCTION.rest)
    where.add_argument("--demo", action="store_const", dest="url", const=modes.DEMO.rest)
    where.add_argument("--url", help="another address, such as a local exchange")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--journal", type=Path, help="file (default recio-panic-<time>.jsonl)")


def run(arguments: argparse.Namespace) -> int:
    """Close everything; status 1 if something is still held."""
    folder: Path = arguments.directory
    key = credentials.read(str(folder.parent), folder.name)
    signer = RequestSigner(key.key_id, key.private_key)
    if not arguments.yes and not _is_meant(arguments.url):
        print("nothing was done")
        return 1
    path = arguments.journal or Path(f"recio-panic-{format_time_us(wall_us())[:19]}.jsonl")
    with path.open("ab", buffering=0) as journal:
        left = asyncio.run(_flatten(arguments.url, signer, journal))
    print("nothing is held any more" if left == 0 else f"{left} markets are still held", end="; ")
    print(f"journal: {path}")
    return 0 if left == 0 else 1


def _is_meant(url: str) -> bool:
    print(f"This cancels every order and sells every position of the key at {url}, at any price.")
    return input("Type the word panic to do it: ").strip() == "panic"


async def _flatten(url: str, signer: RequestSigner, journal: IO[bytes]) -> int:
    clock = WallClock()
    rest = KalshiRest(HttpClient(url), signer, clock, Budget(clock), modes.BASE_PATH)

    def write(what: str, fields: dict[str, Any]) -> None:
        line = {"at": format_time_us(wall_us()), "what": what, **fields}
        journal.write(msgspec.json.encode(line, enc_hook=str) + b"\n")
        os.fsync(journal.fileno())
        print(f"{line['at']} {what} {fields or ''}".rstrip())

    try:
        return await panic.flatten(rest, clock, write)
    finally:
        await rest.close()
