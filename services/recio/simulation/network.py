"""The simulated network between a process and the exchange: delays, silence, outages.

A request travels for a while, is handled in the exchange's own process, and its answer travels back;
whoever asked may be dead or frozen by then. Frames of a WebSocket keep their order. A connection can
fall silent without ending (half-open), names can stop resolving (nothing leaves any more), and what
the exchange's own fault plan loses or cuts is lost or cut here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from recio.domain.errors import NoAnswer, Rejected, Unavailable
from recio.exchange_simulator.api.messages import Request, Response
from recio.exchange_simulator.gateway import Connection, Gateway, Lost
from recio.exchange_simulator.memory import MemorySocket
from recio.ports import HttpReply, HttpTransport, WebSocketTransport
from recio.simulation.loop import SimulatedLoop, SimulatedProcess, current

LEAST_MS: Final = 2.0
MOST_MS: Final = 40.0


class Network:
    """All lines to one exchange. ``chance`` draws how long each message travels."""

    def __init__(
        self,
        loop: SimulatedLoop,
        gateway: Gateway,
        exchange: SimulatedProcess,
        chance: Callable[[], float],
    ) -> None:
        self.loop = loop
        self.gateway = gateway
        self.exchange = exchange
        self.out_until_us = 0
        self.on_leave: Callable[[Request], Awaitable[object]] = _note_nothing
        """Told of each request as its first byte leaves; what it returns goes along to ``ask``."""
        self.ask: Callable[[Request, object], Awaitable[Response | Lost]] = self._ask
        self._chance = chance
        self._sockets: list[tuple[SimulatedProcess, Connection, _Line]] = []

    async def _ask(self, request: Request, noted: object) -> Response | Lost:  # noqa: ARG002
        return await self.gateway.request(request)

    @property
    def is_out(self) -> bool:
        """Whether names do not resolve now."""
        return self.loop.now_us < self.out_until_us

    def delay_s(self) -> float:
        """Return how long a message travels."""
        return (LEAST_MS + (MOST_MS - LEAST_MS) * self._chance() ** 3) / 1000

    def later(
        self, process: SimulatedProcess, delay_s: float, act: Callable[..., object], *args: object
    ) -> None:
        """Do something in a process after a delay."""
        self.loop.call_later(delay_s, act, *args, context=process.context.copy())

    def cut(self, process: SimulatedProcess | None = None) -> int:
        """End the WebSockets of a process (None: of all); return how many."""
        ended = [one for one in self._sockets if process is None or one[0] is process]
        for owner, connection, line in ended:
            self.gateway.close(connection)
            line.end()
            self._sockets.remove((owner, connection, line))
        return len(ended)

    def silence(self) -> int:
        """Let all open WebSockets go half-open: nothing arrives any more, nobody is told."""
        for _, _, line in self._sockets:
            line.is_silent = True
        return len(self._sockets)

    def joined(
        self, process: SimulatedProcess, connection: Connection, line: _Line
    ) -> Callable[[], None]:
        """Remember an open WebSocket; return what forgets it."""
        self._sockets.append((process, connection, line))

        def leave() -> None:
            if (process, connection, line) in self._sockets:
                self._sockets.remove((process, connection, line))
            self.gateway.close(connection)

        return leave


async def _note_nothing(_request: Request) -> object:
    return None


class SimulatedHttp:
    """An ``HttpTransport`` of the process that it was made in."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        timeout_s: float,
    ) -> HttpReply:
        """Send one request."""
        network = self._network
        if network.is_out:
            raise NoAnswer(f"{method} {target}: the name does not resolve", sent=False)
        lowered = {name.lower(): value for name, value in headers.items()}
        reply: asyncio.Future[Response | Lost] = network.loop.create_future()
        request = Request(method, target, lowered, body)
        noted = await network.on_leave(request)
        network.later(network.exchange, network.delay_s(), self._arrive, request, noted, reply)
        try:
            async with asyncio.timeout(timeout_s):
                answer = await reply
        except TimeoutError:
            raise NoAnswer(f"{method} {target}: no answer in {timeout_s} s", sent=True) from None
        if isinstance(answer, Lost):
            raise NoAnswer(f"{method} {target}: {answer.value}", sent=True)
        return HttpReply(answer.status, answer.headers, answer.body)

    def _arrive(
        self, request: Request, noted: object, reply: asyncio.Future[Response | Lost]
    ) -> None:
        network = self._network
        network.loop.start(network.exchange, self._handle(request, noted, reply))

    async def _handle(
        self, request: Request, noted: object, reply: asyncio.Future[Response | Lost]
    ) -> None:
        network = self._network
        answer = await network.ask(request, noted)
        # During an outage answers are lost as well; a request without an answer ends by itself.
        if answer is Lost.TIMEOUT or network.is_out:
            return
        network.later(network.exchange, network.delay_s(), _answer, reply, answer)

    async def close(self) -> None:
        """Do nothing: there is no connection."""


def _answer(reply: asyncio.Future[Response | Lost], answer: Response | Lost) -> None:
    if not reply.done():
        reply.set_result(answer)


class _Line:
    """One WebSocket's way back: frames arrive in order, unless it fell silent."""

    def __init__(self, network: Network, socket: MemorySocket) -> None:
        self.is_silent = False
        self._network = network
        self._socket = socket
        self._free_us = 0

    def push(self, frames: Sequence[bytes]) -> None:
        """Send frames from the exchange's side."""
        if not self.is_silent:
            self._later(self._deliver, list(frames))

    def end(self) -> None:
        """End it from the exchange's side."""
        if not self.is_silent:
            self._later(self._socket.cut)

    def _deliver(self, frames: list[bytes]) -> None:
        if not self.is_silent:
            self._socket.push(frames)

    def _later(self, act: Callable[..., object], *args: object) -> None:
        network = self._network
        loop = network.loop
        self._free_us = max(self._free_us, loop.now_us + round(network.delay_s() * 1e6))
        delay_s = (self._free_us - loop.now_us) / 1e6
        network.later(network.exchange, delay_s, act, *args)


class SimulatedWebSockets:
    """A ``WebSocketTransport`` of the process that it was made in."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def connect(self, target: str, headers: Mapping[str, str]) -> MemorySocket:
        """Open one connection."""
        network = self._network
        await asyncio.sleep(network.delay_s())
        if network.is_out:
            raise Unavailable(f"{target}: the name does not resolve")
        lowered = {name.lower(): value for name, value in headers.items()}
        socket = MemorySocket()
        line = _Line(network, socket)
        opened = network.gateway.open(Request("GET", target, lowered), line.push, line.end)
        if isinstance(opened, Response):
            raise Rejected(f"the upgrade was refused: {opened.status} {opened.body.decode()}")
        leave = network.joined(current(), opened, line)
        socket.on_close = leave
        socket.on_send = _Commands(network, opened, line).send
        return socket


class _Commands:
    """One WebSocket's way there."""

    def __init__(self, network: Network, connection: Connection, line: _Line) -> None:
        self._network = network
        self._connection = connection
        self._line = line

    def send(self, text: str) -> None:
        """Send a command; it arrives after a while, in order."""
        network = self._network
        if not self._line.is_silent:
            network.later(network.exchange, LEAST_MS / 1000, self._arrive, text)

    def _arrive(self, text: str) -> None:
        network = self._network
        if self._connection.is_open:
            network.loop.start(network.exchange, network.gateway.command(self._connection, text))


class SimulatedTransports:
    """The ``Transports`` of a process: whatever the address, there is one exchange."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def http(self, url: str) -> HttpTransport:  # noqa: ARG002 (one exchange)
        """Return a transport to the exchange."""
        return SimulatedHttp(self._network)

    def websocket(self, url: str) -> WebSocketTransport:  # noqa: ARG002
        """Return a transport to the exchange."""
        return SimulatedWebSockets(self._network)
