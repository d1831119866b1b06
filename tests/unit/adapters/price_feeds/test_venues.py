"""What each venue is told, and what its frames mean."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.adapters.price_feeds.bitstamp import Bitstamp
from recio.adapters.price_feeds.coinbase import Coinbase, _minute
from recio.adapters.price_feeds.feed import Reconnect
from recio.adapters.price_feeds.kraken import Kraken
from recio.domain.errors import InvalidValue

COINBASE = {
    "type": "ticker",
    "sequence": 37475248783,
    "product_id": "BTC-USD",
    "price": "80193.52",
    "best_bid": "80193.51",
    "best_ask": "80193.52",
    "time": "2026-05-13T13:00:35.123456Z",
    "trade_id": 370843401,
}
KRAKEN = {
    "channel": "ticker",
    "type": "update",
    "data": [{"symbol": "BTC/USD", "bid": 80193.5, "ask": 80193.6, "last": 80190.0, "vwap": 1}],
}
BITSTAMP = {
    "event": "trade",
    "channel": "live_trades_btcusd",
    "data": {
        "price": 80193.5,
        "price_str": "80193.50000000",
        "amount": 0.01,
        "timestamp": "1778677235",
        "microtimestamp": "1778677235123456",
    },
}


def prices(venue, frame):
    """Give a venue a frame."""
    return list(venue.prices(json.dumps(frame).encode()))


def test_coinbase_is_asked_for_ticker_and_heartbeat():
    """Within five seconds of connecting."""
    (greeting,) = Coinbase("BTC").greeting()
    assert json.loads(greeting) == {
        "type": "subscribe",
        "product_ids": ["BTC-USD"],
        "channels": ["ticker", "heartbeat"],
    }


def test_coinbase_tells_its_last_trade():
    """With the exchange's time."""
    assert prices(Coinbase("BTC"), COINBASE) == [(80_193_520_000, 1_778_677_235_123_456)]


def test_other_frames_tell_nothing():
    """Heartbeats, acknowledgements, other products."""
    assert prices(Coinbase("BTC"), {"type": "heartbeat", "sequence": 1}) == []
    assert prices(Coinbase("ETH"), COINBASE) == []
    assert prices(Kraken("BTC"), {"channel": "heartbeat"}) == []
    assert prices(Kraken("BTC"), {"method": "subscribe", "success": True, "result": {}}) == []
    assert prices(Bitstamp("BTC"), {"event": "bts:heartbeat", "channel": "", "data": {}}) == []
    assert prices(Bitstamp("ETH"), BITSTAMP) == []


def test_kraken_tells_the_middle_of_the_book():
    """A quoted book moves between trades; a crossed one says nothing, the last trade does."""
    assert prices(Kraken("BTC"), KRAKEN) == [(80_193_550_000, None)]
    row = KRAKEN["data"][0]
    crossed = KRAKEN | {"data": [row | {"bid": 80194.0}]}
    assert prices(Kraken("BTC"), crossed) == [(80_190_000_000, None)]


def test_kraken_is_asked_for_every_change_of_the_best_quotes():
    """Not only for trades."""
    (greeting,) = Kraken("ETH").greeting()
    params = json.loads(greeting)["params"]
    assert (params["symbol"], params["event_trigger"]) == (["ETH/USD"], "bbo")


def test_bitstamp_tells_trades_with_their_microseconds():
    """From the text of the price, not from the number."""
    assert prices(Bitstamp("BTC"), BITSTAMP) == [(80_193_500_000, 1_778_677_235_123_456)]
    (greeting,) = Bitstamp("BTC").greeting()
    assert json.loads(greeting)["data"] == {"channel": "live_trades_btcusd"}


@pytest.mark.parametrize(
    ("venue", "frame"),
    [
        (Coinbase("BTC"), {"type": "error", "message": "Failed to subscribe", "reason": "x"}),
        (Kraken("BTC"), {"method": "subscribe", "success": False, "error": "no such symbol"}),
        (Bitstamp("BTC"), {"event": "bts:request_reconnect", "channel": "", "data": ""}),
        (Bitstamp("BTC"), {"event": "bts:error", "channel": "", "data": {"code": 4009}}),
    ],
)
def test_a_venue_that_refuses_or_asks_for_it_is_connected_anew(venue, frame):
    """The connection is of no use any more."""
    with pytest.raises(Reconnect):
        prices(venue, frame)


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity", "", "1e5", "100000001", "80,193"])
def test_an_absurd_price_is_refused(price):
    """Never guessed."""
    with pytest.raises(InvalidValue):
        prices(Coinbase("BTC"), COINBASE | {"price": price})


@given(st.binary(max_size=80))
def test_no_bytes_raise_anything_else(frame):
    """A frame means something, nothing, or is refused."""
    for venue in (Coinbase("BTC"), Kraken("BTC"), Bitstamp("BTC")):
        with suppress(InvalidValue):
            assert list(venue.prices(frame)) == []


ODD_NUMBERS = ["NaN", "sNaN", "Infinity", "-inf", "1e1000000", "1e999999999", "1e-999999999"]


@pytest.mark.parametrize("number", ODD_NUMBERS)
def test_numbers_that_are_none_are_refused_before_anything_is_computed(number):
    """Found by fuzzing: comparing a NaN raised, and a huge exponent would fill the memory."""
    row = KRAKEN["data"][0]
    for fields in ({"bid": number}, {"ask": number}, {"bid": None, "last": number}):
        with pytest.raises(InvalidValue):
            prices(Kraken("BTC"), KRAKEN | {"data": [row | fields]})
    trade = {"price": number, "timestamp": "1778677235"}
    with pytest.raises(InvalidValue):
        prices(Bitstamp("BTC"), BITSTAMP | {"data": trade})
    with pytest.raises(InvalidValue):
        _minute([Decimal(number), *[Decimal(1)] * 4])
    with pytest.raises(InvalidValue):
        _minute([*[Decimal(60)] * 4, Decimal(number)])


def test_a_time_in_another_unit_is_refused():
    """Found by fuzzing: a price of the year 9999 would be fresh for ever."""
    late = "9999-12-31T23:59:59Z"
    with pytest.raises(InvalidValue, match="between 1970 and 2100"):
        prices(Coinbase("BTC"), COINBASE | {"time": late})
    with pytest.raises(InvalidValue, match="between 1970 and 2100"):
        prices(Kraken("BTC"), KRAKEN | {"data": [KRAKEN["data"][0] | {"timestamp": late}]})
    trade = BITSTAMP["data"] | {"microtimestamp": "", "timestamp": "1778677235000"}
    with pytest.raises(InvalidValue, match="between 1970 and 2100"):
        prices(Bitstamp("BTC"), BITSTAMP | {"data": trade})
