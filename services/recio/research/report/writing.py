"""Writes a run into a folder: the page, trades, equity and the figures; decisions are a sink's.

    report.html    the page, without anything beside it
    trades.csv     every trade, also those without a result
    equity.csv     the curve
    result.json    the headline, the counts, what was played; no trade and no point of the curve

With Parquet the tables stand beside the CSV. Money is in 1e-6 dollar, prices in 1e-4, as named.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import msgspec

from recio.research.pages import page
from recio.research.report import listings, sections
from recio.research.report.aggregates import judged
from recio.research.report.headline import Headline, headline
from recio.research.report.rows import Columns, Value, write_rows
from recio.research.result import EquityPoint, Result, TradeLine

TRADE_COLUMNS: Final[Columns] = {
    name: int if kind is int or int in get_args(kind) else str
    for name, kind in get_type_hints(TradeLine).items()
}
EQUITY_COLUMNS: Final[Columns] = dict.fromkeys(EquityPoint.__struct_fields__, int)
_ELSEWHERE: Final = frozenset({"trades", "equity"})


def write(
    result: Result, folder: Path, *, decisions: Path | None = None, parquet: bool = False
) -> Headline:
    """Write everything and return the headline.

    Args:
        result: what the run found.
        folder: made if it is not there; files of the same names are replaced.
        decisions: the file that the sink wrote, named on the page.
        parquet: the tables as Parquet too.

    Raises:
        InvalidValue: Parquet was asked for and pyarrow is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    head = headline(result)
    for ending in ("csv", "parquet") if parquet else ("csv",):
        write_rows(folder / f"trades.{ending}", TRADE_COLUMNS, _trade_rows(result))
        write_rows(folder / f"equity.{ending}", EQUITY_COLUMNS, map(_equity_row, result.equity))
    (folder / "result.json").write_bytes(as_json(result, head))
    name = decisions.name if decisions is not None else ""
    (folder / "report.html").write_text(as_page(result, head, decisions=name), encoding="utf-8")
    return head


def _trade_rows(result: Result) -> Iterator[list[Value]]:
    for one in result.trades:
        yield [_plain(getattr(one, name)) for name in TRADE_COLUMNS]


def _plain(value: Any) -> Value:  # noqa: ANN401 (any field of a trade)
    return value if value is None or isinstance(value, int | str) else str(value)


def _equity_row(point: EquityPoint) -> list[Value]:
    return [point.at_us, point.cash_usd_e6, point.equity_usd_e6]


def as_json(result: Result, head: Headline) -> bytes:
    """Return the figures of a run as JSON with sorted keys."""
    facts = {
        name: getattr(result, name) for name in result.__struct_fields__ if name not in _ELSEWHERE
    }
    whole = {"headline": head, **facts}
    return msgspec.json.format(msgspec.json.encode(whole, order="deterministic"), indent=2) + b"\n"


def as_page(result: Result, head: Headline, *, decisions: str = "") -> str:
    """Return the page of a run; ``decisions`` is the name of the file that holds them."""
    trades = judged(result.trades)
    account = str(result.document.get("metadata", {}).get("name", "")) or "an account"
    parts = [("", sections.opening(result, head))]
    if trades:
        parts += [
            ("Equity", sections.equity(result)),
            ("Calendar", sections.calendar(trades)),
            ("When", sections.moments(trades)),
            ("Predicted and realised", sections.predictions(trades, head)),
            ("Costs", sections.costs(trades, head.sums)),
        ]
    parts.append(("Why not", listings.funnel(result)))
    if result.trades:
        parts.append(("Trades", listings.trade_list(result.trades, decisions=decisions)))
    parts.append(("What was played", listings.the_run(result)))
    return page(f"Backtest of {account} on {result.tape}", parts, lead=head.verdict)


def lines(head: Headline, result: Result) -> list[str]:
    """Return the headline for a terminal."""
    return [
        head.verdict,
        "",
        *(
            f"{name:<26}{value:>22}   {beside}"
            for name, value, beside in sections.figures(result, head)
        ),
        *(["", result.caveat] if result.caveat else []),
    ]
