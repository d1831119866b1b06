"""Carries out a plan and decides nothing. Every step is idempotent: one cut short is made again.

What prepares (finalizer, login, key, the account's first document, its claim of the API key) comes
first; if any of it was done the account is looked at anew before workloads are touched, because the
plan was made without it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from recio.domain.account_config import Trading
from recio.domain.errors import RecioError, Rejected
from recio.runtime.ids import new_secret
from recio_operator import kube as api
from recio_operator import names
from recio_operator.books import BooksPoll
from recio_operator.cluster import ACCOUNT, Cluster
from recio_operator.events import Events
from recio_operator.kube import KINDS, Kube
from recio_operator.logins import LoginChecks
from recio_operator.names import ACCOUNT_LABEL, FINALIZER
from recio_operator.observing import DATABASE, EXCHANGE_KEY, Observer
from recio_operator.paper_keys import PaperKeys
from recio_operator.planning.observed import Observed
from recio_operator.planning.plan import FinalizerStep, Plan, PoolPlan
from recio_operator.records import Records
from recio_operator.secrets_io import PASSWORD, opaque, owner_of, value_of

Object = dict[str, Any]

_log = logging.getLogger("recio.operator")


@dataclass(slots=True)
class Outcome:
    """What came of a plan.

    ``prepared``: look again at once; ``problems``: what to try again; ``unwritten``: why the books
    did not take the document, so that no status may say that it counts.
    """

    prepared: bool = False
    problems: list[RecioError] = field(default_factory=list)
    unwritten: RecioError | None = None


@dataclass(slots=True, kw_only=True)
class Actor:
    """Carries out plans."""

    cluster: Cluster
    observer: Observer
    books: BooksPoll
    records: Records
    paper_keys: PaperKeys
    events: Events
    logins: LoginChecks

    @property
    def kube(self) -> Kube:
        """The API server."""
        return self.cluster.kube

    async def prepare(self, seen: Observed, plan: Plan) -> Outcome:
        """Do what must be there before workloads are made."""
        outcome = Outcome()
        name = seen.document["metadata"]["name"]
        if plan.finalizer is FinalizerStep.ADD:
            await self._set_finalizer(seen.document, is_wanted=True)
            outcome.prepared = True
        # The document first: a halt in it waits for nothing else.
        for wanted, step in (
            (plan.document is not None or plan.switch is not None, self._write_document),
            (plan.needs_login, self._make_login),
            (plan.needs_key, self._make_key),
            (bool(plan.claims_key), self._claim_key),
        ):
            if not wanted:
                continue
            try:
                outcome.prepared |= await step(seen, plan)
            except RecioError as error:
                _log.warning("account %s: %s", name, error)
                outcome.problems.append(error)
                if step == self._write_document:
                    outcome.unwritten = error
        if outcome.prepared:
            await self.books.fresh(name)
        return outcome

    async def finish(self, seen: Observed, plan: Plan, *, is_safe: bool) -> None:
        """Bring workloads, status and Events to what the plan says, and let a leaving account go.

        ``is_safe`` False: something that workloads need failed; they stay as they are.
        """
        if is_safe:
            await self._bring(plan)
        if plan.status is not None:
            await self.apply_status(seen.document, plan.status)
        for note in plan.notes:
            await self.events.post(seen.document, note, now_us=seen.now_us)
        name = seen.document["metadata"]["name"]
        if plan.releases_login:
            await self.records.leave(name)
            self.books.poke()
        if plan.finalizer is FinalizerStep.REMOVE:
            await self._set_finalizer(seen.document, is_wanted=False)

    async def bring_pool(self, plan: PoolPlan, document: Object | None, now_us: int) -> None:
        """Bring a pool's objects to what the plan says; its Events are about one of its accounts."""
        await self._bring(plan)
        if document is not None:
            for note in plan.notes:
                await self.events.post(document, note, now_us=now_us)

    async def _bring(self, plan: Plan | PoolPlan) -> None:
        for wanted in plan.apply:
            self.cluster.answered(KINDS[wanted["kind"]], await self.kube.apply(wanted))
        for kind, name in plan.delete:
            await self.kube.delete(KINDS[kind], name)
            self.cluster.cache.drop(kind, name)

    async def apply_status(self, document: Object, status: Object) -> None:
        """Apply the whole status where it differs from the live one."""
        if document.get("status") == status:
            return
        wanted = {
            "apiVersion": document["apiVersion"],
            "kind": document["kind"],
            "metadata": {"name": document["metadata"]["name"]},
            "status": status,
        }
        found = await self.kube.apply(wanted, subresource="status")
        self.cluster.answered(KINDS[document["kind"]], found)

    def forget(self, name: str) -> None:
        """An account is gone."""
        self.logins.forget(name)
        self.observer.key_problems.pop(name, None)

    async def _set_finalizer(self, document: Object, *, is_wanted: bool) -> None:
        metadata = document["metadata"]
        others = [one for one in metadata.get("finalizers") or [] if one != FINALIZER]
        patch = {
            "metadata": {
                "resourceVersion": metadata["resourceVersion"],
                "finalizers": [*others, FINALIZER] if is_wanted else others,
            }
        }
        found = await self.kube.merge(api.ACCOUNTS, metadata["name"], patch)
        if is_wanted or found.get("metadata", {}).get("finalizers"):
            self.cluster.answered(api.ACCOUNTS, found)

    async def _make_login(self, seen: Observed, _plan: Plan) -> bool:
        name = seen.document["metadata"]["name"]
        secret = names.child(name, DATABASE)
        held = await self.kube.get(api.SECRETS, secret)
        try:
            password = value_of(held, PASSWORD).decode() if held is not None else ""
        except Rejected:
            password = ""
        if not password:
            password = new_secret()
            wanted = self._secret(seen, DATABASE, {PASSWORD: password})
            held = await self.kube.apply(wanted)
        if held is not None:
            self.cluster.answered(api.SECRETS, held)
        await self.records.set_login(name, password)
        self.logins.is_right(name)
        return True

    async def _make_key(self, seen: Observed, _plan: Plan) -> bool:
        name = seen.document["metadata"]["name"]
        place = self.observer.place_of(seen.document)
        if place is None or place.environment is None:
            return False
        dollars = place.config.paper.initial_balance_dollars
        problems = self.observer.key_problems
        try:
            held = await self.paper_keys.ensure(
                place.environment, name, dollars, self._secret(seen, EXCHANGE_KEY, {})
            )
        except RecioError as error:
            is_news = problems.get(name) != str(error)
            problems[name] = str(error)
            if is_news:
                return True
            raise
        problems.pop(name, None)
        self.cluster.answered(api.SECRETS, held)
        return True

    async def _write_document(self, seen: Observed, plan: Plan) -> bool:
        document = plan.document
        name = seen.document["metadata"]["name"]
        place = self.observer.place_of(document or seen.document)
        environment = place.environment if place is not None else None
        if document is not None and environment is not None:
            await self.records.write_account(document, environment, plan.switch)
        elif plan.switch is not None and not _is_set(seen, plan.switch.state):
            await self.records.set_switch(
                name, environment.name if environment else "", plan.switch
            )
        else:
            return False
        return True

    async def _claim_key(self, seen: Observed, plan: Plan) -> bool:
        name = seen.document["metadata"]["name"]
        snapshot = self.books.snapshot
        if snapshot is not None and snapshot.key_holders.get(plan.claims_key) == name:
            return False
        holder = await self.records.claim_key(name, plan.claims_key)
        if holder is not None and await self.kube.get(api.ACCOUNTS, holder) is None:
            # Nobody is left to trade with it; the API server was asked, our cache may be late.
            await self.records.leave(holder)
            holder = await self.records.claim_key(name, plan.claims_key)
        if holder is not None:
            await self.books.fresh(holder)
        return True

    def _secret(self, seen: Observed, part: str, values: dict[str, str | bytes]) -> Object:
        document = seen.document
        name = document["metadata"]["name"]
        labels = names.labels(self.records.release.name, ACCOUNT, self.records.release.version)
        return opaque(
            names.child(name, part),
            values,
            labels=labels | {ACCOUNT_LABEL: name},
            owner=owner_of(document),
        )


def _is_set(seen: Observed, wanted: Trading) -> bool:
    """Whether the account's own switch is where it should be."""
    rows = seen.books.switches if seen.books is not None else ()
    return any(row.source == "resource" and row.state is wanted for row in rows)
