"""The lists of a backtest's page: where looks ended, every trade, what was played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from recio.engine import explaining
from recio.engine.funnel import OF_ACCOUNT, OF_EVENT, OF_STRIKE
from recio.research.axes import NOT_KNOWN, time_text
from recio.research.drawing import paragraph, table
from recio.research.pages import escaped
from recio.research.report import words
from recio.research.report.aggregates import Bucket
from recio.research.result import Result, TradeLine

LISTED_TRADES: Final = 1000
_SHOWN_HOLES: Final = 20


def funnel(result: Result) -> str:
    """Return at which rule looks, strikes and wishes ended."""
    made = paragraph(
        f"{result.decisions:,} decisions on {result.snapshots:,} snapshots. Rules are tried in this "
        "order; each row tells how many ended there and how many went on. A strike is looked at many "
        "times; “closest” counts each strike once, by the rule that its best look failed."
    )
    made += "<h3>Closest, each strike once</h3>" + _steps(result.closest, "strikes")
    looks: dict[str, int] = {}
    events: dict[str, int] = {}
    for gate, count in result.gates.items():
        place, _, name = gate.rpartition(":")
        (events if place else looks)[name] = count
    made += "<h3>All looks at a strike</h3>" + _steps(looks, "looks")
    if events:
        rows = [(gate, gate_in_words(gate), events[gate]) for gate in sorted(events, key=_order)]
        made += "<h3>Looks that a rule of the whole event ended</h3>"
        made += table(["rule", "what it says", "looks"], rows)
    if result.refusals:
        refused = sorted(result.refusals.items(), key=lambda one: -one[1])
        made += "<h3>Wishes that the risk gate refused</h3>" + table(["reason", "wishes"], refused)
    return made


def _steps(counts: Mapping[str, int], what: str) -> str:
    whole = left = sum(counts.values())
    rows: list[tuple[str, str, int | str, str, int | str]] = []
    for gate in sorted(counts, key=_order):
        if gate:
            left -= counts[gate]
            share = words.share(counts[gate] / whole)
            rows.append((gate, gate_in_words(gate), counts[gate], share, left))
    passed = counts.get("", 0)
    rows.append(("passed", gate_in_words(""), passed, words.share(passed / max(whole, 1)), ""))
    return table(["rule", "what it says", f"{what} that ended here", "share", "went on"], rows)


_ORDER: Final = {gate: at for at, gate in enumerate((*OF_EVENT, *OF_STRIKE, *OF_ACCOUNT), 1)}


def _order(gate: str) -> tuple[int, str]:
    """Return where a rule stands; reasons of the data come before all others, the wish last."""
    return (_ORDER.get(gate, 0) if gate else len(_ORDER) + 1, gate)


def gate_in_words(gate: str) -> str:
    """Return what a gate means for a reader.

    >>> gate_in_words("too_early"), gate_in_words("")
    ('the entry window has not begun', 'a wish was made')
    """
    return explaining.words(gate) if gate else "a wish was made"


def trade_list(trades: Sequence[TradeLine], *, decisions: str) -> str:
    """Return every trade with its reasons, up to a thousand."""
    rows = [_trade_row(one) for one in trades[:LISTED_TRADES]]
    said = (
        f"The first {LISTED_TRADES:,} of {len(trades):,}; all are in trades.csv."
        if len(trades) > LISTED_TRADES
        else f"All {len(trades):,}; with every field in trades.csv."
    )
    why = "It was entered because each rule passed: what it saw stands in its row"
    where = f", and the whole decision in {decisions} under its id." if decisions else "."
    headers = [
        "no.", "decided (UTC)", "market", "side", "s to close", "predicted", "market said", "ask",
        "edge", "momentum", "paid", "contracts", "ended by", "sold at", "fees", "profit", "decision",
    ]  # fmt: skip
    return paragraph(f"{said} {why}{where}") + table(headers, rows)


def _trade_row(one: TradeLine) -> tuple[str | int | float | None, ...]:
    return (
        one.number,
        time_text(one.decided_us),
        one.market_ticker,
        one.side,
        one.seconds_to_close,
        words.chance(one.p_e6),
        words.chance(one.market_p_e6),
        words.price(one.ask_e4),
        words.price(one.edge_e4),
        one.momentum_bucket,
        words.price(one.entry_price_e4),
        words.contracts(one.filled_qty_e2),
        one.close_reason or one.state,
        words.price(one.exit_price_e4),
        words.amount(one.fees_usd_e6),
        words.dollars(one.pnl_usd_e6),
        str(one.decision_id),
    )


def the_run(result: Result) -> str:
    """Return what was played and with what, so that it can be played again."""
    coverage = result.coverage
    rows = [
        ("tape", result.tape),
        ("from", f"{time_text(coverage.first_us)} UTC"),
        ("to", f"{time_text(coverage.last_us)} UTC"),
        ("covered", words.share(coverage.share, 2)),
        ("rows", f"{coverage.rows:,}"),
        ("closes on it whole", f"{coverage.closes_whole:,}"),
        ("closes on it in part", f"{coverage.closes_in_part:,}"),
        ("events played", f"{result.events:,}"),
        ("orders", f"{result.orders:,}"),
        ("latency of an order", f"{result.latency_ms} ms"),
        ("seed", str(result.seed)),
        ("model", result.model_version or NOT_KNOWN),
        ("processor time", f"{result.cpu_seconds:.1f} s"),
    ]
    made = table(["", ""], rows) + _refused(coverage.refused) + _holes(result)
    document = msgspec.json.format(msgspec.json.encode(result.document), indent=2).decode()
    return made + (
        f"<details><summary>The account document</summary><pre>{escaped(document)}</pre></details>"
    )


def _refused(counts: Mapping[str, int]) -> str:
    if not counts:
        return paragraph("No row of the tape was refused.")
    return "<h3>Rows that were not used</h3>" + table(["reason", "rows"], sorted(counts.items()))


def _holes(result: Result) -> str:
    holes = sorted(result.coverage.holes, key=lambda one: one.since_us - one.until_us)
    if not holes:
        return paragraph("The tape has no hole.")
    missing = sum(hole.until_us - hole.since_us for hole in holes)
    said = f"{len(holes):,} holes, {words.span(missing)} in all"
    said += f"; the longest {_SHOWN_HOLES}:" if len(holes) > _SHOWN_HOLES else ":"
    rows = [
        (time_text(one.since_us), words.span(one.until_us - one.since_us), one.reason)
        for one in holes[:_SHOWN_HOLES]
    ]
    return paragraph(said) + table(["since (UTC)", "length", "why"], rows)


def bucket_table(name: str, buckets: Sequence[Bucket]) -> str:
    """Return groups as a table that ends in their sum."""
    rows = [_bucket_row(one) for one in buckets]
    whole = (
        "all",
        sum(one.trades for one in buckets),
        sum(one.won for one in buckets),
        "",
        "",
        "",
        words.contracts(sum(one.qty_e2 for one in buckets)),
        words.amount(sum(one.fees_usd_e6 for one in buckets)),
        words.dollars(sum(one.pnl_usd_e6 for one in buckets)),
    )
    headers = [
        name, "trades", "won", "win rate", "needed", "predicted", "contracts", "fees", "profit",
    ]  # fmt: skip
    return f"<details><summary>Table: {escaped(name)}</summary>{table(headers, [*rows, whole])}</details>"


def _bucket_row(one: Bucket) -> tuple[str | int, ...]:
    return (
        one.name,
        one.trades,
        one.won,
        words.share(one.win_rate),
        words.share(one.break_even),
        words.share(one.predicted),
        words.contracts(one.qty_e2),
        words.amount(one.fees_usd_e6),
        words.dollars(one.pnl_usd_e6),
    )
