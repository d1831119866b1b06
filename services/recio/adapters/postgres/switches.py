"""Switch rows: one latched row a source; each source sets and releases only its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recio.domain.account_config import Trading
from recio.domain.switches import Effective, SwitchRow, effective
from recio.domain.units import as_datetime, time_us
from recio.ports import Query, Transaction

ALL_ACCOUNTS = "*"


async def effective_switch(tx: Transaction, account: str) -> Effective:
    """Return the strictest switch that holds for the account now."""
    return effective(await switch_rows(tx, account))


async def switch_rows(tx: Transaction, account: str) -> list[SwitchRow]:
    """Return the rows of the account and of all accounts, released ones included."""
    sql, params = switches_query(account)
    return switches_of(await tx.fetch(sql, *params))


def switches_query(account: str) -> Query:
    """Return what reads the rows of the account and of all accounts."""
    return Query(
        "SELECT scope, source, state, reason, changed_at FROM trading.switches "
        "WHERE scope IN (%s, '*') ORDER BY scope, source",
        (account,),
    )


def switches_of(rows: Sequence[tuple[Any, ...]]) -> list[SwitchRow]:
    """Return the switch rows of that query."""
    return [
        SwitchRow(
            scope=scope,
            source=source,
            state=Trading(state),
            reason=reason,
            changed_at_us=time_us(changed_at),
        )
        for scope, source, state, reason, changed_at in rows
    ]


async def set_switch(
    tx: Transaction,
    scope: str,
    source: str,
    state: Trading,
    *,
    reason: str,
    author: str,
    at_us: int,
) -> bool:
    """Set one source's row (``Active`` releases it); return whether anything changed.

    Args:
        tx: an open transaction.
        scope: an account, or ``*`` for all accounts.
        source: resource, fleet, person, or ``breaker:<name>``.
        state: what this source wants.
        reason: one line for a person.
        author: who did it: a login name or a service.
        at_us: market time.
    """
    return bool(
        await tx.execute(
            "INSERT INTO trading.switches AS held "
            "(scope, source, state, reason, author, changed_at) VALUES (%s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (scope, source) DO UPDATE SET state = excluded.state, "
            "reason = excluded.reason, author = excluded.author, changed_at = excluded.changed_at "
            "WHERE held.state <> excluded.state OR held.reason <> excluded.reason",
            scope,
            source,
            state.value,
            reason,
            author,
            as_datetime(at_us),
        )
    )
