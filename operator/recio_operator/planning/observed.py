"""What the operator knows of an account beyond its document: values in, nothing of how they came.

Everything that may be unknown is None: an unreachable database makes conditions Unknown and
restarts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from recio.domain.account_config import Mode, Trading, strictest

Object = dict[str, Any]


class KeyState(StrEnum):
    """What is known of an account's API key."""

    VALID = "Valid"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 (a reason, not a secret)
    KEY_MISSING = "KeyMissing"
    KEY_BROKEN = "KeyBroken"
    KEY_IN_USE = "KeyInUse"
    REGISTRATION_FAILED = "RegistrationFailed"
    """A paper account's new key could not be told to the exchange simulator yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The API key: ``digest`` (never the key) of the Secret that pods would mount now.

    ``secret`` is its name; ``digest`` is of both its values, so that a new private key counts;
    ``id_digest`` is the SHA-256 of the key id, by which two accounts with one key are found.
    ``detail`` says what is wrong and how to mend it, without anything secret.
    """

    state: KeyState
    secret: str = ""
    digest: str = ""
    id_digest: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchSource:
    """One latched switch row that concerns the account."""

    source: str
    state: Trading
    reason: str
    since_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What PostgreSQL says of the account."""

    is_flat: bool
    live_orders: int
    open_trades: int
    executor: str | None
    switches: tuple[SwitchSource, ...] = ()
    has_overrides: bool = False
    applied_spec: Object | None = None
    """``spec`` of the document that services read now."""

    @property
    def is_at_rest(self) -> bool:
        """Whether there is neither a position nor an order that may still bring fills."""
        return self.is_flat and self.live_orders == 0

    @property
    def trading(self) -> Trading:
        """The strictest of all switches."""
        return strictest(*(row.state for row in self.switches))


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Everything that one reconcile looks at, read once at its start.

    ``document`` is the resource as the API server gave it. ``children`` are the live objects by
    (kind, name), those that carry the account's label; of a Pooled account and of one that a pool
    still hosts also the pool's Deployment. ``books`` None with a ``books_reason``: PostgreSQL cannot
    be asked, and why; without one: it answered that it has no such account yet.
    ``pods`` maps the component label of each pod that still exists, terminating or not, to why it
    is not ready: "" if it is ready, else ``Reason: text``, the container's waiting reason first
    (``CrashLoopBackOff: back-off 40 s``), else what its readiness probe answered.
    """

    document: Object
    now_us: int
    children: dict[tuple[str, str], Object] = field(default_factory=dict)
    key: Key | None = None
    books: Books | None = None
    books_reason: str = ""
    has_login: bool = False
    """Whether the account's database login and its Secret exist."""
    pods: dict[str, str] = field(default_factory=dict)

    @property
    def is_database_known(self) -> bool:
        """Whether PostgreSQL answered."""
        return self.books is not None or not self.books_reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPool:
    """What one look at a pool sees.

    ``members`` are all accounts of the environment and mode that are Pooled by their document or
    that the live pool hosts (``pooling.hosted_accounts``), each as its own reconcile sees it.
    """

    environment: str
    mode: Mode
    now_us: int
    members: tuple[Observed, ...] = ()
    children: dict[tuple[str, str], Object] = field(default_factory=dict)
