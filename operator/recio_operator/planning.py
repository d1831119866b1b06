"""From what is observed to what is to be done: ``plan_account``, the pure middle of the operator."""

from __future__ import annotations

from recio_operator.observed import Observed
from recio_operator.plan import Plan
from recio_operator.release import Release


def plan_account(observed: Observed, release: Release) -> Plan:
    """Return everything to do for one account now."""
    raise NotImplementedError
