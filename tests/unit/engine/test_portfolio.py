"""The books in memory: balanced after anything, never beyond a limit."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engine.backtest_tape import CLOSE_US, EVENT, OPEN_US, account

from recio.domain.intents import Intent, Purpose, Source, derived_id
from recio.domain.messages import MarketInfo, PriceRange
from recio.domain.orders import BookSide
from recio.domain.trade_book import FillFact
from recio.domain.trades import FINAL, Trade
from recio.domain.units import SECOND_US, USD_E6
from recio.engine.gate import Accepted, MarketFacts
from recio.engine.portfolio import Portfolio

RISK = {
    "maxContractsPerOrder": 10,
    "maxContractsPerEvent": 20,
    "maxContractsTotal": 20,
    "maxCostPerEventDollars": 12,
    "maxCostTotalDollars": 12,
    "maxOpenTrades": 3,
    "maxDailyLossDollars": 15,
}
GRID = (PriceRange(100, 9900, 100),)
TICKERS = tuple(f"{EVENT}-T{strike}.99" for strike in range(59_749, 60_999, 250))


def facts(ticker: str) -> MarketFacts:
    """Return what the exchange told of a market."""
    strike = int(ticker.rpartition("T")[2].partition(".")[0]) * USD_E6 + 990_000
    info = MarketInfo(
        ticker=ticker,
        strike_usd_e6=strike,
        strike_type="greater",
        status="active",
        price_ranges=GRID,
    )
    return MarketFacts(
        info=info, event_ticker=EVENT, symbol="BTC", open_us=OPEN_US, close_us=CLOSE_US
    )


def wish(ticker: str, side: str, cents: int, contracts: int, at_us: int) -> Intent:
    """Return a wish to enter."""
    return Intent(
        intent_id=derived_id(ticker, side, at_us),
        account="paper",
        purpose=Purpose.ENTRY,
        source=Source.AUTO_ENTRY,
        market_ticker=ticker,
        event_ticker=EVENT,
        side=side,
        qty_e2=contracts * 100,
        limit_price_e4=cents * 100,
        at_us=at_us,
        valid_until_us=at_us + 5 * SECOND_US,
        price_at_us=at_us,
        book_at_us=at_us,
    )


def leaving(trade: Trade, cents: int, at_us: int) -> Intent:
    """Return a wish to sell all of a trade."""
    return Intent(
        intent_id=derived_id(trade.trade_id, at_us),
        account="paper",
        purpose=Purpose.EXIT,
        source=Source.AUTO_STOP,
        market_ticker=trade.market_ticker,
        event_ticker=EVENT,
        side=trade.side,
        qty_e2=trade.open_qty_e2,
        limit_price_e4=cents * 100,
        at_us=at_us,
        valid_until_us=at_us + 5 * SECOND_US,
        trade_id=trade.trade_id,
    )


def filled(made: Accepted, share: int, at_us: int) -> tuple[FillFact, ...]:
    """Return a fill of so many tenths of an order, at its limit, for a cent."""
    order = made.order
    qty = order.qty_e2 * share // 10 // 100 * 100
    if not qty:
        return ()
    return (FillFact(order.book_side, order.yes_price_e4, qty, 10_000, at_us),)


steps = st.lists(
    st.tuples(
        st.sampled_from(("enter", "enter", "arrive", "leave", "settle")),
        st.sampled_from(TICKERS),
        st.sampled_from(("yes", "no")),
        st.integers(1, 99),
        st.integers(1, 10),
    ),
    max_size=30,
)


@given(steps=steps)
def test_books_balance_and_limits_hold_whatever_happens(steps):
    """After every step: cash and positions are as posted, and the worst that may come is allowed."""
    books = Portfolio(account(risk=RISK), 100 * USD_E6)
    flying: list[Accepted] = []
    at_us = OPEN_US
    for what, ticker, side, cents, tenths in steps:
        at_us += SECOND_US
        if what == "enter":
            made = books.decide(wish(ticker, side, cents, tenths, at_us), facts(ticker), at_us)
            flying += [made] if isinstance(made, Accepted) else []
        elif what == "leave":
            for trade in [one for one in books.trades if one.open_qty_e2][:1]:
                wanted = leaving(trade, cents, at_us)
                made = books.decide(wanted, facts(trade.market_ticker), at_us)
                flying += [made] if isinstance(made, Accepted) else []
        elif what == "arrive" and flying:
            made = flying.pop(0)
            books.book(made.order, filled(made, tenths, at_us), at_us)
        # A market is settled after its close, and at the close the exchange has ended every order.
        elif what == "settle" and all(one.order.market_ticker != ticker for one in flying):
            books.settle(ticker, side, 10_000 if side == "yes" else 0, at_us)
        books.check()
        at_stake = sum(held.cost_usd_e6 for held in books.holdings.values())
        at_stake += sum(made.order.reserved_usd_e6 for made in flying)
        assert at_stake <= RISK["maxCostTotalDollars"] * USD_E6
        assert books.cash_usd_e6 >= 0
        assert sum(trade.state not in FINAL for trade in books.trades) <= RISK["maxOpenTrades"]
    earned = sum(trade.pnl_usd_e6 or 0 for trade in books.trades if trade.state in FINAL)
    if not flying and all(trade.state in FINAL for trade in books.trades):
        assert books.cash_usd_e6 == 100 * USD_E6 + earned


def test_what_is_being_sold_cannot_be_sold_again():
    """Two exits at once ask for no more than is held."""
    books = Portfolio(account(risk=RISK), 100 * USD_E6)
    made = books.decide(wish(TICKERS[0], "yes", 50, 10, OPEN_US), facts(TICKERS[0]), OPEN_US)
    assert isinstance(made, Accepted)
    trade = books.book(made.order, filled(made, 10, OPEN_US), OPEN_US)
    first = books.decide(leaving(trade, 40, OPEN_US + 1), facts(TICKERS[0]), OPEN_US + 1)
    second = books.decide(leaving(trade, 40, OPEN_US + 2), facts(TICKERS[0]), OPEN_US + 2)
    assert isinstance(first, Accepted)
    assert first.order.book_side is BookSide.ASK
    assert not isinstance(second, Accepted)
    assert "nothing left to sell" in second[0]


def test_an_exit_of_a_trade_that_is_not_there_is_refused():
    """The gate names what it does not know."""
    books = Portfolio(account(risk=RISK), 100 * USD_E6)
    made = books.decide(wish(TICKERS[0], "yes", 50, 10, OPEN_US), facts(TICKERS[0]), OPEN_US)
    assert isinstance(made, Accepted)
    trade = books.book(made.order, filled(made, 10, OPEN_US), OPEN_US)
    other = leaving(trade, 40, OPEN_US)
    gone = Intent(
        **{**{f: getattr(other, f) for f in other.__struct_fields__}, "trade_id": UUID(int=9)}
    )
    refused = books.decide(gone, facts(TICKERS[0]), OPEN_US)
    assert not isinstance(refused, Accepted)
    assert "no trade" in refused[0]
