"""An exchange that lies about settlements: wrong market, wrong time, wrong result, wrong money."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.money.liar import each
from tests.integration.money.test_lies import SETTLEMENTS, Desk, until
from tests.unit.exchange_simulator.builders import CLOSE_US, HIGH, LOW

from recio.domain.disputes import STANDS_FOR_S, Reason
from recio.domain.units import SECOND_US, as_datetime, format_time_us

NEVER_HELD = "KXBTCD-26NOV2012-T90499.99"


def settled(ticker=LOW, **changes):
    """Return a settlement of ten YES that won, as the exchange writes it."""
    return {
        "ticker": ticker,
        "event_ticker": "KXBTCD-26NOV2012",
        "market_result": "yes",
        "yes_count_fp": "10.00",
        "yes_total_cost_dollars": "9.50",
        "no_count_fp": "0.00",
        "no_total_cost_dollars": "0.00",
        "revenue": 1000,
        "settled_time": format_time_us(CLOSE_US + 60 * SECOND_US),
        "fee_cost": "0.00",
        "value": 100,
    } | changes


EARLY = format_time_us(CLOSE_US - 405 * SECOND_US)
BEFORE_CLOSE = [
    ("a settlement before the close", settled(settled_time=EARLY), Reason.SETTLEMENT_BEFORE_CLOSE),
    ("a settlement of tomorrow", settled(settled_time="2026-11-21T17:00:00Z"),
     Reason.TIME_IMPOSSIBLE),
    ("a settlement of no known result", settled(market_result="maybe"), Reason.FACT_UNREADABLE),
    ("a settlement of a negative quantity", settled(yes_count_fp="-10.00"), Reason.FACT_UNREADABLE),
]  # fmt: skip
AFTER_CLOSE = [
    ("more revenue than contracts", each(revenue=1_500), Reason.SETTLEMENT_REVENUE_IMPOSSIBLE),
    ("less revenue than contracts", each(revenue=900), Reason.SETTLEMENT_REVENUE_IMPOSSIBLE),
    ("a loss that is paid", each(market_result="no"), Reason.SETTLEMENT_REVENUE_IMPOSSIBLE),
    ("the other result, with its money", each(market_result="no", revenue=0, value=0),
     Reason.SETTLEMENT_CONTRADICTS_RESULT),
    ("more contracts than were held", each(yes_count_fp="11.00", revenue=1_100),
     Reason.SETTLEMENT_DIFFERS),
    ("a market that was never held", lambda rows: [settled(NEVER_HELD), *rows] if rows else rows,
     Reason.SETTLEMENT_DIFFERS),
]  # fmt: skip


async def _bought(desk):
    await desk.enter(HIGH)
    await asyncio.sleep(4)
    await desk.enter(LOW)
    await asyncio.sleep(8)
    assert await desk.breaker() == ("Active", "")


async def _past_close(desk, seconds=0.0):
    left_us = CLOSE_US - desk.scene.now_us
    await asyncio.sleep(left_us / SECOND_US + seconds)


async def _announce(desk, ticker, result):
    """Write the result as the market data service learns it, by a way of its own."""
    async with desk.scene.owner.transaction() as tx:
        await tx.execute(
            "UPDATE market.markets SET result = %s, status = 'determined', changed_at = %s "
            "WHERE environment = 'paper' AND ticker = %s",
            *(result, as_datetime(desk.scene.now_us), ticker),
        )


async def _holds_for(desk, reason, bound_s):
    async def is_told():
        return reason in {each_.reason for each_ in await desk.undecided()}

    assert await until(is_told, bound_s), await desk.undecided()
    state, why = await desk.breaker()
    assert state == "NoNewEntries"
    assert f"{reason}: " in why
    await desk.scene.assert_books_agree()


async def _ends_right(desk):
    """Everything is settled, free, and equal to the exchange's own books."""
    await asyncio.sleep(15)
    assert await until(desk.decided, 60), await desk.breaker()
    await asyncio.sleep(60)
    for ticker in (LOW, HIGH):
        assert {state for _, _, state, _ in await desk.trades(ticker)} == {"settled"}
    assert await desk.our_cash() == await desk.venue_cash()
    await desk.scene.assert_books_agree()


@pytest.mark.parametrize(("name", "row", "reason"), BEFORE_CLOSE, ids=[r[0] for r in BEFORE_CLOSE])
def test_a_settlement_that_cannot_be_yet(database_url, name, row, reason):
    """Before the close nothing is settled, whatever is told; exits go on, the truth is booked later."""
    desk = Desk(database_url)

    async def script():
        await _bought(desk)
        desk.liar.rows[SETTLEMENTS] = lambda rows: [row, *rows]
        await _holds_for(desk, reason, 30)
        await desk.exits()
        assert desk.liar.told, name
        desk.liar.stop()
        assert await until(desk.decided, 20)
        await _past_close(desk, 150)
        await _ends_right(desk)

    desk.floor.play(script)


@pytest.mark.parametrize(("name", "lie", "reason"), AFTER_CLOSE, ids=[r[0] for r in AFTER_CLOSE])
def test_a_settlement_that_pays_what_it_cannot(database_url, name, lie, reason):
    """Held, by name; the true settlement is booked when it is told, and the trade ends by it."""
    desk = Desk(database_url)

    def edit(rows):
        ours = [row for row in rows if row["ticker"] == LOW]
        others = [row for row in rows if row["ticker"] != LOW]
        return [*lie(ours), *others]

    async def script():
        await _bought(desk)
        desk.liar.rows[SETTLEMENTS] = edit
        await _past_close(desk)
        if reason is Reason.SETTLEMENT_CONTRADICTS_RESULT:
            await _announce(desk, LOW, "yes")
        await _holds_for(desk, reason, STANDS_FOR_S.get(reason, 0) + 150)
        assert desk.liar.told, name
        await asyncio.sleep(10)
        assert {state for _, _, state, _ in await desk.trades(HIGH)} == {"settled"}
        desk.liar.stop()
        await _ends_right(desk)

    desk.floor.play(script)


def test_a_settlement_that_is_told_again_with_other_figures(database_url):
    """The first one stays booked."""
    desk = Desk(database_url)

    async def script():
        await _bought(desk)
        await _past_close(desk, 150)
        before = await desk.our_cash()
        desk.liar.rows[SETTLEMENTS] = each(revenue=2_000)
        await _holds_for(desk, Reason.SETTLEMENT_TOLD_DIFFERENTLY, 70)
        assert await desk.our_cash() == before
        desk.liar.stop()
        await _ends_right(desk)

    desk.floor.play(script)


def test_a_fill_of_a_market_that_is_settled(database_url):
    """Its settlement would have paid for it: it is not booked, and no trade is opened again."""
    desk = Desk(database_url)

    async def script():
        await _bought(desk)
        await _past_close(desk, 150)
        trades = await desk.trades(LOW)
        new = {"trade_id": "33333333-3333-4333-8333-333333333333", "fill_id": None}
        desk.liar.rows["/portfolio/fills"] = lambda rows: [
            *rows, *[row | new for row in rows if row["ticker"] == LOW][:1]
        ]  # fmt: skip
        await _holds_for(desk, Reason.FILL_AFTER_SETTLEMENT, 70)
        assert await desk.trades(LOW) == trades
        desk.liar.stop()
        await _ends_right(desk)

    desk.floor.play(script)
