"""The TradingFleet: its switch and limits over all accounts, written to the books; its status.

Without the resource there is no switch and no limit of it: deleting it releases both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from recio.domain.account_config import FleetConfig, Trading, parse_fleet, strictest
from recio.domain.errors import InvalidValue, RecioError, Unavailable
from recio.domain.units import format_time_us
from recio_operator import kube as api
from recio_operator.acting import Actor
from recio_operator.cluster import Cluster
from recio_operator.records import Records

Object = dict[str, Any]

_READY: Final = "Ready"
_RECONCILED: Final = "Reconciled"


@dataclass(slots=True, kw_only=True)
class FleetDesk:
    """Reconciles the fleet."""

    cluster: Cluster
    actor: Actor
    records: Records
    now_us: Callable[[], int]
    is_released: bool = False

    async def reconcile(self, name: str) -> float | None:
        """Write the fleet to the books, and what came of it to its status.

        Raises:
            Unavailable: the database cannot be asked; the status says so.
        """
        document = self.cluster.cache.get(api.FLEETS.kind, name)
        if document is None or "deletionTimestamp" in document["metadata"]:
            if not self.is_released:
                await self.records.release_fleet()
                self.is_released = True
            return None
        self.is_released = False
        problem: RecioError | None = None
        try:
            await self.records.write_fleet(document)
        except RecioError as error:
            problem = error
        await self.actor.apply_status(document, self._status(document, problem))
        self.actor.books.poke()
        if isinstance(problem, Unavailable):
            raise problem
        return None

    def _status(self, document: Object, problem: RecioError | None) -> Object:
        status: Object = {
            "observedGeneration": document["metadata"].get("generation", 0),
            "accounts": len(self.cluster.accounts()),
            "conditions": self._conditions(document, problem),
        }
        try:
            status["trading"] = self._trading(parse_fleet(document))
        except InvalidValue:
            # The condition says what is wrong; the database goes on with what it had.
            return status
        return status

    def _trading(self, fleet: FleetConfig) -> Object:
        rows = {}
        snapshot = self.actor.books.snapshot
        for row in snapshot.all_accounts if snapshot is not None else ():
            if row.state is not Trading.ACTIVE:
                rows[row.source] = row
        rows.pop("fleet", None)
        sources = [
            {
                "source": row.source,
                "state": row.state.value,
                "reason": row.reason,
                "since": format_time_us(row.since_us),
            }
            for row in rows.values()
        ]
        if fleet.trading is not Trading.ACTIVE:
            sources.insert(0, {"source": "fleet", "state": fleet.trading.value})
        effective = strictest(fleet.trading, *(row.state for row in rows.values()))
        return {"effective": effective.value, "sources": sources[:8]}

    def _conditions(self, document: Object, problem: RecioError | None) -> list[Object]:
        if problem is None:
            said = ("True", "Applied", "The switch and the limits hold for all accounts.")
        elif isinstance(problem, Unavailable):
            said = ("Unknown", "DatabaseUnavailable", " ".join(str(problem).split()))
        else:
            said = ("False", "Refused", str(problem))
        held = {one["type"]: one for one in document.get("status", {}).get("conditions", [])}
        return [
            self._condition(kind, said, document, held.get(kind)) for kind in (_READY, _RECONCILED)
        ]

    def _condition(
        self, kind: str, said: tuple[str, str, str], document: Object, held: Object | None
    ) -> Object:
        status, reason, message = said
        since = f"{format_time_us(self.now_us())[:19]}Z"
        if held is not None and held["status"] == status:
            since = held["lastTransitionTime"]
        return {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message[:1024],
            "lastTransitionTime": since,
            "observedGeneration": document["metadata"].get("generation", 0),
        }
