"""The account's document in the database, and the one function that writes it there.

``apply_account`` is what the operator and the local runner both call; services read only
``effective_config``: the newest document with a person's edits on top. Edits may tighten risk (the
tighter of both, field by field) and move strategy settings inside the document's own bounds; where
the document changed a setting after the edit, the document counts. Edits that a later document
leaves without sense count for nothing and entries stay off until a person edits again.

What was read is kept by its very text, so a decision costs a look-up and can never meet an old
configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from recio.adapters.postgres.switches import ALL_ACCOUNTS, set_switch
from recio.domain.account_config import (
    AccountConfig,
    Risk,
    Strategy,
    parse_account,
    parse_fleet,
    parse_risk,
    parse_strategy,
    refuse_immutable_changes,
    resource_trading,
    tighten,
    to_fields,
)
from recio.domain.documents import Problems, decode
from recio.domain.errors import InvalidValue, Rejected
from recio.domain.units import as_datetime
from recio.ports import Query, Transaction


def account_login(account: str) -> str:
    """Return the database login of an account's services."""
    return f"recio_account_{account}"


async def apply_account(
    tx: Transaction, document: Mapping[str, Any], *, environment: str, at_us: int, author: str
) -> AccountConfig:
    """Write a TradingAccount document as the account's newest generation, and its switch row.

    Applying the same document again changes nothing.

    Raises:
        InvalidValue: the document is not valid, or changes what must stay.
    """
    config = parse_account(dict(document))
    held = await _newest_document(tx, config.name)
    if held is None:
        await _create(tx, config, environment, at_us)
    else:
        refuse_immutable_changes(parse_account(held[1]), config)
    wanted = _kept(document)
    if held is None or _kept(held[1]) != wanted:
        await tx.execute(
            "INSERT INTO trading.account_config VALUES (%s, %s, %s::jsonb, %s)",
            config.name,
            1 if held is None else held[0] + 1,
            msgspec.json.encode(wanted).decode(),
            as_datetime(at_us),
        )
    await set_switch(
        tx,
        config.name,
        "resource",
        resource_trading(config),
        reason="spec.trading of the TradingAccount",
        author=author,
        at_us=at_us,
    )
    return config


async def apply_fleet(
    tx: Transaction, document: Mapping[str, Any], *, at_us: int, author: str
) -> None:
    """Write the TradingFleet document and its switch row over all accounts.

    Raises:
        InvalidValue: the document is not valid.
    """
    fleet = parse_fleet(dict(document))
    await tx.execute(
        "INSERT INTO trading.fleet VALUES ('default', %s::jsonb, %s) "
        "ON CONFLICT (name) DO UPDATE SET document = excluded.document, "
        "changed_at = excluded.changed_at WHERE fleet.document <> excluded.document",
        msgspec.json.encode(_kept(document)).decode(),
        as_datetime(at_us),
    )
    await set_switch(
        tx,
        ALL_ACCOUNTS,
        "fleet",
        fleet.trading,
        reason="spec.trading of the TradingFleet",
        author=author,
        at_us=at_us,
    )


async def effective_config(tx: Transaction, account: str) -> AccountConfig:
    """Return the account's configuration as it counts now: document plus a person's edits.

    Raises:
        Rejected: there is no such account.
        InvalidValue: what stands there does not read; an older version of this program wrote it.
    """
    sql, params = config_query(account)
    return config_of(account, await tx.fetch(sql, *params))


def config_of(account: str, rows: Sequence[tuple[Any, ...]]) -> AccountConfig:
    """Return the configuration in the rows of ``config_query``; raises as ``effective_config``."""
    held = _held_of(account, rows)
    return _effective(held.document, held.edits, held.edited_document)


async def newest_overrides(tx: Transaction, account: str) -> dict[str, Any]:
    """Return a person's edits that count: ``{"strategy": {...}, "risk": {...}}``, camelCase, partial."""
    held = await _held(tx, account)
    return counting_edits(held.document, held.edits, held.edited_document)


async def save_overrides(
    tx: Transaction, account: str, overrides: Mapping[str, Any], *, author: str, at_us: int
) -> AccountConfig:
    """Write a person's edits as the newest generation and return what counts from now on.

    Raises:
        InvalidValue: a setting is unknown or outside its bounds; nothing is written.
        Rejected: there is no such account.
    """
    held = await _held(tx, account)
    config = _parsed(held.document)
    unknown = set(overrides) - {"strategy", "risk"}
    if unknown:
        raise Rejected(f"expected strategy and risk, received {sorted(unknown)}")
    parse_strategy(_merged(to_fields(config.strategy), overrides.get("strategy", {})))
    parse_risk(_merged(to_fields(config.risk), overrides.get("risk", {})))
    await tx.execute(
        "INSERT INTO trading.account_settings "
        "SELECT %s, coalesce(max(generation), 0) + 1, %s, %s, %s::jsonb, %s "
        "FROM trading.account_settings WHERE account = %s",
        account,
        held.generation,
        author,
        msgspec.json.encode(dict(overrides)).decode(),
        as_datetime(at_us),
        account,
    )
    return await effective_config(tx, account)


async def _newest_document(tx: Transaction, account: str) -> tuple[int, dict[str, Any]] | None:
    row = await tx.fetch_one(
        "SELECT generation, document FROM trading.account_config WHERE account = %s "
        "ORDER BY generation DESC LIMIT 1",
        account,
    )
    return None if row is None else (row[0], row[1])


async def _create(tx: Transaction, config: AccountConfig, environment: str, at_us: int) -> None:
    await tx.execute(
        "INSERT INTO trading.accounts (account, environment, mode, created_at) "
        "VALUES (%s, %s, %s, %s)",
        config.name,
        environment,
        config.mode.value,
        as_datetime(at_us),
    )


def _kept(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a person wrote: what the API server adds changes without meaning anything."""
    metadata = document.get("metadata", {})
    return {
        "apiVersion": document.get("apiVersion"),
        "kind": document.get("kind"),
        "metadata": {"name": metadata.get("name")},
        "spec": document.get("spec", {}),
    }


class _Held(msgspec.Struct, frozen=True, array_like=True):
    """What stands in the database, as text; ``edited_document`` is the one that was edited."""

    generation: int
    document: str
    edits: str | None
    edited_document: str | None


async def _held(tx: Transaction, account: str) -> _Held:
    sql, params = config_query(account)
    return _held_of(account, await tx.fetch(sql, *params))


def config_query(account: str) -> Query:
    """Return what reads the newest document, the newest edits, and the document they edited."""
    return Query(
        "SELECT c.generation, c.document::text, s.overrides::text, e.document::text "
        "FROM (SELECT generation, document FROM trading.account_config WHERE account = %s "
        "      ORDER BY generation DESC LIMIT 1) c "
        "LEFT JOIN (SELECT overrides, resource_generation FROM trading.account_settings "
        "      WHERE account = %s ORDER BY generation DESC LIMIT 1) s ON true "
        "LEFT JOIN trading.account_config e ON e.account = %s "
        "      AND e.generation = s.resource_generation",
        (account, account, account),
    )


def _held_of(account: str, rows: Sequence[tuple[Any, ...]]) -> _Held:
    if not rows:
        raise Rejected(f"no account is called {account!r}: apply its TradingAccount first")
    return _Held(*rows[0])


@lru_cache(maxsize=256)
def _parsed(document: str) -> AccountConfig:
    return parse_account(msgspec.json.decode(document))


@lru_cache(maxsize=256)
def _effective(document: str, edits: str | None, edited_document: str | None) -> AccountConfig:
    config = _parsed(document)
    counting = counting_edits(document, edits, edited_document)
    return msgspec.structs.replace(
        config,
        strategy=_moved(config.strategy, counting.get("strategy", {})),
        risk=_tightened(config.risk, counting.get("risk", {})),
    )


def counting_edits(document: str, edits: str | None, edited_document: str | None) -> dict[str, Any]:
    """Return a person's edits without the strategy settings that the document changed after them.

    Args:
        document: the newest document, as text.
        edits: the newest edits, as text; None: there are none.
        edited_document: the document that they were made on.
    """
    counting: dict[str, Any] = {} if edits is None else msgspec.json.decode(edits)
    if edited_document not in (None, document) and "strategy" in counting:
        before, after = (
            msgspec.json.decode(text)["spec"].get("strategy", {})
            for text in (edited_document, document)
        )
        counting["strategy"] = _unchanged(counting["strategy"], before, after)
    return counting


def _unchanged(edits: Mapping[str, Any], before: object, after: object) -> dict[str, Any]:
    """Return those edits whose settings the document has left as they were."""
    old = before if isinstance(before, Mapping) else {}
    new = after if isinstance(after, Mapping) else {}
    kept: dict[str, Any] = {}
    for key, value in edits.items():
        if isinstance(value, Mapping):
            kept[key] = _unchanged(value, old.get(key), new.get(key))
        elif old.get(key) == new.get(key):
            kept[key] = value
    return kept


def _moved(strategy: Strategy, edits: Mapping[str, Any]) -> Strategy:
    if not edits:
        return strategy
    try:
        return parse_strategy(_merged(to_fields(strategy), edits))
    except InvalidValue:
        # A later document makes nonsense of the edits (a window that ends before it starts).
        off = msgspec.structs.replace(strategy.auto_entry, enabled=False)
        return msgspec.structs.replace(strategy, auto_entry=off)


def _tightened(risk: Risk, edits: Mapping[str, Any]) -> Risk:
    """Return the tighter limits, each by itself: limits that overtake each other are all kept."""
    if not edits:
        return risk
    problems = Problems()
    edited = decode(Risk, _merged(to_fields(risk), edits), "risk", problems)
    problems.raise_if_any("a person's limits")
    return tighten(risk, edited)


def _merged(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in override.items():
        held = merged.get(key)
        nested = isinstance(held, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(held, value) if nested else value  # type: ignore[arg-type]
    return merged
