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
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from recio.domain.account_fields import (
    AccountConfig,
    AccountName,
    AccountSpec,
    AutoEntry,
    AutoStop,
    ConfigMapKeyRef,
    CustomStrategy,
    Day,
    DeletionPolicy,
    FleetConfig,
    FleetRisk,
    LabelValue,
    Mode,
    Model,
    MomentumStop,
    OnBreach,
    Paper,
    PaperSource,
    Part,
    Pod,
    ProbabilityStop,
    Resources,
    Risk,
    Rollout,
    RolloutPolicy,
    RolloutWindow,
    SecretRef,
    Series,
    Sizing,
    SizingMethod,
    SpikeAlert,
    Strategy,
    StrategyName,
    Toleration,
    Topology,
    Trading,
)
from recio.domain.documents import Problems, decode
from recio.domain.errors import InvalidValue

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
        _check_account(name, spec, raw_spec, problems)
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
        _check_risk(risk, "risk", problems)
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
        _check_strategy(strategy, "strategy", problems)
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
        InvalidValue: the name, the mode or the paper account's opening cash differ.
    """
    problems = Problems()
    for path, before, after in (
        ("metadata.name", old.name, new.name),
        ("spec.mode", old.mode.value, new.mode.value),
        (
            "spec.paper.initialBalanceDollars",
            old.paper.initial_balance_dollars,
            new.paper.initial_balance_dollars,
        ),
    ):
        if before != after:
            problems.add(path, f"{before!r} as before (immutable; make a new account)", after)
    problems.raise_if_any(f"{ACCOUNT_KIND} {old.name}")


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {"name": name}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def _without_none(value: Any) -> Any:  # noqa: ANN401  # a decoded document holds anything
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


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


def _check_account(name: str, spec: AccountSpec, raw: object, problems: Problems) -> None:
    _check_mode(name, spec, raw, problems)
    _check_risk(spec.risk, "spec.risk", problems)
    _check_strategy(spec.strategy, "spec.strategy", problems)
    if len(set(spec.series)) != len(spec.series):
        problems.add("spec.series", "each series once", [item.value for item in spec.series])
    for index, window in enumerate(spec.rollout.windows):
        _check_window(window, f"spec.rollout.windows[{index}]", problems)


def _check_mode(name: str, spec: AccountSpec, raw: object, problems: Problems) -> None:
    if problems.has("spec.mode"):
        return
    reference, path = spec.credentials_secret_ref, "spec.credentialsSecretRef"
    if spec.mode is Mode.PAPER and reference is not None:
        problems.add(path, "no credentials in mode paper", reference.name)
    if spec.mode is not Mode.PAPER and reference is None and not problems.has(path):
        problems.say(path, f"is required in mode {spec.mode.value}")
    if spec.mode is not Mode.PROD:
        return
    if not (isinstance(raw, Mapping) and raw.get("risk")) and not problems.has("spec.risk"):
        problems.say("spec.risk", "is required in mode prod: write your limits down")
    if spec.arming is not None and spec.arming != name:
        problems.add("spec.arming", f"{name!r} (the account's own name)", spec.arming)


def _check_risk(risk: Risk, path: str, problems: Problems) -> None:
    for small, large in (
        ("max_contracts_per_order", "max_contracts_per_event"),
        ("max_contracts_per_event", "max_contracts_total"),
        ("max_cost_per_event_dollars", "max_cost_total_dollars"),
        ("min_price_cents", "max_price_cents"),
    ):
        _check_order(risk, small, large, path, problems)


def _check_strategy(strategy: Strategy, path: str, problems: Problems) -> None:
    entry, spike = f"{path}.autoEntry", f"{path}.spikeAlert"
    _check_order(
        strategy.auto_entry, "min_seconds_to_close", "max_seconds_to_close", entry, problems
    )
    _check_order(
        strategy.spike_alert, "leave_basis_points", "enter_basis_points", spike, problems, gap=1
    )
    if problems.has(f"{path}.name") or problems.has(f"{path}.custom"):
        return
    is_custom = strategy.name is StrategyName.CUSTOM
    if is_custom and strategy.custom is None:
        problems.say(f"{path}.custom", "is required with name Custom")
    if not is_custom and strategy.custom is not None:
        problems.say(f"{path}.custom", f"goes with name Custom, not with {strategy.name.value}")


def _check_order(
    part: msgspec.Struct, small: str, large: str, path: str, problems: Problems, *, gap: int = 0
) -> None:
    spelled = {field.name: field.encode_name for field in msgspec.structs.fields(part)}
    low_path, high_path = f"{path}.{spelled[small]}", f"{path}.{spelled[large]}"
    low, high = getattr(part, small), getattr(part, large)
    if low + gap > high and not problems.has(low_path) and not problems.has(high_path):
        bound = "less than" if gap else "at most"
        problems.add(low_path, f"{bound} {spelled[large]} ({high})", low)


def _check_window(window: RolloutWindow, path: str, problems: Problems) -> None:
    if len(set(window.days)) != len(window.days):
        problems.add(f"{path}.days", "each day once", [day.value for day in window.days])
    try:
        ZoneInfo(window.time_zone)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        problems.add(f"{path}.timeZone", "a zone such as America/New_York", window.time_zone)


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
    "Toleration",
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
