"""What the operator asks and says of accounts: their state in one round trip, keys, logins.

Its login sees counts of positions, orders and trades, never what they are. Logins are made by
functions of the database (migration 0006), which alone may; here nothing is made that they refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import psycopg

from recio.adapters.postgres import config
from recio.adapters.postgres.failures import DatabaseUnavailable
from recio.adapters.postgres.switches import ALL_ACCOUNTS
from recio.adapters.postgres.switches import switches_of as _rows_of
from recio.domain.account_config import Mode
from recio.domain.switches import SwitchRow
from recio.domain.units import as_datetime
from recio.ports import Query, Transaction

_STATUSES: Final = """
    SELECT s.account, s.environment, s.mode::text, s.generation, s.is_flat, s.live_orders,
           s.open_trades, s.executor::text, s.epoch, k.key_sha256, coalesce(r.rolcanlogin, false),
           c.document::text, e.overrides::text, d.document::text
      FROM ops.account_status s
      LEFT JOIN trading.account_keys k USING (account)
      LEFT JOIN pg_catalog.pg_roles r ON r.rolname = 'recio_account_' || s.account
      LEFT JOIN trading.account_config c ON c.account = s.account AND c.generation = s.generation
      LEFT JOIN LATERAL (
          SELECT overrides, resource_generation FROM trading.account_settings o
           WHERE o.account = s.account ORDER BY generation DESC LIMIT 1) e ON true
      LEFT JOIN trading.account_config d
             ON d.account = s.account AND d.generation = e.resource_generation
     WHERE %s::text[] IS NULL OR s.account = ANY(%s::text[])
     ORDER BY s.account
"""
_SWITCHES: Final = """
    SELECT scope, source, state, reason, changed_at FROM trading.switches
     WHERE %s::text[] IS NULL OR scope = ANY(%s::text[]) OR scope = '*' ORDER BY scope, source
"""
_REFUSED: Final = ("password authentication failed", "is not permitted to log in", "does not exist")


class AccountStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One account as the database knows it.

    ``live_orders`` counts what may still bring fills, ``open_trades`` what is not over.
    ``executor`` holds the lease under ``epoch``. ``switches`` are the account's rows and those of
    all accounts, released ones included. ``has_overrides``: edits of a person count.
    ``applied_spec`` is the newest document's ``spec``; ``has_login``: its login may log in.
    """

    account: str
    environment: str
    mode: Mode
    generation: int | None
    is_flat: bool
    live_orders: int
    open_trades: int
    executor: str | None
    epoch: int | None
    switches: tuple[SwitchRow, ...]
    has_overrides: bool
    applied_spec: dict[str, Any] | None
    key_sha256: str | None
    has_login: bool


async def account_statuses(
    tx: Transaction, accounts: Sequence[str] | None = None
) -> list[AccountStatus]:
    """Return these accounts (None: every one), by name, in one round trip."""
    names = None if accounts is None else list(accounts)
    found, switches = await tx.fetch_many(
        Query(_STATUSES, (names, names)), Query(_SWITCHES, (names, names))
    )
    by_scope = _by_scope(switches)
    return [_status(row, by_scope) for row in found]


async def switches_of(
    tx: Transaction, accounts: Sequence[str] | None = None
) -> dict[str, list[SwitchRow]]:
    """Return the switch rows by scope: of these accounts (None: every one) and ``*``."""
    names = None if accounts is None else list(accounts)
    return _by_scope(await tx.fetch(_SWITCHES, names, names))


async def claim_key(tx: Transaction, account: str, key_sha256: str, *, at_us: int) -> str | None:
    """Claim an API key (the SHA-256 of its id) for an account; return who has it already.

    None: it is the account's now, and the one that it had before is free.
    """
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", f"key {key_sha256}")
    holder = await tx.fetch_one(
        "SELECT account FROM trading.account_keys WHERE key_sha256 = %s AND account <> %s",
        *(key_sha256, account),
    )
    if holder is not None:
        return str(holder[0])
    await tx.execute(
        "INSERT INTO trading.account_keys VALUES (%s, %s, %s) "
        "ON CONFLICT (account) DO UPDATE SET key_sha256 = excluded.key_sha256, "
        "changed_at = excluded.changed_at "
        "WHERE account_keys.key_sha256 <> excluded.key_sha256",
        *(account, key_sha256, as_datetime(at_us)),
    )
    return None


async def release_key(tx: Transaction, account: str) -> None:
    """Leave the account's API key to others."""
    await tx.execute("DELETE FROM trading.account_keys WHERE account = %s", account)


async def set_account_login(tx: Transaction, account: str, verifier: str | None) -> None:
    """Make the login of an account's services, or let it in again.

    ``verifier`` comes from ``scram.verifier``; None leaves the password as it is.

    Raises:
        Rejected: not the name of an account, or not a verifier.
    """
    await tx.execute("SELECT ops.create_account_login(%s, %s)", account, verifier)


async def disable_account_login(tx: Transaction, account: str) -> None:
    """Let the login of an account in no more; sessions that are open go on."""
    await tx.execute("SELECT ops.disable_account_login(%s)", account)


async def can_log_in(dsn: str) -> bool:
    """Tell whether the server takes the login and password of an address.

    Raises:
        DatabaseUnavailable: it cannot be asked.
    """
    try:
        connection = await psycopg.AsyncConnection.connect(dsn)
    except psycopg.OperationalError as error:
        said = " ".join(str(error).split())
        if any(word in said for word in _REFUSED):
            return False
        raise DatabaseUnavailable(
            f"cannot ask PostgreSQL whether it takes a login: {said}"
        ) from error
    await connection.close()
    return True


def _says_anything(edits: Mapping[str, Any]) -> bool:
    return any(
        _says_anything(value) if isinstance(value, Mapping) else True for value in edits.values()
    )


def _by_scope(rows: Sequence[tuple[Any, ...]]) -> dict[str, list[SwitchRow]]:
    found: dict[str, list[SwitchRow]] = {}
    for row in _rows_of(rows):
        found.setdefault(row.scope, []).append(row)
    return found


def _status(row: tuple[Any, ...], switches: dict[str, list[SwitchRow]]) -> AccountStatus:
    account, document, edits, edited_document = row[0], *row[11:14]
    counting = {} if document is None else config.counting_edits(document, edits, edited_document)
    return AccountStatus(
        account=account,
        environment=row[1],
        mode=Mode(row[2]),
        generation=row[3],
        is_flat=row[4],
        live_orders=row[5],
        open_trades=row[6],
        executor=row[7],
        epoch=row[8],
        key_sha256=row[9],
        has_login=row[10],
        switches=(*switches.get(account, ()), *switches.get(ALL_ACCOUNTS, ())),
        has_overrides=_says_anything(counting),
        applied_spec=None if document is None else msgspec.json.decode(document)["spec"],
    )
