"""Signatures, scopes, token buckets, pauses, order groups, read lag, admin, and public reads."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from tests.unit.exchange_simulator.builders import (
    CLOSE_US,
    EVENT,
    HIGH,
    LOW,
    NOW_US,
    QUARTER,
    SECOND,
)
from tests.unit.exchange_simulator.client import BASE, Venue

from recio.domain.units import parse_time_us
from recio.exchange_simulator.api.limits import Limits, capacity
from recio.exchange_simulator.api.messages import Now, Request
from recio.exchange_simulator.core.pauses import weekly_window
from recio.exchange_simulator.core.refusals import Refusal
from recio.exchange_simulator.core.state import Config

GROUPS = "/portfolio/order_groups"


def run(scenario, config=None):
    """Run a scenario on a fresh exchange with a member."""

    async def main():
        venue = Venue(config)
        await scenario(venue, await venue.member("alice"))

    asyncio.run(main())


async def raw(venue, path, headers, method="GET", body=b"", peer=""):
    """Send a request as it is; return (status, body)."""
    request = Request(method, path, {n.lower(): v for n, v in headers.items()}, body, peer)
    reply = await venue.gateway.request(request)
    return reply.status, msgspec.json.decode(reply.body)


@pytest.mark.parametrize("key_type", ["rsa", "ed25519"])
def test_both_kinds_of_key_sign(key_type):
    """RSA-PSS and Ed25519 over the same text; the query is not signed."""

    async def main():
        venue = Venue()
        alice = await venue.member("alice", key_type=key_type)
        assert (await alice.get("/portfolio/orders", "limit=5"))["orders"] == []

    asyncio.run(main())


@pytest.mark.parametrize(
    ("change", "details"),
    [
        (lambda h: h.update({"KALSHI-ACCESS-KEY": "nobody"}), "NOT_FOUND"),
        (lambda h: h.pop("KALSHI-ACCESS-KEY"), "MISSING_HEADERS"),
        (lambda h: h.update({"KALSHI-ACCESS-SIGNATURE": "AAAA"}), "INCORRECT_API_KEY_SIGNATURE"),
        (lambda h: h.update({"KALSHI-ACCESS-SIGNATURE": "%%%"}), "INCORRECT_API_KEY_SIGNATURE"),
        (lambda h: h.update({"KALSHI-ACCESS-TIMESTAMP": "soon"}), "INVALID_TIMESTAMP"),
    ],
    ids=["unknown key", "no key", "wrong signature", "not base64", "no number"],
)
def test_bad_signatures_are_401_with_their_reason(change, details):
    """The nested error carries authentication_error and a detail."""

    async def scenario(venue, alice):
        path = BASE + "/portfolio/balance"
        headers = alice.headers("GET", path)
        change(headers)
        status, body = await raw(venue, path, headers)
        assert status == 401
        assert (body["error"]["code"], body["error"]["details"]) == (
            "authentication_error",
            details,
        )

    run(scenario)


@pytest.mark.parametrize(
    ("shift_ms", "status"), [(-5_000, 200), (5_000, 200), (5_001, 401), (-30_000, 401)]
)
def test_five_seconds_of_skew_on_the_wall_clock(shift_ms, status):
    """The signature's time is compared with wall time, both ends inclusive."""

    async def scenario(venue, alice):
        path = BASE + "/portfolio/balance"
        got, _ = await raw(venue, path, alice.headers("GET", path, shift_ms=shift_ms))
        assert got == status

    run(scenario)


def test_a_signature_for_another_path_or_method_is_refused():
    """The path as received, the base included, is what was signed."""

    async def scenario(venue, alice):
        headers = alice.headers("GET", "/portfolio/balance")
        assert (await raw(venue, BASE + "/portfolio/balance", headers))[0] == 401
        headers = alice.headers("POST", BASE + "/portfolio/balance")
        assert (await raw(venue, BASE + "/portfolio/balance", headers))[0] == 401

    run(scenario)


def test_a_read_key_cannot_write():
    """403 without the scope; write without read is no valid wish."""

    async def scenario(_venue, alice):
        body = {"name": "reader", "scopes": ["read"], "key_type": "ed25519"}
        status, made = await alice.call("POST", "/api_keys/generate", body)
        assert status == 201
        reader = type(alice)(alice.venue, "alice", made["api_key_id"], made["private_key"])
        assert (await reader.get("/portfolio/balance"))["balance"] == 100_000
        status, refused = await reader.order()
        assert (status, refused["error"]["code"]) == (403, "forbidden")
        bad = body | {"scopes": ["write"]}
        assert (await alice.call("POST", "/api_keys/generate", bad))[0] == 400
        assert len((await alice.get("/api_keys"))["api_keys"]) == 2

    run(scenario)


def test_buckets_are_those_of_the_table():
    """Basic: 100 writes of capacity for one second; Advanced: two seconds."""
    assert [capacity("Basic", is_write=one) for one in (True, False)] == [100, 400]
    assert [capacity("Advanced", is_write=one) for one in (True, False)] == [600, 600]
    assert [capacity("Expert", is_write=one) for one in (True, False)] == [1200, 600]


def test_tokens_come_back_with_market_time_and_shards_have_buckets_of_their_own():
    """60 creates empty the crypto bucket; 10 tokens come back in a thirtieth of a second."""
    limits = Limits()
    for _ in range(60):
        limits.bill_write("a", "Advanced", 2, 10, NOW_US)
    with pytest.raises(Refusal):
        limits.bill_write("a", "Advanced", 2, 10, NOW_US)
    limits.bill_write("a", "Advanced", 0, 10, NOW_US)
    with pytest.raises(Refusal):
        limits.bill_write("a", "Advanced", -1, 10, NOW_US)
    limits.bill_write("a", "Advanced", 2, 10, NOW_US + SECOND // 30 + 1)


def test_429_is_a_plain_string_without_retry_after():
    """The body is {"error": "too many requests"}."""

    async def scenario(_venue, alice):
        for _ in range(60):
            await alice.get("/portfolio/balance")
        status, body = await alice.call("GET", "/portfolio/balance")
        assert (status, body) == (429, {"error": "too many requests"})

    run(scenario)


def test_a_batch_is_billed_as_a_whole():
    """Ten creates cost 100 tokens of the unscoped bucket; cancels cost two each."""

    async def scenario(_venue, alice):
        item = {
            "ticker": LOW,
            "side": "bid",
            "count": "1",
            "price": "0.01",
            "time_in_force": "good_till_canceled",
            "self_trade_prevention_type": "maker",
        }
        body = {"orders": [item] * 10}
        for _ in range(6):
            assert (await alice.call("POST", "/portfolio/events/orders/batched", body))[0] == 201
        assert (await alice.call("POST", "/portfolio/events/orders/batched", body))[0] == 429
        costs = (await alice.get("/account/endpoint_costs"))["endpoint_costs"]
        assert {(one["method"], one["cost"]) for one in costs} == {("DELETE", 2)}
        assert (await alice.get("/account/limits"))["write"] == {
            "refill_rate": 300,
            "bucket_capacity": 600,
        }

    run(scenario)


@pytest.mark.parametrize(
    ("at", "start", "end"),
    [
        ("2026-11-24T00:00:00Z", "2026-11-26T08:00:00Z", "2026-11-26T10:00:00Z"),
        ("2026-11-26T09:59:59Z", "2026-11-26T08:00:00Z", "2026-11-26T10:00:00Z"),
        ("2026-11-26T10:00:00Z", "2026-12-03T08:00:00Z", "2026-12-03T10:00:00Z"),
        ("2026-07-01T00:00:00Z", "2026-07-02T07:00:00Z", "2026-07-02T09:00:00Z"),
    ],
)
def test_the_weekly_pause_follows_new_york(at, start, end):
    """Thursday 03:00 to 05:00 local time, with daylight saving."""
    found = weekly_window(parse_time_us(at))
    assert found == (parse_time_us(start), parse_time_us(end))


def test_during_the_weekly_pause_only_cancels_work():
    """Creates and amends are refused; flagged orders are canceled with HaltCancel."""

    async def scenario(venue, alice):
        on = venue.exchange
        stream = await alice.stream("user_orders")
        _, stays = await alice.order(price="0.10")
        await alice.order(price="0.11", cancel_order_on_pause=True)
        stream.frames()
        on.pause_trading(NOW_US, until_us=NOW_US + 60 * SECOND)
        await venue.gateway.commit()
        (halted,) = stream.of("user_order")
        assert halted["last_update_reason"] == "HaltCancel"
        status, body = await alice.order()
        assert (status, body["error"]["code"]) == (400, "trading_is_paused")
        told = await alice.get("/exchange/status")
        assert (told["exchange_active"], told["trading_active"]) == (True, False)
        assert not on.set_external_level(LOW, "yes", 5000, 100, NOW_US)
        path = f"/portfolio/events/orders/{stays['order_id']}"
        assert (await alice.call("DELETE", path, query="exchange_index=2"))[0] == 200
        await venue.advance(61)
        assert (await alice.order())[0] == 201

    run(scenario)


def test_during_an_exchange_pause_nothing_works():
    """Not even cancels: 503."""

    async def scenario(venue, alice):
        _, made = await alice.order()
        venue.exchange.pause_exchange(NOW_US)
        path = f"/portfolio/events/orders/{made['order_id']}"
        status, body = await alice.call("DELETE", path, query="exchange_index=2")
        assert (status, body["error"]["code"]) == (503, "exchange_unavailable")
        venue.exchange.resume(NOW_US)
        assert (await alice.call("DELETE", path, query="exchange_index=2"))[0] == 200

    run(scenario)


def test_the_weekly_pause_begins_by_itself():
    """The clock alone switches it on and off."""

    async def scenario(venue, alice):
        venue.clock.at_us = parse_time_us("2026-11-26T08:00:00Z")
        told = await alice.get("/exchange/status")
        assert not told["trading_active"]
        assert told["exchange_estimated_resume_time"] == "2026-11-26T10:00:00.000000Z"
        venue.clock.at_us = parse_time_us("2026-11-26T10:00:00Z")
        assert (await alice.get("/exchange/status"))["trading_active"]

    run(scenario)


def test_an_order_group_is_a_fuse_over_fifteen_seconds():
    """At the limit matching stops, members are canceled, new orders are refused until reset."""

    async def scenario(venue, alice):
        status, made = await alice.call(
            "POST", f"{GROUPS}/create", {"contracts_limit": 10, "exchange_index": 2}
        )
        assert status == 201
        group = made["order_group_id"]
        stream = await alice.stream("order_group_updates")
        venue.exchange.set_external_level(LOW, "no", 4400, 10_000, NOW_US)
        _, rest = await alice.order("bid", "0.10", "1", order_group_id=group)
        _, taken = await alice.order("bid", "0.56", "6", order_group_id=group)
        assert taken["fill_count"] == "6.00"
        _, fused = await alice.order("bid", "0.56", "20", order_group_id=group)
        assert (fused["fill_count"], fused["remaining_count"]) == ("4.00", "0.00")
        orders = (await alice.get("/portfolio/orders", "status=resting"))["orders"]
        assert orders == []
        status, body = await alice.order("bid", "0.10", "1", order_group_id=group)
        assert (status, body["error"]["code"]) == (400, "order_group_cancel")
        assert [one["event_type"] for one in stream.of("order_group_updates")] == ["triggered"]
        path, query = f"{GROUPS}/{group}", "exchange_index=2"
        assert (await alice.call("PUT", path + "/reset", {}, query=query))[0] == 200
        assert (await alice.order("bid", "0.10", "1", order_group_id=group))[0] == 201
        assert (await alice.call("PUT", path + "/reset", {}))[0] == 404
        assert (await alice.call("DELETE", path, {}, query=query))[0] == 200
        assert rest["order_id"]

    run(scenario)


def test_matched_contracts_leave_the_group_after_fifteen_seconds():
    """The window rolls."""

    async def scenario(venue, alice):
        body = {"contracts_limit_fp": "10.00", "exchange_index": 2}
        _, made = await alice.call("POST", f"{GROUPS}/create", body)
        group = made["order_group_id"]
        for _ in range(3):
            venue.exchange.set_external_level(LOW, "no", 4400, 900, venue.clock.at_us)
            _, reply = await alice.order("bid", "0.56", "9", order_group_id=group)
            assert reply["fill_count"] == "9.00"
            await venue.advance(15)

    run(scenario)


def test_portfolio_reads_lag_and_say_so():
    """as_of_time stands behind the action; the mutation's reply does not."""

    async def scenario(venue, alice):
        await venue.advance(1)
        _, made = await alice.order()
        assert (await alice.get("/portfolio/orders"))["orders"] == []
        as_of = (await alice.get("/exchange/user_data_timestamp"))["as_of_time"]
        assert parse_time_us(as_of) == venue.clock.at_us - 400_000
        await venue.advance(0.4)
        assert len((await alice.get("/portfolio/orders"))["orders"]) == 1
        path = f"/portfolio/events/orders/{made['order_id']}"
        await alice.call("DELETE", path, query="exchange_index=2")
        shown = (await alice.get(f"/portfolio/orders/{made['order_id']}"))["order"]
        assert shown["status"] == "resting"
        await venue.advance(0.5)
        shown = (await alice.get(f"/portfolio/orders/{made['order_id']}"))["order"]
        assert shown["status"] == "canceled"

    run(scenario, Config(read_lag_ms=400))


def test_the_admin_api_answers_loopback_only_and_is_idempotent():
    """A second call keeps the money; a given public key is registered once."""

    async def scenario(venue, alice):
        body = msgspec.json.encode({"account": "alice", "initial_balance_dollars": "5"})
        for peer, status in (("10.0.0.7", 403), ("127.0.0.1", 201), ("::1", 201)):
            got, _ = await raw(venue, "/admin/accounts", {}, "POST", body, peer)
            assert got == status
        assert (await alice.get("/portfolio/balance"))["balance"] == 100_000
        pem = venue.exchange.state.keys[alice.key_id].public_pem
        given = {"account": "alice", "initial_balance_dollars": "5", "public_key_pem": pem}
        _, made = await raw(venue, "/admin/accounts", {}, "POST", msgspec.json.encode(given))
        assert (made["api_key_id"], made["private_key"]) == (alice.key_id, None)
        status, truth = await raw(venue, "/admin/accounts/alice", {})
        assert (status, truth["cash_usd_e6"], truth["fills"]) == (200, 1_000_000_000, [])

    run(scenario)


@pytest.mark.parametrize(
    ("peer", "shown", "token", "status"),
    [
        ("10.0.0.7", "Bearer right", "right", 200),
        ("10.0.0.7", "bearer  right ", "right", 200),
        ("10.0.0.7", "Bearer wrong", "right", 401),
        ("10.0.0.7", "Basic right", "right", 401),
        ("10.0.0.7", "right", "right", 401),
        ("10.0.0.7", "", "right", 401),
        ("10.0.0.7", "Bearer ", "", 401),
        ("10.0.0.7", "Bearer \u00e9", "right", 401),
        ("127.0.0.1", "", "right", 200),
    ],
)
def test_the_admin_api_opens_to_other_machines_by_its_token_only(peer, shown, token, status):
    """An unreadable file is an empty token, and that opens nothing."""

    async def main():
        venue = Venue(admin_token=lambda: token)
        got, _ = await raw(venue, "/admin/accounts", {"Authorization": shown}, peer=peer)
        assert got == status

    asyncio.run(main())


@pytest.mark.parametrize(
    "change",
    [
        {"initial_balance_dollars": "0.001"},
        {"initial_balance_dollars": "-1"},
        {"initial_balance_dollars": "NaN"},
        {"initial_balance_dollars": "1000001"},
        {"account": ""},
        {"public_key_pem": "not a key"},
        {"key_type": "dsa"},
    ],
    ids=str,
)
def test_impossible_accounts_are_refused(change):
    """Nothing is made of nonsense."""

    async def scenario(venue, _alice):
        body = {"account": "new", "initial_balance_dollars": "5"} | change
        status, _ = await raw(venue, "/admin/accounts", {}, "POST", msgspec.json.encode(body))
        assert status == 400
        if "account" not in change and "key" not in str(change):
            assert "new" not in venue.exchange.state.accounts

    run(scenario)


def test_market_data_needs_no_signature_and_pages_through():
    """Markets, events, books and trades are public; cursors lead to the end."""

    async def scenario(venue, _alice):
        venue.exchange.set_external_level(LOW, "yes", 5000, 700, NOW_US)
        venue.exchange.external_trade(LOW, "no", 5000, 200, NOW_US)
        status, page = await raw(venue, f"{BASE}/markets?limit=2", {})
        assert (status, len(page["markets"])) == (200, 2)
        _, last = await raw(venue, f"{BASE}/markets?limit=2&cursor={page['cursor']}", {})
        assert (len(last["markets"]), last["cursor"]) == (1, "")
        tickers = {one["ticker"] for one in page["markets"] + last["markets"]}
        assert tickers == {LOW, HIGH, QUARTER}
        _, garbage = await raw(venue, f"{BASE}/markets?cursor=%21garbage", {})
        assert len(garbage["markets"]) == 3
        _, book = await raw(venue, f"{BASE}/markets/{LOW}/orderbook", {})
        assert book == {"orderbook_fp": {"yes_dollars": [["0.5000", "5.00"]], "no_dollars": []}}
        _, trades = await raw(venue, f"{BASE}/markets/trades?ticker={LOW}", {})
        (trade,) = trades["trades"]
        assert (trade["taker_outcome_side"], trade["count_fp"]) == ("no", "2.00")
        _, event = await raw(venue, f"{BASE}/events/{EVENT}?with_nested_markets=true", {})
        assert len(event["event"]["markets"]) == 2
        window = f"start_ts=0&end_ts={NOW_US // SECOND + 60}&period_interval=1"
        path = f"{BASE}/series/KXBTCD/markets/{LOW}/candlesticks?{window}"
        _, candles = await raw(venue, path, {})
        (candle,) = candles["candlesticks"]
        assert (candle["price"]["close_dollars"], candle["volume_fp"]) == ("0.5000", "2.00")

    run(scenario)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/markets?limit=1001", 400),
        ("/markets?limit=many", 400),
        ("/markets?status=sleeping", 400),
        ("/markets/KXNOTHING", 404),
        ("/series/KXNOTHING", 404),
        ("/events/KXNOTHING", 404),
        ("/nothing", 404),
        (f"/markets/{LOW}/orderbook?depth=101", 400),
    ],
)
def test_bad_public_requests_are_refused(path, status):
    """Parameters are validated; unknown things are 404."""

    async def scenario(venue, _alice):
        assert (await raw(venue, BASE + path, {}))[0] == status

    run(scenario)


def test_a_body_that_is_no_json_is_a_flat_bad_request():
    """400 with code, message and details at the top."""

    async def scenario(_venue, alice):
        status, body = await alice.call("POST", "/portfolio/events/orders", b"{nonsense")
        assert (status, body["code"]) == (400, "bad_request")

    run(scenario)


@pytest.mark.parametrize(
    ("side", "result", "revenue", "balance"),
    [
        ("bid", "yes", 1050, "1005.060000"),
        ("bid", "no", 0, "994.560000"),
        ("ask", "no", 1050, "1005.060000"),
    ],
)
def test_settlement_pays_net_positions_in_whole_cents(side, result, revenue, balance):
    """10.50 contracts at 0.50: cost 5.25, fee 0.18375 up to 0.19; $1 for each winning contract, no fee on it."""

    async def scenario(venue, alice):
        venue.exchange.set_external_level(
            LOW, "no" if side == "bid" else "yes", 5000, 9_999, NOW_US
        )
        await alice.order(side, "0.50", "10.50")
        venue.clock.at_us = CLOSE_US
        await venue.advance(0)
        venue.exchange.determine(LOW, result, CLOSE_US, expiration_value="90000.12")
        await venue.advance(59)
        assert (await alice.get("/portfolio/settlements"))["settlements"] == []
        await venue.advance(1)
        (paid,) = (await alice.get("/portfolio/settlements"))["settlements"]
        assert (paid["revenue"], paid["market_result"]) == (revenue, result)
        assert paid["fee_cost"] == "0.190000"
        assert (await alice.get("/portfolio/balance"))["balance_dollars"] == balance
        assert (await alice.get("/portfolio/positions"))["market_positions"] == []
        market = (await alice.get(f"/markets/{LOW}"))["market"]
        assert (market["status"], market["expiration_value"]) == ("finalized", "90000.12")

    run(scenario)


def test_the_request_time_moves_the_market():
    """A request at the close finds the market closed, even if nothing ticked meanwhile."""

    async def scenario(venue, alice):
        now = Now(CLOSE_US, NOW_US)
        path = f"{BASE}/markets/{LOW}"
        reply = venue.gateway.api.handle(Request("GET", path), now)
        assert msgspec.json.decode(reply.body)["market"]["status"] == "closed"
        assert alice

    run(scenario)
