"""Statements that bring a stage of history rows into their table, one shape a table.

Times lie in the stage as microseconds: adding them to the epoch is exact (they are far below 2^53).
"""

from __future__ import annotations

from typing import Final

import msgspec


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One table: the stage before it, and the statements from there."""

    stage: str
    columns: str
    contradictions: str
    insert: str


SHAPES: Final = {
    "minutes": Shape(
        stage="history_stage_minutes",
        columns="feed smallint, at_us bigint, o bigint, h bigint, l bigint, c bigint, v bigint",
        contradictions="SELECT count(*), min(t.at) FROM history_stage_minutes s"
        " JOIN market.history_minutes t ON t.feed = s.feed AND t.at = timestamptz 'epoch' + s.at_us * interval '1 us'"
        " WHERE (t.open_usd_e6, t.high_usd_e6, t.low_usd_e6, t.close_usd_e6, t.volume_e8)"
        " IS DISTINCT FROM (s.o, s.h, s.l, s.c, s.v)",
        insert="INSERT INTO market.history_minutes (feed, at, open_usd_e6, high_usd_e6, low_usd_e6,"
        " close_usd_e6, volume_e8, import) SELECT feed, timestamptz 'epoch' + s.at_us * interval '1 us', o, h, l, c, v, %s"
        " FROM history_stage_minutes s ON CONFLICT DO NOTHING",
    ),
    "seconds": Shape(
        stage="history_stage_seconds",
        columns="feed smallint, at_us bigint, p bigint",
        contradictions="SELECT count(*), min(t.at) FROM history_stage_seconds s"
        " JOIN market.history_seconds t ON t.feed = s.feed AND t.at = timestamptz 'epoch' + s.at_us * interval '1 us'"
        " WHERE t.price_usd_e6 <> s.p",
        insert="INSERT INTO market.history_seconds (feed, at, price_usd_e6, import)"
        " SELECT feed, timestamptz 'epoch' + s.at_us * interval '1 us', p, %s FROM history_stage_seconds s"
        " ON CONFLICT DO NOTHING",
    ),
    "markets": Shape(
        stage="history_stage_markets",
        columns="feed smallint, close_us bigint, ticker text, strike bigint, value bigint,"
        " settled_us bigint, result text",
        contradictions="WITH wrong AS (DELETE FROM history_stage_markets s USING market.history_markets t"
        " WHERE t.feed = s.feed AND t.ticker = s.ticker AND t.close_at = timestamptz 'epoch' + s.close_us * interval '1 us'"
        " AND (t.strike_usd_e6 <> s.strike OR t.value_usd_e6 <> s.value OR t.result <> s.result"
        " OR t.settled_at <> timestamptz 'epoch' + s.settled_us * interval '1 us') RETURNING t.close_at)"
        " SELECT count(*), min(close_at) FROM wrong",
        insert="INSERT INTO market.history_markets AS t (feed, close_at, ticker, strike_usd_e6,"
        " value_usd_e6, settled_at, result, import)"
        " SELECT DISTINCT ON (feed, close_us, ticker) feed, timestamptz 'epoch' + s.close_us * interval '1 us', ticker, strike,"
        " value, timestamptz 'epoch' + s.settled_us * interval '1 us', result, %s FROM history_stage_markets s"
        " ON CONFLICT (feed, close_at, ticker) DO UPDATE SET"
        " strike_usd_e6 = coalesce(t.strike_usd_e6, excluded.strike_usd_e6),"
        " value_usd_e6 = coalesce(t.value_usd_e6, excluded.value_usd_e6),"
        " settled_at = coalesce(t.settled_at, excluded.settled_at),"
        " result = coalesce(t.result, excluded.result)"
        " WHERE (t.strike_usd_e6 IS NULL AND excluded.strike_usd_e6 IS NOT NULL)"
        " OR (t.value_usd_e6 IS NULL AND excluded.value_usd_e6 IS NOT NULL)"
        " OR (t.settled_at IS NULL AND excluded.settled_at IS NOT NULL)"
        " OR (t.result IS NULL AND excluded.result IS NOT NULL)",
    ),
}
