"""The rules between the fields of a TradingAccount, beyond each field's own bounds.

``ORDERED`` and ``IMMUTABLE`` are tables: the parser here and the CEL rules of the custom resource
definition are both made from them. The other rules stand here in Python and again in CEL; tests
compare both on a real API server.

A rule is not tried where one of its fields has a problem already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from recio.domain.account_fields import AccountSpec, Pod, RolloutWindow, Toleration
from recio.domain.documents import Problems
from recio.domain.field_types import Mode, StrategyName, TaintEffect, TolerationOperator
from recio.domain.risk_fields import Risk
from recio.domain.strategy_fields import AutoEntry, SpikeAlert, Strategy


class Ordered(NamedTuple):
    """Two fields of one part: ``low`` is at most ``high``, or below it if ``is_strict``."""

    part: type[msgspec.Struct]
    low: str
    high: str
    is_strict: bool = False


ORDERED: Final = (
    Ordered(Risk, "max_contracts_per_order", "max_contracts_per_event"),
    Ordered(Risk, "max_contracts_per_event", "max_contracts_total"),
    Ordered(Risk, "max_cost_per_event_dollars", "max_cost_total_dollars"),
    Ordered(Risk, "min_price_cents", "max_price_cents"),
    Ordered(AutoEntry, "min_seconds_to_close", "max_seconds_to_close"),
    Ordered(SpikeAlert, "leave_basis_points", "enter_basis_points", is_strict=True),
)

IMMUTABLE: Final = (("mode",), ("paper", "source"), ("paper", "initial_balance_dollars"))
"""Paths below spec of what stays for the account's life, as ``metadata.name`` does."""


def check_account(name: str, spec: AccountSpec, raw: object, problems: Problems) -> None:
    """Note every broken rule of a spec; ``raw`` is what the person wrote."""
    _check_mode(name, spec, raw, problems)
    check_risk(spec.risk, "spec.risk", problems)
    check_strategy(spec.strategy, "spec.strategy", problems)
    if len(set(spec.series)) != len(spec.series):
        problems.add("spec.series", "each series once", [item.value for item in spec.series])
    for index, window in enumerate(spec.rollout.windows):
        _check_window(window, f"spec.rollout.windows[{index}]", problems)
    _check_pod(spec.pod, problems)


def check_risk(risk: Risk, path: str, problems: Problems) -> None:
    """Note every broken rule between limits."""
    _check_orders(risk, path, problems)


def check_strategy(strategy: Strategy, path: str, problems: Problems) -> None:
    """Note every broken rule between settings of the strategy."""
    _check_orders(strategy.auto_entry, f"{path}.autoEntry", problems)
    _check_orders(strategy.spike_alert, f"{path}.spikeAlert", problems)
    if problems.has(f"{path}.name") or problems.has(f"{path}.custom"):
        return
    is_custom = strategy.name is StrategyName.CUSTOM
    if is_custom and strategy.custom is None:
        problems.say(f"{path}.custom", "is required with name Custom")
    if not is_custom and strategy.custom is not None:
        problems.say(f"{path}.custom", f"goes with name Custom, not with {strategy.name.value}")


def immutable_values(spec: AccountSpec) -> Iterator[tuple[str, Any]]:
    """Yield the path and the value of every field that stays for the account's life."""
    for steps in IMMUTABLE:
        part: Any = spec
        spelled = ["spec"]
        for step in steps:
            spelled.append(encoded_names(part)[step])
            part = getattr(part, step)
        yield ".".join(spelled), msgspec.to_builtins(part)


def encoded_names(part: msgspec.Struct | type[msgspec.Struct]) -> Mapping[str, str]:
    """Return the document's spelling of each field, by its name here."""
    return _encoded_names(part if isinstance(part, type) else type(part))


@cache
def _encoded_names(kind: type[msgspec.Struct]) -> Mapping[str, str]:
    return {field.name: field.encode_name for field in msgspec.structs.fields(kind)}


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
    if not (isinstance(raw, Mapping) and "risk" in raw):
        problems.say("spec.risk", "is required in mode prod: write your limits down")
    if spec.arming is not None and spec.arming != name:
        problems.add("spec.arming", f"{name!r} (the account's own name)", spec.arming)


def _check_orders(part: msgspec.Struct, path: str, problems: Problems) -> None:
    spelled = encoded_names(part)
    for rule in ORDERED:
        if not isinstance(part, rule.part):
            continue
        low_path, high_path = f"{path}.{spelled[rule.low]}", f"{path}.{spelled[rule.high]}"
        low, high = getattr(part, rule.low), getattr(part, rule.high)
        is_broken = low >= high if rule.is_strict else low > high
        if is_broken and not problems.has(low_path) and not problems.has(high_path):
            bound = "less than" if rule.is_strict else "at most"
            problems.add(low_path, f"{bound} {spelled[rule.high]} ({high})", low)


def _check_window(window: RolloutWindow, path: str, problems: Problems) -> None:
    if len(set(window.days)) != len(window.days):
        problems.add(f"{path}.days", "each day once", [day.value for day in window.days])
    try:
        ZoneInfo(window.time_zone)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        problems.add(f"{path}.timeZone", "a zone such as America/New_York", window.time_zone)


def _check_pod(pod: Pod, problems: Problems) -> None:
    for index, toleration in enumerate(pod.tolerations):
        path = f"spec.pod.tolerations[{index}]"
        if not problems.has(path):
            _check_toleration(toleration, path, problems)


def _check_toleration(toleration: Toleration, path: str, problems: Problems) -> None:
    is_exists = toleration.operator is TolerationOperator.EXISTS
    if toleration.key is None and not is_exists:
        problems.add(f"{path}.operator", "Exists, because there is no key", "Equal")
    if toleration.value and is_exists:
        problems.add(f"{path}.value", "nothing with operator Exists", toleration.value)
    effect = toleration.effect
    if toleration.toleration_seconds is not None and effect is not TaintEffect.NO_EXECUTE:
        problems.add(f"{path}.effect", "NoExecute with tolerationSeconds", effect)
