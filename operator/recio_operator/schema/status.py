"""``status`` of a TradingAccount and of the TradingFleet: what the operator reports.

Nothing in it ticks: no balances, no prices, no times of the last look. What is not known is absent.
Conditions follow the conventions of the Kubernetes API: adjectives, a reason in CamelCase, a message
for a person.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from recio.domain.field_types import Part, Trading

Generation = Annotated[int, Meta(ge=0)]


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Part, frozen=True, kw_only=True):
    """One thing that is so, is not so, or is not known."""

    type: Annotated[
        str,
        Meta(
            max_length=316,
            pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
            r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])\Z",
        ),
    ]
    """What the condition is about."""

    status: ConditionStatus
    """Whether it holds: True, False or Unknown."""

    reason: Annotated[
        str,
        Meta(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?\Z"),
    ]
    """Why, as one word in CamelCase for programs; the runbook has an entry for each."""

    message: Annotated[str, Meta(max_length=32_768)]
    """Why, for a person: what is wrong and how to mend it."""

    last_transition_time: datetime
    """Since when the status is what it is."""

    observed_generation: Generation | None = None
    """The generation of the resource that was looked at."""


ConditionList = Annotated[
    tuple[Condition, ...],
    Meta(
        max_length=16,
        extra_json_schema={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    ),
]


class TradingSource(Part, frozen=True, kw_only=True):
    """One switch that is not Active."""

    source: Annotated[str, Meta(min_length=1, max_length=128)]
    """Who set it and must release it: resource, fleet, ui, or breaker:<service>."""

    state: Trading
    """Its position."""

    reason: Annotated[str, Meta(max_length=1024)] = ""
    """Why, in the words of who set it."""

    since: datetime | None = None
    """Since when it has this position."""


class TradingStatus(Part, frozen=True, kw_only=True):
    """All switches together."""

    effective: Trading
    """The strictest position of all switches: what counts."""

    sources: Annotated[tuple[TradingSource, ...], Meta(max_length=8)] = ()
    """The switches that are not Active, strictest first."""


class AccountStatus(Part, frozen=True, kw_only=True):
    """What the operator sees of the account. It holds no balances and nothing that ticks."""

    observed_generation: Generation | None = None
    """The generation of the spec that the operator has looked at last."""

    effective_generation: Generation | None = None
    """The generation of the spec that the account's services work by. It lags behind while a change
    waits until the account is flat.
    """

    trading: TradingStatus | None = None
    """The strictest switch, and who set which."""

    workloads: Annotated[str, Meta(max_length=16, pattern=r"^[0-9]+/[0-9]+\Z")] | None = None
    """Deployments that are ready, of those that there should be, such as 6/6."""

    flat: bool | None = None
    """Whether the account has neither positions nor orders; absent: not known."""

    image: Annotated[str, Meta(max_length=512)] | None = None
    """The image that the account's pods run."""

    operator_version: Annotated[str, Meta(max_length=64)] | None = None
    """The version of the operator that wrote this."""

    credentials_hash: Annotated[str, Meta(max_length=128)] | None = None
    """A hash of the key that the pods use, never the key: it tells whether a rotation is through."""

    conditions: ConditionList = ()
    """Ready, CredentialsValid, DatabaseReady, ExchangeReachable, TradingEnabled, Reconciled,
    Progressing, Overridden and ReconciliationPaused, all from the first visit. Ready sums up.
    """


class FleetStatus(Part, frozen=True, kw_only=True):
    """What the operator sees of the fleet."""

    observed_generation: Generation | None = None
    """The generation of the spec that the operator has looked at last."""

    trading: TradingStatus | None = None
    """The strictest switch over all accounts, and who set which."""

    accounts: Generation | None = None
    """How many TradingAccounts there are."""

    conditions: ConditionList = ()
    """Ready and Reconciled, from the first visit."""
