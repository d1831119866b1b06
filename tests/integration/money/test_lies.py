"""An exchange that lies: whatever it tells, the account does the same five things.

It holds entries for a reason of the closed list; it keeps exits and books every other fact; it
keeps what was told as evidence; its books stay what the believable facts come to; and it goes on
when the lie is gone (a difference) or a person has decided (a contradiction). All services are the
real ones, the exchange is the paper exchange with a liar before it, time is virtual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.integration.money.liar import Liar, cursor_of, each
from tests.integration.money.scene import login_url
from tests.simulation.floor import Floor
from tests.unit.exchange_simulator.builders import CLOSE_US, HIGH, LOW

from recio.adapters.postgres import disputes
from recio.adapters.postgres.stepped import SteppedDatabase
from recio.apps.kalshi_account_sync.doubts import AGREE
from recio.domain.disputes import BOOKABLE, STANDS_FOR_S, Reason
from recio.domain.intents import Source
from recio.domain.units import SECOND_US, format_time_us, parse_time_us

FILLS, ORDERS = "/portfolio/fills", "/portfolio/orders"
SETTLEMENTS, POSITIONS = "/portfolio/settlements", "/portfolio/positions"
BALANCE, AS_OF = "/portfolio/balance", "/exchange/user_data_timestamp"
BEFORE_CLOSE_US = 420_000_000
SEEN_S = 9.0
"""A lie is seen by the next look, which is at most a second away while something is in doubt."""


def _ours(row: dict[str, Any]) -> bool:
    return row.get("ticker", row.get("market_ticker")) == LOW


def fills_of_low(**changes: Any) -> Callable[[Liar], None]:
    """Lie about every fill of the lower market, over both ways."""

    def edit(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [each(**changes)([row])[0] if _ours(row) else row for row in rows]

    return lambda liar: _arm(liar, FILLS, "fill", edit)


def _arm(liar: Liar, path: str, frame: str, edit: Any) -> None:
    liar.rows[path] = edit
    liar.frames[frame] = edit


def listed(path: str, edit: Any) -> Callable[[Liar], None]:
    """Lie about a list that is read."""
    return lambda liar: liar.rows.update({path: edit})


def replied(path: str, edit: Any) -> Callable[[Liar], None]:
    """Lie about a whole reply."""
    return lambda liar: liar.replies.update({path: edit})


def streamed(kind: str, edit: Any) -> Callable[[Liar], None]:
    """Lie over the stream alone."""
    return lambda liar: liar.frames.update({kind: edit})


def added(path: str, **changes: Any) -> Callable[[Liar], None]:
    """Add a row to a list: the newest one with changes."""
    return listed(path, lambda rows: [rows[0] | changes, *rows] if rows else rows)


def orders_of_low(**changes: Any) -> Callable[[Liar], None]:
    """Lie about every order of the lower market, over both ways."""

    def edit(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row | changes if _ours(row) else row for row in rows]

    return lambda liar: _arm(liar, ORDERS, "user_order", edit)


def dollars_more(cents: int | Callable[[], int]) -> Any:
    """Show more cash than there is."""

    def edit(reply: dict[str, Any], _query: Any) -> dict[str, Any]:
        more = cents() if callable(cents) else cents
        whole = round(float(reply["balance_dollars"]) * 100) + more
        return reply | {"balance": whole, "balance_dollars": f"{whole / 100:.4f}"}

    return edit


def drifting() -> Any:
    """Show a cent more at each look."""
    told = iter(range(1, 10_000))
    return dollars_more(lambda: next(told))


def endless(reply: dict[str, Any], query: dict[str, list[str]]) -> dict[str, Any]:
    """Give two cursors for ever."""
    return reply | {"cursor": "b" if cursor_of(query) == "a" else "a"}


def shifted(seconds: float) -> Any:
    """Say that reads are of another time."""

    def edit(reply: dict[str, Any], _query: Any) -> dict[str, Any]:
        told_us = parse_time_us(reply["as_of_time"]) + round(seconds * SECOND_US)
        return {"as_of_time": format_time_us(told_us)}

    return edit


@dataclass(frozen=True)
class Lie:
    """One lie, and the reason that the account must give for holding its entries."""

    name: str
    tell: Callable[[Liar], None]
    reason: Reason
    is_before_entry: bool = True
    waits_for_a_person: bool = False


STRANGER = {"trade_id": "11111111-1111-4111-8111-111111111111", "fill_id": None,
            "order_id": "22222222-2222-4222-8222-222222222222"}  # fmt: skip
OURS_AGAIN = {"trade_id": "33333333-3333-4333-8333-333333333333", "fill_id": None}
R = Reason
LIES = [
    Lie("a fill of a negative size", fills_of_low(count_fp="-10.00"), R.FACT_UNREADABLE),
    Lie("a fill of no size", fills_of_low(count_fp="0.00"), R.FACT_UNREADABLE),
    Lie("a fill of a size that is no number", fills_of_low(count_fp="NaN"), R.FACT_UNREADABLE),
    Lie("a fill of an absurd size", fills_of_low(count_fp="999999999999.00"), R.FACT_UNREADABLE),
    Lie("a fill at more than a dollar", fills_of_low(yes_price_dollars="1.0100"), R.FACT_UNREADABLE),
    Lie("a fill at a negative price", fills_of_low(yes_price_dollars="-0.9500"), R.FACT_UNREADABLE),
    Lie("a fill finer than a price can be", fills_of_low(yes_price_dollars="0.95001"),
        R.FACT_UNREADABLE),
    Lie("a fill of no side", fills_of_low(book_side="up", outcome_side="", side=None, action=None),
        R.FACT_UNREADABLE),
    Lie("a fill of another time unit", fills_of_low(created_time="9999-01-01T00:00:00Z", ts_ms=None),
        R.FACT_UNREADABLE),
    Lie("a fill off the grid", fills_of_low(yes_price_dollars="0.9450", no_price_dollars="0.0550"),
        R.FILL_PRICE_OFF_GRID),
    Lie("a fill beyond its limit",
        fills_of_low(yes_price_dollars="0.9700", no_price_dollars="0.0300"), R.FILL_BEYOND_LIMIT),
    Lie("a fill of more than was ordered", fills_of_low(count_fp="11.00"), R.FILL_EXCEEDS_ORDER),
    Lie("a fill on the other side", fills_of_low(book_side="ask", outcome_side="no"),
        R.FILL_CONTRADICTS_ORDER),
    Lie("a fill in another market", fills_of_low(ticker=HIGH, market_ticker=HIGH),
        R.FILL_CONTRADICTS_ORDER),
    Lie("a fee of dollars", fills_of_low(fee_cost="9.00"), R.FILL_FEE_IMPOSSIBLE),
    Lie("a fee that pays", fills_of_low(fee_cost="-9.00"), R.FILL_FEE_IMPOSSIBLE),
    Lie("a fill of tomorrow",
        fills_of_low(created_time="2026-11-21T17:00:00Z", ts_ms=None, ts=None), R.TIME_IMPOSSIBLE),
    Lie("a fill of years ago",
        fills_of_low(created_time="2019-11-20T17:00:00Z", ts_ms=None, ts=None), R.TIME_IMPOSSIBLE),
    Lie("a fill that is told again with another price",
        listed(FILLS, each(yes_price_dollars="0.9400", no_price_dollars="0.0600")),
        R.FILL_TOLD_DIFFERENTLY, is_before_entry=False),
    Lie("a fill that is told again with another size", listed(FILLS, each(count_fp="9.00")),
        R.FILL_TOLD_DIFFERENTLY, is_before_entry=False),
    Lie("a fill that is told again with another order",
        listed(FILLS, each(order_id=STRANGER["order_id"])),
        R.FILL_TOLD_DIFFERENTLY, is_before_entry=False),
    Lie("one fill more of an order of ours", added(FILLS, **OURS_AGAIN),
        R.FILL_EXCEEDS_ORDER, is_before_entry=False),
    Lie("a fill of an order that is not there", added(FILLS, **STRANGER),
        R.FILL_OF_UNKNOWN_ORDER, is_before_entry=False, waits_for_a_person=True),
    Lie("fills that are no longer listed", listed(FILLS, lambda _rows: []),
        R.FACTS_VANISHED, is_before_entry=False),
    Lie("fills that are never shown",
        lambda liar: _arm(liar, FILLS, "fill", lambda rows: [r for r in rows if not _ours(r)]),
        R.FILLS_MISSING),
    Lie("an order that is filled for more than its quantity", orders_of_low(fill_count_fp="12.00"),
        R.ORDER_OVERFILLED),
    Lie("an order whose fills fall", listed(ORDERS, each(fill_count_fp="4.00")),
        R.ORDER_FILLS_FELL, is_before_entry=False),
    Lie("an order under our id with another side", orders_of_low(book_side="ask"),
        R.ORDER_CONTRADICTS_OURS),
    Lie("an order under our id with another exchange id",
        listed(ORDERS, each(order_id=STRANGER["order_id"])),
        R.ORDER_CONTRADICTS_OURS, is_before_entry=False),
    Lie("an order in a state that there is not", listed(ORDERS, each(status="sleeping")),
        R.FACT_UNREADABLE),
    Lie("an order of a negative quantity", listed(ORDERS, each(initial_count_fp="-10.00")),
        R.FACT_UNREADABLE),
    Lie("a cent too much, for ever", replied(BALANCE, dollars_more(1)), R.CASH_DIFFERS,
        is_before_entry=False),
    Lie("a dollar too little, for ever", replied(BALANCE, dollars_more(-100)), R.CASH_DIFFERS,
        is_before_entry=False),
    Lie("cash that drifts", replied(BALANCE, drifting()), R.CASH_DIFFERS, is_before_entry=False),
    Lie("cash that is no number",
        replied(BALANCE, lambda reply, _: reply | {"balance_dollars": "NaN"}),
        R.REPLY_UNREADABLE, is_before_entry=False),
    Lie("more contracts than were bought", listed(POSITIONS, each(position_fp="12.00")),
        R.POSITIONS_DIFFER, is_before_entry=False),
    Lie("the position of the other side", listed(POSITIONS, each(position_fp="-10.00")),
        R.POSITIONS_DIFFER, is_before_entry=False),
    Lie("no positions at all", listed(POSITIONS, lambda _rows: []),
        R.POSITIONS_DIFFER, is_before_entry=False),
    Lie("a position in a market never traded", added(POSITIONS, ticker="KXBTCD-26NOV2012-T1.99"),
        R.POSITIONS_DIFFER, is_before_entry=False),
    Lie("reads of tomorrow", replied(AS_OF, shifted(86_400)), R.FRESHNESS_IMPOSSIBLE,
        is_before_entry=False),
    Lie("reads of long ago", replied(AS_OF, shifted(-86_400)), R.FRESHNESS_IMPOSSIBLE,
        is_before_entry=False),
    Lie("reads that run backwards", replied(AS_OF, shifted(-200)), R.FRESHNESS_IMPOSSIBLE,
        is_before_entry=False),
    Lie("a list that never ends", replied(FILLS, endless), R.REPLY_UNREADABLE),
    Lie("a list that is no JSON", lambda liar: liar.raw.update({FILLS: lambda _body: b"<html>"}),
        R.REPLY_UNREADABLE),
    Lie("a list that is no list", replied(ORDERS, lambda reply, _: reply | {"orders": "none"}),
        R.REPLY_UNREADABLE),
    Lie("the stream tells a fill of more than was ordered",
        streamed("fill", each(count_fp="11.00")), R.FILL_EXCEEDS_ORDER, waits_for_a_person=True),
    Lie("the stream tells a fill that cannot be read", streamed("fill", each(count_fp="-10.00")),
        R.FACT_UNREADABLE, waits_for_a_person=True),
    Lie("the stream tells an order that cannot be read",
        streamed("user_order", each(status="sleeping")), R.FACT_UNREADABLE,
        waits_for_a_person=True),
    Lie("the stream tells another price than the list",
        streamed("fill", each(yes_price_dollars="0.9400", no_price_dollars="0.0600")),
        R.FILL_TOLD_DIFFERENTLY, waits_for_a_person=True),
    Lie("the stream tells a fill that nobody knows", streamed("fill", lambda rows: [
        *rows, rows[0] | STRANGER | {"client_order_id": "somebody"}]), R.FILL_OF_UNKNOWN_ORDER,
        waits_for_a_person=True),
]  # fmt: skip


async def until(condition: Any, seconds: float) -> bool:
    """Wait for something, at most so long; return whether it came."""
    for _ in range(int(seconds * 4)):
        if await condition():
            return True
        await asyncio.sleep(0.25)
    return bool(await condition())


class QuietFloor(Floor):
    """A floor whose every commit is not looked at: the lies are what is watched here."""

    def port(self, login: str) -> SteppedDatabase:
        """Return a session of a login."""
        url = self.url if login == "postgres" else login_url(self.url, login)
        self.ports.append(SteppedDatabase(url, hints=self.hints))
        return self.ports[-1]


class Desk:
    """What a test does and sees on a floor with a liar."""

    def __init__(self, database_url: str, floor: type[QuietFloor] = QuietFloor) -> None:
        self.floor = floor(database_url, start_us=CLOSE_US - BEFORE_CLOSE_US)
        self.liar = Liar(self.floor.gateway)
        self.scene = self.floor.scene

    async def undecided(self) -> list[disputes.Dispute]:
        """Return what holds entries."""
        async with self.scene.owner.transaction() as tx:
            return await disputes.undecided(tx, self.scene.account)

    async def breaker(self) -> tuple[str, str]:
        """Return the state of the switch and why."""
        rows = await self.scene.rows(
            "SELECT state::text, reason FROM trading.switches "
            "WHERE scope = %s AND source = 'breaker:books'",
            self.scene.account,
        )
        return rows[0] if rows else ("Active", "")

    async def is_held(self) -> bool:
        """Return whether entries are held."""
        return (await self.breaker())[0] == "NoNewEntries"

    async def is_free(self) -> bool:
        """Return whether entries are free."""
        return (await self.breaker())[0] == "Active"

    async def wish(self, **changes: Any) -> str:
        """Propose something; return the refusal, empty if it is accepted."""
        intent = changes.pop("intent", None) or self.scene.wish(limit_price_e4=9_600, **changes)
        await self.scene.propose(intent)
        await asyncio.sleep(2)
        state, refusal = await self.scene.one(
            "SELECT state::text, refusal FROM trading.intents WHERE intent_id = %s",
            intent.intent_id,
        )
        assert state != "proposed"
        return str(refusal)

    async def enter(self, ticker: str = LOW) -> None:
        """Buy ten YES below, or NO above."""
        is_low = ticker == LOW
        refusal = await self.wish(
            intent=self.scene.wish(
                market_ticker=ticker,
                side="yes" if is_low else "no",
                limit_price_e4=9_600 if is_low else 7_000,
            )
        )
        assert refusal == ""

    async def trades(self, ticker: str) -> list[tuple[Any, ...]]:
        """Return the trades of a market: id, source, state, contracts held."""
        return await self.scene.rows(
            "SELECT trade_id, source, state::text, filled_qty_e2 - exited_qty_e2 "
            "FROM trading.trades WHERE account = %s AND market_ticker = %s ORDER BY number",
            *(self.scene.account, ticker),
        )

    async def exits(self) -> None:
        """Sell two contracts of the trade above: it must work, whatever is told of the one below."""
        ((trade_id, _, state, held),) = await self.trades(HIGH)
        assert state in {"open", "closing"}
        refusal = await self.wish(
            intent=self.scene.exit_wish(
                trade_id, market_ticker=HIGH, side="no", qty_e2=200, limit_price_e4=100,
                source=Source.MANUAL,
            )
        )  # fmt: skip
        assert refusal == ""
        (sent,) = await self.scene.one(
            "SELECT count(*) FROM trading.orders WHERE trade_id = %s AND purpose = 'exit' "
            "AND claimed_at IS NOT NULL",
            trade_id,
        )
        assert (sent, held) == (1, 400)

    async def decided(self) -> bool:
        """Decide as a person does who has looked; return whether entries are free.

        What was told is discarded; a difference of cash that it left in the books is accepted.
        """
        undecided = await self.undecided()
        for dispute in sorted(undecided, key=lambda one: one.reason is Reason.CASH_DIFFERS):
            if dispute.state == "open":
                async with self.scene.owner.transaction() as tx:
                    await disputes.decide(
                        tx,
                        self.scene.account,
                        dispute.dispute_id,
                        is_accepted=dispute.reason is Reason.CASH_DIFFERS,
                        note="I looked",
                        author="person",
                        at_us=self.scene.now_us,
                    )
        return await self.is_free()

    async def venue_cash(self) -> int:
        """Return cash by the exchange's own books."""
        return sum(self.floor.exchange.state.accounts[self.floor.name].cash_e6.values())

    async def our_cash(self) -> int:
        """Return cash by ours."""
        (cash,) = await self.scene.one(
            "SELECT cash_usd_e6 FROM trading.totals WHERE account = %s", self.scene.account
        )
        return int(cash)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_a_lie_holds_entries_and_nothing_else(module_database_url, lie):
    """Held by name, exits sent, evidence kept, books as they were; free again when it is over."""
    desk = Desk(module_database_url)

    async def script() -> None:
        await desk.enter(HIGH)
        await asyncio.sleep(8)
        if not lie.is_before_entry:
            await desk.enter(LOW)
            await asyncio.sleep(8)
        assert await desk.breaker() == ("Active", "")
        lie.tell(desk.liar)
        if lie.is_before_entry:
            await desk.enter(LOW)
        bound_s = STANDS_FOR_S.get(lie.reason, 0.0) + 15 + SEEN_S
        assert await until(desk.is_held, bound_s), await desk.undecided()
        await _check_held(desk, lie)
        desk.liar.stop()
        await _check_over(desk, lie)

    desk.floor.play(script)


async def _check_held(desk: Desk, lie: Lie) -> None:
    assert desk.liar.told
    state, reason = await desk.breaker()
    assert state == "NoNewEntries"
    assert lie.reason in {each_.reason for each_ in await desk.undecided()}
    assert f"{lie.reason}: " in reason
    refusal = await desk.wish(market_ticker=LOW)
    assert "switch NoNewEntries: breaker:books" in refusal
    evidence = next(e for e in await desk.undecided() if e.reason is lie.reason)
    assert evidence.told
    assert evidence.explanation in reason
    await desk.exits()
    await desk.scene.assert_books_agree()


async def _check_over(desk: Desk, lie: Lie) -> None:
    """A difference is over by itself; a contradiction waits for a person, however long."""
    if lie.reason in STANDS_FOR_S and not lie.waits_for_a_person:
        assert await until(desk.is_free, 20), await desk.breaker()
    else:
        await asyncio.sleep(20)
        assert await desk.is_held()
        assert await until(desk.decided, 20), await desk.breaker()
    await asyncio.sleep(12)
    assert await desk.breaker() == ("Active", AGREE)
    assert await desk.our_cash() == await desk.venue_cash()
    await desk.scene.assert_books_agree()


def test_the_table_knows_every_reason():
    """A reason without a lie that gives it is not proved."""
    settled = {
        Reason.SETTLEMENT_DIFFERS,
        Reason.SETTLEMENT_BEFORE_CLOSE,
        Reason.SETTLEMENT_CONTRADICTS_RESULT,
        Reason.SETTLEMENT_REVENUE_IMPOSSIBLE,
        Reason.SETTLEMENT_TOLD_DIFFERENTLY,
        Reason.FILL_AFTER_SETTLEMENT,
    }
    assert {lie.reason for lie in LIES} | settled | {Reason.FACT_REFUSED} == set(Reason)
    assert set(STANDS_FOR_S) & BOOKABLE == {Reason.CASH_DIFFERS, Reason.FILL_OF_UNKNOWN_ORDER}
