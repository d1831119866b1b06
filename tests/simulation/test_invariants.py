"""Each invariant's check: silent on a good history, and naming the culprit of every planted bug."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.simulation.made_up import (
    BOUGHT,
    CASH,
    CHANGES,
    CLOSE_US,
    ENTRY,
    EVENT,
    EXIT,
    POSTINGS,
    SECOND,
    SOLD,
    T0,
    TICKER,
    TRADE,
    booked,
    change,
    durable,
    history,
    intent,
    ledger,
    order,
    order_sample,
    posting,
    sample,
    sent_entry,
    sent_exit,
    steps,
    switch,
    venue,
    venue_order,
)

from recio.simulation import invariants
from recio.simulation.history import Market
from recio.simulation.invariants import TABLE

GOOD = history()
OTHER_EXIT = "order-other-exit"


def _without(rows, *gone):
    return tuple(one for one in rows if one not in gone)


def _last_orders(**changes):
    return (replace(GOOD.orders[0], **changes), GOOD.orders[1])


BAD = {
    # 1: a retry became a second order.
    "an intent is sent twice under one id": (
        1, "intent-1",
        history(venue=venue(orders=(*GOOD.venue.orders, venue_order(order_id="x-9")))),
    ),
    "an attempt gets an id of its own": (
        1, "intent-1",
        history(
            orders=(*GOOD.orders, order(order_id="order-again")),
            venue=venue(
                orders=(*GOOD.venue.orders, venue_order(order_id="x-9", client_order_id="order-again"))
            ),
        ),
    ),
    # 2
    "the request leaves before the intent is committed": (
        2, ENTRY, history(sent=(sent_entry(durable=durable(intent_state="", order_state="")),)),
    ),
    "the request leaves before the claim is committed": (
        2, ENTRY, history(sent=(sent_entry(durable=durable(order_state="created")),)),
    ),
    "the side is swapped on the way out": (2, ENTRY, history(sent=(sent_entry(book_side="ask"),))),
    "wire and row agree on the wrong side": (
        2, "entry", history(orders=_last_orders(book_side="ask")),
    ),
    "the exit forgets that it may only reduce": (
        2, EXIT, history(sent=(sent_entry(), sent_exit(is_reduce_only=False))),
    ),
    "an order is at the exchange that nobody sent": (
        2, "x-9",
        history(
            venue=venue(orders=(*GOOD.venue.orders, venue_order(order_id="x-9", client_order_id="?")))
        ),
    ),
    # 3
    "a fill is not booked": (3, "fill-2", history(ledger=ledger(fills=(booked(BOUGHT),)))),
    "a fill is booked twice": (
        3, "fill-2", history(ledger=ledger(fills=(booked(BOUGHT), booked(SOLD), booked(SOLD)))),
    ),
    "a fill is booked at its limit price": (
        3, "fill-2",
        history(ledger=ledger(fills=(booked(BOUGHT), replace(booked(SOLD), price_e4=9300)))),
    ),
    "a fill's fee is forgotten": (
        3, "fill-1",
        history(ledger=ledger(fills=(replace(booked(BOUGHT), fee_usd_e6=0), booked(SOLD)))),
    ),
    # 4
    "a position outlives its settlement": (
        4, TICKER, history(ledger=ledger(positions_e2=((TICKER, 700),))),
    ),
    "a position is not ours at the exchange": (
        4, TICKER, history(venue=venue(positions_e2=((TICKER, -1),))),
    ),
    # 5
    "cash is a cent off": (5, str(CASH - 10_000), history(ledger=ledger(cash_usd_e6=CASH - 10_000))),
    "the rounding fee is not booked": (
        5, str(CASH + 4),
        history(
            ledger=ledger(postings=(replace(POSTINGS[0], amount_usd_e6=100_000_004), *POSTINGS[1:]))
        ),
    ),
    "an amount is a float": (
        5, "-9630000.0",
        history(
            ledger=ledger(
                postings=(*POSTINGS[:2], replace(POSTINGS[2], amount_usd_e6=-9_630_000.0), *POSTINGS[3:])
            )
        ),
    ),
    # 6
    "a transaction does not balance": (
        6, "fill-1", history(ledger=ledger(postings=_without(POSTINGS, POSTINGS[4]))),
    ),
    "a fact is booked by two transactions": (
        6, "fill fill-1",
        history(
            ledger=ledger(
                postings=(
                    *POSTINGS,
                    posting("again", 1, "cash", 5, fact_id="fill-1"),
                    posting("again", 2, "fees", -5, fact_id="fill-1"),
                )
            )
        ),
    ),
    "a posting is rewritten": (
        6, "fill-1/3",
        history(earlier_postings=((replace(POSTINGS[4], amount_usd_e6=29_999),),)),
    ),
    "postings disappear": (
        6, str(T0 + 9 * SECOND), history(samples=(*steps(), sample(at_us=T0 + 9 * SECOND, postings=1))),
    ),
    "the ledger may be changed": (6, "changed", history(ledger=ledger(refuses_update=False))),
    "the ledger may be deleted": (6, "deleted", history(ledger=ledger(refuses_delete=False))),
    # 7
    "an unknown order is no longer counted": (
        7, ENTRY,
        history(samples=(sample(order_sample("unknown"), counted_usd_e6=0, counted_contracts_e2=0),)),
    ),
    "an entry reserves nothing": (
        7, ENTRY,
        history(samples=(sample(order_sample(reserved_usd_e6=0), counted_usd_e6=0),)),
    ),
    "an order that ended counts nothing before its fills are booked": (
        7, str(T0 + 2 * SECOND),
        history(
            samples=(
                sample(
                    order_sample("executed", filled_e2=1000), at_us=T0 + 2 * SECOND,
                    counted_usd_e6=0, counted_contracts_e2=0,
                ),
            )
        ),
    ),
    "an entry is resent without a look": (
        7, ENTRY, history(sent=(sent_entry(), sent_entry(at_us=T0 + SECOND))),
    ),
    "an entry in doubt is replaced": (
        7, TRADE, history(sent=(sent_entry(), sent_entry(client_order_id="order-new"))),
    ),
    "an exit is resent while the first may still arrive": (
        7, EXIT, history(sent=(sent_exit(), sent_exit(wall_us=T0 + 35 * SECOND))),
    ),
    "an exit in doubt is replaced by another": (
        7, OTHER_EXIT,
        history(
            sent=(
                sent_exit(client_order_id=OTHER_EXIT, durable=replace(sent_exit().durable, sellable_e2=200)),
            )
        ),
    ),
    "an unknown order is called rejected": (7, ENTRY, history(orders=_last_orders(state="rejected"))),
    # 8
    "the gate lets too many contracts in": (
        8, ENTRY, history(samples=(sample(order_sample(qty_e2=2001)),)),
    ),
    "what is in flight is forgotten by the next entry": (
        8, "order-next",
        history(
            samples=(
                sample(order_sample("unknown")),
                sample(order_sample("unknown"), order_sample(order_id="order-next", qty_e2=1001)),
            )
        ),
    ),
    "one open trade too many": (8, ENTRY, history(samples=(sample(order_sample(), open_trades=3),))),
    "orders come too fast": (8, ENTRY, history(samples=(sample(order_sample(), orders_in_minute=6),))),
    "the cost is beyond the limit": (
        8, ENTRY, history(samples=(sample(order_sample(reserved_usd_e6=20_000_001)),)),
    ),
    "an order is too large": (8, ENTRY, history(sent=(sent_entry(qty_e2=1001),))),
    # 9
    "an entry leaves after the kill": (
        9, ENTRY, history(changes=(*CHANGES, switch("Halted", T0 - SECOND // 2, 2))),
    ),
    "an automatic exit leaves although everything is halted": (
        9, EXIT,
        history(changes=(*CHANGES, switch("Halted", T0 + 29 * SECOND, 2)), sent=(sent_exit(),)),
    ),
    "a restart releases the switch": (
        9, str(T0 + 3 * SECOND),
        history(
            sent=(), samples=(sample(at_us=T0 + 3 * SECOND),),
            changes=(switch("NoNewEntries", T0 + SECOND),),
        ),
    ),
    # 10
    "an executor that was frozen sends": (
        10, EXIT,
        history(
            sent=(
                sent_entry(durable=durable(epoch=2, lease_epoch=2)),
                sent_exit(durable=replace(sent_exit().durable, epoch=1, lease_epoch=2)),
            )
        ),
    ),
    "the epoch is counted from the wrong end": (
        10, ENTRY, history(sent=(sent_entry(durable=durable(epoch=2, lease_epoch=1)),)),
    ),
    # 11
    "an executed order rests again": (
        11, ENTRY, history(changes=(*CHANGES[:4], change(ENTRY, 5, "executed", "resting"))),
    ),
    "a state is skipped in the audit": (
        11, ENTRY, history(changes=(CHANGES[0], change(ENTRY, 2, "submitted", "executed"))),
    ),
    "a filled quantity falls": (
        11, ENTRY,
        history(samples=(*steps(), sample(order_sample("executed", filled_e2=999)))),
    ),
    "an order is ended before its last fill": (11, ENTRY, history(orders=_last_orders(filled_e2=900))),
    "a fill is never booked to its order": (11, ENTRY, history(orders=_last_orders(booked_e2=0))),
    "the exchange's order does not add up": (
        11, "x-1",
        history(venue=venue(orders=(venue_order(remaining_e2=1), GOOD.venue.orders[1]))),
    ),
    # 12
    "a price is too old": (
        12, "intent-1", history(intents=(intent(price_at_us=T0 - 3 * SECOND - 1000),)),
    ),
    "a book's age is not known": (12, "intent-1", history(intents=(intent(book_at_us=None),))),
    "a price is from the future": (
        12, "intent-1", history(intents=(intent(price_at_us=T0 + 4 * SECOND),)),
    ),
    # 13
    "a price is off the grid": (13, ENTRY, history(sent=(sent_entry(price_e4=9650),))),
    "a price is a dollar": (13, ENTRY, history(sent=(sent_entry(price_e4=10_000),))),
    "nothing is ordered": (13, ENTRY, history(sent=(sent_entry(qty_e2=0),))),
    "an order leaves at the close": (13, ENTRY, history(sent=(sent_entry(at_us=CLOSE_US),))),
    "a market is not listed": (13, ENTRY, history(sent=(sent_entry(ticker="NONE"),))),
    # 18
    "too many requests": (
        18, "write bucket of shard 2", history(sent=tuple(sent_entry() for _ in range(11))),
    ),
    # 19
    "a wish is never decided": (19, "intent-1", history(intents=(intent(state="proposed"),))),
    "an order stays unknown": (19, ENTRY, history(orders=_last_orders(state="unknown"))),
    "a trade stays open after its settlement": (
        19, TRADE, history(trades=(replace(GOOD.trades[0], state="open"),)),
    ),
    "a doubt lasts": (
        19, ENTRY,
        history(changes=(*CHANGES[:3], change(ENTRY, 4, "unknown", "executed", T0 + 61 * SECOND))),
    ),
    # 20
    "a market is taken for another hour's": (
        20, "intent-1", history(intents=(intent(event_ticker="EVENT-BEFORE"),)),
    ),
    "the market is over": (20, "intent-1", history(intents=(intent(decided_us=CLOSE_US),))),
    "the market is of a later hour": (
        20, "intent-1",
        history(
            markets=(
                Market(
                    ticker=TICKER, event_ticker=EVENT, open_us=0, close_us=CLOSE_US + 3_600 * SECOND,
                    grid=GOOD.markets[0].grid,
                ),
            )
        ),
    ),
}  # fmt: skip

CROSS = {
    "a restart loses a fill": (15, "('entry', 'EVENT-T1', 1)", GOOD, history(orders=_last_orders(filled_e2=0))),
    "a restart changes the cash": (15, str(CASH - 1), GOOD, history(ledger=ledger(cash_usd_e6=CASH - 1))),
    "a restart drops a wish": (15, "('exit', 'EVENT-T1', 1)", GOOD, history(intents=GOOD.intents[:1])),
    "a restart settles a trade otherwise": (
        15, "abandoned", GOOD, history(trades=(replace(GOOD.trades[0], state="abandoned"),)),
    ),
    "chance that is not seeded": (16, "sent Sent", GOOD, history(sent=(sent_exit(), sent_entry()))),
    "a step more": (16, "differs", GOOD, history(samples=(*steps(), sample()))),
}  # fmt: skip


def _check(number):
    return next(row for row in TABLE if row.number == number)


def test_a_good_history_breaks_no_invariant():
    """What is found in a good history would be noise in every run."""
    assert invariants.violations(GOOD) == []
    assert [row.cross(GOOD, GOOD) for row in TABLE if row.cross] == [[], []]


@pytest.mark.parametrize("name", BAD)
def test_a_planted_bug_is_found_and_named(name):
    """The check of that invariant finds it and names the culprit."""
    number, culprit, bad = BAD[name]

    found = _check(number).check(bad)

    assert found
    assert any(culprit in line for line in found), found


@pytest.mark.parametrize("name", CROSS)
def test_two_runs_that_differ_are_told_apart(name):
    """Compared with the good run, the other one's difference is named."""
    number, culprit, good, bad = CROSS[name]

    found = _check(number).cross(good, bad)

    assert found
    assert any(culprit in line for line in found), found


def test_an_entry_that_was_not_sent_may_expire_in_a_restart():
    """It dies with its reservation released; everything else ends as it would have."""
    orders = (replace(GOOD.orders[0], state="expired_unsent", filled_e2=0), GOOD.orders[1])
    assert invariants.invariant_15_a_restart_changes_nothing(GOOD, history(orders=orders)) == []


def test_every_invariant_is_judged_and_planted_or_says_why_not():
    """Twenty rows; whoever has a check has a planted bug, whoever has none says who judges it."""
    assert [row.number for row in TABLE] == list(range(1, 21))
    planted = {bug[0] for bug in [*BAD.values(), *CROSS.values()]}
    assert planted == {row.number for row in TABLE if row.check or row.cross}
    for row in TABLE:
        check = row.check or row.cross
        assert row.remark if check is None else f"_{row.number:02}_" in check.__name__
        assert row.kind in {"step", "quiescent", "cross-run", "cluster"}
        assert (row.kind == "cross-run") == (row.cross is not None)
