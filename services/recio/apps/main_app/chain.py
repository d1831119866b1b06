"""The chain of one trade: from the picture it was decided on to its settlement in the ledger.

Each step is a row as it stands, in time order, with a ``step`` that names it: decision, intent,
order, order_event, fill, settlement, ledger, audit.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import msgspec

from recio.apps.main_app import reads
from recio.ports import Transaction

_STEPS: Final = (
    (
        "intent",
        """intent_id, purpose, source, side, qty_e2, limit_price_e4, at, valid_until,
        snapshot_generation, decision_id, p_e6, edge_e4, symbol_price_usd_e6, momentum_bucket,
        price_at, book_at, reason, state, refusal, changed_at""",
        """FROM trading.intents
        WHERE trade_id = %s
           OR intent_id IN (SELECT intent_id FROM trading.orders WHERE trade_id = %s)""",
    ),
    (
        "order",
        """order_id, intent_id, attempt, purpose, book_side, yes_price_e4, qty_e2, time_in_force,
        is_reduce_only, state, exchange_order_id, filled_qty_e2, reserved_usd_e6, reason,
        created_at, changed_at""",
        "FROM trading.orders WHERE trade_id = %s",
    ),
    (
        "order_event",
        "order_id, seq, kind, at, wall_at, body",
        """FROM trading.order_events
        WHERE order_id IN (SELECT order_id FROM trading.orders WHERE trade_id = %s)""",
    ),
    (
        "fill",
        """fill_id, exchange_order_id, order_id, book_side, yes_price_e4, qty_e2, fee_usd_e6,
        is_taker, at, seen_at""",
        "FROM trading.fills WHERE trade_id = %s",
    ),
    (
        "settlement",
        """s.market_ticker, s.result, s.yes_qty_e2, s.no_qty_e2, s.revenue_usd_e6, s.fee_usd_e6,
        s.settled_at, s.seen_at""",
        """FROM trading.settlements s JOIN trading.trades t USING (account, market_ticker)
        WHERE t.trade_id = %s""",
    ),
    (
        "ledger",
        "l.kind, l.fact_id, p.line, p.book, p.market_ticker, p.amount_usd_e6, l.at, l.seen_at",
        """FROM trading.trades t
        JOIN trading.ledger_transactions l ON l.account = t.account AND (
            l.kind = 'fill'
            AND l.fact_id IN (SELECT fill_id FROM trading.fills WHERE trade_id = t.trade_id)
            OR l.kind = 'settlement' AND l.fact_id = t.market_ticker)
        JOIN trading.ledger_postings p USING (transaction_id)
        WHERE t.trade_id = %s""",
    ),
    (
        "audit",
        "subject, subject_id, version, old_state, new_state, note, author, at",
        "FROM trading.audit WHERE subject = 'trades' AND subject_id = %s::text",
    ),
)
_ORDER: Final = (
    "decision",
    "intent",
    "order",
    "order_event",
    "audit",
    "fill",
    "settlement",
    "ledger",
)


async def trace(tx: Transaction, trade_id: UUID) -> dict[str, Any] | None:
    """Return the trade and the steps of its life in time order, or None: there is no such trade."""
    trade = await reads.trade(tx, trade_id)
    if trade is None:
        return None
    steps: list[dict[str, Any]] = []
    for name, columns, tail in _STEPS:
        params = (trade_id,) * tail.count("%s")
        rows = await reads.fetch(tx, columns, tail, *params)
        steps += [{"step": name, **row} for row in rows]
    steps += await _decisions(tx, trade["account"], steps)
    steps.sort(key=lambda step: (_at(step), _ORDER.index(step["step"])))
    return {"trade": trade, "steps": steps}


async def _decisions(
    tx: Transaction, account: str, steps: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    wanted = [step["decision_id"] for step in steps if step.get("decision_id")]
    found = await reads.fetch(
        tx,
        "decision_id, kind, event_ticker, generation, at, body",
        "FROM trading.decisions WHERE account = %s AND decision_id = ANY(%s::uuid[])",
        account,
        wanted,
    )
    return [{**row, "step": "decision", "body": _unpacked(row["body"])} for row in found]


def _unpacked(body: bytes) -> Any:  # noqa: ANN401 (a decision's record is its engine's business)
    try:
        return msgspec.msgpack.decode(body)
    except msgspec.DecodeError:
        return None


def _at(step: dict[str, Any]) -> int:
    for name in ("at_us", "created_at_us", "settled_at_us"):
        if name in step:
            return int(step[name])
    return 0
