"""What one reconcile found and decided about an account: what conditions, status and Events tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from recio.domain.account_config import AccountConfig
from recio_operator import names
from recio_operator.planning.differing import differs, digest
from recio_operator.planning.observed import KeyState, Object, Observed
from recio_operator.planning.rollout import Hold, Settled
from recio_operator.release import Environment, Release

SYNC: Final = "kalshi-account-sync"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A condition's content. ``status`` None is Unknown."""

    status: bool | None
    reason: str
    message: str = ""


def yes(reason: str, message: str = "") -> Finding:
    """Return that a condition holds."""
    return Finding(status=True, reason=reason, message=message)


def no(reason: str, message: str = "") -> Finding:
    """Return that a condition does not hold."""
    return Finding(status=False, reason=reason, message=message)


def unknown(reason: str, message: str = "") -> Finding:
    """Return that it is not known whether a condition holds."""
    return Finding(status=None, reason=reason, message=message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that is told.

    ``config`` None: the document is refused, and ``refusal`` says why. ``waiting``: what Progressing
    says of a change that is held. ``leaving``: the account is being deleted, and how far it is.
    ``is_in_place``: all of the document counts, as far as the operator can do it now.
    """

    observed: Observed
    release: Release
    config: AccountConfig | None = None
    environment: Environment | None = None
    refusal: Finding | None = None
    settled: tuple[Settled, ...] = ()
    expected: int = 0
    waiting: Finding | None = None
    held_fields: tuple[str, ...] = ()
    is_in_place: bool = False
    is_rotating: bool = False
    is_suspended: bool = False
    is_paused: bool = False
    leaving: Finding | None = None

    @property
    def has_good_key(self) -> bool:
        """Whether pods may have the key."""
        key = self.observed.key
        return key is not None and key.state is KeyState.VALID

    @property
    def ready(self) -> int:
        """How many Deployments are ready."""
        return sum(is_ready(one) for one in self.settled)

    @property
    def is_all_ready(self) -> bool:
        """Whether everything that should run is ready."""
        return 0 < self.expected == self.ready

    @property
    def sync_reason(self) -> str | None:
        """Why the pod with the account sync is not ready; "" if it is, None if there is none."""
        for component in (SYNC, names.COMPACT, names.POOL):
            if component in self.observed.pods:
                return self.observed.pods[component]
        return None

    @property
    def short_key(self) -> str | None:
        """The digest of the key as the status shows it."""
        key = self.observed.key
        return short(key.digest) if key is not None and key.digest else None


def short(digest_of_key: str) -> str:
    """Return a digest of the digest: enough to compare, and nothing to try keys against."""
    return digest(["credentials", digest_of_key])[:12]


def is_ready(settled: Settled) -> bool:
    """Return whether a Deployment's pod runs as wanted and is ready."""
    return is_rolled_out(settled) and status_of(settled, "readyReplicas") > 0


def is_rolled_out(settled: Settled) -> bool:
    """Return whether the live pods are made from the template that is applied."""
    live = settled.live
    if live is None or settled.hold in (Hold.ROLLS, Hold.ROTATES):
        return False
    generation = int(live["metadata"].get("generation", 0))
    is_seen = status_of(settled, "observedGeneration") >= generation
    wanted = settled.deployment["spec"]
    if differs({"replicas": wanted["replicas"]}, live["spec"]):
        return False
    return is_seen and status_of(settled, "updatedReplicas") >= int(wanted["replicas"])


def status_of(settled: Settled, field: str) -> int:
    """Return a number of a live Deployment's status."""
    live: Mapping[str, Any] = settled.live or {}
    return int((live.get("status") or {}).get(field) or 0)


def as_they_are(deployments: Iterable[Object]) -> tuple[Settled, ...]:
    """Return live Deployments that nobody touches now."""
    return tuple(Settled(one, Hold.NONE, one) for one in deployments)
