"""One-second prices: only seconds that had a trade."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.data import seconds
from recio.domain.errors import Broken, InvalidValue


@given(st.dictionaries(st.integers(0, 10**10), st.integers(1, 10**8), min_size=1))
def test_seconds_come_back(values: dict[int, int]) -> None:
    """What was recorded comes back, nothing else."""
    assert seconds.decode(seconds.encode("BTC", "a test", sorted(values.items()))) == values


def test_disorder_is_refused() -> None:
    """Seconds ascend, and there are some."""
    for rows in ([], [(2, 1), (1, 1)], [(1, 1), (1, 2)]):
        with pytest.raises(InvalidValue):
            seconds.encode("BTC", "a test", rows)


def test_columns_of_different_length_are_broken() -> None:
    """A second without a price is damage."""
    document = msgspec.json.decode(seconds.encode("BTC", "a test", [(1, 1), (2, 2)]))
    document["prices"].pop()
    with pytest.raises(Broken):
        seconds.decode(msgspec.json.encode(document))


def test_recorded_seconds_have_their_gaps() -> None:
    """Coinbase around the recorded market: nothing between 12:48:55 and 12:59:41."""
    found = seconds.load("btc_seconds_2026-05-13T12")
    switched_on = 1_778_677_181
    assert switched_on in found
    assert not [s for s in found if switched_on - 600 <= s < switched_on]
    assert all(7_900_000 < price < 8_100_000 for price in found.values())
