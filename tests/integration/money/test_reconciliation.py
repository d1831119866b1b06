"""What the exchange shows late, twice, in another order or not at all: the books end up equal.

All services are the real ones at the real paper exchange, in virtual time. The bounds, in virtual
seconds, that hold here and are tested here:

* after a start, or after kill -9 of everything: the books are read back and entries are free within
  ``STARTED_S``;
* a fact that no stream told is booked within ``READ_S`` while something is held (a minute
  while nothing is), an order of ours in doubt within ``DOUBT_S``;
* after the last fault: books equal and entries free, or held for a named reason, within
  ``RECOVERED_S``.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from tests.integration.money.test_lies import FILLS, ORDERS, Desk, QuietFloor, until
from tests.unit.exchange_simulator.builders import CLOSE_US, LOW

from recio.adapters.kalshi.model import NewOrder, OrderRef, TimeInForce
from recio.domain.disputes import Reason
from recio.domain.orders import BookSide
from recio.domain.units import SECOND_US
from recio.exchange_simulator.faults import ArmedFrame, ArmedRequest, FrameFault, RequestFault

STARTED_S = 5.0
DOUBT_S = 3.0
READ_S = 20.0
RECOVERED_S = 30.0
EVERYTHING = 10**9


async def resting(desk, price_e4, qty_e2=1_000, side=BookSide.BID):
    """Let a person rest an order with the account's key."""
    reply = await desk.floor.rest().create_order(
        NewOrder(
            ticker=LOW,
            book_side=side,
            qty_e2=qty_e2,
            yes_price_e4=price_e4,
            client_order_id=f"rests-{price_e4}-{side}",
            time_in_force=TimeInForce.GOOD_TILL_CANCELED,
            exchange_index=2,
        )
    )
    return OrderRef(order_id=reply.order_id, ticker=LOW, exchange_index=2)


async def switched(desk):
    """Return why the books' switch held entries, each time that it did."""
    rows = await desk.scene.rows(
        "SELECT note FROM trading.audit WHERE subject = 'switches' AND subject_id = %s "
        "AND new_state <> 'Active' ORDER BY version",
        f"{desk.scene.account} breaker:books",
    )
    return [reason for (reason,) in rows]


async def booked(desk, ticker=LOW):
    """Return how many contracts are booked of a market."""
    rows = await desk.scene.rows(
        "SELECT qty_e2 FROM trading.positions WHERE account = %s AND market_ticker = %s",
        *(desk.scene.account, ticker),
    )
    return rows[0][0] if rows else 0


async def are_equal(desk):
    """Return whether cash and positions are the exchange's own."""
    return await desk.our_cash() == await desk.venue_cash() and await booked(
        desk
    ) == desk.floor.exchange.state.position_e2(desk.floor.name, LOW)


async def settled(desk):
    """Wait for the end of the market; everything is equal to the exchange's own books."""
    await asyncio.sleep(max(CLOSE_US - desk.scene.now_us, 0) / SECOND_US + 150)
    assert {state for _, _, state, _ in await desk.trades(LOW)} <= {"settled", "closed"}
    assert await are_equal(desk)
    await desk.scene.assert_books_agree()


def test_a_settlement_is_shown_before_the_last_fill(module_database_url):
    """It waits, by name; when the fill is shown both are booked, and the trade gets its payout."""
    desk = Desk(module_database_url)

    async def script():
        await desk.enter(LOW)
        await asyncio.sleep(8)
        hidden = desk.liar.rows, desk.liar.frames
        before = {row.fill_id for row in await desk.floor.rest().fills()}
        hidden[0][FILLS] = lambda rows: [row for row in rows if row["trade_id"] in before]
        hidden[1]["fill"] = lambda _rows: []
        await desk.floor.by_hand(BookSide.BID, 9_600, 500)

        async def waits():
            return Reason.SETTLEMENT_DIFFERS in {e.reason for e in await desk.undecided()}

        assert await until(waits, 600)
        assert {state for _, _, state, _ in await desk.trades(LOW)} == {"expired"}
        desk.liar.stop()
        assert await until(desk.is_free, RECOVERED_S)
        await settled(desk)

    desk.floor.play(script)


def test_a_balance_that_lags_holds_nothing(module_database_url):
    """Reads twelve seconds old: what the stream told is in the books and not yet in the balance."""
    desk = Desk(module_database_url)
    desk.floor.exchange.state.config.read_lag_ms = 12_000

    async def script():
        for _ in range(2):
            await desk.floor.by_hand(BookSide.BID, 9_600, 300)
            await asyncio.sleep(25)
        assert await booked(desk) == 600
        await settled(desk)
        assert await switched(desk) == []

    desk.floor.play(script)


def test_a_fill_is_shown_after_its_order_has_ended(module_database_url):
    """The order is over and says what it filled: exposure and the comparison wait for the fill."""
    desk = Desk(module_database_url)

    async def script():
        desk.liar.rows[FILLS] = lambda _rows: []
        desk.liar.frames["fill"] = lambda _rows: []
        await desk.enter(LOW)
        await asyncio.sleep(8)
        state, filled, held = await desk.scene.one(
            "SELECT state::text, filled_qty_e2, booked_qty_e2 FROM trading.orders "
            "WHERE account = %s",
            desk.scene.account,
        )
        assert (state, filled, held) == ("executed", 1_000, 0)
        assert await switched(desk) == []
        desk.liar.stop()

        async def is_booked():
            return await booked(desk) == 1_000

        assert await until(is_booked, DOUBT_S)
        await settled(desk)
        assert await switched(desk) == []

    desk.floor.play(script)


def test_a_partial_fill_crosses_a_cancel(module_database_url):
    """A person's resting order is hit for four and cancelled: four are his, none of ours."""
    desk = Desk(module_database_url)

    async def script():
        exchange, now_us = desk.floor.exchange, desk.scene.now_us
        assert exchange.set_external_level(LOW, "yes", 9_400, 0, now_us)
        order = await resting(desk, 9_400)
        await asyncio.sleep(70)
        assert await switched(desk) == []
        assert exchange.external_trade(LOW, "no", 700, 400, desk.scene.now_us) == 400
        await desk.floor.rest().cancel_order(order)
        assert await until(lambda: are_equal(desk), READ_S)
        ((_, source, state, held),) = await desk.trades(LOW)
        assert (source, state, held) == ("external", "open", 400)
        await asyncio.sleep(70)
        assert await switched(desk) == []
        await settled(desk)

    desk.floor.play(script)


def test_a_person_s_resting_order_stops_nothing(module_database_url):
    """Its collateral is missing from the balance while it rests; a real difference is seen after."""
    desk = Desk(module_database_url)

    async def script():
        order = await resting(desk, 8_000)
        await asyncio.sleep(130)
        assert await switched(desk) == []
        await desk.floor.rest().cancel_order(order)
        await asyncio.sleep(70)
        assert await switched(desk) == []
        assert await are_equal(desk)

    desk.floor.play(script)


def test_a_connection_that_is_open_and_says_nothing_is_noticed(module_database_url):
    """No frame and no error: asked after 10 s, given up after 25; what it lost is read back."""
    desk = Desk(module_database_url)
    opened = []
    real = desk.floor.gateway.open

    def counted(request, send, cut):
        opened.append(desk.scene.now_us)
        return real(request, send, cut)

    desk.floor.gateway.open = counted

    async def script():
        await asyncio.sleep(5)
        before = len(opened)
        desk.floor.faults.arm_frame(ArmedFrame(FrameFault.LOSE, EVERYTHING, ""))
        silent_us = desk.scene.now_us
        await desk.floor.by_hand(BookSide.BID, 9_600, 300)
        await desk.enter(LOW)
        assert await until(lambda: are_equal(desk), DOUBT_S + READ_S)

        async def is_opened_again():
            return len(opened) > before

        assert await until(is_opened_again, 40)
        assert opened[before] - silent_us <= 36 * SECOND_US
        desk.floor.faults.clear()
        await settled(desk)

    desk.floor.play(script)


def test_trading_is_paused_and_goes_on(module_database_url):
    """An exit during the pause is refused and comes after it; the books are equal all along."""
    desk = Desk(module_database_url)

    async def script():
        await desk.enter(LOW)
        await asyncio.sleep(8)
        desk.floor.exchange.pause_trading(desk.scene.now_us)
        await asyncio.sleep(40)
        assert await are_equal(desk)
        desk.floor.exchange.resume(desk.scene.now_us)
        await desk.floor.by_hand(BookSide.ASK, 9_000, 400)
        assert await until(lambda: are_equal(desk), READ_S)
        await settled(desk)
        assert await switched(desk) == []

    desk.floor.play(script)


def test_a_position_that_was_closed_by_hand_is_over(module_database_url):
    """The trade ends as sold outside, with its result; no exit is proposed or sent any more."""
    desk = Desk(module_database_url)

    async def script():
        await desk.enter(LOW)
        await asyncio.sleep(8)
        ((trade_id, *_),) = await desk.trades(LOW)
        cash = await desk.our_cash()
        await desk.floor.by_hand(BookSide.ASK, 9_000, 1_000)

        async def is_over():
            return (await desk.trades(LOW))[0][2] == "closed"

        assert await until(is_over, READ_S)
        refusal = await desk.wish(intent=desk.scene.exit_wish(trade_id, market_ticker=LOW))
        await settled(desk)
        trade = await desk.scene.trade(trade_id)
        sent = await desk.scene.rows(
            "SELECT purpose::text FROM trading.orders WHERE account = %s", desk.scene.account
        )
        assert trade["close_reason"] == "external: sold outside this system"
        assert trade["exited_qty_e2"] == 1_000
        assert trade["pnl_usd_e6"] == await desk.our_cash() - 1_000_000_000
        assert trade["exit_proceeds_usd_e6"] == 9_400_000
        assert await desk.our_cash() > cash
        assert refusal != ""
        assert sent == [("entry",)]

    desk.floor.play(script)


@pytest.mark.parametrize("fault", ["nothing", "reads fail", "frames are lost", "the key is slow"])
def test_after_the_last_fault_it_is_trading_again(module_database_url, fault):
    """Killed in the middle of it: reconciled, equal and free within the bound, by the clock."""
    desk = Desk(module_database_url)
    armed = {
        "nothing": [],
        "reads fail": [
            ArmedRequest(RequestFault.STATUS, 8, method="GET", path="/portfolio", status=500)
        ],
        "frames are lost": [],
        "the key is slow": [
            ArmedRequest(RequestFault.LATE, 5, method="GET", path="/portfolio", delay_seconds=2)
        ],
    }[fault]

    async def script():
        await desk.enter(LOW)
        if fault == "frames are lost":
            desk.floor.faults.arm_frame(ArmedFrame(FrameFault.LOSE, 50, ""))
        await desk.floor.by_hand(BookSide.ASK, 9_000, 200)
        for one in armed:
            desk.floor.faults.arm_request(one)
        killed_us = desk.scene.now_us
        await desk.floor.restart()
        started_s = (desk.scene.now_us - killed_us) / SECOND_US
        assert await until(lambda: are_equal(desk), RECOVERED_S)
        assert await desk.is_free()
        bound_s = STARTED_S if fault in {"nothing", "frames are lost"} else RECOVERED_S
        assert started_s <= bound_s
        assert (desk.scene.now_us - killed_us) / SECOND_US <= bound_s
        assert await desk.wish(market_ticker=LOW) != ""  # there is a live trade in it already
        await settled(desk)

    desk.floor.play(script)


class Dying:
    """Counts the writing commits of two services, and kills everything at one of them."""

    def __init__(self):
        self.count = 0
        self.at = None
        self.is_before = False
        self.died = asyncio.Event()

    def reach(self, *, is_before):
        """Die here, if it is the place."""
        if not is_before:
            self.count += 1
        place = self.count if is_before else self.count - 1
        if self.at == place and self.is_before == is_before and not self.died.is_set():
            self.died.set()
            raise asyncio.CancelledError


class Writes:
    """A transaction that remembers whether it wrote."""

    def __init__(self, inner):
        self._inner = inner
        self.has_written = False

    def __getattr__(self, name):
        if name.startswith("execute"):
            self.has_written = True
        return getattr(self._inner, name)


class DyingDatabase:
    """A database port that may die right before and right after a commit that writes."""

    def __init__(self, inner, dying):
        self._inner = inner
        self._dying = dying

    def __getattr__(self, name):
        return getattr(self._inner, name)

    @asynccontextmanager
    async def transaction(self):
        """Open a transaction."""
        async with self._inner.transaction() as tx:
            writes = Writes(tx)
            yield writes
            if writes.has_written:
                self._dying.reach(is_before=True)
        if writes.has_written:
            self._dying.reach(is_before=False)


class DyingFloor(QuietFloor):
    """A floor whose account sync and trade manager may die at a commit."""

    dying = None

    def context(self, service):
        """Return what a service is handed."""
        made = super().context(service)
        if self.dying is not None and service in {"kalshi_account_sync", "trade_manager"}:
            return replace(made, database=DyingDatabase(made.database, self.dying))
        return made


async def _short_life(desk, dying, *, at=None, is_before=False):
    """Buy, sell a part by hand, sell the rest: about thirty facts; die once on the way."""
    floor = desk.floor
    dying.count, dying.at, dying.is_before = 0, at, is_before

    async def killer():
        await dying.died.wait()
        await floor.restart()

    killing = asyncio.create_task(killer())
    floor.kept.add(killing)
    await desk.enter(LOW)
    await asyncio.sleep(4)
    await floor.by_hand(BookSide.ASK, 9_000, 300)
    await asyncio.sleep(4)
    await floor.by_hand(BookSide.ASK, 9_000, 900)
    await asyncio.sleep(2)
    assert await until(lambda: are_equal(desk), RECOVERED_S)
    await asyncio.sleep(6)
    killing.cancel()
    floor.kept.discard(killing)
    await desk.scene.assert_books_agree()
    assert await desk.is_free()
    return await desk.scene.rows(
        "SELECT source, side::text, state::text, filled_qty_e2, exited_qty_e2, pnl_usd_e6 "
        "FROM trading.trades WHERE account = %s ORDER BY number",
        desk.scene.account,
    )


def _life(database_url, **place):
    dying = Dying()
    desk = Desk(database_url, floor=DyingFloor)

    async def script():
        desk.floor.dying = dying
        await desk.floor.restart()
        return await _short_life(desk, dying, **place)

    trades = desk.floor.play(script)
    return trades, dying


def test_a_kill_at_any_commit_ends_in_the_same_books(module_database_url):
    """Every commit of account sync and trade manager that writes, right before it and right after."""
    clean, dying = _life(module_database_url)
    assert [trade[2] for trade in clean] == ["closed", "open"]
    assert dying.count >= 5

    for number in range(dying.count):
        for is_before in (True, False):
            trades, died = _life(module_database_url, at=number, is_before=is_before)
            assert trades == clean, f"killed at commit {number}, before it: {is_before}"
            assert died.died.is_set() or number >= dying.count - 3


def test_orders_that_are_listed_twice_and_backwards_move_nothing(module_database_url):
    """Pages that repeat, rows in another order: the same books."""
    desk = Desk(module_database_url)

    async def script():
        for path in (FILLS, ORDERS):
            desk.liar.rows[path] = lambda rows: [*rows[::-1], *rows]
        await desk.enter(LOW)
        await asyncio.sleep(8)
        await desk.floor.by_hand(BookSide.ASK, 9_000, 400)
        await settled(desk)
        assert await switched(desk) == []

    desk.floor.play(script)
