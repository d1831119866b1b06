"""Facts of the exchange: each booked once, whole, with balanced postings, whoever tells it first."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.money.scene import (
    CLOSE_US,
    DOLLAR,
    EVENT,
    FEE,
    MARKET,
    OTHER,
    exchange_id,
    exchange_order,
)

from recio.adapters.kalshi.model import ExchangePosition
from recio.adapters.postgres import external, facts
from recio.apps.kalshi_account_sync import booking
from recio.domain.disputes import Contradiction
from recio.domain.errors import InvalidValue
from recio.domain.orders import BookSide, OrderState

START_CASH = 1000 * DOLLAR


def totals(scene, runner):
    """Return cash, equity and its high."""
    return runner.run(
        scene.one(
            "SELECT cash_usd_e6, equity_usd_e6, equity_high_usd_e6 FROM trading.totals "
            "WHERE account = %s",
            scene.account,
        )
    )


def fills(scene, runner):
    """Return what is booked of each fill: id, trade, quantity, fee."""
    return runner.run(
        scene.rows(
            "SELECT fill_id, trade_id, qty_e2, fee_usd_e6 FROM trading.fills WHERE account = %s "
            "ORDER BY length(fill_id), fill_id",
            scene.account,
        )
    )


def position(scene, runner, ticker=MARKET):
    """Return signed quantity and cost."""
    return runner.run(
        scene.one(
            "SELECT qty_e2, cost_usd_e6 FROM trading.positions "
            "WHERE account = %s AND market_ticker = %s",
            *(scene.account, ticker),
        )
    )


def test_a_fill_told_twice_is_booked_once(scene, runner):
    """By the exchange's id, whatever else the second telling says."""

    async def play():
        order_id = await scene.entry_order(await scene.enter())
        await scene.send(order_id)
        told = await scene.fill_of(order_id)
        return [await scene.book_fill(told), await scene.book_fill(told)]

    assert runner.run(play()) == [True, False]
    assert totals(scene, runner) == (
        START_CASH - 9_600_000 - FEE,
        START_CASH - FEE,
        START_CASH,
    )
    assert position(scene, runner) == (1000, 9_600_000)
    runner.run(scene.assert_books_agree())


def test_stream_and_read_at_the_same_moment_book_one(scene, runner):
    """The account's totals row makes them take turns."""

    async def play():
        order_id = await scene.entry_order(await scene.enter())
        await scene.send(order_id)
        told = await scene.fill_of(order_id)
        return await asyncio.gather(*(scene.book_fill(told) for _ in range(4)))

    assert sorted(runner.run(play())) == [False, False, False, True]
    assert len(fills(scene, runner)) == 1
    runner.run(scene.assert_books_agree())


def test_the_table_itself_takes_a_fill_once(scene, runner):
    """Also when nobody looked before."""
    fill = facts.Fill(
        fill_id="f",
        exchange_order_id="x",
        order_id=None,
        trade_id=None,
        market_ticker=MARKET,
        event_ticker=EVENT,
        book_side=BookSide.BID,
        yes_price_e4=9600,
        qty_e2=1000,
        fee_usd_e6=FEE,
        is_taker=True,
        at_us=scene.now_us,
    )

    async def play():
        booked = []
        for _ in range(2):
            async with scene.database.transaction() as tx:
                booked.append(await facts.book_fill(tx, scene.account, fill, seen_us=scene.now_us))
        return booked

    assert runner.run(play()) == [True, False]
    assert position(scene, runner) == (1000, 9_600_000)
    runner.run(scene.assert_books_agree())


def test_a_fill_is_its_order_s_before_any_reply(scene, runner):
    """The private stream told first: order, trade, exchange's id and booked quantity are known."""

    async def play():
        trade_id = await scene.enter()
        order_id = await scene.entry_order(trade_id)
        await scene.send(order_id)
        await scene.book_fill(await scene.fill_of(order_id, qty_e2=400, fee_usd_e6=10_800))
        return trade_id, await scene.order(order_id)

    trade_id, row = runner.run(play())

    assert (row.booked_qty_e2, row.order.filled_qty_e2) == (400, 400)
    assert row.order.state is OrderState.SUBMITTED
    assert row.order.exchange_order_id == exchange_id(row.order.order_id)
    assert fills(scene, runner)[0][1] == trade_id


def test_a_fill_by_rest_is_found_by_the_exchange_s_order_id(scene, runner):
    """REST names no client order id; the order's reply, or a look-up, gave the other one."""

    async def play():
        trade_id = await scene.enter()
        order_id = await scene.entry_order(trade_id)
        await scene.report(order_id, 1000)
        told = await scene.fill_of(order_id, client_order_id=None)
        await scene.book_fill(told)
        other_id = await scene.enter(market_ticker=OTHER)
        other_order_id = await scene.entry_order(other_id)
        await scene.send(other_order_id)
        unknown = await scene.fill_of(other_order_id, client_order_id=None)
        await scene.book_fill(unknown, client_order_id=str(other_order_id))
        return trade_id, other_id

    assert [row[1] for row in fills(scene, runner)] == []
    wanted = set(runner.run(play()))
    assert {row[1] for row in fills(scene, runner)} == wanted


def test_an_order_s_word_moves_it_on_and_an_older_one_does_not(scene, runner):
    """The exchange's id is learned; filled never falls; executed stays."""

    async def play():
        order_id = await scene.entry_order(await scene.enter())
        await scene.send(order_id)
        words = [("resting", 300), ("executed", 1000), ("resting", 300), ("canceled", 300)]
        seen = []
        for status, filled in words:
            await scene.report(order_id, filled, status=status, sends=False)
            row = await scene.order(order_id)
            seen.append((row.order.state.value, row.order.filled_qty_e2))
        return seen

    assert runner.run(play()) == [
        ("partially_filled", 300),
        ("executed", 1000),
        ("executed", 1000),
        ("executed", 1000),
    ]


def test_a_fill_after_a_cancel_is_the_truth(scene, runner):
    """The order ends executed and everything is booked."""

    async def play():
        order_id = await scene.entry_order(await scene.enter())
        await scene.report(order_id, 0, status="canceled")
        await scene.report(order_id, 1000)
        await scene.book_fill(await scene.fill_of(order_id))
        return await scene.states("orders", order_id)

    assert runner.run(play()) == ["created", "submitted", "canceled", "executed"]
    runner.run(scene.assert_books_agree())


@pytest.mark.parametrize("status", ["unknown", "pending", ""])
def test_a_word_without_meaning_moves_nothing(scene, runner, status):
    """Nothing is guessed."""

    async def play():
        order_id = await scene.entry_order(await scene.enter())
        await scene.send(order_id)
        await scene.report(order_id, 1000, status=status)
        return (await scene.order(order_id)).order.state

    assert runner.run(play()) is OrderState.SUBMITTED


def test_a_stranger_s_order_is_none_of_ours(scene, runner):
    """Neither is one whose client order id is no id of ours."""
    for client_id in ("", "made by hand", "80853845-8c14-8675-9318-9b640133675b"):
        told = exchange_order(status="executed", fill_qty_e2=1000, client_order_id=client_id)
        assert runner.run(scene.book_order(told)) is False


def test_the_books_open_once(scene, runner):
    """The first balance is the opening one; the next start finds it there."""

    async def play():
        async with scene.database.transaction() as tx:
            return await facts.open_books(
                tx, scene.account, cash_usd_e6=5 * DOLLAR, at_us=scene.now_us
            )

    assert runner.run(play()) is False
    assert totals(scene, runner) == (START_CASH,) * 3


def test_facts_from_before_the_books_were_opened_are_in_the_balance(scene, runner):
    """They are not booked again, fills and settlements alike."""

    async def play():
        early_us = scene.now_us - 10
        booked = await scene.book_fill(scene.fill(at_us=early_us))
        reason = await scene.settle(scene.settlement(yes_e2=1000, settled_at_us=early_us))
        return booked, reason

    assert runner.run(play()) == (False, "")
    assert totals(scene, runner) == (START_CASH,) * 3


def test_a_deposit_is_no_profit_and_a_withdrawal_no_drawdown(scene, runner):
    """Cash, equity and its high move together; each is booked once."""

    async def play():
        await scene.execute(
            "UPDATE trading.totals SET equity_high_usd_e6 = equity_usd_e6 + 7 WHERE account = %s",
            scene.account,
        )
        booked = []
        for name, amount in (("deposit:1", 50), ("deposit:1", 50), ("withdrawal:1", -80)):
            async with scene.database.transaction() as tx:
                booked.append(
                    await facts.book_transfer(
                        tx, scene.account, name, amount, at_us=scene.now_us, seen_us=scene.now_us
                    )
                )
        return booked

    assert runner.run(play()) == [True, False, True]
    assert totals(scene, runner) == (START_CASH - 30, START_CASH - 30, START_CASH - 23)
    runner.run(scene.assert_books_agree())


def test_a_settlement_pays_once(scene, runner):
    """Told again it changes nothing; its fee repeats the fills' and is not taken twice."""

    async def play():
        await scene.held_trade()
        scene.clock.at_us = CLOSE_US + 120 * DOLLAR
        told = scene.settlement(yes_e2=1000)
        return [await scene.settle(told), await scene.settle(told)]

    assert runner.run(play()) == ["", ""]
    assert totals(scene, runner)[0] == START_CASH + 400_000 - FEE
    assert position(scene, runner) == (0, 0)
    runner.run(scene.assert_books_agree())


def test_a_settlement_waits_for_a_missing_fill(scene, runner):
    """It was shown before the last fill of its market: booked then, that fill had no payout."""

    async def play():
        trade_id = await scene.enter()
        order_id = await scene.entry_order(trade_id)
        await scene.report(order_id, 1000)
        await scene.book_fill(await scene.fill_of(order_id, qty_e2=600, fee_usd_e6=0))
        told = scene.settlement(yes_e2=1000)
        waits = await scene.settle(told)
        await scene.book_fill(await scene.fill_of(order_id, qty_e2=400, fee_usd_e6=0))
        return waits, await scene.settle(told)

    waits, booked = runner.run(play())

    assert waits == f"{MARKET}: the exchange settled 10 contracts, booked are 6"
    assert booked == ""
    assert totals(scene, runner)[0] == START_CASH + 400_000


def test_the_settlement_of_a_market_that_was_sold_before_is_booked_empty(scene, runner):
    """The exchange lists it; there is nothing to pay."""

    async def play():
        await scene.held_trade()
        await scene.book_fill(scene.fill(book_side=BookSide.ASK))
        return await scene.settle(scene.settlement())

    assert runner.run(play()) == ""
    runner.run(scene.assert_books_agree())


def read_from(scene, runner):
    """Return from when facts are read again, at the latest."""

    async def play():
        async with scene.database.transaction() as tx:
            return await external.oldest_open_us(tx, scene.account, scene.now_us)

    return runner.run(play())


def test_what_waits_for_facts_is_read_again(scene, runner):
    """An open order, a fill to come, a trade after its close; then only what is new."""
    trade_id = runner.run(scene.enter())
    made_us = scene.now_us
    scene.clock.pass_time(60)
    assert read_from(scene, runner) == made_us
    runner.run(scene.report(runner.run(scene.entry_order(trade_id)), 1000))
    assert read_from(scene, runner) == made_us
    runner.run(scene.fill_entry(trade_id))
    runner.run(scene.fold())
    assert read_from(scene, runner) == scene.now_us
    scene.clock.at_us = CLOSE_US + 3600 * DOLLAR
    runner.run(scene.fold())
    assert read_from(scene, runner) == made_us
    runner.run(scene.settle(scene.settlement(yes_e2=1000)))
    runner.run(scene.fold())
    assert read_from(scene, runner) == scene.now_us


def test_selling_by_hand_closes_our_trade(scene, runner):
    """A fill against the position, by an order that is not ours."""

    async def play():
        trade_id = await scene.held_trade()
        await scene.book_fill(
            scene.fill(book_side=BookSide.ASK, yes_price_e4=9700, qty_e2=400, fee_usd_e6=0)
        )
        await scene.fold()
        part = await scene.trade(trade_id)
        await scene.book_fill(
            scene.fill(book_side=BookSide.ASK, yes_price_e4=9700, qty_e2=600, fee_usd_e6=0)
        )
        await scene.fold()
        return part, await scene.trade(trade_id)

    part, trade = runner.run(play())

    assert (part["state"], part["exited_qty_e2"]) == ("open", 400)
    assert (trade["state"], trade["pnl_usd_e6"]) == ("closed", 100_000 - FEE)
    assert trade["close_reason"] == "external: sold outside this system"


def test_buying_by_hand_makes_an_external_trade(scene, runner):
    """It is watched and folded like ours, and sold by what is sold against it."""

    async def play():
        await scene.book_fill(scene.fill(ticker=OTHER, book_side=BookSide.ASK, yes_price_e4=3000))
        await scene.fold()
        return await scene.one(
            "SELECT to_jsonb(t) FROM trading.trades t WHERE account = %s", scene.account
        )

    (trade,) = runner.run(play())

    assert (trade["source"], trade["strategy"], trade["side"]) == ("external", "external", "no")
    assert (trade["state"], trade["filled_qty_e2"], trade["number"]) == ("open", 1000, 1)
    assert (trade["entry_cost_usd_e6"], trade["event_ticker"]) == (7_000_000, EVENT)
    assert trade["strike_usd_e6"] == 119_749_990_000


def test_buying_more_by_hand_adds_to_the_external_trade(scene, runner):
    """One position of one market is one trade, ours apart."""

    async def play():
        ours = await scene.held_trade()
        for _ in range(2):
            await scene.book_fill(scene.fill(qty_e2=500, fee_usd_e6=0))
        await scene.fold()
        return ours, await scene.rows(
            "SELECT trade_id, source, filled_qty_e2 FROM trading.trades WHERE account = %s "
            "ORDER BY number",
            scene.account,
        )

    ours, ((first, source, filled), (_, other_source, other_filled)) = runner.run(play())

    assert (first, source, filled) == (ours, "auto_entry", 1000)
    assert (other_source, other_filled) == ("external", 1000)


def test_selling_more_than_is_held_is_cut_into_its_trades(scene, runner):
    """Fifteen sold by hand: ten close ours, five open a NO by hand; nothing breaks."""

    async def play():
        trade_id = await scene.held_trade()
        told = scene.fill(
            fill_id="big",
            book_side=BookSide.ASK,
            qty_e2=1500,
            yes_price_e4=9000,
            fee_usd_e6=100_000,
        )
        assert await scene.book_fill(told)
        assert not await scene.book_fill(told)
        await scene.fold()
        return trade_id, await scene.rows(
            "SELECT trade_id, source, side::text, state::text, filled_qty_e2, exited_qty_e2, "
            "fees_usd_e6 FROM trading.trades WHERE account = %s ORDER BY number",
            scene.account,
        )

    trade_id, (ours, external_one) = runner.run(play())

    assert ours == (trade_id, "auto_entry", "yes", "closed", 1000, 1000, FEE + 66_666)
    assert external_one[1:] == ("external", "no", "open", 500, 0, 33_334)
    parts = [row[0] for row in fills(scene, runner) if row[0].startswith("big")]
    assert parts == ["big", "big/2"]
    assert position(scene, runner) == (-500, 500_000)
    runner.run(scene.assert_books_agree())


def test_what_was_bought_by_hand_is_sold_by_hand_first(scene, runner):
    """Ours is touched only by what is left."""

    async def play():
        ours = await scene.held_trade()
        await scene.book_fill(scene.fill(qty_e2=500, fee_usd_e6=0))
        await scene.book_fill(scene.fill(book_side=BookSide.ASK, qty_e2=700, fee_usd_e6=0))
        await scene.fold()
        return ours, dict(
            await scene.rows(
                "SELECT source, exited_qty_e2 FROM trading.trades WHERE account = %s", scene.account
            )
        )

    _, exited = runner.run(play())

    assert exited == {"external": 500, "auto_entry": 200}


def test_our_exit_may_sell_what_was_bought_by_hand(scene, runner):
    """Reduce-only looks at the position: what our trade no longer holds is another trade's."""

    async def play():
        ours = await scene.held_trade()
        await scene.book_fill(scene.fill(qty_e2=500, fee_usd_e6=0))
        order_id = await scene.leave(ours)
        # Seven sold by hand meanwhile: five of the external trade, two of ours.
        await scene.book_fill(scene.fill(book_side=BookSide.ASK, qty_e2=700, fee_usd_e6=0))
        await scene.book_fill(scene.fill(qty_e2=300, fee_usd_e6=0))
        await scene.report(order_id, 1000)
        await scene.book_fill(await scene.fill_of(order_id, fee_usd_e6=0))
        await scene.fold()
        return order_id, await scene.rows(
            "SELECT source, state::text, filled_qty_e2, exited_qty_e2 FROM trading.trades "
            "WHERE account = %s ORDER BY number",
            scene.account,
        )

    order_id, found = runner.run(play())

    assert found == [
        ("auto_entry", "closed", 1000, 1000),
        ("external", "open", 800, 700),
    ]
    assert runner.run(scene.order(order_id)).booked_qty_e2 == 1000
    assert position(scene, runner)[0] == 100
    runner.run(scene.assert_books_agree())


def test_a_foreign_sale_beside_an_entry_on_its_way_is_not_that_trade_s(scene, runner):
    """A trade that holds nothing sells nothing."""

    async def play():
        entering = await scene.enter()
        await scene.book_fill(scene.fill(book_side=BookSide.ASK, yes_price_e4=9700, fee_usd_e6=0))
        await scene.fold()
        return await scene.trade(entering), await scene.rows(
            "SELECT source, side::text FROM trading.trades WHERE account = %s ORDER BY number",
            scene.account,
        )

    entering, found = runner.run(play())

    assert entering["exited_qty_e2"] == 0
    assert found == [("auto_entry", "yes"), ("external", "no")]


def test_a_late_entry_fill_of_a_closed_trade_is_watched_as_external(scene, runner):
    """The trade's result is final; what came late must not stay without a watch."""

    async def play():
        trade_id = await scene.enter()
        order_id = await scene.entry_order(trade_id)
        await scene.report(order_id, 600, status="canceled")
        await scene.book_fill(await scene.fill_of(order_id, qty_e2=600, fee_usd_e6=0))
        await scene.book_fill(scene.fill(book_side=BookSide.ASK, qty_e2=600, fee_usd_e6=0))
        await scene.fold()
        closed = await scene.trade(trade_id)
        await scene.book_fill(await scene.fill_of(order_id, qty_e2=400, fee_usd_e6=0))
        await scene.fold()
        return (
            closed,
            await scene.trade(trade_id),
            await scene.rows(
                "SELECT source, state::text, filled_qty_e2 FROM trading.trades WHERE account = %s "
                "ORDER BY number",
                scene.account,
            ),
        )

    closed, after, found = runner.run(play())

    assert closed["state"] == "closed"
    assert after == closed
    assert found == [("auto_entry", "closed", 600), ("external", "open", 400)]
    runner.run(scene.assert_books_agree())


def test_a_fill_in_a_market_of_other_series_is_booked_without_a_trade(scene, runner):
    """The ledger takes everything; trades are for what we know."""

    async def play():
        await scene.book_fill(scene.fill(ticker="PRES-28-X"))
        await scene.fold()

    runner.run(play())

    assert fills(scene, runner)[0][1] is None
    assert position(scene, runner, "PRES-28-X") == (1000, 9_600_000)
    runner.run(scene.assert_books_agree())


@pytest.mark.parametrize("changes", [{"qty_e2": 0}, {"qty_e2": -100}, {"yes_price_e4": 10_001}])
def test_what_is_no_fill_is_refused_and_nothing_of_it_stays(scene, runner, changes):
    """No row, no posting."""
    with pytest.raises((InvalidValue, Contradiction)):
        runner.run(scene.book_fill(scene.fill(**changes)))

    assert fills(scene, runner) == []
    assert totals(scene, runner) == (START_CASH,) * 3


def adopt(scene, ticker, qty_e2, exposure):
    """Adopt a position of the exchange."""

    async def play():
        async with scene.database.transaction() as tx:
            await booking.adopt_position(
                tx,
                scene.account,
                ExchangePosition(
                    ticker=ticker,
                    qty_e2=qty_e2,
                    exposure_usd_e6=exposure,
                    traded_usd_e6=None,
                    realized_pnl_usd_e6=0,
                    fees_usd_e6=0,
                    updated_at_us=None,
                    exchange_index=2,
                ),
                at_us=scene.now_us,
            )

    return play()


def test_a_position_from_before_is_adopted_at_its_cost(scene, runner):
    """Cash is untouched, equity holds it, and it is an external trade until it settles."""

    async def play():
        await adopt(scene, MARKET, -500, 1_234_000)
        await scene.fold()
        trade = await scene.one(
            "SELECT to_jsonb(t) FROM trading.trades t WHERE account = %s", scene.account
        )
        scene.clock.at_us = CLOSE_US + 120 * DOLLAR
        assert await scene.settle(scene.settlement(no_e2=500, result="no")) == ""
        await scene.fold()
        return trade[0], await scene.trade(trade[0]["trade_id"])

    trade, settled = runner.run(play())

    assert (trade["state"], trade["side"], trade["filled_qty_e2"]) == ("open", "no", 500)
    assert trade["entry_cost_usd_e6"] == 1_234_000
    assert (settled["state"], settled["pnl_usd_e6"]) == ("settled", 3_766_000)
    assert totals(scene, runner)[:2] == (START_CASH + 5_000_000,) * 2
    runner.run(scene.assert_books_agree())


def test_an_adopted_position_costs_what_the_exchange_says(scene, runner):
    """To the micro-dollar in the books, also where its average is no price."""
    runner.run(adopt(scene, MARKET, 300, 1_000_001))

    assert position(scene, runner) == (300, 1_000_001)
    assert totals(scene, runner)[:2] == (START_CASH, START_CASH + 1_000_001)
    runner.run(scene.assert_books_agree())


def test_two_trades_of_one_market_share_its_settlement(scene, runner):
    """Each by its own contracts; together they are the ledger's result."""

    async def play():
        await scene.held_trade()
        await scene.book_fill(scene.fill(qty_e2=500, yes_price_e4=9000, fee_usd_e6=0))
        scene.clock.at_us = CLOSE_US + 120 * DOLLAR
        await scene.settle(scene.settlement(yes_e2=1500))
        await scene.fold()
        return await scene.rows(
            "SELECT pnl_usd_e6, settlement_usd_e6 FROM trading.trades WHERE account = %s "
            "ORDER BY number",
            scene.account,
        )

    found = runner.run(play())

    assert found == [(400_000 - FEE, 10_000_000), (500_000, 5_000_000)]
    assert totals(scene, runner)[0] == START_CASH + sum(pnl for pnl, _ in found)


def test_totals_are_the_ledger_s_sums_after_a_long_day(scene, runner):
    """Entries, exits, hand trades, partial fills, settlements: one story in four tables."""

    async def play():
        for index, (ticker, side) in enumerate(
            [(MARKET, "yes"), (OTHER, "no"), (MARKET, "no"), (OTHER, "yes")] * 2
        ):
            trade_id = await scene.enter(
                market_ticker=ticker, side=side, limit_price_e4=9000, qty_e2=300 + index
            )
            await scene.fill_entry(trade_id, qty_e2=300, fee_usd_e6=1_234 + index)
            order_id = await scene.leave(
                trade_id, side=side, market_ticker=ticker, limit_price_e4=7000
            )
            part = 100 * (index % 3) + 100
            await scene.report(order_id, part, status="executed" if part == 300 else "canceled")
            await scene.book_fill(
                await scene.fill_of(order_id, qty_e2=part, fee_usd_e6=777 * index)
            )
            await scene.fold()
            held = (await scene.trade(trade_id))["filled_qty_e2"] - part
            if held:
                opposite = BookSide.ASK if side == "yes" else BookSide.BID
                await scene.book_fill(
                    scene.fill(ticker=ticker, book_side=opposite, qty_e2=held, yes_price_e4=5000)
                )
            await scene.fold()
            scene.clock.pass_time(10)
        return await scene.one(
            "SELECT sum(pnl_usd_e6)::bigint, count(*) FILTER (WHERE state <> 'closed') "
            "FROM trading.trades WHERE account = %s",
            scene.account,
        )

    pnl, alive = runner.run(play())

    assert alive == 0
    assert totals(scene, runner)[0] == START_CASH + pnl
    runner.run(scene.assert_books_agree())
