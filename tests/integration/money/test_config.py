"""The account's document in the database: applied once, edited by people, never loosened."""

from __future__ import annotations

import copy

import pytest
from tests.integration.money.scene import document, fleet

from recio.adapters.postgres import config
from recio.domain.account_config import Trading, parse_account, to_document
from recio.domain.errors import InvalidValue, Rejected
from recio.domain.units import as_datetime


@pytest.fixture
def apply(scene, runner):
    """A function that applies a changed document of the scene's account."""

    def apply_changed(change=None, *, name=None):
        wanted = document(name or scene.account)
        if change is not None:
            change(wanted["spec"])

        async def play():
            async with scene.owner.transaction() as tx:
                return await config.apply_account(
                    tx, wanted, environment="paper", at_us=scene.now_us, author="test"
                )

        return runner.run(play())

    return apply_changed


def save(scene, runner, **overrides):
    """Save a person's edits as the page does."""

    async def play():
        async with scene.owner.transaction() as tx:
            return await config.save_overrides(
                tx, scene.account, overrides, author="anna", at_us=scene.now_us
            )

    return runner.run(play())


def effective(scene, runner):
    """Read what counts, as the account's services do."""

    async def play():
        async with scene.database.transaction() as tx:
            return await config.effective_config(tx, scene.account)

    return runner.run(play())


def edits(scene, runner):
    """Read a person's edits that count."""

    async def play():
        async with scene.database.transaction() as tx:
            return await config.newest_overrides(tx, scene.account)

    return runner.run(play())


def generations(scene, runner, table="account_config"):
    """Return how many generations of a table there are."""
    return runner.run(
        scene.one(f"SELECT count(*) FROM trading.{table} WHERE account = %s", scene.account)
    )[0]


def enable(spec):
    """Switch automatic entries on."""
    spec["strategy"] = {"autoEntry": {"enabled": True}}


def test_applying_the_same_document_again_changes_nothing(scene, apply, runner):
    """Not a generation, not a switch, not an audit row."""
    before = runner.run(scene.rows("SELECT count(*) FROM trading.audit"))
    apply()
    apply()

    assert generations(scene, runner) == 1
    assert runner.run(scene.rows("SELECT count(*) FROM trading.audit")) == before


def test_what_the_api_server_adds_is_no_change(scene, runner):
    """Resource versions, status and annotations mean nothing to a trader."""
    wanted = document(scene.account)
    wanted["metadata"] |= {"resourceVersion": "17", "uid": "x", "annotations": {"a": "b"}}
    wanted["status"] = {"observedGeneration": 3}

    async def play():
        async with scene.owner.transaction() as tx:
            await config.apply_account(
                tx, wanted, environment="paper", at_us=scene.now_us, author="test"
            )

    runner.run(play())

    assert generations(scene, runner) == 1


def test_a_changed_document_is_the_next_generation(scene, apply, runner):
    """The old one stays; the new one counts at once."""
    apply(enable)

    assert generations(scene, runner) == 2
    assert effective(scene, runner).strategy.auto_entry.enabled


def test_what_is_read_is_what_was_written(scene, runner):
    """The configuration of the database is the document's."""
    assert effective(scene, runner) == parse_account(document(scene.account))
    assert parse_account(to_document(effective(scene, runner))) == effective(scene, runner)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("spec.mode", {"mode": "shadow", "credentialsSecretRef": {"name": "key"}}),
        ("spec.paper.initialBalanceDollars", {"paper": {"initialBalanceDollars": 5}}),
    ],
)
def test_what_is_for_life_cannot_be_changed(scene, apply, runner, path, change):
    """Refused by name, and nothing is written."""
    with pytest.raises(InvalidValue, match=path):
        apply(lambda spec: spec.update(copy.deepcopy(change)))

    assert generations(scene, runner) == 1


def test_an_invalid_document_is_refused_as_a_whole(scene, apply, runner):
    """With every problem at once; the newest valid one goes on counting."""
    with pytest.raises(InvalidValue) as caught:
        apply(lambda spec: spec["risk"].update(maxOpenTrades=0, minPriceCents=0))

    assert "maxOpenTrades" in str(caught.value)
    assert "minPriceCents" in str(caught.value)
    assert effective(scene, runner).risk.max_open_trades == 3


def test_the_resource_s_switch_follows_the_document(scene, apply, runner):
    """It is the row of its own source, and released by it."""

    def states():
        return runner.run(
            scene.rows(
                "SELECT source, state::text FROM trading.switches WHERE scope = %s", scene.account
            )
        )

    assert states() == [("resource", "Active")]
    apply(lambda spec: spec.update(trading="ReduceOnly"))
    assert states() == [("resource", "ReduceOnly")]
    apply()
    assert states() == [("resource", "Active")]


def test_an_unknown_account_has_no_configuration(scene, runner):
    """The message says what to do."""

    async def play():
        async with scene.owner.transaction() as tx:
            await config.effective_config(tx, "nobody")

    with pytest.raises(Rejected, match="apply its TradingAccount first"):
        runner.run(play())


def test_edits_lie_over_the_document(scene, runner):
    """Only what was edited differs."""
    made = save(scene, runner, strategy={"autoEntry": {"enabled": True, "cooldownSeconds": 99}})

    assert made == effective(scene, runner)
    assert (made.strategy.auto_entry.enabled, made.strategy.auto_entry.cooldown_seconds) == (
        True,
        99,
    )
    plain = parse_account(document(scene.account))
    assert made.strategy.auto_entry.min_probability_permille == (
        plain.strategy.auto_entry.min_probability_permille
    )
    assert made.risk == plain.risk


def test_the_newest_edits_count(scene, runner):
    """Each is a generation of its own; they are kept."""
    save(scene, runner, strategy={"autoEntry": {"enabled": True}})
    save(scene, runner, strategy={"autoEntry": {"cooldownSeconds": 5}})

    assert generations(scene, runner, "account_settings") == 2
    assert not effective(scene, runner).strategy.auto_entry.enabled
    assert effective(scene, runner).strategy.auto_entry.cooldown_seconds == 5


def test_limits_are_only_ever_tightened(scene, runner):
    """The tighter of both, field by field."""
    made = save(scene, runner, risk={"maxOpenTrades": 1, "maxOrdersPerMinute": 300})

    assert (made.risk.max_open_trades, made.risk.max_orders_per_minute) == (1, 30)


def test_a_tighter_document_wins_over_an_older_edit(scene, apply, runner):
    """And limits that overtake each other are all kept: nothing stops reading them."""
    save(scene, runner, risk={"maxContractsPerEvent": 15})
    apply(
        lambda spec: spec["risk"].update(
            maxContractsPerOrder=10, maxContractsPerEvent=12, maxContractsTotal=12
        )
    )
    assert effective(scene, runner).risk.max_contracts_per_event == 12

    save(scene, runner, risk={"maxContractsPerEvent": 11})
    apply(
        lambda spec: spec["risk"].update(
            maxContractsPerOrder=4, maxContractsPerEvent=20, maxContractsTotal=30
        )
    )
    risk = effective(scene, runner).risk
    assert (risk.max_contracts_per_order, risk.max_contracts_per_event) == (4, 11)

    apply(
        lambda spec: spec["risk"].update(
            maxContractsPerOrder=4, maxContractsPerEvent=5, maxContractsTotal=6
        )
    )
    risk = effective(scene, runner).risk
    assert (risk.max_contracts_per_event, risk.max_contracts_total) == (5, 6)


@pytest.mark.parametrize(
    "overrides",
    [
        {"risk": {"maxOpenTrades": 0}},
        {"risk": {"maxNonsense": 3}},
        {"risk": {"maxContractsPerOrder": 10_000}},
        {"strategy": {"autoEntry": {"minSecondsToClose": 900, "maxSecondsToClose": 10}}},
        {"strategy": {"autoEntry": {"enabled": 1}}},
        {"trading": "Active"},
    ],
)
def test_an_edit_out_of_bounds_is_refused(scene, runner, overrides):
    """And nothing is written."""
    with pytest.raises(Rejected):
        save(scene, runner, **overrides)

    assert generations(scene, runner, "account_settings") == 0


def test_a_document_that_changes_an_edited_setting_wins(scene, apply, runner):
    """Only in what it changed; where it takes the change back, the edit counts again."""
    save(scene, runner, strategy={"autoEntry": {"enabled": True, "cooldownSeconds": 99}})
    apply(lambda spec: spec.update(strategy={"autoEntry": {"cooldownSeconds": 20}}))

    found = effective(scene, runner).strategy.auto_entry
    assert (found.enabled, found.cooldown_seconds) == (True, 20)
    assert edits(scene, runner) == {"strategy": {"autoEntry": {"enabled": True}}}

    apply(lambda spec: spec.update(series=["KXBTCD", "KXBTC15M"]))
    assert effective(scene, runner).strategy.auto_entry.cooldown_seconds == 99


def test_an_edit_after_the_document_counts_again(scene, apply, runner):
    """A person has the last word when it is the last one."""
    apply(lambda spec: spec.update(strategy={"autoEntry": {"cooldownSeconds": 20}}))
    save(scene, runner, strategy={"autoEntry": {"cooldownSeconds": 30}})

    assert effective(scene, runner).strategy.auto_entry.cooldown_seconds == 30


def test_edits_that_a_document_leaves_without_sense_switch_entries_off(scene, apply, runner):
    """A window that ends before it begins: no entry, and nothing stops reading."""
    apply(enable)
    save(scene, runner, strategy={"autoEntry": {"maxSecondsToClose": 300}})
    apply(
        lambda spec: spec.update(
            strategy={"autoEntry": {"enabled": True, "minSecondsToClose": 600}}
        )
    )

    found = effective(scene, runner).strategy.auto_entry
    assert not found.enabled
    assert (found.min_seconds_to_close, found.max_seconds_to_close) == (600, 900)


def test_a_change_is_seen_at_once(scene, apply, runner):
    """What is kept of earlier reads is never what an older document said."""
    seen = []
    for contracts in (3, 4, 3):
        apply(
            lambda spec, contracts=contracts: spec.update(
                strategy={"sizing": {"contracts": contracts}}
            )
        )
        seen.append(effective(scene, runner).strategy.sizing.contracts)
        seen.append(effective(scene, runner).strategy.sizing.contracts)

    assert seen == [3, 3, 4, 4, 3, 3]
    assert generations(scene, runner) == 4


def test_accounts_with_equal_documents_stay_apart(scene, accounts, runner):
    """Each has its own name in its own configuration."""
    other = accounts()

    assert effective(scene, runner).name == scene.account
    assert effective(other, runner).name == other.account


def test_a_document_that_does_not_read_is_told_every_time(scene, runner):
    """An older version wrote it; the error is not forgotten and not remembered."""

    async def play():
        async with scene.owner.transaction() as tx:
            await tx.execute(
                "INSERT INTO trading.account_config VALUES (%s, 2, %s::jsonb, %s)",
                *(scene.account, '{"spec": {}}', as_datetime(scene.now_us)),
            )

    runner.run(play())
    for _ in range(2):
        with pytest.raises(InvalidValue, match="apiVersion"):
            effective(scene, runner)


def test_the_fleet_is_applied_once(lonely_accounts, runner):
    """Its switch stands over all accounts."""
    scene = lonely_accounts()

    async def play():
        for wanted in (fleet("NoNewEntries", max_open_trades=3),) * 2:
            async with scene.owner.transaction() as tx:
                await config.apply_fleet(tx, wanted, at_us=scene.now_us, author="test")
        return await scene.rows(
            "SELECT scope, source, state::text, version FROM trading.switches WHERE scope = '*'"
        )

    assert runner.run(play()) == [("*", "fleet", Trading.NO_NEW_ENTRIES.value, 1)]


def test_a_fleet_that_makes_no_sense_is_refused(scene, runner):
    """By field."""

    async def play():
        async with scene.owner.transaction() as tx:
            await config.apply_fleet(tx, fleet(max_open_trades=0), at_us=1, author="test")

    with pytest.raises(InvalidValue, match="maxOpenTrades"):
        runner.run(play())
