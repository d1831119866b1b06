"""Bring the database's schema up to date, or tell whether it is.

Each file that is missing is applied in order, in one transaction; what cannot get its lock within 4
seconds is left out whole and may be run again. With --pre-only only what the previous version of the
code can live with is applied.

--check changes nothing: exit status 0 if the schema is at least what this code needs, else 1 and one
line. --wait does the same again and again until it is, or the time is up: the gate before a service.
Any login of ours may ask; which one follows from RECIO_ACCOUNT or RECIO_ACCOUNTS, or is the only
file in RECIO_DATABASE_PASSWORDS_DIR, or is told by --login.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from typing import Final

from recio.cli_login import direct_address, logged_in
from recio.domain.errors import Unavailable
from recio.runtime import settings

EXAMPLES: Final = """examples:
  recio migrate --database-url postgresql://postgres@db/recio
  RECIO_DATABASE_URL=postgresql://postgres@db/recio recio migrate --pre-only
  RECIO_DATABASE_URL=postgresql://db/recio recio migrate --wait 600 --login recio_main_app
"""
PAUSE_S: Final = 1.0
TELL_S: Final = 10.0
ENDED: Final = 143
"""Exit status of who was asked to end."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--database-url", help="login that owns the schema (RECIO_DATABASE_URL)")
    parser.add_argument("--pre-only", action="store_true", help="before the old code is gone")
    parser.add_argument("--check", action="store_true", help="only tell whether it is up to date")
    parser.add_argument("--wait", type=float, metavar="SECONDS", help="check until it is")
    parser.add_argument("--login", metavar="NAME", help="who asks, if the address names nobody")


def run(arguments: argparse.Namespace) -> int:
    """Apply what is missing, or check."""
    from recio.adapters.postgres.migrate import migrate  # noqa: PLC0415 (loads the driver)

    if arguments.check or arguments.wait is not None:
        return _wait(arguments, arguments.wait or 0.0)
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


def _wait(arguments: argparse.Namespace, seconds: float) -> int:
    # The first process of a container does not even notice the signal unless it asks for it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ENDED))
    began_s = time.monotonic()
    told_s = began_s - TELL_S
    while problem := _problem(arguments):
        now_s = time.monotonic()
        if now_s >= began_s + seconds:
            print(f"recio: {problem}", file=sys.stderr)
            return 1
        if now_s >= told_s + TELL_S:
            told_s = now_s
            print(f"waiting: {problem}", flush=True)
        time.sleep(PAUSE_S)
    print("the schema is what this version needs")
    return 0


def _problem(arguments: argparse.Namespace) -> str:
    """Return why no service can start on the database yet; nothing if it can."""
    from recio.adapters.postgres.migrate import missing_from  # noqa: PLC0415 (loads the driver)

    try:
        missing = missing_from(_address(arguments))
    except Unavailable as error:
        return str(error)
    if not missing:
        return ""
    return f"the schema lacks {len(missing)} migrations, {missing[0]} first: run `recio migrate`"


def _address(arguments: argparse.Namespace) -> str:
    """Return the address under a login of ours: of the server itself rather than of a pooler."""
    values = settings.from_environment()
    url = arguments.database_url or direct_address(values) or database_url(None)
    return logged_in(url, values, login=arguments.login or "")
