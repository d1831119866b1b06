"""The fields of the TradingAccount and TradingFleet documents, with their bounds and defaults.

Numbers are integers with the unit in the name; every list and map is bounded. The same names in
camelCase are the document's. Rules between fields are in ``account_rules``; limits in
``risk_fields``, the strategy in ``strategy_fields``.

The text under a field is its manual (``kubectl explain``, docs/settings.md). ``Takes effect:`` ends
it with when a change counts; a field without one has that of the field above it.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from recio.domain.field_types import (
    AccountName,
    Day,
    DeletionPolicy,
    Dollars,
    LabelKey,
    LabelValue,
    Mode,
    ObjectName,
    PaperSource,
    Part,
    Quantities,
    RolloutPolicy,
    Series,
    TaintEffect,
    TolerationOperator,
    Topology,
    Trading,
)
from recio.domain.risk_fields import FleetRisk, Risk
from recio.domain.strategy_fields import Strategy


class SecretRef(Part, frozen=True, kw_only=True):
    """The Secret with the keys ``key-id`` and ``private-key``."""

    name: ObjectName
    """The Secret, in the account's namespace, with the keys key-id and private-key (PEM)."""


class Paper(Part, frozen=True, kw_only=True):
    """The paper exchange of this account: its books belong to it, so both fields are immutable."""

    source: PaperSource = PaperSource.RECORDING
    """Where the paper exchange's prices come from. Takes effect: never, it is immutable: the
    account's books belong to one exchange. Make another account for the other source.
    """

    initial_balance_dollars: Dollars = 1000
    """The imagined cash that the account begins with, in dollars. Takes effect: never, it is
    immutable. Make another account for another balance.
    """


class RolloutWindow(Part, frozen=True, kw_only=True):
    """A time of the week in which a rollout may begin."""

    start_time: Annotated[str, Meta(max_length=5, pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z")]
    """When the window opens: HH:MM, 24 hours, in quotes, local time of timeZone."""

    duration_minutes: Annotated[int, Meta(ge=10, le=720)]
    """How long it stays open, in minutes."""

    days: Annotated[tuple[Day, ...], Meta(max_length=7)] = ()
    """The days on which it opens; none: every day."""

    time_zone: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            pattern=r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*)*\Z",
        ),
    ] = "UTC"
    """The zone of startTime, such as America/New_York; daylight saving is followed."""


class Rollout(Part, frozen=True, kw_only=True):
    """How a changed image or pod template reaches a running account."""

    policy: RolloutPolicy = RolloutPolicy.WHEN_FLAT
    """When running pods may be replaced."""

    deadline_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 7200
    """Seconds after which WhenFlat replaces them although the account is not flat; 0: never by
    force.
    """

    windows: Annotated[tuple[RolloutWindow, ...], Meta(max_length=8)] = ()
    """When a rollout may begin; none: at any time."""


class Toleration(Part, frozen=True, kw_only=True):
    """A Kubernetes toleration, passed on as it is."""

    key: LabelKey | None = None
    """The taint's key; left out: every key, and operator must be Exists."""

    operator: TolerationOperator = TolerationOperator.EQUAL
    """How key and value meet those of the taint."""

    value: LabelValue = ""
    """The taint's value; not with operator Exists."""

    effect: TaintEffect | None = None
    """The taint's effect; left out: every effect."""

    toleration_seconds: Annotated[int, Meta(ge=0, le=86_400)] | None = None
    """Seconds that the pod stays after the taint came; only with effect NoExecute."""


class Resources(Part, frozen=True, kw_only=True):
    """Kubernetes resource quantities by name, as quoted strings."""

    requests: Quantities = msgspec.field(default_factory=dict)
    """What is reserved on the node, as text: cpu "100m", memory "256Mi", ephemeral-storage "1Gi"."""

    limits: Quantities = msgspec.field(default_factory=dict)
    """The most that is granted, as requests are written; at least the request."""


class Pod(Part, frozen=True, kw_only=True):
    """Where and with what the account's pods run."""

    node_selector: Annotated[dict[LabelKey, LabelValue], Meta(max_length=16)] = msgspec.field(
        default_factory=dict
    )
    """Labels that a node must have."""

    tolerations: Annotated[tuple[Toleration, ...], Meta(max_length=16)] = ()
    """Taints of nodes that are no obstacle."""

    priority_class_name: ObjectName | None = None
    """The PriorityClass of the pods; left out: the release's."""

    resources: Resources = Resources()
    """Requests and limits of each of the account's pods; left out: the release's, which were
    measured.
    """


class AccountSpec(Part, frozen=True, kw_only=True):
    """What one account trades, on which exchange, within which limits."""

    mode: Mode = Mode.PAPER
    """Against which exchange, and with whose money. Takes effect: never, it is immutable. Make
    another account for another mode.
    """

    arming: LabelValue | None = None
    """The safety catch of mode prod: must be the account's own name, so that nobody arms an account
    by copying a file; other modes do not read it. Takes effect: at once; removing it leaves a prod
    account ReduceOnly.
    """

    credentials_secret_ref: SecretRef | None = None
    """The key of the exchange account: required in shadow, demo and prod, forbidden in paper. One
    key serves one account. Takes effect: by a rotation: the pods restart with the new key when no
    order is in flight.
    """

    paper: Paper = Paper()
    """The paper exchange of this account; a shadow begins with its balance, other modes do not read
    it. Takes effect: never, both fields are immutable.
    """

    series: Annotated[tuple[Series, ...], Meta(min_length=1, max_length=4)] = (Series.KXBTCD,)
    """The series of event contracts that the account may trade, each once. Takes effect: at once
    for a series that is added, when the account is flat for one that is removed.
    """

    trading: Trading = Trading.ACTIVE
    """The account's own switch. The fleet, a person on the page and each breaker have one too; the
    strictest counts (status.trading), and each is released only where it was set. Takes effect: at
    once.
    """

    suspend: bool = False
    """Scale the account's pods to zero and keep its data, once it is flat or Halted. Takes effect:
    at once.
    """

    topology: Topology = Topology.PER_SERVICE
    """How the account's services are spread over Deployments. Takes effect: when the account is
    flat.
    """

    deletion_policy: DeletionPolicy = DeletionPolicy.CANCEL_ORDERS
    """What happens at the exchange when the account is deleted. Takes effect: at once."""

    deletion_timeout_seconds: Annotated[int, Meta(ge=30, le=3600)] = 300
    """Seconds that a deletion may work on deletionPolicy; then it gives up with a warning event and
    the account goes. RefuseWhileOpen has no such end. Takes effect: at once.
    """

    image: Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[!-~]+\Z")] | None = None
    """The image of the account's services, by tag or digest; left out: the release's. Takes effect:
    as rollout says.
    """

    rollout: Rollout = Rollout()
    """How a changed image or pod template reaches a running account. Takes effect: at once."""

    pod: Pod = Pod()
    """Where and with what the account's pods run. Takes effect: as rollout says."""

    risk: Risk = Risk()
    """The account's limits; must be written down in mode prod. A person may tighten them on the
    page, not loosen them. Takes effect: at once, tighter or looser; each change is in the audit
    trail.
    """

    strategy: Strategy = Strategy()
    """What the account trades on. Takes effect: as each field says."""


class AccountConfig(AccountSpec, frozen=True, kw_only=True):
    """A TradingAccount: its name (the account's identity everywhere) and its spec."""

    name: AccountName


class FleetConfig(Part, frozen=True, kw_only=True):
    """The switch and the limits over all accounts of a release."""

    trading: Trading = Trading.ACTIVE
    """The switch over all accounts; the strictest of it and each account's own counts. Takes
    effect: at once.
    """

    risk: FleetRisk = FleetRisk()
    """Limits over all accounts together, beside each account's own; what is left out is no limit.
    Takes effect: at once.
    """
