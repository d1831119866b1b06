"""Settings: edits lie over each other, and every editable field has its bounds."""

from __future__ import annotations

from recio.apps.main_app.settings_view import bounds, merge


def test_edits_lie_over_earlier_ones_part_by_part():
    """A second edit keeps what it does not name."""
    held = {"strategy": {"autoEntry": {"enabled": True, "cooldownSeconds": 5}}}
    edits = {"strategy": {"autoEntry": {"cooldownSeconds": 9}}, "risk": {"maxOpenTrades": 1}}
    assert merge(held, edits) == {
        "strategy": {"autoEntry": {"enabled": True, "cooldownSeconds": 9}},
        "risk": {"maxOpenTrades": 1},
    }


def test_null_takes_an_edit_back():
    """What the resource says counts again."""
    held = {"strategy": {"autoEntry": {"enabled": True}}}
    assert merge(held, {"strategy": {"autoEntry": {"enabled": None}}}) == {
        "strategy": {"autoEntry": {}}
    }


def test_bounds_are_the_documents_own():
    """The page offers no value that the document would refuse."""
    known = bounds()
    assert known["strategy.autoEntry.minProbabilityPermille"] == {"min": 500, "max": 999}
    assert known["strategy.autoStop.probability.verifySeconds"] == {"min": 0, "max": 60}
    assert known["strategy.spikeAlert.enabled"] == {"choices": [False, True]}
