"""The pages for whoever operates a release: anchors exist, entries are whole, evidence is there."""

import json
import re
from pathlib import Path

import pytest
import yaml
from docs import operations, render

from recio_operator.planning.reasons import REASONS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("k8s/**/*.md")])
RUNBOOK = DOCS / "runbook.md"
CAPABILITIES = DOCS / "capabilities.md"
LINES = ("Meanwhile", "Look", "Mend", "Wake somebody")


def prose(page):
    """Return a page without what stands in fences."""
    return re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def headings(page):
    """Return the headings of a page with their levels."""
    return re.findall(r"^(#+) (.+)$", prose(page), re.MULTILINE)


def anchors(page):
    """Return the anchors of a page as GitHub makes them."""
    made = []
    for _, heading in headings(page):
        text = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        made.append(f"{text}-{made.count(text)}" if text in made else text)
    return made


def entry(name):
    """Return the body of an entry of the runbook."""
    parts = re.split(r"^#+ (.+)$", prose(RUNBOOK), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_to_headings_lead_somewhere(page):
    """A link into a page ends at a heading that is there."""
    for path, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", prose(page)):
        target = (page.parent / path).resolve() if path else page
        assert anchor in anchors(target), f"{page.name}: {path}#{anchor}"


def test_every_heading_of_the_runbook_has_an_anchor_of_its_own():
    """An alert's link must not end at another entry of the same name."""
    found = [text for _, text in headings(RUNBOOK)]
    assert sorted(set(found)) == sorted(found)


@pytest.mark.parametrize("name", sorted(operations.alerts()))
def test_the_entry_of_an_alert_is_whole(name):
    """What is safe meanwhile, where to look, how to mend it, whether to wake somebody."""
    found = re.findall(r"^- \*\*([A-Za-z ]+):\*\* .+", entry(name), re.MULTILINE)
    assert tuple(found) == LINES


@pytest.mark.parametrize("name", sorted(REASONS))
def test_the_entry_of_a_reason_is_whole(name):
    """A reason that asks something of a person says all four; the others need not."""
    found = re.findall(r"^- \*\*([A-Za-z ]+):\*\* .+", entry(name), re.MULTILINE)
    reason = REASONS[name]
    if reason.is_warning or found:
        assert set(found) == set(LINES)
    assert reason.meaning in entry(name)


def test_a_new_alert_or_reason_without_an_entry_is_told():
    """`make check` names the entry that is missing, and the one that is too many."""
    whole = {
        "page.md": "".join(f"<!-- rendered: {one} -->\n<!-- end -->\n" for one in render.PARTS)
    }
    assert list(render.homeless(whole)) == []
    lacking = {"page.md": whole["page.md"].replace("rendered: reason-KeyInUse ", "")}
    assert list(render.homeless(lacking)) == [
        "no page has <!-- rendered: reason-KeyInUse -->; docs/runbook.md needs an entry KeyInUse"
    ]
    (said,) = render.unknown({"page.md": "<!-- rendered: reason-Gone -->\n<!-- end -->"})
    assert "reason-Gone" in said


def test_every_condition_is_explained():
    """`kubectl describe ta` shows nine conditions; the page has a row for each."""
    text = (ROOT / "operator/recio_operator/planning/conditions.py").read_text()
    (found,) = re.findall(r"all of them from the first visit\.\n\n(.*?)\n\n", text, re.DOTALL)
    kinds = re.findall(r"^    (\w+) ", found, re.MULTILINE)
    assert len(kinds) == 9
    for kind in kinds:
        assert f"| `{kind}` |" in (DOCS / "kubernetes.md").read_text()


def test_evidence_is_there():
    """A capability is claimed with a file that proves it, and the test in it that is named."""
    text = CAPABILITIES.read_text()
    found = re.findall(r"`((?:tests|charts|benchmarks|images|k8s)/[^`]+)`", text)
    assert len(found) > 30
    for one in found:
        path, _, test = one.partition("::")
        assert (ROOT / path).exists(), one
        assert not test or f"def {test}(" in (ROOT / path).read_text(), one


def test_documents_on_the_pages_are_good_documents():
    """A document that a page shows would be taken by the API server's own parser of YAML."""
    for page in PAGES:
        for block in re.findall(r"<<'END'\n(.*?)\n *END", page.read_text(), re.DOTALL):
            document = yaml.safe_load(block)
            assert document["apiVersion"] == "recio.io/v1alpha1"


def known_value(path):
    """Tell whether the chart knows a value."""
    part = json.loads((ROOT / "charts/recio/values.schema.json").read_text())
    for word in path.split("."):
        if "$ref" in part or isinstance(part.get("additionalProperties"), dict):
            return True
        part = part.get("properties", {}).get(word)
        if part is None:
            return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_values_of_the_chart_that_a_page_sets_are_there(page):
    """A value that the chart refuses would stop whoever follows the page."""
    found = re.findall(r"--set(?:-string)? ([a-zA-Z.]+)=", page.read_text())
    assert [path for path in found if not known_value(path)] == []


def test_topologies_cost_what_the_chart_asks_for():
    """The table of topologies has the requests of values.yaml."""
    values = yaml.safe_load((ROOT / "charts/recio/values.yaml").read_text())["accounts"][
        "resources"
    ]
    text = (DOCS / "kubernetes.md").read_text()
    for name, part, copies in (("PerService", "perService", 6), ("Compact", "compact", 1)):
        requests = values[part]["requests"]
        cpu = copies * int(requests["cpu"].removesuffix("m"))
        memory = copies * int(requests["memory"].removesuffix("Mi"))
        (row,) = re.findall(rf"^\| `{name}`.*$", text, re.MULTILINE)
        assert f"{cpu}m cpu, {memory} MiB" in row
    assert "200m cpu, 192 MiB together" in text
    assert values["pooled"]["requests"] == {"cpu": "200m", "memory": "192Mi"}
