"""What the operator is told of accounts, under its own login."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.money.scene import document, fleet, login_url

from recio.adapters.postgres import config, status
from recio.adapters.postgres.database import PostgresDatabase
from recio.domain.account_config import Mode, Trading

KEY, OTHER_KEY = "a" * 64, "b" * 64


@pytest.fixture
def operator(module_database_url, runner):
    """The database under the operator's login."""
    port = PostgresDatabase(login_url(module_database_url, "recio_operator"), connections=2)
    yield port
    runner.run(port.close())


async def told(operator, account):
    """Return an account's status."""
    async with operator.transaction() as tx:
        found = {one.account: one for one in await status.account_statuses(tx)}
    return found.get(account)


async def claim(operator, account, key):
    """Claim a key in a transaction of its own."""
    async with operator.transaction() as tx:
        return await status.claim_key(tx, account, key, at_us=1)


def test_a_fresh_account_is_flat_and_has_nothing_open(scene, operator, runner):
    """With its document, its login and its switches."""
    one = runner.run(told(operator, scene.account))
    assert (one.environment, one.mode, one.generation) == ("paper", Mode.PAPER, 1)
    assert (one.is_flat, one.live_orders, one.open_trades) == (True, 0, 0)
    assert (one.executor, one.epoch, one.key_sha256) == (None, None, None)
    assert (one.has_login, one.has_overrides) == (True, False)
    assert one.applied_spec == document(scene.account)["spec"]
    assert [(row.source, row.state) for row in one.switches if row.scope == scene.account] == [
        ("resource", Trading.ACTIVE)
    ]


def test_what_is_on_its_way_counts_until_its_fills_are_booked(scene, operator, runner):
    """An order that was sent, then a position, then nothing."""

    async def play():
        seen = []

        async def look():
            one = await told(operator, scene.account)
            seen.append((one.is_flat, one.live_orders, one.open_trades))

        trade_id = await scene.enter()
        await look()
        await scene.fill_entry(trade_id)
        await scene.fold()
        await look()
        await scene.settle(scene.settlement(yes_e2=1000))
        await scene.fold()
        await look()
        return seen

    assert runner.run(play()) == [(True, 1, 1), (False, 0, 1), (True, 0, 0)]


def test_switches_are_the_accounts_and_those_of_all(scene, accounts, operator, runner):
    """Another account's are not among them."""
    other = accounts()

    async def play():
        await scene.switch(Trading.HALTED)
        await other.switch(Trading.FLATTEN)
        await scene.switch(Trading.REDUCE_ONLY, source="fleet", scope="*")
        one = await told(operator, scene.account)
        async with operator.transaction() as tx:
            every = await status.switches_of(tx)
            ours = await status.switches_of(tx, [scene.account])
        await scene.switch(Trading.ACTIVE, source="fleet", scope="*")
        return one, every, ours

    one, every, ours = runner.run(play())
    assert {(row.source, row.scope, row.state) for row in one.switches} >= {
        ("person", scene.account, Trading.HALTED),
        ("fleet", "*", Trading.REDUCE_ONLY),
    }
    assert other.account not in {row.scope for row in one.switches}
    assert set(every) >= {scene.account, other.account, "*"}
    assert set(ours) == {scene.account, "*"}


def test_a_persons_edits_show_while_they_count(scene, operator, runner):
    """Edits of nothing are none."""

    async def save(overrides):
        async with scene.owner.transaction() as tx:
            await config.save_overrides(
                tx, scene.account, overrides, author="admin", at_us=scene.now_us
            )
        return (await told(operator, scene.account)).has_overrides

    async def play():
        return [
            await save({"risk": {"maxOpenTrades": 1}}),
            await save({"strategy": {"autoEntry": {}}}),
        ]

    assert runner.run(play()) == [True, False]


def test_one_key_belongs_to_one_account(accounts, operator, runner):
    """Whoever comes second is told who has it; a claimed key follows its account."""
    one, other = accounts(), accounts()

    async def play():
        answers = [
            await claim(operator, one.account, KEY),
            await claim(operator, one.account, KEY),
            await claim(operator, other.account, KEY),
            await claim(operator, one.account, OTHER_KEY),
            await claim(operator, other.account, KEY),
        ]
        held = (await told(operator, one.account)).key_sha256
        async with operator.transaction() as tx:
            await status.release_key(tx, one.account)
            await status.release_key(tx, other.account)
        return answers, held, (await told(operator, one.account)).key_sha256

    answers, held, left = runner.run(play())
    assert answers == [None, None, one.account, None, None]
    assert (held, left) == (OTHER_KEY, None)


def test_of_two_that_claim_a_key_at_once_one_gets_it(accounts, operator, runner):
    """Neither sees an error."""
    one, other = accounts(), accounts()

    async def play():
        answers = await asyncio.gather(
            claim(operator, one.account, "c" * 64), claim(operator, other.account, "c" * 64)
        )
        return sorted(answers, key=str)

    answers = runner.run(play())
    assert answers[0] is None or answers[1] is None
    assert {one.account, other.account} & set(answers)


def test_a_login_that_is_disabled_is_seen(scene, operator, runner):
    """The operator makes it anew before it starts anything."""

    async def play():
        async with operator.transaction() as tx:
            await status.disable_account_login(tx, scene.account)
        before = (await told(operator, scene.account)).has_login
        async with operator.transaction() as tx:
            await status.set_account_login(tx, scene.account, None)
        return before, (await told(operator, scene.account)).has_login

    assert runner.run(play()) == (False, True)


def test_the_operator_applies_documents(operator, runner):
    """Of an account and of the fleet, and sees what it applied."""

    async def play():
        for _ in range(2):
            async with operator.transaction() as tx:
                await config.apply_account(
                    tx, document("applied"), environment="paper", at_us=1, author="operator"
                )
                await config.apply_fleet(tx, fleet("Halted"), at_us=1, author="operator")
        one = await told(operator, "applied")
        async with operator.transaction() as tx:
            await config.apply_fleet(tx, fleet(), at_us=2, author="operator")
        return one

    one = runner.run(play())
    assert (one.generation, one.has_login) == (1, False)
    assert {(row.source, row.state) for row in one.switches} == {
        ("resource", Trading.ACTIVE),
        ("fleet", Trading.HALTED),
    }
