"""What the processes of a local shadow run are told: markets from production, orders to the mirror."""

from __future__ import annotations

import pytest

from recio.domain.account_config import Mode, parse_account
from recio.domain.errors import Rejected
from recio.runtime import modes
from recio.runtime.local import documents
from recio.runtime.local.environment import LocalEnvironment
from recio.runtime.local.options import EXAMPLE_FOLDER, UpOptions
from recio.runtime.local.plan import plan
from recio.runtime.local.start import World, world_of

MIRROR = "http://127.0.0.1:8014"


def environment(world, tmp_path):
    """Return the environment of a run in a world."""
    found = documents.paper_accounts(
        EXAMPLE_FOLDER / "prod-account.yaml", number=1, topology=None, is_shadow=True
    )
    accounts = [config for _, config in documents.fitted(found, world)]
    planned = plan(accounts, ui_port=0)
    return LocalEnvironment(
        options=UpOptions(state=tmp_path, is_shadow=True),
        accounts=accounts,
        database_url="postgresql:///x",
        passwords=None,
        redis_url="",
        credentials=tmp_path,
        world=world,
        exchange_port=8014,
        production_port=8114,
        processes=planned,
        ports={one.name: 0 for one in planned},
    )


def test_with_a_read_key_markets_are_productions_and_orders_stay_here(tmp_path):
    """Rule: every process of the run, the mirror among them, has these two addresses and no other."""
    made = environment(World(start_us=1, is_live=True, is_shadow=True), tmp_path)
    for process in made.processes:
        told = made.settings(process)
        assert (told.mode, told.environment) == (Mode.SHADOW, "shadow")
        assert modes.market_hosts(told) == modes.PRODUCTION
        assert modes.hosts(told).rest == MIRROR
        assert modes.has_live_feeds(told)
        assert not any(name.startswith("RECIO_EXCHANGE") for name in made.values(process))


def test_without_a_key_production_is_played_on_this_machine(tmp_path):
    """Rule: prices and time then come from there too."""
    made = environment(World(start_us=1, is_shadow=True), tmp_path)
    told = made.settings(made.processes[0])
    assert modes.market_hosts(told).rest == "http://127.0.0.1:8114"
    assert modes.hosts(told).rest == MIRROR
    assert not modes.has_live_feeds(told)
    assert modes.keeps_own_time(told)


def test_a_shadow_of_a_prod_document_keeps_its_strategy_and_limits():
    """Rule: what is tried is what will be armed."""
    path = EXAMPLE_FOLDER / "prod-account.yaml"
    document = documents.read_document(path)
    found = documents.paper_accounts(path, number=1, topology=None, is_shadow=True)
    ((_, shadow),) = documents.fitted(found, World(start_us=1, is_shadow=True))
    armed = parse_account(document)
    assert shadow.mode is Mode.SHADOW
    assert (shadow.strategy, shadow.risk, shadow.series) == (
        armed.strategy,
        armed.risk,
        armed.series,
    )
    with pytest.raises(Rejected, match="with --shadow"):
        documents.paper_accounts(path, number=1, topology=None)


def test_books_of_a_shadow_cannot_go_on_as_another_world(tmp_path):
    """Rule: the state directory remembers; without options it goes on as what it was."""
    made = world_of(UpOptions(state=tmp_path, is_shadow=True), tmp_path)
    assert (made.is_shadow, made.environment, made.has_stand_in) == (True, "shadow", True)
    assert world_of(UpOptions(state=tmp_path), tmp_path) == made
    with pytest.raises(Rejected, match="--read-key"):
        world_of(UpOptions(state=tmp_path, is_shadow=True, read_key=tmp_path), tmp_path)
    with pytest.raises(Rejected, match="--regime"):
        world_of(UpOptions(state=tmp_path, regime="thin"), tmp_path)
