"""Bodies of the exchange to values of ours: exact or refused."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.adapters.kalshi import (
    model,
    wire,
    wire_account,
    wire_markets,
    wire_orders,
    wire_portfolio,
    wire_stream,
)
from recio.domain.errors import InvalidValue
from recio.domain.messages import PriceRange
from recio.domain.orders import BookSide


def body(value):
    """Encode a body."""
    return msgspec.json.encode(value)


MARKET = {
    "ticker": "KXBTCD-26AUG1717-T72749.99",
    "event_ticker": "KXBTCD-26AUG1717",
    "status": "active",
    "open_time": "2026-08-17T20:00:00Z",
    "close_time": "2026-08-17T21:00:00Z",
    "strike_type": "greater",
    "floor_strike": 72749.99,
    "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
    "yes_bid_dollars": "0.0000",
    "yes_ask_dollars": "0.0100",
    "volume_fp": "103732.00",
    "exchange_index": 2,
    "result": "",
    "something_new": {"deep": [1, 2]},
}
ORDER = {
    "order_id": "o-1",
    "client_order_id": "c-1",
    "ticker": "T",
    "book_side": "ask",
    "status": "resting",
    "yes_price_dollars": "0.5600",
    "initial_count_fp": "10.00",
    "fill_count_fp": "2.50",
    "remaining_count_fp": "7.50",
    "taker_fees_dollars": "0.017500",
    "created_time": "2026-11-21T10:00:00.123456Z",
}
FILL = {
    "trade_id": "t-1",
    "order_id": "o-1",
    "ticker": "T",
    "book_side": "bid",
    "count_fp": "1.00",
    "yes_price_dollars": "0.5200",
    "no_price_dollars": "0.4800",
    "is_taker": True,
    "fee_cost": "0.017500",
    "created_time": "2026-11-21T10:00:00Z",
}


def test_a_market_is_read_exactly():
    """Strikes to the cent, times to the microsecond, an empty side as None."""
    market = wire_markets.market(body(MARKET))
    assert market.floor_strike_usd_e6 == 72_749_990_000
    assert (market.yes_bid_e4, market.yes_ask_e4) == (None, 100)
    assert market.price_ranges == (PriceRange(0, 10_000, 100),)
    assert market.close_us - market.open_us == 3_600_000_000
    assert market.volume_e2 == 10_373_200


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "wondrous"},
        {"floor_strike": 1e300},
        {"floor_strike": 0.1234567},
        {"close_time": "2026-08-17 21:00"},
        {"close_time": "9999-01-01T00:00:00Z"},
        {"price_ranges": [{"start": "0", "end": "1", "step": "0"}]},
        {"yes_bid_dollars": "1.01"},
        {"volume_fp": "-1.00"},
        {"ticker": None},
    ],
)
def test_an_absurd_market_is_refused_and_its_neighbours_live(fields):
    """One bad row does not hide the others; it is counted."""
    refused = Counter()
    rows = [msgspec.Raw(body(MARKET | fields)), msgspec.Raw(body(MARKET))]
    found = list(wire_markets.convert_each(rows, wire_markets.market, refused, "market"))
    assert [market.ticker for market in found] == [MARKET["ticker"]]
    assert refused == {"market": 1}


def test_never_is_written_as_year_one():
    """The exchange's servers write an unset time so."""
    market = wire_markets.market(body(MARKET | {"settlement_ts": "0001-01-01T00:00:00Z"}))
    assert market.settled_at_us is None


def test_an_order_book_has_bids_only_and_each_price_once():
    """Levels without size are left out, negative ones refused."""
    rows = [("0.4500", "10.00"), ("0.4400", "0.00")]
    assert wire_markets.levels(rows) == ((4500, 1000),)
    for bad in ([("0.45", "1"), ("0.4500", "1")], [("0.45", "-1")], [("1.00", "1")]):
        with pytest.raises(InvalidValue):
            wire_markets.levels(bad)


def test_a_schedule_names_weekdays_and_maintenance():
    """Hours are US Eastern, windows are moments."""
    said = {
        "schedule": {
            "standard_hours": [
                {
                    "start_time": "2026-01-01T00:00:00Z",
                    "monday": [{"open_time": "00:00", "close_time": "24:00"}],
                    "thursday": [{"open_time": "05:00", "close_time": "24:00"}],
                }
            ],
            "maintenance_windows": [
                {"start_datetime": "2026-11-26T08:00:00Z", "end_datetime": "2026-11-26T10:00:00Z"}
            ],
        }
    }
    schedule = wire_markets.schedule(body(said))
    assert [(row.weekday, row.opens) for row in schedule.hours] == [(0, "00:00"), (3, "05:00")]
    assert schedule.maintenance[0].end_us - schedule.maintenance[0].start_us == 7_200_000_000


def test_an_order_is_read_exactly():
    """Fees to the micro-dollar; what is absent is None."""
    order = wire_portfolio.order(body(ORDER))
    assert (order.book_side, order.yes_price_e4) == (BookSide.ASK, 5600)
    assert (order.fill_qty_e2, order.remaining_qty_e2) == (250, 750)
    assert order.fees_usd_e6 == 17_500
    assert order.created_at_us % 1_000_000 == 123_456
    assert order.updated_at_us is None


def test_a_fill_needs_its_id_and_prices_that_sum_to_one():
    """Otherwise it is not booked."""
    assert wire_portfolio.fill(body(FILL)).fee_usd_e6 == 17_500
    for fields in (
        {"trade_id": None},
        {"no_price_dollars": "0.4700"},
        {"count_fp": "0.00"},
        {"count_fp": "-1.00"},
        {"yes_price_dollars": "0.0000"},
        {"book_side": None},
        {"fee_cost": "0.0000001"},
    ):
        with pytest.raises(InvalidValue):
            wire_portfolio.fill(body(FILL | fields))


@pytest.mark.parametrize(
    ("fields", "side"),
    [
        (("bid", "no", None, None), BookSide.BID),
        ((None, "no", None, None), BookSide.ASK),
        ((None, None, "yes", "buy"), BookSide.BID),
        ((None, None, "yes", "sell"), BookSide.ASK),
        ((None, None, "no", "buy"), BookSide.ASK),
        ((None, None, "no", "sell"), BookSide.BID),
    ],
)
def test_direction_is_read_from_whatever_tells_it(fields, side):
    """book_side first; buying NO is asking on the YES book."""
    assert wire.book_side(*fields) is side


def test_a_settlement_pays_whole_cents():
    """Revenue and value are cents there."""
    row = {
        "ticker": "T",
        "market_result": "yes",
        "yes_count_fp": "10.00",
        "yes_total_cost_dollars": "5.600000",
        "no_count_fp": "0.00",
        "no_total_cost_dollars": "0.000000",
        "revenue": 1000,
        "value": 100,
        "settled_time": "2026-11-21T10:00:00Z",
        "fee_cost": "0.172500",
    }
    settled = wire_portfolio.settlement(body(row))
    assert (settled.revenue_usd_e6, settled.payout_usd_e6) == (10_000_000, 1_000_000)
    with pytest.raises(InvalidValue, match="unknown result"):
        wire_portfolio.settlement(body(row | {"market_result": "maybe"}))


def test_the_dollar_string_of_a_balance_wins_over_rounded_cents():
    """Cash is compared to the micro-dollar."""
    said = {
        "balance": 1234,
        "balance_dollars": "12.345678",
        "portfolio_value": 50,
        "updated_ts": 1_780_000_000,
        "balance_breakdown": [{"exchange_index": 2, "balance": "10.0000"}],
    }
    balance = wire_account.balance(body(said))
    assert balance.cash_usd_e6 == 12_345_678
    assert (balance.on_shard(2), balance.on_shard(0)) == (10_000_000, None)
    assert wire_account.balance(body(said | {"balance_dollars": None})).cash_usd_e6 == 12_340_000


def test_transfers_are_counted_in_hundredths_of_a_cent():
    """One dollar is 10 000 of them; a finer amount is refused."""
    assert wire_account.transfer_body(1_000_000, 0, 2).amount == 10_000
    for amount in (0, -100, 150):
        with pytest.raises(InvalidValue):
            wire_account.transfer_body(amount, 0, 2)


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ({"error": {"code": "INVALID_ORDER", "message": "no", "details": "post only cross"}},
         ("invalid_order", "no", "post only cross")),
        ({"code": "bad_request", "message": "m", "details": "d"}, ("bad_request", "m", "d")),
        ({"msg": "limit must be at most 1000"}, ("", "limit must be at most 1000", "")),
        ({"error": "too many requests"}, ("", "too many requests", "")),
        ({"error": {"code": None, "message": 5}}, ("", "5", "")),
        ([], ("", "[]", "")),
    ],
)  # fmt: skip
def test_every_shape_of_an_error_is_read(said, parts):
    """An object or a string under ``error``, flat fields, ``msg``, or anything else."""
    assert wire.error_parts(body(said)) == parts


def test_an_error_page_is_its_own_message():
    """A proxy's HTML is told as it is."""
    assert wire.error_parts(b"<html>502</html>\xff")[1].startswith("<html>502")


NEW = model.NewOrder(
    ticker="T",
    book_side=BookSide.ASK,
    qty_e2=150,
    yes_price_e4=55,
    client_order_id="c",
    time_in_force=model.TimeInForce.IMMEDIATE_OR_CANCEL,
    exchange_index=2,
    is_reduce_only=True,
)


def test_a_new_order_is_written_as_strings():
    """Numbers are rejected by the exchange; what is not said is left out."""
    assert msgspec.to_builtins(wire_orders.create_body(NEW)) == {
        "ticker": "T",
        "side": "ask",
        "count": "1.50",
        "price": "0.0055",
        "time_in_force": "immediate_or_cancel",
        "self_trade_prevention_type": "taker_at_cross",
        "client_order_id": "c",
        "exchange_index": 2,
        "reduce_only": True,
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"yes_price_e4": 0},
        {"yes_price_e4": 10_000},
        {"qty_e2": 0},
        {"client_order_id": ""},
        {"expires_at_us": 1},
        {"time_in_force": model.TimeInForce.GOOD_TILL_CANCELED},
    ],
)
def test_what_the_exchange_would_refuse_is_not_sent(fields):
    """reduce_only only with IOC, an expiration only with GTC, a price on the market."""
    with pytest.raises(InvalidValue):
        wire_orders.create_body(msgspec.structs.replace(NEW, **fields))


def test_items_of_a_batch_have_answers_of_their_own():
    """201 even if items fail."""
    said = {
        "orders": [
            {"order_id": "o", "client_order_id": "a", "fill_count": "0.00"},
            {"client_order_id": "b", "error": {"code": "INVALID_PRICE", "message": "off grid"}},
        ]
    }
    first, second = wire_orders.created_batch(body(said))
    assert first.reply is not None
    assert first.reply.fill_qty_e2 == 0
    assert second.reply is None
    assert second.error is not None
    assert second.error.code == "invalid_price"


SETTLEMENT = {
    "ticker": "T",
    "market_result": "yes",
    "yes_count_fp": "10.00",
    "yes_total_cost_dollars": "5.600000",
    "no_count_fp": "0.00",
    "no_total_cost_dollars": "0.000000",
    "revenue": 1000,
    "value": 100,
    "settled_time": "2026-11-21T10:00:00Z",
    "fee_cost": "0.172500",
}
HOURS = {"open_time": "05:00", "close_time": "24:00"}


@pytest.mark.parametrize(
    ("convert", "good", "fields"),
    [
        (wire_portfolio.order, ORDER, {"order_id": ""}),
        (wire_portfolio.order, ORDER, {"order_id": "a\0b"}),
        (wire_portfolio.order, ORDER, {"ticker": "x" * 257}),
        (wire_portfolio.order, ORDER, {"exchange_index": 2**63}),
        (wire_portfolio.order, ORDER, {"taker_fees_dollars": "999999999999999.000000"}),
        (wire_portfolio.fill, FILL, {"fee_cost": "-92233720368547.75808"}),
        (wire_portfolio.settlement, SETTLEMENT, {"revenue": 10**15}),
        (wire_portfolio.settlement, SETTLEMENT, {"revenue": -1}),
        (wire_portfolio.settlement, SETTLEMENT, {"value": 101}),
        (wire_markets.market, MARKET, {"settlement_value_dollars": "1.000001"}),
        (wire_account.group, {"id": "g"}, {"id": ""}),
    ],
)
def test_what_no_table_could_hold_is_refused(convert, good, fields):
    """Found by fuzzing: empty names, NUL, sums beyond 64 bits, payouts beyond a dollar."""
    convert(body(good))
    with pytest.raises(InvalidValue):
        convert(body(good | fields))


def test_an_index_value_beyond_belief_is_not_known():
    """Found by fuzzing: it is a text of the exchange, and 64 bits do not hold it."""
    said = MARKET | {"expiration_value": "999999999999999"}
    assert wire_markets.market(body(said)).expiration_value_usd_e6 is None


@pytest.mark.parametrize(
    "time", ["", "5:00", "24:01", "05:60", "05:00\n", "\u0660\u0665:\u0660\u0660", "a\0b"]
)
def test_trading_hours_are_hours_and_minutes(time):
    """Found by fuzzing: any text was taken for a time of day."""
    said = {"schedule": {"standard_hours": [{"monday": [HOURS]}]}}
    assert wire_markets.schedule(body(said)).hours[0].closes == "24:00"
    said = {"schedule": {"standard_hours": [{"monday": [HOURS | {"open_time": time}]}]}}
    with pytest.raises(InvalidValue):
        wire_markets.schedule(body(said))


def test_a_fee_multiplier_cannot_be_negative():
    """Found by fuzzing: a negative fee would make every edge look good."""
    row = {"series_ticker": "S", "fee_type": "quadratic", "scheduled_ts": "2026-11-21T10:00:00Z"}
    assert wire_markets.fee_change(body(row | {"fee_multiplier": 0.5})).fee_multiplier_e6 == 500_000
    for multiplier in (-0.5, 1001):
        with pytest.raises(InvalidValue, match="fee multiplier"):
            wire_markets.fee_change(body(row | {"fee_multiplier": multiplier}))


@pytest.mark.parametrize(
    "number", ["NaN", "1e1000000", "1e999999999", "1e-999999999", f"1.{'0' * 40}1"]
)
def test_an_odd_number_is_refused_before_anything_is_computed(number):
    """Found by fuzzing: a huge exponent overflowed, and the 41st digit was rounded away."""
    with pytest.raises(InvalidValue):
        wire.number_e6(Decimal(number))


def test_an_empty_event_of_a_lifecycle_message_is_none():
    """Found by fuzzing: "" stands for what the message does not say."""
    said = {"market_ticker": "M", "event_type": "determined", "additional_metadata": {}}
    for event in ("", None):
        said["additional_metadata"]["event_ticker"] = event
        assert wire_stream.lifecycle(msgspec.Raw(body(said))).event_ticker is None


def test_an_error_can_be_stored_whatever_it_says():
    """Found by fuzzing: its text stands in rows and logs."""
    assert wire.error_parts(b"bad\0gateway") == ("", "badgateway", "")
    assert "\0" not in "".join(wire.error_parts(body({"error": {"message": "a\0b"}})))


@given(st.integers(1, 9999), st.integers(1, 10**10))
def test_prices_and_counts_survive_the_round_trip(price, qty):
    """What we write is what we would read."""
    assert wire.price_e4(wire.dollars(price)) == price
    assert wire.qty_e2(wire.count(qty)) == qty


@given(st.decimals(allow_nan=True, allow_infinity=True))
def test_a_number_is_exact_or_refused(number):
    """Never rounded."""
    try:
        scaled = wire.number_e6(number)
    except InvalidValue:
        return
    assert Decimal(scaled) == number * 1_000_000


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(data):
    """Whatever the exchange answers, it is a value or a refusal."""
    for convert in (wire_markets.market, wire_portfolio.fill, wire_account.balance):
        with pytest.raises(InvalidValue):
            convert(data)
    wire.error_parts(data)
