"""Run services alone or together in this process, as environment variables tell.

RECIO_ENVIRONMENT, RECIO_MODE, RECIO_DATABASE_URL and RECIO_REDIS_URL are always needed, services of
an account need RECIO_ACCOUNT (or RECIO_ACCOUNTS), a paper environment RECIO_EXCHANGE_REST_URL and
RECIO_EXCHANGE_WEBSOCKET_URL. A service's own settings are named RECIO_<SERVICE>_<NAME>.
`recio doctor` shows what is set and what is wrong.
"""

from __future__ import annotations

import argparse
from typing import Final

from recio import manifest
from recio.domain.errors import Broken
from recio.manifest import Scope
from recio.runtime import settings
from recio.runtime.host import Placement

EXAMPLES: Final = """examples:
  recio run trade_manager
  recio run trade_initiator trade_executor kalshi_account_sync trade_manager
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    names = ", ".join(row.name for row in manifest.SERVICES)
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"one or more of: {names}")


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or Ctrl-C."""
    values = settings.from_environment()
    process_settings = settings.process_settings(values)
    chosen = placements(arguments.names, process_settings)
    from recio.runtime.process import run_in_new_loop  # noqa: PLC0415 (loads everything)

    return run_in_new_loop(process_settings, values, chosen)


def placements(names: list[str], process: settings.ProcessSettings) -> list[Placement]:
    """Return what to host: a service of an account once for each account.

    Raises:
        Broken: an unknown name, or a service of an account without one.
    """
    unknown = [name for name in names if name not in manifest.BY_NAME]
    if unknown:
        raise Broken(
            f"no service is called {', '.join(unknown)}; there are {', '.join(manifest.BY_NAME)}"
        )
    chosen: list[Placement] = []
    for row in (row for row in manifest.SERVICES if row.name in names):
        accounts = process.hosted_accounts() if row.scope is Scope.ACCOUNT else (None,)
        if not accounts:
            raise Broken(f"{row.name} works for an account: RECIO_ACCOUNT is missing")
        chosen += [Placement(row, account) for account in accounts]
    return chosen
