"""The choices and the scalar types that the fields of the documents are made of.

A text under a member or a field is its manual: ``kubectl explain``, docs/settings.md and the custom
resource definitions are made from it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta


class Mode(StrEnum):
    """Against which exchange, and with whose money."""

    PAPER = "paper"
    """the built-in exchange and imagined money; no key, no network"""
    SHADOW = "shadow"
    """live books of the real exchange, real decisions, imagined fills; no order is sent"""
    DEMO = "demo"
    """the exchange's demo site: real wire, play money"""
    PROD = "prod"
    """real money"""


class Trading(StrEnum):
    """A switch's position, from mild to hard; Flatten closes everything and then is Halted."""

    ACTIVE = "Active"
    """entries and exits"""
    NO_NEW_ENTRIES = "NoNewEntries"
    """no new position; what is open is managed and closed as usual"""
    REDUCE_ONLY = "ReduceOnly"
    """nothing but orders that make a position smaller"""
    HALTED = "Halted"
    """resting orders are cancelled at once and nothing goes out but what a person starts"""
    FLATTEN = "Flatten"
    """everything is closed at once; then as Halted"""


class PaperSource(StrEnum):
    """Where the paper exchange's prices come from."""

    RECORDING = "Recording"
    """recorded seconds; works without a network"""
    LIVE_FEED = "LiveFeed"
    """the venues' public feeds, as they come"""


class Series(StrEnum):
    """Series of event contracts that an account may trade."""

    KXBTCD = "KXBTCD"
    """Bitcoin above a strike, hourly"""
    KXBTC15M = "KXBTC15M"
    """Bitcoin up or down in a quarter of an hour"""
    KXETHD = "KXETHD"
    """Ether above a strike, hourly"""
    KXETH15M = "KXETH15M"
    """Ether up or down in a quarter of an hour"""


class Topology(StrEnum):
    """How an account's services are spread over workloads."""

    PER_SERVICE = "PerService"
    """one Deployment for each service; one can fail without the others"""
    COMPACT = "Compact"
    """one Deployment for all services of the account; the least memory for one account"""
    POOLED = "Pooled"
    """one Deployment for all pooled accounts of the namespace and mode; the least memory for many
    accounts, and the weakest isolation: they share processes and restart together"""


class DeletionPolicy(StrEnum):
    """What happens at the exchange when the account is deleted."""

    CANCEL_ORDERS = "CancelOrders"
    """cancel resting orders, leave positions to settle"""
    FLATTEN = "Flatten"
    """cancel resting orders and sell every position"""
    REFUSE_WHILE_OPEN = "RefuseWhileOpen"
    """wait until orders and positions are gone"""
    ORPHAN = "Orphan"
    """touch nothing at the exchange"""


class RolloutPolicy(StrEnum):
    """When a new image may replace a running trader."""

    WHEN_FLAT = "WhenFlat"
    """when there is no position and no order, within the windows; by force after the deadline"""
    IMMEDIATELY = "Immediately"
    """at once; positions are taken over by the new pods"""
    MANUAL = "Manual"
    """only when a person sets the annotation recio.io/restartedAt to the present time"""


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
    """no new position"""
    REDUCE_ONLY = "ReduceOnly"
    """nothing but orders that make a position smaller"""
    HALTED = "Halted"
    """resting orders are cancelled and nothing goes out"""
    FLATTEN = "Flatten"
    """everything is closed at once"""


class StrategyName(StrEnum):
    """Built-in strategies, and the door for one's own."""

    HOURLY_HTC = "HourlyHTC"
    """buy the side that is likely to win shortly before the close and hold it to the settlement"""
    CUSTOM = "Custom"
    """a class of one's own, see strategy.custom"""


class Model(StrEnum):
    """Where probabilities come from."""

    VOLATILITY = "Volatility"
    """from the volatility of the last minutes"""
    FINGERPRINTS = "Fingerprints"
    """how often a move of that size happened in years of minutes with such momentum"""
    BLEND = "Blend"
    """the middle of the market's own bid and ask, moved towards Volatility by a weight that was fitted on
    recorded markets; unknown without such a weight, or with a side of the book empty"""


class SizingMethod(StrEnum):
    """How many contracts an entry asks for."""

    FIXED = "Fixed"
    """always sizing.contracts"""
    CAPPED_KELLY = "CappedKelly"
    """a fraction of the Kelly stake of the cash, at most sizing.contracts"""


class TolerationOperator(StrEnum):
    """How a toleration's key and value meet a taint's."""

    EQUAL = "Equal"
    """key and value are those of the taint"""
    EXISTS = "Exists"
    """any value of the key; without a key every taint"""


class TaintEffect(StrEnum):
    """What a taint does to pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Common form of all parts: frozen, by keyword, camelCase in the document."""


Dollars = Annotated[int, Meta(ge=1, le=1_000_000)]
Seconds = Annotated[int, Meta(ge=0, le=3600)]
AgeMilliseconds = Annotated[int, Meta(ge=500, le=15_000)]
ContractsTotal = Annotated[int, Meta(ge=1, le=100_000)]
OpenTrades = Annotated[int, Meta(ge=1, le=100)]
OrdersPerMinute = Annotated[int, Meta(ge=1, le=300)]
PriceCents = Annotated[int, Meta(ge=1, le=99)]
StopBasisPoints = Annotated[int, Meta(ge=10, le=100)]
ShortText = Annotated[str, Meta(max_length=253, pattern=r"^[^\x00]*$")]
LabelValue = Annotated[
    str, Meta(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?\Z")
]
LabelKey = Annotated[
    str,
    Meta(
        max_length=253,
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?"
        r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z",
    ),
]
ObjectName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z",
    ),
]
DataKey = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+\Z")]
Quantity = Annotated[
    str,
    Meta(
        max_length=63,
        pattern=r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?\Z",
    ),
]
ResourceName = Annotated[str, Meta(max_length=63, pattern=r"^(cpu|memory|ephemeral-storage)\Z")]
Quantities = Annotated[dict[ResourceName, Quantity], Meta(max_length=3)]
AccountName = Annotated[
    str, Meta(min_length=1, max_length=32, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z")
]
