"""The published move tables: calibration cells by value, interpolation, and refusals."""

from __future__ import annotations

import json
from array import array
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio import data
from recio.domain.errors import InvalidValue
from recio.domain.fingerprints import DOWN, UP, Fingerprints


@lru_cache(maxsize=2)
def published(name="btc_2025-07-20"):
    """Return a published artefact."""
    return Fingerprints(data.fingerprints_bytes(name))


def small(shares=(9000, 9000, 4000, 4000, 100, 100), **changes):
    """Return a tiny artefact: two minutes, thresholds 0, 5, 10."""
    header = {
        "symbol": "BTC",
        "name": "small",
        "buckets": ["baseline", 0],
        "ttc_minutes": [1, 2],
        "thresholds_bp": [0, 5, 10],
    } | changes
    body = array("H", list(shares) * 4).tobytes()
    return json.dumps(header).encode() + b"\n" + body


@pytest.mark.parametrize(
    ("bucket", "minute", "threshold_bp", "up", "down"),
    [
        (0, 5, 10, 1117, 1094), (0, 15, 25, 623, 605), (0, 15, 50, 138, 141),
        (-30, 5, 10, 3980, 3299), (-30, 15, 25, 3153, 2486), (-30, 15, 50, 1497, 1405),
        (30, 5, 10, 3308, 3661), (30, 15, 25, 2652, 2763), (30, 15, 50, 1417, 1239),
        (-10, 5, 10, 2526, 2152), (-10, 15, 25, 1565, 1466), (-10, 15, 50, 407, 507),
        (10, 5, 10, 2216, 2355), (10, 15, 25, 1507, 1503), (10, 15, 50, 495, 411),
    ],
)  # fmt: skip
def test_calibration_cells_by_value(bucket, minute, threshold_bp, up, down):
    """The published percentages of the tables of July 2025, in 0.01 points."""
    prints = published()

    assert prints.cell(bucket, minute, threshold_bp, UP) == up
    assert prints.cell(bucket, minute, threshold_bp, DOWN) == down


def test_grid_points_come_back_from_the_curve():
    """On the grid nothing is interpolated."""
    curve = published().curve(-30, 15 * 60)

    assert curve.share(0.25, UP) == pytest.approx(3153)
    assert curve.share(0.25, DOWN) == pytest.approx(2486)


def test_between_grid_points_the_share_is_interpolated():
    """Bilinear in minutes and percent."""
    prints = published()
    corners = [prints.cell(0, m, t, UP) for m in (5, 6) for t in (10, 15)]

    assert prints.curve(0, 330).share(0.125, UP) == pytest.approx(sum(corners) / 4)


def test_the_missing_threshold_is_interpolated():
    """1.70 % is not published: the middle of 1.65 and 1.75."""
    prints = published()

    assert prints.cell(-30, 60, 170, UP) == pytest.approx(
        (prints.cell(-30, 60, 165, UP) + prints.cell(-30, 60, 175, UP)) / 2, abs=1
    )


def test_unchanged_prices_are_split_between_both_directions():
    """At threshold zero up and down add to one, so that P(YES) has no step at the price."""
    prints = published()
    for bucket in range(-30, 31):
        for minute in (1, 15, 60):
            assert (
                prints.cell(bucket, minute, 0, UP) + prints.cell(bucket, minute, 0, DOWN) == 10_000
            )


def test_outside_of_the_grid():
    """Moves beyond 2 % keep the last share, short times are scaled, long ones are unknown."""
    prints = published()

    assert prints.curve(0, 600).share(5.0, UP) == prints.curve(0, 600).share(2.0, UP)
    assert prints.curve(0, 15).share(0.1, UP) == pytest.approx(prints.curve(0, 60).share(0.2, UP))
    assert prints.curve(0, 3600) is not None
    assert prints.curve(0, 3600.1) is None
    assert prints.curve(0, 0) is None
    assert prints.curve(99, 600).share(0.3, UP) == prints.curve(30, 600).share(0.3, UP)


def test_a_missing_bucket_is_the_nearest_there_is():
    """A table that has only bucket 0 answers for all."""
    prints = Fingerprints(small())

    assert prints.cell(30, 1, 5, UP) == prints.cell(0, 1, 5, UP) == 4000


def test_nothing_is_impossible():
    """A share of zero in the table is taken as half of its resolution."""
    assert published().curve(0, 60).share(2.0, UP) == 0.5


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json\n",
        small()[:-2],
        small(thresholds_bp=[5, 10, 15]),
        small(thresholds_bp=[0, 5, 7]),
        small(thresholds_bp=[0]),
        small(ttc_minutes=[1, 3]),
        small(buckets=["baseline", "other"]),
        small(shares=(9000, 9000, 4000, 4000, 4001, 100)),
        small(shares=(10_001, 9000, 4000, 4000, 100, 100)),
    ],
)
def test_what_is_no_artefact_is_refused(content):
    """Short, misordered, rising or impossible tables are refused when loading."""
    with pytest.raises(InvalidValue):
        Fingerprints(content)


@given(
    st.integers(-30, 30),
    st.floats(1, 3600),
    st.lists(st.floats(0, 3), min_size=2, max_size=8),
    st.sampled_from([UP, DOWN]),
)
def test_shares_do_not_rise_with_the_move(bucket, seconds, moves, direction):
    """A larger move is never more likely."""
    curve = published().curve(bucket, seconds)
    shares = [curve.share(move, direction) for move in sorted(moves)]

    assert shares == sorted(shares, reverse=True)
    assert all(0 < share < 10_000 for share in shares)
