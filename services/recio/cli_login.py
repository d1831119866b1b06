"""Who a command is at the database: in a container the address names nobody and holds no password.

The login follows from RECIO_ACCOUNT or RECIO_ACCOUNTS, or is the only file in
RECIO_DATABASE_PASSWORDS_DIR; that file is its password. What an address says itself is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psycopg

from recio.runtime.settings import SettingsInvalid


def direct_address(values: Mapping[str, str]) -> str:
    """Return the server's own address rather than a pooler's, "" if no variable names one."""
    return values.get("RECIO_DATABASE_LISTEN_URL") or values.get("RECIO_DATABASE_URL", "")


def logged_in(url: str, values: Mapping[str, str], *, login: str = "") -> str:
    """Return the address with login and password of this container.

    Raises:
        SettingsInvalid: nothing tells which login is meant.
    """
    told = psycopg.conninfo.conninfo_to_dict(url)
    directory = values.get("RECIO_DATABASE_PASSWORDS_DIR", "")
    account = values.get("RECIO_ACCOUNT") or values.get("RECIO_ACCOUNTS", "").partition(",")[0]
    user = str(told.get("user") or login or _login(account.strip(), directory))
    own = {"user": user}
    if directory and "password" not in told and (Path(directory) / user).exists():
        own["password"] = (Path(directory) / user).read_text().strip()
    return psycopg.conninfo.make_conninfo(url, **own)


def _login(account: str, directory: str) -> str:
    if account:
        return f"recio_account_{account}"
    files = sorted(Path(directory).glob("recio_*")) if directory else []
    if len(files) != 1:
        raise SettingsInvalid(
            "the address names no login: expected --login, RECIO_ACCOUNT, or one file in "
            f"RECIO_DATABASE_PASSWORDS_DIR, received {len(files)}"
        )
    return files[0].name
