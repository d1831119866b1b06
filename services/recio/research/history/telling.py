"""The history's reports in words: what a file became, what is there, what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from recio.adapters.postgres.history_read import Gap, Held, Logged, Size
from recio.domain.tickers import SERIES, closes_between
from recio.domain.units import MINUTE_US, as_datetime
from recio.research.history.importing import Report

SHOWN_GAPS: Final = 12
_MEGABYTE: Final = 1e6


def moment(at_us: int) -> str:
    """Return a time to the minute, UTC; to the second where it is not a whole minute."""
    form = "%Y-%m-%d %H:%M" if at_us % MINUTE_US == 0 else "%Y-%m-%d %H:%M:%S"
    return f"{as_datetime(at_us):{form}}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Return lines of columns; the first ``left`` stand to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = []
    for row in (heads, *rows):
        cells = [
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def imported(report: Report) -> Iterator[str]:
    """Yield what became of a file."""
    whose = " ".join(part for part in (report.symbol, f"from {report.source}") if part)
    yield f"{report.name}: {report.kind} {whose}"
    if report.first_us is not None and report.last_us is not None:
        yield f"  {moment(report.first_us)} … {moment(report.last_us)} UTC"
    yield f"  {report.read:>12,} rows read{_speed(report)}"
    if report.was_complete:
        yield "               before: this very file is in the log, nothing was written"
    elif report.is_stored:
        if report.resumed_at:
            yield f"               went on behind the {report.resumed_at:,} parts stored before"
        yield f"  {report.new:>12,} stored"
        yield f"  {report.known:>12,} were there already"
        if report.strikes:
            yield f"  {report.strikes:>12,} markets got their strike from it"
    else:
        yield f"  {report.good:>12,} good (a dry run: nothing was written)"
    yield f"  {report.refusals.total:>12,} refused"
    for reason, count in report.refusals.counts.most_common():
        yield f"  {count:>12,}   {reason}"
        yield f"                 first: {report.refusals.examples[reason]}"


def _speed(report: Report) -> str:
    if report.seconds <= 0 or report.was_complete:
        return ""
    return f" in {report.seconds:.1f} s ({report.read / report.seconds:,.0f} a second)"


def shown(holdings: Sequence[Held], gaps: Sequence[Gap], sizes: Sequence[Size]) -> Iterator[str]:
    """Yield what is there."""
    if not holdings:
        yield "nothing yet: recio history import FILE …"
        return
    rows = []
    for one in holdings:
        own = [gap for gap in gaps if (gap.kind, gap.symbol, gap.source) == _identity(one)]
        rows.append(
            [
                one.kind,
                one.symbol,
                one.source,
                moment(one.first_us),
                moment(one.last_us),
                f"{one.rows:,}",
                f"{one.markets:,}" if one.markets else "",
                f"{len(own):,}",
            ]
        )
    heads = ("kind", "symbol", "source", "from (UTC)", "to", "rows", "markets", "gaps")
    yield from table(heads, rows, left=3)
    yield ""
    yield from table(
        ("table", "partitions", "rows MB", "indexes MB"),
        [
            [
                f"market.{one.table}",
                str(one.partitions),
                f"{one.table_bytes / _MEGABYTE:,.1f}",
                f"{one.index_bytes / _MEGABYTE:,.1f}",
            ]
            for one in sizes
        ],
    )


def _identity(one: Held) -> tuple[str, str, str]:
    return one.kind, one.symbol, one.source


def real_gaps(gaps: Iterable[Gap]) -> list[Gap]:
    """Return the gaps with how many closes are missing; an autumn hour without a name is no gap."""
    found = []
    for gap in gaps:
        if not gap.series:
            found.append(gap)
        elif gap.series in SERIES:
            closes = closes_between(gap.series, gap.since_us, gap.until_us - 1)
            missing = sum(1 for _ in closes)
            if missing:
                found.append(_with_missing(gap, missing))
    return found


def _with_missing(gap: Gap, missing: int) -> Gap:
    return Gap(
        kind=gap.kind,
        symbol=gap.symbol,
        source=gap.source,
        since_us=gap.since_us,
        until_us=gap.until_us,
        missing=missing,
        series=gap.series,
    )


def gap_lines(gaps: Sequence[Gap], *, most: int = SHOWN_GAPS) -> Iterator[str]:
    """Yield the gaps, the longest ``most`` of them, in order of time."""
    if not gaps:
        yield "no gaps"
        return
    longest = sorted(gaps, key=lambda gap: gap.since_us - gap.until_us)[:most]
    total_us = sum(gap.until_us - gap.since_us for gap in gaps)
    word = "gap" if len(gaps) == 1 else "gaps"
    yield f"{len(gaps):,} {word}, {_length(total_us)} in all"
    if len(gaps) > most:
        yield f"the longest {most}:"
    rows = [
        [
            gap.series or gap.kind,
            gap.symbol,
            gap.source,
            moment(gap.since_us),
            moment(gap.until_us),
            _length(gap.until_us - gap.since_us),
            "" if gap.missing is None else f"{gap.missing:,} missing",
        ]
        for gap in sorted(longest, key=lambda gap: (gap.kind, gap.symbol, gap.since_us))
    ]
    yield from table(
        ("kind", "symbol", "source", "since (UTC)", "until", "length", ""), rows, left=3
    )


def _length(length_us: int) -> str:
    minutes, rest_us = divmod(length_us, MINUTE_US)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days:,} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest_us // 1_000_000} s" if rest_us else f"{minutes} min"


def logged(lines: Sequence[Logged]) -> Iterator[str]:
    """Yield the log of imports."""
    if not lines:
        yield "nothing was imported yet"
        return
    rows = [
        [
            str(one.import_id),
            one.kind,
            one.symbol,
            one.source,
            one.name,
            one.state,
            f"{one.read:,}",
            f"{one.stored:,}",
            f"{one.known:,}",
            f"{sum(one.refused.values()):,}",
            moment(one.changed_us // MINUTE_US * MINUTE_US),
        ]
        for one in lines
    ]
    heads = (
        "no",
        "kind",
        "symbol",
        "source",
        "file",
        "state",
        "read",
        "stored",
        "known",
        "refused",
        "at",
    )
    yield from table(heads, rows, left=6)
    for one in lines:
        for reason, count in sorted(one.refused.items()):
            yield f"  {one.import_id}: {count:,} refused: {reason}"
