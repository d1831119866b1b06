"""The books as a machine: facts in any order, any number of times, by anybody, in any split.

A model keeps what a plain sum says. After every step the postings of each transaction sum to zero,
totals are the ledger's sums, and nothing that was written has changed; whenever all facts so far are
told, cash and positions equal the model's to the micro-dollar and the contract.
"""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.integration.money.scene import CLOSE_US, DOLLAR, MARKET, OTHER

from recio.adapters.postgres import facts
from recio.domain.disputes import Contradiction
from recio.domain.orders import BookSide
from recio.domain.units import PRICE_ONE_E4

_names = count(1)
TICKERS = (MARKET, OTHER)


class Model:
    """What the exchange itself would say: cash and positions by a plain sum over its facts."""

    def __init__(self):
        self.cash = 1_000 * DOLLAR
        self.held = dict.fromkeys(TICKERS, 0)

    def trade(self, fill):
        """Trade."""
        sign = 1 if fill.book_side is BookSide.BID else -1
        before = self.held[fill.ticker]
        after = before + sign * fill.qty_e2
        # NO is YES sold at the same price against a dollar of collateral for each contract short.
        collateral = (max(-after, 0) - max(-before, 0)) * PRICE_ONE_E4
        self.cash -= sign * fill.yes_price_e4 * fill.qty_e2 + collateral + fill.fee_usd_e6
        self.held[fill.ticker] = after


class Books(RuleBasedStateMachine):
    """Facts happen; then they are told, again and again, in whatever order."""

    untold = Bundle("untold")
    told = Bundle("told")
    scene = None
    runner = None

    @initialize()
    def open(self):
        """Open the account, with two orders of ours that may fill."""
        self.here = self.scene()
        self.model = Model()
        self.waiting = 0
        self.settled = set()
        self.seen = {}
        self.orders = {}
        for ticker, side in ((MARKET, "yes"), (OTHER, "no")):
            trade_id = self.play(
                self.here.enter(market_ticker=ticker, side=side, limit_price_e4=9_000)
            )
            order_id = self.play(self.here.entry_order(trade_id))
            self.play(self.here.send(order_id))
            self.orders[ticker] = SimpleNamespace(id=order_id, left_e2=1_000)

    def play(self, work):
        """Run a coroutine."""
        return self.runner.run(work)

    @rule(
        target=untold,
        ticker=st.sampled_from(TICKERS),
        is_bid=st.booleans(),
        qty_e2=st.integers(1, 1_500),
        cents=st.integers(1, 99),
        fee=st.integers(0, 10_000),
    )
    def somebody_trades(self, ticker, is_bid, qty_e2, cents, fee):
        """A fill by hand, opening, closing or through zero."""
        fill = self.here.fill(
            ticker=ticker,
            book_side=BookSide.BID if is_bid else BookSide.ASK,
            qty_e2=qty_e2,
            yes_price_e4=cents * 100,
            fee_usd_e6=min(fee, qty_e2 * PRICE_ONE_E4 // 10),
        )
        return self._happens(fill)

    @rule(target=untold, ticker=st.sampled_from(TICKERS), qty_e2=st.integers(1, 600))
    def our_order_fills(self, ticker, qty_e2):
        """A part of an entry of ours fills, at its limit."""
        order = self.orders[ticker]
        qty_e2 = min(qty_e2, order.left_e2)
        if not qty_e2:
            return multiple()
        order.left_e2 -= qty_e2
        fill = self.play(self.here.fill_of(order.id, qty_e2=qty_e2, fee_usd_e6=qty_e2))
        return self._happens(fill)

    def _happens(self, fill):
        if fill.ticker in self.settled:
            return multiple()
        self.model.trade(fill)
        self.waiting += 1
        return fill

    @rule(target=told, fill=consumes(untold))
    def it_is_told(self, fill):
        """For the first time, whenever that is."""
        assert self.play(self.here.book_fill(fill))
        self.waiting -= 1
        return fill

    @rule(fill=told)
    def it_is_told_again(self, fill):
        """Nothing happens."""
        assert not self.play(self.here.book_fill(fill))

    @rule(fill=told, extra=st.integers(1, 50))
    def it_is_told_with_other_contents(self, fill, extra):
        """That is refused, and nothing happens."""
        changed = type(fill)(**{n: getattr(fill, n) for n in fill.__struct_fields__} | {
            "qty_e2": fill.qty_e2 + extra})  # fmt: skip
        with pytest.raises(Contradiction):
            self.play(self.here.book_fill(changed))

    @rule(amount=st.integers(-50, 50).filter(bool), again=st.integers(1, 3))
    def money_moves(self, amount, again):
        """A deposit or a withdrawal, told several times."""
        name = f"movement-{next(_names)}"
        self.model.cash += amount * DOLLAR
        for turn in range(again):
            assert self.play(self._transfer(name, amount * DOLLAR)) == (turn == 0)

    async def _transfer(self, name, amount):
        async with self.here.database.transaction() as tx:
            return await facts.book_transfer(
                tx,
                self.here.account,
                name,
                amount,
                at_us=self.here.now_us,
                seen_us=self.here.now_us,
            )

    @rule()
    def trades_are_folded(self):
        """At any time; it changes no money."""
        self.play(self.here.fold())

    @precondition(lambda self: self.waiting == 0)
    @rule(ticker=st.sampled_from(TICKERS), result=st.sampled_from(["yes", "no"]))
    def a_market_is_settled(self, ticker, result):
        """All its fills are told: it is paid once, and what is told again pays nothing."""
        if ticker in self.settled:
            return
        self.settled.add(ticker)
        held = self.model.held[ticker]
        paid = abs(held) * PRICE_ONE_E4 if (held > 0) == (result == "yes") else 0
        told = self.here.settlement(
            ticker=ticker,
            yes_e2=max(held, 0),
            no_e2=max(-held, 0),
            result=result,
            revenue_usd_e6=paid,
            settled_at_us=CLOSE_US + 1,
        )
        self.model.cash += paid
        self.model.held[ticker] = 0
        for _ in range(2):
            assert self.play(self.here.settle(told)) == ""

    @invariant()
    def nothing_that_was_written_has_changed(self):
        """Append-only: what stood in the ledger stands there."""
        if not hasattr(self, "here"):
            return
        rows = dict(
            self.play(
                self.here.rows(
                    "SELECT transaction_id, array_agg((line, book, amount_usd_e6)::text "
                    "ORDER BY line) FROM trading.ledger_postings WHERE account = %s GROUP BY 1",
                    self.here.account,
                )
            )
        )
        assert rows | self.seen == rows
        self.seen = rows
        self.play(self.here.assert_books_agree())

    @invariant()
    def the_books_are_the_exchange_s(self):
        """As soon as everything that happened is told."""
        if not hasattr(self, "here") or self.waiting:
            return
        (cash,) = self.play(
            self.here.one(
                "SELECT cash_usd_e6 FROM trading.totals WHERE account = %s", self.here.account
            )
        )
        held = dict(
            self.play(
                self.here.rows(
                    "SELECT market_ticker, qty_e2 FROM trading.positions WHERE account = %s",
                    self.here.account,
                )
            )
        )
        assert cash == self.model.cash
        assert {t: held.get(t, 0) for t in TICKERS} == self.model.held

    def teardown(self):
        """No trade sold what it had not; every fill is there whole."""
        if not hasattr(self, "here"):
            return
        wrong = self.play(
            self.here.rows(
                "SELECT t.number FROM trading.trades t JOIN trading.fills f USING (trade_id) "
                "WHERE t.account = %s GROUP BY t.trade_id, t.number HAVING sum(CASE WHEN "
                "(f.book_side = 'bid') = (t.side = 'yes') THEN f.qty_e2 ELSE -f.qty_e2 END) < 0",
                self.here.account,
            )
        )
        assert wrong == []


def test_the_books_are_a_function_of_the_facts(accounts, runner):
    """Twenty-five accounts of up to thirty steps each."""

    class Here(Books):
        pass

    Here.scene, Here.runner = staticmethod(accounts), runner
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
