"""Recorded frames: the same bytes that the exchange sent."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.data import frames
from recio.domain.errors import Broken

RECORDING = "kxbtc15m_ws_2026-05-13T125943Z"
levels = st.dictionaries(st.integers(1, 9_999), st.integers(1, 10**9)).map(
    lambda found: tuple(sorted(found.items()))
)
at_ms = st.integers(10**12, 2 * 10**12)
market = st.sampled_from(["KXBTC15M-A", "KXBTC15M-B"])
number = st.integers(0, 10**9)
frame = st.one_of(
    st.builds(frames.SnapshotFrame, at_ms, market, st.just("id"), number, levels, levels),
    st.builds(
        frames.DeltaFrame,
        at_ms,
        market,
        st.just("id"),
        number,
        at_ms.map(lambda ms: ms * 1000 + 7),
        number,
        st.integers(-(10**9), 10**9),
        st.booleans(),
    ),
    st.builds(frames.TickerFrame, at_ms, market, st.just("id"), at_ms, *[number] * 10),
    st.builds(
        frames.MarketFrame,
        at_ms,
        market,
        st.just("active"),
        st.integers(0, 10**9).map(lambda s: s * 10**6),
        st.none() | st.integers(1, 10**8).map(lambda cents: cents * 10_000),
    ),
)


@given(st.lists(frame, max_size=30))
def test_frames_come_back(written: list[frames.Frame]) -> None:
    """Encoding loses nothing; a market known only from notes has no id."""
    assert list(frames.decode(frames.encode("a test", written))) == written


def test_columns_of_different_length_are_broken() -> None:
    """A frame without a kind is damage."""
    note = frames.MarketFrame(10**12, "KXBTC15M-A", "active", 0, None)
    document = msgspec.json.decode(frames.encode("a test", [note]))
    document["kinds"] = ""
    with pytest.raises(Broken):
        frames.decode(msgspec.json.encode(document))


def test_recording_holds_what_its_source_says() -> None:
    """1,079 s, 43,620 deltas, 860 tickers, three markets."""
    found = frames.load(RECORDING)
    kinds = [type(one) for one in found]
    assert kinds.count(frames.DeltaFrame) == 43_620
    assert kinds.count(frames.TickerFrame) == 860
    assert len({one.market for one in found}) == 3
    assert (found[-1].received_ms - found[0].received_ms) // 1000 == 1_079


def test_messages_have_the_wire_form_of_the_exchange() -> None:
    """Decimal strings, sides by name, times with as many digits as there are."""
    delta = next(one for one in frames.load(RECORDING) if isinstance(one, frames.DeltaFrame))
    assert msgspec.json.decode(frames.message(delta)) == {
        "type": "orderbook_delta",
        "sid": 1,
        "seq": 2,
        "msg": {
            "delta_fp": "10.00",
            "market_id": "b2912a32-ef47-4d03-938c-9c450fb9b196",
            "market_ticker": "KXBTC15M-26MAY130900-00",
            "price_dollars": "0.9940",
            "side": "yes",
            "ts": "2026-05-13T12:59:43.873364Z",
            "ts_ms": 1778677183873,
        },
    }
    ticker = next(one for one in frames.load(RECORDING) if isinstance(one, frames.TickerFrame))
    decoded = msgspec.json.decode(frames.message(ticker))
    assert "seq" not in decoded
    assert decoded["msg"]["volume_fp"] == "275971.78"
    assert decoded["msg"]["yes_ask_dollars"] == "1.0000"
