"""The settings of an account's strategy: when it enters, when it stops, how much it asks for.

A person may move these on the page inside the document's bounds; the condition Overridden says so.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from recio.domain.field_types import (
    DataKey,
    Model,
    ObjectName,
    Part,
    Seconds,
    ShortText,
    SizingMethod,
    StopBasisPoints,
    StrategyName,
)


class ConfigMapKeyRef(Part, frozen=True, kw_only=True):
    """One key of a ConfigMap."""

    name: ObjectName
    """The ConfigMap, in the account's namespace."""

    key: DataKey
    """The key whose text is the Python source."""


class CustomStrategy(Part, frozen=True, kw_only=True):
    """A strategy of one's own: a Python class in a ConfigMap."""

    config_map_ref: ConfigMapKeyRef
    """Where the source of the strategy is; without it nothing is entered, and exits go on."""

    class_name: Annotated[
        str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z")
    ]
    """The class in that source."""

    parameters: Annotated[dict[ShortText, ShortText], Meta(max_length=32)] = msgspec.field(
        default_factory=dict
    )
    """What the class is made with: text by name; what it means is the strategy's business."""


class AutoEntry(Part, frozen=True, kw_only=True):
    """When automation may open a trade."""

    enabled: bool = False
    """Whether trades are opened without a person. Stops and exits do not depend on it."""

    allow_reentry: bool = False
    """Whether a market's side may be entered again after its trade is over; false: once an event."""

    min_probability_permille: Annotated[int, Meta(ge=500, le=999)] = 950
    """The least probability, in thousandths, that the side to be bought has: by the model, or by a
    strategy of one's own.
    """

    min_net_edge_basis_points: Annotated[int, Meta(ge=-1000, le=1000)] = 25
    """The least expected gain of a $1 contract after the taker fee, in hundredths of a cent: 25 is
    a quarter of a cent. Below zero a trade is expected to lose.
    """

    min_seconds_to_close: Seconds = 120
    """Entries end this many seconds before the event closes; at most maxSecondsToClose."""

    max_seconds_to_close: Seconds = 900
    """Entries begin this many seconds before the event closes."""

    cooldown_seconds: Seconds = 10
    """Seconds between two attempts to enter the same side of the same market."""

    min_volume_contracts: Annotated[int, Meta(ge=0, le=1_000_000)] = 1000
    """The least number of contracts that the market has traded so far; 0: any."""


class SpikeAlert(Part, frozen=True, kw_only=True):
    """A burst of momentum pauses entries until it has been calm for the cool-down."""

    enabled: bool = True
    """Whether bursts of momentum pause entries."""

    enter_basis_points: StopBasisPoints = 36
    """The momentum, up or down, in hundredths of a percent, that begins the pause."""

    leave_basis_points: Annotated[int, Meta(ge=0, le=100)] = 30
    """The momentum, in hundredths of a percent, below which it counts as calm; below
    enterBasisPoints.
    """

    cooldown_minutes: Annotated[int, Meta(ge=0, le=180)] = 15
    """Minutes of calm, without a break, that end the pause."""


class ProbabilityStop(Part, frozen=True, kw_only=True):
    """Close a trade whose own probability stays below a limit."""

    enabled: bool = True
    """Whether trades are closed for their probability."""

    below_permille: Annotated[int, Meta(ge=10, le=990)] = 400
    """The probability of the trade's own side, in thousandths, below which it is to be closed."""

    min_seconds_to_close: Seconds = 60
    """Nearer to the event's close than this many seconds a trade is left to settle."""

    verify_seconds: Annotated[int, Meta(ge=0, le=60)] = 15
    """Seconds that the probability must stay below the limit without a break."""


class MomentumStop(Part, frozen=True, kw_only=True):
    """Close trades that a momentum runs against."""

    enabled: bool = True
    """Whether trades are closed for momentum."""

    threshold_basis_points: StopBasisPoints = 36
    """The momentum against the trade's side, in hundredths of a percent, that closes it at once."""


class AutoStop(Part, frozen=True, kw_only=True):
    """The two automatic stops. They work without the page, and without automatic entry."""

    probability: ProbabilityStop = ProbabilityStop()
    """Close a trade whose own probability stays below a limit."""

    momentum: MomentumStop = MomentumStop()
    """Close trades that a momentum runs against, at once."""


class Sizing(Part, frozen=True, kw_only=True):
    """How many contracts one entry asks for."""

    method: SizingMethod = SizingMethod.FIXED
    """How the number is found."""

    contracts: Annotated[int, Meta(ge=1, le=10_000)] = 1
    """The number of contracts of Fixed, and the most of CappedKelly and of a strategy of one's own;
    risk.maxContractsPerOrder limits all of them.
    """

    kelly_permille: Annotated[int, Meta(ge=1, le=250)] = 100
    """The fraction of the full Kelly stake that CappedKelly takes, in thousandths; strikes of one
    event share it.
    """


class Strategy(Part, frozen=True, kw_only=True):
    """What the account trades on."""

    name: StrategyName = StrategyName.HOURLY_HTC
    """Which rules decide. Takes effect: when the account is flat."""

    model: Model = Model.VOLATILITY
    """Where probabilities come from. Takes effect: at once; every decision records its model."""

    custom: CustomStrategy | None = None
    """A strategy of one's own; with the name Custom, and only with it. Takes effect: when the
    account is flat.
    """

    auto_entry: AutoEntry = AutoEntry()
    """When automation may open a trade. Off until you switch it on. Takes effect: at once."""

    spike_alert: SpikeAlert = SpikeAlert()
    """A burst of momentum pauses entries until it has been calm for a while. Takes effect: at once."""

    auto_stop: AutoStop = AutoStop()
    """The automatic stops of open trades. Takes effect: at once."""

    sizing: Sizing = Sizing()
    """How many contracts one entry asks for. Takes effect: at once."""
