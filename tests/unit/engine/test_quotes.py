"""Conflation of the tops of one event's books."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recio.domain.book import OrderBook
from recio.engine.quotes import EventQuotes

NOW = 1_780_000_000_000_000
LEAST, FULL = 100_000, 1_000_000


def books(*tickers):
    """Return valid books."""
    made = {ticker: OrderBook(ticker) for ticker in tickers}
    for book in made.values():
        book.load([(4500, 100)], [(5400, 100)], seq=1, at_us=NOW)
    return made


def quotes():
    """Return the tops of an event."""
    return EventQuotes("paper", "E", least_us=LEAST, full_us=FULL)


def test_the_first_update_holds_all_then_only_changes():
    """Who comes late waits a second at most."""
    own, held = quotes(), books("A", "B")
    first = own.update(held, {"A": 7}, NOW, heard_us=NOW)
    assert first.is_full
    assert [(quote.ticker, quote.volume_e2) for quote in first.quotes] == [("A", 7), ("B", None)]
    assert own.update(held, {}, NOW + LEAST, heard_us=NOW) is None
    assert own.touch("B")
    assert not own.touch("B")
    second = own.update(held, {}, NOW + LEAST, heard_us=NOW + 5)
    assert not second.is_full
    assert [quote.ticker for quote in second.quotes] == ["B"]
    assert (second.at_us, second.seen_us) == (NOW + 5, NOW + LEAST)


def test_changes_wait_for_their_turn_and_are_told_once():
    """As the top is then, not as it was."""
    own, held = quotes(), books("A")
    own.update(held, {}, NOW, heard_us=NOW)
    own.touch("A")
    held["A"].apply(held["A"].yes, 4600, 100, 2, NOW)
    assert own.update(held, {}, NOW + LEAST - 1, heard_us=NOW) is None
    assert own.due_us() == NOW + LEAST
    held["A"].apply(held["A"].yes, 4600, 200, 3, NOW)
    update = own.update(held, {}, NOW + LEAST, heard_us=NOW)
    assert [(quote.yes_bid_e4, quote.yes_bid_qty_e2) for quote in update.quotes] == [(4600, 300)]
    assert own.due_us() == NOW + FULL


def test_a_full_update_can_be_forced():
    """A lost connection is told at once, with every book invalid."""
    own, held = quotes(), books("A", "B")
    own.update(held, {}, NOW, heard_us=NOW)
    for book in held.values():
        book.invalidate("cut")
    update = own.update(held, {}, NOW + 1, heard_us=NOW, is_full=True)
    assert [quote.is_valid for quote in update.quotes] == [False, False]


def test_a_book_that_is_gone_is_left_out():
    """Its market was taken away."""
    own = quotes()
    own.update(books("A"), {}, NOW, heard_us=NOW)
    own.touch("B")
    assert own.update(books("A"), {}, NOW + LEAST, heard_us=NOW).quotes == ()


@given(st.lists(st.tuples(st.integers(0, 300_000), st.sampled_from("AB")), max_size=50))
def test_no_change_is_lost_and_the_pace_is_kept(steps):
    """Every change is in an update not later than its due time; updates keep their distance."""
    own, held = quotes(), books("A", "B")
    now_us, told, waiting = NOW, [NOW], set()
    own.update(held, {}, now_us, heard_us=now_us)
    for wait_us, ticker in steps:
        now_us += wait_us
        own.touch(ticker)
        waiting.add(ticker)
        update = own.update(held, {}, max(now_us, own.due_us()), heard_us=now_us)
        now_us = max(now_us, told[-1] + LEAST)
        assert update is not None
        assert waiting <= {quote.ticker for quote in update.quotes}
        assert update.seen_us - told[-1] >= LEAST
        told.append(update.seen_us)
        waiting.clear()
