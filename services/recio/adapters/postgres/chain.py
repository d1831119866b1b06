"""The chain of one trade, from the tick it was decided on to its settlement, for people.

Given any id of the chain (trade, intent, order, fill, decision, or ``account#number``) it finds the
trade, or the intent that was refused, and tells every step in order of time with its inputs.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import msgspec

from recio.domain.units import time_us
from recio.ports import Transaction

_RANK: Final = {
    "decision": 0,
    "intent": 1,
    "audit": 2,
    "order event": 3,
    "fill": 4,
    "settlement": 5,
    "posting": 6,
}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step: when (market time), what kind, one line for a person, and all its fields."""

    at_us: int
    kind: str
    text: str
    fields: dict[str, Any]


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """All steps of one trade, or of one refused intent. ``pnl_usd_e6``: None while it is not final."""

    account: str
    trade_id: UUID | None
    intent_ids: tuple[UUID, ...]
    steps: tuple[Step, ...]
    pnl_usd_e6: int | None = None


async def chain(tx: Transaction, wanted: str) -> Chain | None:
    """Return the chain that an id belongs to; None if no row knows it."""
    trade_id, intent_id = await _find(tx, wanted)
    if trade_id is not None:
        intents = await _rows(tx, "intents", _INTENTS_OF_TRADE, trade_id, trade_id)
    elif intent_id is not None:
        intents = await _rows(tx, "intents", "intent_id = %s", intent_id)
    else:
        return None
    if not intents and trade_id is None:
        return None
    steps = [_intent_step(row) for row in intents]
    steps += await _decisions(tx, intents)
    subjects = [str(row["intent_id"]) for row in intents]
    account, pnl_usd_e6 = intents[0]["account"] if intents else "", None
    if trade_id is not None:
        trade, more, order_ids = await _trade_steps(tx, trade_id)
        account, pnl_usd_e6 = trade["account"], trade["pnl_usd_e6"]
        steps += more
        subjects += [str(trade_id), *order_ids]
    steps += await _audit(tx, subjects)
    return Chain(
        account=account,
        trade_id=trade_id,
        intent_ids=tuple(row["intent_id"] for row in intents),
        steps=tuple(sorted(steps, key=lambda step: (step.at_us, _RANK.get(step.kind, 9)))),
        pnl_usd_e6=pnl_usd_e6,
    )


_INTENTS_OF_TRADE: Final = (
    "trade_id = %s OR intent_id IN (SELECT intent_id FROM trading.orders WHERE trade_id = %s)"
)


async def _find(tx: Transaction, wanted: str) -> tuple[UUID | None, UUID | None]:
    account, _, number = wanted.partition("#")
    if number.isdecimal():
        row = await tx.fetch_one(
            "SELECT trade_id FROM trading.trades WHERE account = %s AND number = %s",
            account,
            int(number),
        )
        return (row[0] if row else None), None
    row = await tx.fetch_one(
        "SELECT trade_id, NULL::uuid FROM trading.trades WHERE trade_id::text = %s "
        "UNION ALL SELECT trade_id, NULL FROM trading.orders "
        "WHERE order_id::text = %s OR intent_id::text = %s OR exchange_order_id = %s "
        "UNION ALL SELECT trade_id, NULL FROM trading.fills WHERE fill_id = %s "
        "UNION ALL SELECT trade_id, intent_id FROM trading.intents "
        "WHERE intent_id::text = %s OR decision_id::text = %s LIMIT 1",
        *[wanted] * 7,
    )
    return (row[0], row[1]) if row else (None, None)


async def _trade_steps(
    tx: Transaction, trade_id: UUID
) -> tuple[dict[str, Any], list[Step], list[str]]:
    trades = await _rows(tx, "trades", "trade_id = %s", trade_id)
    orders = await _rows(tx, "orders", "trade_id = %s", trade_id)
    fills = await _rows(tx, "fills", "trade_id = %s", trade_id)
    account, market = trades[0]["account"], trades[0]["market_ticker"]
    # Without a fill the market's settlement is that of other trades.
    settlements = (
        await _rows(tx, "settlements", "account = %s AND market_ticker = %s", account, market)
        if fills
        else []
    )
    events = await _rows(
        tx,
        "order_events",
        "order_id IN (SELECT order_id FROM trading.orders WHERE trade_id = %s)",
        trade_id,
    )
    facts = [str(row["fill_id"]) for row in fills] + ([market] if settlements else [])
    steps = [_event_step(row) for row in events]
    steps += [_fill_step(row) for row in fills]
    steps += [_settlement_step(row) for row in settlements]
    steps += await _postings(tx, account, facts)
    return trades[0], steps, [str(row["order_id"]) for row in orders]


async def _decisions(tx: Transaction, intents: list[dict[str, Any]]) -> list[Step]:
    ids = [row["decision_id"] for row in intents if row["decision_id"] is not None]
    if not ids:
        return []
    rows = await _rows(tx, "decisions", "decision_id = ANY(%s)", ids)
    return [
        Step(
            at_us=time_us(row["at"]),
            kind="decision",
            text=f"{row['kind']} decision on snapshot {row['generation']} of {row['event_ticker']}",
            fields=_plain({**row, "body": _unpacked(row["body"])}),
        )
        for row in rows
    ]


async def _postings(tx: Transaction, account: str, facts: list[str]) -> list[Step]:
    rows = await tx.fetch(
        "SELECT t.at, t.kind, t.fact_id, p.book, p.market_ticker, p.amount_usd_e6 "
        "FROM trading.ledger_transactions t JOIN trading.ledger_postings p USING (transaction_id) "
        "WHERE t.account = %s AND t.fact_id = ANY(%s) ORDER BY t.at, t.fact_id, p.line",
        account,
        facts,
    )
    return [
        Step(
            at_us=time_us(at),
            kind="posting",
            text=f"{book} {amount / 1e6:+.6f} $ for {kind} {fact_id}",
            fields={"book": book, "market": market, "amount_usd_e6": amount, "fact_id": fact_id},
        )
        for at, kind, fact_id, book, market, amount in rows
    ]


async def _audit(tx: Transaction, subjects: list[str]) -> list[Step]:
    rows = await tx.fetch(
        "SELECT subject, subject_id, old_state, new_state, note, author, at FROM trading.audit "
        "WHERE subject_id = ANY(%s) ORDER BY at, subject, version",
        subjects,
    )
    return [
        Step(
            at_us=time_us(at),
            kind="audit",
            text=f"{subject[:-1]} {old or 'new'} → {new}" + (f": {note}" if note else ""),
            fields={"subject": subject, "id": subject_id, "author": author},
        )
        for subject, subject_id, old, new, note, author, at in rows
    ]


def _intent_step(row: dict[str, Any]) -> Step:
    return Step(
        at_us=time_us(row["at"]),
        kind="intent",
        text=(
            f"{row['source']} wants to {'buy' if row['purpose'] == 'entry' else 'sell'} "
            f"{row['qty_e2'] / 100:g} {row['side']} of {row['market_ticker']} "
            f"at {row['limit_price_e4'] / 100:g} cents: {row['reason'] or 'no reason given'}"
        ),
        fields=_plain(row),
    )


def _event_step(row: dict[str, Any]) -> Step:
    told = row["body"].get("reason") or row["body"].get("state") or ""
    return Step(
        at_us=time_us(row["at"]),
        kind="order event",
        text=f"order {row['kind']}" + (f": {told}" if told else ""),
        fields=_plain(row),
    )


def _fill_step(row: dict[str, Any]) -> Step:
    return Step(
        at_us=time_us(row["at"]),
        kind="fill",
        text=(
            f"{row['book_side']} {row['qty_e2'] / 100:g} at {row['yes_price_e4'] / 100:g} cents "
            f"of YES, fee ${row['fee_usd_e6'] / 1e6:.4f}"
        ),
        fields=_plain(row),
    )


def _settlement_step(row: dict[str, Any]) -> Step:
    return Step(
        at_us=time_us(row["settled_at"]),
        kind="settlement",
        text=f"{row['market_ticker']} settled {row['result']}, paid ${row['revenue_usd_e6'] / 1e6:.2f}",
        fields=_plain(row),
    )


async def _rows(tx: Transaction, table: str, where: str, *params: object) -> list[dict[str, Any]]:
    """Return whole rows by name; ``table`` and ``where`` are constants of this module."""
    names = [
        row[0]
        for row in await tx.fetch(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass "
            "AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            f"trading.{table}",
        )
    ]
    rows = await tx.fetch(f"SELECT * FROM trading.{table} WHERE {where}", *params)  # noqa: S608
    return [dict(zip(names, row, strict=True)) for row in rows]


def _unpacked(body: bytes) -> Any:  # noqa: ANN401  (a decision's record holds anything)
    return msgspec.msgpack.decode(body)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(row, builtin_types=(bytes,))
    return {name: value for name, value in plain.items() if value is not None}
