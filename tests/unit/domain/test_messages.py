"""What crosses the bus: a number that its unit cannot mean makes a message none of ours."""

from __future__ import annotations

import msgspec
import pytest

from recio.domain import messages
from recio.domain.messages import Change, MarketQuote, PriceUpdate

NOW_US = 1_795_255_200_000_000
PRICE = PriceUpdate(
    environment="paper",
    symbol="BTC",
    at_us=NOW_US,
    seen_us=NOW_US,
    index_usd_e6=80_193_520_000,
    window_count=60,
)
QUOTE = MarketQuote("T", 0, 0, 10_000, 10**13, None, NOW_US, 0, is_valid=True)


def decoded(message, **fields):
    """Send a message with other fields and receive it."""
    return messages.decode(messages.encode(msgspec.structs.replace(message, **fields)))


def test_a_good_message_comes_back():
    """At the ends of each range, too."""
    assert decoded(PRICE) == PRICE
    assert decoded(PRICE, at_us=0, window_count=0).window_count == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"at_us": -1},
        {"seen_us": 4_102_444_800_000_001},
        {"index_usd_e6": 10**18 + 1},
        {"window_count": 61},
        {"window_count": -1},
        {"gap_count": -1},
        {"symbol": ""},
        {"environment": "x" * 257},
    ],
)
def test_a_number_that_its_unit_cannot_mean_is_refused(fields):
    """Found by fuzzing: times before 1970 and prices beyond 64 bits were taken."""
    with pytest.raises(msgspec.DecodeError):
        decoded(PRICE, **fields)


@pytest.mark.parametrize(
    "fields",
    [{"yes_ask_e4": 10_001}, {"yes_bid_e4": -1}, {"yes_ask_qty_e2": -1}, {"seq": -1}],
)
def test_a_quote_off_the_scale_is_refused(fields):
    """Found by fuzzing: automation would have decided on it."""
    update = messages.BookUpdate(
        environment="paper",
        event_ticker="E",
        quotes=(QUOTE,),
        is_full=True,
        at_us=NOW_US,
        seen_us=NOW_US,
    )
    assert decoded(update) == update
    with pytest.raises(msgspec.DecodeError):
        decoded(update, quotes=(msgspec.structs.replace(QUOTE, **fields),))


@pytest.mark.parametrize("data", [b"", b"\x91" * 5000, b"\x81\xa4type\xa4\xff\xff\xff\xff"])
def test_bytes_that_are_no_message_are_refused_in_one_way(data):
    """Found by fuzzing: bytes that are no text, and a thousand lists, passed by every receiver."""
    with pytest.raises(msgspec.DecodeError):
        messages.decode(data)


def test_a_change_names_its_row():
    """An empty name is none."""
    change = Change(table="trading.trades", account=None, row_id="*", at_us=0, seen_us=0)
    assert decoded(change) == change
    with pytest.raises(msgspec.DecodeError):
        decoded(change, row_id="")
