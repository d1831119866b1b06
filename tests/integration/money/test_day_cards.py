"""Whose shadow an account has, and that no shadow is said plainly."""

from __future__ import annotations

import pytest
from tests.integration.money.scene import document

from recio.adapters.postgres import config
from recio.adapters.postgres.day_cards import NO_SHADOW, read_cards, shadow_words, shadows_of
from recio.domain.errors import InvalidValue


def apply(scene, runner, name, mode, *, series=("KXBTCD",), **strategy):
    """Apply an account of a mode beside the scene's."""
    wanted = document(name)
    spec = wanted["spec"]
    spec.pop("paper", None)
    spec |= {"mode": mode, "series": list(series), "credentialsSecretRef": {"name": name}}
    spec |= {"arming": name} if mode == "prod" else {}
    spec["strategy"] = {**spec.get("strategy", {}), **strategy}

    async def play():
        async with scene.owner.transaction() as tx:
            await config.apply_account(
                tx, wanted, environment=mode, at_us=scene.now_us, author="test"
            )

    runner.run(play())


def ask(scene, runner, question, *arguments, **more):
    """Ask in a transaction of the owner's."""

    async def play():
        async with scene.owner.transaction() as tx:
            return await question(tx, *arguments, **more)

    return runner.run(play())


def test_a_prod_account_is_shown_the_shadow_that_trades_alike(scene, runner):
    """Rule: same strategy and series; another model, other series or another mode is not it."""
    apply(scene, runner, "money", "prod")
    assert ask(scene, runner, shadow_words, "money", now_us=scene.now_us) == NO_SHADOW
    apply(scene, runner, "ghost", "shadow")
    apply(scene, runner, "other", "shadow", model="Blend")
    apply(scene, runner, "wider", "shadow", series=("KXBTCD", "KXBTC15M"))
    assert ask(scene, runner, shadows_of, "money") == ("ghost",)
    told = ask(scene, runner, shadow_words, "money", now_us=scene.now_us)
    assert told == "shadow ghost, 30 days: no ended trade in 0.0 h watched"


def test_an_account_without_trades_has_an_empty_card(scene, runner):
    """Rule: nothing known is nothing said; an unknown account is named."""
    found = ask(scene, runner, read_cards, scene.account, days=7, now_us=scene.now_us)
    assert found.days == ()
    assert found.total.figures.trades == 0
    with pytest.raises(InvalidValue, match="no account 'nobody'"):
        ask(scene, runner, read_cards, "nobody", days=7, now_us=scene.now_us)
