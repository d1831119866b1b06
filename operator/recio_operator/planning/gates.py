"""The gates of one account: its policy, its books and its present status brought together."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from recio.domain.account_config import AccountConfig
from recio_operator import names
from recio_operator.planning.conditions import by_type
from recio_operator.planning.observed import KeyState, Object, Observed
from recio_operator.planning.reasons import WAITING
from recio_operator.planning.rollout import Gates, judge, judge_rotation, template_of
from recio_operator.planning.times import microseconds


def gates_of(observed: Observed, config: AccountConfig) -> Gates:
    """Return what may be done to an account's pods now."""
    before = by_type(observed.document)
    return Gates(
        rollout=judge(
            config.rollout,
            observed.books,
            now_us=observed.now_us,
            since_us=_since(before.get("Progressing"), WAITING, observed.now_us),
            is_asked_for=_is_restart_asked_for(observed),
        ),
        rotation=judge_rotation(
            observed.books,
            now_us=observed.now_us,
            since_us=_since(before.get("CredentialsValid"), {"Rotating"}, observed.now_us),
        ),
        has_good_key=observed.key is not None and observed.key.state is KeyState.VALID,
    )


def _since(condition: Object | None, reasons: AbstractSet[str], now_us: int) -> int:
    """When a wait began that the live status tells of; a wait that begins now began now."""
    if condition is None or condition["reason"] not in reasons:
        return now_us
    return microseconds(condition["lastTransitionTime"])


def _is_restart_asked_for(observed: Observed) -> bool:
    asked = annotation(observed, names.RESTARTED_AT)
    if not asked:
        return False
    templates = (
        template_of(live) for (kind, _), live in observed.children.items() if kind == "Deployment"
    )
    return any(
        one["metadata"].get("annotations", {}).get(names.RESTARTED_AT) != asked for one in templates
    )


def annotation(observed: Observed, name: str) -> str:
    """Return an annotation of the resource, "" if it has none of that name."""
    annotations = observed.document["metadata"].get("annotations") or {}
    return str(annotations.get(name, ""))
