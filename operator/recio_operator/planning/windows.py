"""Rollout windows: whether one is open, and when the next one opens, in their own time zones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from recio.domain.account_config import Day, RolloutWindow

_DAYS: Final = tuple(Day)
_LOOK_BACK_DAYS: Final = 1
"""The longest window lasts 12 hours, so the one that is open began yesterday at the earliest."""
_LOOK_AHEAD_DAYS: Final = 8


def is_open(windows: Iterable[RolloutWindow], now_us: int) -> bool:
    """Return whether any of the windows is open; without windows every time is good."""
    windows = tuple(windows)
    now = _moment(now_us)
    return not windows or any(start <= now < end for start, end in _spans(windows, now))


def seconds_to_opening(windows: Iterable[RolloutWindow], now_us: int) -> float | None:
    """Return how long until the next window opens; None without windows."""
    now = _moment(now_us)
    starts = [start for start, _ in _spans(windows, now) if start > now]
    return (min(starts) - now).total_seconds() if starts else None


def _moment(now_us: int) -> datetime:
    return datetime.fromtimestamp(now_us // 1_000_000, UTC)


def _spans(windows: Iterable[RolloutWindow], now: datetime) -> Iterator[tuple[datetime, datetime]]:
    for window in windows:
        zone = ZoneInfo(window.time_zone)
        today = now.astimezone(zone).date()
        for offset in range(-_LOOK_BACK_DAYS, _LOOK_AHEAD_DAYS):
            day = today + timedelta(days=offset)
            if window.days and _DAYS[day.weekday()] not in window.days:
                continue
            local = datetime.combine(day, time.fromisoformat(window.start_time), zone)
            start = local.astimezone(UTC)
            yield start, start + timedelta(minutes=window.duration_minutes)
