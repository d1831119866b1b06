"""Rendered parts of the pages for whoever operates a release: alerts, reasons, columns, metrics."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import yaml

from recio_operator.metrics import OperatorMetrics
from recio_operator.planning.reasons import REASONS
from recio_operator.schema import definitions as schema

ALERTS: Final = Path(__file__).parents[1] / "charts" / "recio" / "files" / "alerts.yaml"
RUNBOOK: Final = frozenset({"alert", "reason"})
"""Kinds of parts that are entries of the runbook."""
_VALUE: Final = re.compile(r"\{\{ \$(?:labels\.)?(\w+) \}\}")


def parts() -> dict[str, Callable[[], str]]:
    """Return what makes each part, by the part's name."""
    return {
        "account-columns": account_columns,
        "fleet-columns": fleet_columns,
        "operator-metrics": operator_metrics,
        **{f"alert-{name}": partial(alert, name) for name in alerts()},
        **{f"reason-{name}": partial(reason, name) for name in REASONS},
    }


def account_columns() -> str:
    """Return what `kubectl get ta` shows, column by column."""
    return _columns_table(schema.ACCOUNT_COLUMNS)


def fleet_columns() -> str:
    """Return what `kubectl get tf` shows, column by column."""
    return _columns_table(schema.FLEET_COLUMNS)


def operator_metrics() -> str:
    """Return what the operator measures."""
    lines = ["| metric | what it says |", "|---|---|"]
    for name, metric in vars(OperatorMetrics()).items():
        if name == "registry":
            continue
        (family,) = metric.describe()
        total = "_total" if family.type == "counter" else ""
        lines.append(f"| `{family.name}{total}` | {family.documentation} |")
    return "\n".join(lines)


def alerts() -> dict[str, Mapping[str, str]]:
    """Return the alert rules of the chart by name."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def alert(name: str) -> str:
    """Return the facts of an alert: how bad, when, what it says."""
    rule = alerts()[name]
    when = "at once" if rule["for"] == "0m" else f"after {rule['for']}"
    expression = rule["expr"].replace('namespace="$NAMESPACE",', "")
    expression = expression.replace('{namespace="$NAMESPACE"}', "").replace("$DATABASE", "recio-db")
    summary, description = (_filled(rule[part]) for part in ("summary", "description"))
    return f"{summary}. {description}.\n\n{rule['severity']}, {when}: `{expression}`"


def reason(name: str) -> str:
    """Return the facts of a reason: what it means, how to mend it."""
    known = REASONS[name]
    event = {(True, True): " *Warning Event.*", (True, False): " *Event.*"}
    said = f"{known.meaning}{event.get((known.is_told, known.is_warning), '')}"
    return f"{said}\n\n- **Mend:** {known.mend}" if known.mend else said


def _filled(text: str) -> str:
    """Prometheus' own placeholders as words."""
    return _VALUE.sub(lambda found: f"*{found[1]}*", text).removesuffix(".")


def _columns_table(columns: tuple[schema.Column, ...]) -> str:
    lines = ["| column | what it says | from |", "|---|---|---|"]
    for one in columns:
        wide = " (`-o wide`)" if one.is_wide else ""
        lines.append(f"| {one.name.upper()}{wide} | {one.text} | `{one.path[1:]}` |")
    return "\n".join(lines)
