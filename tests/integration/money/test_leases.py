"""One holder at a time; the epoch rises at each takeover, and an older one writes nothing."""

from __future__ import annotations

from uuid import UUID

import pytest
from tests.integration.money.scene import account_scene

from recio.adapters.postgres import leases, orders
from recio.domain.orders import OrderState

ONE, OTHER = UUID(int=1), UUID(int=2)
SERVICE = "trade_executor"


@pytest.fixture
def rival(scene, module_database_url, runner):
    """A second process of the account: connections of its own, the same clock."""
    made = account_scene(scene.owner, module_database_url, scene.account)
    made.clock = scene.clock
    yield made
    runner.run(made.database.close())


async def acquire(scene, holder):
    """Take or renew the lease."""
    async with scene.database.transaction() as tx:
        return await leases.acquire(
            tx, scene.account, SERVICE, holder, wall_us=scene.clock.wall_us()
        )


def test_the_first_holder_has_epoch_one_and_keeps_it(scene, runner):
    """Renewing is no takeover."""

    async def play():
        epochs = []
        for _ in range(3):
            epochs.append(await acquire(scene, ONE))
            scene.clock.pass_time(3)
        return epochs

    assert runner.run(play()) == [1, 1, 1]


def test_another_copy_waits_while_the_holder_renews(scene, rival, runner):
    """However long."""

    async def play():
        got = []
        for _ in range(10):
            await acquire(scene, ONE)
            scene.clock.pass_time(9)
            got.append(await acquire(rival, OTHER))
        return got

    assert runner.run(play()) == [None] * 10


def test_a_silent_holder_is_replaced_after_lease_and_margin(scene, rival, runner):
    """Not before: what it signed must be dead by then."""
    patience_s = leases.LEASE_SECONDS + leases.MARGIN_SECONDS

    async def play():
        await acquire(scene, ONE)
        scene.clock.pass_time(patience_s - 0.001)
        early = await acquire(rival, OTHER)
        scene.clock.pass_time(0.001)
        return early, await acquire(rival, OTHER), await acquire(scene, ONE)

    assert runner.run(play()) == (None, 2, None)


def test_a_holder_whose_session_is_gone_is_replaced_at_once(scene, rival, runner):
    """Its process died, or its machine did."""

    async def play():
        await acquire(scene, ONE)
        await scene.database.close()
        while await scene.rows(
            "SELECT FROM pg_stat_activity a JOIN trading.leases l ON l.backend_pid = a.pid "
            "WHERE l.account = %s",
            scene.account,
        ):
            pass
        return await acquire(rival, OTHER)

    assert runner.run(play()) == 2


def test_the_former_holder_comes_back_under_a_new_epoch(scene, rival, runner):
    """Never under its old one."""

    async def play():
        await acquire(scene, ONE)
        scene.clock.pass_time(60)
        await acquire(rival, OTHER)
        scene.clock.pass_time(60)
        return await acquire(scene, ONE)

    assert runner.run(play()) == 3


def test_leases_of_services_and_accounts_are_apart(scene, accounts, runner):
    """Each account and each singleton has its own."""
    other = accounts()

    async def play():
        async with scene.database.transaction() as tx:
            second = await leases.acquire(tx, scene.account, "another", OTHER, wall_us=1)
        return await acquire(scene, ONE), second, await acquire(other, OTHER)

    assert runner.run(play()) == (1, 1, 1)


async def claimed_twice(scene, rival):
    """Let one holder claim an order and another take over."""
    order_id = await scene.entry_order(await scene.enter())
    epoch = await acquire(scene, ONE)
    row = await scene.order(order_id)
    scene.clock.pass_time(60)
    newer = await acquire(rival, OTHER)
    return row, epoch, newer


def test_an_old_epoch_claims_nothing(scene, rival, runner):
    """The claim itself asks who holds the lease."""

    async def play():
        row, old, new = await claimed_twice(scene, rival)
        claims = []
        for epoch in (old, new):
            async with scene.database.transaction() as tx:
                claims.append(
                    await orders.claim(
                        tx, row, epoch=epoch, wall_us=scene.clock.wall_us(), at_us=scene.now_us
                    )
                )
        return [claim.is_ours for claim in claims]

    assert runner.run(play()) == [False, True]


def test_an_order_is_claimed_once(scene, runner):
    """Two tasks of one holder: one of them sends."""

    async def play():
        order_id = await scene.entry_order(await scene.enter())
        row, epoch = await scene.order(order_id), await acquire(scene, ONE)
        claims = []
        for _ in range(2):
            async with scene.database.transaction() as tx:
                claims.append(
                    await orders.claim(tx, row, epoch=epoch, wall_us=1, at_us=scene.now_us)
                )
        return [claim.is_ours for claim in claims]

    assert runner.run(play()) == [True, False]


def test_an_old_epoch_moves_no_order_on(scene, rival, runner):
    """The word of the exchange's own stream has no epoch and always counts."""

    async def play():
        row, old, new = await claimed_twice(scene, rival)
        moved = []
        for epoch, state in (
            (old, OrderState.EXPIRED_UNSENT),
            (new, OrderState.EXPIRED_UNSENT),
        ):
            async with scene.database.transaction() as tx:
                moved.append(await orders.advance(tx, row, state, at_us=scene.now_us, epoch=epoch))
        async with scene.database.transaction() as tx:
            moved.append(
                await orders.advance(tx, row, OrderState.EXPIRED_UNSENT, at_us=scene.now_us)
            )
        return moved

    assert runner.run(play()) == [False, True, True]
