"""The command ``recio exchange`` as a stranger meets it: addresses, a key file, nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import stat
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from tests.contract.members import BASE_PATH, STREAM_PATH, Commands, Key
from tests.contract.scene import BID, IOC, Scene
from tests.contract.suite import COMMAND, case

from recio.adapters.kalshi.errors import OutcomeUnknown
from recio.adapters.transport.client import HttpClient
from recio.domain.errors import NoAnswer

STARTED_WITHIN_S = 90.0


@dataclass(frozen=True)
class Running:
    """What the command has told."""

    process: Process
    told: dict[str, str]
    key_file: Path

    @property
    def key(self) -> Key:
        """Read the key file."""
        head, pem = self.key_file.read_text().split("\n\n", 1)
        return Key(head.removeprefix("Key-Id: "), pem)


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Running]:
    """Run the command until the block ends; it must end by itself when asked to."""
    with tempfile.TemporaryDirectory(prefix="recio-contract-") as directory:
        key_file = Path(directory) / "key.pem"
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("recio")),
            *("exchange", "--port", "0", "--control-port", "0", "--key-out", str(key_file)),
            stdout=PIPE,
            stderr=PIPE,
        )
        try:
            yield Running(process, await _told(process), key_file)
            process.terminate()
            _, errors = await process.communicate()
            assert (process.returncode, errors) == (0, b"")
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()


async def _told(process: Process) -> dict[str, str]:
    assert process.stdout is not None
    told: dict[str, str] = {}
    async with asyncio.timeout(STARTED_WITHIN_S):
        while "API" not in told:
            line = (await process.stdout.readline()).decode()
            assert line, "the command ended before it was ready"
            name, _, rest = line.partition(" ")
            told[name] = rest.strip()
    return told


@case(1, COMMAND)
async def stranger(scene: Scene) -> None:
    """The command prints its addresses and writes a key: any client trades with just that."""
    async with running() as exchange:
        rest, stream = exchange.told["REST"], exchange.told["WebSocket"]
        assert stat.S_IMODE(exchange.key_file.stat().st_mode) == 0o600
        member = await scene.join(
            exchange.key,
            origin=rest.removesuffix(BASE_PATH),
            websocket=stream.removesuffix(STREAM_PATH),
        )
        assert (await member.rest.balance()).cash_usd_e6 == 1_000_000_000
        markets = await member.rest.markets(series_ticker="KXBTCD", status="open")
        market = next(one for one in markets if one.yes_ask_e4 and 1000 < one.yes_ask_e4 < 9000)
        socket = Commands(await member.socket())
        assert (await socket.ask("subscribe", {"channels": ["fill"]}))["type"] == "subscribed"
        wanted = {"ticker": market.ticker, "exchange_index": market.exchange_index}
        reply = await scene.place(member, BID, 9900, 1_00, IOC, **wanted)
        assert (reply.fill_qty_e2, reply.remaining_qty_e2) == (1_00, 0)
        frame = await socket.frame()
        assert (frame["type"], frame["msg"]["order_id"]) == ("fill", reply.order_id)
        (position,) = await member.rest.positions()
        assert (position.ticker, position.qty_e2) == (market.ticker, 1_00)
        control = HttpClient(exchange.told["Control"].removesuffix("/faults"))
        fault = msgspec.json.encode({"fault": "status", "method": "POST", "status": 503})
        armed = await control.request("POST", "/faults/requests", {}, fault, timeout_s=5.0)
        assert armed.status == 200
        with pytest.raises(OutcomeUnknown):
            await scene.place(member, BID, 9900, 1_00, IOC, **wanted)
        assert len(await member.rest.orders()) == 1
        await socket.close()
        await control.close()
    with pytest.raises(NoAnswer):
        await member.rest.balance()
