"""The machine itself goes down and comes back."""

from __future__ import annotations

from tests.e2e.kubernetes.waiting import Stopwatch


def test_the_node_is_rebooted(system, new_account, node):
    """Kubelet and all containers start again; the open trade is still there and can be closed."""
    trader = new_account("reboot")
    trader.until_ready()
    with system.page() as page:
        trade = trader.buy(page)
    watch = Stopwatch()
    node.reboot()
    system.until_all_ready(400)
    trader.until_ready(300)
    system.figures.took("node rebooted to account Ready", watch.seconds())
    with system.page() as page:
        trader.close(page, trade)
    trader.until_cash_is_equal()
    assert trader.doubled_orders() == []
