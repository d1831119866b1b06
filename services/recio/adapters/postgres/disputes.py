"""Disputes in the database: opened and closed by account sync, decided by a person."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import msgspec

from recio.domain.disputes import (
    ACCEPTED,
    BOOKED,
    CLEARED,
    DISCARDED,
    OPEN,
    Contradiction,
    Dispute,
    Reason,
    check_decision,
    may_pass,
)
from recio.domain.errors import Rejected
from recio.domain.intents import derived_id
from recio.domain.messages import PriceRange
from recio.domain.units import as_datetime, time_us
from recio.ports import Transaction

OPEN_AT_MOST: Final = 200
"""An exchange that tells a new absurdity each second must not fill the disk: they are counted."""

_COLUMNS: Final = (
    "dispute_id, account, reason, subject, told::text, held::text, explanation, state, note, "
    "author, opened_at, changed_at"
)


async def open_dispute(
    tx: Transaction, account: str, found: Contradiction, *, author: str, at_us: int
) -> bool:
    """Keep what was told as an open dispute; return whether it is one that was not open before.

    What a person has decided stays decided: the same told again opens nothing. A difference has one
    row at a time, whatever its figures are now.
    """
    told = _json(found.told)
    dispute_id = derived_id(account, "dispute", found.reason, found.subject, told)
    at = as_datetime(at_us)
    if await _is_known(tx, account, found) or await _is_full(tx, account):
        return False
    return bool(
        await tx.execute(
            "INSERT INTO trading.disputes AS d (dispute_id, account, reason, subject, told, held, "
            "explanation, state, author, opened_at, changed_at) "
            "VALUES (%s, %s, %s, %s, %s::jsonb, %s::jsonb, %s, 'open', %s, %s, %s) "
            "ON CONFLICT (dispute_id) DO UPDATE SET state = 'open', author = excluded.author, "
            "changed_at = excluded.changed_at WHERE d.state = 'cleared'",
            *(dispute_id, account, found.reason.value, found.subject, told),
            _json(found.held),
            *(found.explanation, author, at, at),
        )
    )


def _json(values: dict[str, Any]) -> str:
    """Return JSON that jsonb takes: it refuses the one character that JSON allows, NUL."""
    text = msgspec.json.encode(values, order="sorted").decode()
    return text.replace("\\u0000", "\\ufffd")


async def _is_known(tx: Transaction, account: str, found: Contradiction) -> bool:
    if not may_pass(found.reason):
        return False
    row = await tx.fetch_one(
        "SELECT 1 FROM trading.disputes WHERE account = %s AND reason = %s AND subject = %s "
        "AND state IN ('open', 'accepted')",
        *(account, found.reason.value, found.subject),
    )
    return row is not None


async def _is_full(tx: Transaction, account: str) -> bool:
    row = await tx.fetch_one(
        "SELECT count(*) >= %s FROM trading.disputes WHERE account = %s "
        "AND state IN ('open', 'accepted')",
        *(OPEN_AT_MOST, account),
    )
    return row is not None and bool(row[0])


async def undecided(tx: Transaction, account: str) -> list[Dispute]:
    """Return what holds the account's entries, oldest first: open, or accepted and not yet booked."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM trading.disputes WHERE account = %s "  # noqa: S608 - own columns
        "AND state IN ('open', 'accepted') ORDER BY opened_at, dispute_id",
        account,
    )
    return [_dispute(row) for row in rows]


async def newest(tx: Transaction, account: str, limit: int) -> list[Dispute]:
    """Return the newest disputes, decided ones included."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM trading.disputes WHERE account = %s "  # noqa: S608 - own columns
        "ORDER BY state IN ('open', 'accepted') DESC, opened_at DESC, dispute_id LIMIT %s",
        account,
        limit,
    )
    return [_dispute(row) for row in rows]


async def clear(tx: Transaction, dispute_id: UUID, *, author: str, at_us: int) -> None:
    """End a difference that is gone."""
    held = (OPEN, ACCEPTED)
    await _move(tx, dispute_id, held, CLEARED, note="it is gone", author=author, at_us=at_us)


async def end_accepted(
    tx: Transaction, dispute_id: UUID, *, refusal: str, author: str, at_us: int
) -> None:
    """Tell that what a person accepted is booked, or, with a refusal, that it cannot be."""
    state = OPEN if refusal else BOOKED
    await _move(tx, dispute_id, (ACCEPTED,), state, note=refusal, author=author, at_us=at_us)


async def decide(
    tx: Transaction,
    account: str,
    dispute_id: UUID,
    *,
    is_accepted: bool,
    note: str,
    author: str,
    at_us: int,
) -> Dispute:
    """Write a person's decision: account sync books what is accepted, and releases the entries.

    Raises:
        Rejected: there is no such open dispute, or it cannot be decided so.
    """
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM trading.disputes "  # noqa: S608 - own columns
        "WHERE account = %s AND dispute_id = %s FOR UPDATE",
        *(account, dispute_id),
    )
    if not rows or (found := _dispute(rows[0])).state != OPEN:
        what = f"it is {found.state} already" if rows else "there is none"
        raise Rejected(f"expected an open dispute {dispute_id} of account {account}: {what}")
    decision = ACCEPTED if is_accepted else DISCARDED
    check_decision(found.reason, decision)
    if found.reason is Reason.CASH_DIFFERS:
        await _check_alone(tx, found)
    await _move(tx, dispute_id, (OPEN,), decision, note=note, author=author, at_us=at_us)
    return msgspec.structs.replace(found, state=decision, note=note, author=author)


async def _check_alone(tx: Transaction, cash: Dispute) -> None:
    """Refuse to book a difference of cash that something else undecided may explain."""
    others = [
        each.reason.value
        for each in await undecided(tx, cash.account)
        if each.dispute_id != cash.dispute_id
    ]
    if others:
        raise Rejected(
            f"decide {', '.join(sorted(set(others)))} first: it may explain the difference of cash, "
            "which would then be booked twice"
        )


async def _move(
    tx: Transaction,
    dispute_id: UUID,
    held: tuple[str, ...],
    state: str,
    *,
    note: str,
    author: str,
    at_us: int,
) -> None:
    await tx.execute(
        "UPDATE trading.disputes SET state = %s, note = %s, author = %s, changed_at = %s "
        "WHERE dispute_id = %s AND state = ANY(%s)",
        *(state, note, author, as_datetime(at_us), dispute_id, list(held)),
    )


def _dispute(row: tuple[Any, ...]) -> Dispute:
    (dispute_id, account, reason, subject, told, held, explanation, state, note, author, opened_at,
     changed_at) = row  # fmt: skip
    return Dispute(
        dispute_id=dispute_id,
        account=account,
        reason=Reason(reason),
        subject=subject,
        told=msgspec.json.decode(told),
        held=msgspec.json.decode(held),
        explanation=explanation,
        state=state,
        note=note,
        author=author,
        opened_at_us=time_us(opened_at),
        changed_at_us=time_us(changed_at),
    )


class KnownMarket(msgspec.Struct, frozen=True, kw_only=True):
    """What the market data service learned of a market, by a way of its own."""

    close_us: int
    result: str
    price_ranges: tuple[PriceRange, ...]


async def known_market(tx: Transaction, account: str, ticker: str) -> KnownMarket | None:
    """Return what is known of a market in the account's environment; None if nothing is."""
    row = await tx.fetch_one(
        "SELECT e.close_at, m.result, m.price_ranges::text FROM trading.accounts a "
        "JOIN market.markets m USING (environment) "
        "JOIN market.events e USING (environment, event_ticker) "
        "WHERE a.account = %s AND m.ticker = %s",
        *(account, ticker),
    )
    if row is None:
        return None
    return KnownMarket(
        close_us=time_us(row[0]),
        result=row[1],
        price_ranges=msgspec.json.decode(row[2], type=tuple[PriceRange, ...]),
    )
