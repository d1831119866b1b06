"""Intents in the database: proposed by automation and people, decided by the gate, never changed after.

The id is a function of the wish, so proposing the same wish again is no second row.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from recio.domain.intents import Intent, Purpose, Source
from recio.domain.units import as_datetime, time_us
from recio.ports import Query, Transaction

_COLUMNS: Final = (
    "intent_id, account, purpose, source, market_ticker, event_ticker, side, qty_e2, limit_price_e4, "
    "at, valid_until, trade_id, snapshot_generation, decision_id, p_e6, edge_e4, "
    "symbol_price_usd_e6, momentum_bucket, price_at, book_at, reason"
)
_PROPOSE: Final = (
    f"INSERT INTO trading.intents ({_COLUMNS}, state, changed_at) "  # noqa: S608 - our own column list
    f"VALUES ({', '.join(['%s'] * 21)}, 'proposed', %s) ON CONFLICT (intent_id) DO NOTHING"
)
_PROPOSED: Final = (
    f"SELECT {_COLUMNS} FROM trading.intents "  # noqa: S608 - our own column list
    "WHERE account = %s AND state = 'proposed' ORDER BY at, intent_id LIMIT 1"
)


async def propose(tx: Transaction, intent: Intent) -> bool:
    """Write an intent for the gate to decide; return False if this very wish stands there already."""
    at = as_datetime(intent.at_us)
    return bool(
        await tx.execute(
            _PROPOSE,
            intent.intent_id,
            intent.account,
            intent.purpose.value,
            intent.source.value,
            intent.market_ticker,
            intent.event_ticker,
            intent.side,
            intent.qty_e2,
            intent.limit_price_e4,
            at,
            as_datetime(intent.valid_until_us),
            intent.trade_id,
            intent.snapshot_generation,
            intent.decision_id,
            intent.p_e6,
            intent.edge_e4,
            intent.symbol_price_usd_e6,
            intent.momentum_bucket,
            _moment(intent.price_at_us),
            _moment(intent.book_at_us),
            intent.reason,
            at,
        )
    )


async def oldest_proposed(tx: Transaction, account: str) -> Intent | None:
    """Return the account's intent that has waited longest for the gate; None if none waits."""
    row = await tx.fetch_one(_PROPOSED, account)
    return None if row is None else _intent(row)


async def automatic(tx: Transaction, account: str) -> list[Intent]:
    """Return every intent of the account that no person made, in order of time."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM trading.intents "  # noqa: S608 - our own column list
        "WHERE account = %s AND source IN ('auto_entry', 'auto_stop', 'momentum_stop', 'flatten') "
        "ORDER BY at, intent_id",
        account,
    )
    return [_intent(row) for row in rows]


async def page(
    tx: Transaction, account: str, after: tuple[int, UUID], *, until_us: int | None, most: int
) -> list[Intent]:
    """Return the account's next automatic intents by time and id, beginning after a place."""
    until = _moment(until_us)
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM trading.intents "  # noqa: S608 - our own column list
        "WHERE account = %s AND source IN ('auto_entry', 'auto_stop', 'momentum_stop', 'flatten') "
        "AND at >= %s AND (at, intent_id) > (%s, %s) "
        "AND (%s::timestamptz IS NULL OR at <= %s) ORDER BY at, intent_id LIMIT %s",
        account,
        as_datetime(after[0]),
        as_datetime(after[0]),
        after[1],
        until,
        until,
        most,
    )
    return [_intent(row) for row in rows]


def waiting_query(intent_id: UUID) -> Query:
    """Return what gives a row if the intent still waits for the gate."""
    return Query(
        "SELECT 1 FROM trading.intents WHERE intent_id = %s AND state = 'proposed'", (intent_id,)
    )


async def decide(tx: Transaction, intent_id: UUID, *, refusal: str, at_us: int) -> None:
    """Record the gate's decision: accepted if ``refusal`` is empty, else refused with that reason."""
    state = "refused" if refusal else "accepted"
    await tx.execute_many(
        "UPDATE trading.intents SET state = %s, refusal = %s, changed_at = %s WHERE intent_id = %s",
        [(state, refusal, as_datetime(at_us), intent_id)],
    )


def _moment(at_us: int | None) -> object:
    return None if at_us is None else as_datetime(at_us)


def _intent(row: tuple[Any, ...]) -> Intent:
    (intent_id, account, purpose, source, market, event, side, qty_e2, price_e4, at, valid_until,
     trade_id, generation, decision_id, p_e6, edge_e4, symbol_price, bucket, price_at, book_at,
     reason) = row  # fmt: skip
    return Intent(
        intent_id=intent_id,
        account=account,
        purpose=Purpose(purpose),
        source=Source(source),
        market_ticker=market,
        event_ticker=event,
        side=side,
        qty_e2=qty_e2,
        limit_price_e4=price_e4,
        at_us=time_us(at),
        valid_until_us=time_us(valid_until),
        trade_id=trade_id,
        snapshot_generation=generation,
        decision_id=decision_id,
        p_e6=p_e6,
        edge_e4=edge_e4,
        symbol_price_usd_e6=symbol_price,
        momentum_bucket=bucket,
        price_at_us=None if price_at is None else time_us(price_at),
        book_at_us=None if book_at is None else time_us(book_at),
        reason=reason,
    )
