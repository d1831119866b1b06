"""The fields of every push, as the exchange's AsyncAPI document lists them.

The official client declares no models of the stream, so the lists stand here.
"""

from __future__ import annotations

from typing import Any

from tests.contract.listing import CLOSE_US, CRYPTO, INDEX, LOW, SECOND_US
from tests.contract.scene import BID, Scene
from tests.contract.suite import ASYNCAPI, case
from tests.contract.suite import INDEX as INDEX_PAGE

from recio.domain.units import parse_price_e4, parse_qty_e2, parse_time_us, parse_usd_e6
from recio.exchange_simulator.specs import EventSpec, MarketSpec


def text(value: Any) -> bool:
    """A text that is not empty."""
    return isinstance(value, str) and value != ""


def price(value: Any) -> bool:
    """Dollars with four decimals."""
    return text(value) and len(value.partition(".")[2]) == 4 and parse_price_e4(value) >= 0


def count(value: Any) -> bool:
    """Contracts with two decimals, signed."""
    return text(value) and len(value.partition(".")[2]) == 2 and parse_qty_e2(value) is not None


def money(value: Any) -> bool:
    """Dollars with six decimals, signed."""
    return text(value) and len(value.partition(".")[2]) == 6 and parse_usd_e6(value) is not None


def time(value: Any) -> bool:
    """A time in RFC 3339."""
    return text(value) and parse_time_us(value) > 0


def integer(value: Any) -> bool:
    """A whole number."""
    return type(value) is int


def flag(value: Any) -> bool:
    """True or false."""
    return isinstance(value, bool)


def levels(value: Any) -> bool:
    """Pairs of price and count."""
    return all(price(one) and count(two) for one, two in value)


FIELDS: dict[str, dict[str, Any]] = {
    "orderbook_snapshot": {
        "market_ticker": text,
        "market_id": text,
        "yes_dollars_fp": levels,
        "no_dollars_fp": levels,
    },
    "orderbook_delta": {
        "market_ticker": text,
        "market_id": text,
        "price_dollars": price,
        "delta_fp": count,
        "side": text,
        "ts": time,
        "ts_ms": integer,
    },
    "ticker": {
        "market_id": text,
        "market_ticker": text,
        "price_dollars": price,
        "yes_bid_dollars": price,
        "yes_ask_dollars": price,
        "volume_fp": count,
        "open_interest_fp": count,
        "dollar_volume": integer,
        "dollar_open_interest": integer,
        "yes_bid_size_fp": count,
        "yes_ask_size_fp": count,
        "last_trade_size_fp": count,
        "ts": integer,
        "ts_ms": integer,
        "time": time,
    },
    "trade": {
        "trade_id": text,
        "market_ticker": text,
        "yes_price_dollars": price,
        "no_price_dollars": price,
        "count_fp": count,
        "taker_side": text,
        "taker_outcome_side": text,
        "taker_book_side": text,
        "is_block_trade": flag,
        "ts": integer,
        "ts_ms": integer,
    },
    "fill": {
        "trade_id": text,
        "order_id": text,
        "client_order_id": text,
        "market_ticker": text,
        "exchange_index": integer,
        "is_taker": flag,
        "side": text,
        "yes_price_dollars": price,
        "count_fp": count,
        "fee_cost": money,
        "action": text,
        "outcome_side": text,
        "book_side": text,
        "ts": integer,
        "ts_ms": integer,
        "post_position_fp": count,
        "purchased_side": text,
    },
    "user_order": {
        "order_id": text,
        "user_id": text,
        "ticker": text,
        "exchange_index": integer,
        "status": text,
        "side": text,
        "is_yes": flag,
        "outcome_side": text,
        "book_side": text,
        "yes_price_dollars": price,
        "fill_count_fp": count,
        "remaining_count_fp": count,
        "initial_count_fp": count,
        "taker_fill_cost_dollars": money,
        "maker_fill_cost_dollars": money,
        "taker_fees_dollars": money,
        "maker_fees_dollars": money,
        "client_order_id": text,
        "created_time": time,
        "created_ts_ms": integer,
        "last_update_time": time,
        "last_updated_ts_ms": integer,
    },
    "market_position": {
        "user_id": text,
        "market_ticker": text,
        "position_fp": count,
        "position_cost_dollars": money,
        "realized_pnl_dollars": money,
        "fees_paid_dollars": money,
        "position_fee_cost_dollars": money,
        "volume_fp": count,
    },
    "order_group_updates": {
        "event_type": text,
        "order_group_id": text,
        "contracts_limit_fp": count,
        "ts_ms": integer,
    },
}
NUMBERED = {"orderbook_snapshot", "orderbook_delta", "trade", "order_group_updates"}


def check(frame: dict[str, Any], fields: dict[str, Any]) -> None:
    """Compare a push with its list of fields."""
    body = frame["msg"]
    missing = sorted(set(fields) - set(body))
    assert missing == [], frame["type"]
    wrong = [(name, body[name]) for name, fits in fields.items() if not fits(body[name])]
    assert wrong == [], frame["type"]
    assert integer(frame["sid"])


@case(270, ASYNCAPI)
async def fields_of_books_and_private_channels(scene: Scene) -> None:
    """Pushes of books, tickers, trades and private channels have every field, in its form."""
    await scene.offer("yes", 4000, 10_00)
    await scene.offer("no", 5000, 10_00)
    alice = await scene.member()
    commands = await scene.commands(alice)
    by_market = ["orderbook_delta", "ticker", "trade", "fill", "user_orders", "market_positions"]
    await commands.send("subscribe", {"channels": by_market, "market_tickers": [LOW]})
    await commands.send("subscribe", {"channels": ["order_group_updates"]})
    frames = await commands.frames(len(by_market) + 2)
    await alice.rest.create_order_group(9_00, exchange_index=CRYPTO)
    await scene.place(alice, BID, 5000, 1_00)
    frames += await commands.frames(7)
    pushed = {one["type"]: one for one in frames if one["type"] in FIELDS}
    assert set(pushed) == set(FIELDS)
    for kind, frame in pushed.items():
        check(frame, FIELDS[kind])
        assert ("seq" in frame) is (kind in NUMBERED), kind


@case(271, ASYNCAPI)
async def fields_of_life(scene: Scene) -> None:
    """Pushes of a market's life have the fields of each step."""
    commands = await scene.commands(await scene.member())
    await commands.ask("subscribe", {"channels": ["market_lifecycle_v2"]})
    name = "KXBTCD-26NOV2013-T89999.99"
    market = MarketSpec(
        ticker=name,
        yes_sub_title="$90,000 or above",
        no_sub_title="$90,000 or above",
        strike_type="greater",
        floor_strike_usd_e6=89_999_990_000,
        rules_primary="Resolves by the mean.",
        rules_secondary="None.",
    )
    spec = EventSpec(
        event_ticker="KXBTCD-26NOV2013",
        series_ticker="KXBTCD",
        title="Bitcoin at 1pm EST?",
        sub_title="At 1pm EST",
        open_us=CLOSE_US,
        close_us=CLOSE_US + 3600 * SECOND_US,
        markets=(market,),
    )
    await scene.act("list_event", spec)
    event, created = await commands.frames(2)
    texts = ("event_ticker", "title", "subtitle", "collateral_return_type", "series_ticker")
    check(event, dict.fromkeys(texts, text) | {"exchange_index": integer})
    step = {"market_ticker": text, "event_type": text, "exchange_index": integer}
    check(created, step | {"open_ts": integer, "close_ts": integer, "price_level_structure": text})
    assert created["msg"]["price_ranges"] == [
        {"start": "0.0000", "end": "1.0000", "step": "0.0100"}
    ]
    more = created["msg"]["additional_metadata"]
    texts = ("name", "title", "yes_sub_title", "no_sub_title", "rules_primary", "rules_secondary")
    assert all(text(more[each]) for each in (*texts, "event_ticker", "strike_type"))
    assert (more["can_close_early"], more["floor_strike"]) == (True, 89_999.99)
    assert integer(more["expected_expiration_ts"])
    await scene.act("deactivate", LOW)
    stopped = await commands.frame()
    check(stopped, step)
    assert stopped["msg"]["is_deactivated"] is True
    await scene.act("activate", LOW)
    check(await commands.frame(), step)
    await scene.advance_to(CLOSE_US)
    await scene.act("determine", LOW, "yes", expiration_value="90000.50")
    determined = await commands.frame()
    check(determined, step | {"determination_ts": integer, "result": text})
    assert determined["msg"]["settlement_value"] == "1.0000"
    await scene.advance(60)
    check(await commands.frame(), step | {"settled_ts": integer})


@case(272, INDEX_PAGE)
async def fields_of_index_values(scene: Scene) -> None:
    """Pushes of an index value have the upstream message as text, and averages of eight decimals."""
    commands = await scene.commands(await scene.member())
    params = {"channels": ["cfbenchmarks_value"], "index_ids": ["all"]}
    await commands.ask("subscribe", params)
    await scene.advance_to(CLOSE_US - 30 * SECOND_US)
    await scene.act("set_index", INDEX, 90_012_340_000)
    frame = await commands.frame()
    check(frame, {"index_id": text, "received_at": integer, "data": text})
    assert frame["msg"]["data"] == (
        f'{{"type":"value","id":"BRTI","time":{scene.now_us // 1000},"value":"90012.34"}}'
    )
    for name, start_us, end_us in (
        ("avg_60s_data", scene.now_us - 60 * SECOND_US, scene.now_us),
        ("last_60s_windowed_average_15min", CLOSE_US - 60 * SECOND_US, CLOSE_US),
    ):
        assert frame["msg"][name]["value"] == "90012.34000000"
        assert frame["msg"][name]["window_size"] == 1
        assert frame["msg"][name]["window_start_ts_ms"] == start_us // 1000
        assert integer(frame["msg"][name]["window_end_ts_exclusive"])
        assert abs(frame["msg"][name]["window_end_ts_exclusive"] - end_us // 1000) <= 1
    assert "seq" in frame
