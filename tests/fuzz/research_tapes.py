"""Targets: lines of recordings and rows of trades, quotes and results that a backtest reads."""

from collections.abc import Callable
from typing import Any

import msgspec
from tests.fuzz.mutators import Binary, Json
from tests.fuzz.targets import Target

from recio.data import frames
from recio.domain.errors import InvalidValue
from recio.research.tapes import jsonl_frames, quoted, results, trades

CLOSE_US = 1_777_315_500_000_000
AT = "2026-05-13T12:59:43.873364Z"
MOST_E2 = 10**13
MARKET = "KXBTC15M-26MAY130915-15"


def _line(kind: str, **body: Any) -> bytes:
    outer = {"recv_ns": 1778677183220726016, "type": kind, "seq": 2}
    return msgspec.json.encode(outer | {"msg": {"market_ticker": MARKET} | body})


LINES = (
    _line("market_meta", close_time="2026-05-13T13:15:00Z", status="active", strike=80077.29),
    _line("orderbook_snapshot", yes_dollars_fp=[["0.0010", "1002.00"], ["0.5", "1"]]),
    _line("orderbook_delta", price_dollars="0.9940", delta_fp="-10.00", side="yes", ts=AT),
    _line(
        "ticker", price_dollars="0.999", volume_fp="275971.78", time=AT,
        yes_bid_dollars="0.9990", yes_ask_dollars="1.0000", yes_bid_size_fp="4932.45",
    ),
)  # fmt: skip


def _frame(value: frames.Frame) -> None:
    assert value.received_ms > 0
    if isinstance(value, frames.DeltaFrame):
        assert 0 < value.price_e4 < 10_000
        assert abs(value.change_e2) <= MOST_E2
    elif isinstance(value, frames.SnapshotFrame):
        levels = (*value.yes, *value.no)
        assert all(0 < price < 10_000 and 0 <= qty <= MOST_E2 for price, qty in levels)
    elif isinstance(value, frames.TickerFrame):
        assert 0 <= value.price_e4 <= 10_000
        assert 0 <= value.volume_e2 <= MOST_E2
    else:
        assert value.strike_usd_e6 is None or value.strike_usd_e6 > 0


def _trade(value: trades.Trade) -> None:
    assert CLOSE_US - 900_000_000 <= value.at_us < CLOSE_US
    assert 0 < value.yes_price_e4 < 10_000
    assert value.qty_e2 > 0


def _quote(value: quoted.Row) -> None:
    for price in (value.bid_e4, value.ask_e4):
        assert price is None or 0 < price < 10_000
    assert value.spot_usd_e6 is None or value.spot_usd_e6 > 0
    assert value.strike_usd_e6 is None or value.strike_usd_e6 > 0


def _result(value: results.Result) -> None:
    assert value.result in ("yes", "no")
    assert value.at_us >= value.close_us


def _row(
    name: str, decode: Callable[[list[str]], Any], check: Callable[[Any], None], *examples: bytes
) -> Target:
    width = examples[0].count(b",") + 1

    def read(data: bytes) -> Any:
        fields = data.decode("utf-8", "replace").split(",")
        if len(fields) != width:
            raise InvalidValue("another number of fields")
        return decode(fields)

    return Target(
        name=f"tape {name}",
        decode=read,
        maker=Binary(examples),
        examples=examples,
        refusals=(InvalidValue,),
        check=check,
    )


TARGETS = (
    Target(
        name="tape recorded message",
        decode=jsonl_frames.decode,
        maker=Json(LINES),
        examples=LINES,
        refusals=(InvalidValue,),
        check=_frame,
        share=2,
    ),
    _row(
        "trade", lambda fields: trades.decode(fields, CLOSE_US), _trade,
        b"KXBTC15M-26APR271445-45,1777314601160,0.49,30,n",
        b"KXBTC15M-26APR271445-45,1777314601286,0.5,1.25,y"),
    _row(
        "quote with strike", lambda fields: quoted.decode(fields, has_strike=True), _quote,
        b"1771993365058,KXBTC15M-26FEB242330-30,86,87,65541.895,95725,65434.98"),
    _row(
        "quote without strike", lambda fields: quoted.decode(fields, has_strike=False), _quote,
        b"1786945083973,KXETH15M-26AUG170145-45,0.093,0.094,1897.375,1"),
    _row(
        "result", results.decode, _result,
        b"KXBTC15M-26MAY110600-00,1778493600,80911.59,80952.28,yes,2026-05-11T10:00:15.850Z",
        b"KXBTC15M-26MAY010400-00,1777622400,,,yes,"),
)  # fmt: skip
