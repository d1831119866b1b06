"""The lean Redis client: its wire, in pieces of any size, and its addresses."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.adapters.redis import resp
from recio.adapters.redis.resp import Address, RespConnection, parse_address
from recio.domain.errors import Broken, Unavailable

values = st.recursive(
    st.none() | st.integers(-(10**12), 10**12) | st.binary(max_size=50),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=20,
)


def written(value):
    """Return a value as a server writes it."""
    match value:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % value
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(value), value)
        case _:
            return b"*%d\r\n" % len(value) + b"".join(written(item) for item in value)


class Socket(asyncio.Transport):
    """A transport that keeps what was written."""

    def __init__(self):
        super().__init__()
        self.sent = b""
        self.is_aborted = False

    def write(self, data):
        """Keep it."""
        self.sent += data

    def is_closing(self):
        """Tell whether it was aborted."""
        return self.is_aborted

    def abort(self):
        """Remember it."""
        self.is_aborted = True


@given(st.lists(values, min_size=1, max_size=5), st.integers(1, 20))
def test_answers_are_whole_whatever_the_pieces(answers, size):
    """The network may cut a stream anywhere; each command gets its own answer."""

    async def scenario():
        connection = RespConnection(asyncio.get_running_loop())
        connection.connection_made(Socket())
        asked = [asyncio.ensure_future(connection.command("X", timeout_s=5)) for _ in answers]
        await asyncio.sleep(0)
        data = b"".join(written(answer) for answer in answers)
        for start in range(0, len(data), size):
            connection.data_received(data[start : start + size])
        return await asyncio.gather(*asked)

    assert asyncio.run(scenario()) == answers


@pytest.mark.parametrize("data", [b"?\r\n", b"$x\r\n", b"hello\r\n", b":1\r\n:2\r\n"])
def test_what_is_not_the_protocol_ends_the_connection(data):
    """An answer nobody asked for included."""

    async def scenario():
        connection = RespConnection(asyncio.get_running_loop())
        socket = Socket()
        connection.connection_made(socket)
        asked = asyncio.ensure_future(connection.command("X", timeout_s=5))
        await asyncio.sleep(0)
        connection.data_received(data)
        await asyncio.gather(asked, return_exceptions=True)
        return socket.is_aborted, connection.is_open

    assert asyncio.run(scenario()) == (True, False)


def test_an_error_answer_and_a_lost_connection_are_unavailable():
    """Both can be tried again; the message has the server's words."""

    async def scenario():
        connection = RespConnection(asyncio.get_running_loop())
        connection.connection_made(Socket())
        first = asyncio.ensure_future(connection.command("XADD", timeout_s=5))
        second = asyncio.ensure_future(connection.command("XADD", timeout_s=5))
        await asyncio.sleep(0)
        connection.data_received(b"-OOM no memory\r\n")
        connection.connection_lost(None)
        return await asyncio.gather(first, second, return_exceptions=True)

    refused, lost = asyncio.run(scenario())
    assert isinstance(refused, Unavailable)
    assert "OOM no memory" in str(refused)
    assert isinstance(lost, Unavailable)


def test_a_silent_server_is_unavailable():
    """Nobody waits for ever."""

    async def scenario():
        connection = RespConnection(asyncio.get_running_loop())
        connection.connection_made(Socket())
        await connection.command("PING", timeout_s=0.001)

    with pytest.raises(Unavailable, match="no answer"):
        asyncio.run(scenario())


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://host", Address(host="host")),
        ("redis://host:7000/2", Address(host="host", port=7000, database=2)),
        ("rediss://u:p%40@h", Address(host="h", username="u", password="p@", is_tls=True)),
        ("unix:///run/redis.sock", Address(path="/run/redis.sock")),
        ("unix:///run/redis.sock?db=3", Address(path="/run/redis.sock", database=3)),
    ],
)
def test_addresses(url, address):
    """The usual forms."""
    assert parse_address(url) == address


@pytest.mark.parametrize(
    "url", ["", "host", "http://host", "redis://", "redis://h/x", "redis://h:x"]
)
def test_an_address_that_is_none_is_refused(url):
    """With the forms that are."""
    with pytest.raises(Broken, match="redis://host:6379/0"):
        parse_address(url)


def test_a_password_is_not_shown():
    """Not even when the address is printed."""
    assert "secret" not in repr(parse_address("redis://u:secret@h"))


def test_a_command_is_an_array_of_bulk_strings():
    """As the protocol says."""
    assert resp.encoded(("SET", b"\0", 5)) == b"*3\r\n$3\r\nSET\r\n$1\r\n\0\r\n$1\r\n5\r\n"


def test_a_thousand_lists_in_each_other_end_the_connection():
    """Found by fuzzing: the parser's recursion ended in an exception that nobody took."""
    connection = RespConnection(None)
    transport = Socket()
    connection.connection_made(transport)
    connection.data_received(b"*1\r\n" * 5000 + b":1\r\n")
    assert not connection.is_open
