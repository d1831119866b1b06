"""Bring the database's schema up to date: apply each migration file that is missing, in order.

Each file is one transaction; what cannot get its lock within 4 seconds is left out whole and may be
run again. With --pre-only only what the previous version of the code can live with is applied.
"""

from __future__ import annotations

import argparse
from typing import Final

from recio.runtime import settings

EXAMPLES: Final = """examples:
  recio migrate --database-url postgresql://postgres@db/recio
  RECIO_DATABASE_URL=postgresql://postgres@db/recio recio migrate --pre-only
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--database-url", help="login that owns the schema (RECIO_DATABASE_URL)")
    parser.add_argument("--pre-only", action="store_true", help="before the old code is gone")


def run(arguments: argparse.Namespace) -> int:
    """Apply what is missing."""
    from recio.adapters.postgres.migrate import migrate  # noqa: PLC0415 (loads the driver)

    url = database_url(arguments.database_url)
    applied = migrate(url, is_pre_only=arguments.pre_only, say=print)
    print(f"{len(applied)} migrations applied" if applied else "nothing to apply")
    return 0


def database_url(given: str | None) -> str:
    """Return the address from the option, or from the variable.

    Raises:
        SettingsInvalid: neither is set.
    """
    url = given or settings.from_environment().get("RECIO_DATABASE_URL", "")
    if not url:
        raise settings.SettingsInvalid("expected --database-url or RECIO_DATABASE_URL")
    return url
