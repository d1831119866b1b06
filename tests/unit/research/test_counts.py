"""What a run counts: every look by its gate, every strike once by how far it came."""

from __future__ import annotations

from tests.unit.engine.backtest_tape import (
    CLOSE_US,
    OPEN_US,
    QUOTE,
    account,
    seconds,
    settled,
    warmed,
)

from recio import data
from recio.apps.unified_production_coordinator.app import fingerprints
from recio.engine import funnel
from recio.research.backtest import artefacts, run
from recio.research.result import Nowhere
from recio.research.tapes.tape import Coverage


class Hand:
    """A tape from a list of events."""

    name = "by hand"
    is_synthetic = True
    caveat = "made up"

    def __init__(self, events):
        self._events = events

    def events(self):
        """Yield them."""
        return iter(self._events)

    def coverage(self):
        """Return that nothing is missing."""
        return Coverage(first_us=OPEN_US, last_us=CLOSE_US)


def test_a_strike_counts_once_by_its_best_look():
    """It failed before it passed: what counts is that it passed."""
    events = [*warmed(), *seconds(920, 1), settled("yes")]
    found = run(account(), Hand(events), sink=Nowhere(), seed=1)
    assert found.closest == {"": 1}
    assert found.gates[""] == found.orders == 1
    assert found.gates["live_trade"] > 100


def test_a_strike_that_never_passed_counts_where_it_came_nearest():
    """Without an ask it fails at that gate at every look."""
    blind = type(QUOTE)(QUOTE.ticker, 8800, 5000, None, 0, 1_000_000, OPEN_US, 1, is_valid=True)
    found = run(account(), Hand([*warmed(), *seconds(920, 1, quote=blind)]), sink=Nowhere())
    assert found.closest == {"no_ask": 1}
    assert "no_ask" in funnel.OF_STRIKE


def test_probabilities_are_made_with_what_a_coordinator_uses():
    """Each symbol that has packaged tables has them here too."""
    live = {prints.symbol: prints.name for _, prints in fingerprints(data.fingerprint_names()[0])}
    ours = {symbol: prints.name for symbol, prints in artefacts().fingerprints.items()}
    assert ours == live
    assert {"BTC", "ETH"} <= set(ours)
