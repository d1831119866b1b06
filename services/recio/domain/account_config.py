"""The TradingAccount and TradingFleet documents (``recio.io/v1alpha1``): fields, bounds, rules.

The same document is applied to Kubernetes and read by ``recio up``. Numbers are integers with the
unit in the name; every list and map is bounded. What is refused: unknown fields, wrong types,
values out of bounds, limits that contradict each other; all problems are reported together.

``config.trading`` is what the document says; what its switch row must say is
``resource_trading(config)``, because a prod account whose arming is missing may only reduce.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from recio.domain.account_fields import (
    AccountConfig,
    AccountSpec,
    FleetConfig,
    Paper,
    Pod,
    Resources,
    Rollout,
    RolloutWindow,
    SecretRef,
    Toleration,
)
from recio.domain.account_rules import (
    check_account,
    check_risk,
    check_strategy,
    immutable_values,
)
from recio.domain.documents import Problems, decode
from recio.domain.errors import InvalidValue
from recio.domain.field_types import (
    AccountName,
    Day,
    DeletionPolicy,
    LabelValue,
    Mode,
    Model,
    OnBreach,
    PaperSource,
    Part,
    RolloutPolicy,
    Series,
    SizingMethod,
    StrategyName,
    TaintEffect,
    TolerationOperator,
    Topology,
    Trading,
)
from recio.domain.risk_fields import FleetRisk, Risk
from recio.domain.strategy_fields import (
    AutoEntry,
    AutoStop,
    ConfigMapKeyRef,
    CustomStrategy,
    MomentumStop,
    ProbabilityStop,
    Sizing,
    SpikeAlert,
    Strategy,
)

API_VERSION: Final = "recio.io/v1alpha1"
ACCOUNT_KIND: Final = "TradingAccount"
FLEET_KIND: Final = "TradingFleet"
FLEET_NAME: Final = "default"


class _Metadata(Part, frozen=True, kw_only=True):
    """The part of Kubernetes metadata that a person writes; what the API server adds is dropped."""

    name: AccountName
    namespace: LabelValue | None = None
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


_SERVER_METADATA: Final = frozenset(
    {
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "finalizers",
        "ownerReferences",
        "selfLink",
        "generateName",
    }
)
_TOP_LEVEL: Final = ("apiVersion", "kind", "metadata", "spec", "status")


def parse_account(document: object) -> AccountConfig:
    """Return a decoded TradingAccount document as a configuration.

    ``status`` and the metadata that the API server adds are passed over.

    Raises:
        InvalidValue: every problem of the document, one a line: path, expected, received.
    """
    problems = Problems()
    name, raw_spec = _open_document(document, ACCOUNT_KIND, problems)
    spec = decode(AccountSpec, raw_spec, "spec", problems)
    if spec is not None:
        check_account(name, spec, raw_spec, problems)
    problems.raise_if_any(f"{ACCOUNT_KIND} {name or '(without a usable name)'}")
    assert spec is not None
    return AccountConfig(name=name, **msgspec.structs.asdict(spec))


def parse_fleet(document: object) -> FleetConfig:
    """Return a decoded TradingFleet document as a configuration.

    Raises:
        InvalidValue: every problem of the document, one a line.
    """
    problems = Problems()
    name, raw_spec = _open_document(document, FLEET_KIND, problems)
    if name and name != FLEET_NAME:
        problems.add("metadata.name", f"{FLEET_NAME!r} (there is one fleet)", name)
    fleet = decode(FleetConfig, raw_spec, "spec", problems)
    problems.raise_if_any(FLEET_KIND)
    assert fleet is not None
    return fleet


def parse_risk(document: object) -> Risk:
    """Return the limits of a ``risk`` mapping, as the UI sends them.

    Raises:
        InvalidValue: every problem, one a line.
    """
    problems = Problems()
    risk = decode(Risk, document, "risk", problems)
    if risk is not None:
        check_risk(risk, "risk", problems)
    problems.raise_if_any("risk limits")
    assert risk is not None
    return risk


def parse_strategy(document: object) -> Strategy:
    """Return the settings of a ``strategy`` mapping, as the UI sends them.

    Raises:
        InvalidValue: every problem, one a line.
    """
    problems = Problems()
    strategy = decode(Strategy, document, "strategy", problems)
    if strategy is not None:
        check_strategy(strategy, "strategy", problems)
    problems.raise_if_any("strategy settings")
    assert strategy is not None
    return strategy


def to_document(config: AccountConfig) -> dict[str, Any]:
    """Return the whole document, defaults written out; ``parse_account`` gives ``config`` again."""
    spec = to_fields(config)
    name = spec.pop("name")
    return _document(ACCOUNT_KIND, name, spec)


def fleet_to_document(config: FleetConfig) -> dict[str, Any]:
    """Return the whole TradingFleet document; ``parse_fleet`` gives ``config`` again."""
    return _document(FLEET_KIND, FLEET_NAME, to_fields(config))


def to_fields(part: msgspec.Struct) -> dict[str, Any]:
    """Return one part (a risk, a strategy) as the camelCase mapping of the document."""
    fields: dict[str, Any] = _without_none(msgspec.to_builtins(part))
    return fields


def strictest(*positions: Trading) -> Trading:
    """Return the hardest of the switch positions; without any, Active.

    Active < NoNewEntries < ReduceOnly < Halted < Flatten: Flatten ends in Halted and also closes,
    so where one source halts and another flattens, everything is closed and nothing else goes out.
    """
    order = list(Trading)
    return max(positions, key=order.index, default=Trading.ACTIVE)


def resource_trading(config: AccountConfig) -> Trading:
    """Return what the resource's own switch row says.

    A prod account whose arming is missing may reduce and nothing more.
    """
    if config.mode is Mode.PROD and config.arming != config.name:
        return strictest(config.trading, Trading.REDUCE_ONLY)
    return config.trading


def tighten(resource: Risk, ui: Risk | None) -> Risk:
    """Return the tighter of both limits, field by field.

    The lower bound of the price band is the higher of the two; a band that is empty then refuses
    every entry.
    """
    if ui is None:
        return resource
    fields = {name: min(getattr(resource, name), getattr(ui, name)) for name in _SMALLER_IS_TIGHTER}
    breach = strictest(Trading(resource.on_breach.value), Trading(ui.on_breach.value))
    return Risk(
        **fields,
        min_price_cents=max(resource.min_price_cents, ui.min_price_cents),
        on_breach=OnBreach(breach.value),
    )


_SMALLER_IS_TIGHTER: Final = tuple(
    name for name in Risk.__struct_fields__ if name not in {"min_price_cents", "on_breach"}
)


def refuse_immutable_changes(old: AccountConfig, new: AccountConfig) -> None:
    """Check that nothing changed that must stay for the account's life.

    Raises:
        InvalidValue: the name, the mode, or the paper account's source or opening cash differ.
    """
    problems = Problems()
    pairs = zip(_lasting(old), _lasting(new), strict=True)
    for (path, before), (_, after) in pairs:
        if before != after:
            problems.add(path, f"{before!r} as before (immutable; make a new account)", after)
    problems.raise_if_any(f"{ACCOUNT_KIND} {old.name}")


def _lasting(config: AccountConfig) -> list[tuple[str, Any]]:
    return [("metadata.name", config.name), *immutable_values(config)]


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {"name": name}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def _without_none(value: Any) -> Any:  # noqa: ANN401  # a decoded document holds anything
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value


def _open_document(document: object, kind: str, problems: Problems) -> tuple[str, object]:
    if not isinstance(document, Mapping):
        problems.add("document", f"a mapping with {', '.join(_TOP_LEVEL[:4])}", document)
        return "", {}
    for key in document:
        if key not in _TOP_LEVEL:
            problems.say(str(key), f"unknown field; there are {', '.join(_TOP_LEVEL)}")
    for key, wanted in (("apiVersion", API_VERSION), ("kind", kind)):
        if document.get(key) != wanted:
            problems.add(key, repr(wanted), document.get(key))
    raw = document.get("metadata")
    if isinstance(raw, Mapping):
        raw = {key: value for key, value in raw.items() if key not in _SERVER_METADATA}
    metadata = decode(_Metadata, raw, "metadata", problems)
    return (metadata.name if metadata else ""), document.get("spec", {})


__all__ = [
    "ACCOUNT_KIND",
    "API_VERSION",
    "FLEET_KIND",
    "FLEET_NAME",
    "AccountConfig",
    "AccountSpec",
    "AutoEntry",
    "AutoStop",
    "ConfigMapKeyRef",
    "CustomStrategy",
    "Day",
    "DeletionPolicy",
    "FleetConfig",
    "FleetRisk",
    "InvalidValue",
    "Mode",
    "Model",
    "MomentumStop",
    "OnBreach",
    "Paper",
    "PaperSource",
    "Pod",
    "ProbabilityStop",
    "Resources",
    "Risk",
    "Rollout",
    "RolloutPolicy",
    "RolloutWindow",
    "SecretRef",
    "Series",
    "Sizing",
    "SizingMethod",
    "SpikeAlert",
    "Strategy",
    "StrategyName",
    "TaintEffect",
    "Toleration",
    "TolerationOperator",
    "Topology",
    "Trading",
    "fleet_to_document",
    "parse_account",
    "parse_fleet",
    "parse_risk",
    "parse_strategy",
    "refuse_immutable_changes",
    "resource_trading",
    "strictest",
    "tighten",
    "to_document",
    "to_fields",
]
