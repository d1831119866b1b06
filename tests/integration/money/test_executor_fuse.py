"""What the exchange is made to enforce: the fuse that entries carry, the money on the shard."""

from __future__ import annotations

import asyncio
import json
from itertools import count

import pytest
from msgspec.structs import replace
from tests.integration.money.venue import Venue
from tests.unit.exchange_simulator.builders import HIGH, LOW

from recio.adapters.kalshi.model import NewOrder, ShardBalance, TimeInForce
from recio.apps.trade_executor.fuse import limit_e2
from recio.domain.account_config import Risk
from recio.domain.orders import BookSide, OrderState
from recio.exchange_simulator.faults import ArmedRequest, RequestFault
from recio.runtime.service import HttpRequest

_numbers = count(1)
GROUPS = "/portfolio/order_groups"
A_REQUEST = HttpRequest("POST", "/api/reset_fuse", {}, {}, b"")


@pytest.fixture
def venue(module_database_url):
    """An account at the paper exchange with a deep book, in virtual time."""
    made = Venue(module_database_url, f"fuse-{next(_numbers)}")
    now_us = made.clock.market_us()
    made.venue.set_external_level(LOW, "no", 400, 50_000, now_us)
    made.venue.set_external_level(LOW, "yes", 9_400, 50_000, now_us)
    return made


async def held(venue):
    """Return what is remembered of the fuse."""
    return await venue.scene.one(
        "SELECT state, order_group_id, contracts_e2, reason FROM trading.exchange_limits "
        "WHERE account = %s",
        venue.scene.account,
    )


async def breaker(venue):
    """Return the state of the fuse's switch and its reason; None: it was never set."""
    rows = await venue.scene.rows(
        "SELECT state::text, reason FROM trading.switches WHERE scope = %s "
        "AND source = 'breaker:fuse'",
        venue.scene.account,
    )
    return rows[0] if rows else None


async def bought(venue):
    """Let an entry fill whole and be booked; return its trade."""
    trade_id = await venue.scene.enter(market_ticker=LOW)
    order_id = await venue.scene.entry_order(trade_id)
    await asyncio.sleep(1)
    told = next(one for one in venue.own if one.client_order_id == str(order_id))
    await venue.scene.book_fill(await venue.scene.fill_of(order_id, order_id=told.order_id))
    await venue.scene.fold()
    return trade_id


def group(venue):
    """Return the account's one order group at the exchange."""
    (only,) = venue.venue.state.groups.values()
    return only


async def blow(venue):
    """Trade more by hand, in our group, than the fuse allows."""
    reply = await venue.client().create_order(
        NewOrder(
            ticker=LOW,
            book_side=BookSide.BID,
            qty_e2=4_000,
            yes_price_e4=9_600,
            client_order_id=f"blow-{next(_numbers)}",
            time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL,
            exchange_index=2,
            order_group_id=group(venue).group_id,
        )
    )
    assert reply.fill_qty_e2 == 3_100
    assert group(venue).is_triggered


@pytest.mark.parametrize(
    ("total", "an_order", "a_minute", "contracts"),
    [(100, 10, 30, 101), (100, 10, 3, 31), (100_000, 10_000, 300, 100_001), (1, 1, 1, 2)],
)
def test_the_limit_follows_from_the_account_s_own(total, an_order, a_minute, contracts):
    """One more than it may hold, or than it may order in a minute if that is less."""
    risk = Risk(
        max_contracts_total=total,
        max_contracts_per_order=an_order,
        max_orders_per_minute=a_minute,
    )
    assert limit_e2(risk) == contracts * 100


def test_entries_carry_the_fuse_and_exits_do_not(venue):
    """Made at the first start, read back, remembered."""

    async def script():
        venue.process()
        trade_id = await bought(venue)
        exit_id = await venue.scene.leave(trade_id, market_ticker=LOW, limit_price_e4=9_300)
        await asyncio.sleep(1)
        rows = await venue.scene.rows(
            "SELECT purpose::text, order_group_id FROM trading.orders WHERE account = %s "
            "ORDER BY created_at",
            venue.scene.account,
        )
        return await held(venue), rows, await venue.state(exit_id), await breaker(venue)

    remembered, rows, exit_state, switch = venue.play(script)

    made = group(venue)
    assert (made.limit_e2, made.exchange_index) == (3_100, 2)
    assert remembered == ("ready", made.group_id, 3_100, "read back")
    assert [order.group_id for order in venue.own] == [made.group_id, ""]
    assert rows == [("entry", made.group_id), ("exit", None)]
    assert exit_state is OrderState.EXECUTED
    assert switch is None


def test_restarts_make_no_new_fuse(venue):
    """It is found again by the remembered id."""

    async def script():
        for _ in range(3):
            process = venue.process()
            await asyncio.sleep(3)
            await process.kill()
        return await held(venue)

    assert venue.play(script)[:2] == ("ready", group(venue).group_id)


def test_a_fuse_whose_answer_was_lost_is_found(venue):
    """It was made; the answer never came; it is adopted, not made twice."""

    async def script():
        venue.gateway.faults.arm_request(
            ArmedRequest(RequestFault.CUT_AFTER, 1, method="POST", path=GROUPS)
        )
        venue.process()
        await asyncio.sleep(10)
        return await held(venue)

    assert venue.play(script)[:2] == ("ready", group(venue).group_id)


def test_the_fuse_follows_the_limits(venue):
    """Tighter limits, tighter fuse; at once."""

    async def script():
        venue.process()
        await asyncio.sleep(3)
        await venue.scene.apply(max_contracts_total=20)
        await asyncio.sleep(3)
        return await held(venue)

    assert venue.play(script)[0:3] == ("ready", group(venue).group_id, 2_100)
    assert group(venue).limit_e2 == 2_100


def test_a_blown_fuse_refuses_entries_and_no_exit(venue):
    """It has a name everywhere: at the order, at the switch, in the next refusal."""

    async def script():
        venue.process()
        trade_id = await bought(venue)
        await asyncio.sleep(20)
        await blow(venue)
        exit_id = await venue.scene.leave(
            trade_id, market_ticker=LOW, limit_price_e4=9_300, qty_e2=500
        )
        other = await venue.scene.rows(
            "SELECT 1 FROM trading.switches WHERE scope = %s AND state <> 'Active'",
            venue.scene.account,
        )
        await asyncio.sleep(3)
        last = await venue.scene.leave(trade_id, market_ticker=LOW, limit_price_e4=9_300)
        await asyncio.sleep(60)
        refusal = await venue.scene.ask(venue.scene.wish(market_ticker=LOW))
        return (
            other,
            [await venue.state(one) for one in (exit_id, last)],
            await held(venue),
            await breaker(venue),
            refusal,
        )

    other, exits, remembered, switch, refusal = venue.play(script)

    assert other == []
    assert exits == [OrderState.EXECUTED] * 2
    assert remembered[0] == "blown"
    assert switch[0] == "NoNewEntries"
    assert switch[1].startswith("the exchange's fuse: blown")
    assert "more than 31 contracts in 15 s" in switch[1]
    assert "breaker:fuse" in refusal


def test_an_entry_that_meets_a_blown_fuse_tells_of_it(venue):
    """The exchange's refusal is enough; the next one does not leave."""

    async def script():
        venue.process()
        await asyncio.sleep(3)
        await blow(venue)
        first = await venue.enter()
        await asyncio.sleep(1)
        sent = len(venue.wire.log)
        return await venue.reason(first), await breaker(venue), sent

    reason, switch, _ = venue.play(script)

    assert "order_group_cancel" in reason
    assert switch[0] == "NoNewEntries"


async def blown_and(venue, mend):
    """Blow the fuse, mend it, and return the audit and whether an entry passes again."""
    venue.process()
    await asyncio.sleep(3)
    await blow(venue)
    await venue.enter()
    await asyncio.sleep(16)
    await mend()
    await asyncio.sleep(3)
    await venue.scene.fold()
    order_id = await venue.enter()
    await asyncio.sleep(1)
    audit = await venue.scene.rows(
        "SELECT new_state, note FROM trading.audit WHERE subject = 'exchange_limits' "
        "AND account = %s ORDER BY version",
        venue.scene.account,
    )
    return audit, await venue.state(order_id), await breaker(venue)


def test_a_person_resets_a_blown_fuse(venue):
    """Deliberately and audited; it is refused when there is nothing to reset."""
    said = []

    async def by_hand():
        executor = venue.processes[0].executor
        route = executor.service().routes["POST", "/api/reset_fuse"]
        said.extend([await route(A_REQUEST), await route(A_REQUEST)])

    audit, state, switch = venue.play(lambda: blown_and(venue, by_hand))

    assert [(one.status, json.loads(one.body)["fuse"]) for one in said] == [
        (200, "reset"),
        (409, "the fuse is ready, not blown: there is nothing to reset"),
    ]
    assert [new for new, _ in audit] == ["making", "ready", "blown", "ready"]
    assert audit[-1][1] == "reset by a person"
    assert (state, switch[0]) == (OrderState.EXECUTED, "Active")


def test_the_next_start_resets_a_blown_fuse(venue):
    """So does a new executor, and says so."""

    async def restart():
        await venue.processes[0].kill()
        venue.process()

    audit, state, switch = venue.play(lambda: blown_and(venue, restart))

    assert [new for new, _ in audit] == ["making", "ready", "blown", "ready"]
    assert audit[-1][1] == "reset at the start of the executor"
    assert (state, switch[0]) == (OrderState.EXECUTED, "Active")


def test_a_fuse_that_was_deleted_is_made_again(venue):
    """The exchange says that it does not know it: one entry is lost, the next carries a new one."""

    async def script():
        venue.process()
        await asyncio.sleep(3)
        await venue.client().delete_order_group(group(venue).group_id, exchange_index=2)
        first = await venue.enter()
        await asyncio.sleep(3)
        await venue.scene.fold()
        second = await venue.enter()
        await asyncio.sleep(1)
        return [await venue.state(one) for one in (first, second)], await held(venue)

    states, remembered = venue.play(script)

    assert states == [OrderState.REJECTED, OrderState.EXECUTED]
    assert remembered[:2] == ("ready", group(venue).group_id)


def test_without_a_fuse_that_was_read_back_no_entry_goes_out(venue):
    """The exchange refuses groups: entries are refused by name, exits go."""

    async def script():
        process = venue.process()
        trade_id = await bought(venue)
        await process.kill()
        venue.gateway.faults.arm_request(
            ArmedRequest(RequestFault.STATUS, 1_000, method="GET", path=GROUPS, status=403)
        )
        order_id = await venue.enter(market_ticker=HIGH)
        venue.process()
        exit_id = await venue.scene.leave(trade_id, market_ticker=LOW, limit_price_e4=9_300)
        await asyncio.sleep(5)
        seen = (
            await venue.state(order_id),
            await venue.reason(order_id),
            await venue.state(exit_id),
            await held(venue),
            await breaker(venue),
        )
        venue.gateway.faults.clear()
        await asyncio.sleep(5)
        return *seen, await held(venue), await breaker(venue)

    entry, reason, leave, remembered, switch, later, released = venue.play(script)

    assert (entry, leave) == (OrderState.EXPIRED_UNSENT, OrderState.EXECUTED)
    assert reason.startswith("not sent: the exchange's fuse: not verified")
    assert remembered[:2] == ("unverified", group(venue).group_id)
    assert switch[0] == "NoNewEntries"
    assert later[:2] == ("ready", group(venue).group_id)
    assert released[0] == "Active"


def test_the_worst_loss_that_the_exchange_allows_is_shown(venue):
    """The cash on the shard and what is held there; what lies elsewhere is safe."""

    async def script():
        venue.process()
        await bought(venue)
        await asyncio.sleep(70)
        return await venue.scene.one(
            "SELECT cash_usd_e6, elsewhere_usd_e6, worst_loss_usd_e6, state "
            "FROM ops.exchange_limits WHERE account = %s",
            venue.scene.account,
        )

    cash, elsewhere, worst, state = venue.play(script)

    account = venue.venue.state.accounts[venue.scene.account]
    assert cash == account.cash_e6[2]
    assert elsewhere == 0
    assert worst == cash + 9_600_000
    assert state == "ready"


def test_a_shard_that_is_not_told_is_unknown(venue):
    """Not nothing: the most that can be lost there is not known then."""

    async def script():
        process = venue.process()
        await asyncio.sleep(3)
        known = await process.rest.balance()

        async def without():
            return replace(known, shards=(ShardBalance(exchange_index=0, cash_usd_e6=5),))

        process.rest.balance = without
        await asyncio.sleep(70)
        return await venue.scene.one(
            "SELECT cash_usd_e6, elsewhere_usd_e6, worst_loss_usd_e6 FROM ops.exchange_limits "
            "WHERE account = %s",
            venue.scene.account,
        )

    assert venue.play(script) == (None, None, None)
