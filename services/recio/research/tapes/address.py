"""Where the history is: the database that the environment names, or the local run's."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from recio.domain.errors import InvalidValue
from recio.runtime import settings
from recio.runtime.local.embedded import EmbeddedPostgres
from recio.runtime.local.options import DATABASE

_STATE: Final = Path(".state")


def address() -> str:
    """Return the database's address.

    Raises:
        InvalidValue: none is given and no local run is there.
    """
    values = settings.from_environment()
    given = values.get("RECIO_DATABASE_LISTEN_URL") or values.get("RECIO_DATABASE_URL")
    if given:
        return given
    local = EmbeddedPostgres(_STATE / "postgres")
    if not local.is_answering():
        raise InvalidValue(
            f"no database: expected RECIO_DATABASE_URL, or a local run in {_STATE} (`recio up`)"
        )
    return local.url(DATABASE)
