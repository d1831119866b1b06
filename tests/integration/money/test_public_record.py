"""What happened to others, played with our services at the paper exchange: it must not happen here.

Each class is one case of public record; its docstring says what went wrong there. Real services and
PostgreSQL, virtual time, and after each case the invariants are judged over the whole history.
"""

from __future__ import annotations

import asyncio

import pytest
from tests.simulation.floor import CREATE, Floor
from tests.unit.exchange_simulator.builders import HIGH, LOW

from recio.domain.intents import Source
from recio.domain.orders import BookSide
from recio.exchange_simulator.faults import ArmedFrame, ArmedRequest, FrameFault, RequestFault
from recio.simulation import invariants
from recio.simulation.reading import append_only, read_history

FOREVER = 10**6
ENDED = {"executed", "canceled", "rejected", "expired_unsent"}


@pytest.fixture
def floor(module_database_url):
    """One account with its four money services at the paper exchange."""
    return Floor(module_database_url)


def sent(floor):
    """Return the orders of ours that the exchange has, by hand ones left out."""
    orders = floor.exchange.state.orders.values()
    mine = [order for order in orders if order.account == floor.name]
    return [order for order in mine if not order.client_order_id.startswith("hand")]


async def states(floor, purpose="entry"):
    """Return the states of our orders of a purpose."""
    rows = await floor.scene.rows(
        "SELECT state::text FROM trading.orders WHERE account = %s AND purpose = %s",
        floor.scene.account,
        purpose,
    )
    return [state for (state,) in rows]


async def trade(floor):
    """Return the newest trade: id, state, what it has bought and sold, why it ended."""
    return await floor.scene.one(
        "SELECT trade_id, state::text, filled_qty_e2, exited_qty_e2, close_reason "
        "FROM trading.trades WHERE account = %s ORDER BY number DESC LIMIT 1",
        floor.scene.account,
    )


async def refusal(floor, wish):
    """Propose, and return what the gate said a second later."""
    await floor.scene.propose(wish)
    await asyncio.sleep(1)
    (said,) = await floor.scene.one(
        "SELECT refusal FROM trading.intents WHERE intent_id = %s", wish.intent_id
    )
    return said


async def buy(floor, qty_e2=600):
    """Buy on the likely market; return the open trade's id."""
    wish = floor.scene.wish(market_ticker=LOW, limit_price_e4=9_600, qty_e2=qty_e2)
    assert await refusal(floor, wish) == ""
    await asyncio.sleep(2)
    trade_id, state, *_ = await trade(floor)
    assert state == "open"
    return trade_id


async def books_are_equal(floor, *, but=()):
    """Cash, positions and fills are the exchange's, and no invariant was ever broken.

    ``but`` names what is found by intention.
    """
    history = await read_history(
        floor.scene.owner, floor.exchange, floor.watch, refusals=append_only(floor.url)
    )
    found = invariants.violations(history)
    assert [one for one in found if not any(word in one for word in but)] == []
    await floor.scene.assert_books_agree()
    (cash,) = await floor.scene.one(
        "SELECT cash_usd_e6 FROM trading.totals WHERE account = %s", floor.scene.account
    )
    assert cash == sum(floor.exchange.state.accounts[floor.name].cash_e6.values())


def outage(floor):
    """No name is resolved any more: nothing leaves but what was armed before, and nothing comes."""
    floor.faults.arm_request(ArmedRequest(RequestFault.CUT_BEFORE, FOREVER))
    floor.faults.arm_frame(ArmedFrame(FrameFault.LOSE, FOREVER, ""))
    floor.gateway.cut_all()


class TestThreeRetriesThatBecameThreeFills:
    """Polymarket/py-clob-client#273: a 5 s timeout is no refusal.

    An all-or-nothing order ran into a client's time limit without an answer; the caller took that
    for "not placed" and sent it again, twice. All three were matched.
    """

    def test_a_timeout_after_acceptance_is_one_order(self, floor):
        """The wish is repeated by the same person and by the automation: one order, one position."""

        async def script():
            floor.faults.arm_request(ArmedRequest(RequestFault.TIMEOUT_AFTER, 3, **CREATE))
            first = floor.scene.wish(market_ticker=LOW, limit_price_e4=9_600, qty_e2=300)
            await floor.scene.propose(first)
            refusals = []
            for _ in range(2):
                await asyncio.sleep(6)
                # The same click again is the same intent; the automation's next idea is another.
                assert not await floor.scene.propose(first)
                another = floor.scene.wish(market_ticker=LOW, limit_price_e4=9_600, qty_e2=300)
                refusals.append(await refusal(floor, another))
            await asyncio.sleep(60)
            await books_are_equal(floor)
            return refusals, await trade(floor)

        refusals, held = floor.play(script)

        assert [order.filled_e2 for order in sent(floor)] == [300]
        assert held[1:4] == ("open", 300, 0)
        assert all("there is a live trade" in said for said in refusals)

    def test_a_timeout_before_acceptance_is_no_order_and_no_second_try(self, floor):
        """What never arrived ends as canceled once that is proved; an entry is not sent again."""

        async def script():
            floor.faults.arm_request(ArmedRequest(RequestFault.TIMEOUT_BEFORE, 1, **CREATE))
            await floor.scene.propose(floor.scene.wish(market_ticker=LOW, limit_price_e4=9_600))
            await asyncio.sleep(4)
            early = await states(floor)
            await asyncio.sleep(60)
            await books_are_equal(floor)
            return early, await states(floor)

        early, late = floor.play(script)

        assert set(early) <= {"submitted", "unknown"}
        assert late == ["canceled"]
        assert sent(floor) == []


class TestSixOrdersLostInANameOutage:
    """hummingbot/hummingbot#8457: an outage is no answer about an order.

    Six sales had been accepted by the exchange; then no name could be resolved. The tracker counted
    the failed look-ups as failures of the orders and dropped all six. They filled, and a short
    position stood on the account that no book knew.
    """

    def test_orders_outlive_an_outage_of_minutes(self, floor):
        """All six stay in doubt and reserved; not one is sent again; their fills are booked after."""

        async def script():
            trade_id = await buy(floor)
            floor.faults.arm_request(ArmedRequest(RequestFault.CUT_AFTER, 6, **CREATE))
            outage(floor)
            for _ in range(6):
                await floor.scene.propose(
                    floor.scene.exit_wish(
                        trade_id, market_ticker=LOW, qty_e2=100, limit_price_e4=9_300
                    )
                )
                await asyncio.sleep(0.2)
            looked = []
            for _ in range(12):
                await asyncio.sleep(5)
                looked.append(sorted(await states(floor, "exit")))
            more = await refusal(
                floor,
                floor.scene.exit_wish(
                    trade_id, market_ticker=LOW, qty_e2=100, limit_price_e4=9_300
                ),
            )
            floor.faults.clear()
            await asyncio.sleep(20)
            await books_are_equal(floor)
            return looked, more, await states(floor, "exit"), await trade(floor)

        looked, more, after, held = floor.play(script)

        assert all(len(found) == 6 and not ENDED & set(found) for found in looked)
        assert more
        assert after == ["executed"] * 6
        assert held[1:4] == ("closed", 600, 600)
        assert len(sent(floor)) == 7


class TestAKillSwitchThatKeptOrdering:
    """hummingbot/hummingbot#2534: the switch fired, its own check crashed, and orders went on.

    The threshold was reached and logged as "stopping"; then the routine that reckoned the profit
    raised an exception, and nothing had been stopped.
    """

    def test_a_broken_loss_limit_stops_orders_for_good(self, module_database_url):
        """The halt is a latched row that gate and executor read, not a routine that must go on."""
        floor = Floor(module_database_url, max_daily_loss_dollars=1, on_breach="Halted")

        async def script():
            trade_id = await buy(floor)
            now_us = floor.clock.market_us()
            assert floor.exchange.set_external_level(LOW, "yes", 9_400, 0, now_us)
            assert floor.exchange.set_external_level(LOW, "yes", 5_000, 500, now_us)
            await floor.scene.propose(
                floor.scene.exit_wish(trade_id, market_ticker=LOW, limit_price_e4=5_000)
            )
            await asyncio.sleep(5)
            before = len(sent(floor))
            said = []
            for _ in range(5):
                wish = floor.scene.wish(market_ticker=HIGH, side="no", limit_price_e4=7_000)
                said.append(await refusal(floor, wish))
                await floor.restart()
            stop = floor.scene.exit_wish(trade_id, market_ticker=LOW, limit_price_e4=1_000)
            said.append(await refusal(floor, stop))
            await books_are_equal(floor, but=["breaker:losses is still Halted"])
            return before, said

        before, said = floor.play(script)

        assert len(sent(floor)) == before
        assert all("Halted" in each for each in said)

    def test_a_check_that_cannot_be_made_is_a_refusal(self, floor):
        """Limits that do not read are no limits that hold: entries stop, the position can be sold."""

        async def script():
            trade_id = await buy(floor)
            async with floor.scene.owner.transaction() as tx:
                await tx.execute(
                    "INSERT INTO trading.account_config SELECT account, generation + 1, "
                    "jsonb_set(document, '{spec,risk}', '{\"maxDailyLossDollars\": \"much\"}'), "
                    "applied_at FROM trading.account_config WHERE account = %s",
                    floor.scene.account,
                )
            entry = floor.scene.wish(market_ticker=HIGH, side="no", limit_price_e4=7_000)
            said = await refusal(floor, entry)
            leave = floor.scene.exit_wish(trade_id, market_ticker=LOW, limit_price_e4=9_300)
            assert await refusal(floor, leave) == ""
            await asyncio.sleep(5)
            await floor.scene.assert_books_agree()
            return said, await trade(floor)

        said, held = floor.play(script)

        assert "does not read" in said
        assert held[1] == "closed"


class TestAPositionThatWasClosedByHand:
    """freqtrade/freqtrade#7606 (and #8822, #4470): the exchange is flat, the bot is not.

    A position was sold by hand at the exchange. The bot kept the trade open, tried to close it again
    and again, and refused the next one.
    """

    @pytest.mark.parametrize("is_away", [False, True], ids=["while it runs", "while it is down"])
    def test_the_trade_ends_and_the_next_one_may_begin(self, floor, is_away):
        """It is closed as sold outside; another exit is refused as nothing to close."""

        async def script():
            trade_id = await buy(floor)
            if is_away:
                floor.faults.arm_frame(ArmedFrame(FrameFault.LOSE, FOREVER, ""))
            await floor.by_hand(BookSide.ASK, 9_300, 600)
            if is_away:
                await floor.restart()
                floor.faults.clear()
            await asyncio.sleep(20)
            ended = await trade(floor)
            again = floor.scene.exit_wish(trade_id, market_ticker=LOW, limit_price_e4=9_300)
            said = await refusal(floor, again)
            next_id = await buy(floor, 100)
            await books_are_equal(floor)
            return trade_id, ended, said, next_id

        trade_id, ended, said, next_id = floor.play(script)

        assert ended == (trade_id, "closed", 600, 600, "external: sold outside this system")
        assert "nothing to close" in said
        assert next_id != trade_id


class TestFillsThatWereReplayedAtARestart:
    """nautechsystems/nautilus_trader#3046: what was booked before is not booked again.

    At each start fills came once from the cache and once from the exchange; they were applied to the
    position a second time, or ended the start with a duplicate identifier.
    """

    def test_starts_without_end_change_nothing(self, floor):
        """Each start reads all fills again, and the stream tells everything twice: no row more."""

        async def script():
            floor.faults.arm_frame(ArmedFrame(FrameFault.DUPLICATE, FOREVER, ""))
            # More than the best offer has: several fills of one order.
            now_us = floor.clock.market_us()
            assert floor.exchange.set_external_level(LOW, "no", 500, 300, now_us)
            trade_id = await buy(floor, 1_000)
            await floor.scene.propose(
                floor.scene.exit_wish(
                    trade_id, market_ticker=LOW, qty_e2=400, limit_price_e4=9_300,
                    source=Source.MANUAL,
                )
            )  # fmt: skip
            await asyncio.sleep(5)
            before = await booked(floor)
            for _ in range(4):
                await floor.restart()
                await asyncio.sleep(3)
            await books_are_equal(floor)
            return before, await booked(floor), await trade(floor)

        before, after, held = floor.play(script)

        assert before == after
        assert before[0] == 3
        assert held[1:4] == ("open", 1_000, 400)


async def booked(floor):
    """Return how many fills, postings and open switches there are, and the position."""
    return await floor.scene.one(
        "SELECT (SELECT count(*) FROM trading.fills WHERE account = %s), "
        "(SELECT count(*) FROM trading.ledger_postings WHERE account = %s), "
        "(SELECT sum(qty_e2)::bigint FROM trading.positions WHERE account = %s), "
        "(SELECT count(*) FROM trading.switches WHERE scope = %s AND state <> 'Active')",
        *[floor.scene.account] * 4,
    )
