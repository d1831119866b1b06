"""What the operator knows of an account beyond its document: values in, nothing of how they came.

Everything that may be unknown is None: an unreachable database makes conditions Unknown and
restarts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from recio.domain.account_config import Trading

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

    ``detail`` says what is wrong and how to mend it, without anything secret.
    """

    state: KeyState
    secret: str = ""
    digest: str = ""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Everything that one reconcile looks at, read once at its start.

    ``document`` is the resource as the API server gave it. ``children`` are the live objects by
    (kind, name). ``books`` None: PostgreSQL cannot be asked, and ``books_reason`` why.
    ``pods`` maps a pod's component to why it is not ready ("" = ready).
    """

    document: Object
    now_us: int
    children: dict[tuple[str, str], Object] = field(default_factory=dict)
    key: Key | None = None
    books: Books | None = None
    books_reason: str = ""
    has_login: bool = False
    """Whether the account's database login and its Secret exist."""
    fleet_trading: Trading = Trading.ACTIVE
    pool_is_flat: bool | None = None
    """For Pooled accounts: whether every account of the pool is flat; None: unknown."""
    pods: dict[str, str] = field(default_factory=dict)
