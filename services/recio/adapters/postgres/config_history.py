"""Which settings counted when: the account's documents and a person's edits, by time."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Final

import msgspec

from recio.adapters.postgres.config import config_of
from recio.domain.account_config import AccountConfig
from recio.domain.errors import InvalidValue
from recio.domain.units import time_us
from recio.ports import Transaction

_DOCUMENTS: Final = (
    "SELECT generation, document::text, applied_at FROM trading.account_config "
    "WHERE account = %s ORDER BY generation"
)
_EDITS: Final = (
    "SELECT resource_generation, overrides::text, changed_at FROM trading.account_settings "
    "WHERE account = %s ORDER BY generation"
)


class _Edits(msgspec.Struct, frozen=True):
    on_generation: int
    text: str


class ConfigHistory:
    """The settings of one account over time."""

    def __init__(
        self, account: str, documents: list[tuple[Any, ...]], edits: list[tuple[Any, ...]]
    ) -> None:
        self._account = account
        self._documents = [(row[0], row[1]) for row in documents]
        self._documents_us = [time_us(row[2]) for row in documents]
        self._edits = [_Edits(row[0], row[1]) for row in edits]
        self._edits_us = [time_us(row[2]) for row in edits]

    def at(self, at_us: int) -> AccountConfig | None:
        """Return what counted then; None: before the first document, or it cannot be read any more."""
        place = bisect_right(self._documents_us, at_us)
        if not place:
            return None
        generation, document = self._documents[place - 1]
        edited = bisect_right(self._edits_us, at_us)
        text = on = None
        if edited:
            text = self._edits[edited - 1].text
            on = dict(self._documents).get(self._edits[edited - 1].on_generation)
        try:
            return config_of(self._account, [(generation, document, text, on)])
        except InvalidValue:
            return None


async def read_history(tx: Transaction, account: str) -> ConfigHistory:
    """Return the settings of an account over time."""
    return ConfigHistory(
        account, await tx.fetch(_DOCUMENTS, account), await tx.fetch(_EDITS, account)
    )
