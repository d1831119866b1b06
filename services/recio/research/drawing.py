"""Charts as inline SVG: lines, bars, heat maps, reliability diagrams; tables and pages with them.

No script and no library. Colour is never alone: lines differ by their dashes, losses are hatched or
carry their sign, and each chart has its numbers as a table. A long line is thinned to the lowest and
highest value of each pixel column, so that no extreme is lost; its table shows evenly spaced points.
Times on an axis are microseconds, shown in UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from recio.domain.errors import InvalidValue
from recio.research.axes import (
    MINUS,
    Axis,
    number_text,
    tick_text,
    tight_axis,
    time_axis,
    time_text,
    value_axis,
)
from recio.research.pages import (
    Markup,
    charts,
    escaped,
    figure,
    note,
    page,
    paragraph,
    table,
    tiles,
)

__all__ = [
    "Bin",
    "Line",
    "Markup",
    "bar_chart",
    "charts",
    "heat_map",
    "line_chart",
    "note",
    "page",
    "paragraph",
    "reliability_diagram",
    "table",
    "tiles",
]

WIDTH: Final = 560
HEIGHT: Final = 300
_LEFT: Final = 66
_RIGHT: Final = 548
_TOP: Final = 30
_BOTTOM: Final = 256
_STYLES: Final = 4
_COLUMNS: Final = 480
"""A line is thinned to two points for each of so many columns."""
_TABLE_ROWS: Final = 60
_LABELLED_BARS: Final = 12
_X_LABELS: Final = 12
_ROOM_FOR_A_VALUE: Final = 46
_HATCH: Final = (
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect width="6" height="6" class="dn"/>'
    '<line y2="6" class="hatch"/></pattern></defs>'
)


class Line(msgspec.Struct, frozen=True):
    """A named line through points, with a band of (x, low, high) around it if there is one."""

    name: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float, float]] | None = None


class Bin(msgspec.Struct, frozen=True):
    """Predictions of about ``mean_p`` and the share of them that came true, with its bounds."""

    mean_p: float
    share_yes: float
    low: float
    high: float
    count: int


def line_chart(
    title: str, lines: Sequence[Line], *, x_label: str, y_label: str, x_is_time: bool = False
) -> str:
    """Draw up to four lines over one axis.

    Raises:
        InvalidValue: more lines than can be told apart, or a value that is not finite.
    """
    if len(lines) > _STYLES:
        raise InvalidValue(f"expected at most {_STYLES} lines in {title!r}, received {len(lines)}")
    if not any(line.points for line in lines):
        return _nothing(title)
    bands = [at for line in lines for at in line.band or ()]
    x_values = [x for line in lines for x, _ in line.points] + [x for x, _, _ in bands]
    y_values = [y for line in lines for _, y in line.points]
    y_values += [edge for _, low, high in bands for edge in (low, high)]
    y = value_axis(y_values, _BOTTOM, _TOP)
    x = (time_axis if x_is_time else tight_axis)(x_values, _LEFT, _RIGHT)
    label = f"{x_label} (UTC)" if x_is_time else x_label
    drawn = _frame(x, y, label, y_label) + "".join(
        _line(line, at, x, y) for at, line in enumerate(lines)
    )
    legend = "".join(_key(line, at) for at, line in enumerate(lines)) if len(lines) > 1 else ""
    about = " ".join(_line_in_words(line) for line in lines)
    numbers = _line_table(lines, x_label, x_is_time=x_is_time)
    return figure(title, about, f"{legend}<!--legend-->{drawn}", numbers, size=(WIDTH, HEIGHT))


def bar_chart(
    title: str, bars: Sequence[tuple[str, float]], *, y_label: str, signed: bool = False
) -> str:
    """Draw one bar for each name; with ``signed``, losses are hatched and hang below zero.

    Raises:
        InvalidValue: a value that is not finite.
    """
    if not bars:
        return _nothing(title)
    y = value_axis([value for _, value in bars], _BOTTOM, _TOP + 8, zero=True)
    step = (_RIGHT - _LEFT) / len(bars)
    drawn = _HATCH + _grid(y, y_label)
    for at, (name, value) in enumerate(bars):
        drawn += _bar(_LEFT + at * step, step, value, y, signed=signed, name=name)
    drawn += _zero_line(y) + _bar_names([name for name, _ in bars], step)
    if len(bars) <= _LABELLED_BARS:
        drawn += "".join(
            _bar_value(_LEFT + (at + 0.5) * step, value, y) for at, (_, value) in enumerate(bars)
        )
    best, worst = max(bars, key=lambda one: one[1]), min(bars, key=lambda one: one[1])
    about = (
        f"{len(bars)} bars of {y_label}. Highest: {best[0]} with {number_text(best[1])}; "
        f"lowest: {worst[0]} with {number_text(worst[1])}."
    )
    numbers = table(["", y_label], [(name, number_text(value)) for name, value in bars])
    return figure(title, about, f"<!--legend-->{drawn}", numbers, size=(WIDTH, HEIGHT))


def heat_map(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
) -> str:
    """Draw a cell for each row and column, stronger for more; a sign tells gain from loss.

    Raises:
        InvalidValue: the values are not one row for each name, one value for each column.
    """
    if len(values) != len(rows) or any(len(row) != len(columns) for row in values):
        raise InvalidValue(f"expected {len(rows)} rows of {len(columns)} values for {title!r}")
    known = [value for row in values for value in row if value is not None]
    if not known:
        return _nothing(title)
    most = max(abs(value) for value in known) or 1.0
    is_signed = min(known) < 0
    cell_px = min((_RIGHT - _LEFT) / len(columns), 64.0)
    row_px = min(max(cell_px, 20.0), 30.0)
    drawn = ""
    for at, (name, row) in enumerate(zip(rows, values, strict=True)):
        top = 22 + at * row_px
        drawn += _text(_LEFT - 6, top + row_px / 2 + 4, name, anchor="end")
        for column, value in enumerate(row):
            where = f"{name} {columns[column]}: {number_text(value)}"
            box = (_LEFT + column * cell_px, top, cell_px - 2, row_px - 2)
            drawn += _cell(box, value, where, most=most, is_signed=is_signed)
    drawn += _column_names(columns, cell_px)
    about = (
        f"{len(known)} cells from {number_text(min(known))} to {number_text(max(known))}; "
        f"empty cells hold nothing."
    )
    cells = [[name, *map(number_text, row)] for name, row in zip(rows, values, strict=True)]
    numbers = table(["", *columns], cells)
    height = round(22 + len(rows) * row_px + 6)
    return figure(title, about, f"<!--legend-->{drawn}", numbers, size=(WIDTH, height))


def reliability_diagram(title: str, bins: Sequence[Bin], *, zoom: bool = False) -> str:
    """Draw what came true against what was predicted; on the diagonal both are the same.

    With ``zoom`` the axes hold the bins only, else all from zero to one.
    """
    held = [one for one in bins if one.count]
    if not held:
        return _nothing(title)
    shown = [edge for one in held for edge in (one.mean_p, one.low, one.high)]
    x = value_axis(shown if zoom else [0.0, 1.0], _LEFT, 410)
    y = value_axis(shown if zoom else [0.0, 1.0], 374, _TOP)
    drawn = _frame(x, y, "predicted probability", "share that came true", bottom=374)
    drawn += (
        f'<line class="z" stroke-dasharray="4 4" x1="{x.first_px:g}" y1="{y.first_px:g}" '
        f'x2="{x.last_px:g}" y2="{y.last_px:g}"/>'
    )
    most = max(one.count for one in held)
    for one in held:
        drawn += _reliability_point(one, x, y, most)
    total = sum(one.count for one in held)
    outside = sum(1 for one in held if not one.low <= one.mean_p <= one.high)
    about = (
        f"{total} predictions in {len(held)} bins; in {outside} of them the predicted probability "
        "lies outside the bounds of what came true."
    )
    rows = [
        (
            f"{one.mean_p:.4f}",
            f"{one.share_yes:.4f}",
            f"{one.low:.4f}",
            f"{one.high:.4f}",
            one.count,
        )
        for one in held
    ]
    numbers = table(["predicted", "came true", "low", "high", "count"], rows)
    return figure(title, about, f"<!--legend-->{drawn}", numbers, size=(WIDTH, 422))


def _nothing(title: str) -> str:
    return f'<figure><figcaption>{escaped(title)}</figcaption><p class="dim">No data.</p></figure>'


def _text(x: float, y: float, text: str, *, anchor: str = "middle", mark: str = "") -> str:
    kind = f' class="{mark}"' if mark else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escaped(text)}</text>'


def _frame(x: Axis, y: Axis, x_label: str, y_label: str, *, bottom: float = _BOTTOM) -> str:
    drawn = _grid(y, y_label, right=x.last_px) + _zero_line(y, right=x.last_px)
    for at, (value, text) in enumerate(x.ticks):
        drawn += _text(x.px(value), bottom + 18, text, mark="m" if at % 2 else "")
    return drawn + _text((x.first_px + x.last_px) / 2, bottom + 40, x_label)


def _grid(y: Axis, y_label: str, *, right: float = _RIGHT) -> str:
    drawn = "".join(
        f'<line class="g" x1="{_LEFT}" x2="{right:g}" y1="{y.px(value):.1f}" y2="{y.px(value):.1f}"/>'
        + _text(_LEFT - 6, y.px(value) + 4, text, anchor="end")
        for value, text in y.ticks
    )
    return drawn + _text(2, 13, y_label, anchor="start")


def _zero_line(y: Axis, *, right: float = _RIGHT) -> str:
    if not y.low <= 0 <= y.high:
        return ""
    return f'<line class="z" x1="{_LEFT}" x2="{right:g}" y1="{y.px(0):.1f}" y2="{y.px(0):.1f}"/>'


def thinned(points: Sequence[tuple[float, float]], x: Axis) -> list[tuple[float, float]]:
    """Return the lowest and the highest point of each column of pixels, and the ends, in order."""
    if len(points) <= 2 * _COLUMNS:
        return list(points)
    columns: dict[int, list[int]] = {}
    for at, (where, value) in enumerate(points):
        column = int((where - x.low) / (x.high - x.low) * _COLUMNS)
        held = columns.setdefault(column, [at, at])
        if value < points[held[0]][1]:
            held[0] = at
        if value > points[held[1]][1]:
            held[1] = at
    kept = {0, len(points) - 1, *(at for held in columns.values() for at in held)}
    return [points[at] for at in sorted(kept)]


def _line(line: Line, at: int, x: Axis, y: Axis) -> str:
    drawn = ""
    if line.band:
        upper = [(where, high) for where, _, high in line.band]
        lower = [(where, low) for where, low, _ in line.band]
        path = _path(thinned(upper, x) + thinned(lower, x)[::-1], x, y)
        drawn = f'<path class="band b{at}" d="{path}Z"/>'
    kept = thinned(line.points, x)
    if len(kept) == 1:
        where, value = kept[0]
        return (
            drawn + f'<circle class="b{at}" r="4" cx="{x.px(where):.1f}" cy="{y.px(value):.1f}"/>'
        )
    return drawn + f'<path class="l s{at}" d="{_path(kept, x, y)}"/>'


def _path(points: Sequence[tuple[float, float]], x: Axis, y: Axis) -> str:
    return "M" + "L".join(f"{x.px(where):.1f} {y.px(value):.1f}" for where, value in points)


def _key(line: Line, at: int) -> str:
    return (
        f'<small><svg class="key" viewBox="0 0 28 10" aria-hidden="true"><path class="l s{at}" '
        f'd="M0 5H28"/></svg>{escaped(line.name)}</small>'
    )


def _line_in_words(line: Line) -> str:
    if not line.points:
        return f"{line.name}: no points."
    values = [value for _, value in line.points]
    return (
        f"{line.name}: {len(values)} points, first {number_text(values[0])}, last "
        f"{number_text(values[-1])}, lowest {number_text(min(values))}, highest "
        f"{number_text(max(values))}."
    )


def _line_table(lines: Sequence[Line], x_label: str, *, x_is_time: bool) -> str:
    made = ""
    for line in lines:
        step = -(-len(line.points) // _TABLE_ROWS) or 1
        kept = list(line.points[::step])
        if line.points and kept[-1] != line.points[-1]:
            kept.append(line.points[-1])
        rows = [
            (time_text(x) if x_is_time else number_text(x), number_text(value)) for x, value in kept
        ]
        said = f"{line.name}: {len(kept)} of {len(line.points)} points" if step > 1 else line.name
        made += f'<p class="dim">{escaped(said)}</p>' + table([x_label, line.name], rows)
    return made


def _bar(left: float, step: float, value: float, y: Axis, *, signed: bool, name: str) -> str:
    top, bottom = sorted((y.px(value), y.px(0)))
    look = 'class="b0"'
    if signed:
        look = 'class="up"' if value >= 0 else 'fill="url(#hatch)"'
    return (
        f'<rect {look} x="{left + step * 0.12:.1f}" width="{step * 0.76:.1f}" y="{top:.1f}" '
        f'height="{bottom - top:.1f}"><title>{escaped(name)}: {number_text(value)}</title></rect>'
    )


def _bar_value(middle: float, value: float, y: Axis) -> str:
    at = y.px(value) + (-4 if value >= 0 else 13)
    step = (y.ticks[1][0] - y.ticks[0][0]) / 10
    text = number_text(value) if value == round(value) else tick_text(value, step)
    return _text(middle, at, text, mark="v m")


def _bar_names(names: Sequence[str], step: float) -> str:
    letters = max(map(len, names))
    every = max(1, -(-len(names) // _X_LABELS), round(letters * 7.0 / step + 0.49))
    return "".join(
        _text(_LEFT + (at + 0.5) * step, _BOTTOM + 18, name, mark="m" if at // every % 2 else "")
        for at, name in enumerate(names)
        if at % every == 0
    )


def _column_names(columns: Sequence[str], cell_px: float) -> str:
    every = max(1, round(max(map(len, columns)) * 9.0 / cell_px + 0.49))
    return "".join(
        _text(_LEFT + (at + 0.5) * cell_px - 1, 14, name, mark="m" if at // every % 2 else "")
        for at, name in enumerate(columns)
        if at % every == 0
    )


def _cell(
    box: tuple[float, float, float, float],
    value: float | None,
    where: str,
    *,
    most: float,
    is_signed: bool,
) -> str:
    left, top, width, height = box
    place = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2"'
    if value is None:
        return f'<rect class="none" {place}/>'
    share = abs(value) / most
    kind = ("up" if value >= 0 else "dn") if is_signed else "b0"
    drawn = (
        f'<rect class="{kind}" fill-opacity="{0.12 + 0.88 * share:.2f}" {place}>'
        f"<title>{escaped(where)}</title></rect>"
    )
    told = _cell_text(value, width, is_signed=is_signed)
    if told:
        drawn += (
            f'<text class="v" pointer-events="none" x="{left + width / 2:.1f}" '
            f'y="{top + height / 2 + 4:.1f}" text-anchor="middle">{told}</text>'
        )
    return drawn


def _cell_text(value: float, width: float, *, is_signed: bool) -> str:
    """Return the value where there is room for it, else its sign."""
    if width > _ROOM_FOR_A_VALUE:
        return number_text(value)
    if not is_signed or not value:
        return ""
    return "+" if value > 0 else MINUS


def _reliability_point(one: Bin, x: Axis, y: Axis, most: int) -> str:
    where = x.px(one.mean_p)
    radius = 2.5 + 5.5 * (one.count / most) ** 0.5
    said = (
        f"predicted {one.mean_p:.3f}, came true {one.share_yes:.3f} "
        f"({one.low:.3f} to {one.high:.3f}), {one.count} times"
    )
    return (
        f'<line class="w" x1="{where:.1f}" x2="{where:.1f}" y1="{y.px(one.low):.1f}" '
        f'y2="{y.px(one.high):.1f}"/><circle class="b0" cx="{where:.1f}" '
        f'cy="{y.px(one.share_yes):.1f}" r="{radius:.1f}" fill-opacity=".85">'
        f"<title>{escaped(said)}</title></circle>"
    )
