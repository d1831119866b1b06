"""A trader's own strategy as the service runs it: entries by it, and exits whatever it does."""

from __future__ import annotations

import copy
import dataclasses

import pytest
from tests.integration.apps import test_brain as brain

from recio.adapters.postgres import config as configs
from recio.adapters.postgres import status
from recio.adapters.postgres.stepped import SteppedDatabase
from recio.apps.active_trade_supervisor import app as stops
from recio.apps.auto_entry_supervisor import app as entries
from recio.apps.unified_production_coordinator import app as coordinator
from recio.engine import records
from recio.runtime import stepped

DOCUMENT = copy.deepcopy(brain.DOCUMENT)
DOCUMENT["spec"]["strategy"] |= {
    "spikeAlert": {"enabled": False},
    "name": "Custom",
    "custom": {
        "configMapRef": {"name": "mine", "key": "strategy.py"},
        "className": "Mine",
        "parameters": {"edge": "100"},
    },
}
GOOD = """
from recio.strategy import Proposal, View

class Mine:
    def __init__(self, parameters):
        self.edge = int(parameters["edge"])

    def propose(self, view: View):
        for strike in view.strikes:
            edge = strike.edge_e4("yes")
            if not strike.reason and edge is not None and edge >= self.edge:
                return [Proposal(strike.ticker, "yes", 2, strike.p_e6("yes"), reason="cheap")]
        return []
"""
HEAD = (
    "class Mine:\n    def __init__(self, parameters): pass\n    def propose(self, view):\n        "
)
BAD = {
    "raises": (HEAD + "raise ValueError('no')", "raised: ValueError: no"),
    "loops": (HEAD + "while True: pass", "timeout: no answer within"),
    "reads files": (
        HEAD + "open('/etc/passwd')",
        "raised: PermissionError: a strategy may not open",
    ),
    "answers nonsense": (HEAD + "return [1]", "raised: TypeError: expected a list of Proposal"),
    "eats memory": (HEAD + "return [bytearray(2**32)]", "raised: MemoryError"),
    "raises what no database takes": (
        HEAD + "raise ValueError(chr(0) + chr(0xD800))",
        "raised: Val",
    ),
    "is not there": (None, "not_loaded: expected the strategy in"),
}


@pytest.fixture
def scene(database_url, tmp_path):
    """A database with one account that has a strategy of its own."""
    made = brain.Scene(database_url)
    made.folder = tmp_path / "mine"
    made.folder.mkdir()

    async def prepare():
        port = SteppedDatabase(database_url, hints=made.hints)
        async with port.transaction() as tx:
            await status.set_account_login(tx, "paper", None)
        async with port.transaction() as tx:
            await configs.apply_account(
                tx, DOCUMENT, environment="paper", at_us=brain.START_US, author="test"
            )
        await port.close()

    stepped.run(prepare())
    return made


def entering(scene, **settings):
    """Return automatic entry with its strategies in the scene's folder."""
    own = {"strategies_dir": str(scene.folder.parent), "strategy_seconds": "0.5"} | settings
    context = scene.context("auto_entry_supervisor", "paper")
    prefix = "RECIO_AUTO_ENTRY_SUPERVISOR_"
    named = {prefix + name.upper(): value for name, value in own.items()}
    return entries.build(dataclasses.replace(context, settings=named))


def test_it_enters_through_the_fold_and_is_named(scene):
    """One intent, two contracts of the five that the settings allow; its record has what it said."""
    (scene.folder / "strategy.py").write_text(GOOD, encoding="utf-8")
    services = []

    async def script():
        services.append(entering(scene))
        await scene.start(
            coordinator.build(scene.context("unified_production_coordinator")), services[0]
        )
        await scene.open_market()
        await scene.feed(8)
        await services[0].drain()

    brain.play(scene, script)

    ((ticker, qty_e2, reason, decision),) = brain.rows(
        scene.database_url, "SELECT market_ticker, qty_e2, reason, decision_id FROM trading.intents"
    )
    assert (ticker, qty_e2) == (brain.BELOW, 200)
    assert reason.startswith("Custom Mine ")
    ((body,),) = brain.rows(
        scene.database_url, "SELECT body FROM trading.decisions WHERE decision_id = %s", decision
    )
    told = records.read_entry(bytes(body)).told
    assert (told.strategy, told.proposals[0].reason) == (reason, "cheap")


@pytest.mark.parametrize("name", BAD)
def test_exits_go_on_whatever_it_does(scene, name):
    """Both services on one loop: the stop closes the trade, nothing is entered, the page says why."""
    text, failure = BAD[name]
    if text is not None:
        (scene.folder / "strategy.py").write_text(text, encoding="utf-8")
    brain.open_trade(scene.database_url)
    services = []

    async def script():
        services.append(entering(scene))
        await scene.start(
            coordinator.build(scene.context("unified_production_coordinator")),
            services[0],
            stops.build(scene.context("active_trade_supervisor", "paper")),
        )
        await scene.open_market()
        await scene.feed(3)
        scene.price = brain.PRICE - 1_500_000_000
        scene.asks[brain.BELOW] = 2_500
        await scene.feed(20)
        await services[0].drain()

    brain.play(scene, script)

    found = brain.rows(scene.database_url, "SELECT purpose::text, source FROM trading.intents")
    assert set(found) == {("exit", "auto_stop")}
    ((state, reason),) = brain.rows(
        scene.database_url, "SELECT status, body->>'reason' FROM trading.automation"
    )
    assert (state, reason.startswith(f"strategy_failed: {failure}")) == ("INACTIVE", True), reason
