"""Targets: files that a trader gives to `recio model`, and tables that a trader gives to a service."""

from array import array

import msgspec
from tests.fuzz.mutators import Binary
from tests.fuzz.targets import Target

from recio.domain.errors import InvalidValue
from recio.domain.fingerprints import Fingerprints
from recio.research.models import market, minutes, recorded

CSV = (
    b"ts,open,high,low,close,volume\n"
    b"1704067200,42314,42335.8,42289.6,42331.9,35.6\n"
    b"1704067260,42331.9,42353.1,42331.8,42350.4,21.16\n"
    b"1704067380,42350.4,42360,42340,42345,3\n"
)
TRADES = (
    b"ticker,ts_ms,yes_price,count,taker\n"
    b"KXBTC15M-26APR271445-45,1777314601160,0.49,30,n\n"
    b"KXBTC15M-26APR271445-45,1777314601286,0.5,1,y\n"
)
RESULTS = (
    b"ticker,close_ts,strike,settlement_price,result,settlement_ts,source\n"
    b"KXBTC15M-26MAY010345-45,1777621500,,,yes,,b\n"
    b"KXBTC15M-26MAY131545-45,1778701500,79467.31,79509.22,yes,2026-05-13T19:45:14.362Z,a\n"
)
_HEADER = {
    "symbol": "BTC", "name": "small", "buckets": ["baseline", 0], "ttc_minutes": [1, 2],
    "thresholds_bp": [0, 5, 10],
}  # fmt: skip
_SHARES = array("H", [9000, 9000, 4000, 4000, 100, 100] * 4).tobytes()
TABLES = msgspec.json.encode(_HEADER) + b"\n" + _SHARES
COUNTED = (
    msgspec.json.encode(_HEADER | {"format": 2, "pooled": [0, 3]})
    + b"\n"
    + _SHARES
    + array("I", [7] * 12).tobytes()
)


def _read(data: bytes) -> tuple[minutes.Rows, list[str]]:
    rows = minutes.decode("x.csv", data)
    return rows, list(minutes.faults_of(rows, "BTC"))


def _is_judged(read: tuple[minutes.Rows, list[str]]) -> None:
    rows, faults = read
    assert len(rows.times) == len(rows.prices) == rows.source.rows > 0
    if not faults:
        assert (rows.prices > 0).all()
        assert (rows.times[1:] > rows.times[:-1]).all()


def _is_table(prints: Fingerprints) -> None:
    for bucket in (-30, 0, 30):
        curve = prints.curve(bucket, 60.0)
        assert curve is not None
        assert 0 < curve.share(0.1, 0) < 10_000
        low, high = prints.bounds(bucket, 1, 5, 0) or (0, 10_000)
        assert 0 <= low <= high <= 10_000


def _are_trades(rows: list[tuple[str, int, float]]) -> None:
    assert all(0 < price < 1 and at_ms > 10**12 for _, at_ms, price in rows)


def _are_results(rows: list[recorded.Settled]) -> None:
    for row in rows:
        assert isinstance(row.is_yes, bool)
        assert row.strike is None or 0 < row.strike < 1e12
        assert row.settlement is None or 0 < row.settlement < 1e12
        assert row.close_s > 0


TARGETS: tuple[Target, ...] = (
    Target(
        name="recorded trades", decode=lambda data: market.decode_trades("x.csv", data),
        maker=Binary([TRADES]), examples=[TRADES], refusals=(InvalidValue,), check=_are_trades,
        share=0.2,
    ),
    Target(
        name="recorded results", decode=lambda data: recorded.decode_settled("x.csv", data),
        maker=Binary([RESULTS]), examples=[RESULTS], refusals=(InvalidValue,), check=_are_results,
        share=0.2,
    ),
    Target(
        name="minutes of a file", decode=_read, maker=Binary([CSV]), examples=[CSV],
        refusals=(InvalidValue,), check=_is_judged, share=0.2,
        is_twice=False,
    ),
    Target(
        name="fingerprints", decode=Fingerprints, maker=Binary([TABLES, COUNTED]),
        examples=[TABLES, COUNTED], refusals=(InvalidValue,), check=_is_table, share=0.2,
        is_twice=False,
    ),
)  # fmt: skip
