"""The market plane's read key of each paper environment, and whom its exchange still knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from recio.runtime.credentials import MARKET
from recio_operator import kube as api
from recio_operator import names
from recio_operator.cluster import Cluster
from recio_operator.observing import EXCHANGE_KEY, Observer
from recio_operator.paper_keys import PaperKeys
from recio_operator.release import Environment, Release

Object = dict[str, Any]

UNKNOWN_THERE: Final = "the exchange simulator does not know this account's key (its database is new): it is told again"


@dataclass(slots=True, kw_only=True)
class MarketDesk:
    """Keeps the market readers' keys, and asks each exchange whom it knows."""

    cluster: Cluster
    observer: Observer
    paper_keys: PaperKeys
    release: Release
    owner: Object | None = None
    every_s: float = 15.0

    async def reconcile(self, name: str) -> set[str]:
        """Make the read key of an environment known; return the accounts its exchange lost.

        Raises:
            Unavailable: the exchange or the API server does not answer.
        """
        environment = next(one for one in self.release.environments if one.name == name)
        if environment.exchange is None:
            return set()
        known = await self.paper_keys.known(environment)
        facts = self.cluster.secrets.get(environment.market_secret)
        if facts is None or not facts.key.digest or MARKET not in known:
            held = await self.paper_keys.ensure(environment, MARKET, 0, self._secret(environment))
            self.cluster.answered(api.SECRETS, held)
        lost = set(self._accounts(environment, without=known))
        for account in lost:
            self.observer.key_problems.setdefault(account, UNKNOWN_THERE)
        return lost

    def _accounts(self, environment: Environment, *, without: frozenset[str]) -> Iterator[str]:
        """Yield the environment's accounts that have a key, but for those ``without``."""
        for account in self.cluster.accounts():
            secret = names.child(account, EXCHANGE_KEY)
            if account in without or secret not in self.cluster.secrets:
                continue
            document = self.cluster.account(account)
            place = self.observer.place_of(document) if document is not None else None
            if place is not None and place.environment is environment:
                yield account

    def _secret(self, environment: Environment) -> Object:
        metadata: Object = {
            "name": environment.market_secret,
            "labels": names.labels(self.release.name, "market", self.release.version)
            | {names.ENVIRONMENT_LABEL: environment.name},
        }
        if self.owner is not None:
            metadata["ownerReferences"] = [self.owner]
        return {"metadata": metadata}
