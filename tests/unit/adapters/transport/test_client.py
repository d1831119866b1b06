"""The HTTP client against servers on this machine that do what servers do."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from tests.unit.adapters.keys import pkcs8, rsa_key

from recio.adapters.transport.client import HttpClient
from recio.domain.errors import NoAnswer, Rejected

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Reads requests and plays a script: bytes are sent, None closes, a number waits."""

    def __init__(self, *script):
        self.script = list(script)
        self.requests = []
        self.connections = 0
        self.server = None

    async def serve(self, reader, writer):
        """Play the script on one connection."""
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = 0
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                self.requests.append(head + await reader.readexactly(length))
                for step in self.script.pop(0) if self.script else [OK]:
                    if step is None:
                        return
                    writer.write(step)
                    await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def start(self, tls=None):
        """Listen and return the port."""
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls)
        return self.server.sockets[0].getsockname()[1]


def run(server, scenario, *, tls=None, client_tls=None, scheme="http", **options):
    """Run a scenario with a client of the server."""

    async def main():
        port = await server.start(tls)
        client = HttpClient(f"{scheme}://localhost:{port}", tls=client_tls, **options)
        try:
            return await scenario(client)
        finally:
            await client.close()
            server.server.close()

    return asyncio.run(main())


async def get(client, target="/x", timeout_s=5.0):
    """Send a GET."""
    return await client.request("GET", target, {"A": "b"}, timeout_s=timeout_s)


async def post(client, timeout_s=5.0):
    """Send a POST."""
    return await client.request("POST", "/x", {}, b'{"a":1}', timeout_s=timeout_s)


def test_one_connection_serves_many_requests():
    """Handshakes are paid once."""
    server = Server()

    async def scenario(client):
        return [await post(client), await get(client)]

    replies = run(server, scenario)
    assert [(reply.status, reply.body) for reply in replies] == [(200, b"ok")] * 2
    assert server.connections == 1
    assert server.requests[0].startswith(b"POST /x HTTP/1.1\r\nHost: localhost:")
    assert server.requests[0].endswith(b'Content-Length: 7\r\n\r\n{"a":1}')
    assert b"A: b\r\n" in server.requests[1]


def test_headers_are_lower_case_and_bodies_whole():
    """Chunked, split anywhere, preceded by a 100."""
    server = Server(
        [
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Cre",
            b"ated\r\nX-Thing: Value\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            b"2\r\nde\r\n0\r\n\r\n",
        ]
    )
    reply = run(server, post)
    assert (reply.status, reply.body, reply.headers["x-thing"]) == (201, b"abcde", "Value")


def test_a_body_without_length_ends_with_the_connection():
    """RFC 9112 6.3; such a connection is not used again."""
    server = Server([b"HTTP/1.1 200 OK\r\n\r\nabc", None])

    async def scenario(client):
        first = await get(client)
        await get(client)
        return first.body

    assert run(server, scenario) == b"abc"
    assert server.connections == 2


def test_a_close_header_is_obeyed():
    """The next request takes a new connection."""
    server = Server([b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"])

    async def scenario(client):
        await get(client)
        await get(client)

    run(server, scenario)
    assert server.connections == 2


CUTS = [
    [None],
    [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", None],
    [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", None],
    [b"nonsense\r\n\r\n"],
    [b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"],
]


@pytest.mark.parametrize("script", CUTS)
def test_a_request_without_a_whole_reply_may_have_happened(script):
    """``sent`` is True as soon as bytes were handed to the socket; nothing is repeated."""
    server = Server(script)
    with pytest.raises(NoAnswer) as caught:
        run(server, post)
    assert caught.value.sent
    assert len(server.requests) == 1


def test_a_late_reply_is_no_reply_and_its_connection_is_left():
    """Otherwise it would be taken for the answer to the next request."""
    server = Server([])

    async def scenario(client):
        with pytest.raises(NoAnswer, match="in time") as caught:
            await post(client, timeout_s=0.05)
        assert caught.value.sent
        return await get(client)

    assert run(server, scenario).status == 200
    assert server.connections == 2


def test_a_cancelled_request_leaves_its_connection():
    """Its reply may still come."""
    server = Server([])

    async def scenario(client):
        task = asyncio.create_task(post(client))
        while not server.requests:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await get(client)

    assert run(server, scenario).status == 200
    assert server.connections == 2


def test_nobody_listening_means_not_sent():
    """It was not done."""

    async def main():
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        await post(HttpClient(f"http://127.0.0.1:{port}"))

    with pytest.raises(NoAnswer, match="no connection") as caught:
        asyncio.run(main())
    assert not caught.value.sent


def test_a_server_that_spoke_unasked_is_not_used_again():
    """A reply nobody asked for would answer the next request."""
    server = Server([OK + OK])

    async def scenario(client):
        await get(client)
        return await get(client)

    assert run(server, scenario).status == 200
    assert server.connections == 2


def test_requests_beyond_the_limit_wait_for_a_connection():
    """And time out unsent if none becomes free."""
    server = Server([], [OK])

    async def scenario(client):
        slow = asyncio.create_task(post(client, timeout_s=0.2))
        while not server.requests:
            await asyncio.sleep(0)
        with pytest.raises(NoAnswer) as unsent:
            await get(client, timeout_s=0.02)
        waiting = asyncio.create_task(get(client, timeout_s=5))
        with pytest.raises(NoAnswer) as sent:
            await slow
        return unsent.value.sent, sent.value.sent, (await waiting).status

    assert run(server, scenario, max_connections=1) == (False, True, 200)


def test_an_idle_connection_is_not_trusted_for_ever():
    """Servers close idle connections; a close that races a request leaves it unknown."""
    server = Server()

    async def scenario(client):
        await get(client)
        await get(client)

    run(server, scenario, idle_s=0.0)
    assert server.connections == 2


def test_warm_opens_connections_ahead():
    """The first order pays no handshake."""
    server = Server()

    async def scenario(client):
        await client.warm(2)
        await get(client)

    run(server, scenario)
    assert server.connections == 2


@pytest.mark.parametrize(
    ("target", "headers"), [("/x\r\nA: b", {}), ("/x", {"A": "b\r\nC: d"}), ("/x", {"A": "b\n"})]
)
def test_no_line_break_gets_into_a_request(target, headers):
    """It would make two requests of one."""
    client = HttpClient("http://127.0.0.1:1")
    with pytest.raises(Rejected, match="line breaks"):
        asyncio.run(client.request("GET", target, headers, timeout_s=1))


@pytest.mark.parametrize(
    "url", ["ftp://x", "x", "http://", "http://user:pw@host", "http://host:99999", "https://:443"]
)
def test_a_wrong_address_is_refused_at_once(url):
    """With what is expected."""
    with pytest.raises(Rejected, match="expected"):
        HttpClient(url)


def test_a_closed_client_sends_nothing():
    """Whoever still asks is told."""
    server = Server()

    async def scenario(client):
        await client.close()
        with pytest.raises(NoAnswer) as caught:
            await get(client)
        return caught.value.sent

    assert run(server, scenario) is False


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for localhost: (server context, file)."""
    key = rsa_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "key.pem").write_text(pkcs8(key))
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context, tmp_path / "cert.pem"


def test_tls_works_with_a_known_authority(certificate):
    """The certificate is checked against the authority and the host's name."""
    context, file = certificate
    trusting = ssl.create_default_context(cafile=str(file))
    reply = run(Server(), get, tls=context, client_tls=trusting, scheme="https")
    assert reply.status == 200


def test_tls_with_an_unknown_authority_is_refused(certificate):
    """Nothing is sent to whoever it is."""
    server = Server()
    with pytest.raises(NoAnswer, match="certificate") as caught:
        run(server, get, tls=certificate[0], scheme="https")
    assert not caught.value.sent
    assert server.requests == []
