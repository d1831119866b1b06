"""Orders over REST: create, fill, cancel, amend, decrease, batches, and every refusal."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.exchange_simulator.builders import HIGH, LOW, QUARTER, SECOND
from tests.unit.exchange_simulator.client import Venue

from recio.exchange_simulator.core.state import Config

ORDERS = "/portfolio/events/orders"
IOC = "immediate_or_cancel"
FOK = "fill_or_kill"


def run(scenario):
    """Run a scenario on a fresh exchange with two members."""

    async def main():
        venue = Venue()
        await scenario(venue, await venue.member("alice"), await venue.member("bob"))

    asyncio.run(main())


def quote(venue, side="no", price_e4=4400, qty_e2=10_000, ticker=LOW):
    """Let the house quote: NO bids at 0.44 are YES asks at 0.56."""
    venue.exchange.set_external_level(ticker, side, price_e4, qty_e2, venue.clock.at_us)


def test_an_order_takes_the_house_and_its_money_is_exact():
    """Ten contracts at 0.56: cost 5.60, fee 0.07 * 10 * 0.56 * 0.44 = 0.17248 up to 0.18."""

    async def scenario(venue, alice, _bob):
        quote(venue)
        status, reply = await alice.order("bid", "0.60", "10")
        assert status == 201
        assert reply["fill_count"] == "10.00"
        assert reply["remaining_count"] == "0.00"
        assert reply["average_fill_price"] == "0.5600"
        assert reply["average_fee_paid"] == "0.018000"
        balance = await alice.get("/portfolio/balance")
        assert balance["balance_dollars"] == "994.220000"
        assert balance["balance"] == 99_422
        assert balance["balance_breakdown"] == [{"exchange_index": 2, "balance": "994.220000"}]
        (position,) = (await alice.get("/portfolio/positions"))["market_positions"]
        assert position["position_fp"] == "10.00"
        assert position["market_exposure_dollars"] == "5.600000"
        assert position["fees_paid_dollars"] == "0.180000"
        (fill,) = (await alice.get("/portfolio/fills"))["fills"]
        assert (fill["fee_cost"], fill["yes_price_dollars"]) == ("0.180000", "0.5600")
        assert (fill["book_side"], fill["outcome_side"]) == ("bid", "yes")
        assert venue.exchange.external_level(LOW, "no", 4400) == 9_000
        assert venue.exchange.taken(LOW, "no", 4400) == 1_000

    run(scenario)


def test_a_round_trip_nets_and_realizes_the_difference():
    """Buy 10 at 0.56, sell 10 at 0.60: the pair is gone, 0.40 earned before fees."""

    async def scenario(venue, alice, _bob):
        quote(venue)
        await alice.order("bid", "0.56")
        quote(venue, "no", 4400, 0)
        quote(venue, "yes", 6000, 10_000)
        status, reply = await alice.order("ask", "0.60", time_in_force=IOC, reduce_only=True)
        assert (status, reply["fill_count"]) == (201, "10.00")
        (position,) = (await alice.get("/portfolio/positions"))["market_positions"]
        assert position["position_fp"] == "0.00"
        assert position["realized_pnl_dollars"] == "0.400000"
        balance = await alice.get("/portfolio/balance")
        assert balance["balance_dollars"] == "1000.050000"

    run(scenario)


def test_price_time_priority_between_members_and_house():
    """Better price first, then who came first; the house behind us leaves first."""

    async def scenario(venue, alice, bob):
        quote(venue, "yes", 5000, 500)
        await alice.order("bid", "0.50", "10")
        quote(venue, "yes", 5000, 1_500)
        await bob.order("bid", "0.51", "1")
        own = (await alice.get("/portfolio/orders"))["orders"][0]["order_id"]
        ahead = await alice.get(f"/portfolio/orders/{own}/queue_position")
        assert ahead == {"queue_position_fp": "5.00"}
        quote(venue, "yes", 5000, 600)
        assert await alice.get(f"/portfolio/orders/{own}/queue_position") == ahead
        quote(venue, "yes", 5000, 400)
        ahead = await alice.get(f"/portfolio/orders/{own}/queue_position")
        assert ahead == {"queue_position_fp": "4.00"}
        traded = venue.exchange.external_trade(LOW, "no", 5000, 700, venue.clock.at_us)
        assert traded == 700
        fills = (await bob.get("/portfolio/fills"))["fills"]
        assert [one["count_fp"] for one in fills] == ["1.00"]
        fills = (await alice.get("/portfolio/fills"))["fills"]
        assert [(one["count_fp"], one["is_taker"]) for one in fills] == [("2.00", False)]

    run(scenario)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"price": "0.505"}, 400, "invalid_price"),
        ({"price": "0"}, 400, "invalid_price"),
        ({"price": "1.00"}, 400, "invalid_price"),
        ({"price": "NaN"}, 400, "invalid_price"),
        ({"count": "0"}, 400, "invalid_order_size"),
        ({"count": "-1"}, 400, "invalid_order_size"),
        ({"ticker": "KXNONE-1"}, 404, "market_not_found"),
        ({"exchange_index": 0}, 404, "market_not_found"),
        ({"time_in_force": IOC, "expiration_time": 2_000_000_000}, 400, "invalid_order"),
        ({"expiration_time": 1_000_000_000}, 400, "invalid_order"),
        ({"time_in_force": IOC, "post_only": True}, 400, "invalid_order"),
        ({"reduce_only": True}, 400, "invalid_order"),
        ({"count": "3000"}, 400, "insufficient_balance"),
        ({"order_group_id": "nobody"}, 404, "order_group_not_found"),
    ],
    ids=str,
)
def test_refusals_change_nothing_and_name_their_code(fields, status, code):
    """Each broken rule gives its status and code; no order exists afterwards."""

    async def scenario(_venue, alice, _bob):
        got_status, body = await alice.order(**fields)
        assert (got_status, body["error"]["code"]) == (status, code)
        assert (await alice.get("/portfolio/orders"))["orders"] == []

    run(scenario)


def test_a_killed_order_takes_nothing_and_uses_up_its_name():
    """A FOK order that cannot be filled is 409, trades nothing, and so does its name again."""

    async def scenario(_venue, alice, _bob):
        status, body = await alice.order(time_in_force=FOK, client_order_id="once")
        code = "fill_or_kill_insufficient_resting_volume"
        assert (status, body["error"]["code"]) == (409, code)
        status, body = await alice.order(client_order_id="once")
        assert (status, body["error"]["code"]) == (409, "order_already_exists")
        assert (await alice.get("/portfolio/fills"))["fills"] == []
        (killed,) = (await alice.get("/portfolio/orders"))["orders"]
        assert (killed["status"], killed["fill_count_fp"]) == ("canceled", "0.00")

    run(scenario)


@pytest.mark.parametrize("fields", [{"count": 10}, {"price": 0.5}, {"side": "yes"}], ids=str)
def test_wrong_json_types_are_a_flat_bad_request(fields):
    """Numbers for counts and prices are refused as undecodable."""

    async def scenario(_venue, alice, _bob):
        status, body = await alice.order(**fields)
        assert (status, body["code"]) == (400, "bad_request")

    run(scenario)


def test_a_client_order_id_is_used_for_ever():
    """A canceled order keeps its client_order_id; a second use is 409."""

    async def scenario(_venue, alice, _bob):
        _, made = await alice.order(client_order_id="once")
        path = f"{ORDERS}/{made['order_id']}"
        status, body = await alice.call("DELETE", path, query="exchange_index=2")
        assert (status, body["reduced_by"]) == (200, "10.00")
        status, body = await alice.order(client_order_id="once")
        assert (status, body["error"]["code"]) == (409, "order_already_exists")
        status, body = await alice.call("DELETE", path, query="exchange_index=2")
        assert (status, body["error"]["code"]) == (404, "not_found")

    run(scenario)


def test_a_client_order_id_can_be_freed_when_its_order_is_done():
    """The switch: used only while the order is open."""

    async def main():
        venue = Venue(Config(is_client_order_id_used_forever=False))
        alice = await venue.member()
        _, made = await alice.order(client_order_id="again")
        assert (await alice.order(client_order_id="again"))[0] == 409
        await alice.call("DELETE", f"{ORDERS}/{made['order_id']}", query=f"market_ticker={LOW}")
        assert (await alice.order(client_order_id="again"))[0] == 201

    asyncio.run(main())


def test_a_cancel_without_shard_or_ticker_goes_to_shard_zero():
    """A bare DELETE on a crypto order is 404; with the ticker it is routed."""

    async def scenario(_venue, alice, _bob):
        _, made = await alice.order()
        path = f"{ORDERS}/{made['order_id']}"
        assert (await alice.call("DELETE", path))[0] == 404
        assert (await alice.call("DELETE", path, query=f"market_ticker={LOW}"))[0] == 200

    run(scenario)


def test_immediate_or_cancel_without_liquidity_is_accepted_and_empty():
    """201, nothing filled, nothing remaining, status canceled."""

    async def scenario(_venue, alice, _bob):
        status, reply = await alice.order(time_in_force=IOC)
        assert status == 201
        assert (reply["fill_count"], reply["remaining_count"]) == ("0.00", "0.00")
        assert "average_fill_price" not in reply
        assert (await alice.get("/portfolio/orders"))["orders"][0]["status"] == "canceled"

    run(scenario)


def test_reduce_only_never_opens_a_position():
    """Size is capped at the position; without one the order ends at once."""

    async def scenario(venue, alice, _bob):
        quote(venue, "no", 4400, 500)
        await alice.order("bid", "0.56", "5")
        quote(venue, "yes", 5000, 10_000)
        reduce = {"time_in_force": IOC, "reduce_only": True}
        _, reply = await alice.order("ask", "0.50", "20", **reduce)
        assert (reply["fill_count"], reply["remaining_count"]) == ("5.00", "0.00")
        _, reply = await alice.order("ask", "0.50", "20", **reduce)
        assert reply["fill_count"] == "0.00"
        (position,) = (await alice.get("/portfolio/positions"))["market_positions"]
        assert position["position_fp"] == "0.00"

    run(scenario)


@pytest.mark.parametrize(
    ("kind", "resting", "incoming"),
    [("taker_at_cross", "resting", "canceled"), ("maker", "canceled", "resting")],
)
def test_self_trade_prevention(kind, resting, incoming):
    """taker_at_cross cancels who comes, maker cancels who rests; nobody trades with themselves."""

    async def scenario(_venue, alice, _bob):
        await alice.order("ask", "0.50")
        status, reply = await alice.order("bid", "0.50", self_trade_prevention_type=kind)
        assert (status, reply["fill_count"]) == (201, "0.00")
        newest, oldest = (await alice.get("/portfolio/orders"))["orders"]
        assert (oldest["status"], newest["status"]) == (resting, incoming)
        assert (await alice.get("/portfolio/fills"))["fills"] == []

    run(scenario)


def test_post_only_that_would_cross_is_accepted_and_canceled_by_default():
    """Changelog 2026-06-04: accepted, then canceled with PostOnlyCrossCancel."""

    async def scenario(venue, alice, _bob):
        quote(venue)
        stream = await alice.stream("user_orders")
        status, reply = await alice.order("bid", "0.56", post_only=True)
        assert (status, reply["fill_count"], reply["remaining_count"]) == (201, "0.00", "0.00")
        (order,) = stream.of("user_order")
        assert (order["status"], order["last_update_reason"]) == ("canceled", "PostOnlyCrossCancel")

    run(scenario)


def test_post_only_that_would_cross_can_be_rejected():
    """As the demo exchange did: 400 with the details."""

    async def main():
        venue = Venue(Config(is_post_only_rejected=True))
        alice = await venue.member()
        quote(venue)
        status, body = await alice.order("bid", "0.56", post_only=True)
        assert (status, body["error"]["details"]) == (400, "post only cross")

    asyncio.run(main())


def test_amend_keeps_its_place_only_when_the_size_shrinks():
    """Smaller keeps the queue; a new price or more size goes to the back and may cross."""

    async def scenario(venue, alice, bob):
        _, first = await alice.order("bid", "0.50", "10")
        await bob.order("bid", "0.50", "10")
        path = f"{ORDERS}/{first['order_id']}/amend"
        body = {"ticker": LOW, "side": "bid", "price": "0.50", "count": "6.00"}
        status, reply = await alice.call("POST", path, body)
        assert (status, reply["remaining_count"]) == (200, "6.00")
        place = f"/portfolio/orders/{first['order_id']}/queue_position"
        assert await alice.get(place) == {"queue_position_fp": "0.00"}
        await alice.call("POST", path, body | {"count": "8.00"})
        assert await alice.get(place) == {"queue_position_fp": "10.00"}
        quote(venue)
        _, reply = await alice.call("POST", path, body | {"price": "0.56", "count": "8.00"})
        assert (reply["fill_count"], reply["remaining_count"]) == ("8.00", "0.00")

    run(scenario)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ticker": HIGH}, "order_ticker_mismatch"),
        ({"side": "ask"}, "order_side_mismatch"),
        ({"client_order_id": "other"}, "order_id_and_client_order_id_mismatch"),
        ({"price": "0.555"}, "invalid_price"),
        ({"count": "0.00"}, "invalid_amend_qty_for_order"),
    ],
    ids=str,
)
def test_amendments_that_do_not_belong_to_the_order_are_refused(change, code):
    """Ticker, side and client_order_id must be those of the order."""

    async def scenario(_venue, alice, _bob):
        _, made = await alice.order()
        body = {"ticker": LOW, "side": "bid", "price": "0.50", "count": "5.00"} | change
        status, reply = await alice.call("POST", f"{ORDERS}/{made['order_id']}/amend", body)
        assert (status, reply["error"]["code"]) == (400, code)

    run(scenario)


def test_decrease_by_and_to():
    """reduce_by takes off, reduce_to sets, to nothing cancels; never larger, never both."""

    async def scenario(_venue, alice, _bob):
        _, made = await alice.order(count="10")
        path = f"{ORDERS}/{made['order_id']}/decrease"
        body = {"exchange_index": 2}
        status, reply = await alice.call("POST", path, body | {"reduce_by": "3.00"})
        assert (status, reply["remaining_count"]) == (200, "7.00")
        status, reply = await alice.call("POST", path, body | {"reduce_to": "2.50"})
        assert (status, reply["remaining_count"]) == (200, "2.50")
        assert (await alice.call("POST", path, body | {"reduce_to": "9"}))[0] == 400
        both = body | {"reduce_to": "1", "reduce_by": "1"}
        assert (await alice.call("POST", path, both))[0] == 400
        status, reply = await alice.call("POST", path, body | {"reduce_by": "2.50"})
        assert (status, reply["remaining_count"]) == (200, "0.00")
        assert (await alice.get("/portfolio/orders"))["orders"][0]["status"] == "canceled"

    run(scenario)


def test_batches_answer_for_each_item():
    """201 even if items fail; each has its own error."""

    async def scenario(_venue, alice, _bob):
        good = {
            "ticker": LOW,
            "side": "bid",
            "count": "1",
            "price": "0.10",
            "time_in_force": "good_till_canceled",
            "self_trade_prevention_type": "maker",
            "client_order_id": "b1",
        }
        items = [good, good, good | {"client_order_id": "b2", "price": "5"}]
        status, reply = await alice.call("POST", f"{ORDERS}/batched", {"orders": items})
        assert status == 201
        first, second, third = reply["orders"]
        assert second["error"]["code"] == "order_already_exists"
        assert third["error"]["code"] == "invalid_price"
        wanted = [
            {"order_id": first["order_id"], "exchange_index": 2},
            {"order_id": "unknown", "exchange_index": 2},
        ]
        status, reply = await alice.call("DELETE", f"{ORDERS}/batched", {"orders": wanted})
        assert status == 200
        assert [one["reduced_by"] for one in reply["orders"]] == ["1.00", "0.00"]

    run(scenario)


def test_cancel_all_takes_every_order_of_the_account():
    """DELETE of the collection: 204, nothing rests, other members keep theirs."""

    async def scenario(_venue, alice, bob):
        await alice.order(price="0.10")
        await alice.order(price="0.11", ticker=HIGH)
        await bob.order(price="0.12")
        assert await alice.call("DELETE", ORDERS) == (204, None)
        assert (await alice.get("/portfolio/orders", "status=resting"))["orders"] == []
        assert len((await bob.get("/portfolio/orders", "status=resting"))["orders"]) == 1

    run(scenario)


def test_v1_mutations_are_gone():
    """410 with its code on every V1 path."""

    async def scenario(_venue, alice, _bob):
        for method, path in (
            ("POST", "/portfolio/orders"),
            ("DELETE", "/portfolio/orders/x"),
            ("POST", "/portfolio/orders/x/amend"),
            ("POST", "/portfolio/orders/batched"),
        ):
            status, body = await alice.call(method, path, {"a": 1})
            assert (status, body["error"]["code"]) == (410, "deprecated_v1_order_endpoint")

    run(scenario)


def test_expiration_and_close_cancel_what_rests():
    """An order expires at its second; the close takes the others; then everything is refused."""

    async def scenario(venue, alice, _bob):
        stream = await alice.stream("user_orders")
        until = venue.clock.at_us // SECOND + 30
        await alice.order(price="0.10", expiration_time=until)
        _, made = await alice.order(price="0.11")
        stream.frames()
        await venue.advance(31)
        (expired,) = stream.of("user_order")
        assert expired["last_update_reason"] == "ExpiryCancel"
        await venue.advance(12 * 60)
        (closed,) = stream.of("user_order")
        assert closed["last_update_reason"] == "CloseCancel"
        path = f"{ORDERS}/{made['order_id']}"
        assert (await alice.call("DELETE", path, query="exchange_index=2"))[0] == 404
        status, body = await alice.order()
        assert (status, body["error"]["code"]) == (400, "market_inactive")
        assert (await alice.get("/portfolio/balance"))["balance"] == 100_000

    run(scenario)


def test_tapered_grid_takes_tenths_of_a_cent_at_the_edges():
    """0.0950 and 0.9050 are valid on a 15-minute market, 0.1050 is not."""

    async def scenario(_venue, alice, _bob):
        for price, status in (("0.095", 201), ("0.905", 201), ("0.105", 400)):
            got, _ = await alice.order(price=price, count="1", ticker=QUARTER)
            assert got == status

    run(scenario)


def test_collateral_of_resting_orders_is_held_and_given_back():
    """A resting bid holds price times count, a resting ask 1 - price; closing orders hold nothing."""

    async def scenario(venue, alice, _bob):
        await alice.order("bid", "0.40", "100")
        assert (await alice.get("/portfolio/balance"))["balance"] == 96_000
        _, ask = await alice.order("ask", "0.70", "100")
        assert (await alice.get("/portfolio/balance"))["balance"] == 93_000
        await alice.call("DELETE", f"{ORDERS}/{ask['order_id']}", query="exchange_index=2")
        venue.exchange.external_trade(LOW, "no", 6000, 10_000, venue.clock.at_us)
        assert (await alice.get("/portfolio/balance"))["balance"] == 96_000
        await alice.order("ask", "0.70", "100")
        assert (await alice.get("/portfolio/balance"))["balance"] == 96_000

    run(scenario)


def test_money_on_another_shard_does_not_count():
    """404 insufficient_shard_balance; a transfer in centicents mends it."""

    async def scenario(_venue, alice, _bob):
        path = "/portfolio/intra_exchange_instance_transfer"
        body = {
            "source": "event_contract",
            "destination": "event_contract",
            "amount": 9_990_000,
            "source_exchange_shard": 2,
            "destination_exchange_shard": 0,
        }
        assert (await alice.call("POST", path, body))[0] == 200
        status, reply = await alice.order()
        assert (status, reply["error"]["code"]) == (404, "insufficient_shard_balance")
        back = body | {"source_exchange_shard": 0, "destination_exchange_shard": 2}
        assert (await alice.call("POST", path, back))[0] == 200
        assert (await alice.order())[0] == 201
        assert len((await alice.get(path + "s"))["transfers"]) == 2

    run(scenario)
