"""Blocks say exactly what was put in, whatever the order of small delays, and cannot be changed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain.errors import InvalidValue
from recio.research.history import blocks
from recio.research.history.blocks import Blocks, unpack

START_US = 1_778_677_183_000_000
TICKER = "KXBTC15M-26MAY130900-00"
entries = st.lists(
    st.tuples(
        st.integers(0, 40 * 60 * 1_000_000), st.integers(0, 9999), st.integers(-(10**9), 10**9)
    ),
    min_size=1,
    max_size=60,
)


def packed(rows):
    """Return the blocks of rows (time, …) of one market."""
    made, done = Blocks("trades"), []
    for at_us, *values in rows:
        current, full, _ = made.at("BTC", TICKER, at_us)
        done += [full] if full is not None else []
        current.add(at_us, tuple(values))
    return [*done, *made.finish()]


def read(made):
    """Return the rows of blocks."""
    rows = []
    for block in made:
        times, columns, _ = unpack(block.body, block.digest, first_us=block.first_us)
        rows += list(zip(times, *columns, strict=True))
    return rows


@given(entries)
def test_what_goes_in_comes_out_in_order_of_time(rows):
    """Equal moments keep their order."""
    rows = sorted(((START_US + at, price, qty) for at, price, qty in rows), key=lambda row: row[0])
    made = packed(rows)
    assert read(made) == rows
    assert all(a.last_us < b.first_us for a, b in pairwise(made))
    assert sum(block.count for block in made) == len(rows)


def test_a_block_is_full_after_so_many_entries_but_never_within_one_moment(monkeypatch):
    """Two blocks of a market must not touch."""
    monkeypatch.setattr(blocks, "ENTRIES_MOST", 3)
    rows = [(START_US + at, n, 1) for n, at in enumerate([0, 1, 1, 1, 1, 2, 3])]
    assert [block.count for block in packed(rows)] == [5, 2]


def test_a_small_delay_inside_a_block_is_put_in_order():
    """The exchange's lists of trades are not quite sorted."""
    rows = [(START_US, 1, 1), (START_US + 5, 2, 1), (START_US + 3, 3, 1)]
    assert [row[1] for row in read(packed(rows))] == [1, 3, 2]


def test_only_so_many_markets_are_open_at_once(monkeypatch):
    """The one that was quiet longest is closed: memory stays flat."""
    monkeypatch.setattr(blocks, "OPEN_MOST", 2)
    made = Blocks("trades")
    done = []
    for n, ticker in enumerate(["A", "B", "A", "C"]):
        current, full, _ = made.at("BTC", ticker, START_US + n)
        done += [full.ticker] if full is not None else []
        current.add(START_US + n, (1,))
    assert done == ["B"]
    assert sorted(block.ticker for block in made.finish()) == ["A", "C"]


def test_the_same_rows_are_the_same_block():
    """The digest is that of what it says."""
    rows = [(START_US, 1, 1), (START_US + 5, 2, 1)]
    assert packed(rows) == packed(rows)
    assert packed(rows)[0].digest != packed([*rows[:1], (START_US + 5, 2, 2)])[0].digest


def test_a_block_that_was_changed_is_refused():
    """Its digest tells."""
    block, other = packed([(START_US, 1, 1)])[0], packed([(START_US, 1, 2)])[0]
    with pytest.raises(InvalidValue, match="digest differs"):
        unpack(other.body, block.digest, first_us=START_US)
    with pytest.raises(InvalidValue, match="damaged"):
        unpack(block.body[:-3], block.digest, first_us=START_US)
    with pytest.raises(InvalidValue, match="format 1"):
        unpack(block.body, block.digest, first_us=START_US, format_=2)
