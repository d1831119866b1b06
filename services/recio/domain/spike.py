"""Spike alert: a burst of momentum pauses entries until it has been calm for the cool-down.

    quiet --(|momentum| >= enter)--> alarmed
    alarmed --(|momentum| < leave for the whole cool-down)--> quiet

At ``leave`` or above the cool-down starts again in full, and so it does after a time in which
momentum was not known or nobody looked: what was not seen was not calm. Levels are in hundredths of
a percent, as the bucket, but not clamped. The state is small and durable: a restart goes on with it.
"""

from __future__ import annotations

import msgspec

from recio.domain.account_config import SpikeAlert
from recio.domain.momentum import BUCKET_E6
from recio.domain.units import MINUTE_US, SECOND_US

MAX_UNSEEN_US = 120 * SECOND_US
"""A restart is shorter; momentum's own look-backs still show what happened within it."""


class SpikeState(msgspec.Struct, frozen=True, kw_only=True):
    """``calm_since_us`` None while alarmed: it is not calm now. ``seen_at_us``: last look."""

    is_alarmed: bool = False
    since_us: int | None = None
    calm_since_us: int | None = None
    seen_at_us: int = 0


QUIET = SpikeState()


def step(state: SpikeState, settings: SpikeAlert, score_e6: int | None, at_us: int) -> SpikeState:
    """Return the state after a look at momentum (1e-6 percent, None: not known)."""
    if not settings.enabled:
        return QUIET
    at_us = max(at_us, state.seen_at_us)
    if not state.is_alarmed:
        if score_e6 is None or abs(score_e6) < settings.enter_basis_points * BUCKET_E6:
            return SpikeState(seen_at_us=at_us)
        return SpikeState(is_alarmed=True, since_us=at_us, seen_at_us=at_us)
    is_calm = score_e6 is not None and abs(score_e6) < settings.leave_basis_points * BUCKET_E6
    calm_since = state.calm_since_us
    if at_us - state.seen_at_us > MAX_UNSEEN_US:
        calm_since = None
    calm_since = (at_us if calm_since is None else calm_since) if is_calm else None
    if calm_since is not None and at_us - calm_since >= settings.cooldown_minutes * MINUTE_US:
        return SpikeState(seen_at_us=at_us)
    return SpikeState(
        is_alarmed=True, since_us=state.since_us, calm_since_us=calm_since, seen_at_us=at_us
    )


def seconds_left(state: SpikeState, settings: SpikeAlert, at_us: int) -> int:
    """Return how long entries stay paused if it is calm from now on, rounded up."""
    if not state.is_alarmed:
        return 0
    calm_us = 0 if state.calm_since_us is None else max(at_us - state.calm_since_us, 0)
    return -(-max(settings.cooldown_minutes * MINUTE_US - calm_us, 0) // SECOND_US)
