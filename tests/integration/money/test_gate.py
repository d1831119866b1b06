"""The gate: what it accepts is durable and reserved, what it refuses is refused by name."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from tests.integration.money.scene import (
    CLOSE_US,
    DOLLAR,
    EVENT,
    MARKET,
    NEXT,
    OTHER,
    START_US,
    account_scene,
    fleet,
)

from recio.adapters.postgres import config, gate
from recio.domain.account_config import Trading
from recio.domain.intents import Source
from recio.domain.orders import BookSide
from recio.domain.units import as_datetime

RESERVE = 9_600_000 + 26_900 + 10_000


def rows(scene, runner, sql):
    """Read rows of this account as the owner."""
    return runner.run(scene.rows(sql, scene.account))


def count(scene, runner, table):
    """Return how many rows of a table are this account's."""
    return rows(scene, runner, f"SELECT count(*) FROM trading.{table} WHERE account = %s")[0][0]


def test_an_accepted_entry_is_a_trade_an_order_and_a_reservation(scene, runner):
    """All of it in one transaction, under ids that follow from the wish."""
    intent = scene.wish()

    assert runner.run(scene.ask(intent)) == ""
    ((trade_id, state, number, wanted, close_at, strike, strategy, symbol),) = rows(
        scene,
        runner,
        "SELECT trade_id, state::text, number, wanted_qty_e2, close_at, strike_usd_e6, strategy, "
        "symbol FROM trading.trades WHERE account = %s",
    )
    assert (state, number, wanted) == ("created", 1, 1000)
    assert (close_at, strike) == (as_datetime(CLOSE_US), 119_499_990_000)
    assert (strategy, symbol) == ("HourlyHTC", "BTC")
    order = rows(
        scene,
        runner,
        "SELECT trade_id, intent_id, purpose::text, book_side::text, yes_price_e4, qty_e2, "
        "time_in_force, is_reduce_only, state::text, reserved_usd_e6, exchange_index, epoch "
        "FROM trading.orders WHERE account = %s",
    )
    assert order == [
        (trade_id, intent.intent_id, "entry", "bid", 9600, 1000, "immediate_or_cancel", False,
         "created", RESERVE, 2, None)
    ]  # fmt: skip


def test_an_entry_of_no_is_an_ask_on_the_yes_book(scene, runner):
    """NO at 0.30 is YES sold at 0.70."""
    runner.run(scene.enter(side="no", limit_price_e4=3000))

    assert rows(
        scene,
        runner,
        "SELECT book_side::text, yes_price_e4, reserved_usd_e6 FROM trading.orders "
        "WHERE account = %s",
    ) == [("ask", 7000, 3_000_000 + 147_000 + 10_000)]


def test_an_order_dies_with_its_wish_or_with_its_market(scene, runner):
    """Whichever ends first."""
    scene.clock.at_us = CLOSE_US - 2 * DOLLAR
    runner.run(scene.enter())

    assert rows(scene, runner, "SELECT valid_until FROM trading.orders WHERE account = %s") == [
        (as_datetime(CLOSE_US),)
    ]


def test_proposing_the_same_wish_twice_is_one_row(scene, runner):
    """After a restart, by two copies, by an impatient finger; also once it is decided."""
    intent = scene.wish()

    assert runner.run(scene.propose(intent)) is True
    assert runner.run(scene.propose(intent)) is False
    runner.run(scene.decide())
    assert runner.run(scene.propose(intent)) is False
    runner.run(scene.decide())
    assert count(scene, runner, "orders") == 1


def test_an_intent_is_decided_once_whatever_the_number_of_gates(scene, runner):
    """Two copies at the same moment: one trade."""

    async def play():
        await scene.propose(scene.wish())
        await asyncio.gather(*(scene.decide() for _ in range(4)))

    runner.run(play())

    assert count(scene, runner, "trades") == count(scene, runner, "orders") == 1


def test_intents_are_decided_in_the_order_of_their_wishes(scene, runner):
    """The first one gets the last of a limit."""

    async def play():
        early, late = scene.wish(market_ticker=OTHER), scene.wish(at_us=scene.now_us + 1)
        await scene.apply(max_open_trades=1)
        await scene.propose(late)
        await scene.propose(early)
        await scene.decide()
        return [
            await scene.one(
                "SELECT state::text FROM trading.intents WHERE intent_id = %s", wish.intent_id
            )
            for wish in (early, late)
        ]

    assert runner.run(play()) == [("accepted",), ("refused",)]


def test_a_refused_entry_leaves_nothing_behind(scene, runner):
    """But its reason."""
    refusal = runner.run(scene.ask(scene.wish(limit_price_e4=9900)))

    assert refusal == "price 99 cents outside 1…98"
    assert count(scene, runner, "trades") == count(scene, runner, "orders") == 0


# Each limit with exactly one trade of ten contracts already in flight, in another market.
LIMITS = {
    "max_contracts_per_order": ({}, {"max_contracts_per_order": 9}, "at most 9 an order"),
    "max_contracts_per_event": (
        {},
        {"max_contracts_per_event": 19},
        "20 contracts in the event, at most 19",
    ),
    "max_contracts_total": (
        {"market_ticker": NEXT},
        {"max_contracts_per_event": 10, "max_contracts_total": 19},
        "20 contracts in total, at most 19",
    ),
    "max_cost_per_event_dollars": (
        {},
        {"max_cost_per_event_dollars": 19},
        "19.2738 dollars in the event, at most 19",
    ),
    "max_cost_total_dollars": (
        {"market_ticker": NEXT},
        {"max_cost_per_event_dollars": 10, "max_cost_total_dollars": 19},
        "19.2738 dollars in total, at most 19",
    ),
    "max_open_trades": ({}, {"max_open_trades": 1}, "2 open trades, at most 1"),
    "max_orders_per_minute": ({}, {"max_orders_per_minute": 1}, "2 orders in a minute, at most 1"),
    "max_price_cents": ({}, {"max_price_cents": 95}, "price 96 cents outside 1…95"),
    "min_price_cents": ({}, {"min_price_cents": 97}, "price 96 cents outside 97…98"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_refuses_one_step_beyond(scene, runner, name):
    """With what is in flight taken at its worst."""
    changes, limits, reason = LIMITS[name]

    async def play():
        await scene.enter(market_ticker=OTHER)
        await scene.apply(**limits)
        return await scene.ask(scene.wish(**changes))

    assert reason in runner.run(play())


AT_THE_EDGE = {
    "contracts": {"max_contracts_per_order": 10, "max_contracts_per_event": 20},
    "total": {"max_contracts_per_event": 20, "max_contracts_total": 20},
    "dollars": {"max_cost_per_event_dollars": 20, "max_cost_total_dollars": 20},
    "trades": {"max_open_trades": 2},
    "orders": {"max_orders_per_minute": 2},
    "price": {"max_price_cents": 96, "min_price_cents": 96},
}


@pytest.mark.parametrize("name", AT_THE_EDGE)
def test_the_limit_itself_is_allowed(scene, runner, name):
    """The second trade of ten contracts reaches it exactly."""

    async def play():
        await scene.enter(market_ticker=OTHER)
        await scene.apply(**AT_THE_EDGE[name])
        return await scene.ask(scene.wish())

    assert runner.run(play()) == ""


def test_orders_of_a_minute_ago_do_not_count(scene, runner):
    """The window slides with market time."""

    async def play():
        await scene.apply(max_orders_per_minute=1)
        await scene.enter(market_ticker=OTHER)
        scene.clock.pass_time(59.999)
        before = await scene.ask(scene.wish())
        scene.clock.pass_time(0.001)
        return before, await scene.ask(scene.wish())

    before, after = runner.run(play())

    assert "orders in a minute" in before
    assert after == ""


def test_what_the_entry_could_cost_must_be_there_in_cash(scene, runner):
    """Cash less what is in flight."""

    async def play():
        await scene.execute(
            "UPDATE trading.totals SET cash_usd_e6 = %s WHERE account = %s",
            *(2 * RESERVE - 1, scene.account),
        )
        await scene.enter(market_ticker=OTHER)
        return await scene.ask(scene.wish())

    assert runner.run(play()) == "costs up to $9.6369, $9.636899 are free"


def test_nothing_is_entered_before_the_books_are_open(scene, runner):
    """Unknown cash is no cash."""

    async def play():
        async with scene.owner.transaction() as tx:
            await tx.execute("DELETE FROM trading.totals WHERE account = %s", scene.account)
        return await scene.ask(scene.wish())

    assert runner.run(play()) == "cash unknown: the account is not reconciled yet"


def test_a_day_s_loss_stops_entries_until_midnight_in_new_york(scene, runner):
    """Realised and after fees; the next New York day begins afresh."""

    async def play():
        await scene.apply(max_daily_loss_dollars=5)
        trade_id = await scene.held_trade(market_ticker=OTHER)
        await scene.book_fill(
            scene.fill(ticker=OTHER, book_side=BookSide.ASK, yes_price_e4=4600, fee_usd_e6=0)
        )
        await scene.fold()
        lost = (await scene.trade(trade_id))["pnl_usd_e6"]
        today = await scene.ask(scene.wish())
        # 22:00 New York time is the close: midnight is two hours later.
        scene.clock.at_us = CLOSE_US + 2 * 3600 * DOLLAR
        tomorrow = await scene.ask(scene.wish(market_ticker=NEXT))
        return lost, today, tomorrow

    lost, today, tomorrow = runner.run(play())

    assert lost == -5_026_900
    assert today == "lost $5.03 today, the limit is $5"
    assert "lost" not in tomorrow


def test_a_drawdown_stops_entries(scene, runner):
    """Equity at cost below its highest value."""

    async def play():
        await scene.apply(max_drawdown_dollars=20)
        await scene.execute(
            "UPDATE trading.totals SET equity_high_usd_e6 = equity_usd_e6 + %s WHERE account = %s",
            *(20 * DOLLAR, scene.account),
        )
        return await scene.ask(scene.wish())

    assert runner.run(play()) == "$20.00 below the high, the limit is $20"


MARKETS = {
    "closed": ({"status": "closed"}, {}, "market is closed, not active"),
    "inactive": ({"status": "inactive"}, {}, "market is inactive, not active"),
    "without a strike": ({"strike_usd_e6": None}, {}, "market has no strike yet"),
    "unknown fees": ({"fee_type": "flat"}, {}, "fees of type 'flat' cannot be reckoned"),
    "off the grid": ({}, {"limit_price_e4": 9650}, "price 9650 e-4 dollar is not on the"),
    "another event": ({}, {"event_ticker": "KXBTCD-25AUG0123"}, f"market belongs to {EVENT}"),
    "unknown": ({}, {"market_ticker": f"{EVENT}-T1.99"}, "has told nothing of market"),
}


@pytest.mark.parametrize("name", MARKETS)
def test_a_market_that_cannot_be_traded_is_refused(scene, runner, name):
    """By what the exchange told of it, not by what the wish says."""
    market, wish, reason = MARKETS[name]

    async def play():
        await scene.list_market(MARKET, **market)
        return await scene.ask(scene.wish(**wish))

    assert reason in runner.run(play())


@pytest.mark.parametrize("at_us", [CLOSE_US, CLOSE_US - 3601 * DOLLAR])
def test_outside_of_its_window_a_market_is_refused(scene, runner, at_us):
    """At the close it is closed, and before the opening it is not open."""
    scene.clock.at_us = at_us

    assert "market is not in its open window" in runner.run(scene.ask(scene.wish()))


def test_a_second_entry_in_one_market_is_refused(scene, runner):
    """The exchange would net the two, and their figures would blur: also on the other side."""

    async def play():
        await scene.enter()
        return [await scene.ask(scene.wish(side=side)) for side in ("yes", "no")]

    for refusal in runner.run(play()):
        assert refusal == f"there is a live trade in {MARKET} already"


def test_a_position_without_a_trade_blocks_its_market_too(scene, runner):
    """Something that nobody here knows of is held there."""

    async def play():
        await scene.execute(
            "INSERT INTO trading.positions VALUES (%s, %s, %s, 100, 500000, 0, 0, %s)",
            *(scene.account, MARKET, EVENT, as_datetime(scene.now_us)),
        )
        return await scene.ask(scene.wish())

    assert runner.run(play()) == f"there is a position in {MARKET} already"


@pytest.mark.parametrize("state", [state for state in Trading if state is not Trading.ACTIVE])
def test_a_switch_refuses_entries(scene, runner, state):
    """Every one but Active, with its source and reason."""
    runner.run(scene.switch(state))

    refusal = runner.run(scene.ask(scene.wish()))
    assert refusal == f"switch {state.value}: person ({scene.account}): by hand"


def test_waiting_for_the_lock_makes_a_wish_late(scene, runner):
    """Time is taken when the account is ours, not when we began to wait for it."""

    async def play():
        intent = scene.wish(valid_until_us=scene.now_us + 1)
        await scene.propose(intent)
        async with scene.owner.transaction() as tx:
            await gate.lock_account(tx, scene.account)
            waiting = asyncio.create_task(scene.decide())
            await scene.until_it_waits(waiting)
            scene.clock.pass_time(7)
        await waiting
        return await scene.one(
            "SELECT refusal FROM trading.intents WHERE intent_id = %s", intent.intent_id
        )

    (refusal,) = runner.run(play())
    assert "too late: the intent was valid until 6999 ms ago" in refusal


def entries(scene, number):
    """Return wishes for as many markets of one event."""
    return [
        scene.wish(market_ticker=f"{EVENT}-T{119_000 + 250 * index}.99", qty_e2=500)
        for index in range(number)
    ]


def test_racing_gates_of_one_account_never_exceed_its_limit(scene, database_port, runner):
    """Sixteen wishes, two processes, four of them fit: four are accepted."""

    async def play():
        await scene.apply(max_contracts_per_event=20, max_open_trades=16)
        wishes = entries(scene, 16)
        for wish in wishes:
            await scene.list_market(wish.market_ticker)
            await scene.propose(wish)
        other = database_port(scene)
        await asyncio.gather(*(each.decide() for each in (scene, other, scene, other)))
        return await scene.rows(
            "SELECT count(*), sum(qty_e2)::bigint FROM trading.orders WHERE account = %s",
            scene.account,
        )

    assert runner.run(play()) == [(4, 2000)]


@pytest.fixture
def database_port(module_database_url, runner):
    """A function that gives an account's second process: connections of its own."""
    made = []

    def make(scene):
        other = account_scene(scene.owner, module_database_url, scene.account)
        other.clock = scene.clock
        made.append(other)
        return other

    yield make
    for other in made:
        runner.run(other.database.close())


def race(first, second, limits, number=4):
    """Let two accounts race for what is left of the fleet's limits."""

    async def play():
        async with first.owner.transaction() as tx:
            await config.apply_fleet(tx, fleet(**limits), at_us=START_US, author="test")
        for scene in (first, second):
            for wish in entries(scene, number):
                await scene.list_market(wish.market_ticker)
                await scene.propose(wish)
        await asyncio.gather(*(scene.decide() for scene in (first, second)))
        return await first.rows("SELECT count(*), sum(reserved_usd_e6)::bigint FROM trading.orders")

    return play()


@pytest.mark.parametrize(
    ("limits", "accepted", "reason"),
    [
        ({"max_open_trades": 3}, 3, "4 open trades over all accounts, at most 3"),
        ({"max_orders_per_minute": 2}, 2, "3 orders in a minute over all accounts, at most 2"),
        ({"max_cost_total_dollars": 15}, 3, "dollars over all accounts, at most 15"),
    ],
)
def test_racing_accounts_never_exceed_the_fleet(lonely_accounts, runner, limits, accepted, reason):
    """Two accounts at the same moment: the fleet's row makes them take turns."""
    first, second = lonely_accounts(), lonely_accounts()

    ((number, reserved),) = runner.run(race(first, second, limits))
    assert number == accepted
    assert reserved <= 15 * DOLLAR
    refusals = runner.run(first.rows("SELECT refusal FROM trading.intents WHERE state = 'refused'"))
    assert any(reason in refusal for (refusal,) in refusals)


def test_the_fleet_counts_what_is_held_as_well(lonely_accounts, runner):
    """What one account holds is missing for the other."""
    first, second = lonely_accounts(), lonely_accounts()

    async def play():
        async with first.owner.transaction() as tx:
            await config.apply_fleet(
                tx, fleet(max_cost_total_dollars=19), at_us=START_US, author="test"
            )
        await first.held_trade()
        return await second.ask(second.wish())

    # Held at cost 9.60; the new one at its worst 9.6369.
    assert runner.run(play()) == "19.2369 dollars over all accounts, at most 19 allowed"


def test_a_loss_over_all_accounts_stops_entries_in_each(lonely_accounts, runner):
    """The day's results are summed over the fleet."""
    first, second = lonely_accounts(), lonely_accounts()

    async def play():
        async with first.owner.transaction() as tx:
            await config.apply_fleet(
                tx, fleet(max_daily_loss_dollars=5), at_us=START_US, author="test"
            )
        await first.held_trade()
        await first.book_fill(first.fill(book_side=BookSide.ASK, yes_price_e4=4000))
        return await second.ask(second.wish())

    assert runner.run(play()) == "all accounts lost $5.65 today, at most $5"


def test_the_fleet_s_switch_stops_every_account(lonely_accounts, runner):
    """Scope * is for all."""
    first, second = lonely_accounts(), lonely_accounts()

    async def play():
        async with first.owner.transaction() as tx:
            await config.apply_fleet(tx, fleet("Halted"), at_us=START_US, author="test")
        return [await scene.ask(scene.wish()) for scene in (first, second)]

    assert runner.run(play()) == ["switch Halted: fleet (*): spec.trading of the TradingFleet"] * 2


class Interrupted:
    """A transaction in which something else happens after the n-th statement."""

    def __init__(self, tx, number, do):
        self._tx = tx
        self._left = number
        self._do = do

    async def _after(self, result):
        self._left -= 1
        if self._left == 0:
            await self._do()
        return result

    async def fetch(self, sql, *parameters):
        """Run one statement."""
        return await self._after(await self._tx.fetch(sql, *parameters))

    async def fetch_one(self, sql, *parameters):
        """Run one statement."""
        return await self._after(await self._tx.fetch_one(sql, *parameters))

    async def fetch_many(self, *queries):
        """Run statements that go out together, one by one as the server does."""
        return [await self.fetch(query.sql, *query.params) for query in queries]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_fill_that_is_booked_while_the_gate_adds_up_is_never_missed(scene, runner, number):
    """Each statement sees a later world: in between it may count twice, never not at all."""

    async def play():
        trade_id = await scene.enter()
        async with scene.database.transaction() as tx:
            return await gate.exposure(
                Interrupted(tx, number, lambda: scene.fill_entry(trade_id)),
                scene.account,
                now_us=scene.now_us,
                day_start_us=scene.now_us,
            )

    at_stake = runner.run(play())

    assert at_stake.contracts_e2() in {1000, 2000}
    assert at_stake.cost_usd_e6() >= 9_600_000
    free = at_stake.cash_usd_e6 - sum(order.worst_usd_e6 for order in at_stake.in_flight)
    assert free <= 1000 * DOLLAR - 9_600_000


def test_an_exit_is_reduce_only_and_reserves_nothing(scene, runner):
    """On the other side of the book, at the holder's own limit."""

    async def play():
        return await scene.order(await scene.leave(await scene.held_trade()))

    order = runner.run(play()).order

    assert (order.purpose, order.book_side, order.yes_price_e4) == ("exit", BookSide.ASK, 4000)
    assert (order.qty_e2, order.is_reduce_only, order.reserved_usd_e6) == (1000, True, 0)


def test_an_exit_of_no_is_a_bid(scene, runner):
    """NO sold at 0.40 is YES bought at 0.60."""

    async def play():
        trade_id = await scene.held_trade(side="no", limit_price_e4=9000)
        return await scene.order(await scene.leave(trade_id, side="no"))

    order = runner.run(play()).order

    assert (order.book_side, order.yes_price_e4) == (BookSide.BID, 6000)


def test_exits_are_capped_by_what_is_held_and_not_on_its_way(scene, runner):
    """Six in flight leave four; then nothing is left."""

    async def play():
        trade_id = await scene.held_trade()
        quantities = []
        for wanted in (600, 1000):
            order_id = await scene.leave(trade_id, qty_e2=wanted)
            quantities.append((await scene.order(order_id)).order.qty_e2)
        return quantities, await scene.ask(scene.exit_wish(trade_id))

    quantities, refusal = runner.run(play())

    assert quantities == [600, 400]
    assert refusal == "nothing left to sell: all of it is sold or being sold"


def test_what_is_sold_counts_before_the_trade_was_folded(scene, runner):
    """The gate goes by booked fills, not by figures that follow them."""

    async def play():
        trade_id = await scene.held_trade()
        order_id = await scene.leave(trade_id)
        await scene.report(order_id, 1000)
        reported = await scene.ask(scene.exit_wish(trade_id))
        await scene.book_fill(await scene.fill_of(order_id))
        booked = await scene.ask(scene.exit_wish(trade_id))
        return reported, booked

    for refusal in runner.run(play()):
        assert refusal == "nothing left to sell: all of it is sold or being sold"


def test_a_fill_can_be_sold_before_the_trade_was_folded(scene, runner):
    """A person who sees the fill need not wait for anybody."""

    async def play():
        trade_id = await scene.enter()
        await scene.fill_entry(trade_id)
        return await scene.ask(scene.exit_wish(trade_id))

    assert runner.run(play()) == ""


def test_limits_and_a_broken_configuration_hold_no_exit_back(scene, runner):
    """Exits need neither."""

    async def play():
        trade_id = await scene.held_trade()
        await scene.apply(max_open_trades=1, max_daily_loss_dollars=1, max_orders_per_minute=1)
        async with scene.owner.transaction() as tx:
            await tx.execute(
                "INSERT INTO trading.account_config SELECT account, generation + 1, "
                "jsonb_set(document, '{spec,risk,maxOpenTrades}', '0'), applied_at "
                "FROM trading.account_config WHERE account = %s "
                "ORDER BY generation DESC LIMIT 1",
                scene.account,
            )
        return await scene.ask(scene.wish(market_ticker=OTHER)), await scene.ask(
            scene.exit_wish(trade_id)
        )

    entry, leave = runner.run(play())

    assert entry.startswith("the account's configuration does not read")
    assert leave == ""


@pytest.mark.parametrize(
    ("state", "source", "is_allowed"),
    [
        (Trading.NO_NEW_ENTRIES, Source.AUTO_STOP, True),
        (Trading.REDUCE_ONLY, Source.MOMENTUM_STOP, True),
        (Trading.FLATTEN, Source.FLATTEN, True),
        (Trading.HALTED, Source.AUTO_STOP, False),
        (Trading.HALTED, Source.MANUAL, True),
    ],
)
def test_which_exits_a_switch_lets_through(scene, runner, state, source, is_allowed):
    """Halted stops all but a person's; the milder ones stop none."""

    async def play():
        trade_id = await scene.held_trade()
        await scene.switch(state)
        return await scene.ask(scene.exit_wish(trade_id, source=source))

    assert (runner.run(play()) == "") is is_allowed


def test_an_exit_must_name_its_own_trade(scene, accounts, runner):
    """Another market, the other side, another account's trade, none at all: refused."""
    stranger = accounts()

    async def play():
        trade_id = await scene.held_trade()
        return [
            await scene.ask(scene.exit_wish(trade_id, market_ticker=OTHER)),
            await scene.ask(scene.exit_wish(trade_id, side="no")),
            await scene.ask(scene.exit_wish(UUID(int=5))),
            await stranger.ask(stranger.exit_wish(trade_id)),
        ]

    market, side, none, other = runner.run(play())

    assert market == side == f"trade 1 is yes of {MARKET}, not what is named"
    assert none.startswith("no trade 00000000")
    assert other.startswith("no trade ")


def test_an_ended_trade_has_nothing_to_close(scene, runner):
    """Abandoned, closed, expired and settled ones."""

    async def play():
        gone = await scene.enter(market_ticker=OTHER)
        await scene.report(await scene.entry_order(gone), 0, status="canceled")
        held = await scene.held_trade()
        await scene.fold()
        refusals = [await scene.ask(scene.exit_wish(gone, market_ticker=OTHER))]
        scene.clock.at_us = CLOSE_US
        await scene.fold()
        refusals.append(await scene.ask(scene.exit_wish(held)))
        return refusals

    assert runner.run(play()) == [
        "trade 1 is abandoned: nothing to close",
        "trade 2 is expired: nothing to close",
    ]


def test_an_account_that_retired_is_decided_no_more(scene, runner):
    """Its wishes wait for ever; nothing is done in its name."""

    async def play():
        async with scene.owner.transaction() as tx:
            await tx.execute(
                "UPDATE trading.accounts SET retired_at = created_at WHERE account = %s",
                scene.account,
            )
        await scene.propose(scene.wish())
        await scene.decide()

    runner.run(play())

    assert count(scene, runner, "orders") == 0
