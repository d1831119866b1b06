"""Rollout windows in their own time zones."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from recio.domain.account_config import Day, RolloutWindow
from recio_operator.planning.windows import is_open, seconds_to_opening


def at(text: str) -> int:
    """Return a moment in UTC as microseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def window(**fields) -> RolloutWindow:
    """Return a window of two hours from 23:00 in New York."""
    values = {"start_time": "23:00", "duration_minutes": 120, "time_zone": "America/New_York"}
    return RolloutWindow(**(values | fields))


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-07-01T02:59:59", False),
        ("2026-07-01T03:00:00", True),  # 23:00 in New York, summer
        ("2026-07-01T04:59:59", True),
        ("2026-07-01T05:00:00", False),
        ("2026-12-01T03:30:00", False),
        ("2026-12-01T04:00:00", True),  # 23:00 in New York, winter
        ("2026-12-01T05:30:00", True),
    ],
)
def test_a_window_follows_daylight_saving(moment, expected):
    """The hour of the zone counts, and a window may pass midnight."""
    assert is_open([window()], at(moment)) is expected


def test_a_window_of_a_day_may_end_on_the_next():
    """Sunday's window is open on Monday at half past midnight."""
    sunday = window(days=(Day.SUNDAY,))

    assert is_open([sunday], at("2026-11-23T05:30:00"))
    assert not is_open([sunday], at("2026-11-22T05:30:00"))


def test_without_windows_every_time_is_good():
    """None means any time."""
    assert is_open([], at("2026-11-23T05:30:00"))
    assert seconds_to_opening([], at("2026-11-23T05:30:00")) is None


def test_the_next_opening_is_the_nearest_of_all():
    """Of several windows the one that opens first counts."""
    monday, friday = window(days=(Day.MONDAY,)), window(days=(Day.FRIDAY,), start_time="01:00")

    seconds = seconds_to_opening([monday, friday], at("2026-11-24T12:00:00"))

    assert seconds == (at("2026-11-27T06:00:00") - at("2026-11-24T12:00:00")) / 1e6


@pytest.mark.parametrize("day", list(Day))
def test_every_day_has_a_next_opening(day):
    """A window of one day of the week opens within a week, just missed or not."""
    for hour in range(24):
        seconds = seconds_to_opening([window(days=(day,))], at(f"2026-11-24T{hour:02}:30:00"))
        assert seconds is not None
        assert 0 < seconds <= 7 * 86_400


def test_an_hour_that_the_clock_skips_is_no_crash():
    """02:30 does not exist on the day of the change; the window opens at the next hour's half."""
    skipped = window(start_time="02:30", duration_minutes=30)

    assert is_open([skipped], at("2026-03-08T07:45:00"))
