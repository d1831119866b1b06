"""The WebSocket client against a local server."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.server import serve

from recio.adapters.transport.websocket import WebSocketClient
from recio.domain.errors import Rejected, Unavailable


def run(handler, scenario, **options):
    """Run a scenario with a client of a server."""

    async def main():
        async with serve(handler, "127.0.0.1", 0, **options) as server:
            port = server.sockets[0].getsockname()[1]
            return await scenario(WebSocketClient(f"ws://127.0.0.1:{port}"))

    return asyncio.run(main())


async def echo(connection):
    """Send back what comes, path and a header first."""
    await connection.send(f"{connection.request.path} {connection.request.headers['X-Key']}")
    async for text in connection:
        await connection.send(text)


def test_frames_go_both_ways_and_headers_are_sent():
    """Text out, bytes in."""

    async def scenario(client):
        socket = await client.connect("/trade-api/ws/v2", {"X-Key": "k"})
        greeting = await socket.receive()
        await socket.send("ü")
        answer = await socket.receive()
        await socket.close()
        return greeting, answer

    assert run(echo, scenario) == (b"/trade-api/ws/v2 k", "ü".encode())


def test_a_closed_connection_is_unavailable():
    """For reading and for writing."""

    async def hang_up(connection):
        await connection.close()

    async def scenario(client):
        socket = await client.connect("/", {})
        with pytest.raises(Unavailable, match="closed"):
            await socket.receive()
        with pytest.raises(Unavailable, match="closed"):
            await socket.send("x")

    run(hang_up, scenario)


@pytest.mark.parametrize(("status", "kind"), [(401, Rejected), (403, Rejected), (503, Unavailable)])
def test_a_refused_upgrade_tells_why(status, kind):
    """A wrong key is refused; a server that is down is not there now."""

    def refuse(connection, _request):
        return connection.respond(status, "because")

    async def scenario(client):
        with pytest.raises(kind, match=f"answered {status} .*because"):
            await client.connect("/", {})

    run(echo, scenario, process_request=refuse)


def test_nobody_listening_is_unavailable():
    """It may come."""

    async def main():
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        await WebSocketClient(f"ws://127.0.0.1:{port}").connect("/", {})

    with pytest.raises(Unavailable, match="no WebSocket"):
        asyncio.run(main())


def test_an_address_without_websocket_scheme_is_refused():
    """Http is another client's."""
    with pytest.raises(Rejected, match="ws://"):
        WebSocketClient("http://127.0.0.1")
