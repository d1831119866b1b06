"""The exchange alone for any client: what is behind ``recio exchange``.

It runs on ports of its own, with its memory in a database or, without one, only in this process, and
writes an API key for whoever wants to trade there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from recio.domain.errors import Broken
from recio.exchange_simulator.api.messages import Request, Response
from recio.exchange_simulator.app import HOST, ExchangeSettings, listening, world_of
from recio.exchange_simulator.control import Control
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.server import ControlApp
from recio.exchange_simulator.simulator import Simulator
from recio.exchange_simulator.store import DatabaseStore
from recio.exchange_simulator.world import attach
from recio.ports import Clock, Database, Ids

DEFAULT_DOLLARS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standalone:
    """What ``recio exchange`` was told. ``control_port`` None: no fault injection."""

    port: int = 0
    control_port: int | None = None
    key_out: Path | None = None
    account: str = "trader"
    dollars: int = DEFAULT_DOLLARS
    key_type: str = "rsa"
    own: ExchangeSettings = field(default_factory=ExchangeSettings)


async def serve(
    options: Standalone,
    *,
    clock: Callable[[int], Clock],
    ids: Ids,
    database: Database | None = None,
    say: Callable[[str], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Run the exchange alone until ``stop`` is set.

    Args:
        options: ports, key file, what to play.
        clock: makes the clock whose market time begins at the given microseconds: where the world
            begins, or where a stored exchange stopped.
        ids: where the secret of a generated key comes from.
        database: where the exchange keeps its memory; None: in this process only.
        say: prints one line for a person.
        stop: ends it.

    Raises:
        Broken: a port is in use.
    """
    simulator = await _alone(options, clock, ids, database)
    await simulator.recover()
    running = asyncio.create_task(simulator.run(), name="exchange")
    ending = asyncio.create_task((stop or asyncio.Event()).wait(), name="stop")
    try:
        async with contextlib.AsyncExitStack() as stack:
            port = await stack.enter_async_context(listening(simulator.asgi, options.port))
            say(f"REST       http://{HOST}:{port}/trade-api/v2")
            say(f"WebSocket  ws://{HOST}:{port}/trade-api/ws/v2")
            if options.control_port is not None:
                control = ControlApp(Control(simulator.gateway))
                opened = await stack.enter_async_context(listening(control, options.control_port))
                say(f"Control    http://{HOST}:{opened}/faults")
            if options.key_out is not None:
                await _write_key(simulator, options, options.key_out, say)
            await asyncio.wait([running, ending], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
    finally:
        running.cancel()
        ending.cancel()
        await asyncio.gather(running, ending, return_exceptions=True)


async def _alone(
    options: Standalone, clock: Callable[[int], Clock], ids: Ids, database: Database | None
) -> Simulator:
    source = options.own.source()
    stopped_us = await DatabaseStore(database).stopped_us() if database is not None else None
    begins_us = attach(Exchange(), source).start_us if stopped_us is None else stopped_us
    return Simulator(
        config=options.own.config("standalone"),
        clock=clock(begins_us),
        fresh=ids.fresh,
        database=database,
        attach=partial(world_of, source=source, is_fine=True),
        log=logging.getLogger(__name__),
    )


async def make_key(
    simulator: Simulator, account: str, dollars: int, key_type: str
) -> Mapping[str, str]:
    """Make an account with a generated key; gives ``api_key_id`` and ``private_key``."""
    body = {"account": account, "initial_balance_dollars": dollars, "key_type": key_type}
    request = Request("POST", "/admin/accounts", {}, msgspec.json.encode(body))
    answer = await simulator.gateway.request(request)
    if not isinstance(answer, Response) or answer.status != 201:
        raise Broken(f"the exchange did not make account {account!r}: {answer}")
    return msgspec.json.decode(answer.body, type=dict[str, Any])


async def _write_key(
    simulator: Simulator, options: Standalone, path: Path, say: Callable[[str], None]
) -> None:
    made = await make_key(simulator, options.account, options.dollars, options.key_type)
    text = f"Key-Id: {made['api_key_id']}\n\n{made['private_key']}"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise Broken(f"--key-out: cannot write {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    say(f"API key    {made['api_key_id']} with ${options.dollars}, private key in {path}")
