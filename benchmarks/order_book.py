"""What an order-book delta costs: JSON to integers to the book, and the whole session around it.

    python benchmarks/order_book.py

Input: the recorded book frames of KXBTC15M-26MAY130915-15 (13 May 2026) that the product carries, as
the exchange sent them. "parse + conversion + apply" is decoding the frame, converting price and size
exactly, and applying them to the book. "session" adds what a live connection does: finding
subscription and book, checking the number, telling the consumer. The texts of prices and sizes are
kept in a dictionary, which is empty at the beginning of "session, first". CPU time, the best of several runs.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from time import process_time

import msgspec

from recio.adapters.kalshi import wire
from recio.adapters.kalshi.stream import ORDER_BOOK, StreamSession, Subscription
from recio.adapters.kalshi.wire_stream import DeltaFrame
from recio.data import frames
from recio.domain.book import OrderBook

RECORDING = "kxbtc15m_ws_2026-05-13T125943Z"
MARKET = "KXBTC15M-26MAY130915-15"
RUNS = 15


def main() -> None:
    """Measure and print."""
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
        f"msgspec {version('msgspec')}"
    )
    snapshot, *deltas = (
        frame
        for frame in frames.load(RECORDING)
        if frame.market == MARKET and isinstance(frame, frames.SnapshotFrame | frames.DeltaFrame)
    )
    assert isinstance(snapshot, frames.SnapshotFrame)
    texts = [frames.message(one) for one in deltas if isinstance(one, frames.DeltaFrame)]
    print(f"{len(texts)} recorded deltas of {sum(map(len, texts)) // len(texts)} bytes")
    show("decode alone", best(lambda: timed(msgspec.json.Decoder(DeltaFrame).decode, texts)))
    show("decode with the standard library", best(lambda: timed(json.loads, texts)))
    show("parse + conversion + apply", best(lambda: book_run(snapshot, texts)))
    first = frames.message(snapshot)
    warm = session_run(first, texts, None)[1]
    show("session", best(lambda: session_run(first, texts, warm)[0]))
    show("session, first", best(lambda: session_run(first, texts, None)[0]))


def book_run(snapshot: frames.SnapshotFrame, texts: Sequence[bytes]) -> float:
    """Return microseconds a delta for decoding, converting and applying."""
    decode = msgspec.json.Decoder(DeltaFrame).decode
    bodies = [decode(text).msg for text in texts]
    prices = {body.price_dollars: wire.price_e4(body.price_dollars) for body in bodies}
    sizes = {body.delta_fp: wire.signed_qty_e2(body.delta_fp) for body in bodies}
    book = OrderBook(MARKET)
    book.load(snapshot.yes, snapshot.no, seq=snapshot.seq, at_us=1)

    def apply(text: bytes) -> None:
        delta = decode(text)
        body = delta.msg
        side = book.yes if body.side == "yes" else book.no
        price_e4, size_e2 = prices[body.price_dollars], sizes[body.delta_fp]
        book.apply(side, price_e4, size_e2, delta.seq, body.ts_ms * 1000)

    spent = timed(apply, texts)
    assert book.is_valid
    return spent


def session_run(
    first: bytes, texts: Sequence[bytes], warm: StreamSession | None
) -> tuple[float, StreamSession]:
    """Return microseconds a delta in a session, and the session."""
    session = StreamSession(lambda: 1, lambda: 1)
    if warm is not None:
        session._prices, session._deltas = warm._prices, warm._deltas
    session.connected()
    session.want(Subscription(key="book", channel=ORDER_BOOK, tickers=(MARKET,)))
    session.receive(b'{"type":"subscribed","id":1,"msg":{"channel":"orderbook_delta","sid":1}}')
    session.receive(first)
    spent = timed(session.receive, texts)
    assert session.books[MARKET].is_valid
    assert not session.gaps
    return spent, session


def timed(work: Callable[[bytes], object], frames_: Sequence[bytes]) -> float:
    """Return microseconds a call."""
    start = process_time()
    for frame in frames_:
        work(frame)
    return (process_time() - start) / len(frames_) * 1e6


def best(work: Callable[[], float]) -> float:
    """Return the best of several runs."""
    return min(work() for _ in range(RUNS))


def show(what: str, micros: float) -> None:
    """Print one row."""
    print(f"{what:<32} {micros:6.3f} us")


if __name__ == "__main__":
    main()
