"""What production counts of the invariants: zero for a whole trade, and each breach by its number."""

from __future__ import annotations

import pytest

from recio.adapters.postgres import invariants
from recio.domain.account_config import Trading
from recio.domain.orders import OrderState
from recio.domain.units import HOUR_US

ORDER = "UPDATE trading.orders SET {} WHERE account = %(account)s"
PLANTED = {
    "01": "INSERT INTO trading.orders SELECT (r).* FROM (SELECT jsonb_populate_record(o, "
    "jsonb_build_object('order_id', gen_random_uuid(), 'attempt', 2, 'exchange_order_id', 'other', "
    "'booked_qty_e2', 0, 'filled_qty_e2', 0)) AS r FROM trading.orders o "
    "WHERE account = %(account)s) made",
    "02": "UPDATE trading.intents SET state = 'refused', refusal = 'x' WHERE account = %(account)s",
    "03": "DELETE FROM trading.fills WHERE account = %(account)s",
    "04": "UPDATE trading.positions SET qty_e2 = qty_e2 + 1 WHERE account = %(account)s",
    "05": "INSERT INTO trading.balances SELECT account, created_at, 1, 2, created_at "
    "FROM trading.accounts WHERE account = %(account)s",
    "06": "UPDATE trading.ledger_postings SET amount_usd_e6 = amount_usd_e6 + 1 "
    "WHERE account = %(account)s AND book = 'cash'",
    "07": ORDER.format("state = 'unknown', reserved_usd_e6 = 0"),
    "08": ORDER.format("state = 'unknown', booked_qty_e2 = 0, reserved_usd_e6 = 10^9"),
    "09": ORDER.format("claimed_at = claimed_at + interval '10 minutes'"),
    "10": "UPDATE trading.order_events SET epoch = 9 WHERE account = %(account)s AND seq = 1",
    "11": "UPDATE trading.audit SET old_state = 'executed', new_state = 'resting' "
    "WHERE account = %(account)s AND subject = 'orders' AND old_state IS NOT NULL",
    "12": "UPDATE trading.intents SET book_at = book_at - interval '16 seconds' "
    "WHERE account = %(account)s",
    "13": ORDER.format("claimed_at = claimed_at + interval '1 hour'"),
    "20": "UPDATE trading.trades SET close_at = created_at WHERE account = %(account)s",
}


async def counts(scene, later_us=0):
    """Return what breaks something."""
    async with scene.owner.transaction() as tx:
        found = await invariants.broken(tx, scene.account, now_us=scene.now_us + later_us)
    assert tuple(sorted(found)) == invariants.NUMBERS
    return {number for number, times in found.items() if times}


async def whole_trade(scene):
    """Enter, fill and fold, with the executor's events; a minute passes."""
    trade_id = await scene.held_trade()
    order_id = await scene.entry_order(trade_id)
    async with scene.owner.transaction() as tx:
        await tx.execute(
            "INSERT INTO trading.order_events SELECT account, order_id, n, 'submitted', 1, "
            "claimed_at, claimed_wall_at + n * interval '1 second', '{}' FROM trading.orders, "
            "generate_series(1, 2) n WHERE order_id = %s",
            order_id,
        )
    scene.clock.pass_time(90)
    return order_id


async def plant(scene, sql):
    """Change rows as no service could: without triggers and keys."""
    async with scene.owner.transaction() as tx:
        await tx.execute("SET LOCAL session_replication_role = 'replica'")
        names = sql.count("%(account)s")
        sql = sql.replace("%(account)s", "%s")
        assert await tx.execute(sql, *[scene.account] * names)


def test_nothing_is_counted_of_a_whole_trade(scene, runner):
    """Nor of an account that has done nothing, nor of one whose switch was set afterwards."""

    async def script():
        assert await counts(scene) == set()
        order_id = await whole_trade(scene)
        assert await counts(scene) == set()
        await scene.switch(Trading.HALTED)
        assert await counts(scene) == set()
        return (await scene.order(order_id)).order.state

    assert runner.run(script()) is OrderState.EXECUTED


@pytest.mark.parametrize("number", sorted(PLANTED))
def test_each_breach_is_counted_under_its_number(scene, runner, number):
    """Written by hand into the rows of a whole trade: found at the next look."""

    async def script():
        await whole_trade(scene)
        if number == "09":
            await scene.switch(Trading.HALTED)
        await plant(scene, PLANTED[number])
        return await counts(scene)

    assert number in runner.run(script())


def test_a_breach_is_forgotten_when_its_time_is_over(scene, runner):
    """A count is of the last quarter of an hour, so that an alert can end."""

    async def script():
        await whole_trade(scene)
        await plant(scene, PLANTED["13"])
        assert "13" in await counts(scene)
        return await counts(scene, HOUR_US)

    assert runner.run(script()) == set()


def test_the_oldest_doubt_is_told(scene, runner):
    """When the oldest order without a known end was claimed; none: nothing."""

    async def script():
        async with scene.owner.transaction() as tx:
            assert await invariants.oldest_doubt_us(tx, scene.account) is None
        trade_id = await scene.enter()
        claimed_us = scene.now_us
        await scene.send(await scene.entry_order(trade_id))
        async with scene.owner.transaction() as tx:
            return claimed_us, await invariants.oldest_doubt_us(tx, scene.account)

    claimed_us, doubt_us = runner.run(script())
    assert claimed_us == doubt_us
