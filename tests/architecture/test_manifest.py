"""The manifest and what must agree with it."""

import importlib
import pkgutil
import re
from graphlib import TopologicalSorter

import pytest

import recio.apps
from recio import manifest
from recio.domain.messages import TOPICS
from recio.manifest import SERVICES, Scope

BY_NUMBER = sorted(SERVICES, key=lambda row: row.number)


def test_names_numbers_and_ports_are_unique():
    """A service is one thing everywhere."""
    for field in ("name", "number", "local_port", "entry"):
        values = [getattr(row, field) for row in SERVICES]
        assert len(values) == len(set(values)), field
    assert [row.number for row in BY_NUMBER] == list(range(1, 15))


def test_every_topic_has_one_writer_and_its_messages():
    """Two writers of one topic would contradict each other; a topic nobody defines has no type."""
    written = [topic for row in SERVICES for topic in row.writes]
    assert sorted(written) == sorted(TOPICS)
    read = {topic for row in SERVICES for topic in row.reads}
    assert read <= set(written)


def test_messages_flow_one_way():
    """Without the edges declared as feedback, no service depends on its own output."""
    before = {
        row.name: {writer.name for writer in SERVICES if set(writer.writes) & set(row.reads)}
        for row in SERVICES
    }
    assert set(TopologicalSorter(before).static_order()) == set(before)


def test_the_order_of_the_list_is_the_order_of_the_flow():
    """Each writer stands before its readers, so that the list reads like the story it tells."""
    seen = set()
    for row in SERVICES:
        assert set(row.reads) <= seen, row.name
        seen |= set(row.writes)


def test_feedback_says_why():
    """A hidden loop becomes a visible one, with its reason."""
    for row in SERVICES:
        for item in row.feedback:
            assert item.reason.endswith(".")
            writers = [other for other in SERVICES if item.topic in other.tables_written]
            assert writers or item.topic in TOPICS


def test_tables_have_a_schema():
    """Grants follow these names."""
    schemas = {table.partition(".")[0] for row in SERVICES for table in row.tables_written}
    assert schemas <= {"market", "trading", "exchange_sim", "ops"}


@pytest.mark.parametrize("row", SERVICES, ids=lambda row: row.name)
def test_every_service_has_its_door(row):
    """``entry`` names a function that can be imported; importing it starts nothing."""
    module, _, function = row.entry.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("row", SERVICES, ids=lambda row: row.name)
def test_every_service_has_its_card(row):
    """The package says what the service does, reads and writes, and what happens when it dies."""
    package = importlib.import_module(row.entry.partition(":")[0].rpartition(".")[0])
    card = package.__doc__ or ""
    assert re.search("On failure:|When it dies", card)
    missing = [topic for topic in (*row.reads, *row.writes) if topic not in card]
    assert missing == []


def test_every_app_is_in_the_manifest():
    """A folder that nobody starts is dead code."""
    folders = {module.name for module in pkgutil.iter_modules(recio.apps.__path__)}
    assert folders == {row.name for row in SERVICES if row.scope is not Scope.PAPER}


def test_names_as_kubernetes_spells_them():
    """Underscores become hyphens, and nothing else changes."""
    assert manifest.dns_name("trade_executor") == "trade-executor"
    assert all(manifest.dns_name(row.name).replace("-", "_") == row.name for row in SERVICES)


def test_an_unknown_service_is_told_the_known_ones():
    """A typing error on the command line is answered with the list."""
    with pytest.raises(KeyError, match="there are exchange_simulator, btc_price_watchdog"):
        manifest.service("nonsense")
