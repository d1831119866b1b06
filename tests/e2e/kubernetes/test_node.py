"""The machine itself goes down and comes back."""

from __future__ import annotations

from tests.e2e.kubernetes.waiting import Stopwatch, wait_for


def containers(system):
    """Return the identities of the containers that run."""
    return {
        one["containerID"]
        for pod in system.kubectl.list("pods")
        for one in pod["status"].get("containerStatuses", [])
        if "running" in one["state"]
    }


def test_the_node_is_rebooted(system, new_account, node):
    """Kubelet and all containers start again; the open trade is still there and can be closed."""
    trader = new_account("reboot")
    trader.until_ready()
    with system.page() as page:
        trade = trader.buy(page)
    before = containers(system)
    watch = Stopwatch()
    node.reboot()
    # The API server tells what it was told last until the kubelet has looked.
    wait_for(
        "other containers everywhere",
        lambda: not before & containers(system),
        seconds=300,
        explain=system.explain,
    )
    system.until_all_ready(400)
    trader.until_ready(300)
    system.figures.took("node rebooted to account Ready", watch.seconds())
    with system.page() as page:
        trader.close(page, trade)
    trader.until_cash_is_equal()
    assert trader.doubled_orders() == []
