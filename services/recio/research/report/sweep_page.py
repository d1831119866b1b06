"""The page and the files of a sweep: what was chosen, what it earned later, and what luck explains.

sweep.html     the page
cells.csv      every setting with what it earned
sweep.json     the judgement
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from recio.research.axes import NOT_KNOWN, time_text
from recio.research.drawing import bar_chart, heat_map, note, page, paragraph, table, tiles
from recio.research.grid import GridAxis, name_of, value_text
from recio.research.report import words
from recio.research.report.headline import ENOUGH_EVENTS, MADE_UP, SELDOM
from recio.research.report.rows import Columns, Value, write_rows
from recio.research.walking import Fold, Judgement, Tried

_USD_E6: Final = 1e6
_LISTED: Final = 200
_LIKELY: Final = 0.95
_RESULTS: Final[Columns] = {
    "trades": int,
    "events": int,
    "won": int,
    "qty_e2": int,
    "fees_usd_e6": int,
    "pnl_usd_e6": int,
    "unknown_trades": int,
    "decisions": int,
    "orders": int,
    "cpu_milliseconds": int,
    "digest": str,
}


def write_sweep(
    folder: Path,
    tried: Sequence[Tried],
    judgement: Judgement,
    axes: Sequence[GridAxis],
    about: Mapping[str, str],
) -> None:
    """Write the page and the files of a sweep; ``about`` is what was played, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    columns: Columns = {axis.path: str for axis in axes} | dict(_RESULTS)
    write_rows(folder / "cells.csv", columns, map(_cell_row, tried))
    told = {"judgement": judgement, "chosen": tried[judgement.best].settings, "about": about}
    packed = msgspec.json.encode(told, order="deterministic")
    (folder / "sweep.json").write_bytes(msgspec.json.format(packed, indent=2) + b"\n")
    text = sweep_page(tried, judgement, axes, about)
    (folder / "sweep.html").write_text(text, encoding="utf-8")


def _cell_row(one: Tried) -> list[Value]:
    found = one.found
    return [
        *map(value_text, one.settings.values()),
        one.trades,
        len(found.events),
        sum(line.won for line in found.events),
        one.qty_e2,
        sum(line.fees_usd_e6 for line in found.events),
        one.pnl_usd_e6,
        found.unknown,
        found.decisions,
        found.orders,
        round(found.cpu_seconds * 1000),
        found.digest,
    ]


def sweep_page(
    tried: Sequence[Tried],
    judgement: Judgement,
    axes: Sequence[GridAxis],
    about: Mapping[str, str],
) -> str:
    """Return the page of a sweep."""
    found = tried[0].found
    notes = [note(_warning(len(tried)))]
    notes += [note(MADE_UP)] if found.is_synthetic else []
    notes += [note(found.caveat)] if found.caveat else []
    sections = [
        ("", "".join(notes) + tiles(figures(tried, judgement))),
        ("Walking forward", _forward(tried, judgement)),
        ("Settings", _drawn(tried, axes) + _listed(tried, judgement)),
        ("How much luck explains", _luck(judgement)),
        ("What was played", table(["", ""], list(about.items()))),
    ]
    title = f"Sweep of {about.get('account', 'an account')} on {about.get('tape', 'a tape')}"
    return page(title, sections, lead=verdict(tried, judgement))


def _warning(count: int) -> str:
    return (
        f"{count} settings were tried on the same tape. The best of many looks good by luck alone; "
        "its profit on this tape is no forecast. What counts is what was earned on later parts with "
        "settings chosen before them, and whether luck explains the best."
    )


def verdict(tried: Sequence[Tried], judgement: Judgement) -> str:
    """Return in plain words what the sweep shows."""
    best = tried[judgement.best]
    if not judgement.events:
        return "No setting made a trade with a known result, so there is nothing to choose from."
    said = (
        f"The best of {len(tried)} settings on the whole tape, {name_of(best.settings)}, came to "
        f"{words.dollars(best.pnl_usd_e6)} after fees in {best.trades} trades. "
    )
    if judgement.folds:
        said += (
            f"Chosen only from what came before, settings came to "
            f"{words.dollars(judgement.forward_usd_e6)} in {judgement.forward_trades} trades on the "
            "later parts. "
        )
    else:
        said += "There are too few events to walk forward. "
    return said + _believed(judgement, best)


def _believed(judgement: Judgement, best: Tried) -> str:
    if judgement.events < ENOUGH_EVENTS:
        return (
            f"{judgement.events} events are too few to tell skill from luck (from {ENOUGH_EVENTS} on "
            "it can be tried)."
        )
    deflated, reality = judgement.deflated, judgement.reality_p
    is_seen = deflated is not None and deflated > _LIKELY
    is_seen = is_seen and reality is not None and reality < SELDOM
    if not is_seen or judgement.forward_usd_e6 <= 0:
        return "There is no evidence that any of these settings has an edge."
    if best.found.is_synthetic:
        return "On these made-up quotes that is more than luck; of Kalshi it says nothing."
    return "That is more than luck explains on this tape; another tape may say otherwise."


def figures(tried: Sequence[Tried], judgement: Judgement) -> list[tuple[str, str, str]]:
    """Return the figures that matter most: name, value, what stands beside it."""
    best = tried[judgement.best]
    profitable = sum(one.pnl_usd_e6 > 0 for one in tried)
    return [
        (
            "Walking forward",
            words.dollars(judgement.forward_usd_e6) if judgement.folds else NOT_KNOWN,
            f"{judgement.forward_trades} trades on {len(judgement.folds)} later parts",
        ),
        (
            "Best on the whole tape",
            words.dollars(best.pnl_usd_e6),
            f"{best.trades} trades; {profitable} of {len(tried)} settings earned something",
        ),
        (
            "Deflated Sharpe ratio",
            words.share(judgement.deflated),
            "chance that the best has any skill",
        ),
        ("Reality check", words.share(judgement.reality_p), "how often luck makes a best as good"),
        (
            "Permutation",
            words.share(judgement.permutation_p),
            "how often equal settings part as far",
        ),
    ]


def _forward(tried: Sequence[Tried], judgement: Judgement) -> str:
    if not judgement.folds:
        return paragraph("Too few events with trades to part the tape.")
    rows = [_fold_row(number, fold, tried) for number, fold in enumerate(judgement.folds, 1)]
    headers = [
        "part", "from (UTC)", "to", "events", "chosen before it", "had earned", "earned here",
        "trades", "won", "best of all here",
    ]  # fmt: skip
    bars = [
        (f"part {number}", fold.pnl_usd_e6 / _USD_E6)
        for number, fold in enumerate(judgement.folds, 1)
    ]
    said = paragraph(
        "Each part was traded with the setting that was best on all parts before it. The last column "
        "was known only afterwards; the distance to it is what choosing costs. Each setting's run "
        "began once with the account's balance, so its limits last over the parts."
    )
    drawn = bar_chart("Earned on later parts", bars, y_label="dollars after fees", signed=True)
    return said + table(headers, rows) + drawn


def _fold_row(number: int, fold: Fold, tried: Sequence[Tried]) -> tuple[Value, ...]:
    return (
        number,
        time_text(fold.since_us),
        time_text(fold.until_us),
        fold.events,
        name_of(tried[fold.chosen].settings),
        words.dollars(fold.learned_usd_e6),
        words.dollars(fold.pnl_usd_e6),
        fold.trades,
        fold.won,
        words.dollars(fold.best_usd_e6),
    )


def _drawn(tried: Sequence[Tried], axes: Sequence[GridAxis]) -> str:
    """Draw profit over one axis or two; of further axes the best is taken."""
    wide = [axis for axis in axes if len(axis.values) > 1]
    if not wide:
        return ""
    if len(wide) == 1:
        path = wide[0].path
        bars = [(value_text(value), _best_at(tried, {path: value})) for value in wide[0].values]
        return bar_chart(f"Profit by {path}", bars, y_label="dollars after fees", signed=True)
    rows, columns = wide[0], wide[1]
    values = [
        [_best_at(tried, {rows.path: row, columns.path: column}) for column in columns.values]
        for row in rows.values
    ]
    rest = ", the best of the other settings" if len(wide) > 2 else ""  # noqa: PLR2004 (both drawn)
    return heat_map(
        f"Profit by {rows.path} (down) and {columns.path} (across){rest}",
        [value_text(value) for value in rows.values],
        [value_text(value) for value in columns.values],
        values,
    )


def _best_at(tried: Sequence[Tried], where: Mapping[str, int | bool | str]) -> float:
    return max(
        one.pnl_usd_e6 / _USD_E6
        for one in tried
        if all(one.settings[path] == value for path, value in where.items())
    )


def _listed(tried: Sequence[Tried], judgement: Judgement) -> str:
    ordered = sorted(enumerate(tried), key=lambda one: (-one[1].pnl_usd_e6, one[0]))
    rows = [_tried_row(one, is_best=at == judgement.best) for at, one in ordered[:_LISTED]]
    said = (
        f"The best {_LISTED} of {len(tried)}; all are in cells.csv." if len(tried) > _LISTED else ""
    )
    headers = [
        "", *_short(tried[0].settings), "trades", "events", "won", "fees", "profit", "per contract",
        "no result",
    ]  # fmt: skip
    return (paragraph(said) if said else "") + table(headers, rows)


def _short(paths: Iterable[str]) -> list[str]:
    """Return the last parts of paths where they tell them apart."""
    given = list(paths)
    ends = [path.rpartition(".")[2] for path in given]
    return ends if len(set(ends)) == len(ends) else given


def _tried_row(one: Tried, *, is_best: bool) -> tuple[Value, ...]:
    per_contract = one.pnl_usd_e6 / 1e4 / one.qty_e2 if one.qty_e2 else None
    return (
        "best" if is_best else "",
        *map(value_text, one.settings.values()),
        one.trades,
        len(one.found.events),
        sum(line.won for line in one.found.events),
        words.amount(sum(line.fees_usd_e6 for line in one.found.events)),
        words.dollars(one.pnl_usd_e6),
        words.cents(per_contract),
        one.found.unknown,
    )


def _luck(judgement: Judgement) -> str:
    sharpe = NOT_KNOWN if judgement.sharpe is None else words.signed(judgement.sharpe, 3)
    return (
        paragraph(
            f"The best setting's Sharpe ratio is {sharpe} for an event (not annualised), over "
            f"{judgement.events} events that any setting traded. Deflated for the number of "
            "settings and for the shape of its results, the chance that the true ratio is above "
            f"zero is {words.share(judgement.deflated)} (Bailey and Lopez de Prado 2014). Small wins with "
            "rare large losses make it look better than it is until such a loss has happened."
        )
        + paragraph(
            "Reality check (White 2000): if no setting earned anything on average, the best of "
            f"them would still do as well in {words.share(judgement.reality_p)} of cases."
        )
        + paragraph(
            "Permutation: if the settings did not differ, one would lead the others by as much "
            f"in {words.share(judgement.permutation_p)} of cases. Settings that all trade the same give "
            "100 %: then the choice among them is arbitrary."
        )
    )


def lines(tried: Sequence[Tried], judgement: Judgement) -> list[str]:
    """Return the sweep for a terminal."""
    return [
        verdict(tried, judgement),
        "",
        *(f"{name:<26}{value:>16}   {beside}" for name, value, beside in figures(tried, judgement)),
        "",
        _warning(len(tried)),
        *([MADE_UP] if tried[0].found.is_synthetic else []),
    ]
