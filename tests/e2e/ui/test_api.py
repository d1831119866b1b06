"""The REST API from outside: who is let in, and what it answers."""

from __future__ import annotations

import httpx
import pytest

OPEN = ("/api/btc_price",)


@pytest.fixture
def client(desk):
    """A client that is logged in, as a browser is."""
    with httpx.Client(base_url=desk.url, headers={"origin": desk.url}) as made:
        answer = made.post(
            "/api/auth/login", json={"username": "admin", "password": desk.password}
        )
        assert answer.status_code == 200
        yield made


@pytest.mark.parametrize(
    "path", ["/api/accounts", "/trades", "/openapi.json", "/api/settings", "/nowhere"]
)
def test_nothing_is_shown_without_a_session(desk, path):
    """Everything but the probes, the price and the page's own files needs a session."""
    assert httpx.get(desk.url + path).status_code == 401


def test_openapi_describes_every_route(client):
    """The document loads and names the paths that the original's clients know."""
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/trades", "/api/momentum", "/api/intents", "/api/switches"} <= paths.keys()


def test_accounts(client):
    print(client.get("/api/account/balance").json())
    print(client.get("/api/settings").text[:300])
    print(client.get("/api/statistics").text)
    assert client.get("/api/accounts").json()[0]["account"] == "paper-one"
