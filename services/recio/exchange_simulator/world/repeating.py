"""Recorded minutes that never end: after the last one the same whole weeks come again.

An exchange that runs for months outlives every recording. Weeks keep what belongs to an hour of a
day of the week. At the seam the price jumps, as it would over a gap; what is drawn within a minute
belongs to its own time, so no two passes are alike second by second.
"""

from __future__ import annotations

from typing import Final

from recio.data.minutes import Minutes, Ohlc
from recio.domain.errors import InvalidValue

WEEK_S: Final = 7 * 86_400
NEVER_S: Final = 1 << 40
"""Later than any time that anybody asks for."""


class RepeatedMinutes:
    """Minutes as ``Minutes`` gives them, without an end.

    Raises:
        InvalidValue: the recording is shorter than a week.
    """

    def __init__(self, recorded: Minutes) -> None:
        self.symbol = recorded.symbol
        self.start_s, self.end_s = recorded.start_s, NEVER_S
        self._recorded = recorded
        self._period_s = (recorded.end_s - recorded.start_s) // WEEK_S * WEEK_S
        if not self._period_s:
            raise InvalidValue("expected a recording of at least a week")

    def at(self, minute_s: int) -> Ohlc | None:
        """Return (open, high, low, close) in cents of the minute that opens at ``minute_s``."""
        beyond_s = minute_s - self._recorded.end_s
        if beyond_s >= 0:
            minute_s -= (beyond_s // self._period_s + 1) * self._period_s
        return self._recorded.at(minute_s)
