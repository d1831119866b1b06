"""Which services share a process."""

from __future__ import annotations

import pytest

from recio import manifest
from recio.domain.account_config import Topology, parse_account
from recio.manifest import Scope
from recio.runtime.local.plan import plan


def account(name, topology):
    """Return a paper account."""
    return parse_account(
        {
            "apiVersion": "recio.io/v1alpha1",
            "kind": "TradingAccount",
            "metadata": {"name": name},
            "spec": {"mode": "paper", "topology": topology.value},
        }
    )


def hosted(processes):
    """Return every (service, account) of the plan."""
    return [(p.row.name, p.account) for process in processes for p in process.placements]


@pytest.mark.parametrize("topology", list(Topology))
def test_every_service_is_hosted_once_for_each_account(topology):
    """Whatever the topology, nothing is missing and nothing runs twice."""
    processes = plan([account("a", topology), account("b", topology)], ui_port=3000)
    expected = {
        (row.name, name)
        for row in manifest.SERVICES
        for name in (("a", "b") if row.scope is Scope.ACCOUNT else (None,))
    }
    assert sorted(hosted(processes), key=str) == sorted(expected, key=str)


@pytest.mark.parametrize(
    ("topology", "number"),
    [(Topology.PER_SERVICE, 12), (Topology.COMPACT, 2), (Topology.POOLED, 1)],
)
def test_topology_decides_how_many_processes_two_accounts_have(topology, number):
    """One each, one an account, or one for all."""
    processes = plan([account("a", topology), account("b", topology)], ui_port=3000)
    assert sum(1 for process in processes if process.accounts) == number


def test_ports_and_names_are_unique():
    """No two processes want the same port or write to the same log."""
    processes = plan([account(name, Topology.PER_SERVICE) for name in "abc"], ui_port=3000)
    for kind in ("port", "name"):
        values = [getattr(process, kind) for process in processes]
        assert len(values) == len(set(values))


def test_the_exchange_starts_first_and_the_page_last():
    """What others need is there before them."""
    names = [process.name for process in plan([account("a", Topology.COMPACT)], ui_port=1)]
    assert (names[0], names[-1]) == ("exchange_simulator", "main_app")
