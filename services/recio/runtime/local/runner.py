"""``recio up``: the whole system on this machine, from nothing to a page that shows prices.

Order of a start: state directory, account documents, ports, PostgreSQL, Redis, schema, accounts and
clock, exchange simulator, keys, all other services (forked from this process, which has imported
everything once and frozen it). Order of a stop: services (they drain), exchange simulator, market
time, Redis, PostgreSQL. Whatever fails during a start stops what was started.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final, NoReturn, TypeVar

import uvloop

from recio.adapters.postgres.stepped import SteppedDatabase
from recio.adapters.transport.client import HttpClient
from recio.domain.errors import Broken, Rejected, Unavailable
from recio.manifest import Scope
from recio.runtime import credentials, process
from recio.runtime.clock import MarketTime, note_market_time
from recio.runtime.host import entry
from recio.runtime.http_server import listening_socket
from recio.runtime.local import prepare, production, servers
from recio.runtime.local.children import Child, Children
from recio.runtime.local.environment import LocalEnvironment
from recio.runtime.local.ground import lay, open_store
from recio.runtime.local.keys import ensure_keys
from recio.runtime.local.options import UpOptions
from recio.runtime.local.plan import SIMULATOR, UI, PlannedProcess, plan
from recio.runtime.local.state import StateDirectory

READY_S: Final = 60.0
OTHERS_READY_S: Final = 15.0
"""How long the page waits for the other services; they go on being started after that."""
BEAT_S: Final = 1.0
SHARED_NICENESS: Final = 5
WATCH_S: Final = 0.2
T = TypeVar("T")
Say = Callable[[str], None]


def run_now(step: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits (a stepped database is all it awaits)."""
    try:
        step.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    step.close()
    raise Broken("a step that must not wait has waited")


@dataclass(slots=True, kw_only=True)
class Runner:
    """One run of ``recio up``."""

    options: UpOptions
    ensure_admin: prepare.EnsureAdmin
    say: Say
    _began_s: float = field(default_factory=time.monotonic)

    def run(self) -> int:
        """Start, watch until told to stop, stop; return the exit status."""
        signal.signal(signal.SIGTERM, _interrupt)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, _interrupt)
        with ExitStack() as undo:
            try:
                self._run(undo)
            except KeyboardInterrupt:
                self.say("stopping (a second Ctrl-C kills)")
        self.say("stopped; `recio up` goes on from here")
        return 0

    def _run(self, undo: ExitStack) -> None:
        ground = lay(self.options, undo, self.say)
        if ground.world.is_live and self.options.speed != 1:
            raise Rejected(f"--speed: the books in {ground.state.path} follow live prices")
        if ground.world.is_shadow:
            self.say("shadow: real decisions, imagined fills, no order leaves this machine")
        planned = self._existing(plan(ground.accounts, ui_port=self.options.port))
        ports = self._ports(planned)
        if ground.world.has_stand_in:
            ports[production.NAME] = self._port_or_other(production.NAME, production.PORT)
        elif self.options.read_key is not None:
            read_key = credentials.read_at(self.options.read_key)
            credentials.write(ground.state.credentials, credentials.MARKET, read_key)
        store = open_store(self.options, ground, undo, self.say, ensure_admin=self.ensure_admin)
        environment = LocalEnvironment(
            options=self.options,
            accounts=ground.accounts,
            database_url=store.url,
            passwords=store.passwords,
            redis_url=servers.redis(self.options, ground.state, undo, self.say),
            credentials=ground.state.credentials,
            world=ground.world,
            exchange_port=ports.get(SIMULATOR, 0),
            production_port=ports.get(production.NAME, 0),
            processes=planned,
            ports=ports,
        )
        heart = _Heart(store.owner_url, ground.world.environment, store.market_time, undo)
        children = Children(self.say)
        undo.callback(self._stop_children, children)
        if ground.world.has_stand_in:
            self._start_production(environment, store.market_time, children, ground.state)
        self._start(planned, environment, children, ground.state)
        self._welcome(children, ports.get(UI, 0), store.password)
        self._watch(children, heart)

    # What is started, in order.

    def _existing(self, planned: Sequence[PlannedProcess]) -> list[PlannedProcess]:
        kept = []
        for one in planned:
            missing = [placed.row for placed in one.placements if not _has_app(placed.row.entry)]
            for row in missing:
                self.say(f"{row.name} is left out: {row.entry} does not exist")
            if not missing:
                kept.append(one)
        return kept

    def _ports(self, planned: Sequence[PlannedProcess]) -> dict[str, int]:
        taken: dict[str, int] = {}
        listening_socket(self.options.host, 0).close()
        for one in planned:
            if one.name == UI:
                listening_socket(self.options.host, one.port).close()
                taken[one.name] = one.port or _free_port(self.options.host)
            else:
                taken[one.name] = self._port_or_other(one.name, one.port)
        return taken

    def _port_or_other(self, name: str, port: int) -> int:
        try:
            listening_socket(self.options.host, port).close()
        except Broken:
            other = _free_port(self.options.host)
            self.say(f"port {port} is in use: {name} listens on {other} instead")
            return other
        return port

    def _start_production(
        self,
        environment: LocalEnvironment,
        market_time: MarketTime,
        children: Children,
        state: StateDirectory,
    ) -> None:
        name = production.NAME
        self.say("an exchange simulator plays production; it can only be read")
        body = production.body(
            environment.world, market_time, environment.production_port, environment.credentials
        )
        children.start(Child(name=name, body=body, log=state.log_file(name)))
        self._wait(children, name)

    def _start(
        self,
        planned: Sequence[PlannedProcess],
        environment: LocalEnvironment,
        children: Children,
        state: StateDirectory,
    ) -> None:
        self.say(f"loading {len(planned)} processes")
        for one in planned:
            for placed in one.placements:
                entry(placed.row)
        gc.collect()
        gc.freeze()
        for one in planned:
            child = Child(name=one.name, body=_body(one, environment), log=state.log_file(one.name))
            children.start(child)
            if one.name == SIMULATOR:
                self._wait(children, SIMULATOR)
                made = uvloop.run(_register_keys(environment))
                self.say(f"keys made at the exchange: {', '.join(made)}" if made else "keys found")
        self._wait(children, UI)
        deadline = time.monotonic() + OTHERS_READY_S
        while not children.are_ready() and time.monotonic() < deadline:
            children.watch(WATCH_S)

    def _wait(self, children: Children, name: str) -> None:
        """Wait for the one process without which nothing else makes sense."""
        deadline = time.monotonic() + READY_S
        while child := next((c for c in children if c.name == name and not c.is_ready), None):
            children.watch(WATCH_S)
            if time.monotonic() > deadline:
                raise Unavailable(f"{name} is not ready after {READY_S:g} s: see {child.log}")

    def _welcome(self, children: Children, port: int, password: str | None) -> None:
        waiting = [child.name for child in children if not child.is_ready]
        whole = f"all but {', '.join(waiting)} (see above)" if waiting else "everything"
        self.say(f"{whole} is ready after {time.monotonic() - self._began_s:.1f} s")
        self.say(f"open http://localhost:{port}")
        if password is not None:
            self.say(f"log in as admin with the password {password} (shown only now)")
        self.say("Ctrl-C stops everything")

    # What runs, and how it ends.

    def _watch(self, children: Children, heart: _Heart) -> NoReturn:
        while True:
            children.watch(WATCH_S)
            heart.beat(self.say)

    def _stop_children(self, children: Children) -> None:
        signal.signal(signal.SIGINT, lambda *_: children.kill())
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        names = [child.name for child in children]
        others = [name for name in names if name != SIMULATOR]
        self.say(f"stopping {len(others)} services")
        killed = children.stop(others) + children.stop([SIMULATOR])
        if killed:
            self.say(f"did not end in time and was killed: {', '.join(killed)}")


class _Heart:
    """Writes down where market time stands, each second and at the end."""

    def __init__(
        self, url: str, environment: str, market_time: MarketTime, undo: ExitStack
    ) -> None:
        self._database = SteppedDatabase(url, name="recio up")
        self._environment = environment
        self._market_time = market_time
        self._next_s = 0.0
        self._was_told = False
        undo.callback(self._end)

    def beat(self, say: Say) -> None:
        """Note the time, at most once a second; a database that is away is only told of once."""
        now = time.monotonic()
        if now < self._next_s:
            return
        self._next_s = now + BEAT_S
        try:
            self._note(is_final=False)
            self._was_told = False
        except Unavailable as error:
            if not self._was_told:
                say(f"the database does not answer: {error}")
            self._was_told = True

    def _note(self, *, is_final: bool) -> None:
        run_now(
            note_market_time(
                self._database, self._environment, self._market_time, is_final=is_final
            )
        )

    def _end(self) -> None:
        try:
            self._note(is_final=True)
        except Unavailable:
            return
        finally:
            run_now(self._database.close())


def _body(
    one: PlannedProcess, environment: LocalEnvironment
) -> Callable[[Callable[[], None]], int]:
    def body(tell_ready: Callable[[], None]) -> int:
        if one.placements[0].row.scope is Scope.SHARED:
            # The page and the watchers share few cores with the way of an order: it goes first.
            os.nice(SHARED_NICENESS)
        return process.run_in_new_loop(
            environment.settings(one), environment.values(one), one.placements, on_ready=tell_ready
        )

    return body


async def _register_keys(environment: LocalEnvironment) -> list[str]:
    http = HttpClient(environment.exchange_url)
    try:
        return await ensure_keys(
            http,
            environment.credentials,
            environment.balances(),
            has_reader=not environment.world.is_shadow,
        )
    finally:
        await http.close()


def _has_app(where: str) -> bool:
    module = where.partition(":")[0]
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    # A terminal that closes tells so twice: itself and by its shell. One stop is meant.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise KeyboardInterrupt
