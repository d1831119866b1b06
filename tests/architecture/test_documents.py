"""Documents that must agree with the code."""

import re
from pathlib import Path

import pytest
from docs import render

from recio.manifest import SERVICES

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if path.name != "CHANGELOG.md"
)


def test_rendered_parts_are_fresh(capsys):
    """What repeats the code is made from it."""
    assert render.main(["--check"]) == 0, capsys.readouterr().err


def test_the_matrix_of_tables_equals_the_manifest():
    """Table by writer: the page and the manifest say the same."""
    text = (ROOT / "docs" / "tables.md").read_text()
    page = {
        (table, writer)
        for table, writers in re.findall(r"^\| `([a-z_.*]+)` \| (.+) \|$", text, re.MULTILINE)
        for writer in writers.split(", ")
    }
    assert page == {(table, row.name) for row in SERVICES for table in row.tables_written}


@pytest.mark.parametrize("row", SERVICES, ids=lambda row: row.name)
def test_every_setting_is_documented(row):
    """A variable that no page names does not exist for whoever operates the system."""
    kind = render.settings_of(row)
    text = (ROOT / "docs" / "settings.md").read_text()
    for field in kind.__struct_fields__ if kind else ():
        assert f"`RECIO_{row.name.upper()}_{field.upper()}`" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    """A link to a file that is gone is worse than none."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    inner = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in inner if not (page.parent / link).exists()] == []


def test_decisions_are_numbered():
    """A decision is found by its number, and none is missing."""
    names = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
