"""Charts: one golden page with each kind, and what a golden file cannot say."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain.errors import InvalidValue
from recio.research.axes import number_text, tight_axis, time_axis, value_axis
from recio.research.drawing import (
    Bin,
    Line,
    bar_chart,
    charts,
    heat_map,
    line_chart,
    note,
    page,
    reliability_diagram,
    table,
    thinned,
    tiles,
)

GOLDEN = Path(__file__).parent / "golden" / "drawing.html"
DAY_US = 86_400_000_000
START_US = 1_704_067_200_000_000


def gallery():
    """Return a page with one chart of each kind."""
    equity = [(START_US + at * DAY_US, 500.0 + (at * 37 % 11) - at / 2) for at in range(40)]
    loss = [(float(at), 1 / at, 0.9 / at, 1.1 / at) for at in range(1, 12)]
    lines = [
        Line("ours", [one[:2] for one in loss], [(x, low, high) for x, _, low, high in loss]),
        Line("market", [(x, y + 0.1) for x, y, _, _ in loss]),
    ]
    hours = [(str(hour), float(hour * 7 % 13) - 6) for hour in range(24)]
    days = [[None if day % 5 == 0 else float(day * 3 % 7) - 3 for day in range(31)]] * 2
    bins = [
        Bin(at / 10 + 0.05, at / 10 + 0.02, at / 10, at / 10 + 0.1, 10 + at) for at in range(10)
    ]
    return page(
        "Each kind <once>",
        [
            ("", tiles([("PnL", "$1.20", "after fees")]) + note("Made up & said so.")),
            ("Lines", charts([_equity_chart(equity), _loss_chart(lines)])),
            ("Bars", bar_chart("By hour", hours, y_label="dollars", signed=True)),
            ("Days", heat_map("By day", ["Jan", "Feb"], [str(at + 1) for at in range(31)], days)),
            ("Reliability", reliability_diagram("Model", bins)),
            ("Table", table(["name", "value"], [("a < b", 1.5), ("c", None)])),
        ],
        lead="A lead with <tags>.",
    )


def _equity_chart(points):
    lines = [Line("equity", points)]
    return line_chart("Equity", lines, x_label="time", y_label="dollars", x_is_time=True)


def _loss_chart(lines):
    return line_chart("Loss", lines, x_label="minutes", y_label="log loss")


def test_the_gallery_is_as_it_was_looked_at():
    """UPDATE_GOLDEN=1 writes it anew; look at it in a browser then, light, dark and narrow."""
    text = gallery()
    if os.environ.get("UPDATE_GOLDEN") == "1":  # noqa: TID251 (the switch of a developer)
        GOLDEN.write_text(text, encoding="utf-8")
    assert GOLDEN.read_text(encoding="utf-8") == text, "UPDATE_GOLDEN=1 writes it anew"


class Reader(HTMLParser):
    """Collects ids, tags and what is referred to."""

    def __init__(self):
        super().__init__()
        self.ids, self.tags, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        """Open a tag."""
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in {"meta", "rect", "line", "path", "circle"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Close the tag that was opened last."""
        if tag in {"rect", "line", "path", "circle"}:
            return
        assert self.open.pop() == tag


def test_a_page_is_closed_properly_and_asks_for_nothing_outside():
    """Rule: one file without scripts, each id once, every tag closed."""
    text = gallery()
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids))
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in reader.tags}
    assert re.findall(r"(?:src|href)=\"(?!#)|url\((?!#)|@import|https?:", text) == []


def test_each_chart_is_told_to_a_screen_reader_and_as_a_table():
    """Rule: a chart has a name, a description and its numbers."""
    reader = Reader()
    reader.feed(gallery())
    drawn = [attrs for tag, attrs in reader.tags if tag == "svg" and attrs.get("role") == "img"]
    assert len(drawn) == 5
    for attrs in drawn:
        for mark in attrs["aria-labelledby"].split():
            assert mark in reader.ids
    assert sum(tag == "details" for tag, _ in reader.tags) == 5


@given(st.text(max_size=20))
def test_no_text_becomes_html(text):
    """Rule: whatever a ticker, a reason or a name contains is shown, never obeyed."""
    hostile = f"<b>{text}</b>\"'&"
    made = page(
        hostile,
        [(hostile, table([hostile], [[hostile]]) + bar_chart(hostile, [(hostile, 1)], y_label=""))],
        lead=hostile,
    )
    assert "<b>" not in made.replace("<b>+", "")


@given(
    st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=30),
    st.sampled_from([value_axis, tight_axis]),
)
def test_an_axis_holds_all_its_values(values, axis):
    """Rule: nothing is drawn outside, and there are few round ticks."""
    made = axis(values, 0.0, 100.0)
    slack = (made.high - made.low) * 1e-6
    assert made.low - slack <= min(values) <= max(values) <= made.high + slack
    assert len(made.ticks) <= 12
    assert all(0 <= made.px(value) <= 100 for value in values)


@given(st.integers(0, 2_000_000_000), st.integers(1, 10**9))
def test_a_time_axis_has_a_few_ticks_inside(start, seconds):
    """Rule: from a second to decades the ticks are round and not crowded."""
    low, high = start * 10**6, (start + seconds) * 10**6
    made = time_axis([low, high], 0.0, 1.0)
    assert len(made.ticks) <= 12
    assert all(low <= at <= high for at, _ in made.ticks)


def test_a_value_that_is_not_finite_is_refused():
    """Rule: a plot never hides a NaN."""
    with pytest.raises(InvalidValue, match="finite"):
        bar_chart("x", [("a", float("nan"))], y_label="")
    with pytest.raises(InvalidValue, match="5"):
        line_chart("x", [Line(str(at), []) for at in range(5)], x_label="", y_label="")
    with pytest.raises(InvalidValue, match="rows"):
        heat_map("x", ["a"], ["b"], [[1.0, 2.0]])


def test_nothing_to_draw_is_said():
    """Rule: an empty chart says that there is no data."""
    assert "No data" in line_chart("x", [Line("a", [])], x_label="", y_label="")
    assert "No data" in bar_chart("x", [], y_label="")
    assert "No data" in heat_map("x", [], [], [])
    assert "No data" in reliability_diagram("x", [])


def test_thinning_keeps_the_extremes_and_the_ends():
    """Rule: the deepest drawdown is drawn however long the line is."""
    points = [(float(at), float(at % 7)) for at in range(100_000)]
    points[54_321] = (54_321.0, -99.0)
    points[77_777] = (77_777.0, 99.0)
    axis = tight_axis([x for x, _ in points], 0, 480)
    kept = thinned(points, axis)
    assert len(kept) < 2_000
    assert {points[0], points[-1], points[54_321], points[77_777]} <= set(kept)
    assert kept == sorted(kept)


def test_numbers_read_well():
    """Rule: about four digits, a real minus sign, a dash for what is not known."""
    assert number_text(-0.012345) == "\N{MINUS SIGN}0.01235"
    assert number_text(None) == "\N{EN DASH}"
    assert number_text(-3.0) == "\N{MINUS SIGN}3"
    assert value_axis([-1500, 900], 0, 1).ticks[0][1] == "\N{MINUS SIGN}1,500"
