"""Check an API key: does it parse, and does the exchange accept it?

`recio keys check DIR` reads DIR/key-id and DIR/private-key. Without --url it only looks at the
files; with it one signed, reading request is sent there (the account's limits).
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Final

from recio.adapters.kalshi.budget import Budget
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.signing import RequestSigner
from recio.adapters.transport.client import HttpClient
from recio.domain.errors import Rejected
from recio.runtime import credentials, modes
from recio.runtime.clock import WallClock

EXAMPLES: Final = """examples:
  recio keys check .state/credentials/paper
  recio keys check .state/credentials/paper --url http://127.0.0.1:8014
"""
KEY_HELP: Final = "holds key-id and private-key (or the file of `recio exchange --key-out`)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=["check"], help="what to do")
    parser.add_argument("key", type=Path, metavar="DIR", help=KEY_HELP)
    parser.add_argument("--url", help="the exchange to ask, such as http://127.0.0.1:8014")


def run(arguments: argparse.Namespace) -> int:
    """Tell what is found."""
    signer = signer_at(arguments.key)
    print(f"{arguments.key}: the private key parses; the key id begins with {signer.key_id[:8]}")
    if arguments.url:
        print(asyncio.run(_ask(arguments.url, signer)))
    return 0


def signer_at(path: Path) -> RequestSigner:
    """Return the signer of a key on disk.

    Raises:
        Broken: a file is missing or empty.
        Rejected: the key does not parse; the message names the place.
    """
    key = credentials.read_at(path)
    try:
        return RequestSigner(key.key_id, key.private_key)
    except Rejected as error:
        raise Rejected(f"the key in {path} cannot be used: {error}") from error


async def _ask(url: str, signer: RequestSigner) -> str:
    clock = WallClock()
    rest = KalshiRest(HttpClient(url), signer, clock, Budget(clock), modes.BASE_PATH)
    try:
        limits = await rest.limits()
    finally:
        await rest.close()
    return (
        f"{url} accepts it: tier {limits.tier}, {limits.read.refill_per_s} reading and "
        f"{limits.write.refill_per_s} writing tokens a second"
    )
