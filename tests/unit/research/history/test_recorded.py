"""Trades, quotes and books as blocks."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fuzz.history import CSV, RECORDING

from recio.domain.errors import InvalidValue
from recio.research.history import books, recorded
from recio.research.history.blocks import KEPT_ON, LOADED, LOST, YES, Block, unpack
from recio.research.history.decoding import Reading
from recio.research.history.files import csv_table
from recio.research.history.kinds import KINDS, ROLES, plan_of
from recio.research.history.refusals import Refusals

READING = Reading(latest_us=1_800_000_000_000_000)
MARKET = "KXBTC15M-26APR271445-45"
READERS = {"trades": recorded.trades, "quotes": recorded.quotes}


def numbered(data):
    """Return lines with their numbers."""
    return iter(list(enumerate(data.splitlines(keepends=True), 1)))


def read(text):
    """Return (blocks, markets, refusals) of a CSV."""
    refusals = Refusals()
    table = csv_table(Path("f.csv"), numbered(text.encode()), refusals)
    plan = plan_of(table.columns)
    items = list(READERS[plan.kind](table, plan, READING, refusals))
    made = [item for item in items if isinstance(item, Block)]
    return made, [item for item in items if not isinstance(item, Block)], refusals


def columns(block):
    """Return the rows of a block."""
    times, others, _ = unpack(block.body, block.digest, first_us=block.first_us)
    return list(zip(times, *others, strict=True))


def trades(*rows, header="ticker,ts_ms,yes_price,count,taker"):
    """Return a CSV of trades."""
    return "\n".join([header, *(f"{MARKET},{row}" for row in rows), ""])


def test_two_equal_trades_of_one_moment_are_two_trades():
    """Without an id nobody can say otherwise."""
    made, _, refusals = read(trades("1777314601160,0.49,30,n", "1777314601160,0.49,30,n"))
    assert [row[1:] for row in columns(made[0])] == [(4900, 3000, 0)] * 2
    assert refusals.total == 0


def test_a_trade_with_an_id_comes_once():
    """Pages of a list overlap."""
    header = "ticker,ts_ms,yes_price,count,taker,trade_id"
    rows = [f"1777314601160,0.49,30,n,{name}" for name in "abab"]
    made, _, refusals = read(trades(*rows, header=header))
    assert made[0].count == 2
    assert refusals.counts == {"duplicate": 2}


def test_a_trade_a_moment_late_is_put_in_its_place_and_one_much_too_late_is_refused():
    """Ten seconds are what the exchange's own lists are off by at most."""
    made, _, refusals = read(
        trades(
            "1777314601000,0.49,1,n",
            "1777314602000,0.50,2,n",
            "1777314601500,0.51,3,y",
            "1777314640000,0.52,4,y",
            "1777314601600,0.53,5,y",
        )
    )
    assert [row[2] for row in columns(made[0])] == [100, 300, 200, 400]
    assert refusals.counts == {"out of order": 1}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1777314601160,0,30,n", "trade without price or count"),
        ("1777314601160,0.5,0,n", "trade without price or count"),
        ("1777314601160,1.5,3,n", "contract price outside of 0 to 1 dollar (read as dollars)"),
        ("1777314601160,0.5,3,maybe", "taker neither yes nor no"),
        ("1777314601160,0.5,-3,y", "count of contracts below 0 or absurd"),
    ],
)
def test_a_trade_that_cannot_be_is_named(row, reason):
    """And the next one is taken."""
    made, _, refusals = read(trades("1777314601000,0.49,1,n", row, "1777314609160,0.4,3,y"))
    assert made[0].count == 2
    assert refusals.counts == {reason: 1}


def test_trades_newest_first_are_refused_whole():
    """Their blocks would be, too; the message says what to do."""
    with pytest.raises(InvalidValue, match="newest first: turn it round"):
        read(trades("1777314605000,0.49,1,n", "1777314603000,0.5,2,n", "1777314601000,0.5,2,n"))


def test_quotes_know_an_empty_side_and_bring_strikes_along():
    """0 cents is no bid, a dollar is no ask; the strike is told once."""
    made, markets, refusals = read(CSV["quotes"].decode())
    assert [row[1:] for row in columns(made[0])] == [
        (8600, 8700, -1, -1, 9_572_500),
        (-1, -1, -1, -1, 9_572_500),
    ]
    assert [(market[2], market[3]) for market in markets] == [
        ("KXBTC15M-26FEB242330-30", 65_434_980_000)
    ]
    assert refusals.total == 0


def test_a_bid_above_the_ask_is_refused():
    """A quote of two different moments."""
    _, _, refusals = read(CSV["quotes"].decode().replace("86,87", "88,87"))
    assert refusals.counts == {"bid not below ask": 1}


def test_a_recording_becomes_whole_books_changes_and_the_end():
    """The strike comes along; after the last line the book is lost."""
    refusals = Refusals()
    items = list(books.blocks_of(numbered(RECORDING), refusals))
    markets = [item for item in items if not isinstance(item, Block)]
    book = next(item for item in items if isinstance(item, Block) and item.channel == "books")
    _, others, extra = unpack(book.body, book.digest, first_us=book.first_us)
    assert list(zip(*others, strict=True)) == [(LOADED, 0, 0), (YES, 9940, 1000), (LOST, 0, 0)]
    assert extra.books == [(((10, 100_200), (9940, 500)), ())]
    assert extra.reasons == ["the recording ended"]
    assert markets[0][2:4] == ("KXBTC15M-26MAY130900-00", 80_077_290_000)
    assert refusals.total == 0


def test_a_missing_change_loses_the_book_until_it_is_whole_again():
    """No data is better than wrong data: the gap is in the block, with its reason."""
    lines = RECORDING.splitlines(keepends=True)
    late = lines[2].replace(b'"seq":2', b'"seq":4')
    refusals = Refusals()
    items = list(books.blocks_of(enumerate([*lines[:2], late, late, *lines[1:]], 1), refusals))
    book = next(item for item in items if isinstance(item, Block) and item.channel == "books")
    _, others, extra = unpack(book.body, book.digest, first_us=book.first_us)
    assert others[0] == [LOADED, LOST, LOADED, YES, LOST]
    assert extra.reasons[0] == "gap in seq: expected 2, received 4"
    assert sum(refusals.counts.values()) == 2


def test_a_new_block_of_a_book_begins_with_the_whole_book(monkeypatch):
    """Each block can be read alone."""
    monkeypatch.setattr("recio.research.history.blocks.ENTRIES_MOST", 2)
    lines = RECORDING.splitlines(keepends=True)
    more = lines[2].replace(b'"seq":2', b'"seq":3').replace(b"43.873364", b"44.873364")
    items = list(books.blocks_of(enumerate([*lines[:3], more], 1), Refusals()))
    second = [item for item in items if isinstance(item, Block) and item.channel == "books"][1]
    _, others, extra = unpack(second.body, second.digest, first_us=second.first_us)
    assert others[0] == [LOADED, YES, LOST]
    assert others[1][0] == KEPT_ON
    assert extra.books == [(((10, 100_200), (9940, 1500)), ())]


@pytest.mark.parametrize("kind", sorted(CSV))
def test_a_kind_is_told_by_its_columns(kind):
    """Whatever else stands beside them."""
    columns = CSV[kind].decode().partition("\n")[0].split(",")
    assert plan_of(columns).kind == kind


def test_columns_that_fit_nothing_are_refused_with_what_is_known():
    """And a kind that was asked for says what it misses."""
    with pytest.raises(InvalidValue, match="fit none of: minutes"):
        plan_of(["a", "b"])
    with pytest.raises(InvalidValue, match=r"trades need columns for ticker .*, price"):
        plan_of(["ts", "count"], "trades")
    assert set(KINDS) - set(ROLES) == {"books"}
