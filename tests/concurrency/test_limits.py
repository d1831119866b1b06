"""Every limit, just under, exactly, over; alone, with two gates racing, with doubts in flight.

An order that may still fill counts at its worst; a refusal is recorded and names the limit, the
number that would be reached and the number that is allowed. What is reached is added up here by hand.
"""

from __future__ import annotations

import asyncio
import re
from uuid import UUID

import pytest
from tests.integration.money.scene import (
    CLOSE_US,
    DOLLAR,
    EVENT,
    MARKET,
    NEXT_EVENT,
    OTHER,
    START_US,
    exchange_id,
    fleet,
)

from recio.adapters.postgres import config, gate, orders
from recio.apps.kalshi_account_sync.losses import LossWatch
from recio.domain import risk
from recio.domain.intents import Source, derived_id
from recio.domain.orders import OrderState
from recio.domain.tickers import new_york_day_start_us
from recio.domain.units import as_datetime, parse_time_us

SECOND = f"{EVENT}-T119999.99"
RESERVE = 9_600_000 + 26_900 + 10_000
"""Ten contracts at 96 cents at their worst: price, fee, and a cent of rounding."""


# What one earlier entry of ten contracts may come to, by what became of it: contracts e-2, usd e-6.


async def _created(scene):
    await scene.enter(market_ticker=OTHER)
    return 1000, RESERVE


async def _submitted(scene):
    await scene.send(await scene.entry_order(await scene.enter(market_ticker=OTHER)))
    return 1000, RESERVE


async def _unknown(scene):
    order_id = await scene.entry_order(await scene.enter(market_ticker=OTHER))
    await scene.send(order_id)
    await _doubt(scene, order_id)
    return 1000, RESERVE


async def _doubt(scene, order_id):
    async with scene.database.transaction() as tx:
        row = await orders.order_by_id(tx, scene.account, order_id)
        await orders.advance(tx, row, OrderState.UNKNOWN, at_us=scene.now_us)


async def _told_not_booked(scene):
    """The exchange says that all is filled; not one fill is booked."""
    order_id = await scene.entry_order(await scene.enter(market_ticker=OTHER))
    await scene.report(order_id, 1000)
    return 1000, RESERVE


async def _filled_in_part(scene):
    """Four are booked at 96 cents, six may still fill at their worst."""
    order_id = await scene.entry_order(await scene.enter(market_ticker=OTHER))
    await scene.report(order_id, 400, status="resting")
    await scene.book_fill(await scene.fill_of(order_id, qty_e2=400))
    return 1000, 3_840_000 + 5_782_140


async def _ended_in_part(scene):
    """Four are booked; the six others never come."""
    order_id = await scene.entry_order(await scene.enter(market_ticker=OTHER))
    await scene.report(order_id, 400, status="canceled")
    await scene.book_fill(await scene.fill_of(order_id, qty_e2=400))
    return 400, 3_840_000


async def _nothing(_scene):
    return 0, 0


SITUATIONS = {
    "nothing before": _nothing,
    "one not sent": _created,
    "one on the wire": _submitted,
    "one in doubt": _unknown,
    "one filled and not booked": _told_not_booked,
    "one filled in part": _filled_in_part,
    "one ended in part": _ended_in_part,
}

# Limits of sums: where what fills them up is held, its unit, what the refusal calls it.
SUMS = {
    "contracts in the event": ("max_contracts_per_event", EVENT, 100),
    "contracts in total": ("max_contracts_total", NEXT_EVENT, 100),
    "dollars in the event": ("max_cost_per_event_dollars", EVENT, DOLLAR),
    "dollars in total": ("max_cost_total_dollars", NEXT_EVENT, DOLLAR),
}
WIDE = {
    "max_contracts_per_order": 10,
    "max_contracts_per_event": 500,
    "max_contracts_total": 500,
    "max_cost_per_event_dollars": 500,
    "max_cost_total_dollars": 500,
    "max_open_trades": 50,
    "max_orders_per_minute": 100,
}
ALLOWED = 50


def tight(name):
    """Return limits of which only this one is near."""
    limits = WIDE | {name: ALLOWED}
    if name.endswith("total"):
        limits["max_contracts_per_event"] = ALLOWED
    if name.endswith("total_dollars"):
        limits["max_cost_per_event_dollars"] = ALLOWED
    return limits


async def hold(scene, event, *, qty_e2=100, cost_usd_e6=1):
    """Hold a position that fills a limit up to where it is wanted."""
    await scene.execute(
        "INSERT INTO trading.positions VALUES (%s, %s, %s, %s, %s, 0, 0, %s)",
        *(scene.account, f"{event}-T1.99", event, qty_e2, cost_usd_e6),
        as_datetime(scene.now_us),
    )


async def fill_up(scene, name, situation, *, wishes, delta):
    """Bring a limit to where so many wishes of ten contracts reach it, and ``delta`` beyond."""
    limit, event, scale = SUMS[name]
    qty_e2, cost_usd_e6 = await SITUATIONS[situation](scene)
    await scene.apply(**tight(limit))
    if scale == DOLLAR:
        left = ALLOWED * scale - cost_usd_e6 - wishes * RESERVE + delta
        await hold(scene, event, cost_usd_e6=left)
    else:
        left = ALLOWED * scale - qty_e2 - wishes * 1000 + delta
        await hold(scene, event, qty_e2=left)


def numbers(refusal, name):
    """Return what the refusal says is reached and allowed."""
    found = re.search(rf"([\d.]+) {name}, at most ([\d.]+) allowed", refusal)
    assert found is not None, refusal
    return float(found[1]), float(found[2])


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", SUMS)
def test_a_sum_is_held_to_the_last_unit(accounts, runner, name, situation):
    """One unit under the limit and exactly at it: yes. One over: no, with both numbers."""
    scale = SUMS[name][2]
    refusals = []
    for delta in (-1, 0, 1):
        scene = accounts.make(**WIDE)

        async def play(scene=scene, delta=delta):
            await fill_up(scene, name, situation, wishes=1, delta=delta)
            return await scene.ask(scene.wish())

        refusals.append(runner.run(play()))

    assert refusals[:2] == ["", ""]
    assert numbers(refusals[2], name) == (ALLOWED + 1 / scale, ALLOWED)


@pytest.mark.parametrize("situation", ["nothing before", "one in doubt", "one filled in part"])
@pytest.mark.parametrize("name", SUMS)
def test_two_gates_never_pass_a_sum_together(accounts, runner, name, situation):
    """Two wishes, two processes, room for one and all but a unit of the other."""
    scene = accounts.make(**WIDE)
    rival = accounts.process(scene)

    async def play():
        await scene.list_market(SECOND)
        await fill_up(scene, name, situation, wishes=2, delta=1)
        wishes = [scene.wish(), scene.wish(market_ticker=SECOND)]
        for wish in wishes:
            await scene.propose(wish)
        await asyncio.gather(scene.decide(), rival.decide())
        return await refusals_of(scene, wishes)

    refusals = runner.run(play())

    assert sorted(map(bool, refusals)) == [False, True]
    scale = SUMS[name][2]
    assert numbers("".join(refusals), name) == (ALLOWED + 1 / scale, ALLOWED)


async def refusals_of(scene, wishes):
    """Return why each of them was refused; empty for an accepted one. The audit says the same."""
    found = []
    for wish in wishes:
        (refusal, note) = await scene.one(
            "SELECT i.refusal, a.note FROM trading.intents i JOIN trading.audit a "
            "ON a.subject_id = i.intent_id::text AND a.new_state = i.state::text "
            "WHERE i.intent_id = %s",
            wish.intent_id,
        )
        assert refusal == note
        found.append(refusal)
    return found


COUNTS = {"open trades": "max_open_trades", "orders in a minute": "max_orders_per_minute"}


@pytest.mark.parametrize("situation", [name for name in SITUATIONS if name != "nothing before"])
@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("racing", [False, True])
def test_a_count_is_held(accounts, runner, name, situation, racing):
    """One trade is there: a second fits into two; a third is one too many, whoever asks first."""
    scene = accounts.make(**WIDE)
    rival = accounts.process(scene)

    async def play():
        await SITUATIONS[situation](scene)
        await scene.list_market(SECOND)
        await scene.apply(**WIDE | {COUNTS[name]: 2})
        wishes = [scene.wish(), scene.wish(market_ticker=SECOND)]
        for wish in wishes:
            await scene.propose(wish)
        await asyncio.gather(*(one.decide() for one in ((scene, rival) if racing else (scene,))))
        return await refusals_of(scene, wishes)

    refusals = runner.run(play())

    assert sorted(map(bool, refusals)) == [False, True]
    assert numbers("".join(refusals), name) == (3, 2)


SINGLE = {
    "contracts an order": (
        {"qty_e2": 1001}, {"qty_e2": 1000}, "10.01 contracts, at most 10 an order",
    ),
    "highest price": (
        {"limit_price_e4": 9700}, {"limit_price_e4": 9600}, "price 97 cents outside 95…96",
    ),
    "lowest price": (
        {"limit_price_e4": 9400}, {"limit_price_e4": 9500}, "price 94 cents outside 95…96",
    ),
    "age of the price": (
        {"price_at_us": START_US - 3_001_000}, {"price_at_us": START_US - 3_000_000},
        "price is 3001 ms old, at most 3000 allowed",
    ),
    "age of the book": (
        {"book_at_us": START_US - 5_001_000}, {"book_at_us": START_US - 5_000_000},
        "book is 5001 ms old, at most 5000 allowed",
    ),
    "unknown age of the price": ({"price_at_us": None}, {}, "price age unknown"),
    "unknown age of the book": ({"book_at_us": None}, {}, "book age unknown"),
    "a price of the future": (
        {"price_at_us": START_US + 3_001_000}, {"price_at_us": START_US + 3_000_000},
        "price is 3001 ms in the future, at most 3000 allowed: check the clock",
    ),
    "validity": (
        {"valid_until_us": START_US - 1}, {"valid_until_us": START_US},
        "too late: the intent was valid until 0 ms ago",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SINGLE)
def test_a_limit_of_one_order_is_held(accounts, runner, name):
    """The limit itself is allowed, the next step is refused by name."""
    beyond, exactly, reason = SINGLE[name]
    scene = accounts.make(**WIDE, min_price_cents=95, max_price_cents=96)

    assert runner.run(scene.ask(scene.wish(**beyond))) == reason
    assert runner.run(scene.ask(scene.wish(**exactly))) == ""


# What was lost, and how far below the high: one micro-dollar less is allowed.


async def lose(scene, amount_usd_e6, at_us, number=1):
    """Book a loss at a time."""
    name = derived_id(scene.account, "loss", number)
    async with scene.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO trading.ledger_transactions VALUES (%s, %s, 'correction', %s, '', %s, %s)",
            *(name, scene.account, f"loss {number}", as_datetime(at_us), as_datetime(at_us)),
        )
        for line, (book, amount) in enumerate(
            (("result", amount_usd_e6), ("cash", -amount_usd_e6)), start=1
        ):
            await tx.execute(
                "INSERT INTO trading.ledger_postings VALUES (%s, %s, %s, %s, '', %s, %s)",
                *(name, line, scene.account, book, amount, as_datetime(at_us)),
            )


@pytest.mark.parametrize("situation", ["nothing before", "one in doubt"])
def test_the_day_s_loss_is_held_to_the_last_micro_dollar(accounts, runner, situation):
    """Realised loss: what is in flight neither adds nor hides."""
    refusals = []
    for lost in (5 * DOLLAR - 1, 5 * DOLLAR):
        scene = accounts.make(**WIDE, max_daily_loss_dollars=5)

        async def play(scene=scene, lost=lost):
            await SITUATIONS[situation](scene)
            await lose(scene, lost, scene.now_us)
            return await scene.ask(scene.wish())

        refusals.append(runner.run(play()))

    assert refusals == ["", "lost $5.00 today, the limit is $5"]


# The day of the shift has 23 or 25 hours; its first moment counts, the one before it does not.
DAYS = {
    "an ordinary day": ("2026-08-01T04:00:00Z", "2026-08-02T03:59:59Z"),
    "clocks go forward": ("2026-03-08T05:00:00Z", "2026-03-09T03:59:59Z"),
    "clocks go back": ("2026-11-01T04:00:00Z", "2026-11-02T04:59:59Z"),
    "the hour that comes twice": ("2026-11-01T04:00:00Z", "2026-11-01T06:30:00Z"),
}


@pytest.mark.parametrize("day", DAYS)
def test_a_day_is_new_york_s_whatever_its_length(accounts, runner, day):
    """From midnight to midnight there."""
    begins_us, now_us = map(parse_time_us, DAYS[day])
    scene = accounts.make(**WIDE, max_daily_loss_dollars=5)

    async def lost_today():
        async with scene.database.transaction() as tx:
            at_stake = await gate.exposure(
                tx, scene.account, now_us=now_us, day_start_us=new_york_day_start_us(now_us)
            )
            limits = (await config.effective_config(tx, scene.account)).risk
        return risk.breaches(limits, at_stake)

    async def play():
        await lose(scene, 5 * DOLLAR, begins_us - 1, number=1)
        before = await lost_today()
        await lose(scene, 5 * DOLLAR, begins_us, number=2)
        return before, await lost_today()

    before, after = runner.run(play())

    assert before == ()
    assert after == ("lost $5.00 today, the limit is $5",)


@pytest.mark.parametrize("below", [20 * DOLLAR - 1, 20 * DOLLAR])
def test_the_drawdown_is_held_to_the_last_micro_dollar(accounts, runner, below):
    """Equity at cost, from its high."""
    scene = accounts.make(**WIDE, max_drawdown_dollars=20)

    async def play():
        await scene.execute(
            "UPDATE trading.totals SET equity_high_usd_e6 = equity_usd_e6 + %s WHERE account = %s",
            *(below, scene.account),
        )
        return await scene.ask(scene.wish())

    wanted = "" if below < 20 * DOLLAR else "$20.00 below the high, the limit is $20"
    assert runner.run(play()) == wanted


@pytest.mark.parametrize("named", ["NoNewEntries", "ReduceOnly", "Halted", "Flatten"])
def test_a_breach_sets_the_switch_that_was_named_once(accounts, runner, named):
    """Two account syncs that see it at the same moment set one row, and midnight releases it."""
    scene = accounts.make(**WIDE, max_daily_loss_dollars=5, on_breach=named)
    rival = accounts.process(scene)
    watches = [LossWatch(one.context("kalshi_account_sync"), one.account) for one in (scene, rival)]

    async def play():
        await lose(scene, 6 * DOLLAR, scene.now_us)
        await asyncio.gather(*(watch.look() for watch in watches))
        refusal = await scene.ask(scene.wish())
        scene.clock.at_us = CLOSE_US + 3 * 3_600 * DOLLAR
        await asyncio.gather(*(watch.look() for watch in watches))
        states = await scene.rows(
            "SELECT new_state FROM trading.audit WHERE subject = 'switches' AND subject_id = %s "
            "ORDER BY version",
            f"{scene.account} breaker:losses",
        )
        return refusal, [state for (state,) in states]

    refusal, states = runner.run(play())

    assert f"switch {named}: breaker:losses" in refusal
    assert "lost $6.00 today, the limit is $5" in refusal
    assert states == [named, "Active"]


def test_cash_is_held_to_the_last_micro_dollar(accounts, runner):
    """What is in doubt may cost its worst."""
    refusals = []
    for missing in (0, 1):
        scene = accounts.make(**WIDE)

        async def play(scene=scene, missing=missing):
            await _unknown(scene)
            await scene.execute(
                "UPDATE trading.totals SET cash_usd_e6 = %s WHERE account = %s",
                *(2 * RESERVE - missing, scene.account),
            )
            return await scene.ask(scene.wish())

        refusals.append(runner.run(play()))

    assert refusals == ["", "costs up to $9.6369, $9.636899 are free"]


# The fleet's, with two accounts.

FLEET = {
    "dollars over all accounts": ("max_cost_total_dollars", ALLOWED),
    "open trades over all accounts": ("max_open_trades", 2),
    "orders in a minute over all accounts": ("max_orders_per_minute", 2),
}


@pytest.mark.parametrize("situation", ["one not sent", "one in doubt", "one filled in part"])
@pytest.mark.parametrize("name", FLEET)
def test_two_accounts_never_pass_the_fleet_s_limit_together(
    lonely_accounts, runner, name, situation
):
    """One trade is there; room for one more and all but a unit of another; both ask at once."""
    first, second = lonely_accounts.make(**WIDE), lonely_accounts.make(**WIDE)
    limit, allowed = FLEET[name]

    async def play():
        _, cost_usd_e6 = await SITUATIONS[situation](first)
        async with first.owner.transaction() as tx:
            await config.apply_fleet(tx, fleet(**{limit: allowed}), at_us=START_US, author="test")
        left = ALLOWED * DOLLAR - cost_usd_e6 - 2 * RESERVE + 1
        await hold(second, NEXT_EVENT, cost_usd_e6=left)
        wishes = [first.wish(), second.wish()]
        for scene, wish in zip((first, second), wishes, strict=True):
            await scene.propose(wish)
        await asyncio.gather(first.decide(), second.decide())
        return await refusals_of(first, wishes)

    refusals = runner.run(play())

    assert sorted(map(bool, refusals)) == [False, True]
    reached = ALLOWED + 1e-6 if "dollars" in name else 3
    assert numbers("".join(refusals), name) == (reached, allowed)


@pytest.mark.parametrize("lost", [5 * DOLLAR - 1, 5 * DOLLAR])
def test_the_fleet_s_loss_is_summed_over_accounts(lonely_accounts, runner, lost):
    """Each lost less than the limit; together they reached it."""
    first, second = lonely_accounts.make(**WIDE), lonely_accounts.make(**WIDE)

    async def play():
        async with first.owner.transaction() as tx:
            await config.apply_fleet(
                tx, fleet(max_daily_loss_dollars=5), at_us=START_US, author="test"
            )
        await lose(first, 3 * DOLLAR, first.now_us)
        await lose(second, lost - 3 * DOLLAR, first.now_us)
        return await second.ask(second.wish())

    wanted = "" if lost < 5 * DOLLAR else "all accounts lost $5.00 today, at most $5"
    assert runner.run(play()) == wanted


# Nothing is replaced while it is in doubt.


@pytest.mark.parametrize("side", ["yes", "no"])
def test_an_entry_in_doubt_is_not_replaced(accounts, runner, side):
    """Neither by the same wish again nor by a new one for the same market, on either side."""
    scene = accounts.make(**WIDE)

    async def play():
        wish = scene.wish()
        assert await scene.ask(wish) == ""
        order_id = await scene.entry_order(derived_id(wish.intent_id, "trade"))
        await scene.send(order_id)
        await _doubt(scene, order_id)
        await scene.fold()
        await scene.propose(wish)
        await scene.decide()
        again = await scene.ask(scene.wish(side=side, source=Source.MANUAL))
        (number,) = await scene.one(
            "SELECT count(*) FROM trading.orders WHERE account = %s", scene.account
        )
        return again, number

    again, number = runner.run(play())

    assert again == f"there is a live trade in {MARKET} already"
    assert number == 1


async def _leaving(scene, qty_e2):
    trade_id = await scene.held_trade()
    order_id = await scene.leave(trade_id, qty_e2=qty_e2)
    await scene.send(order_id)
    await _doubt(scene, order_id)
    await scene.fold()
    return trade_id


def test_an_exit_in_doubt_is_not_replaced(accounts, runner):
    """All of it may be sold: a second exit has nothing left, also a person's."""
    scene = accounts.make(**WIDE)

    async def play():
        trade_id = await _leaving(scene, 1000)
        return [
            await scene.ask(scene.exit_wish(trade_id, source=source))
            for source in (Source.AUTO_STOP, Source.MANUAL, Source.FLATTEN)
        ]

    assert runner.run(play()) == ["nothing left to sell: all of it is sold or being sold"] * 3


def test_beside_an_exit_in_doubt_only_the_rest_is_sold(accounts, runner):
    """Six may be sold: four are left, once."""
    scene = accounts.make(**WIDE)

    async def play():
        trade_id = await _leaving(scene, 600)
        rival = accounts.process(scene)
        wishes = [scene.exit_wish(trade_id), scene.exit_wish(trade_id)]
        for wish in wishes:
            await scene.propose(wish)
        await asyncio.gather(scene.decide(), rival.decide())
        sold = await scene.rows(
            "SELECT qty_e2 FROM trading.orders WHERE trade_id = %s AND purpose = 'exit' "
            "ORDER BY qty_e2",
            trade_id,
        )
        return sold, await refusals_of(scene, wishes)

    sold, refusals = runner.run(play())

    assert sold == [(400,), (600,)]
    assert sorted(refusals) == ["", "nothing left to sell: all of it is sold or being sold"]


def test_a_late_fill_after_an_entry_was_given_up_blocks_its_market(accounts, runner):
    """It was abandoned, another entry would be free to come; the late fill takes the market back."""
    scene = accounts.make(**WIDE)

    async def play():
        trade_id = await scene.enter()
        order_id = await scene.entry_order(trade_id)
        await scene.report(order_id, 0, status="canceled")
        await scene.fold()
        await scene.book_fill(await scene.fill_of(order_id, order_id=exchange_id(order_id)))
        return await scene.ask(scene.wish())

    refusal = runner.run(play())

    assert f"there is a live trade in {MARKET} already" in refusal


def test_no_exit_is_accepted_once_its_market_has_closed(accounts, runner):
    """The trade is not folded to expired yet: the gate goes by the market's own close."""
    scene = accounts.make(**WIDE)

    async def play():
        trade_id = await scene.held_trade()
        scene.clock.at_us = CLOSE_US - 1
        last = await scene.ask(scene.exit_wish(trade_id, qty_e2=100))
        scene.clock.at_us = CLOSE_US
        return last, await scene.ask(scene.exit_wish(trade_id))

    assert runner.run(play()) == ("", "market is not in its open window")


def test_an_unknown_trade_has_no_side(accounts, runner):
    """What can be sold of a trade that is not there is nothing."""
    scene = accounts.make(**WIDE)

    async def play():
        async with scene.database.transaction() as tx:
            return await gate.free_to_sell_e2(tx, UUID(int=9), "yes")

    assert runner.run(play()) == 0
