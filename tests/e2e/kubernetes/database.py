"""The release's PostgreSQL, asked as its superuser inside of the primary's own pod."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.e2e.cluster.shell import CommandFailed
from tests.e2e.kubernetes.kubectl import Kubectl

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Books:
    """One CloudNativePG cluster's database."""

    kubectl: Kubectl
    cluster: str
    name: str = "recio"

    def primary(self) -> str:
        """Return the name of the primary's pod.

        Raises:
            CommandFailed: there is none now.
        """
        chosen = f"cnpg.io/cluster={self.cluster},cnpg.io/instanceRole=primary"
        names = self.kubectl.names("pods", chosen)
        if len(names) != 1:
            raise CommandFailed(f"expected one primary of {self.cluster}, found {sorted(names)}")
        return names.pop()

    def ask(self, sql: str) -> list[Row]:
        """Return the rows of a query as mappings."""
        asked = f"SELECT coalesce(json_agg(q), '[]') FROM ({sql}) AS q"
        return list(json.loads(self._psql(asked)))

    def value(self, sql: str) -> Any:
        """Return the one value of a query, None if there is no row."""
        rows = self.ask(sql)
        return next(iter(rows[0].values())) if rows else None

    def _psql(self, sql: str) -> str:
        words = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.name]
        return self.kubectl.execute(self.primary(), "postgres", *words, given=sql)
