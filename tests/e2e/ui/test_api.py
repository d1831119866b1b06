"""The REST API and the socket from outside: who is let in, and what a write does."""

from __future__ import annotations

import json
import time

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from recio.domain.units import SECOND_US
from recio.runtime.ids import SystemIds
from recio.testing.scripted_market import strike_row

ACCOUNT = "paper-one"
STRIKE = "KXBTCD-26NOV2017-T90999.99"
SOON_S = 60


@pytest.fixture
def client(desk):
    """A client that is logged in, as a browser is."""
    with httpx.Client(base_url=desk.url, headers={"origin": desk.url}) as made:
        answer = log_in(made, desk.password)
        assert answer.status_code == 200
        yield made


@pytest.fixture
def shared_client(shared_desk):
    """The same at the desk that all tests of this module share."""
    origin = {"origin": shared_desk.url}
    with httpx.Client(base_url=shared_desk.url, headers=origin) as made:
        assert log_in(made, shared_desk.password).status_code == 200
        yield made


def log_in(client: httpx.Client, password: str, name: str = "admin") -> httpx.Response:
    """Ask to be let in."""
    return client.post("/api/auth/login", json={"username": name, "password": password})


def fresh_key() -> str:
    """Return a key that no test has used."""
    return str(SystemIds().fresh())


def wish(**changed) -> dict:
    """Return an order of ten YES contracts."""
    return {
        "account": ACCOUNT,
        "purpose": "entry",
        "market_ticker": STRIKE,
        "side": "yes",
        "qty_e2": 1000,
        **changed,
    }


@pytest.mark.parametrize(
    "path",
    ["/api/accounts", "/trades", "/openapi.json", "/api/settings", "/api/trace/x", "/nowhere"],
)
def test_nothing_is_shown_without_a_session(shared_desk, path):
    """Everything but the probes, the price and the page's own files needs a session."""
    assert httpx.get(shared_desk.url + path).status_code == 401


@pytest.mark.parametrize("path", ["/api/switches", "/api/intents", "/api/settings", "/api/preview"])
def test_nothing_is_changed_without_a_session(shared_desk, path):
    """A write without a session is refused before its body is looked at."""
    answer = httpx.post(shared_desk.url + path, json={}, headers={"origin": shared_desk.url})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost", "null", "", "http://localhost:1", None]
)
def test_a_write_from_another_page_is_refused(shared_desk, shared_client, origin):
    """The Origin's host must be the Host, port included; a session does not help."""
    headers = {} if origin is None else {"origin": origin}
    shared_client.headers.pop("origin")
    answer = shared_client.post("/api/switches", json={}, headers=headers)
    assert answer.status_code == 403
    assert shared_desk.sql("SELECT count(*) FROM trading.switches WHERE source = 'person'") == [
        (0,)
    ]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:3000", ""])
def test_an_unknown_host_is_refused(shared_desk, host):
    """A name that somebody else points at this machine (DNS rebinding) shows nothing."""
    assert httpx.get(shared_desk.url + "/", headers={"host": host}).status_code == 421


def test_the_cookie_cannot_be_read_or_sent_by_other_pages(shared_desk):
    """HttpOnly, SameSite=Strict; the database holds only a hash of it."""
    with httpx.Client(base_url=shared_desk.url, headers={"origin": shared_desk.url}) as client:
        cookie = log_in(client, shared_desk.password).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    token = cookie.split("=", 1)[1].split(";")[0]
    stored = shared_desk.sql("SELECT token_hash FROM ops.sessions")
    assert token not in json.dumps(stored)


def test_wrong_passwords_soon_have_to_wait(desk):
    """After five failures in a minute even the right password waits; the answer says how long."""
    with httpx.Client(base_url=desk.url, headers={"origin": desk.url}) as client:
        for _ in range(5):
            assert log_in(client, "wrong").status_code == 401
        answer = log_in(client, desk.password)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60


def test_after_a_log_out_the_cookie_is_worth_nothing(shared_client):
    """Also when somebody kept it."""
    token = shared_client.cookies["recio_session"]
    assert shared_client.post("/api/auth/logout").status_code == 200
    shared_client.cookies.set("recio_session", token)
    assert shared_client.get("/api/accounts").status_code == 401


def test_a_new_password_ends_other_sessions(desk, client):
    """Whoever changes it because it was stolen wants exactly that."""
    with httpx.Client(base_url=desk.url, headers={"origin": desk.url}) as other:
        log_in(other, desk.password)
        body = {"old": desk.password, "new": "a much better one"}
        assert client.post("/api/user/change-password", json=body).status_code == 200
        assert other.get("/api/accounts").status_code == 401
    assert client.get("/api/accounts").status_code == 200


def test_every_answer_carries_the_security_headers(shared_client):
    """No script but our own, no frame around the page, nothing kept by caches."""
    for path in ("/", "/api/accounts"):
        headers = shared_client.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert shared_client.get("/api/accounts").headers["cache-control"] == "no-store"


def test_openapi_describes_every_route(shared_client):
    """The document loads and names the paths that the original's clients know."""
    paths = shared_client.get("/openapi.json").json()["paths"]
    known = {"/trades", "/api/momentum", "/api/ttc", "/api/strike_table", "/api/active_trades"}
    assert known | {"/api/intents", "/api/switches", "/api/settings"} <= paths.keys()


def test_reads_answer_for_a_fresh_account(shared_client):
    """Each list is there and empty; the money is the opening balance."""
    for path in ("/trades", "/api/active_trades", "/api/db/fills", "/api/db/positions",
                 "/api/db/settlements", "/api/db/orders", "/api/db/intents"):  # fmt: skip
        assert shared_client.get(path).json() == [], path
    assert shared_client.get("/api/account/balance").json()["cash_usd_e6"] == 1_000_000_000
    assert shared_client.get("/api/statistics").json()["trades"] == 0
    assert shared_client.get("/api/auto_entry_indicator").json()["status"] is None
    assert shared_client.get("/api/accounts").json()[0]["mode"] == "paper"


def test_market_paths_answer_from_memory(shared_desk, shared_client):
    """The original's paths, with integers and their units."""
    shared_desk.market(91_300.25)
    assert shared_client.get("/api/momentum").json()["score_e6"] == 124_000
    assert 0 < shared_client.get("/api/ttc").json()["ttc_seconds"] <= 540
    table = shared_client.get("/api/strike_table").json()
    assert table["price_usd_e6"] == 91_300_250_000
    assert len(table["rows"]) == 21
    assert shared_client.get("/api/prices/BTC").json()["basis_usd_e6"] == 3_200_000
    assert httpx.get(shared_desk.url + "/api/btc_price").json()["price"] == 91_300.25


def test_without_a_market_nothing_is_made_up(client):
    """No price, no table: 503 and 404, never a default number."""
    assert client.get("/api/btc_price").status_code == 503
    assert client.get("/api/strike_table").status_code == 503
    assert client.get("/api/prices/BTC").status_code == 404
    assert client.post("/api/preview", json=wish()).status_code == 409


def test_a_preview_costs_nothing_and_tells_the_worst_case(shared_desk, shared_client):
    """Limit, fee budget and the gate's forecast; nothing is written."""
    shared_desk.market(91_300)
    seen = shared_client.post("/api/preview", json=wish()).json()
    assert seen["limit_price_e4"] == seen["best_price_e4"] // 100 * 100 + 100
    assert seen["cost_usd_e6"] == seen["limit_price_e4"] * 1000
    assert seen["worst_usd_e6"] == -(seen["cost_usd_e6"] + seen["fee_usd_e6"] + 10_000)
    assert seen["refusals"] == []
    assert shared_desk.sql("SELECT count(*) FROM trading.intents") == [(0,)]


def test_the_preview_tells_what_the_gate_would_refuse(shared_desk, shared_client):
    """Too many contracts, more than one event may cost: both reasons at once."""
    shared_desk.market(91_300)
    refusals = shared_client.post("/api/preview", json=wish(qty_e2=20_000)).json()["refusals"]
    assert any("an order" in text for text in refusals)
    assert any("dollars in the event" in text for text in refusals)


def test_confirming_twice_is_one_order(desk, client):
    """The key of the preview is the order's identity."""
    desk.market(91_300)
    seen = client.post("/api/preview", json=wish()).json()
    order = wish(limit_price_e4=seen["limit_price_e4"])
    headers = {"idempotency-key": seen["idempotency_key"]}
    first = client.post("/api/intents", json=order, headers=headers)
    again = client.post("/api/intents", json=order, headers=headers)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["intent_id"] == again.json()["intent_id"]
    rows = desk.sql("SELECT source, state::text, limit_price_e4, reason FROM trading.intents")
    assert rows == [("manual", "proposed", seen["limit_price_e4"], "by hand, admin")]


def test_one_key_is_not_two_different_orders(desk, client):
    """The second one is refused, with what the first one was."""
    desk.market(91_300)
    headers = {"idempotency-key": fresh_key()}
    client.post("/api/intents", json=wish(limit_price_e4=9000), headers=headers)
    answer = client.post("/api/intents", json=wish(limit_price_e4=9100), headers=headers)
    assert answer.status_code == 422
    assert "9000" in answer.json()["detail"]


@pytest.mark.parametrize(
    "changed",
    [
        {"qty_e2": 0},
        {"qty_e2": 1.5},
        {"side": "maybe"},
        {"limit_price_e4": 0},
        {"limit_price_e4": 10_000},
        {"account": "nobody"},
        {"market_ticker": "KXBTCD-26NOV2017-T1.99"},
        {"purpose": "exit"},
        {"purpose": "exit", "trade_id": fresh_key()},
    ],
)
def test_impossible_orders_are_refused(shared_desk, shared_client, changed):
    """Each with a reason, and nothing is written."""
    order = {**wish(limit_price_e4=9000), **changed}
    headers = {"idempotency-key": fresh_key()}
    answer = shared_client.post("/api/intents", json=order, headers=headers)
    assert answer.status_code in {404, 409, 422}
    assert answer.json()["detail"]
    assert shared_desk.sql("SELECT count(*) FROM trading.intents") == [(0,)]


def test_an_order_without_a_key_is_refused(shared_client):
    """Otherwise an impatient finger would be two orders."""
    assert shared_client.post("/api/intents", json=wish(limit_price_e4=9000)).status_code == 422


def test_an_exit_names_its_trade_and_nobody_elses(desk, client, add_trade):
    """A close is reduce-only work of one trade: market and side must be the trade's."""
    desk.market(91_300)
    trade_id = add_trade(1, 91_000, "yes")
    good = wish(purpose="exit", trade_id=trade_id)
    seen = client.post("/api/preview", json=good)
    assert seen.status_code == 200
    assert seen.json()["cost_usd_e6"] < 0
    assert client.post("/api/preview", json={**good, "side": "no"}).status_code == 409


def test_a_dispute_is_shown_and_decided_once(desk, client):
    """With its evidence; accepted, discarded or neither, as its reason allows."""
    ids = [f"{digit * 8}-0000-4000-8000-000000000000" for digit in "12"]
    for dispute_id, reason in zip(ids, ("fill_exceeds_order", "cash_differs"), strict=True):
        desk.sql(
            "INSERT INTO trading.disputes VALUES (%s, %s, %s, 'f', '{\"n\": 1}', '{}', 'why', "
            "'open', '', 'kalshi_account_sync', '2026-01-01Z', '2026-01-01Z') RETURNING 1",
            dispute_id, ACCOUNT, reason,
        )  # fmt: skip
    shown = {row["reason"]: row for row in client.get("/api/disputes").json()}
    body = {"account": ACCOUNT, "accept": False, "note": "looked"}
    refused = client.post(f"/api/disputes/{ids[1]}", json=body)
    decided = client.post(f"/api/disputes/{ids[0]}", json=body)

    assert shown["fill_exceeds_order"]["told"] == {"n": 1}
    assert not shown["cash_differs"]["can_discard"]
    assert refused.status_code == 409
    assert "accept it" in refused.json()["detail"]
    assert decided.status_code == 200
    own = "SELECT state, note, author FROM trading.disputes WHERE reason = 'fill_exceeds_order'"
    assert desk.sql(own) == [("discarded", "looked", "admin")]
    assert client.post(f"/api/disputes/{ids[0]}", json=body).status_code == 409


def test_a_switch_is_the_persons_own_row(desk, client):
    """Set, latched with the author, and released; another source's row stays as it is."""
    desk.sql(
        "INSERT INTO trading.switches VALUES "
        "('*', 'breaker:x', 'ReduceOnly', 'why', 'detector', '2026-01-01Z') RETURNING 1"
    )
    body = {"scope": ACCOUNT, "state": "Halted", "reason": "lunch"}
    assert client.post("/api/switches", json=body).status_code == 200
    own = "SELECT state::text, reason, author FROM trading.switches WHERE source = 'person'"
    assert desk.sql(own) == [("Halted", "lunch", "admin")]
    client.post("/api/switches", json={"scope": ACCOUNT, "state": "Active"})
    client.post("/api/switches", json={"scope": "*", "state": "Active"})
    assert desk.sql(own)[0][0] == "Active"
    other = "SELECT state::text FROM trading.switches WHERE source = 'breaker:x'"
    assert desk.sql(other) == [("ReduceOnly",)]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"scope": "nobody", "state": "Halted"}, 404),
        ({"scope": ACCOUNT, "state": "Off"}, 422),
        ({"scope": ACCOUNT}, 422),
    ],
)
def test_impossible_switches_are_refused(shared_client, body, status):
    """An unknown account, state, or none."""
    assert shared_client.post("/api/switches", json=body).status_code == status


def test_settings_move_inside_their_bounds(client):
    """Edits lie over the resource, one over the other; null takes one back."""
    edit = {"account": ACCOUNT, "strategy": {"autoEntry": {"minProbabilityPermille": 970}}}
    assert client.post("/api/settings", json=edit).status_code == 200
    client.post("/api/set_auto_entry", json={"enabled": False})
    entry = client.get("/api/settings").json()["strategy"]["autoEntry"]
    assert (entry["minProbabilityPermille"], entry["enabled"]) == (970, False)
    undo = {"account": ACCOUNT, "strategy": {"autoEntry": {"minProbabilityPermille": None}}}
    entry = client.post("/api/settings", json=undo).json()["strategy"]["autoEntry"]
    assert (entry["minProbabilityPermille"], entry["enabled"]) == (950, False)


@pytest.mark.parametrize(
    "strategy",
    [
        {"autoEntry": {"minProbabilityPermille": 400}},
        {"autoEntry": {"unheardOf": 1}},
        {"autoEntry": {"minSecondsToClose": 1000}},
        {"model": "Blend"},
    ],
)
def test_settings_outside_their_bounds_are_refused(shared_desk, shared_client, strategy):
    """The reason names the field; nothing is written."""
    body = {"account": ACCOUNT, "strategy": strategy}
    answer = shared_client.post("/api/settings", json=body)
    assert answer.status_code == 422
    assert shared_desk.sql("SELECT count(*) FROM trading.account_settings") == [(0,)]


def test_limits_can_only_become_tighter(client):
    """A looser limit than the resource's has no effect."""
    body = {"account": ACCOUNT, "risk": {"maxOpenTrades": 50, "maxContractsPerOrder": 2}}
    risk = client.post("/api/settings", json=body).json()["risk"]
    assert (risk["maxOpenTrades"], risk["maxContractsPerOrder"]) == (3, 2)


def test_a_trade_is_explained(client, add_trade):
    """The chain that the command prints; an unknown id is 404."""
    trade_id = add_trade(1, 91_000, "yes")
    steps = client.get(f"/api/trace/{trade_id}").json()["steps"]
    assert [step["kind"] for step in steps] == ["audit"]
    assert client.get(f"/api/trace/{fresh_key()}").status_code == 404


def socket_headers(client: httpx.Client, origin: str) -> dict:
    """Return what a browser sends when it opens a socket."""
    return {"cookie": f"recio_session={client.cookies['recio_session']}", "origin": origin}


def frames_until(socket, key: str) -> list[dict]:
    """Return what comes up to the frame with a document; frames without it come every second."""
    deadline = time.monotonic() + SOON_S
    frames = [json.loads(socket.recv(SOON_S))]
    while key not in frames[-1]["documents"]:
        assert time.monotonic() < deadline, f"no {key} within {SOON_S} s"
        frames.append(json.loads(socket.recv(SOON_S)))
    return frames


def test_the_socket_sends_a_picture_then_changes(desk, client):
    """Seq rises by one; what has not changed is not sent again."""
    desk.market(91_300)
    url = desk.url.replace("http", "ws") + "/ws"
    with connect(url, additional_headers=socket_headers(client, desk.url)) as socket:
        first = json.loads(socket.recv(SOON_S))
        assert (first["t"], first["seq"]) == ("snapshot", 0)
        assert first["view"]["account"] == ACCOUNT
        frames = [json.loads(socket.recv(SOON_S))]
        desk.market(91_301)
        if "price/paper/BTC" not in frames[0]["documents"]:
            frames += frames_until(socket, "price/paper/BTC")
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    assert all("account/paper-one/settings" not in frame["documents"] for frame in frames[2:])
    price = frames[-1]["documents"]["price/paper/BTC"]
    assert price["index_usd_e6"] == 91_301_000_000


def test_a_changed_row_reaches_the_socket_without_asking(desk, client, add_trade):
    """PostgreSQL hints, the section is read again, the browser gets the row."""
    desk.market(91_300)
    url = desk.url.replace("http", "ws") + "/ws"
    with connect(url, additional_headers=socket_headers(client, desk.url)) as socket:
        socket.recv(SOON_S)
        trade_id = add_trade(7, 91_000, "yes")
        key = f"account/{ACCOUNT}/trade/{trade_id}"
        frame = frames_until(socket, key)[-1]
    assert frame["documents"][key]["number"] == 7


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:1"])
def test_the_socket_is_not_for_other_pages(shared_desk, shared_client, origin):
    """A page elsewhere cannot read the desk with this person's cookie."""
    url = shared_desk.url.replace("http", "ws") + "/ws"
    with (
        pytest.raises(InvalidStatus),
        connect(url, additional_headers=socket_headers(shared_client, origin)),
    ):
        pass


def test_the_socket_needs_a_session(shared_desk):
    """No cookie, no figures."""
    url = shared_desk.url.replace("http", "ws") + "/ws"
    with pytest.raises(InvalidStatus), connect(url, additional_headers={"origin": shared_desk.url}):
        pass


@pytest.mark.parametrize("text", ["{", "[]", '{"t":"other"}', '{"t":"view","account":7}'])
def test_the_socket_closes_on_nonsense(shared_desk, shared_client, text):
    """With a code of its own; the service goes on."""
    url = shared_desk.url.replace("http", "ws") + "/ws"
    with connect(url, additional_headers=socket_headers(shared_client, shared_desk.url)) as socket:
        socket.send(text)
        with pytest.raises(ConnectionClosedError):
            for _ in socket:
                pass
        assert socket.close_code == 4400
    assert shared_client.get("/api/accounts").status_code == 200


@pytest.mark.parametrize(
    ("bid_e4", "ask_e4", "slippage_e4", "limit_e4"),
    [(9_400, 9_540, 0, 9_540), (9_400, 9_540, 100, 9_600), (9_600, 9_750, 500, 9_800)],
)
def test_a_limit_lies_on_every_grid(
    shared_desk, shared_client, bid_e4, ask_e4, slippage_e4, limit_e4
):
    """The ask itself, or whole cents above it, never above the account's highest price."""
    now = shared_desk.clock.market_us()
    row = strike_row(91_000, 91_300_000_000, now, yes_bid_e4=bid_e4, yes_ask_e4=ask_e4)
    shared_desk.market(91_300, rows=(row,))
    seen = shared_client.post("/api/preview", json=wish(slippage_e4=slippage_e4)).json()
    assert seen["limit_price_e4"] == limit_e4


def test_a_second_trade_in_a_market_is_foretold(desk, client, add_trade):
    """The exchange would net the two; the gate refuses, and the preview says so before."""
    add_trade(5, 91_000, "yes")
    desk.market(91_300)
    refusals = client.post("/api/preview", json=wish()).json()["refusals"]
    assert any("trade 5" in text for text in refusals)


def test_an_account_that_nobody_announced_is_found(desk, client):
    """The hint may be lost with the change feed; the names are read again every ten seconds."""
    for statement in (
        "ALTER TABLE trading.account_config DISABLE TRIGGER row_change",
        (
            "INSERT INTO trading.accounts (account, environment, mode, created_at)"
            " SELECT 'paper-two', environment, mode, created_at FROM trading.accounts"
        ),
        (
            "INSERT INTO trading.account_config SELECT 'paper-two', 1,"
            """ jsonb_set(document, '{metadata,name}', '"paper-two"'), applied_at"""
            " FROM trading.account_config"
        ),
    ):
        desk.execute(statement)
    deadline_us = desk.clock.wall_us() + 90 * SECOND_US
    while client.get("/api/settings", params={"account": "paper-two"}).status_code != 200:
        assert desk.clock.wall_us() < deadline_us, "the account was not found"
        time.sleep(0.2)
