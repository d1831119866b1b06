"""The exchange's memory on a real PostgreSQL: what survives a restart, and under which login."""

from __future__ import annotations

import psycopg
import pytest
from tests.unit.exchange_simulator import builders
from tests.unit.exchange_simulator.builders import CLOSE_US, HIGH, LOW, NOW_US, SECOND
from tests.unit.exchange_simulator.client import Venue

from recio.adapters.postgres.database import PostgresDatabase
from recio.domain.errors import Broken
from recio.exchange_simulator.core import orders
from recio.exchange_simulator.core.state import Config
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.store import DatabaseStore

ORDERS = "/portfolio/events/orders"


@pytest.fixture
def own(database_url, runner):
    """The database port under the simulator's own login."""
    port = PostgresDatabase(
        psycopg.conninfo.make_conninfo(database_url, user="recio_exchange_simulator"), connections=2
    )
    yield port
    runner.run(port.close())


async def restarted(own, store=None) -> Exchange:
    """Return an exchange restored from the database; ``store`` is what goes on saving it."""
    exchange = Exchange(Config())
    assert await (store or DatabaseStore(own)).load(exchange)
    return exchange


def told(state, name):
    """Return what must survive about an account, comparable."""
    account = state.accounts[name]
    return (
        account.cash_e6,
        {shard: held for shard, held in account.held_e6.items() if held},
        state.fills_of.get(name, []),
        state.settlements_of.get(name, []),
        [p for key, p in state.positions.items() if key[0] == name],
        [(o.order_id, o.status, o.remaining_e2, o.reason) for o in state.orders_of.get(name, [])],
    )


async def busy_venue(own) -> tuple[Venue, object]:
    """Return an exchange where a member has traded, rests and has used a key."""
    venue = Venue(store=DatabaseStore(own))
    alice = await venue.member("alice")
    venue.exchange.set_external_level(LOW, "no", 4400, 1_000, NOW_US)
    await alice.order("bid", "0.60", "7.50", client_order_id="one")
    await alice.order("ask", "0.80", "5", client_order_id="two")
    await alice.order("bid", "0.30", "4", ticker=HIGH, client_order_id="three")
    return venue, alice


def test_everything_a_member_owns_survives_a_restart(own, runner):
    """Money, positions, fills, orders and their place, client_order_ids, keys and the clock."""

    async def scenario():
        venue, alice = await busy_venue(own)
        store = DatabaseStore(own)
        again = await restarted(own, store)
        assert told(again.state, "alice") == told(venue.exchange.state, "alice")
        assert again.now_us == venue.exchange.now_us
        assert again.state.counter >= venue.exchange.state.counter
        market = again.state.markets[LOW]
        assert market.yes_ask() == (8000, 500)
        assert (market.volume_e2, market.last_price_e4) == (750, 5600)
        revived = Venue(on=again, store=store)
        alice.venue = revived
        assert (await alice.get("/portfolio/balance"))["balance_dollars"] == "994.470000"
        status, body = await alice.order(client_order_id="one")
        assert (status, body["error"]["code"]) == (409, "order_already_exists")
        status, made = await alice.order("bid", "0.20", "1", client_order_id="four")
        assert status == 201
        assert made["order_id"] not in venue.exchange.state.orders

    runner.run(scenario())


def test_a_copy_that_was_replaced_saves_nothing(own, runner):
    """Its pod may still be ending while the next one has loaded: one memory, one writer."""

    async def scenario():
        _, alice = await busy_venue(own)
        store = DatabaseStore(own)
        again = await restarted(own, store)
        with pytest.raises(Broken, match="has taken over"):
            await alice.order("bid", "0.20", "1", client_order_id="late")
        await store.save(again, again.state.take_changes())
        return (await restarted(own)).state.orders_of["alice"]

    assert "late" not in [order.client_order_id for order in runner.run(scenario())]


def test_a_reply_is_sent_only_after_its_commit(own, database_url, runner):
    """Once the create is answered, the order, its fill and the money are in the database."""

    async def scenario():
        await busy_venue(own)
        with psycopg.connect(database_url) as connection:
            count = connection.execute("SELECT count(*) FROM exchange_sim.orders").fetchone()
            cash = connection.execute("SELECT cash_usd_e6 FROM exchange_sim.balances").fetchall()
            fills = connection.execute("SELECT qty_e2, fee_e6 FROM exchange_sim.fills").fetchall()
        assert count == (3,)
        assert (cash, fills) == ([(995_670_000,)], [(750, 130_000)])

    runner.run(scenario())


def test_a_stopped_exchange_closes_and_pays_what_fell_due_meanwhile(own, runner):
    """Timers go on after a restart: close, cancel, settlement after the timer, exactly once."""

    async def scenario():
        venue, _ = await busy_venue(own)
        del venue
        store = DatabaseStore(own)
        again = await restarted(own, store)
        again.advance(CLOSE_US + SECOND)
        again.determine(LOW, "yes", CLOSE_US + SECOND, expiration_value="90000.00")
        await store.save(again, again.state.take_changes())
        store = DatabaseStore(own)
        third = await restarted(own, store)
        third.advance(CLOSE_US + 62 * SECOND)
        account = third.state.accounts["alice"]
        (settlement,) = third.state.settlements_of["alice"]
        assert (settlement.revenue_cents, settlement.yes_e2) == (750, 750)
        assert account.cash_e6 == {2: 995_670_000 + 7_500_000}
        await store.save(third, third.state.take_changes())
        fourth = await restarted(own)
        fourth.advance(CLOSE_US + 600 * SECOND)
        assert told(fourth.state, "alice") == told(third.state, "alice")

    runner.run(scenario())


def test_order_groups_and_removed_keys_are_kept_as_they_are(own, runner):
    """A triggered group stays triggered; a deleted key stays deleted."""

    async def scenario():
        venue = Venue(store=DatabaseStore(own))
        alice = await venue.member("alice")
        body = {"contracts_limit": 5, "exchange_index": 2}
        _, made = await alice.call("POST", "/portfolio/order_groups/create", body)
        group = made["order_group_id"]
        path = f"/portfolio/order_groups/{group}/trigger"
        assert (await alice.call("PUT", path, {}, query="exchange_index=2"))[0] == 200
        _, key = await alice.call("POST", "/api_keys/generate", {"name": "x", "key_type": "rsa"})
        assert (await alice.call("DELETE", f"/api_keys/{key['api_key_id']}"))[0] == 204
        again = await restarted(own)
        assert again.state.groups[group].is_triggered
        assert list(again.state.keys) == [alice.key_id]

    runner.run(scenario())


def test_another_exchange_s_memory_is_refused(own, runner):
    """One schema holds one exchange."""

    async def scenario():
        await busy_venue(own)
        with pytest.raises(Broken, match="holds exchange 'paper'"):
            await DatabaseStore(own).load(Exchange(Config(namespace="other")))

    runner.run(scenario())


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM trading.orders", "CREATE TABLE exchange_sim.mine (a integer)"]
)
def test_the_login_of_the_simulator_reads_nothing_else_and_owns_nothing(database_url, sql):
    """Its role sees only exchange_sim, and cannot change its shape."""
    login = psycopg.conninfo.make_conninfo(database_url, user="recio_exchange_simulator")
    refused = pytest.raises(psycopg.errors.InsufficientPrivilege)
    with psycopg.connect(login) as connection, refused:
        connection.execute(sql)


def test_resting_orders_keep_their_order_in_the_queue(own, runner):
    """Who came first is first again."""

    async def scenario():
        venue = Venue(store=DatabaseStore(own))
        alice, bob = await venue.member("alice"), await venue.member("bob")
        await bob.order("bid", "0.40", "1")
        _, first = await alice.order("bid", "0.40", "1")
        body = {"ticker": LOW, "side": "bid", "price": "0.40", "count": "2.00"}
        await bob.call("POST", f"{ORDERS}/{_id(venue, 'bob')}/amend", body)
        again = await restarted(own)
        level = again.state.markets[LOW].book.bids.best()
        assert [entry.order.account for entry in level.entries] == ["alice", "bob"]
        assert orders.find_resting(again.state, again.state.accounts["alice"], first["order_id"], 2)

    runner.run(scenario())


def _id(venue, name):
    return venue.exchange.state.orders_of[name][0].order_id


def test_an_empty_database_restores_nothing(own, runner):
    """A first start begins with an empty exchange."""

    async def scenario():
        assert await DatabaseStore(own).stopped_us() is None
        assert not await DatabaseStore(own).load(builders.exchange())

    runner.run(scenario())
