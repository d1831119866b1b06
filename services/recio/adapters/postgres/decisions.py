"""Decision records, the automation's indicator, durable stops, and what entries look back on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from recio.adapters.postgres.trades import event_trades, live_trades
from recio.domain.entry import Attempt, Key
from recio.domain.spike import SpikeState
from recio.domain.stop import StopState
from recio.domain.trades import Trade
from recio.domain.units import as_datetime, time_us
from recio.engine.automation import Show
from recio.engine.records import Record
from recio.ports import Transaction


class _Automation(msgspec.Struct, frozen=True, kw_only=True):
    """``trading.automation.body``. ``cooldown_seconds``: what is left if it is calm from ``at_us``."""

    reason: str
    event_ticker: str | None
    paused_until_us: int | None
    cooldown_seconds: int
    at_us: int
    spikes: dict[str, SpikeState]


async def write_records(tx: Transaction, records: Sequence[Record]) -> None:
    """Append decision records; the same decision is one row."""
    await tx.execute_many(
        "INSERT INTO trading.decisions "
        "(account, decision_id, kind, event_ticker, generation, at, body) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [
            (
                record.account,
                record.decision_id,
                record.kind,
                record.event_ticker,
                record.generation,
                as_datetime(record.at_us),
                record.body,
            )
            for record in records
        ],
    )


async def read_records(tx: Transaction, account: str, kind: str) -> list[Record]:
    """Return the account's decision records of a kind, as they were appended."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM trading.decisions "  # noqa: S608 - our own column list
        "WHERE account = %s AND kind = %s ORDER BY at, decision_id",
        account,
        kind,
    )
    return [_record(row) for row in rows]


async def page(
    tx: Transaction, account: str, after: tuple[int, UUID], *, until_us: int | None, most: int
) -> list[Record]:
    """Return the account's next records in order of time and id, beginning after a place."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM trading.decisions "  # noqa: S608 - our own column list
        "WHERE account = %s AND at >= %s AND (at, decision_id) > (%s, %s) "
        "AND (%s::timestamptz IS NULL OR at <= %s) ORDER BY at, decision_id LIMIT %s",
        account,
        as_datetime(after[0]),
        as_datetime(after[0]),
        after[1],
        None if until_us is None else as_datetime(until_us),
        None if until_us is None else as_datetime(until_us),
        most,
    )
    return [_record(row) for row in rows]


async def with_ids(tx: Transaction, ids: Sequence[UUID]) -> list[Record]:
    """Return the records with these ids, in order of time."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM trading.decisions "  # noqa: S608 - our own column list
        "WHERE decision_id = ANY(%s) ORDER BY at, decision_id",
        list(ids),
    )
    return [_record(row) for row in rows]


_COLUMNS: Final = "decision_id, account, kind, event_ticker, generation, at, body"


def _record(row: tuple[Any, ...]) -> Record:
    decision_id, account, kind, event_ticker, generation, at, body = row
    return Record(
        decision_id=decision_id,
        account=account,
        kind=kind,
        event_ticker=event_ticker,
        generation=generation,
        at_us=time_us(at),
        body=bytes(body),
    )


async def write_automation(
    tx: Transaction, account: str, show: Show, *, cooldown_seconds: int
) -> None:
    """Write the indicator and the spike state."""
    status = show.status
    body = _Automation(
        reason=status.reason,
        event_ticker=status.event_ticker,
        paused_until_us=status.paused_until_us,
        cooldown_seconds=cooldown_seconds,
        at_us=show.at_us,
        spikes=show.spikes,
    )
    await tx.execute(
        "INSERT INTO trading.automation (account, status, body, changed_at) "
        "VALUES (%s, %s, %s::jsonb, %s) ON CONFLICT (account) DO UPDATE SET "
        "status = excluded.status, body = excluded.body, changed_at = excluded.changed_at",
        account,
        status.status,
        msgspec.json.encode(body).decode(),
        as_datetime(show.at_us),
    )


async def read_spikes(tx: Transaction, account: str) -> dict[str, SpikeState]:
    """Return the spike state by symbol as it was last written."""
    row = await tx.fetch_one("SELECT body FROM trading.automation WHERE account = %s", account)
    return {} if row is None else msgspec.convert(row[0], _Automation).spikes


async def write_stop(
    tx: Transaction, account: str, trade_id: UUID, stop: StopState, *, at_us: int
) -> None:
    """Write one trade's stop."""
    await tx.execute(
        "INSERT INTO trading.stops AS held (account, trade_id, body, changed_at) "
        "VALUES (%s, %s, %s::jsonb, %s) ON CONFLICT (trade_id) DO UPDATE SET "
        "body = excluded.body, changed_at = excluded.changed_at "
        "WHERE held.changed_at <= excluded.changed_at",
        account,
        trade_id,
        msgspec.json.encode(stop).decode(),
        as_datetime(at_us),
    )


async def read_stops(tx: Transaction, account: str) -> dict[UUID, StopState]:
    """Return the stops of the account's trades that are not over."""
    rows = await tx.fetch(
        "SELECT s.trade_id, s.body FROM trading.stops s JOIN trading.trades t USING (trade_id) "
        "WHERE s.account = %s AND t.state NOT IN ('closed', 'settled', 'abandoned')",
        account,
    )
    return {trade_id: msgspec.convert(body, StopState) for trade_id, body in rows}


async def read_attempts(tx: Transaction, account: str, *, since_us: int) -> dict[Key, Attempt]:
    """Return the automatic entry wishes since then: count, newest, whether one waits for the gate."""
    rows = await tx.fetch(
        "SELECT market_ticker, side, count(*), max(at), bool_or(state = 'proposed') "
        "FROM trading.intents WHERE account = %s AND source = 'auto_entry' AND at >= %s "
        "GROUP BY market_ticker, side",
        account,
        as_datetime(since_us),
    )
    return {
        (market, str(side)): Attempt(int(count), time_us(newest), is_pending=bool(is_pending))
        for market, side, count, newest, is_pending in rows
    }


async def trades_for_entries(tx: Transaction, account: str, *, now_us: int) -> tuple[Trade, ...]:
    """Return the account's live trades and all trades, ended ones too, of events not closed yet."""
    rows = await tx.fetch(
        "SELECT DISTINCT event_ticker FROM trading.trades WHERE account = %s AND close_at > %s",
        account,
        as_datetime(now_us),
    )
    found = {trade.trade_id: trade for trade in await live_trades(tx, account)}
    if rows:
        for trade in await event_trades(tx, account, [row[0] for row in rows]):
            found[trade.trade_id] = trade
    return tuple(sorted(found.values(), key=lambda trade: trade.number))


async def cash_usd_e6(tx: Transaction, account: str) -> int | None:
    """Return the account's booked cash; None before the first reconciliation."""
    row = await tx.fetch_one("SELECT cash_usd_e6 FROM trading.totals WHERE account = %s", account)
    return None if row is None else int(row[0])
