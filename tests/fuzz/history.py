"""Targets: files that a person brings into the history, downloads, and the blocks in the database."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random  # noqa: TID251  (seeded by target and chunk)
from typing import Any

import msgspec
from tests.fuzz.mutators import _TEXTS, Binary, Json, Values
from tests.fuzz.oracle import between, time, wrong
from tests.fuzz.targets import Target

from recio.domain.errors import InvalidValue
from recio.research.history import blocks, books, coinbase, decoding, recorded
from recio.research.history.blocks import Block
from recio.research.history.decoding import Reading
from recio.research.history.files import Table, csv_table, json_table
from recio.research.history.kinds import plan_of
from recio.research.history.refusals import Refusals, Refused
from recio.research.history.values import MOST_USD_E6

READING = Reading(latest_us=1_800_000_000_000_000)
_DECODERS: dict[str, Callable[..., Iterator[Any]]] = {
    "minutes": decoding.minutes,
    "seconds": decoding.seconds,
    "settlements": decoding.settlements,
    "trades": recorded.trades,
    "quotes": recorded.quotes,
}
_price = between(1, MOST_USD_E6 - 1)

CSV = {
    "minutes": b"""ts,open,high,low,close,volume
1640995200,46216.93,46271.08,46208.37,46250,40.576
1640995260,46250,46344.23,46234.39,46312.76,42.381
1640995320,46312.76,46381.69,46292.75,46368.73,
""",
    "seconds": b"ts,price\n1778501186,81131.29\n1778501187,81131.28\n1778501190,81130\n",
    "settlements": b"""ticker,close_ts,strike,settlement_price,result,settlement_ts,source
KXBTC15M-26MAY010345-45,1777621500,,,yes,,b
KXBTC15M-26MAY130915-15,1778678100,80000.5,80001,yes,1778678200,a
""",
    "trades": b"""ticker,ts_ms,yes_price,count,taker
KXBTC15M-26APR271445-45,1777314601160,0.49,30,n
KXBTC15M-26APR271445-45,1777314601286,0.5,1,y
""",
    "quotes": b"""ts_ms,ticker,yes_bid_cents,yes_ask_cents,volume,open_interest,floor_strike,spot
1771993365058,KXBTC15M-26FEB242330-30,86,87,95725,27973,65434.98,65541.895
1771993367058,KXBTC15M-26FEB242330-30,0,100,95725,27973,65434.98,65541.895
""",
}
LINES = b"""{"ticker":"KXBTC15M-26APR271445-45","created_time":"2026-04-27T18:30:01.160462Z",\
"yes_price_dollars":"0.4900","count_fp":"30.00","taker_side":"no","trade_id":"78eb30ca"}
{"ticker":"KXBTC15M-26APR271445-45","created_time":"2026-04-27T18:30:01.286439Z",\
"yes_price_dollars":"0.5000","count_fp":"1.00","taker_side":"yes","trade_id":"a3351273"}
"""
_M = '"market_ticker":"KXBTC15M-26MAY130900-00"'
RECORDING = (
    '{"recv_ns":1778677183220726016,"type":"market_meta","seq":null,"msg":{"close_time":'
    f'"2026-05-13T13:00:00Z",{_M},"status":"active","strike":80077.29}}}}\n'
    f'{{"recv_ns":1778677183417676800,"type":"orderbook_snapshot","seq":1,"msg":{{{_M},'
    '"yes_dollars_fp":[["0.0010","1002.00"],["0.9940","5.00"]],"no_dollars_fp":[]}}\n'
    '{"recv_ns":1778677184429775104,"type":"orderbook_delta","seq":2,"msg":{"delta_fp":"10.00",'
    f'{_M},"price_dollars":"0.9940","side":"yes","ts":"2026-05-13T12:59:43.873364Z"}}}}\n'
    f'{{"recv_ns":1778677187393441024,"type":"ticker","seq":null,"msg":{{{_M},'
    '"price_dollars":"0.9990","time":"2026-05-13T12:59:46.269101Z","volume_fp":"275971.78",'
    '"yes_ask_dollars":"1.0000","yes_bid_dollars":"0.9990","yes_bid_size_fp":"4932.45"}}\n'
).encode()


class Cells:
    """Makes files out of a good one: hostile cells, and hostile bytes."""

    def __init__(self, example: bytes) -> None:
        self._rows = [line.split(",") for line in example.decode().splitlines()]
        self._binary = Binary([example])

    def make(self, random: Random) -> bytes:
        """Return one input."""
        if random.random() < 0.3:
            return self._binary.make(random)
        rows = [list(row) for row in self._rows]
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            row = rows[random.randrange(len(rows))]
            row[random.randrange(len(row))] = random.choice(_TEXTS)
        return "\n".join(",".join(row) for row in [*rows, ""]).encode("utf-8", "surrogatepass")


def _numbered(data: bytes) -> Iterator[tuple[int, bytes]]:
    return iter(list(enumerate(data.splitlines(keepends=True), 1)))


def _items(table: Table, refusals: Refusals) -> Sequence[Any]:
    plan = plan_of(table.columns)
    return list(_DECODERS[plan.kind](table, plan, READING, refusals))


def _csv(data: bytes) -> Sequence[Any]:
    refusals = Refusals()
    return _items(csv_table(Path("f.csv"), _numbered(data), refusals), refusals)


def _lines(data: bytes) -> Sequence[Any]:
    refusals = Refusals()
    return _items(json_table(_numbered(data), refusals), refusals)


def _recording(data: bytes) -> Sequence[Any]:
    return list(books.blocks_of(_numbered(data), Refusals()))


def _check(items: Sequence[Any]) -> None:
    for item in items:
        if isinstance(item, Block):
            _check_block(item)
        elif isinstance(item[0], str):
            time(item[1], "close_us")
            for value in item[3:5]:
                if value is not None:
                    _price(value, "usd_e6")
        else:
            time(item[0], "at_us")
            for value in item[1:5]:
                _price(value, "usd_e6")
            if (
                len(item) == 6
                and not item[3] <= min(item[1], item[4]) <= max(item[1], item[4]) <= item[2]
            ):
                raise wrong("minute", "low <= open, close <= high", item)


def _check_block(block: Block) -> None:
    times, columns, _ = blocks.unpack(block.body, block.digest, first_us=block.first_us)
    if times != sorted(times) or (times[0], times[-1]) != (block.first_us, block.last_us):
        raise wrong("block", "times that ascend from the first to the last", times)
    for at_us in times:
        time(at_us, "at_us")
    for column in columns:
        for value in column:
            between(-(10**15), 10**15)(value, "column")


def _candles(data: bytes) -> Any:
    return [coinbase.minute(candle) for candle in coinbase.decoded(data)]


def _unpacked(data: bytes) -> Any:
    import hashlib  # noqa: PLC0415
    import zlib  # noqa: PLC0415

    digest = hashlib.sha256(data).digest()
    return blocks.unpack(zlib.compress(data, 1), digest, first_us=1_778_677_183_000_000)


def _nothing(_value: Any) -> None:
    """Whatever it is: its length was checked, and a reader checks the rest."""


_BLOCK = next(item for item in _recording(RECORDING) if isinstance(item, Block))
_CANDLES = msgspec.json.encode(
    [[1795255200, 1.5, 2.5, 2.0, 1.75, 1.0], [1795255260, 1, 2, 2, 1.5, 1e-8]]
)

TARGETS = (
    *(
        Target(name=f"history {kind} CSV", decode=_csv, maker=Cells(example), examples=[example],
               refusals=(InvalidValue,), check=_check)
        for kind, example in CSV.items()
    ),
    Target(name="history JSON lines", decode=_lines, maker=Binary([LINES.replace(b"\\\n", b"")]),
           examples=[LINES.replace(b"\\\n", b"")], refusals=(InvalidValue,), check=_check),
    Target(name="history recording", decode=_recording, maker=Binary([RECORDING]),
           examples=[RECORDING], refusals=(InvalidValue,), check=_check),
    Target(name="history candles", decode=_candles, maker=Json([_CANDLES]), examples=[_CANDLES],
           refusals=(InvalidValue, Refused), check=_check),
    Target(name="history block", decode=_unpacked,
           maker=Values([[[[0, 5], [0, 1], [9940, 10], [500, 2]], [[[[1, 2]], []], []]]]),
           examples=[msgspec.msgpack.encode([[[0, 5], [0, 1]], [[], []]])],
           refusals=(InvalidValue,), check=_nothing),
)  # fmt: skip
