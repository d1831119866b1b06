"""Trades follow their facts: every state on the way, and the result to the micro-dollar."""

from __future__ import annotations

import asyncio

from tests.integration.money.scene import CLOSE_US, DOLLAR, FEE, MARKET, OTHER, START_US

from recio.adapters.postgres import trades
from recio.domain.orders import BookSide
from recio.domain.units import as_datetime

START_CASH = 1000 * DOLLAR


def cash(scene, runner):
    """Return the books' cash."""
    return runner.run(
        scene.one("SELECT cash_usd_e6 FROM trading.totals WHERE account = %s", scene.account)
    )[0]


def expire(scene):
    """Let the event close and some time pass."""
    scene.clock.at_us = CLOSE_US + 120 * DOLLAR


def test_a_trade_that_wins(scene, runner):
    """Ten contracts at 0.96 with their fee, held to the end, pay ten dollars."""

    async def play():
        trade_id = await scene.enter()
        seen = [(await scene.trade(trade_id))["state"]]
        await scene.send(await scene.entry_order(trade_id))
        await scene.fold()
        await scene.fill_entry(trade_id)
        await scene.fold()
        held = await scene.trade(trade_id)
        scene.clock.at_us = CLOSE_US
        await scene.fold()
        expire(scene)
        assert await scene.settle(scene.settlement(yes_e2=1000)) == ""
        await scene.fold()
        assert seen == ["created"]
        return trade_id, held, await scene.trade(trade_id)

    trade_id, held, trade = runner.run(play())

    assert (held["state"], held["filled_qty_e2"]) == ("open", 1000)
    assert (held["entry_cost_usd_e6"], held["fees_usd_e6"]) == (9_600_000, FEE)
    assert (held["pnl_usd_e6"], held["ended_at"], held["close_reason"]) == (None, None, "")
    assert (trade["state"], trade["close_reason"]) == ("settled", "settled by the exchange")
    assert (trade["settlement_usd_e6"], trade["pnl_usd_e6"]) == (10_000_000, 400_000 - FEE)
    assert trade["ended_at"] is not None
    assert runner.run(scene.states("trades", trade_id)) == [
        "created", "entering", "open", "expired", "settled",
    ]  # fmt: skip
    assert cash(scene, runner) == START_CASH + 400_000 - FEE
    runner.run(scene.assert_books_agree())


def test_a_trade_that_loses(scene, runner):
    """NO bought at 0.90 pays nothing when YES wins; the loss is cost and fee."""

    async def play():
        trade_id = await scene.held_trade(side="no", limit_price_e4=9000, qty_e2=500)
        expire(scene)
        assert await scene.settle(scene.settlement(no_e2=500)) == ""
        await scene.fold()
        return await scene.trade(trade_id)

    trade = runner.run(play())

    assert (trade["state"], trade["pnl_usd_e6"]) == ("settled", -4_500_000 - FEE)
    assert cash(scene, runner) == START_CASH - 4_500_000 - FEE
    runner.run(scene.assert_books_agree())


def test_a_stop_out(scene, runner):
    """Sold before the close: closed, with the exit's own reason and both fees."""

    async def play():
        trade_id = await scene.held_trade()
        order_id = await scene.leave(trade_id)
        await scene.fold()
        closing = (await scene.trade(trade_id))["state"]
        await scene.report(order_id, 1000)
        await scene.book_fill(await scene.fill_of(order_id, yes_price_e4=4100, fee_usd_e6=170_000))
        await scene.fold()
        return closing, await scene.trade(trade_id)

    closing, trade = runner.run(play())

    assert closing == "closing"
    assert (trade["state"], trade["close_reason"]) == ("closed", "auto_stop: below 40 %")
    assert trade["exit_proceeds_usd_e6"] == 4_100_000
    assert trade["pnl_usd_e6"] == 4_100_000 - 9_600_000 - FEE - 170_000
    assert cash(scene, runner) == START_CASH + trade["pnl_usd_e6"]
    runner.run(scene.assert_books_agree())


def test_partial_fills_on_both_ways(scene, runner):
    """Six of ten bought in two fills; four sold; the rest held to a win."""

    async def play():
        trade_id = await scene.enter()
        entry = await scene.entry_order(trade_id)
        await scene.report(entry, 600, status="canceled")
        await scene.book_fill(await scene.fill_of(entry, qty_e2=200, fee_usd_e6=5_400))
        await scene.fold()
        half = await scene.trade(trade_id)
        await scene.book_fill(
            await scene.fill_of(entry, qty_e2=400, yes_price_e4=9500, fee_usd_e6=13_300)
        )
        await scene.fold()
        leaving = await scene.leave(trade_id)
        leaving_qty_e2 = (await scene.order(leaving)).order.qty_e2
        await scene.report(leaving, 400, status="canceled")
        await scene.book_fill(
            await scene.fill_of(leaving, qty_e2=400, yes_price_e4=5000, fee_usd_e6=70_000)
        )
        await scene.fold()
        rest = await scene.trade(trade_id)
        expire(scene)
        await scene.settle(scene.settlement(yes_e2=200))
        await scene.fold()
        return half, leaving_qty_e2, rest, await scene.trade(trade_id)

    half, leaving_qty_e2, rest, trade = runner.run(play())

    assert (half["state"], half["filled_qty_e2"]) == ("open", 200)
    assert leaving_qty_e2 == 600
    assert (rest["state"], rest["filled_qty_e2"], rest["exited_qty_e2"]) == ("open", 600, 400)
    fees = 5_400 + 13_300 + 70_000
    assert trade["pnl_usd_e6"] == 2_000_000 + 2_000_000 - 1_920_000 - 3_800_000 - fees
    assert cash(scene, runner) == START_CASH + trade["pnl_usd_e6"]
    runner.run(scene.assert_books_agree())


def test_an_entry_without_a_fill_is_abandoned(scene, runner):
    """It cost nothing, and it frees its place."""

    async def play():
        trade_id = await scene.enter()
        await scene.report(await scene.entry_order(trade_id), 0, status="canceled")
        await scene.fold()
        return await scene.trade(trade_id), await scene.ask(scene.wish())

    trade, refusal = runner.run(play())

    assert (trade["state"], trade["pnl_usd_e6"]) == ("abandoned", 0)
    assert trade["close_reason"] == "the entry ended without a fill"
    assert refusal == ""


def test_a_late_fill_brings_an_abandoned_trade_to_life(scene, runner):
    """The fill is the truth; nothing of the false end stays behind."""

    async def play():
        trade_id = await scene.enter()
        order_id = await scene.entry_order(trade_id)
        await scene.report(order_id, 0, status="canceled")
        await scene.fold()
        await scene.book_fill(await scene.fill_of(order_id))
        await scene.fold()
        back = await scene.trade(trade_id)
        expire(scene)
        await scene.settle(scene.settlement(yes_e2=1000))
        await scene.fold()
        return trade_id, back, await scene.trade(trade_id)

    trade_id, back, trade = runner.run(play())

    assert (back["state"], back["pnl_usd_e6"]) == ("open", None)
    assert (back["ended_at"], back["close_reason"]) == (None, "")
    assert (trade["state"], trade["close_reason"]) == ("settled", "settled by the exchange")
    assert trade["pnl_usd_e6"] == 400_000 - FEE
    assert runner.run(scene.states("trades", trade_id)) == [
        "created", "abandoned", "open", "settled",
    ]  # fmt: skip


def test_a_heap_of_facts_is_walked_through_in_legal_steps(scene, runner):
    """Entry and exit between two folds: each state still has its audit row."""

    async def play():
        trade_id = await scene.enter()
        await scene.fill_entry(trade_id)
        await scene.book_fill(scene.fill(book_side=BookSide.ASK, yes_price_e4=9700, fee_usd_e6=0))
        moved = await scene.fold()
        return trade_id, moved, await scene.trade(trade_id)

    trade_id, moved, trade = runner.run(play())

    assert moved == 1
    assert runner.run(scene.states("trades", trade_id)) == ["created", "open", "closed"]
    assert (trade["pnl_usd_e6"], trade["close_reason"]) == (
        100_000 - FEE,
        "external: sold outside this system",
    )


def test_folding_again_changes_nothing(scene, runner):
    """Not a figure, not the time of the last change, not a version."""

    async def play():
        trade_id = await scene.held_trade()
        before = await scene.trade(trade_id)
        scene.clock.pass_time(30)
        moved = await scene.fold()
        return moved, before, await scene.trade(trade_id)

    moved, before, after = runner.run(play())

    assert moved == 0
    assert before == after


def test_a_settled_trade_is_not_folded_any_more(scene, runner):
    """Its figures are final."""

    async def play():
        trade_id = await scene.held_trade()
        expire(scene)
        await scene.settle(scene.settlement(yes_e2=1000))
        await scene.fold()
        before = await scene.trade(trade_id)
        return await scene.fold(), before, await scene.trade(trade_id)

    moved, before, after = runner.run(play())

    assert moved == 0
    assert before == after


def test_an_unsettled_market_waits_expired(scene, runner):
    """However long the exchange takes."""

    async def play():
        trade_id = await scene.held_trade()
        scene.clock.at_us = CLOSE_US + 86_400 * DOLLAR
        await scene.fold()
        return await scene.trade(trade_id)

    trade = runner.run(play())

    assert (trade["state"], trade["pnl_usd_e6"]) == ("expired", None)


def test_a_result_that_is_neither_yes_nor_no_pays_what_it_pays(scene, runner):
    """A void market returns a part: the trade that is the position gets all of it."""

    async def play():
        trade_id = await scene.held_trade()
        expire(scene)
        await scene.settle(scene.settlement(yes_e2=1000, result="scalar", revenue_usd_e6=4_370_000))
        await scene.fold()
        return await scene.trade(trade_id)

    trade = runner.run(play())

    assert trade["pnl_usd_e6"] == 4_370_000 - 9_600_000 - FEE


def test_the_price_of_the_symbol_is_kept_with_the_trade(scene, runner):
    """At the close of its event; none is invented where none is known."""

    async def play():
        for seconds, price in ((-90, 1), (-2, 119_600_000_000), (3, 2)):
            async with scene.owner.transaction() as tx:
                await tx.execute(
                    "INSERT INTO market.prices VALUES ('paper', 'BTC', %s, %s, NULL)",
                    as_datetime(CLOSE_US + seconds * DOLLAR),
                    price,
                )
        trade_id = await scene.held_trade()
        sold_id = await scene.held_trade(market_ticker=OTHER)
        await scene.book_fill(scene.fill(ticker=OTHER, book_side=BookSide.ASK, at_us=START_US + 1))
        expire(scene)
        await scene.fold()
        return await scene.trade(trade_id), await scene.trade(sold_id)

    expired, sold = runner.run(play())

    assert expired["symbol_close_usd_e6"] == 119_600_000_000
    assert (sold["state"], sold["symbol_close_usd_e6"]) == ("closed", None)
    assert expired["market_ticker"] == MARKET


def test_a_fill_waits_while_its_trade_is_folded(scene, runner):
    """So that no trade ends on facts that were true a moment ago."""

    async def play():
        trade_id = await scene.held_trade()
        told = scene.fill(book_side=BookSide.ASK)
        async with scene.database.transaction() as tx:
            await trades.lock_trade(tx, trade_id)
            booking = asyncio.create_task(scene.book_fill(told))
            await scene.until_it_waits(booking)
            is_waiting = not booking.done()
        return is_waiting, await booking

    assert runner.run(play()) == (True, True)
