"""Entry rules: every gate by itself, in its order."""

from __future__ import annotations

import msgspec
import pytest

from recio.domain import entry, sides
from recio.domain.account_config import (
    AccountConfig,
    AutoEntry,
    Model,
    Risk,
    Sizing,
    Strategy,
    Trading,
)
from recio.domain.entry import PASSED, Attempt, Held
from recio.domain.trades import TradeState
from recio.domain.units import MINUTE_US, SECOND_US
from recio.testing import pictures
from recio.testing.pictures import ABOVE, AT_US, BELOW, CLOSE_US, PICTURE


def config(*, risk=None, model=Model.FINGERPRINTS, **rules):
    """Return an account that enters automatically."""
    strategy = Strategy(
        model=model, auto_entry=AutoEntry(**{"enabled": True} | rules), sizing=Sizing(contracts=5)
    )
    return AccountConfig(name="paper", strategy=strategy, risk=risk or Risk())


def check(ticker=BELOW, *, settings=None, picture=PICTURE, held=None, attempt=None):
    """Judge one strike of a picture."""
    row = next(row for row in picture.rows if row.ticker == ticker)
    bounds = entry.bounds_of(settings or config())
    return entry.check_strike(bounds, picture, row, held=held or Held(), attempt=attempt)


def event_gate(settings=None, switch=Trading.ACTIVE, picture=PICTURE, *, is_spike=False):
    """Judge the event of a picture."""
    return entry.event_gate(settings or config(), switch, picture, is_spike=is_spike)


def at(seconds_to_close):
    """Return the picture at that distance from the close."""
    return pictures.later(PICTURE, (CLOSE_US - AT_US) / SECOND_US - seconds_to_close)


def test_a_good_strike_passes_on_its_active_side():
    """YES below the price, NO above; probability and edge are the side's own."""
    below, above = check(BELOW), check(ABOVE)

    assert (below.gate, below.side, below.p_e6, below.ask_e4, below.edge_e4) == (
        PASSED, "yes", 980_000, 9_500, 266,
    )  # fmt: skip
    assert (above.gate, above.side, above.p_e6, above.ask_e4, above.edge_e4) == (
        PASSED, "no", 980_000, 9_500, 266,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "gate"),
    [(901, "too_early"), (900, PASSED), (120, PASSED), (119, "too_late"), (0, "too_late")],
)
def test_the_time_window_is_inclusive(seconds, gate):
    """From 900 to 120 seconds before the close."""
    assert event_gate(picture=at(seconds)) == gate


def test_gates_of_the_event():
    """Each by itself."""
    assert event_gate() == PASSED
    assert event_gate(config(enabled=False)) == "disabled"
    assert event_gate(switch=Trading.NO_NEW_ENTRIES) == "switch_NoNewEntries"
    assert event_gate(is_spike=True) == "spike_pause"
    for status in (False, None):
        picture = msgspec.structs.replace(PICTURE, is_trading_active=status)
        assert event_gate(picture=picture) == "exchange_not_trading"
    unopened = msgspec.structs.replace(PICTURE, open_us=AT_US + 1)
    assert event_gate(picture=unopened) == "not_open"


def test_the_price_must_be_known_and_fresh():
    """Three seconds old is the most by default; times are the snapshot's."""
    assert event_gate(picture=msgspec.structs.replace(PICTURE, price_usd_e6=None)) == "no_index"
    limit = msgspec.structs.replace(PICTURE, price_at_us=AT_US - 3 * SECOND_US)
    assert event_gate(picture=limit) == PASSED
    over = msgspec.structs.replace(PICTURE, price_at_us=AT_US - 3 * SECOND_US - 1)
    assert event_gate(picture=over) == "price_stale"


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"reason": "market_closed"}, "market_closed"),
        ({"is_valid": False}, "book_invalid"),
        ({"book_at_us": AT_US - 5 * SECOND_US - 1}, "book_stale"),
        ({"book_at_us": 0}, "book_stale"),
        ({"volume_e2": 99_999}, "volume"),
        ({"volume_e2": None}, "volume"),
        ({"yes_ask_e4": None}, "no_ask"),
        ({"yes_ask_e4": 9_900}, "price_band"),
        ({"p_yes_e6": 949_999}, "probability"),
        ({"yes_ask_e4": 9_800, "yes_fee_e4": 14}, "edge"),
        ({"yes_fee_e4": None}, "edge"),
    ],
)
def test_gates_of_a_strike(changes, gate):
    """Each by itself, on a strike that else passes."""
    assert check(picture=pictures.with_row(PICTURE, BELOW, **changes)).gate == gate


def test_the_edge_limit_is_inclusive():
    """25 basis points of a dollar after the fee."""
    row = {"yes_ask_e4": 9_700, "yes_fee_e4": 75}

    assert check(picture=pictures.with_row(PICTURE, BELOW, **row)).gate == PASSED
    assert (
        check(picture=pictures.with_row(PICTURE, BELOW, **row | {"yes_fee_e4": 76})).gate == "edge"
    )


def test_the_accounts_own_model_decides():
    """The page's model may know nothing; the account's probability counts, and so does its edge."""
    picture = pictures.with_row(
        PICTURE, BELOW, p_yes_e6=None, reason="fingerprints_unknown", p_volatility_e6=990_000
    )

    seen = check(picture=picture, settings=config(model=Model.VOLATILITY))

    assert (seen.gate, seen.p_e6, seen.edge_e4) == (PASSED, 990_000, 366)
    assert check(picture=picture).gate == "fingerprints_unknown"
    blind = pictures.with_row(picture, BELOW, p_volatility_e6=None)
    assert check(picture=blind, settings=config(model=Model.VOLATILITY)).gate


def test_a_live_trade_in_the_market_bars_both_sides():
    """The exchange would net a second position."""
    held = entry.held_of([pictures.trade(BELOW, "no")])

    assert check(held=held).gate == "live_trade"


@pytest.mark.parametrize("state", [TradeState.CLOSED, TradeState.SETTLED])
def test_without_re_entry_a_side_is_entered_once(state):
    """Also after a stop-out; an attempt that bought nothing is no entry."""
    ended = pictures.trade(state=state, pnl_usd_e6=-1)
    empty = pictures.trade(state=TradeState.ABANDONED, filled_qty_e2=0, open_qty_e2=0)

    assert check(held=entry.held_of([ended])).gate == "entered_before"
    assert check(held=entry.held_of([ended]), settings=config(allow_reentry=True)).gate == PASSED
    assert check(held=entry.held_of([empty])).gate == PASSED
    assert check(ABOVE, held=entry.held_of([ended])).gate == PASSED


def test_attempts_are_awaited_and_cooled_down():
    """Ten seconds after a decided attempt the next one may come."""

    def gate(seconds, *, is_pending=False):
        attempt = Attempt(1, AT_US - seconds * SECOND_US, is_pending=is_pending)
        return check(attempt=attempt).gate

    assert gate(1_000, is_pending=True) == "attempt_pending"
    assert gate(9) == "cooldown"
    assert gate(10) == PASSED


def test_what_is_held_and_in_flight():
    """A filled trade counts what it holds, one in flight all that it wants at the highest price."""
    held = entry.held_of(
        [
            pictures.trade(BELOW),
            pictures.trade(ABOVE, "no", state=TradeState.ENTERING, filled_qty_e2=0, open_qty_e2=0),
            pictures.trade(BELOW, "no", state=TradeState.SETTLED, pnl_usd_e6=0),
        ]
    )

    assert (held.open_trades, held.qty_e2, held.cost_usd_e6) == (2, 1_000, 4_750_000 + 5_000_000)
    assert held.event_qty_e2 == {pictures.EVENT: 1_000}


@pytest.mark.parametrize(
    ("limits", "gate"),
    [
        ({"max_open_trades": 1}, "max_open_trades"),
        ({"max_contracts_per_event": 9}, "event_contracts"),
        ({"max_contracts_total": 9}, "total_contracts"),
        ({"max_cost_per_event_dollars": 9}, "event_cost"),
        ({"max_cost_total_dollars": 9}, "total_cost"),
        ({}, PASSED),
    ],
)
def test_the_accounts_limits(limits, gate):
    """Five contracts for 4.75 dollars are held, as many more are wanted."""
    held = entry.held_of([pictures.trade(BELOW)])
    settings = config(risk=msgspec.structs.replace(Risk(), **limits))

    assert entry.limit_gate(settings, held, pictures.EVENT, 500, 4_777_000) == gate


def test_two_entries_of_one_picture_are_counted_together():
    """The second sees the first as filled whole."""
    held = entry.with_entry(Held(), pictures.EVENT, (BELOW, "yes"), 500, 4_777_000)
    settings = config(risk=msgspec.structs.replace(Risk(), max_contracts_per_event=9))

    assert entry.limit_gate(settings, held, pictures.EVENT, 500, 4_777_000) == "event_contracts"
    assert check(held=held).gate == "live_trade"


def test_minutes_are_not_the_wall_clocks():
    """Nothing but the snapshot's own times is looked at."""
    shifted = msgspec.structs.replace(
        pictures.later(PICTURE, 86_400),
        close_us=CLOSE_US + 86_400 * SECOND_US,
        open_us=PICTURE.open_us + 1440 * MINUTE_US,
    )

    assert event_gate(picture=shifted) == event_gate()


@pytest.mark.parametrize("model", Model)
def test_the_hot_path_sees_what_the_page_sees(model):
    """Probability, ask and fee of both sides are those of ``sides.view``."""
    blind = pictures.with_row(PICTURE, BELOW, yes_bid_e4=None, yes_ask_e4=None, p_yes_e6=None)
    bounds = entry.bounds_of(config(model=model))
    for picture in (PICTURE, blind):
        for row in picture.rows:
            for side in (sides.YES, sides.NO):
                seen = sides.view(picture, row, side, model)
                hot = entry._seen(bounds, picture, row, side)
                assert hot == (seen.p_e6, seen.ask_e4, seen.fee_e4)
