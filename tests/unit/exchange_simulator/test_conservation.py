"""Money and contracts are neither made nor lost, whatever members and anonymous traders do."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.exchange_simulator.builders import CLOSE_US, LOW, SECOND, exchange, member, place

from recio.exchange_simulator.core import orders
from recio.exchange_simulator.core.orders import Amendment
from recio.exchange_simulator.core.refusals import Refusal

PRICES = st.integers(1, 99).map(lambda cents: cents * 100)
QUANTITIES = st.integers(1, 3_000)
SIDES = st.sampled_from(["yes", "no"])
WHO = st.sampled_from(["alice", "bob", "carol"])

ACTIONS = st.one_of(
    st.tuples(st.just("level"), SIDES, PRICES, st.integers(0, 3_000)),
    st.tuples(st.just("trade"), SIDES, PRICES, QUANTITIES),
    st.tuples(
        st.just("order"),
        WHO,
        st.sampled_from(["bid", "ask"]),
        PRICES,
        QUANTITIES,
        st.sampled_from(["good_till_canceled", "immediate_or_cancel", "fill_or_kill"]),
        st.sampled_from(["taker_at_cross", "maker"]),
    ),
    st.tuples(st.just("cancel"), WHO, st.integers(0, 20)),
    st.tuples(st.just("amend"), WHO, st.integers(0, 20), PRICES, QUANTITIES),
)


def _run(on, members, action):
    kind, *rest = action
    if kind == "level":
        on.set_external_level(LOW, *rest, on.now_us)
    elif kind == "trade":
        on.external_trade(LOW, *rest, on.now_us)
    elif kind == "order":
        who, side, price, qty, tif, stp = rest
        place(on, members[who], side, price, qty, time_in_force=tif, self_trade=stp)
    else:
        own = on.state.orders_of.get(rest[0], [])
        if not own:
            return
        order = own[rest[1] % len(own)]
        if kind == "cancel":
            orders.cancel(on.state, members[rest[0]], order.order_id, 2)
        else:
            change = Amendment(ticker=LOW, is_bid=order.is_bid, price_e4=rest[2], qty_e2=rest[3])
            orders.amend(on.state, members[rest[0]], order.order_id, change)


def _total_money(on):
    cash = sum(sum(account.cash_e6.values()) for account in on.state.accounts.values())
    return cash + on.state.house.cash_e6 + on.state.house.fees_e6


def _assert_sound(on):
    book = on.state.markets[LOW].book
    bid, ask = book.bids.best(), book.asks.best()
    assert bid is None or ask is None or bid.price_e4 < ask.price_e4
    for side in (book.bids, book.asks):
        assert sorted(side.levels) == side.prices
        for level in side.levels.values():
            assert level.total_e2 == sum(entry.qty_e2 for entry in level.entries) > 0
            assert all(
                entry.order is None or entry.order.remaining_e2 == entry.qty_e2
                for entry in level.entries
            )
    positions = sum(p.position_e2 for p in on.state.markets[LOW].positions.values())
    assert positions + on.state.house.positions_e2.get(LOW, 0) == 0
    for account in on.state.accounts.values():
        assert account.cash_e6[2] % 10_000 == 0
        assert account.available_e6(2) >= 0
    for order in on.state.orders.values():
        assert order.filled_e2 + order.remaining_e2 <= order.initial_e2


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTIONS, max_size=40), st.sampled_from(["yes", "no", "scalar"]))
def test_random_flow_conserves_money_and_contracts_and_never_crosses_the_book(actions, result):
    """Cash of members, of the house and fees add up at every step and after settlement."""
    on = exchange(fee_type="quadratic_with_maker_fees")
    members = {name: member(on, name, dollars=50) for name in ("alice", "bob", "carol")}
    for action in actions:
        with suppress(Refusal):
            _run(on, members, action)
        _assert_sound(on)
        assert _total_money(on) == 150_000_000
    on.advance(CLOSE_US)
    on.determine(LOW, result, CLOSE_US, expiration_value="1.00", yes_payout_cents=37)
    on.advance(CLOSE_US + 61 * SECOND)
    assert _total_money(on) == 150_000_000
    assert all(account.held_e6.get(2, 0) == 0 for account in on.state.accounts.values())
    assert all(p.position_e2 == 0 for p in on.state.positions.values())
