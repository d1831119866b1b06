"""Every setting of the strategy changes what is decided: none is shown and then forgotten.

Each row is a scene, the field, another value than the scene's, and what must become of it.
"""

from __future__ import annotations

import msgspec
import pytest

from recio.domain.account_config import (
    AccountConfig,
    AutoEntry,
    AutoStop,
    Model,
    Risk,
    Series,
    Sizing,
    SizingMethod,
    SpikeAlert,
    Strategy,
    Trading,
)
from recio.domain.entry import Attempt
from recio.domain.strategy_fields import MomentumStop, ProbabilityStop
from recio.domain.trades import TradeState
from recio.engine import entry, stop
from recio.testing import pictures
from recio.testing.pictures import ABOVE, AT_US, BELOW, PICTURE

BASE = Strategy(
    model=Model.FINGERPRINTS, auto_entry=AutoEntry(enabled=True), sizing=Sizing(contracts=5)
)
KELLY = msgspec.structs.replace(
    BASE, sizing=Sizing(method=SizingMethod.CAPPED_KELLY, contracts=9, kelly_permille=10)
)
CALM = msgspec.structs.replace(BASE, spike_alert=SpikeAlert(leave_basis_points=35))
SPIKE = msgspec.structs.replace(PICTURE, momentum=pictures.momentum(400_000))


def config(strategy):
    """Return an account with this strategy."""
    wide = Risk(
        max_contracts_per_order=1000, max_contracts_per_event=1000, max_contracts_total=1000
    )
    return AccountConfig(name="paper", strategy=strategy, risk=wide, series=(Series.KXBTCD,))


def entered(strategy, *scene, trades=(), attempts=None):
    """Return market, side and quantity of every entry that follows from pictures."""
    state = entry.State("paper")
    known = entry.Known(
        config=config(strategy),
        switch=Trading.ACTIVE,
        trades=trades,
        attempts=attempts or {},
        cash_usd_e6=1_000_000_000,
    )
    entry.step(state, known)
    commands = [command for picture in scene for command in entry.step(state, picture)[1]]
    wishes = [each.intent for each in commands if isinstance(each, entry.Propose)]
    return {(wish.market_ticker, wish.side): wish.qty_e2 for wish in wishes}


def plain(strategy):
    """Ten minutes before the close, two strikes that pass every rule."""
    return entered(strategy, PICTURE)


def ended(strategy):
    """One of them was bought and sold before."""
    return entered(
        strategy, PICTURE, trades=(pictures.trade(state=TradeState.CLOSED, pnl_usd_e6=1),)
    )


def tried(strategy):
    """Both were tried ten seconds ago."""
    refused = Attempt(1, AT_US - 10_000_000, is_pending=False)
    return entered(strategy, PICTURE, attempts={(BELOW, "yes"): refused, (ABOVE, "no"): refused})


def spike(strategy):
    """Forty basis points of momentum, now."""
    return entered(strategy, SPIKE)


def after(strategy):
    """A minute after that momentum is at thirty-two, and stays there a quarter of an hour."""
    calmer = msgspec.structs.replace(
        pictures.later(SPIKE, 60), momentum=pictures.momentum(320_000), close_us=PICTURE.close_us
    )
    return entered(strategy, SPIKE, calmer, *_calm(calmer))


def _calm(picture):
    made = []
    for _ in range(4):
        picture = pictures.later(picture, 100)
        made.append(msgspec.structs.replace(picture, momentum=pictures.momentum(320_000)))
    return made


def exits(strategy, *scene):
    """Return sources and limits of every exit that follows from pictures, one open trade of YES."""
    state = stop.State("paper")
    known = stop.Known(
        config=config(strategy), switch=Trading.ACTIVE, trades=(pictures.trade(BELOW),)
    )
    stop.step(state, known)
    commands = [command for picture in scene for command in stop.step(state, picture)[1]]
    return [str(each.intent.source) for each in commands if isinstance(each, stop.Exit)]


def _losing(seconds, p_e6=350_000):
    return pictures.with_row(
        pictures.later(PICTURE, seconds),
        BELOW,
        p_yes_e6=p_e6,
        p_fingerprints_e6=p_e6,
        yes_bid_e4=3_000,
    )


def losing(strategy):
    """The trade's probability has been at 35 % for sixteen seconds."""
    scene = []
    for second in range(17):
        picture = _losing(second)
        scene.append(msgspec.structs.replace(picture, generation=second + 2))
    return exits(strategy, *scene)


def falling(strategy):
    """Forty basis points of momentum against it."""
    down = msgspec.structs.replace(PICTURE, momentum=pictures.momentum(-400_000))
    return exits(strategy, down)


def kelly(strategy):
    """Two strikes, a hundredth of Kelly."""
    return plain(strategy)


ROWS = [
    (plain, BASE, "auto_entry.enabled", False),
    (ended, BASE, "auto_entry.allow_reentry", True),
    (plain, BASE, "auto_entry.min_probability_permille", 981),
    (plain, BASE, "auto_entry.min_net_edge_basis_points", 267),
    (plain, BASE, "auto_entry.min_seconds_to_close", 601),
    (plain, BASE, "auto_entry.max_seconds_to_close", 599),
    (tried, BASE, "auto_entry.cooldown_seconds", 11),
    (plain, BASE, "auto_entry.min_volume_contracts", 2001),
    (spike, BASE, "spike_alert.enabled", False),
    (spike, BASE, "spike_alert.enter_basis_points", 41),
    (after, CALM, "spike_alert.cooldown_minutes", 1),
    (losing, BASE, "auto_stop.probability.enabled", False),
    (losing, BASE, "auto_stop.probability.below_permille", 350),
    (losing, BASE, "auto_stop.probability.min_seconds_to_close", 599),
    (losing, BASE, "auto_stop.probability.verify_seconds", 17),
    (falling, BASE, "auto_stop.momentum.enabled", False),
    (falling, BASE, "auto_stop.momentum.threshold_basis_points", 41),
    (plain, BASE, "sizing.contracts", 4),
    (plain, KELLY, "sizing.method", SizingMethod.FIXED),
    (kelly, KELLY, "sizing.kelly_permille", 1),
]


def changed(strategy, path, value):
    """Return the strategy with one field changed."""
    name, _, rest = path.partition(".")
    new = changed(getattr(strategy, name), rest, value) if rest else value
    return msgspec.structs.replace(strategy, **{name: new})


@pytest.mark.parametrize(("scene", "base", "path", "value"), ROWS, ids=[row[2] for row in ROWS])
def test_it_changes_what_is_decided(scene, base, path, value):
    """Alone, from a scene in which something else follows."""
    assert scene(base) != scene(changed(base, path, value))


def test_leaving_the_alarm_has_a_level_of_its_own():
    """Below it the cool-down runs; at or above it it never ends."""
    quick = changed(BASE, "spike_alert.cooldown_minutes", 1)

    assert after(changed(quick, "spike_alert.leave_basis_points", 35))
    assert not after(changed(quick, "spike_alert.leave_basis_points", 32))


def test_no_setting_is_left_out():
    """A new one needs a row."""
    parts = {
        "auto_entry": AutoEntry,
        "spike_alert": SpikeAlert,
        "auto_stop.probability": ProbabilityStop,
        "auto_stop.momentum": MomentumStop,
        "sizing": Sizing,
    }
    fields = {f"{path}.{name}" for path, part in parts.items() for name in part.__struct_fields__}

    assert fields == {row[2] for row in ROWS} | {"spike_alert.leave_basis_points"}
    assert set(AutoStop.__struct_fields__) == {"probability", "momentum"}
