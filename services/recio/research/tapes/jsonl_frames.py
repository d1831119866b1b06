"""Recorded WebSocket messages as lines of JSON, read into the frames of ``recio.data.frames``.

A line is ``{"recv_ns": …, "type": …, "seq": …, "msg": {…}}`` in order of receipt: ``msg`` is the
exchange's message body with prices in dollars and counts as decimal strings (docs.kalshi.com,
WebSocket channels), or the recorder's own note ``market_meta`` of a market's close and strike.

A line that is no such thing is counted by its reason and left out; what that means for the order book
is the reader's business: a lost delta leaves a hole in ``seq``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from recio.data import frames
from recio.domain.errors import InvalidValue
from recio.domain.units import (
    PRICE_ONE_E4,
    parse_price_e4,
    parse_scaled,
    parse_time_us,
    round_usd_e6,
)
from recio.research.tapes.reading import time_us
from recio.research.tapes.tally import Tally

_MOST_E2: Final = 10**13


class _Line(msgspec.Struct):
    recv_ns: int
    type: str
    msg: msgspec.Raw
    seq: int | None = None


class _Snapshot(msgspec.Struct):
    market_ticker: str
    market_id: str = ""
    yes_dollars_fp: tuple[tuple[str, str], ...] = ()
    no_dollars_fp: tuple[tuple[str, str], ...] = ()


class _Delta(msgspec.Struct):
    market_ticker: str
    price_dollars: str
    delta_fp: str
    side: str
    ts: str
    market_id: str = ""


class _Ticker(msgspec.Struct):
    market_ticker: str
    price_dollars: str
    volume_fp: str
    time: str
    yes_bid_dollars: str
    yes_ask_dollars: str
    yes_bid_size_fp: str = "0"
    yes_ask_size_fp: str = "0"
    last_trade_size_fp: str = "0"
    open_interest_fp: str = "0"
    market_id: str = ""


class _Meta(msgspec.Struct):
    market_ticker: str
    close_time: str
    status: str = ""
    strike: float | None = None


_Body = _Snapshot | _Delta | _Ticker | _Meta
_line = msgspec.json.Decoder(_Line)
_bodies: dict[str, msgspec.json.Decoder[_Body]] = {
    "orderbook_snapshot": msgspec.json.Decoder(_Snapshot),
    "orderbook_delta": msgspec.json.Decoder(_Delta),
    "ticker": msgspec.json.Decoder(_Ticker),
    "market_meta": msgspec.json.Decoder(_Meta),
}


def read(lines: Iterable[str], tally: Tally) -> Iterator[frames.Frame]:
    """Yield the frames of a recording; what is none is counted."""
    for line in lines:
        if line.isspace():
            continue
        try:
            frame = decode(line)
        except InvalidValue as error:
            tally.refuse(str(error))
            continue
        tally.rows += 1
        yield frame


def decode(line: str | bytes) -> frames.Frame:
    """Return the frame of one line.

    Raises:
        InvalidValue: it is none; the message is a reason to count by, without the line's own words.
    """
    try:
        outer = _line.decode(line)
        body = _bodies[outer.type].decode(outer.msg)
    except KeyError as error:
        raise InvalidValue("message of a type that is not known") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidValue("line that is no recorded message") from error
    received_ms = time_us(str(outer.recv_ns), "nanoseconds") // 1000
    try:
        return _frame(received_ms, outer.seq, body)
    except InvalidValue as error:
        raise InvalidValue(f"{outer.type} with a value that is not the exchange's") from error


def _frame(received_ms: int, seq: int | None, body: _Body) -> frames.Frame:
    if isinstance(body, _Meta):
        strike = None if body.strike is None else round_usd_e6(f"{body.strike:.6f}")
        if strike is not None and strike <= 0:
            raise InvalidValue("strike that is not positive")
        close_us = parse_time_us(body.close_time)
        return frames.MarketFrame(received_ms, body.market_ticker, body.status, close_us, strike)
    if isinstance(body, _Ticker):
        return _ticker(received_ms, body)
    if seq is None or seq < 0:
        raise InvalidValue("no sequence number")
    if isinstance(body, _Snapshot):
        yes, no = _levels(body.yes_dollars_fp), _levels(body.no_dollars_fp)
        return frames.SnapshotFrame(received_ms, body.market_ticker, body.market_id, seq, yes, no)
    if body.side not in ("yes", "no"):
        raise InvalidValue("side that is neither yes nor no")
    return frames.DeltaFrame(
        received_ms=received_ms,
        market=body.market_ticker,
        market_id=body.market_id,
        seq=seq,
        at_us=parse_time_us(body.ts),
        price_e4=_price(body.price_dollars),
        change_e2=_change(body.delta_fp),
        is_yes=body.side == "yes",
    )


def _ticker(received_ms: int, body: _Ticker) -> frames.TickerFrame:
    return frames.TickerFrame(
        received_ms=received_ms,
        market=body.market_ticker,
        market_id=body.market_id,
        at_us=parse_time_us(body.time),
        price_e4=parse_price_e4(body.price_dollars),
        bid_e4=parse_price_e4(body.yes_bid_dollars),
        bid_qty_e2=_count(body.yes_bid_size_fp),
        ask_e4=parse_price_e4(body.yes_ask_dollars),
        ask_qty_e2=_count(body.yes_ask_size_fp),
        last_qty_e2=_count(body.last_trade_size_fp),
        volume_e2=_count(body.volume_fp),
        open_interest_e2=_count(body.open_interest_fp),
        dollar_volume=0,
        dollar_open_interest=0,
    )


def _levels(rows: tuple[tuple[str, str], ...]) -> frames.Levels:
    return tuple((_price(price), _count(count)) for price, count in rows)


def _price(text: str) -> int:
    price_e4 = parse_price_e4(text)
    if not 0 < price_e4 < PRICE_ONE_E4:
        raise InvalidValue("price of 0 or 1 dollar cannot rest")
    return price_e4


def _count(text: str) -> int:
    count_e2 = _change(text)
    if count_e2 < 0:
        raise InvalidValue("count below nothing")
    return count_e2


def _change(text: str) -> int:
    change_e2 = parse_scaled(text, 2)
    if abs(change_e2) > _MOST_E2:
        raise InvalidValue("count of more contracts than there can be")
    return change_e2
