"""The WebSocket: commands, numbering, and what each channel tells."""

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
from tests.unit.exchange_simulator.client import WS, Venue

from recio.domain.errors import Rejected


def run(scenario):
    """Run a scenario on a fresh exchange with a member."""

    async def main():
        venue = Venue()
        await scenario(venue, await venue.member("alice"))

    asyncio.run(main())


def quote(venue, side="no", price_e4=4400, qty_e2=10_000, ticker=LOW):
    """Let the house quote."""
    venue.exchange.set_external_level(ticker, side, price_e4, qty_e2, venue.clock.at_us)


def test_a_book_is_a_snapshot_then_deltas_without_a_gap():
    """Seq counts every message of the sid; empty sides have no key; replay gives the book."""

    async def scenario(venue, alice):
        quote(venue, "yes", 5000, 1_000)
        stream = await alice.stream("orderbook_delta", market_tickers=[LOW], use_yes_price=False)
        quote(venue, "no", 4400, 500)
        quote(venue, "yes", 5000, 400)
        await alice.order("bid", "0.56", "2")
        await venue.gateway.commit()
        frames = stream.frames()
        assert frames[0] == {
            "id": 1,
            "type": "subscribed",
            "msg": {"channel": "orderbook_delta", "sid": 1},
        }
        snapshot, *deltas = frames[1:]
        assert snapshot["msg"]["yes_dollars_fp"] == [["0.5000", "10.00"]]
        assert "no_dollars_fp" not in snapshot["msg"]
        assert [frame["seq"] for frame in frames[1:]] == [1, 2, 3, 4]
        told = [(f["msg"]["side"], f["msg"]["price_dollars"], f["msg"]["delta_fp"]) for f in deltas]
        assert told == [
            ("no", "0.4400", "5.00"),
            ("yes", "0.5000", "-6.00"),
            ("no", "0.4400", "-2.00"),
        ]
        assert deltas[-1]["msg"]["client_order_id"] == "alice-1"
        assert "client_order_id" not in deltas[0]["msg"]

    run(scenario)


def test_no_levels_can_be_priced_on_the_yes_scale():
    """use_yes_price true: a NO bid at 0.44 is shown at 0.56."""

    async def scenario(venue, alice):
        quote(venue, "no", 4400, 500)
        stream = await alice.stream("orderbook_delta", market_ticker=LOW, use_yes_price=True)
        quote(venue, "no", 4300, 100)
        await venue.gateway.commit()
        _, snapshot, delta = stream.frames()
        assert snapshot["msg"]["no_dollars_fp"] == [["0.5600", "5.00"]]
        assert delta["msg"]["price_dollars"] == "0.5700"

    run(scenario)


def test_a_snapshot_can_be_asked_for_again():
    """get_snapshot carries the command's id and consumes a seq."""

    async def scenario(_venue, alice):
        stream = await alice.stream("orderbook_delta", market_ticker=LOW)
        stream.frames()
        await stream.send("update_subscription", sid=1, action="get_snapshot", market_tickers=[LOW])
        (frame,) = stream.frames()
        assert (frame["type"], frame["id"], frame["seq"]) == ("orderbook_snapshot", 2, 2)

    run(scenario)


def test_markets_are_added_and_taken_from_a_subscription():
    """The ok names the tickers and has a seq; a new market begins with its snapshot."""

    async def scenario(venue, alice):
        stream = await alice.stream("orderbook_delta", market_ticker=LOW)
        stream.frames()
        await stream.send("update_subscription", sids=[1], action="add_markets", market_ticker=HIGH)
        ok, snapshot = stream.frames()
        assert (ok["type"], ok["seq"], ok["msg"]) == ("ok", 2, {"market_tickers": [LOW, HIGH]})
        assert (snapshot["seq"], snapshot["msg"]["market_ticker"]) == (3, HIGH)
        await stream.send(
            "update_subscription", sids=[1], action="delete_markets", market_ticker=LOW
        )
        stream.frames()
        quote(venue)
        await venue.gateway.commit()
        assert stream.frames() == []
        await stream.send("list_subscriptions")
        (listed,) = stream.frames()
        assert listed["msg"] == [{"channel": "orderbook_delta", "sid": 1}]
        await stream.send("unsubscribe", sids=[1])
        (gone,) = stream.frames()
        assert (gone["type"], gone["sid"], gone["seq"]) == ("unsubscribed", 1, 5)

    run(scenario)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense", 1),
        ("[1]", 1),
        ('{"id":1,"cmd":"subscribe"}', 2),
        ('{"id":1,"cmd":"subscribe","params":{}}', 3),
        ('{"id":1,"cmd":"unsubscribe","params":{}}', 4),
        ('{"id":1,"cmd":"fly","params":{}}', 5),
        ('{"id":1,"cmd":"unsubscribe","params":{"sids":[9]}}', 7),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["ticker_v2"]}}', 8),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta"]}}', 14),
        ('{"id":1,"cmd":"update_subscription","params":{"sids":[1,2]}}', 12),
    ],
)
def test_commands_that_cannot_be_done_are_answered_with_their_code(text, code):
    """Every error has the documented code; the connection goes on."""

    async def scenario(_venue, alice):
        stream = await alice.stream()
        await stream.socket.send(text)
        (frame,) = stream.frames()
        assert (frame["type"], frame["msg"]["code"]) == ("error", code)
        await stream.send("list_subscriptions")
        assert stream.frames()[0]["type"] == "ok"

    run(scenario)


def test_private_channels_and_ticker_carry_no_seq_and_reach_only_their_member():
    """fill, user_orders, market_positions: own account only, unnumbered; the ids agree."""

    async def scenario(venue, alice):
        bob = await venue.member("bob")
        channels = ("fill", "user_orders", "market_positions", "ticker", "trade")
        hers, his = await alice.stream(*channels), await bob.stream(*channels)
        hers.frames(), his.frames()
        quote(venue)
        await alice.order("bid", "0.56", "3")
        frames = hers.frames()
        by_type = {frame["type"]: frame for frame in frames}
        assert {"fill", "user_order", "market_position", "ticker", "trade"} <= by_type.keys()
        assert all("seq" not in f for f in frames if f["type"] != "trade")
        assert by_type["fill"]["msg"]["trade_id"] == by_type["trade"]["msg"]["trade_id"]
        assert by_type["fill"]["msg"]["ts_ms"] == by_type["trade"]["msg"]["ts_ms"]
        assert by_type["fill"]["msg"]["post_position_fp"] == "3.00"
        assert by_type["user_order"]["msg"]["status"] == "executed"
        assert by_type["market_position"]["msg"]["position_cost_dollars"] == "1.680000"
        assert {frame["type"] for frame in his.frames()} == {"ticker", "trade"}

    run(scenario)


def test_a_ticker_is_sent_only_when_something_in_it_changed():
    """Many changes between two commits are one ticker; none is none."""

    async def scenario(venue, alice):
        stream = await alice.stream("ticker", market_ticker=LOW)
        stream.frames()
        for price in (4000, 4100, 4200):
            quote(venue, "no", price, 100)
        await venue.gateway.commit()
        (ticker,) = stream.of("ticker")
        assert (ticker["yes_ask_dollars"], ticker["yes_bid_dollars"]) == ("0.5800", "0.0000")
        quote(venue, "no", 4000, 200)
        await venue.gateway.commit()
        assert stream.frames() == []

    run(scenario)


def test_lifecycle_tells_what_is_told_and_is_silent_about_the_clock():
    """Opening and closing by the clock are silent; strike, outcome and payment are told."""

    async def scenario(venue, alice):
        stream = await alice.stream("market_lifecycle_v2", "orderbook_delta", market_ticker=QUARTER)
        stream.frames()
        venue.exchange.set_strike(
            QUARTER, 90_123_450_000, NOW_US, yes_sub_title="Target Price: $90,123.45"
        )
        await venue.gateway.commit()
        (updated,) = stream.of("market_lifecycle_v2")
        assert updated == {
            "market_ticker": QUARTER,
            "event_type": "metadata_updated",
            "strike_type": "greater_or_equal",
            "floor_strike": 90123.45,
            "yes_sub_title": "Target Price: $90,123.45",
        }
        venue.clock.at_us = CLOSE_US
        await venue.advance(0)
        (frame,) = stream.frames()
        assert frame["type"] == "orderbook_snapshot"
        assert "yes_dollars_fp" not in frame["msg"]
        venue.exchange.determine(QUARTER, "yes", CLOSE_US + SECOND, expiration_value="90123.45")
        await venue.advance(2)
        told = [(one["event_type"], one.get("result")) for one in stream.of("market_lifecycle_v2")]
        assert told == [("determined", "yes"), ("settled", None)]

    run(scenario)


def test_index_values_carry_the_averages_that_settle():
    """Trailing excludes the tick itself; the closing minute's mean includes the close."""

    async def scenario(venue, alice):
        stream = await alice.stream("cfbenchmarks_value", index_ids=["BRTI"])
        for offset in range(-61, 1):
            venue.exchange.set_index(
                "BRTI", (90_000 + offset) * 1_000_000, CLOSE_US + offset * SECOND
            )
        await venue.gateway.commit()
        told = stream.of("cfbenchmarks_value")
        assert len(told) == 62
        assert "last_60s_windowed_average_15min" not in told[1]
        last = told[-1]
        assert msgspec.json.decode(last["data"])["value"] == "90000.00"
        assert last["avg_60s_data"]["value"] == "89969.50000000"
        window = last["last_60s_windowed_average_15min"]
        assert (window["value"], window["window_size"]) == ("89970.50000000", 60)
        assert venue.exchange.index_window("BRTI", CLOSE_US) == (60 * 89_970_500_000, 60)

    run(scenario)


def test_without_indices_nothing_flows_until_they_are_asked_for():
    """subscribe_indices ["all"] takes every index; indexlist names them."""

    async def scenario(venue, alice):
        stream = await alice.stream("cfbenchmarks_value")
        venue.exchange.set_index("BRTI", 90_000_000_000, NOW_US)
        await venue.gateway.commit()
        assert [frame["type"] for frame in stream.frames()] == ["subscribed"]
        await stream.send(
            "update_subscription", sid=1, action="subscribe_indices", index_ids=["all"]
        )
        assert stream.frames()[0]["msg"] == {"index_ids": ["all"]}
        await stream.send("update_subscription", sid=1, action="indexlist")
        assert stream.frames()[0]["msg"] == {"index_ids": ["BRTI"]}
        venue.exchange.set_index("BRTI", 90_000_000_000, NOW_US + SECOND)
        await venue.gateway.commit()
        assert len(stream.of("cfbenchmarks_value")) == 1

    run(scenario)


def test_an_unsigned_upgrade_is_refused():
    """Every connection must be authenticated, even for public channels."""

    async def scenario(venue, alice):
        with pytest.raises(Rejected, match="401"):
            await venue.websockets.connect(WS, {})
        late = alice.headers("GET", WS, shift_ms=-30_000)
        with pytest.raises(Rejected, match="401"):
            await venue.websockets.connect(WS, late)

    run(scenario)


def test_reactivation_wipes_the_resting_orders_of_a_market():
    """Deactivated refuses everything, cancels included; activated cancels what rested."""

    async def scenario(venue, alice):
        stream = await alice.stream("user_orders", "market_lifecycle_v2")
        _, made = await alice.order()
        stream.frames()
        venue.exchange.deactivate(LOW, NOW_US)
        path = f"/portfolio/events/orders/{made['order_id']}"
        status, body = await alice.call("DELETE", path, query="exchange_index=2")
        assert (status, body["error"]["code"]) == (400, "market_inactive")
        venue.exchange.activate(LOW, NOW_US)
        await venue.gateway.commit()
        frames = stream.frames()
        told = [f["msg"].get("event_type") for f in frames if f["type"] == "market_lifecycle_v2"]
        assert told == ["deactivated", "activated"]
        (order,) = [f["msg"] for f in frames if f["type"] == "user_order"]
        assert order["status"] == "canceled"
        assert (await alice.get(f"/events/{EVENT}"))["event"]["event_ticker"] == EVENT

    run(scenario)


@pytest.mark.parametrize(
    "text",
    [
        '{"id":2,"cmd":"update_subscription","params":{"sids":[1],"action":{"a":1}}}',
        '{"id":2,"cmd":' + "[" * 5000,
    ],
)
def test_nonsense_is_answered_and_never_ends_the_connection(text):
    """Found by fuzzing: an action that is an object, and a thousand brackets, ended it."""

    async def scenario(_venue, alice):
        stream = await alice.stream("orderbook_delta", market_tickers=[LOW], use_yes_price=False)
        stream.frames()
        await stream.socket.send(text)
        (answer,) = stream.frames()
        assert answer["type"] == "error"

    run(scenario)
