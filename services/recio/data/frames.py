"""Recorded WebSocket messages of the exchange: order-book snapshots and deltas, and tickers.

A recording is a sequence of frames in order of receipt. ``received_ms`` is the recorder's clock,
some tenths of a second behind the exchange's, so it can precede ``at_us``, the exchange's own time.
Prices are 1e-4 dollar, counts 1e-2 contract. NO levels are priced on the NO scale, as sent.
``message`` gives a frame back as the exchange sent it (the recorder kept no ``sid``).

Layout of a file (xz): one JSON object, a column a field, because columns compress five times better
than frames. ``kinds`` has one letter a frame (s snapshot, d delta, t ticker, m market), ``received``
and ``market`` one number a frame (difference to the frame before; index into ``markets``). The
columns of one kind have one number for each frame of that kind: ``seq`` (of snapshots and deltas
together, minus the one before in that market), ``at`` (deltas and tickers: microseconds minus the
recorder's), ``price``, ``change`` and ``side`` of deltas, ``tickers`` (rows), ``books`` (snapshots:
YES levels, NO levels), ``strikes`` (markets: status, close in seconds, strike in cents or null).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from recio import data
from recio.domain.errors import Broken
from recio.domain.units import SECOND_US, format_scaled, format_time_us

Levels = tuple[tuple[int, int], ...]
_CENT_E6: Final = 10_000


class SnapshotFrame(msgspec.Struct, frozen=True, tag="orderbook_snapshot"):
    """A whole book: (price_e4, qty_e2) ascending by price, each side on its own scale."""

    received_ms: int
    market: str
    market_id: str
    seq: int
    yes: Levels
    no: Levels


class DeltaFrame(msgspec.Struct, frozen=True, tag="orderbook_delta"):
    """A change of one level."""

    received_ms: int
    market: str
    market_id: str
    seq: int
    at_us: int
    price_e4: int
    change_e2: int
    is_yes: bool


class TickerFrame(msgspec.Struct, frozen=True, tag="ticker"):
    """Top of book, last trade and totals; ``volume_e2`` counts every contract traded so far."""

    received_ms: int
    market: str
    market_id: str
    at_us: int
    price_e4: int
    bid_e4: int
    bid_qty_e2: int
    ask_e4: int
    ask_qty_e2: int
    last_qty_e2: int
    volume_e2: int
    open_interest_e2: int
    dollar_volume: int
    dollar_open_interest: int


class MarketFrame(msgspec.Struct, frozen=True, tag="market_meta"):
    """The recorder's own note of a market's close and strike; nothing the exchange sent."""

    received_ms: int
    market: str
    status: str
    close_us: int
    strike_usd_e6: int | None


Frame = SnapshotFrame | DeltaFrame | TickerFrame | MarketFrame
_KINDS: Final = {SnapshotFrame: "s", DeltaFrame: "d", TickerFrame: "t", MarketFrame: "m"}


class _Document(msgspec.Struct, kw_only=True):
    source: str
    markets: list[tuple[str, str]] = []
    kinds: str = ""
    received: list[int] = []
    market: list[int] = []
    seq: list[int] = []
    at: list[int] = []
    price: list[int] = []
    change: list[int] = []
    side: str = ""
    tickers: list[tuple[int, ...]] = []
    books: list[tuple[Levels, Levels]] = []
    strikes: list[tuple[str, int, int | None]] = []


@lru_cache(maxsize=1)
def load(name: str) -> tuple[Frame, ...]:
    """Return all frames of a packaged recording, in order of receipt.

    Raises:
        InvalidValue: no such file.
        Broken: the file is damaged.
    """
    return tuple(decode(data.unpack(f"{name}.frames.xz")))


def decode(content: bytes) -> Iterator[Frame]:
    """Read the layout above.

    Raises:
        Broken: the columns do not fit each other.
    """
    document = msgspec.json.decode(content, type=_Document)
    if not len(document.kinds) == len(document.received) == len(document.market):
        raise Broken(f"recording of {document.source}: columns differ in length")
    return _Reader(document).frames()


def encode(source: str, frames: Iterable[Frame]) -> bytes:
    """Write frames in the layout above; ``decode`` gives the same frames back."""
    return _Writer(source).write(frames)


class _Reader:
    def __init__(self, document: _Document) -> None:
        self._document = document
        self._seq = iter(document.seq)
        self._at = iter(document.at)
        self._deltas = iter(zip(document.price, document.change, document.side, strict=True))
        self._tickers = iter(document.tickers)
        self._books = iter(document.books)
        self._strikes = iter(document.strikes)
        self._last_seq: dict[str, int] = {}

    def frames(self) -> Iterator[Frame]:
        document = self._document
        read = {"s": self._snapshot, "d": self._delta, "t": self._ticker, "m": self._market}
        received_ms = 0
        for kind, passed_ms, index in zip(
            document.kinds, document.received, document.market, strict=True
        ):
            received_ms += passed_ms
            yield read[kind](received_ms, *document.markets[index])

    def _next_seq(self, market: str) -> int:
        seq = self._last_seq[market] = self._last_seq.get(market, 0) + next(self._seq)
        return seq

    def _snapshot(self, received_ms: int, market: str, market_id: str) -> Frame:
        seq = self._next_seq(market)
        return SnapshotFrame(received_ms, market, market_id, seq, *next(self._books))

    def _delta(self, received_ms: int, market: str, market_id: str) -> Frame:
        seq = self._next_seq(market)
        at_us = received_ms * 1000 + next(self._at)
        price_e4, change_e2, side = next(self._deltas)
        return DeltaFrame(
            received_ms, market, market_id, seq, at_us, price_e4, change_e2, side == "y"
        )

    def _ticker(self, received_ms: int, market: str, market_id: str) -> Frame:
        at_us = received_ms * 1000 + next(self._at)
        return TickerFrame(received_ms, market, market_id, at_us, *next(self._tickers))

    def _market(self, received_ms: int, market: str, _market_id: str) -> Frame:
        status, close_s, strike_e2 = next(self._strikes)
        strike_usd_e6 = None if strike_e2 is None else strike_e2 * _CENT_E6
        return MarketFrame(received_ms, market, status, close_s * SECOND_US, strike_usd_e6)


class _Writer:
    def __init__(self, source: str) -> None:
        self._document = _Document(source=source)
        self._indices: dict[str, int] = {}
        self._last_seq: dict[str, int] = {}

    def write(self, frames: Iterable[Frame]) -> bytes:
        document, kinds, sides, received_ms = self._document, [], [], 0
        ordered = list(frames)
        self._name_markets(ordered)
        for frame in ordered:
            kinds.append(_KINDS[type(frame)])
            document.received.append(frame.received_ms - received_ms)
            received_ms = frame.received_ms
            document.market.append(self._indices[frame.market])
            if isinstance(frame, DeltaFrame):
                sides.append("y" if frame.is_yes else "n")
            self._put(frame)
        document.kinds, document.side = "".join(kinds), "".join(sides)
        return msgspec.json.encode(document)

    def _name_markets(self, frames: Sequence[Frame]) -> None:
        ids: dict[str, str] = {}
        for frame in frames:
            ids.setdefault(frame.market, "")
            if not isinstance(frame, MarketFrame):
                ids[frame.market] = frame.market_id
        self._document.markets = list(ids.items())
        self._indices = {market: index for index, market in enumerate(ids)}

    def _put(self, frame: Frame) -> None:
        document = self._document
        if isinstance(frame, SnapshotFrame | DeltaFrame):
            document.seq.append(frame.seq - self._last_seq.get(frame.market, 0))
            self._last_seq[frame.market] = frame.seq
        if isinstance(frame, DeltaFrame | TickerFrame):
            document.at.append(frame.at_us - frame.received_ms * 1000)
        if isinstance(frame, SnapshotFrame):
            document.books.append((frame.yes, frame.no))
        elif isinstance(frame, DeltaFrame):
            document.price.append(frame.price_e4)
            document.change.append(frame.change_e2)
        elif isinstance(frame, TickerFrame):
            document.tickers.append(msgspec.structs.astuple(frame)[4:])
        else:
            strike = frame.strike_usd_e6
            strike_e2 = None if strike is None else strike // _CENT_E6
            document.strikes.append((frame.status, frame.close_us // SECOND_US, strike_e2))


def message(frame: SnapshotFrame | DeltaFrame | TickerFrame, *, sid: int = 1) -> bytes:
    """Return the frame as the exchange sent it, in JSON; ``sid`` was not recorded."""
    if isinstance(frame, SnapshotFrame):
        body = _snapshot_body(frame)
    elif isinstance(frame, DeltaFrame):
        body = _delta_body(frame)
    else:
        body = _ticker_body(frame)
    envelope: dict[str, object] = {"type": type(frame).__struct_config__.tag, "sid": sid}
    if not isinstance(frame, TickerFrame):
        envelope["seq"] = frame.seq
    return msgspec.json.encode(envelope | {"msg": body})


def _snapshot_body(frame: SnapshotFrame) -> dict[str, object]:
    # The exchange leaves the key of an empty side out.
    body: dict[str, object] = {"market_ticker": frame.market, "market_id": frame.market_id}
    for key, levels in (("yes_dollars_fp", frame.yes), ("no_dollars_fp", frame.no)):
        if levels:
            body[key] = [[format_scaled(p, 4), format_scaled(q, 2)] for p, q in levels]
    return body


def _delta_body(frame: DeltaFrame) -> dict[str, object]:
    return {
        "market_ticker": frame.market,
        "market_id": frame.market_id,
        "price_dollars": format_scaled(frame.price_e4, 4),
        "delta_fp": format_scaled(frame.change_e2, 2),
        "side": "yes" if frame.is_yes else "no",
        "ts": _time(frame.at_us),
        "ts_ms": frame.at_us // 1000,
    }


def _ticker_body(frame: TickerFrame) -> dict[str, object]:
    return {
        "market_ticker": frame.market,
        "market_id": frame.market_id,
        "price_dollars": format_scaled(frame.price_e4, 4),
        "yes_bid_dollars": format_scaled(frame.bid_e4, 4),
        "yes_bid_size_fp": format_scaled(frame.bid_qty_e2, 2),
        "yes_ask_dollars": format_scaled(frame.ask_e4, 4),
        "yes_ask_size_fp": format_scaled(frame.ask_qty_e2, 2),
        "last_trade_size_fp": format_scaled(frame.last_qty_e2, 2),
        "volume_fp": format_scaled(frame.volume_e2, 2),
        "open_interest_fp": format_scaled(frame.open_interest_e2, 2),
        "dollar_volume": frame.dollar_volume,
        "dollar_open_interest": frame.dollar_open_interest,
        "ts": frame.at_us // SECOND_US,
        "ts_ms": frame.at_us // 1000,
        "time": _time(frame.at_us),
    }


def _time(at_us: int) -> str:
    # The exchange writes as many digits of the second as there are.
    return format_time_us(at_us)[:-1].rstrip("0").rstrip(".") + "Z"
