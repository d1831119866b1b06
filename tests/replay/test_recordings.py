"""Every recorded frame and REST body of the exchange passes through our decoders and book.

WebSocket: nine recordings of KXBTC15M of May 2026 (436,000 deltas) and untouched frames of KXBTC
range markets of April 2026. REST: trades, markets and an order book. Sources and checksums:
services/recio/data/SOURCES.md and tests/data/kalshi/checksums.json.
"""

from __future__ import annotations

import csv
import io
import json
import lzma
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
import pytest

from recio import data
from recio.adapters.kalshi import wire, wire_markets, wire_stream
from recio.adapters.kalshi.events import BookChanged, TickerSeen
from recio.adapters.kalshi.stream import ORDER_BOOK, StreamSession, Subscription
from recio.data import frames
from recio.domain.units import PRICE_ONE_E4

FOLDER: Final = Path(__file__).parent.parent / "data" / "kalshi"
PACKAGED: Final = "kxbtc15m_ws_2026-05-13T125943Z.frames.xz"
RECORDINGS: Final = {
    "kxbtc15m_ws_2026-05-11T053113Z.frames.xz": (2_964, 29),
    "kxbtc15m_ws_2026-05-11T053743Z.frames.xz": (70_962, 788),
    "kxbtc15m_ws_2026-05-11T121731Z.frames.xz": (55_798, 678),
    PACKAGED: (43_620, 860),
    "kxbtc15m_ws_2026-05-13T152239Z.frames.xz": (69_265, 664),
    "kxbtc15m_ws_2026-05-13T155623Z.frames.xz": (45_602, 338),
    "kxbtc15m_ws_2026-05-13T180818Z.frames.xz": (40_009, 461),
    "kxbtc15m_ws_2026-05-13T202036Z.frames.xz": (76_647, 856),
    "kxbtc15m_ws_2026-05-14T043123Z.frames.xz": (31_092, 325),
}
"""Recording -> (deltas, tickers), as its source counts them."""


def content(name: str) -> bytes:
    """Return a recording, packaged or beside the tests."""
    return data.unpack(name) if name == PACKAGED else lzma.decompress((FOLDER / name).read_bytes())


class Listener:
    """Our stream session on a recorded connection: one subscription for each market."""

    def __init__(self) -> None:
        self.session = StreamSession(lambda: 0, lambda: 0)
        self.sids: dict[str, int] = {}
        self.deltas = self.tickers = self.equal = 0

    def subscribe(self, market: str) -> None:
        """Want a market's book on a connection of its own, and let the exchange agree."""
        self.session.disconnected("a new connection")
        self.session.want(Subscription(key=market, channel=ORDER_BOOK, tickers=(market,)))
        self.session.connected()
        for text in self.session.outbox:
            command = json.loads(text)
            (ticker,) = command["params"]["market_tickers"]
            sid = self.sids[ticker] = len(self.sids) + 1
            told = {"channel": ORDER_BOOK, "sid": sid}
            answer = {"id": command["id"], "type": "subscribed", "msg": told}
            assert self.session.receive(json.dumps(answer).encode()) == ()
        self.session.outbox.clear()

    def hear(self, frame: frames.Frame) -> None:
        """Receive one recorded frame."""
        if isinstance(frame, frames.MarketFrame):
            return
        if isinstance(frame, frames.SnapshotFrame) and frame.seq == 1:
            self.subscribe(frame.market)
        found = self.session.receive(frames.message(frame, sid=self.sids[frame.market]))
        (event,) = found
        if isinstance(event, TickerSeen):
            self._compare(event, frame.market)
        else:
            assert isinstance(event, BookChanged)
            assert event.book.is_valid, event.book.reason
            self.deltas += isinstance(frame, frames.DeltaFrame)

    def _compare(self, event: TickerSeen, market: str) -> None:
        best_e4 = self.session.books[market].yes.best_e4 or None
        self.tickers += 1
        self.equal += event.yes_bid_e4 == best_e4


@pytest.mark.parametrize("name", list(RECORDINGS))
def test_recorded_stream_keeps_its_books_whole(name: str) -> None:
    """No frame refused or dropped, no gap, no negative level, best bid as the ticker says it.

    The ticker is sent about once a second and books change dozens of times, so timing leaves 3 to
    14 % of the tickers different.
    """
    listener = Listener()
    for frame in frames.decode(content(name)):
        listener.hear(frame)
    session = listener.session
    assert (listener.deltas, listener.tickers) == RECORDINGS[name]
    assert (session.gaps, session.dropped, dict(session.refused)) == (0, 0, {})
    assert 0.86 <= listener.equal / listener.tickers <= 0.97


def test_reconnect_begins_a_new_numbering() -> None:
    """The last recording reconnects in the middle: its second snapshot has number 1 again."""
    last = list(RECORDINGS)[-1]
    first = [
        frame.seq
        for frame in frames.decode(content(last))
        if isinstance(frame, frames.SnapshotFrame) and frame.seq == 1
    ]
    assert len(first) == 2


def test_untouched_frames_of_range_markets() -> None:
    """One subscription of eight markets, numbers 1 to 69 without a hole.

    The recorder's client had asked for several channels in one command: the acknowledgement of the
    second and the errors about unknown ones answer nothing of ours. They are counted, and no more.
    """
    lines = lzma.decompress((FOLDER / "kxbtc_ws_frames_2026-04-18.jsonl.xz").read_bytes())
    raw = [json.loads(line)["raw"].encode() for line in lines.splitlines()]
    markets = {json.loads(text)["msg"].get("market_ticker") for text in raw} - {None}
    session = StreamSession(lambda: 0, lambda: 0)
    session.want(Subscription(key="books", channel=ORDER_BOOK, tickers=tuple(sorted(markets))))
    session.connected()
    for text in raw:
        session.receive(text)
    assert (session.gaps, session.dropped, dict(session.refused)) == (0, 0, {"subscribed": 1})
    assert len(session.books) == 8
    assert all(book.is_valid for book in session.books.values())
    assert max(book.seq for book in session.books.values()) == 69
    assert not any(book.is_crossed for book in session.books.values())


def test_recorded_trades_convert() -> None:
    """400 trades as GET /markets/trades returned them."""
    lines = lzma.decompress((FOLDER / "kxbtc15m_rest_trades_sample.jsonl.xz").read_bytes())
    rows = lines.splitlines()
    trades = [wire_markets.trade(row) for row in rows]
    assert len(trades) == 400
    assert all(trade.taker_side is not None and trade.qty_e2 > 0 for trade in trades)
    for row, trade in zip(rows, trades, strict=True):
        other = wire.price_e4(json.loads(row)["no_price_dollars"])
        assert trade.yes_price_e4 + other == PRICE_ONE_E4


def rest_bodies() -> dict[str, list[dict[str, object]]]:
    """The captured REST bodies of KXBTCD by endpoint."""
    found: dict[str, list[dict[str, object]]] = {}
    for line in lzma.decompress(
        (FOLDER / "kxbtcd_rest_fixtures.jsonl.xz").read_bytes()
    ).splitlines():
        row = json.loads(line)
        found.setdefault(row["endpoint"], []).append(row["body"])
    return found


def test_recorded_markets_convert() -> None:
    """Two markets of the hourly ladder: strikes, quotes and grid."""
    bodies = rest_bodies()["GET /markets/{ticker}"]
    first, second = (wire_markets.market(msgspec.json.encode(body)) for body in bodies)
    assert first.floor_strike_usd_e6 == 74_299_990_000
    assert (first.yes_bid_e4, first.yes_ask_e4) == (None, 100)
    assert first.status == "active"
    assert second.ticker == "KXBTCD-26AUG2317-T86749.99"
    assert [(r.start_e4, r.end_e4, r.step_e4) for r in second.price_ranges] == [(0, 10_000, 100)]


def test_recorded_order_book_converts() -> None:
    """A book with NO bids only: its best YES ask is one cent."""
    (body,) = rest_bodies()["GET /markets/{ticker}/orderbook"]
    reply = wire.decode(msgspec.json.encode(body), wire_markets.BookReply)
    book = wire_markets.book("KXBTCD-26JUL2814-T74299.99", reply.orderbook_fp)
    assert book.yes == ()
    assert book.no[-1] == (9_900, 10_373_200)


def test_recorded_determinations_convert() -> None:
    """Three outcomes of August 2025, 71 seconds after the close."""
    (rows,) = rest_bodies()["market_lifecycle (legacy recorder envelope)"]
    seen = [wire_stream.lifecycle(msgspec.Raw(msgspec.json.encode(row["data"]))) for row in rows]
    assert [one.result for one in seen] == ["no", "yes", "no"]
    assert {one.event_type for one in seen} == {"determined"}


def test_tickers_of_the_old_format_say_nothing() -> None:
    """Integer cents left the wire in March 2026: such a ticker has no price, not a wrong one."""
    text = lzma.decompress((FOLDER / "kxbtcd_ticker_2025-08-03.csv.xz").read_bytes()).decode()
    session = StreamSession(lambda: 0, lambda: 0)
    rows = list(csv.DictReader(io.StringIO(text)))
    for row in rows:
        cents = {key: int(row[key]) for key in ("price", "yes_bid", "yes_ask") if row[key]}
        body = {"market_ticker": row["ticker"], "ts": int(row["ts"])} | cents
        frame = {"type": "ticker", "sid": 1, "msg": body}
        (event,) = session.receive(json.dumps(frame).encode())
        assert isinstance(event, TickerSeen)
        assert (event.yes_bid_e4, event.yes_ask_e4, event.last_price_e4) == (None, None, None)
    assert len(rows) == 1_000


def test_recordings_are_unchanged() -> None:
    """Each file beside the tests has its checksum."""
    sums = json.loads((FOLDER / "checksums.json").read_text())
    assert set(sums) == {path.name for path in FOLDER.iterdir()} - {"checksums.json"}
    assert {name: sha256((FOLDER / name).read_bytes()).hexdigest() for name in sums} == sums
    assert sums.keys() >= RECORDINGS.keys() - {PACKAGED}
