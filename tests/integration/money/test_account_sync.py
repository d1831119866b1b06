"""Account sync: the books are opened once, kept equal to the exchange's, and a difference is told."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.integration.money.scene import CLOSE_US, DOLLAR, FEE, MARKET, OTHER, exchange_order

from recio.adapters.kalshi.errors import KalshiRejected
from recio.adapters.kalshi.model import CashMovement, ExchangeBalance, ExchangePosition
from recio.adapters.kalshi.rest_portfolio import Listed
from recio.adapters.postgres import external
from recio.apps.kalshi_account_sync.app import AccountSync
from recio.apps.kalshi_account_sync.doubts import AGREE
from recio.apps.kalshi_account_sync.reconciling import Reconciler
from recio.domain.account_config import Trading
from recio.domain.disputes import Reason
from recio.domain.errors import Rejected, Unavailable
from recio.domain.orders import BookSide, OrderState


class Exchange:
    """What the exchange shows of an account, as a test says."""

    def __init__(self, scene):
        self.scene = scene
        self.cash = 1000 * DOLLAR
        self.orders_shown = []
        self.fills_shown = []
        self.settlements_shown = []
        self.positions_shown = []
        self.movements = []
        self.unknown_orders = set()
        self.asked_since = []
        self.lag_us = 0
        self.error = None
        self.before_balance = None

    async def as_of_us(self):
        """Return how fresh reads are."""
        if self.error:
            raise self.error
        return self.scene.now_us - self.lag_us

    async def balance(self):
        """Return cash."""
        if self.before_balance:
            await self.before_balance()
        return ExchangeBalance(cash_usd_e6=self.cash, positions_usd_e6=None, updated_at_us=0)

    async def positions(self):
        """Return positions."""
        return tuple(self.positions_shown)

    async def orders(self, *, status):
        """Return orders that rest."""
        return tuple(order for order in self.orders_shown if order.status == status)

    async def listed_positions(self):
        """Return positions; those that the fills shown come to, unless a test says others."""
        if self.positions_shown:
            return Listed(tuple(self.positions_shown))
        held = await self.scene.rows(
            "SELECT market_ticker, qty_e2, cost_usd_e6 FROM trading.positions "
            "WHERE account = %s AND qty_e2 <> 0",
            self.scene.account,
        )
        return Listed(tuple(position(*row) for row in held))

    async def listed_orders(self, *, min_us):
        """Return orders."""
        self.asked_since.append(min_us)
        return Listed(tuple(self.orders_shown))

    async def listed_fills(self, *, min_us):
        """Return fills, newest first."""
        shown = tuple(fill for fill in self.fills_shown if (fill.at_us or 0) >= min_us)[::-1]
        return Listed(shown)

    async def listed_settlements(self, *, min_us):
        """Return settlements."""
        return Listed(tuple(s for s in self.settlements_shown if s.settled_at_us >= min_us))

    async def deposits(self):
        """Return deposits."""
        return tuple(m for m in self.movements if m.kind == "deposit")

    async def withdrawals(self):
        """Return withdrawals."""
        return tuple(m for m in self.movements if m.kind == "withdrawal")

    async def order(self, order_id):
        """Return one order: shown, or somebody else's, unless nobody knows it."""
        for order in self.orders_shown:
            if order.order_id == order_id:
                return order
        if order_id in self.unknown_orders:
            raise KalshiRejected(404, "not_found", "no such order")
        return exchange_order(
            order_id=order_id, client_order_id="by hand", status="executed", fill_qty_e2=1000
        )


def position(ticker=MARKET, qty_e2=1000, exposure=9_600_000):
    """Return a position as the exchange shows it."""
    return ExchangePosition(
        ticker=ticker,
        qty_e2=qty_e2,
        exposure_usd_e6=exposure,
        traded_usd_e6=None,
        realized_pnl_usd_e6=0,
        fees_usd_e6=0,
        updated_at_us=None,
        exchange_index=2,
    )


def movement(kind="deposit", amount=50 * DOLLAR, *, at_us, **changes):
    """Return a deposit or a withdrawal."""
    fields = {
        "movement_id": f"{kind}-1",
        "kind": kind,
        "status": "applied",
        "method": "ach",
        "amount_usd_e6": amount,
        "fee_usd_e6": 0,
        "created_at_us": at_us,
        "finalized_at_us": at_us,
    }
    return CashMovement(**fields | changes)


@pytest.fixture
def exchange(scene):
    """What the exchange shows."""
    return Exchange(scene)


@pytest.fixture
def reconciler(scene, exchange):
    """The reader of that exchange."""
    return Reconciler(scene.context("kalshi_account_sync"), scene.account, exchange)


def reconcile(scene, reconciler, runner, *pauses_s):
    """Read everything back, once and again after each pause."""

    async def play():
        await reconciler.reconcile()
        for pause_s in pauses_s:
            scene.clock.pass_time(pause_s)
            await reconciler.reconcile()

    runner.run(play())


def breaker(scene, runner):
    """Return the state of the books' breaker, None if it was never set."""
    rows = runner.run(
        scene.rows(
            "SELECT state::text, reason FROM trading.switches "
            "WHERE scope = %s AND source = 'breaker:books'",
            scene.account,
        )
    )
    return rows[0] if rows else None


def cash(scene, runner):
    """Return cash by the books."""
    return runner.run(
        scene.one("SELECT cash_usd_e6 FROM trading.totals WHERE account = %s", scene.account)
    )[0]


def test_the_first_start_takes_over_what_is_there(accounts, runner):
    """Balance and positions are opened with, once; facts from before are in them."""
    scene = accounts(opens_books=False)
    exchange = Exchange(scene)
    exchange.positions_shown = [position(), position(OTHER, -300, 900_000), position("X-1", 0, 0)]
    exchange.fills_shown = [scene.fill(at_us=scene.now_us - 60 * DOLLAR)]
    reconciler = Reconciler(scene.context("kalshi_account_sync"), scene.account, exchange)

    async def play():
        for _ in range(2):
            await reconciler.open_books()
            exchange.cash += 1
        exchange.cash -= 2
        await reconciler.reconcile()
        await scene.fold()
        return await scene.rows(
            "SELECT source, side::text, state::text, filled_qty_e2, entry_cost_usd_e6 "
            "FROM trading.trades WHERE account = %s ORDER BY number",
            scene.account,
        )

    assert runner.run(play()) == [
        ("external", "yes", "open", 1000, 9_600_000),
        ("external", "no", "open", 300, 900_000),
    ]
    assert cash(scene, runner) == 1000 * DOLLAR
    runner.run(scene.assert_books_agree())


def test_equal_cash_is_noted_and_stops_nothing(scene, reconciler, runner):
    """One row for a comparison that says something new."""
    reconcile(scene, reconciler, runner, 60, 60)

    assert breaker(scene, runner) is None
    assert runner.run(
        scene.rows(
            "SELECT exchange_usd_e6, ledger_usd_e6 FROM trading.balances WHERE account = %s",
            scene.account,
        )
    ) == [(1000 * DOLLAR,) * 2]


def test_a_difference_that_stays_stops_entries(scene, exchange, reconciler, runner):
    """Not at first sight; five seconds later, by name, to the micro-dollar."""
    exchange.cash += 1
    reconcile(scene, reconciler, runner, 4.9)
    assert breaker(scene, runner) is None
    assert reconciler.doubts.are_standing
    reconcile(scene, reconciler, runner)
    scene.clock.pass_time(0.2)
    reconcile(scene, reconciler, runner)

    state, reason = breaker(scene, runner)
    assert state == "NoNewEntries"
    assert reason == "cash_differs: the exchange's cash differs from the books by $0.000001"
    refusal = runner.run(scene.ask(scene.wish()))
    assert refusal.startswith("switch NoNewEntries: breaker:books")


def test_a_difference_that_passes_stops_nothing(scene, exchange, reconciler, runner):
    """The exchange's read was a moment behind."""
    exchange.cash -= 5
    reconcile(scene, reconciler, runner)
    exchange.cash += 5
    reconcile(scene, reconciler, runner, 60)
    exchange.cash -= 5
    reconcile(scene, reconciler, runner)

    assert breaker(scene, runner) is None


def test_the_breaker_is_released_when_the_books_agree_again(scene, exchange, reconciler, runner):
    """By whom it was set, also after a restart; a person's switch is not touched."""
    exchange.cash += 7
    reconcile(scene, reconciler, runner, 6)
    assert breaker(scene, runner)[0] == "NoNewEntries"
    runner.run(scene.switch(Trading.HALTED))
    exchange.cash -= 7
    again = Reconciler(scene.context("kalshi_account_sync"), scene.account, exchange)
    reconcile(scene, again, runner)

    assert breaker(scene, runner) == ("Active", AGREE)
    person = scene.one(
        "SELECT state::text FROM trading.switches WHERE scope = %s AND source = 'person'",
        scene.account,
    )
    assert runner.run(person) == ("Halted",)


def test_deposits_and_withdrawals_explain_a_difference(scene, exchange, reconciler, runner):
    """They are booked once; nothing stops."""
    later_us = scene.now_us + 1
    exchange.movements = [
        movement(at_us=later_us),
        movement("withdrawal", 30 * DOLLAR, at_us=later_us),
        movement(movement_id="old", at_us=scene.now_us - 3600 * DOLLAR),
        movement(movement_id="pending", at_us=later_us, status="pending", finalized_at_us=None),
    ]
    exchange.cash += 20 * DOLLAR
    scene.clock.pass_time(1)
    reconcile(scene, reconciler, runner, 6, 6)

    assert cash(scene, runner) == 1020 * DOLLAR
    assert breaker(scene, runner) is None
    assert not reconciler.doubts.are_standing
    runner.run(scene.assert_books_agree())


def test_a_movement_with_a_fee_waits_for_a_person(scene, exchange, reconciler, runner):
    """What the fee is part of is not documented: nothing is guessed."""
    exchange.movements = [movement(at_us=scene.now_us + 1, fee_usd_e6=DOLLAR)]
    exchange.cash += 49 * DOLLAR
    scene.clock.pass_time(1)
    reconcile(scene, reconciler, runner, 6)

    assert cash(scene, runner) == 1000 * DOLLAR
    assert breaker(scene, runner)[0] == "NoNewEntries"


def test_cash_is_not_compared_while_something_is_in_flight(scene, exchange, reconciler, runner):
    """Its fill may be in one and not yet in the other."""
    runner.run(scene.enter())
    exchange.cash -= 9 * DOLLAR
    reconcile(scene, reconciler, runner, 6, 6)

    assert breaker(scene, runner) is None
    assert not reconciler.doubts.are_standing


def test_cash_is_not_compared_with_reads_older_than_our_last_act(
    scene, exchange, reconciler, runner
):
    """They cannot know of it."""
    trade_id = runner.run(scene.enter())
    runner.run(scene.report(runner.run(scene.entry_order(trade_id)), 0, status="canceled"))
    exchange.lag_us = 10 * DOLLAR
    exchange.cash -= 9 * DOLLAR
    scene.clock.pass_time(9)
    reconcile(scene, reconciler, runner)
    assert not reconciler.doubts.are_standing
    scene.clock.pass_time(2)
    reconcile(scene, reconciler, runner)

    assert reconciler.doubts.are_standing


def test_cash_is_not_compared_when_something_happened_meanwhile(
    scene, exchange, reconciler, runner
):
    """Between the question and the answer a fill was booked: the two do not belong together."""

    async def meanwhile():
        exchange.before_balance = None
        await scene.book_fill(scene.fill())

    exchange.before_balance = meanwhile
    reconcile(scene, reconciler, runner)

    assert not reconciler.doubts.are_standing


def test_facts_are_read_back_and_booked_once(scene, exchange, reconciler, runner):
    """Orders, fills and a settlement that no stream told, in one go, in whatever order."""
    trade_id = runner.run(scene.enter())
    order_id = runner.run(scene.entry_order(trade_id))
    runner.run(scene.send(order_id))
    told = exchange_order(
        order_id="x-1", client_order_id=str(order_id), status="executed", fill_qty_e2=1000
    )
    exchange.orders_shown = [told]
    exchange.fills_shown = [
        replace(scene.fill(), order_id="x-1", qty_e2=400, fee_usd_e6=0),
        replace(scene.fill(), order_id="x-1", qty_e2=600, fee_usd_e6=FEE),
    ]
    scene.clock.at_us = CLOSE_US + 120 * DOLLAR
    exchange.settlements_shown = [scene.settlement(yes_e2=1000)]
    exchange.cash += 400_000 - FEE
    reconcile(scene, reconciler, runner, 6, 6)
    runner.run(scene.fold())

    assert runner.run(scene.order(order_id)).order.state is OrderState.EXECUTED
    assert runner.run(scene.trade(trade_id))["pnl_usd_e6"] == 400_000 - FEE
    assert breaker(scene, runner) is None
    assert reconciler.problem == ""
    runner.run(scene.assert_books_agree())


def test_a_fill_without_a_client_order_id_is_looked_up(scene, exchange, reconciler, runner):
    """REST fills name the exchange's order only: whose it is, its order says."""
    trade_id = runner.run(scene.enter())
    order_id = runner.run(scene.entry_order(trade_id))
    runner.run(scene.send(order_id))
    exchange.orders_shown = [
        exchange_order(
            order_id="x-1", client_order_id=str(order_id), status="resting", fill_qty_e2=0
        )
    ]

    async def play():
        await reconciler.book_fill(scene.fill(order_id="x-1", qty_e2=300), told_by="stream")
        await reconciler.book_fill(scene.fill(order_id="nobody's", ticker=OTHER), told_by="stream")
        return await scene.rows(
            "SELECT t.source FROM trading.fills f JOIN trading.trades t USING (trade_id) "
            "WHERE f.account = %s ORDER BY t.number",
            scene.account,
        )

    assert runner.run(play()) == [("auto_entry",), ("external",)]
    assert runner.run(scene.order(order_id)).booked_qty_e2 == 300


def test_one_bad_fact_stops_no_other(scene, exchange, reconciler, runner):
    """It is refused and told; what comes after it is booked."""
    exchange.fills_shown = [
        scene.fill(qty_e2=0, at_us=scene.now_us + 1),
        scene.fill(ticker=OTHER, fill_id="good", at_us=scene.now_us + 2, fee_usd_e6=0),
    ]
    exchange.cash -= 9_600_000
    scene.clock.pass_time(1)
    reconcile(scene, reconciler, runner)

    booked = scene.rows("SELECT fill_id FROM trading.fills WHERE account = %s", scene.account)
    assert runner.run(booked) == [("good",)]
    assert "expected contracts, received 0" in reconciler.problem
    assert not reconciler.doubts.are_standing


def test_a_settlement_that_waits_is_told_and_asked_for_again(scene, exchange, reconciler, runner):
    """Also long after newer facts: from when its trade began."""
    trade_id = runner.run(scene.held_trade())
    made_us = scene.now_us
    scene.clock.at_us = CLOSE_US + 3600 * DOLLAR
    runner.run(scene.fold())
    runner.run(scene.book_fill(scene.fill(ticker="PRES-28-X")))
    exchange.settlements_shown = [scene.settlement(yes_e2=1500)]
    reconcile(scene, reconciler, runner)

    assert reconciler.problem.startswith(
        f"settlement_differs: {MARKET}: the exchange settled 15 contracts, booked are 10"
    )
    assert exchange.asked_since == [made_us]
    exchange.fills_shown = [scene.fill(at_us=made_us + 5, qty_e2=500, book_side=BookSide.BID)]
    reconcile(scene, reconciler, runner)
    runner.run(scene.fold())
    assert "settle" not in reconciler.problem
    assert runner.run(scene.trade(trade_id))["state"] == "settled"


def test_the_books_are_not_opened_while_somebody_trades(accounts, runner):
    """Balance and positions must belong together: both are read again."""
    scene = accounts(opens_books=False)
    exchange = Exchange(scene)
    service = sync(scene, exchange)

    async def trade():
        if exchange.cash == 1000 * DOLLAR:
            exchange.before_balance = meanwhile

    async def meanwhile():
        exchange.before_balance = None
        exchange.cash -= 9_600_000
        exchange.positions_shown = [position()]

    exchange.before_balance = trade
    with pytest.raises(Unavailable):
        runner.run(service.recover())
    runner.run(service.recover())

    assert cash(scene, runner) == 1000 * DOLLAR - 9_600_000
    runner.run(scene.assert_books_agree())


def losses(scene, runner):
    """Return the state of the losses' breaker, None if it was never set."""
    rows = runner.run(
        scene.rows(
            "SELECT state::text, reason FROM trading.switches "
            "WHERE scope = %s AND source = 'breaker:losses'",
            scene.account,
        )
    )
    return rows[0] if rows else None


def lose(scene, exchange, reconciler, runner):
    """Buy at 96 cents and sell at 36: $6 and a fee are gone; the stream tells."""

    async def play():
        for side, price_e4 in ((BookSide.BID, 9_600), (BookSide.ASK, 3_600)):
            told = scene.fill(ticker=OTHER, book_side=side, yes_price_e4=price_e4, fee_usd_e6=0)
            await reconciler.book_fill(told, told_by="stream")
        exchange.cash -= 6 * DOLLAR

    runner.run(play())


@pytest.mark.parametrize("on_breach", ["NoNewEntries", "ReduceOnly", "Halted", "Flatten"])
def test_a_broken_loss_limit_sets_what_the_document_says(
    scene, exchange, reconciler, runner, on_breach
):
    """At the very fill that breaks it."""
    runner.run(scene.apply(max_daily_loss_dollars=6, on_breach=on_breach))
    assert losses(scene, runner) is None
    lose(scene, exchange, reconciler, runner)

    assert losses(scene, runner) == (on_breach, "lost $6.00 today, the limit is $6")


def test_a_loss_limit_that_is_not_broken_sets_nothing(scene, exchange, reconciler, runner):
    """A dollar below it."""
    runner.run(scene.apply(max_daily_loss_dollars=7))
    lose(scene, exchange, reconciler, runner)
    reconcile(scene, reconciler, runner)

    assert losses(scene, runner) is None


def test_a_new_day_releases_the_loss_s_switch(scene, exchange, reconciler, runner):
    """At midnight in New York the day's loss is yesterday's; a drawdown stays."""
    runner.run(scene.apply(max_daily_loss_dollars=6, on_breach="Halted"))
    lose(scene, exchange, reconciler, runner)
    scene.clock.at_us = CLOSE_US + 2 * 3600 * DOLLAR
    reconcile(scene, reconciler, runner)
    assert losses(scene, runner) == ("Active", "losses are within their limits again")
    runner.run(scene.apply(max_drawdown_dollars=6, on_breach="Halted"))
    reconcile(scene, reconciler, runner)

    assert losses(scene, runner) == ("Halted", "$6.00 below the high, the limit is $6")


def sync(scene, exchange):
    """Return an account sync without a stream."""
    return AccountSync(scene.context("kalshi_account_sync"), scene.account, exchange, None)


def test_it_is_ready_when_the_books_are_read_and_says_when_they_are_old(scene, exchange, runner):
    """Three minutes without a read are too many."""
    service = sync(scene, exchange)
    before = service.readiness()
    runner.run(service.recover())
    after = service.readiness()
    scene.clock.pass_time(181)
    late = service.readiness()

    assert (before.is_ready, before.reason) == (False, "the books are not reconciled yet")
    assert (after.is_ready, after.reason) == (True, "")
    assert not late.is_ready
    assert late.reason.startswith("last reconciled 181 s ago")


@pytest.mark.parametrize("error", [Unavailable("down"), Rejected("401: no such key")])
def test_recovery_says_what_it_waits_for_and_may_be_tried_again(scene, exchange, runner, error):
    """The host does, until the exchange answers; a key may be mended, too."""
    exchange.error = error
    service = sync(scene, exchange)
    for _ in range(3):
        with pytest.raises(Unavailable, match=str(error)):
            runner.run(service.recover())
    assert not service.readiness().is_ready
    exchange.error = None
    runner.run(service.recover())
    assert service.readiness().is_ready


@pytest.mark.parametrize(
    ("in_doubt", "held", "is_differing", "pace_s"),
    [
        (0, (), False, 60.0),
        (0, ((MARKET, 100),), False, 15.0),
        (0, (("KXBTCD-25AUG0112-T1.99", 100),), False, 5.0),
        (0, (("PRES-28-X", 100),), False, 15.0),
        (0, (), True, 5.0),
        (1, ((MARKET, 100),), True, 1.0),
    ],
)
def test_how_soon_it_reads_again(scene, exchange, in_doubt, held, is_differing, pace_s):
    """Often while something is in doubt, rarely while nothing can happen."""
    service = sync(scene, exchange)
    if is_differing:
        service._reconciler.doubts._since_us[Reason.CASH_DIFFERS, ""] = 1
    pulse = external.Pulse(in_doubt=in_doubt, last_action_us=0, held=held)

    assert service._pace(pulse) == pace_s
