"""Downloads minutes from Coinbase Exchange into the history: paged, resumable, gentle.

GET /products/{id}/candles?granularity=60&start=…&end=… gives at most 300 candles, newest first, each
[start, low, high, open, close, volume]; a minute without trades is absent. Public endpoints allow ten
requests a second; we ask five times. An answer of 429 or 5xx, and none at all, is tried again with
growing pauses (or as long as Retry-After says); after ``TRIES`` the download stops, and the next run
goes on behind the last page stored. Candles outside of what was asked for are refused and counted.

A minute is asked for only when it is over: the running one would be stored unfinished.

Source: docs.cdp.coinbase.com/exchange, "Get product candles" and "Rate limits" (read 2026-11).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final
from urllib.parse import urlencode

import msgspec

from recio.adapters.postgres.history import Begun, HistoryStore, Key, Told
from recio.adapters.price_feeds.coinbase import MOST_CANDLES, SOURCE
from recio.adapters.transport.client import HttpClient
from recio.domain.errors import InvalidValue, Unavailable
from recio.domain.units import MINUTE_US, SECOND_US, format_time_us
from recio.ports import HttpReply
from recio.research.history.decoding import Minute
from recio.research.history.importing import Report, Watch, was_complete
from recio.research.history.refusals import Refusals, Refused
from recio.research.history.values import usd_e6, volume_e8

TRIES: Final = 8
TIMEOUT_S: Final = 15.0
PAUSE_MOST_S: Final = 60.0
_OK: Final = 200
_TOO_MANY: Final = 429
_SERVER: Final = 500
_LATEST_S: Final = 4_000_000_000
_PRODUCT: Final = re.compile(r"([A-Z0-9]{2,12})-USD", re.ASCII)
_HEADERS: Final = {"Accept": "application/json", "User-Agent": "recio"}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to fetch: minutes that open from ``since_us`` on and before ``until_us``."""

    product: str
    since_us: int
    until_us: int
    every_s: float = 0.2
    first_pause_s: float = 1.0


def download(wanted: Wanted, base_url: str, store: HistoryStore, watch: Watch) -> Report:
    """Fetch what is missing and store it.

    Raises:
        InvalidValue: not a product against the dollar, or a stretch that is none.
        Unavailable: the venue does not answer; what was stored stays, and the next run goes on.
    """
    symbol = _symbol(wanted)
    store.lock(SOURCE)
    told = msgspec.json.encode([base_url, wanted.product, wanted.since_us, wanted.until_us])
    key = Key(
        kind="minutes",
        source=SOURCE,
        symbol=symbol,
        options="download",
        sha256=hashlib.sha256(told).hexdigest(),
    )
    name = f"{wanted.product} {format_time_us(wanted.since_us)[:16]} … {format_time_us(wanted.until_us)[:16]}"
    begun = store.begin(key, name=name, size_bytes=0, at_us=watch.wall_us())
    report = Report(
        name=name,
        kind="minutes",
        source=SOURCE,
        symbol=symbol,
        refusals=Refusals(),
        symbols={symbol},
    )
    report.first_us, report.last_us = wanted.since_us + MINUTE_US, wanted.until_us
    if begun.is_complete:
        return was_complete(report, begun)
    asyncio.run(_Download(wanted, base_url, store, watch, report).run(begun))
    report.read = report.good + report.refusals.total
    return report


def _symbol(wanted: Wanted) -> str:
    match = _PRODUCT.fullmatch(wanted.product)
    if match is None:
        raise InvalidValue(f"expected a product such as BTC-USD, received {wanted.product!r}")
    if (
        wanted.since_us >= wanted.until_us
        or wanted.since_us % MINUTE_US
        or wanted.until_us % MINUTE_US
    ):
        raise InvalidValue("expected --from before --until, both on a minute")
    return match[1]


class _Download:
    def __init__(
        self, wanted: Wanted, base_url: str, store: HistoryStore, watch: Watch, report: Report
    ) -> None:
        self._wanted = wanted
        self._prefix = f"/products/{wanted.product}/candles"
        self._base_url = base_url
        self._store = store
        self._watch = watch
        self._report = report

    async def run(self, begun: Begun) -> None:
        """Fetch page by page; each is stored before the next is asked for."""
        wanted, report = self._wanted, self._report
        whole_us = wanted.until_us - wanted.since_us
        report.new, report.known, report.resumed_at = begun.stored, begun.known, begun.done
        client = HttpClient(self._base_url)
        try:
            done_us = begun.done
            while done_us < whole_us:
                since_us = wanted.since_us + done_us
                until_us = min(since_us + MOST_CANDLES * MINUTE_US, wanted.until_us)
                if until_us > self._watch.wall_us():
                    raise InvalidValue(
                        f"minutes until {format_time_us(until_us)} are not over yet: what is was "
                        "stored; run it again later, or say an earlier --until"
                    )
                rows = self._judged(
                    await self._page(client, since_us, until_us), since_us, until_us
                )
                done_us = until_us - wanted.since_us
                self._keep(begun.import_id, rows, done_us, is_complete=done_us == whole_us)
                self._watch.tell(done_us, whole_us, report.good)
                await asyncio.sleep(wanted.every_s)
        finally:
            await client.close()

    def _keep(self, import_id: int, rows: list[Minute], done_us: int, *, is_complete: bool) -> None:
        report = self._report
        report.good += len(rows)
        feed = self._store.feed(SOURCE, report.symbol)
        told = Told(
            done=done_us,
            read=report.good + report.refusals.total,
            refused=report.refusals.counts,
            first_us=report.first_us,
            last_us=report.last_us,
            at_us=self._watch.wall_us(),
            is_complete=is_complete,
        )
        stored = self._store.write(import_id, {"minutes": [(feed, *row) for row in rows]}, told)
        report.new += stored.new
        report.known += stored.known
        for reason, count, example in stored.refused:
            report.refusals.add_many(reason, count, example)
            report.good -= count

    async def _page(self, client: HttpClient, since_us: int, until_us: int) -> bytes:
        # Both ends are included by the venue: the last candle is the one that opens before until_us.
        query = urlencode(
            {
                "granularity": 60,
                "start": format_time_us(since_us),
                "end": format_time_us(until_us - MINUTE_US),
            }
        )
        pause_s, problem = self._wanted.first_pause_s, ""
        for _ in range(TRIES):
            try:
                reply = await client.request(
                    "GET", f"{self._prefix}?{query}", _HEADERS, timeout_s=TIMEOUT_S
                )
            except Unavailable as error:
                problem, wait_s = str(error), pause_s
            else:
                if reply.status == _OK:
                    return reply.body
                problem, wait_s = _problem(reply), _wait_s(reply.headers, pause_s)
            await asyncio.sleep(min(wait_s, PAUSE_MOST_S))
            pause_s *= 2
        raise Unavailable(
            f"coinbase gave no candles from {format_time_us(since_us)} after {TRIES} tries ({problem}); "
            "what was stored stays, run it again to go on"
        )

    def _judged(self, body: bytes, since_us: int, until_us: int) -> list[Minute]:
        rows: dict[int, Minute] = {}
        for number, candle in enumerate(decoded(body), 1):
            try:
                row = minute(candle)
                if not since_us < row[0] <= until_us:
                    raise Refused("candle outside of what was asked for", candle)  # noqa: TRY301
                if rows.setdefault(row[0], row) is not row:
                    raise Refused("duplicate", candle)  # noqa: TRY301
            except Refused as refused:
                self._report.refusals.add(number, refused)
        return [rows[at_us] for at_us in sorted(rows)]


def decoded(body: bytes) -> list[list[Decimal]]:
    """Return the candles of an answer.

    Raises:
        InvalidValue: not a list of lists of numbers.
    """
    try:
        return msgspec.json.decode(body, type=list[list[Decimal]])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue(f"expected candles, received {body[:80]!r}: {error}") from error


def minute(candle: list[Decimal]) -> Minute:
    """Return a candle as a minute.

    Raises:
        Refused: it cannot be one.
    """
    if len(candle) < 6:  # noqa: PLR2004  (start, low, high, open, close, volume)
        raise Refused("candle with missing numbers", candle)
    start = candle[0]
    if not (start.is_finite() and 0 < start < _LATEST_S and start == int(start)):
        raise Refused("time of unknown unit", start)
    start_us = int(start) * SECOND_US
    if start_us % MINUTE_US:
        raise Refused("time not on a minute", start)
    low, high, opened, close = (usd_e6(str(number)) for number in candle[1:5])
    if high < max(opened, close) or low > min(opened, close):
        raise Refused("open, high, low and close contradict each other", candle)
    return start_us + MINUTE_US, opened, high, low, close, volume_e8(str(candle[5]))


def _problem(reply: HttpReply) -> str:
    if reply.status != _TOO_MANY and reply.status < _SERVER:
        said = reply.body[:200].decode(errors="replace")
        raise InvalidValue(f"coinbase refused the request: {reply.status} {said}")
    return f"status {reply.status}"


def _wait_s(headers: Mapping[str, str], pause_s: float) -> float:
    told = headers.get("retry-after", "")
    return float(told) if told.isdecimal() and len(told) < 4 else pause_s  # noqa: PLR2004
