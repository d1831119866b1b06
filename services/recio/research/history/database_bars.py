"""Minutes of the history as bars for tapes with made-up seconds: years of them, read day by day.

    MinutesTape("database:…", DatabaseBars(dsn, "BTC", "binance"), Plan(series="KXBTCD", …))

Bars are in whole cents and named by their opening, as tapes have them; finer prices are rounded. A
minute in which nothing was traded is left out and counted, as from files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Final

from recio.adapters.postgres import history_read
from recio.adapters.postgres.history_read import Connection, Stretch
from recio.domain.errors import InvalidValue
from recio.domain.units import CENT_E6, MINUTE_US, SECOND_US
from recio.research.tapes.bars import Bar
from recio.research.tapes.tally import Tally

_STEP_US: Final = 7 * 86_400 * SECOND_US


class DatabaseBars:
    """One symbol's minutes from one source; ``source`` may be left out where there is only one."""

    def __init__(self, dsn: str, symbol: str, source: str = "") -> None:
        self._dsn = dsn
        self._symbol = symbol
        self._source = source

    def read(self, since_s: int, until_s: int, tally: Tally) -> Iterator[Bar]:
        """Yield the bars that open in a period, ascending.

        Raises:
            InvalidValue: there are none, or those of several sources.
        """
        with closing(history_read.opened(self._dsn)) as connection:
            stretch = self._bounded(connection, since_s * SECOND_US, until_s * SECOND_US)
            for from_us in range(stretch.since_us, stretch.until_us, _STEP_US):
                week = Stretch(
                    symbol=stretch.symbol,
                    source=stretch.source,
                    since_us=from_us,
                    until_us=min(from_us + _STEP_US, stretch.until_us),
                )
                for end_us, *prices, volume_e8 in history_read.listed(connection, "minutes", week):
                    if volume_e8 == 0:
                        tally.refuse("minute in which nothing was traded")
                        continue
                    tally.rows += 1
                    yield Bar((end_us - MINUTE_US) // SECOND_US, *map(_cents, prices))

    def _bounded(self, connection: Connection, since_us: int, until_us: int) -> Stretch:
        held = [
            one
            for one in history_read.held(connection)
            if one.kind == "minutes"
            and one.symbol == self._symbol
            and self._source in {"", one.source}
        ]
        if len(held) != 1:
            names = ", ".join(one.source for one in held) or "nobody"
            raise InvalidValue(
                f"expected minutes of {self._symbol} from one source, there are those of {names}"
            )
        return Stretch(
            symbol=self._symbol,
            source=held[0].source,
            since_us=max(since_us, held[0].first_us - MINUTE_US),
            until_us=min(until_us, held[0].last_us),
        )


def _cents(usd_e6: int) -> int:
    return (2 * usd_e6 + CENT_E6) // (2 * CENT_E6)
