"""Whatever dies comes back, and no order goes out twice: pods killed while an order is on its way."""

from __future__ import annotations

import pytest
from tests.e2e.kubernetes import accounts

from recio import manifest
from recio.manifest import Scope

OF_AN_ACCOUNT = [row.name for row in manifest.SERVICES if row.scope is Scope.ACCOUNT]
OF_THE_MARKET = [
    "exchange_simulator",
    *(row.name for row in manifest.SERVICES if row.scope is Scope.ENVIRONMENT),
]


@pytest.fixture(scope="module")
def apart(system):
    """An account whose services are pods of their own."""
    trader = system.trader(accounts.fresh_name("deaths"))
    trader.apply(topology="PerService")
    trader.until_ready(180)
    yield trader
    trader.leave()


def after_a_death(system, trader, pods, what):
    """Order, kill at once, and look: one order at the exchange, the trade open, cash equal."""
    with system.page() as page:
        intent = trader.wait("a strike to buy", lambda: page.buy(trader.name))
        seconds = system.kill_and_wait(pods, what)
        system.figures.took(f"{what}: killed to ready", seconds)
        trader.wait("an end of the order", lambda: is_decided(trader, intent))
    with system.page() as page:
        for trade in trader.trades("open"):
            trader.close(page, trade)
    trader.until_ready(180)
    trader.until_cash_is_equal()
    assert trader.doubled_orders() == []


def is_decided(trader, intent):
    """Tell whether the intent was refused, or its order has ended and is booked."""
    found = trader.books.ask(
        "SELECT i.state, o.state AS order_state, o.filled_qty_e2 = o.booked_qty_e2 AS is_booked "
        "FROM trading.intents i LEFT JOIN trading.orders o USING (intent_id) "
        f"WHERE i.intent_id = '{intent['intent_id']}'"
    )
    ended = ("executed", "canceled", "rejected", "expired_unsent")
    return found and (
        found[0]["state"] == "refused"
        or (found[0]["order_state"] in ended and found[0]["is_booked"])
    )


@pytest.mark.parametrize("service", OF_AN_ACCOUNT)
def test_a_service_of_an_account_dies_while_an_order_is_on_its_way(system, apart, service):
    """Each of the six; the order goes once or not at all."""
    label = f"recio.io/account={apart.name}"
    part = f"app.kubernetes.io/component={manifest.dns_name(service)}"
    pods = system.kubectl.list("pods", f"{label},{part}")
    assert len(pods) == 1, pods
    after_a_death(system, apart, pods, service)


@pytest.mark.core
def test_the_exchange_dies_while_an_order_is_on_its_way(system, new_account):
    """The simulator's orders, cash and positions come back with it."""
    trader = new_account("exchange-dies")
    trader.until_ready()
    after_a_death(system, trader, system.pods_of("exchange_simulator"), "exchange_simulator")


@pytest.mark.core
def test_a_compact_account_dies_while_an_order_is_on_its_way(system, new_account):
    """All services at once."""
    trader = new_account("dies")
    trader.until_ready()
    after_a_death(system, trader, accounts.pods(system.kubectl, trader.name), "compact account")


def test_the_market_plane_dies_while_an_order_is_on_its_way(system, new_account):
    """Prices, books and probabilities at once."""
    trader = new_account("no-market")
    trader.until_ready()
    after_a_death(system, trader, system.market_pods(), "market plane")


def test_redis_dies_while_an_order_is_on_its_way(system, new_account):
    """What it held may be lost."""
    trader = new_account("redis-dies")
    trader.until_ready()
    after_a_death(system, trader, system.pods_of("redis"), "redis")


def test_the_shared_services_die_while_an_order_is_on_its_way(system, new_account):
    """The page and the monitors: trading does not need them."""
    trader = new_account("page-dies")
    trader.until_ready()
    after_a_death(system, trader, system.shared_pods(), "shared services")
