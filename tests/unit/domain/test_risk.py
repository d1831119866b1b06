"""The limits: every one refuses at its edge, by name, and nothing that is in flight is forgotten."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from recio.domain import fees, risk
from recio.domain.account_config import FleetRisk, Risk, Trading
from recio.domain.intents import Intent, Purpose, Source
from recio.domain.risk import Exposure, FleetTotals, Held, InFlight
from recio.domain.switches import SwitchRow, effective

NOW_US = 1_764_000_000_000_000
EVENT = "KXBTCD-25AUG0122"
MARKET = "KXBTCD-25AUG0122-T119499.99"
DOLLAR = 1_000_000

LIMITS = Risk(
    max_contracts_per_order=10,
    max_contracts_per_event=20,
    max_contracts_total=30,
    max_cost_per_event_dollars=15,
    max_cost_total_dollars=25,
    max_open_trades=3,
    max_orders_per_minute=5,
    max_daily_loss_dollars=25,
    max_drawdown_dollars=40,
    min_price_cents=10,
    max_price_cents=98,
    max_price_age_milliseconds=3000,
    max_book_age_milliseconds=5000,
)
FLEET = FleetRisk(
    max_cost_total_dollars=40,
    max_daily_loss_dollars=30,
    max_open_trades=4,
    max_orders_per_minute=8,
)
QUIET = Exposure(
    cash_usd_e6=1000 * DOLLAR, equity_usd_e6=1000 * DOLLAR, equity_high_usd_e6=1000 * DOLLAR
)
QUIET_FLEET = FleetTotals(
    limits=FLEET, open_trades=0, cost_usd_e6=0, orders_in_minute=0, result_today_usd_e6=0
)
ACTIVE = effective([])
WISH = Intent(
    intent_id=UUID(int=1),
    account="paper",
    purpose=Purpose.ENTRY,
    source=Source.AUTO_ENTRY,
    market_ticker=MARKET,
    event_ticker=EVENT,
    side="yes",
    qty_e2=1000,
    limit_price_e4=9600,
    at_us=NOW_US,
    valid_until_us=NOW_US,
    price_at_us=NOW_US - 3_000_000,
    book_at_us=NOW_US - 5_000_000,
)


def check(
    intent=WISH, limits=LIMITS, exposure=QUIET, fleet=QUIET_FLEET, switch=ACTIVE, reserve=None
):
    """Ask the gate's question."""
    if reserve is None:
        reserve = risk.reserve_usd_e6(intent, fee_multiplier_e6=1_000_000)
    return risk.check_entry(
        intent, limits, exposure, switch=switch, now_us=NOW_US, reserve=reserve, fleet=fleet
    )


def held(qty_e2=0, cost=0, event=EVENT):
    """Return a booked position."""
    return Held(event, "other", qty_e2, cost)


def in_flight(unbooked_e2, reserved=0, *, qty_e2=None, event=EVENT):
    """Return an order that may still fill."""
    return InFlight(event, "other", qty_e2 or unbooked_e2, unbooked_e2, reserved)


def switch(state):
    """Return a switch set by a person."""
    return effective(
        [SwitchRow(scope="*", source="person", state=state, reason="lunch", changed_at_us=0)]
    )


RESERVE = 9_600_000 + 26_900 + 10_000

AT_THE_EDGE = {
    "price": ({"limit_price_e4": 9800}, {}, {}),
    "low price": ({"limit_price_e4": 1000}, {}, {}),
    "age of the price": ({"price_at_us": NOW_US - 3_000_999}, {}, {}),
    "contracts in the event": ({}, {"held": (held(1000),)}, {}),
    "contracts in the event, in flight": ({}, {"in_flight": (in_flight(1000),)}, {}),
    "contracts in total": ({}, {"held": (held(2000, event="another"),)}, {}),
    "dollars in the event": ({}, {"held": (held(1, 15 * DOLLAR - RESERVE),)}, {}),
    "dollars in total": ({}, {"held": (held(1, 25 * DOLLAR - RESERVE, "another"),)}, {}),
    "open trades": ({}, {"open_trades": 2}, {}),
    "orders in a minute": ({}, {"orders_in_minute": 4}, {}),
    "cash": ({}, {"cash_usd_e6": RESERVE}, {}),
    "loss today": ({}, {"result_today_usd_e6": -25 * DOLLAR + 1}, {}),
    "drawdown": ({}, {"equity_usd_e6": 960 * DOLLAR + 1}, {}),
    "dollars over all accounts": ({}, {}, {"cost_usd_e6": 40 * DOLLAR - RESERVE}),
    "open trades over all accounts": ({}, {}, {"open_trades": 3}),
    "orders over all accounts": ({}, {}, {"orders_in_minute": 7}),
    "loss over all accounts": ({}, {}, {"result_today_usd_e6": -30 * DOLLAR + 1}),
}
BEYOND = {
    "price": ({"limit_price_e4": 9801}, {}, {}, "price 98.01 cents outside 10…98"),
    "low price": ({"limit_price_e4": 999}, {}, {}, "price 9.99 cents outside 10…98"),
    "order size": ({"qty_e2": 1001}, {}, {}, "10.01 contracts, at most 10 an order"),
    "validity": ({"valid_until_us": NOW_US - 7_000}, {}, {}, "valid until 7 ms ago"),
    "age of the price": (
        {"price_at_us": NOW_US - 3_001_000},
        {},
        {},
        "price is 3001 ms old, at most 3000",
    ),
    "age of the book": (
        {"book_at_us": NOW_US - 5_001_000},
        {},
        {},
        "book is 5001 ms old, at most 5000",
    ),
    "a price of the future": (
        {"price_at_us": NOW_US + 3_001_000},
        {},
        {},
        "price is 3001 ms in the future",
    ),
    "no price": ({"price_at_us": None}, {}, {}, "price age unknown"),
    "no book": ({"book_at_us": None}, {}, {}, "book age unknown"),
    "contracts in the event": ({}, {"held": (held(1001),)}, {}, "20.01 contracts in the event"),
    "contracts in the event, in flight": (
        {},
        {"in_flight": (in_flight(1001),)},
        {},
        "20.01 contracts in the event, at most 20",
    ),
    "contracts in total": (
        {},
        {"held": (held(2001, event="another"),)},
        {},
        "30.01 contracts in total, at most 30",
    ),
    "dollars in the event": (
        {},
        {"held": (held(1, 15 * DOLLAR - RESERVE + 1),)},
        {},
        "15.000001 dollars in the event, at most 15",
    ),
    "dollars in total": (
        {},
        {"held": (held(1, 25 * DOLLAR - RESERVE + 1, "another"),)},
        {},
        "25.000001 dollars in total, at most 25",
    ),
    "open trades": ({}, {"open_trades": 3}, {}, "4 open trades, at most 3"),
    "orders in a minute": ({}, {"orders_in_minute": 5}, {}, "6 orders in a minute, at most 5"),
    "cash": ({}, {"cash_usd_e6": RESERVE - 1}, {}, "costs up to $9.6369, $9.636899 are free"),
    "unknown cash": ({}, {"cash_usd_e6": None}, {}, "cash unknown"),
    "loss today": ({}, {"result_today_usd_e6": -25 * DOLLAR}, {}, "lost $25.00 today"),
    "drawdown": ({}, {"equity_usd_e6": 960 * DOLLAR}, {}, "$40.00 below the high"),
    "dollars over all accounts": (
        {},
        {},
        {"cost_usd_e6": 40 * DOLLAR - RESERVE + 1},
        "40.000001 dollars over all accounts, at most 40",
    ),
    "open trades over all accounts": (
        {},
        {},
        {"open_trades": 4},
        "5 open trades over all accounts, at most 4",
    ),
    "orders over all accounts": (
        {},
        {},
        {"orders_in_minute": 8},
        "9 orders in a minute over all accounts, at most 8",
    ),
    "loss over all accounts": (
        {},
        {},
        {"result_today_usd_e6": -30 * DOLLAR},
        "all accounts lost $30.00 today",
    ),
}


@pytest.mark.parametrize("name", AT_THE_EDGE)
def test_the_limit_itself_is_allowed(name):
    """A limit is the most that may be, not the first that may not."""
    wish, exposure, fleet = AT_THE_EDGE[name]

    assert check(replace(WISH, **wish), LIMITS, replace(QUIET, **exposure),
                 replace(QUIET_FLEET, **fleet)) == ()  # fmt: skip


@pytest.mark.parametrize("name", BEYOND)
def test_one_step_beyond_is_refused_by_name(name):
    """A person reads which limit it was, how much, and how much is allowed."""
    wish, exposure, fleet, reason = BEYOND[name]

    refusals = check(
        replace(WISH, **wish), LIMITS, replace(QUIET, **exposure), replace(QUIET_FLEET, **fleet)
    )
    assert len(refusals) == 1
    assert reason in refusals[0]


@pytest.mark.parametrize("state", [state for state in Trading if state is not Trading.ACTIVE])
def test_a_switch_refuses_with_its_reason(state):
    """Who set it and why."""
    (refusal,) = check(switch=switch(state))

    assert refusal == f"switch {state.value}: person (*): lunch"


def test_every_reason_is_told_at_once():
    """Whoever mends one must not meet the next one only then."""
    intent = replace(WISH, qty_e2=5000, limit_price_e4=9900, price_at_us=None)
    exposure = replace(QUIET, open_trades=9, result_today_usd_e6=-99 * DOLLAR)

    refusals = check(intent, LIMITS, exposure, switch=switch(Trading.HALTED))
    for part in ("switch Halted", "price age", "cents outside", "an order", "open trades",
                 "contracts in the event", "dollars in total", "lost $99.00"):  # fmt: skip
        assert any(part in refusal for refusal in refusals), part


def test_without_a_fleet_there_are_no_limits_of_it():
    """A fleet document is not needed."""
    assert check(fleet=None) == ()


def test_a_fleet_without_limits_of_its_own_refuses_nothing():
    """Each limit of the fleet is optional."""
    totals = FleetTotals(
        limits=FleetRisk(),
        open_trades=999,
        cost_usd_e6=10**12,
        orders_in_minute=999,
        result_today_usd_e6=-(10**12),
    )
    assert check(fleet=totals) == ()


AMOUNTS = st.integers(0, 40 * DOLLAR)
HELD = st.lists(
    st.builds(held, st.integers(0, 4000), AMOUNTS, st.sampled_from([EVENT, "another"])), max_size=4
)
FLYING = st.builds(
    lambda unbooked, more, reserved, event: in_flight(
        unbooked, reserved, qty_e2=unbooked + more, event=event
    ),
    st.integers(1, 3000),
    st.integers(0, 3000),
    AMOUNTS,
    st.sampled_from([EVENT, "another"]),
)
EXPOSURES = st.builds(
    Exposure,
    held=HELD.map(tuple),
    in_flight=st.lists(FLYING, max_size=3).map(tuple),
    open_trades=st.integers(0, 5),
    orders_in_minute=st.integers(0, 8),
    result_today_usd_e6=st.integers(-40 * DOLLAR, DOLLAR),
    cash_usd_e6=st.none() | st.integers(0, 100 * DOLLAR),
    equity_usd_e6=st.none() | st.integers(0, 100 * DOLLAR),
    equity_high_usd_e6=st.none() | st.integers(0, 200 * DOLLAR),
)


def broken_limits(refusals):
    """Return the refusals without their figures."""
    return {
        "".join(c for c in refusal if not c.isdigit() and c not in ".-") for refusal in refusals
    }


@given(EXPOSURES, FLYING)
def test_what_is_in_flight_never_loosens(exposure, order):
    """One more order that may fill keeps every refusal that there was."""
    more = replace(exposure, in_flight=(*exposure.in_flight, order))

    assert broken_limits(check(exposure=exposure)) <= broken_limits(check(exposure=more))


@given(EXPOSURES, st.builds(held, st.integers(0, 4000), AMOUNTS))
def test_what_is_held_never_loosens(exposure, position):
    """Nor does one more position."""
    more = replace(exposure, held=(*exposure.held, position))

    assert broken_limits(check(exposure=exposure)) <= broken_limits(check(exposure=more))


@given(EXPOSURES, st.integers(1, 10_000), st.integers(100, 9900))
def test_an_allowed_entry_leaves_every_sum_within_its_limit(exposure, qty_e2, price_e4):
    """What is accepted, taken at its worst together with everything else, breaks no limit."""
    wish = replace(WISH, qty_e2=qty_e2, limit_price_e4=price_e4)
    reserve = risk.reserve_usd_e6(wish, fee_multiplier_e6=1_000_000)
    if check(wish, exposure=exposure):
        return
    after = replace(
        exposure, in_flight=(*exposure.in_flight, InFlight(EVENT, MARKET, qty_e2, qty_e2, reserve))
    )
    assert after.contracts_e2(EVENT) <= LIMITS.max_contracts_per_event * 100
    assert after.contracts_e2() <= LIMITS.max_contracts_total * 100
    assert after.cost_usd_e6(EVENT) <= LIMITS.max_cost_per_event_dollars * DOLLAR
    assert after.cost_usd_e6() <= LIMITS.max_cost_total_dollars * DOLLAR
    assert sum(order.worst_usd_e6 for order in after.in_flight) <= exposure.cash_usd_e6


@given(st.integers(1, 10_000), st.data())
def test_the_worst_case_is_rounded_up(qty_e2, data):
    """A share of a reservation is never a micro-dollar too small, and the whole is the whole."""
    unbooked_e2 = data.draw(st.integers(0, qty_e2))
    reserved = data.draw(st.integers(0, 10**10))
    worst = InFlight(EVENT, MARKET, qty_e2, unbooked_e2, reserved).worst_usd_e6

    assert worst * qty_e2 >= reserved * unbooked_e2
    assert (worst - 1) * qty_e2 < reserved * unbooked_e2
    assert InFlight(EVENT, MARKET, qty_e2, qty_e2, reserved).worst_usd_e6 == reserved


@given(st.integers(1, 9999), st.integers(1, 10_000), st.integers(0, 3_000_000))
def test_a_reservation_covers_cost_and_fees(price_e4, qty_e2, multiplier_e6):
    """What the order can cost at its limit, whatever the series' fee."""
    wish = replace(WISH, qty_e2=qty_e2, limit_price_e4=price_e4)

    assert risk.reserve_usd_e6(wish, fee_multiplier_e6=multiplier_e6) == (
        price_e4 * qty_e2 + fees.budget_usd_e6(price_e4, qty_e2, multiplier_e6)
    )


EXIT = replace(WISH, purpose=Purpose.EXIT, source=Source.AUTO_STOP, trade_id=UUID(int=3))


def check_exit(intent=EXIT, state=Trading.ACTIVE, free_qty_e2=1000):
    """Ask the gate's question for an exit."""
    return risk.check_exit(intent, switch=switch(state), now_us=NOW_US, free_qty_e2=free_qty_e2)


def test_limits_never_hold_an_exit_back():
    """Only a switch, time, or nothing to sell does."""
    assert check_exit() == ()
    assert check_exit(state=Trading.REDUCE_ONLY) == ()
    assert check_exit(state=Trading.FLATTEN) == ()


def test_an_automatic_exit_is_refused_under_halted_and_a_person_s_is_not():
    """Halted: nothing goes out, a person's own wish apart."""
    assert check_exit(state=Trading.HALTED) == ("switch Halted: person (*): lunch",)
    assert check_exit(replace(EXIT, source=Source.MANUAL), Trading.HALTED) == ()


@pytest.mark.parametrize("free_qty_e2", [0, -100])
def test_what_is_sold_already_is_not_sold_again(free_qty_e2):
    """Exits are capped by what is held and not in flight."""
    assert check_exit(free_qty_e2=free_qty_e2) == (
        "nothing left to sell: all of it is sold or being sold",
    )


def test_an_exit_that_waited_too_long_is_refused():
    """Its price is history; it is proposed anew."""
    (refusal,) = check_exit(replace(EXIT, valid_until_us=NOW_US - 1_000))

    assert "valid until 1 ms ago" in refusal


def test_breaches_are_the_loss_limits_alone():
    """They are what `risk.onBreach` acts on."""
    lost = replace(
        QUIET,
        result_today_usd_e6=-26 * DOLLAR,
        equity_usd_e6=900 * DOLLAR,
        open_trades=99,
        cash_usd_e6=None,
    )

    assert risk.breaches(LIMITS, QUIET) == ()
    assert risk.breaches(LIMITS, lost) == (
        "lost $26.00 today, the limit is $25",
        "$100.00 below the high, the limit is $40",
    )


def test_an_account_without_a_history_has_nothing_at_stake():
    """The defaults are nothing, not one."""
    empty = Exposure()
    assert (empty.open_trades, empty.orders_in_minute, empty.result_today_usd_e6) == (0, 0, 0)
    assert (empty.contracts_e2(), empty.cost_usd_e6()) == (0, 0)


def test_an_event_counts_its_own_orders_in_flight_and_no_other():
    """Held and in flight add up; another event's do not count."""
    exposure = Exposure(
        held=(held(300, 3 * DOLLAR), held(50, DOLLAR, "another")),
        in_flight=(in_flight(200, 2 * DOLLAR), in_flight(70, 5 * DOLLAR, event="another")),
    )
    assert (exposure.contracts_e2(EVENT), exposure.contracts_e2()) == (500, 620)
    assert (exposure.cost_usd_e6(EVENT), exposure.cost_usd_e6()) == (5 * DOLLAR, 11 * DOLLAR)


def test_cash_that_orders_in_flight_may_take_is_not_free():
    """Two orders cannot spend one dollar."""
    exposure = replace(
        QUIET, cash_usd_e6=RESERVE + DOLLAR, in_flight=(in_flight(10, DOLLAR + 1, event="another"),)
    )
    (refusal,) = check(exposure=exposure)
    assert refusal.startswith("costs up to $9.6369, $9.636899 are free")


def test_a_single_hundredth_can_still_be_sold():
    """What is left is left, however little."""
    wish = replace(WISH, purpose=Purpose.EXIT)
    assert risk.check_exit(wish, switch=ACTIVE, now_us=NOW_US, free_qty_e2=1) == ()
    assert risk.check_exit(wish, switch=ACTIVE, now_us=NOW_US, free_qty_e2=0) != ()


def test_data_from_the_future_is_refused_beyond_the_limit_only():
    """Clocks differ a little; by more than the limit the age is unknown."""
    for name, limit_us in (("price", 3_000_000), ("book", 5_000_000)):
        at_edge = replace(WISH, **{f"{name}_at_us": NOW_US + limit_us})
        assert check(at_edge) == ()
        (refusal,) = check(replace(WISH, **{f"{name}_at_us": NOW_US + limit_us + 1000}))
        assert refusal.startswith(f"{name} is {limit_us // 1000 + 1} ms in the future")


@pytest.mark.parametrize(
    ("intent", "exposure", "said"),
    [
        ({"limit_price_e4": 9801}, {}, "price 98.01 cents outside 10…98"),
        ({"limit_price_e4": 999}, {}, "price 9.99 cents outside 10…98"),
        ({}, {"open_trades": 9}, "10 open trades, at most 3 allowed"),
        ({}, {"orders_in_minute": 19}, "20 orders in a minute, at most 5 allowed"),
        ({}, {"held": (Held("another", "m", 10_000, 0),)}, "110 contracts in total, at most 30"),
        ({}, {"cash_usd_e6": None}, "cash unknown"),
    ],
)
def test_a_refusal_says_the_numbers_as_a_person_writes_them(intent, exposure, said):
    """Whole numbers without a point, and all of their zeros."""
    refusals = check(replace(WISH, **intent), exposure=replace(QUIET, **exposure))
    assert [each for each in refusals if each.startswith(said)]
