"""What one reconcile decides: values only. ``reconcile`` carries it out and decides nothing.

Observe (read everything once) → ``plan_account`` (pure) → act (in the order of the fields below).
Every step is idempotent, so a reconcile that is cut short is simply made again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from recio.domain.account_config import Trading

Object = dict[str, Any]


class FinalizerStep(StrEnum):
    """What happens to our finalizer."""

    KEEP = "keep"
    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A Kubernetes Event to post because something changed. ``reason`` is CamelCase."""

    kind: str
    """Normal or Warning."""
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchOrder:
    """The position of the account's own (``resource``) switch row, where it is not the document's.

    While an account leaves, it is held at Halted or Flatten whatever its spec says.
    """

    state: Trading
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything to do for one account now, in this order.

    ``document``: what ``apply_account`` is to write (the resource with held-back fields as they
    were), None: nothing (refused document, paused, database unknown). ``switch`` overrides the
    document's own switch position. ``claims_key``: the key digest must be claimed before workloads
    get it. ``apply`` and ``delete`` are children that differ from what is wanted (never one that
    already says it). ``status`` is the whole status, applied when it differs from the live one.
    ``requeue_seconds``: look again by then even if nothing happens; None: only when something does.
    The finalizer is added before everything else and removed after everything else.
    """

    finalizer: FinalizerStep = FinalizerStep.KEEP
    needs_login: bool = False
    needs_key: bool = False
    """A paper account has no key yet, or the exchange simulator does not know it: make it, tell it."""
    document: Object | None = None
    switch: SwitchOrder | None = None
    claims_key: str = ""
    apply: tuple[Object, ...] = ()
    delete: tuple[tuple[str, str], ...] = ()
    status: Object | None = None
    notes: tuple[Note, ...] = ()
    requeue_seconds: float | None = None
    releases_login: bool = False
    """At the end of leaving: the key is free for others, the login cannot log in any more."""

    @property
    def is_nothing(self) -> bool:
        """Whether carrying it out changes nothing anywhere."""
        return self == Plan(requeue_seconds=self.requeue_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlan:
    """Everything to do for one pool now: as the fields of ``Plan``."""

    apply: tuple[Object, ...] = ()
    delete: tuple[tuple[str, str], ...] = ()
    notes: tuple[Note, ...] = ()
    requeue_seconds: float | None = None
