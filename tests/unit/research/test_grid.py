"""Grids over documents: paths that are fields, values that are values, cells that are documents."""

from pathlib import Path

import pytest

from recio.domain.account_config import parse_account
from recio.domain.errors import InvalidValue
from recio.research.grid import GridAxis, cells, field_paths, parse_axis, with_settings
from recio.runtime.local.documents import read_document

EXAMPLE = Path(__file__).parents[3] / "k8s" / "examples" / "paper-account.yaml"
PROBABILITY = "strategy.autoEntry.minProbabilityPermille"


def test_every_combination_is_a_document():
    """Rule: the cells are the product of the axes, in order, and leave the original alone."""
    document = read_document(EXAMPLE)
    axes = [
        parse_axis(f"{PROBABILITY}=900,950"),
        parse_axis("strategy.model=Fingerprints,Volatility"),
    ]
    made = cells(document, axes)
    assert [cell.name for cell in made] == [
        "minProbabilityPermille=900 model=Fingerprints",
        "minProbabilityPermille=900 model=Volatility",
        "minProbabilityPermille=950 model=Fingerprints",
        "minProbabilityPermille=950 model=Volatility",
    ]
    last = parse_account(made[-1].document)
    assert last.strategy.auto_entry.min_probability_permille == 950
    assert last.strategy.model.value == "Volatility"
    assert document == read_document(EXAMPLE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strategy.autoEntry.minProbabilityPermile=900", f"did you mean {PROBABILITY}"),
        ("autoEntry.minProbabilityPermille=900", f"did you mean {PROBABILITY}"),
        ("risk.maxTrades=1", "did you mean risk.max"),
        ("strategy.autoEntry=1", "group of fields"),
        (PROBABILITY, "expected path=value,value"),
        (f"{PROBABILITY}=", "expected path=value,value"),
        (f"{PROBABILITY}=900,900", "each value once"),
        (f"{PROBABILITY}=1.5", "an integer"),
        (f"{PROBABILITY}=900,", "an integer"),
        (f"{PROBABILITY}=[900", "not a value"),
    ],
)
def test_what_is_no_axis_is_refused(text, message):
    """Rule: the message names the nearest field, or what was expected."""
    with pytest.raises(InvalidValue, match=message):
        parse_axis(text)


def test_a_combination_that_the_document_refuses_is_named():
    """Rule: rules between fields count for each cell; nothing is left out in silence."""
    axes = [
        parse_axis("strategy.autoEntry.minSecondsToClose=60,600"),
        parse_axis("strategy.autoEntry.maxSecondsToClose=300,900"),
    ]
    with pytest.raises(InvalidValue, match="1 of 4 settings are refused") as told:
        cells(read_document(EXAMPLE), axes)
    assert "minSecondsToClose=600 maxSecondsToClose=300" in str(told.value)
    with pytest.raises(InvalidValue, match="each path once"):
        cells({}, [axes[0], axes[0]])
    with pytest.raises(InvalidValue, match="10,000"):
        cells(read_document(EXAMPLE), [GridAxis(PROBABILITY, tuple(range(500, 999))), *_wide()])


def _wide():
    return [GridAxis("strategy.autoEntry.minNetEdgeBasisPoints", tuple(range(-500, 500)))]


def test_all_fields_of_a_document_can_be_named():
    """Rule: the paths are those of the document, and a custom strategy's parameters by any name."""
    leaves, groups = field_paths()
    assert {PROBABILITY, "risk.maxOpenTrades", "strategy.model", "mode"} <= set(leaves)
    assert {"strategy", "strategy.autoEntry", "risk"} <= set(groups)
    assert parse_axis("spec.strategy.custom.parameters.bar=a,b").values == ("a", "b")


def test_a_setting_makes_the_groups_that_it_needs():
    """Rule: a document that leaves the group out gets it."""
    assert with_settings({"spec": {}}, {"a.b.c": 1, "a.d": True}) == {
        "spec": {"a": {"b": {"c": 1}, "d": True}}
    }
