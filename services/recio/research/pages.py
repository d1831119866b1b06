"""Pages of results: one HTML file that needs nothing else, without a script.

Light and dark follow the reader's setting; on a phone charts keep a readable size. All text is
escaped; only ``Markup`` and the bodies of sections are taken as HTML. Every figure has a name and a
description for screen readers and its numbers as a table.
"""

from __future__ import annotations

import html
import zlib
from collections.abc import Sequence
from typing import Final

from recio.research.axes import MINUS, NOT_KNOWN, number_text

Cell = str | int | float | None
_WIDE_FROM: Final = 8
"""A table with so many columns scrolls instead of breaking its lines."""
_NAVIGATION_FROM: Final = 4
"""A page with fewer sections needs no list of them."""

STYLE: Final = """
:root{color-scheme:light dark;--bg:#fff;--panel:#f6f7f9;--text:#171c22;--dim:#56616d;--grid:#dfe3e8;
--edge:#b4bdc7;--c0:#0b5fc0;--c1:#b4540a;--c2:#6b3fa0;--c3:#0b7a75;--gain:#0b7a75;--loss:#b93815;
--note:#fff6dd;--note-edge:#d9a514}
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--panel:#151b23;--text:#e6edf3;--dim:#98a4b1;
--grid:#252d37;--edge:#47525f;--c0:#74b5ff;--c1:#ffab66;--c2:#c9a5ff;--c3:#56d4c8;--gain:#56d4c8;
--loss:#ff8a66;--note:#2a2413;--note-edge:#b58a12}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:2rem 1.25rem 4rem;background:var(--bg);color:var(--text);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .5rem;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.75rem 0 .75rem;padding-top:.75rem;border-top:2px solid var(--text)}
h3{font-size:1rem;margin:1.5rem 0 .5rem}
p{max-width:46rem;margin:.5rem 0}.lead{font-size:1.08rem}.dim{color:var(--dim)}
a{color:var(--c0)}code{font-size:.9em;overflow-wrap:anywhere}
nav{margin:1rem 0;display:flex;flex-wrap:wrap;gap:.15rem 1rem;font-size:.92rem}
.note{background:var(--note);border-left:4px solid var(--note-edge);padding:.6rem .9rem;max-width:46rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(14rem,1fr));gap:.75rem;margin:1rem 0}
.tile{background:var(--panel);border:1px solid var(--grid);border-radius:6px;padding:.7rem .9rem}
.tile b{display:block;font-size:1.45rem;line-height:1.3;font-variant-numeric:tabular-nums}
.tile span{color:var(--dim);font-size:.88rem;display:block}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr));gap:1rem 2rem}
figure{margin:.75rem 0;min-width:0;max-width:42rem}figcaption{font-weight:600;font-size:.95rem;margin-bottom:.25rem}
figcaption small{font-weight:400;color:var(--dim);margin-right:1rem;white-space:nowrap}
.key{width:28px;height:10px;vertical-align:middle;margin-right:.3rem}
svg.plot{display:block;width:100%;height:auto;overflow:visible}
svg.plot text{font-size:12px;fill:var(--dim);font-variant-numeric:tabular-nums}
svg.plot text.v{fill:var(--text)}svg.plot .g{stroke:var(--grid);stroke-width:1}
svg.plot .z{stroke:var(--edge);stroke-width:1.25}
svg .l{fill:none;stroke-width:1.75;stroke-linejoin:round}svg .s0{stroke:var(--c0)}
svg .s1{stroke:var(--c1);stroke-dasharray:6 3}svg .s2{stroke:var(--c2);stroke-dasharray:2 2.5}
svg .s3{stroke:var(--c3);stroke-dasharray:9 3 2 3}svg .b0{fill:var(--c0)}svg .b1{fill:var(--c1)}
svg .b2{fill:var(--c2)}svg .b3{fill:var(--c3)}svg .band{fill-opacity:.16}
svg .up{fill:var(--gain)}svg .dn{fill:var(--loss)}svg .hatch{stroke:var(--bg);stroke-width:1.5}
svg .none{fill:none;stroke:var(--grid)}svg .w{stroke:var(--text);stroke-width:1.25}
details{margin:.25rem 0}summary{cursor:pointer;color:var(--dim);font-size:.88rem}
.scroll{overflow-x:auto;max-width:100%;max-height:32rem}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th{text-align:left;color:var(--dim);font-weight:600;position:sticky;top:0;background:var(--bg)}
td,th{padding:.25rem .9rem .25rem 0;border-bottom:1px solid var(--grid);vertical-align:top}
td.n,th.n{text-align:right;white-space:nowrap}table.wide td{white-space:nowrap}
@media(max-width:640px){body{padding:1.25rem .9rem 3rem}h1{font-size:1.35rem}
.tile b{font-size:1.15rem}svg.plot text{font-size:18px}svg.plot text.m{display:none}}
@media print{body{max-width:none;padding:0}.scroll{max-height:none;overflow:visible}nav{display:none}}
""".strip()


class Markup(str):
    """Text that is HTML already; everything else is escaped."""

    __slots__ = ()


def escaped(text: Cell) -> str:
    """Return text or a number as HTML.

    >>> escaped("a < b"), escaped(1234.5)
    ('a &lt; b', '1,234.50')
    """
    if isinstance(text, Markup):
        return str(text)
    return html.escape(text if isinstance(text, str) else number_text(text))


def table(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table; a column of numbers only is set to the right."""
    numeric = [
        all(_is_number(row[at]) for row in rows) and bool(rows) for at in range(len(headers))
    ]
    marks = [' class="n"' if one else "" for one in numeric]
    head = "".join(
        f'<th scope="col"{mark}>{escaped(text)}</th>'
        for mark, text in zip(marks, headers, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{mark}>{escaped(cell)}</td>" for mark, cell in zip(marks, row, strict=True))
        + "</tr>"
        for row in rows
    )
    wide = ' class="wide"' if len(headers) >= _WIDE_FROM else ""
    return (
        f'<div class="scroll" tabindex="0"><table{wide}><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _is_number(cell: Cell) -> bool:
    """Tell whether a cell reads as a number, also with a sign or a unit: $1.20, 3 %."""
    if cell is None or isinstance(cell, int | float):
        return True
    bare = cell.strip(f"+-{MINUS}$% ").replace(",", "").replace(".", "", 1)
    return bare.isdigit() or bare == NOT_KNOWN or not cell


def figure(title: str, about: str, drawn: str, numbers: str, *, size: tuple[int, int]) -> str:
    """Return a drawing with its name, its description, and its numbers to unfold."""
    mark = f"f{zlib.crc32((title + drawn).encode()):08x}"
    width, height = size
    legend, _, body = drawn.rpartition("<!--legend-->")
    body = body.replace("url(#hatch)", f"url(#{mark}h)").replace('id="hatch"', f'id="{mark}h"')
    return (
        f"<figure><figcaption>{escaped(title)} {legend}</figcaption>"
        f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="{mark}t {mark}d"><title id="{mark}t">{escaped(title)}</title>'
        f'<desc id="{mark}d">{escaped(about)}</desc>{body}</svg>'
        f"<details><summary>The numbers</summary>{numbers}</details></figure>"
    )


def tiles(figures: Sequence[tuple[str, str, str]]) -> str:
    """Return the figures that matter most, each with what it is and what stands beside it."""
    made = "".join(
        f'<div class="tile"><span>{escaped(name)}</span><b>{escaped(value)}</b>'
        f"<span>{escaped(beside)}</span></div>"
        for name, value, beside in figures
    )
    return f'<div class="tiles">{made}</div>'


def note(text: str) -> str:
    """Return what a reader must not miss."""
    return f'<p class="note">{escaped(text)}</p>'


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{escaped(text)}</p>"


def charts(drawings: Sequence[str]) -> str:
    """Return drawings side by side where there is room."""
    return f'<div class="charts">{"".join(drawings)}</div>'


def page(title: str, sections: Sequence[tuple[str, str]], *, lead: str) -> str:
    """Return a whole page. A section is its heading (may be empty) and its HTML; ``lead`` is text."""
    named = [(f"s{at}", heading, body) for at, (heading, body) in enumerate(sections, 1)]
    links = [(mark, heading) for mark, heading, _ in named if heading]
    navigation = "".join(f'<a href="#{mark}">{escaped(heading)}</a>' for mark, heading in links)
    made = "".join(
        f'<section id="{mark}">'
        + (f"<h2>{escaped(heading)}</h2>" if heading else "")
        + f"{body}</section>\n"
        for mark, heading, body in named
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escaped(title)}</title><style>\n{STYLE}\n</style></head>\n<body><header>"
        f'<h1>{escaped(title)}</h1><p class="lead">{escaped(lead)}</p></header>'
        + (
            f'<nav aria-label="Sections">{navigation}</nav>'
            if len(links) >= _NAVIGATION_FROM
            else ""
        )
        + f"<main>\n{made}</main></body></html>\n"
    )
