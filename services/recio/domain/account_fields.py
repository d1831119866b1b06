"""The fields of the TradingAccount and TradingFleet documents, with their bounds and defaults.

Numbers are integers with the unit in the name; every list and map is bounded. The same names in
camelCase are the document's. Rules between fields are in ``account_config``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta


class Mode(StrEnum):
    """Against which exchange, and with whose money."""

    PAPER = "paper"
    SHADOW = "shadow"
    DEMO = "demo"
    PROD = "prod"


class Trading(StrEnum):
    """A switch's position, from mild to hard; Flatten closes everything and then is Halted."""

    ACTIVE = "Active"
    NO_NEW_ENTRIES = "NoNewEntries"
    REDUCE_ONLY = "ReduceOnly"
    HALTED = "Halted"
    FLATTEN = "Flatten"


class PaperSource(StrEnum):
    """Where the paper exchange's prices come from."""

    RECORDING = "Recording"
    LIVE_FEED = "LiveFeed"


class Series(StrEnum):
    """Series of event contracts that an account may trade."""

    KXBTCD = "KXBTCD"
    KXBTC15M = "KXBTC15M"
    KXETHD = "KXETHD"
    KXETH15M = "KXETH15M"


class Topology(StrEnum):
    """How an account's services are spread over workloads."""

    PER_SERVICE = "PerService"
    COMPACT = "Compact"
    POOLED = "Pooled"


class DeletionPolicy(StrEnum):
    """What happens at the exchange when the account is deleted."""

    CANCEL_ORDERS = "CancelOrders"
    FLATTEN = "Flatten"
    REFUSE_WHILE_OPEN = "RefuseWhileOpen"
    ORPHAN = "Orphan"


class RolloutPolicy(StrEnum):
    """When a new image may replace a running trader."""

    WHEN_FLAT = "WhenFlat"
    IMMEDIATELY = "Immediately"
    MANUAL = "Manual"


class Day(StrEnum):
    """Days of a rollout window."""

    MONDAY = "Monday"
    TUESDAY = "Tuesday"
    WEDNESDAY = "Wednesday"
    THURSDAY = "Thursday"
    FRIDAY = "Friday"
    SATURDAY = "Saturday"
    SUNDAY = "Sunday"


class OnBreach(StrEnum):
    """The switch that a breached loss limit sets."""

    NO_NEW_ENTRIES = "NoNewEntries"
    REDUCE_ONLY = "ReduceOnly"
    HALTED = "Halted"
    FLATTEN = "Flatten"


class StrategyName(StrEnum):
    """Built-in strategies, and the door for one's own."""

    HOURLY_HTC = "HourlyHTC"
    CUSTOM = "Custom"


class Model(StrEnum):
    """Where probabilities come from."""

    VOLATILITY = "Volatility"
    FINGERPRINTS = "Fingerprints"
    BLEND = "Blend"


class SizingMethod(StrEnum):
    """How many contracts an entry asks for."""

    FIXED = "Fixed"
    CAPPED_KELLY = "CappedKelly"


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Common form of all parts: frozen, by keyword, camelCase in the document."""


Dollars = Annotated[int, Meta(ge=1, le=1_000_000)]
Seconds = Annotated[int, Meta(ge=0, le=3600)]
ObjectName = Annotated[str, Meta(min_length=1, max_length=253)]
LabelValue = Annotated[str, Meta(max_length=63)]
ShortText = Annotated[str, Meta(max_length=253)]
AgeMilliseconds = Annotated[int, Meta(ge=500, le=15_000)]
ContractsTotal = Annotated[int, Meta(ge=1, le=100_000)]
OpenTrades = Annotated[int, Meta(ge=1, le=100)]
OrdersPerMinute = Annotated[int, Meta(ge=1, le=300)]
PriceCents = Annotated[int, Meta(ge=1, le=99)]
AccountName = Annotated[
    str, Meta(min_length=1, max_length=32, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z")
]


class SecretRef(Part, frozen=True, kw_only=True):
    """The Secret with the keys ``key-id`` and ``private-key``."""

    name: ObjectName


class Paper(Part, frozen=True, kw_only=True):
    """The paper exchange of this account. The balance is immutable, the source changes when flat."""

    source: PaperSource = PaperSource.RECORDING
    initial_balance_dollars: Dollars = 1000


class RolloutWindow(Part, frozen=True, kw_only=True):
    """When a rollout may happen, in local time of ``time_zone``; no days means every day."""

    start_time: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z")]
    duration_minutes: Annotated[int, Meta(ge=10, le=720)]
    days: Annotated[tuple[Day, ...], Meta(max_length=7)] = ()
    time_zone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"


class Rollout(Part, frozen=True, kw_only=True):
    """How a changed image reaches the account. ``deadline_seconds`` 0: never by force."""

    policy: RolloutPolicy = RolloutPolicy.WHEN_FLAT
    deadline_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 7200
    windows: Annotated[tuple[RolloutWindow, ...], Meta(max_length=8)] = ()


class Toleration(Part, frozen=True, kw_only=True):
    """A Kubernetes toleration, passed on as it is."""

    key: LabelValue = ""
    operator: Annotated[str, Meta(pattern=r"^(Equal|Exists)\Z")] = "Equal"
    value: LabelValue = ""
    effect: Annotated[str, Meta(pattern=r"^(|NoSchedule|PreferNoSchedule|NoExecute)\Z")] = ""
    toleration_seconds: Annotated[int, Meta(ge=0, le=86_400)] | None = None


Quantities = Annotated[dict[LabelValue, LabelValue], Meta(max_length=8)]


class Resources(Part, frozen=True, kw_only=True):
    """Kubernetes resource quantities by name, as quoted strings."""

    requests: Quantities = {}
    limits: Quantities = {}


class Pod(Part, frozen=True, kw_only=True):
    """Where and with what the account's pods run."""

    node_selector: Annotated[dict[ShortText, LabelValue], Meta(max_length=16)] = {}
    tolerations: Annotated[tuple[Toleration, ...], Meta(max_length=16)] = ()
    priority_class_name: ShortText | None = None
    resources: Resources = Resources()


class Risk(Part, frozen=True, kw_only=True):
    """The account's limits. Each counts what is in flight at its worst case.

    ``max_daily_loss_dollars`` is realised and after fees over a New York day;
    ``max_drawdown_dollars`` is equity below its highest value.
    """

    max_contracts_per_order: Annotated[int, Meta(ge=1, le=10_000)] = 10
    max_contracts_per_event: ContractsTotal = 50
    max_contracts_total: ContractsTotal = 100
    max_cost_per_event_dollars: Dollars = 50
    max_cost_total_dollars: Dollars = 100
    max_open_trades: OpenTrades = 3
    max_orders_per_minute: OrdersPerMinute = 30
    max_daily_loss_dollars: Dollars = 25
    max_drawdown_dollars: Dollars = 100
    min_price_cents: PriceCents = 1
    max_price_cents: PriceCents = 98
    max_price_age_milliseconds: AgeMilliseconds = 3000
    max_book_age_milliseconds: AgeMilliseconds = 5000
    on_breach: OnBreach = OnBreach.REDUCE_ONLY


class ConfigMapKeyRef(Part, frozen=True, kw_only=True):
    """One key of a ConfigMap."""

    name: ObjectName
    key: ObjectName


class CustomStrategy(Part, frozen=True, kw_only=True):
    """A strategy of one's own: a Python class in a ConfigMap."""

    config_map_ref: ConfigMapKeyRef
    class_name: Annotated[str, Meta(min_length=1, max_length=64)]
    parameters: Annotated[dict[ShortText, ShortText], Meta(max_length=32)] = {}


class AutoEntry(Part, frozen=True, kw_only=True):
    """When automation may open a trade. The edge is per $1 contract, after the taker fee."""

    enabled: bool = False
    allow_reentry: bool = False
    min_probability_permille: Annotated[int, Meta(ge=500, le=999)] = 950
    min_net_edge_basis_points: Annotated[int, Meta(ge=-1000, le=1000)] = 25
    min_seconds_to_close: Seconds = 120
    max_seconds_to_close: Seconds = 900
    cooldown_seconds: Seconds = 10
    min_volume_contracts: Annotated[int, Meta(ge=0, le=1_000_000)] = 1000


class SpikeAlert(Part, frozen=True, kw_only=True):
    """Momentum beyond ``enter`` pauses entries until it is within ``leave`` for the cool-down."""

    enabled: bool = True
    enter_basis_points: Annotated[int, Meta(ge=10, le=100)] = 36
    leave_basis_points: Annotated[int, Meta(ge=0, le=100)] = 30
    cooldown_minutes: Annotated[int, Meta(ge=0, le=180)] = 15


class ProbabilityStop(Part, frozen=True, kw_only=True):
    """Close a trade whose own probability stays below the limit for ``verify_seconds``."""

    enabled: bool = True
    below_permille: Annotated[int, Meta(ge=10, le=990)] = 400
    min_seconds_to_close: Seconds = 60
    verify_seconds: Annotated[int, Meta(ge=0, le=60)] = 15


class MomentumStop(Part, frozen=True, kw_only=True):
    """Close trades that a momentum beyond the threshold runs against."""

    enabled: bool = True
    threshold_basis_points: Annotated[int, Meta(ge=10, le=100)] = 36


class AutoStop(Part, frozen=True, kw_only=True):
    """The two automatic stops."""

    probability: ProbabilityStop = ProbabilityStop()
    momentum: MomentumStop = MomentumStop()


class Sizing(Part, frozen=True, kw_only=True):
    """Contracts of one entry. ``kelly_permille`` is the fraction of the full Kelly stake."""

    method: SizingMethod = SizingMethod.FIXED
    contracts: Annotated[int, Meta(ge=1, le=10_000)] = 1
    kelly_permille: Annotated[int, Meta(ge=1, le=250)] = 100


class Strategy(Part, frozen=True, kw_only=True):
    """What the account trades on."""

    name: StrategyName = StrategyName.HOURLY_HTC
    model: Model = Model.VOLATILITY
    custom: CustomStrategy | None = None
    auto_entry: AutoEntry = AutoEntry()
    spike_alert: SpikeAlert = SpikeAlert()
    auto_stop: AutoStop = AutoStop()
    sizing: Sizing = Sizing()


class AccountSpec(Part, frozen=True, kw_only=True):
    """``spec`` of a TradingAccount."""

    mode: Mode = Mode.PAPER
    arming: LabelValue | None = None
    credentials_secret_ref: SecretRef | None = None
    paper: Paper = Paper()
    series: Annotated[tuple[Series, ...], Meta(min_length=1, max_length=4)] = (Series.KXBTCD,)
    trading: Trading = Trading.ACTIVE
    suspend: bool = False
    topology: Topology = Topology.PER_SERVICE
    deletion_policy: DeletionPolicy = DeletionPolicy.CANCEL_ORDERS
    deletion_timeout_seconds: Annotated[int, Meta(ge=30, le=3600)] = 300
    image: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    rollout: Rollout = Rollout()
    pod: Pod = Pod()
    risk: Risk = Risk()
    strategy: Strategy = Strategy()


class AccountConfig(AccountSpec, frozen=True, kw_only=True):
    """A TradingAccount: its name (the account's identity everywhere) and its spec."""

    name: AccountName


class FleetRisk(Part, frozen=True, kw_only=True):
    """Limits over all accounts of a release; None: no limit of the fleet's own."""

    max_cost_total_dollars: Dollars | None = None
    max_daily_loss_dollars: Dollars | None = None
    max_open_trades: OpenTrades | None = None
    max_orders_per_minute: OrdersPerMinute | None = None


class FleetConfig(Part, frozen=True, kw_only=True):
    """``spec`` of the one TradingFleet: the switch and the limits over all accounts."""

    trading: Trading = Trading.ACTIVE
    risk: FleetRisk = FleetRisk()
