"""Documents of accounts as the tests write them, and what is asked of one.

A test's account is small: Compact, entries by hand only, no automatic stop, so that its trades stay
open until the test closes them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Final

from tests.e2e.kubernetes.kubectl import Kubectl

from recio.runtime.ids import SystemIds

Fields = dict[str, Any]

_numbers = itertools.count(1)
_run = SystemIds().fresh().hex[-4:]
"""Books outlive their accounts: another run on the same release needs other names."""

QUIET: Final[Fields] = {
    "mode": "paper",
    "series": ["KXBTCD", "KXBTC15M"],
    "topology": "Compact",
    "strategy": {
        "autoEntry": {"enabled": False},
        "autoStop": {"probability": {"enabled": False}, "momentum": {"enabled": False}},
    },
}


def document(name: str, **spec: Any) -> Fields:
    """Return a quiet paper account with some fields changed, nested ones too."""
    return {
        "apiVersion": "recio.io/v1alpha1",
        "kind": "TradingAccount",
        "metadata": {"name": name},
        "spec": merged(QUIET, spec),
    }


def fleet(**spec: Any) -> Fields:
    """Return the fleet's document."""
    head = {"apiVersion": "recio.io/v1alpha1", "kind": "TradingFleet"}
    return {**head, "metadata": {"name": "default"}, "spec": spec}


def fresh_name(what: str) -> str:
    """Return a name that no account has had."""
    return f"{what}-{_run}-{next(_numbers)}"


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Fields:
    """Return a mapping with another one laid over it, nested mappings too."""
    made = dict(base)
    for name, value in changes.items():
        old = made.get(name)
        is_nested = isinstance(old, Mapping) and isinstance(value, Mapping)
        made[name] = merged(old, value) if is_nested else value
    return made


def condition(found: Mapping[str, Any] | None, kind: str) -> Fields:
    """Return one condition of an account, empty if it is not there."""
    conditions = (found or {}).get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == kind), {})


def is_settled(found: Mapping[str, Any] | None) -> bool:
    """Tell whether the status speaks of the newest spec."""
    if found is None:
        return False
    seen = found.get("status", {}).get("observedGeneration")
    return bool(seen == found["metadata"]["generation"])


def is_ready(found: Mapping[str, Any] | None) -> bool:
    """Tell whether an account is ready as its newest spec says."""
    return is_settled(found) and condition(found, "Ready").get("status") == "True"


def pods(kubectl: Kubectl, account: str) -> list[Fields]:
    """Return an account's pods."""
    return kubectl.list("pods", f"recio.io/account={account}")


def pod_uids(kubectl: Kubectl, account: str) -> set[str]:
    """Return the identities of an account's pods: a restarted container keeps its pod's."""
    return {pod["metadata"]["uid"] for pod in pods(kubectl, account)}
