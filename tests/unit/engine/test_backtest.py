"""The backtest: live folds, the gate, late orders, and books that agree."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.engine.backtest_tape import (
    CLOSE_US,
    EVENT,
    MARKET,
    PRICE,
    QUOTE,
    account,
    played,
    seconds,
    settled,
    warmed,
)

from recio.domain.errors import InvalidValue
from recio.domain.trades import TradeState
from recio.domain.units import SECOND_US
from recio.engine import tape


def quoted(**changes: object):
    """Return the quote with other figures."""
    return msgspec.structs.replace(QUOTE, **changes)


def test_a_trade_goes_from_decision_to_settlement():
    """Bought at the ask, paid a dollar for a winner: cash moves by that and the fee, to the cent."""
    watched, machine = played([*warmed(), *seconds(920, 1), settled("yes")])
    (end,) = watched.ends
    assert (end.trade.state, end.trade.side, end.reason) == (TradeState.SETTLED, "yes", "settled")
    assert end.trade.entry_cost_usd_e6 == 5 * 900_000
    assert end.trade.pnl_usd_e6 == 5 * 100_000 - end.trade.fees_usd_e6
    assert machine.portfolio.cash_usd_e6 == 10**9 + end.trade.pnl_usd_e6
    assert end.seen.ask_e4 == 9000
    assert end.seen.seconds_to_close <= 900


def test_a_loser_costs_what_was_paid():
    """A contract that settles the other way is worth nothing."""
    watched, machine = played([*warmed(), *seconds(920, 1), settled("no")])
    (end,) = watched.ends
    assert end.trade.pnl_usd_e6 == -(end.trade.entry_cost_usd_e6 + end.trade.fees_usd_e6)
    assert machine.portfolio.cash_usd_e6 == 10**9 + end.trade.pnl_usd_e6


def test_an_order_that_comes_too_late_gets_nothing():
    """What was displayed at the decision and gone at the arrival is not filled, and costs nothing."""
    dearer = quoted(yes_bid_e4=9800, yes_ask_e4=9900)
    events = [*warmed(), *seconds(900, 900), *seconds(899, 1, quote=dearer)]
    watched, machine = played(events, latency_us=3 * SECOND_US)
    assert [end.trade.state for end in watched.ends] == [TradeState.ABANDONED]
    assert machine.portfolio.cash_usd_e6 == 10**9


def test_what_is_displayed_is_all_there_is():
    """Five wanted, two displayed: two bought, and the rest is canceled."""
    watched, _ = played(
        [*warmed(), *seconds(920, 1, quote=quoted(yes_ask_qty_e2=200)), settled("yes")]
    )
    (end,) = watched.ends
    assert (end.trade.wanted_qty_e2, end.trade.filled_qty_e2) == (500, 200)


def test_a_fall_is_sold_by_the_stop():
    """When the probability stays below the limit the position is sold at the bid that is there."""
    fallen = quoted(yes_bid_e4=2000, yes_ask_e4=2200)
    events = [
        *warmed(),
        *seconds(900, 500),
        *seconds(499, 100, price_usd_e6=PRICE - 500_000_000, quote=fallen),
    ]
    watched, _ = played(events)
    (end,) = watched.ends
    assert end.trade.state is TradeState.CLOSED
    assert end.trade.exit_proceeds_usd_e6 > 0
    assert "below" in end.reason or "momentum" in end.reason


def test_a_result_that_is_not_on_the_tape_is_not_guessed():
    """The trade ends as expired, without a profit or a loss."""
    watched, _ = played([*warmed(), *seconds(920, 1)])
    (end,) = watched.ends
    assert end.trade.state in (TradeState.OPEN, TradeState.EXPIRED)
    assert end.trade.pnl_usd_e6 is None


def test_a_result_that_comes_late_is_still_booked():
    """An hour later the event was put away long ago; its trade was not."""
    watched, machine = played([*warmed(), *seconds(920, 1), settled("yes", after_s=3600)])
    (end,) = watched.ends
    assert end.trade.state is TradeState.SETTLED
    assert machine.portfolio.trades == ()


def test_an_order_that_meets_a_settled_market_gets_nothing():
    """A result can come before its time; what is on its way then finds nobody."""
    early = msgspec.structs.replace(settled("yes"), at_us=CLOSE_US - 400 * SECOND_US)
    fallen = quoted(yes_bid_e4=2000, yes_ask_e4=2200)
    events = [
        *warmed(),
        *seconds(900, 440),
        *seconds(439, 401, price_usd_e6=PRICE - 500_000_000, quote=fallen),
        early,
        *seconds(399, 380, price_usd_e6=PRICE - 500_000_000, quote=fallen),
    ]
    watched, machine = played(events, latency_us=45 * SECOND_US)
    assert {end.trade.state for end in watched.ends} <= {TradeState.SETTLED, TradeState.ABANDONED}
    machine.portfolio.check()


def test_a_result_that_is_no_result_is_refused():
    """Neither yes nor no, and no value: nothing is booked by guessing."""
    with pytest.raises(InvalidValue, match="expected the result yes or no"):
        played([*warmed(), *seconds(920, 1), settled("maybe")])


def test_the_gate_refuses_as_it_does_live():
    """A limit that the entry rules do not look at stops the order, with its reason."""
    watched, machine = played(
        [*warmed(), *seconds(920, 1)], account_with_cash(), latency_us=150_000
    )
    assert machine.portfolio.orders == 0
    assert any("costs up to" in reason for reasons in watched.refusals for reason in reasons)


def account_with_cash():
    """Return an account whose limits allow more than its cash does."""
    config = account(
        risk={
            "maxContractsPerOrder": 5000,
            "maxContractsPerEvent": 5000,
            "maxContractsTotal": 5000,
            "maxCostPerEventDollars": 100_000,
            "maxCostTotalDollars": 100_000,
        }
    )
    sizing = msgspec.structs.replace(config.strategy.sizing, contracts=2000)
    strategy = msgspec.structs.replace(config.strategy, sizing=sizing)
    return msgspec.structs.replace(config, strategy=strategy)


def test_a_daily_loss_ends_the_day():
    """After a loss at the limit the switch holds further entries back."""
    config = account(risk={"maxDailyLossDollars": 1})
    _, machine = played([*warmed(), *seconds(920, 1), settled("no")], config)
    assert machine.portfolio.switch.state.value == config.risk.on_breach.value


def test_whole_books_become_tops_as_live():
    """A tape of books trades like a tape of tops; deeper levels can be taken too."""
    loaded = tape.Loaded(
        MARKET, yes=((8800, 5000),), no=((1000, 300), (900, 300)), at_us=CLOSE_US - 925 * SECOND_US
    )
    trades = tape.Traded(MARKET, loaded.at_us, volume_e2=1_000_000)
    prices = [event for event in seconds(920, 1) if not hasattr(event, "quotes")]
    watched, _ = played([*warmed(), loaded, trades, *prices, settled("yes")])
    (end,) = watched.ends
    assert end.trade.filled_qty_e2 == 300, "the limit is the ask that was seen"
    assert end.trade.event_ticker == EVENT


def test_dull_stretches_change_no_decision(monkeypatch):
    """Pictures that are left out where nothing can happen would not have decided anything."""
    events = [*warmed(), *seconds(1500, 1), settled("yes")]
    lean, _ = played(events)
    monkeypatch.setattr("recio.engine.backtest.Backtest._is_dull", lambda *_: False)
    full, _ = played(events)
    assert [end.trade for end in lean.ends] == [end.trade for end in full.ends]
    inside = CLOSE_US - 900 * SECOND_US
    assert [r.at_us for r in lean.records if r.at_us >= inside] == [
        r.at_us for r in full.records if r.at_us >= inside
    ]
