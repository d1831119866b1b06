"""The chart is upgraded and rolled back while accounts trade: nothing restarts that did not change."""

from __future__ import annotations

import pytest
from tests.e2e.kubernetes import accounts


def image_of(system, trader):
    """Return the image of the account's pod."""
    (pod,) = accounts.pods(system.kubectl, trader.name)
    return pod["spec"]["containers"][0]["image"]


@pytest.mark.core
def test_an_upgrade_that_changes_nothing_of_an_account_restarts_nothing(system, new_account):
    """Other values, new revision; the account's and the market's pods are the same, trades go on."""
    trader = new_account("same-pods")
    trader.until_ready()
    before, market = trader.pod_uids(), {pod["metadata"]["uid"] for pod in system.market_pods()}
    with system.page() as page:
        trade = trader.buy(page)
    system.release.upgrade(page={"sessionSeconds": 3600})
    system.until_all_ready()
    with system.page() as page:
        trader.close(page, trade)
    system.release.rollback(system.release.revision() - 1)
    system.until_all_ready()
    trader.until_ready()
    assert trader.pod_uids() == before
    assert {pod["metadata"]["uid"] for pod in system.market_pods()} == market


@pytest.mark.core
def test_a_new_version_waits_until_flat_and_goes_back(system, new_account, node, tag):
    """An account with a position keeps its pod; flat, it follows; a rollback does the same."""
    trader = new_account("new-version")
    trader.until_ready()
    old = image_of(system, trader)
    other = node.second_tag(tag)
    with system.page() as page:
        trade = trader.buy(page)
    before = trader.pod_uids()
    system.release.upgrade(image={"tag": other})
    try:
        trader.until_condition("Progressing", "True", "WaitingForFlat", seconds=240)
        system.until_all_ready()
        assert trader.pod_uids() == before
        with system.page() as page:
            trader.close(page, trade)
        trader.wait("the new version", lambda: image_of(system, trader).endswith(other), 240)
        trader.until_ready()
    finally:
        system.release.rollback(system.release.revision() - 1)
    trader.wait("the version before", lambda: image_of(system, trader) == old, 240)
    system.until_all_ready()
    trader.until_ready()
    with system.page() as page:
        trader.close(page, trader.buy(page))
    trader.until_cash_is_equal()
    assert trader.doubled_orders() == []


def test_the_charts_own_test_passes(system):
    """``helm test``."""
    assert "Succeeded" in system.release.test()
