"""Children of accounts as the operator makes them in a release that the chart described."""

from __future__ import annotations

import msgspec
from tests.unit.chart import rendering
from tests.unit.chart.rendering import Object

from recio_operator.planning.account import plan_account
from recio_operator.planning.observed import Books, Key, KeyState, Observed
from recio_operator.release import Release

_NOW_US = 1_795_000_000_000_000


def children(
    case: str, name: str = "alpha", *, mode: str = "paper", **spec: object
) -> list[Object]:
    """Return what the operator applies for a new account whose key and login are there."""
    text = rendering.of_kind(case, "ConfigMap")["recio-release"]["data"]["release.json"]
    said: Object = {"mode": mode, "topology": "Compact", **spec}
    if mode != "paper":
        said["credentialsSecretRef"] = {"name": f"{name}-kalshi"}
    if mode == "prod":
        said |= {"risk": {"maxDailyLossDollars": 10}, "arming": name}
    document = {
        "apiVersion": "recio.io/v1alpha1",
        "kind": "TradingAccount",
        "metadata": {
            "name": name,
            "namespace": rendering.NAMESPACE,
            "uid": f"uid-of-{name}",
            "generation": 1,
            "resourceVersion": "1",
        },
        "spec": said,
    }
    observed = Observed(
        document=document,
        now_us=_NOW_US,
        key=Key(state=KeyState.VALID, secret=f"{name}-key", digest="d" * 64, id_digest="e" * 64),
        books=Books(is_flat=True, live_orders=0, open_trades=0, executor=None),
        has_login=True,
    )
    plan = plan_account(observed, msgspec.json.decode(text, type=Release))
    return [
        one | {"metadata": {"namespace": rendering.NAMESPACE, **one["metadata"]}}
        for one in plan.apply
    ]
