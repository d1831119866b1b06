"""A strategy of one's own in the entry fold: asked when the event is open, judged by every gate."""

from __future__ import annotations

import msgspec
import pytest

from recio.domain.account_config import (
    AccountConfig,
    AutoEntry,
    ConfigMapKeyRef,
    CustomStrategy,
    Model,
    Risk,
    Series,
    Sizing,
    Strategy,
    StrategyName,
    Trading,
)
from recio.domain.proposals import Proposal, View
from recio.domain.trades import TradeState
from recio.domain.units import SECOND_US
from recio.engine import records, replay
from recio.engine.entry import Ask, Known, Propose, Proposed, State, step
from recio.engine.journal import Batch, EntryStarted, Packer, Stopped, decoded, sealed
from recio.engine.records import Record
from recio.testing import pictures
from recio.testing.pictures import ABOVE, AT_US, BELOW, EVENT, PICTURE

NAME = "Custom Mine 0123456789ab"


def known(*, trades=(), switch=Trading.ACTIVE, risk=None, contracts=5, cash=None, **rules):
    """Return what the database says of an account with a strategy of its own."""
    custom = CustomStrategy(
        config_map_ref=ConfigMapKeyRef(name="mine", key="mine.py"), class_name="Mine"
    )
    strategy = Strategy(
        name=StrategyName.CUSTOM,
        custom=custom,
        model=Model.FINGERPRINTS,
        auto_entry=AutoEntry(**{"enabled": True} | rules),
        sizing=Sizing(contracts=contracts),
    )
    config = AccountConfig(
        name="paper", strategy=strategy, risk=risk or Risk(), series=(Series.KXBTCD,)
    )
    return Known(config=config, switch=switch, trades=tuple(trades), cash_usd_e6=cash)


def prepared(picture=PICTURE, **changes):
    """Return a state that knows its account, and what it says to a picture."""
    state = State("paper")
    step(state, known(**changes))
    return state, step(state, picture)[1]


def proposal(ticker=BELOW, side="yes", **changes):
    """Return a proposal that every gate lets through."""
    return Proposal(
        **{"market_ticker": ticker, "side": side, "contracts": 3, "p_e6": 975_000} | changes
    )


def answer(*proposals, generation=1, at_us=AT_US, **changes):
    """Return the strategy's answer to a picture."""
    return Proposed(
        event_ticker=EVENT,
        generation=generation,
        at_us=at_us,
        proposals=proposals,
        **{"strategy": NAME} | changes,
    )


def said(commands):
    """Return intents, and each strike's gate by the record."""
    wishes = [command.intent for command in commands if isinstance(command, Propose)]
    made = [c.record if isinstance(c, Propose) else c for c in commands]
    (record, *_) = [each for each in made if isinstance(each, Record)]
    body = records.read_entry(record.body)
    return wishes, body, {strike.ticker: strike.gate for strike in body.strikes}


def test_it_is_asked_with_all_that_it_may_see():
    """The view is plain values: prices, the account's own model, what is held, the rules."""
    trade = pictures.trade(ABOVE, "no")
    _, commands = prepared(trades=[trade], cash=7_000_000)
    (ask,) = [command for command in commands if isinstance(command, Ask)]
    view = ask.view

    assert (ask.event_ticker, ask.generation, ask.at_us) == (EVENT, 1, AT_US)
    assert (view.seconds_to_close, view.price_usd_e6, view.cash_usd_e6) == (
        600, pictures.PRICE, 7_000_000,
    )  # fmt: skip
    strike = view.strike_of(BELOW)
    assert (strike.p_e6("yes"), strike.ask_e4("yes"), strike.edge_e4("yes")) == (
        980_000,
        9_500,
        266,
    )
    assert view.strike_of(ABOVE).p_e6("no") == 980_000
    assert [(one.market_ticker, one.qty_e2) for one in view.held] == [(ABOVE, 500)]
    assert (view.rules.most_contracts, view.rules.max_open_trades) == (5, 3)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(view), type=View) == view


@pytest.mark.parametrize(
    ("picture", "changes"),
    [
        (PICTURE, {"enabled": False}),
        (PICTURE, {"switch": Trading.REDUCE_ONLY}),
        (pictures.later(PICTURE, -1200), {}),
        (msgspec.structs.replace(PICTURE, is_trading_active=None), {}),
        (msgspec.structs.replace(PICTURE, price_usd_e6=None), {}),
        (msgspec.structs.replace(PICTURE, momentum=pictures.momentum(400_000)), {}),
    ],
)
def test_it_is_not_asked_while_the_event_is_closed_to_entries(picture, changes):
    """Every gate of the whole event holds for it, and the record says which."""
    _, commands = prepared(picture, **changes)

    assert [command for command in commands if isinstance(command, Ask)] == []
    assert said(commands)[1].gate


def test_hourly_htc_is_never_asked():
    """There is nobody to ask."""
    state = State("paper")
    hourly = known()
    plain = Strategy(auto_entry=AutoEntry(enabled=True), model=Model.FINGERPRINTS)
    config = msgspec.structs.replace(hourly.config, strategy=plain)
    step(state, msgspec.structs.replace(hourly, config=config))

    commands = step(state, PICTURE)[1]

    assert not [command for command in commands if isinstance(command, Ask)]
    assert step(state, answer(proposal()))[1] == ()


def test_a_proposal_becomes_an_intent_with_its_own_probability():
    """It names the strategy and its source, so that the trade does."""
    state, _ = prepared()
    wishes, body, gates = said(step(state, answer(proposal(reason="calm")))[1])

    (wish,) = wishes
    assert (wish.market_ticker, wish.side, wish.qty_e2) == (BELOW, "yes", 300)
    assert (wish.p_e6, wish.edge_e4, wish.limit_price_e4) == (975_000, 216, 9_500)
    assert wish.reason == NAME
    assert gates[ABOVE] == "not_proposed"
    assert (body.told.strategy, body.told.proposals[0].reason) == (NAME, "calm")


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"p_e6": 949_999}, "probability"),
        ({"p_e6": 955_000}, "edge"),
        ({"limit_price_e4": 9_499}, "limit"),
        ({"limit_price_e4": 9_500}, ""),
        ({"side": "no", "p_e6": 999_000}, "price_band"),
    ],
)
def test_a_proposal_passes_the_gates_of_a_strike(changes, gate):
    """Its own probability must be worth its price."""
    risk = msgspec.structs.replace(Risk(), min_price_cents=10)
    state, _ = prepared(risk=risk)

    assert said(step(state, answer(proposal(**changes)))[1])[2][BELOW] == gate


def test_it_may_buy_the_side_that_is_not_the_active_one():
    """Which of the two is likelier is its own opinion."""
    state, _ = prepared()
    (wish,), _, _ = said(step(state, answer(proposal(ABOVE, "yes", p_e6=960_000)))[1])

    assert (wish.side, wish.limit_price_e4) == ("yes", 300)


def test_sizing_and_limits_only_make_it_less():
    """A hundred are wished for; the settings say five, one event may have nine."""
    state, _ = prepared(risk=msgspec.structs.replace(Risk(), max_contracts_per_event=9))
    both = (proposal(contracts=100), proposal(ABOVE, "no", contracts=100))
    wishes, _, gates = said(step(state, answer(*both))[1])

    assert [wish.qty_e2 for wish in wishes] == [500]
    assert sorted((gates[BELOW], gates[ABOVE])) == ["", "event_contracts"]


def test_what_fails_is_told_and_enters_nothing():
    """The record has the reason; the next good answer goes on."""
    state, _ = prepared()
    wishes, body, _ = said(step(state, answer(failure="timeout: no answer within 1 s"))[1])

    assert (wishes, body.gate) == ([], "strategy_failed")
    assert body.told.failure == "timeout: no answer within 1 s"
    assert state.shown.status == "INACTIVE"
    assert state.shown.reason == "strategy_failed: timeout: no answer within 1 s"
    step(state, pictures.later(PICTURE, 1))
    good = answer(proposal(), generation=2, at_us=AT_US + SECOND_US)
    assert said(step(state, good)[1])[0]
    assert state.shown.status == "ACTIVE"


def test_a_late_answer_enters_nothing():
    """It was given to prices that are gone."""
    state, _ = prepared()
    step(state, pictures.later(PICTURE, 2.5))

    wishes, body, _ = said(step(state, answer(proposal()))[1])

    assert (wishes, body.gate) == ([], "strategy_late")


def test_an_answer_is_judged_on_the_newest_prices():
    """While it thought, the ask rose beyond what its probability is worth."""
    state, _ = prepared()
    dear = pictures.with_row(pictures.later(PICTURE, 1), BELOW, yes_ask_e4=9_700)
    step(state, dear)

    assert said(step(state, answer(proposal()))[1])[2][BELOW] == "edge"


def test_a_market_that_is_not_in_the_picture_is_refused_by_name():
    """A typing mistake is not an order."""
    state, _ = prepared()

    wishes, _, gates = said(step(state, answer(proposal("KXBTCD-25AUG0122-T1")))[1])

    assert (wishes, gates["KXBTCD-25AUG0122-T1"]) == ([], "not_in_picture")


def test_changed_source_waits_until_the_trades_of_the_old_one_are_over():
    """A person's own trades and ended ones do not count."""
    old = pictures.trade(ABOVE, "no", strategy="Custom Mine ffffffffffff")
    state, _ = prepared(trades=[old])
    assert said(step(state, answer(proposal()))[1])[1].gate == "strategy_changed"

    for other in (
        msgspec.structs.replace(old, strategy=NAME),
        msgspec.structs.replace(old, source="manual"),
        msgspec.structs.replace(old, state=TradeState.SETTLED, pnl_usd_e6=0),
    ):
        state, _ = prepared(trades=[other])
        assert said(step(state, answer(proposal()))[1])[0]


def test_a_pending_wish_is_not_repeated_and_its_event_counts_it():
    """As for our own strategy."""
    state, _ = prepared()
    step(state, answer(proposal()))
    step(state, pictures.later(PICTURE, 1))
    again = answer(proposal(), generation=2, at_us=AT_US + SECOND_US)

    assert said(step(state, again)[1])[2][BELOW] == "attempt_pending"


def test_a_journal_with_answers_replays_to_the_byte():
    """The answer is an input like every other: the strategy itself is not asked again."""
    events = [
        EntryStarted(at_us=AT_US, account="paper", slippage_cents=0),
        known(),
        PICTURE,
        answer(proposal()),
        pictures.later(PICTURE, 1),
        answer(failure="raised: ValueError: no", generation=2, at_us=AT_US + SECOND_US),
        Stopped(AT_US + 2 * SECOND_US),
    ]
    packer = Packer()
    for event in events:
        packer.add(event)
    batch = Batch(
        owner="paper",
        host="auto_entry_supervisor",
        session=pictures.trade_id("a", "b"),
        seq=1,
        first_at_us=AT_US,
        count=packer.count,
        body=packer.body(),
    )
    read = list(decoded([sealed(batch, b"")], replay.ENTRY.decoder))
    first = replay.made(replay.replay(replay.ENTRY, events).commands)

    assert replay.made(replay.replay(replay.ENTRY, read).commands) == first
    assert len(first[0]) == 1


def test_two_answers_judged_on_one_snapshot_are_two_decisions():
    """The second one's wish leads to its own record, not to the first one's."""
    state, _ = prepared()
    step(state, pictures.later(PICTURE, 1.5))
    first = step(state, answer(generation=1))[1]
    second = step(state, answer(proposal(), generation=2, at_us=AT_US + SECOND_US))[1]

    (quiet,) = [command for command in first if isinstance(command, Record)]
    (wish,) = [command for command in second if isinstance(command, Propose)]
    assert wish.intent.decision_id == wish.record.decision_id != quiet.decision_id
    assert wish.record.generation == quiet.generation == 2
