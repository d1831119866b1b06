"""The stop rules for one open trade, and how its exit is priced and repeated.

Rule A, probability: the trade's own probability stays below the limit during the whole verification
time; one look at or above it, one unknown, or more than five seconds without a look start the
verification anew. Closer to the close than the minimum it is left to settle.
Rule B, momentum: at +threshold or above NO trades close, at -threshold or below YES trades, at once.
Flatten: the switch closes everything, also without any market data.

A stop fires once and then holds: the exit is repeated every two seconds with a lower limit until the
trade is flat or the event has closed. The limit is the best bid of the own side, lowered by 0, 2, 5,
10 and 20 cents and at last to one cent, in whole cents, which every price grid has. It is the least
the exit takes: an immediate-or-cancel order is filled at the best bids first.

Without a probability rule A is off; without momentum rule B is; both say so.
"""

from __future__ import annotations

from typing import Final

import msgspec

from recio.domain import sides
from recio.domain.account_config import AutoStop, MomentumStop, ProbabilityStop
from recio.domain.intents import Source
from recio.domain.momentum import BUCKET_E6
from recio.domain.units import SECOND_US

MAX_UNSEEN_US: Final = 5 * SECOND_US
RETRY_US: Final = 2 * SECOND_US
NO_BID_PATIENCE_US: Final = 10 * SECOND_US
STEPS_E4: Final = (0, 200, 500, 1000, 2000)
LEAST_E4: Final = 100
_CENT_E4: Final = 100


class StopState(msgspec.Struct, frozen=True, kw_only=True):
    """What is durable of one trade's stop.

    ``below_since_us``: since when the probability has been below the limit, by looks without a gap.
    ``fired_at_us`` and ``source``: the stop has fired. ``attempts`` exits were proposed, the last at
    ``attempted_at_us``.
    """

    below_since_us: int | None = None
    seen_at_us: int = 0
    fired_at_us: int | None = None
    source: Source | None = None
    reason: str = ""
    attempts: int = 0
    attempted_at_us: int | None = None

    @property
    def is_fired(self) -> bool:
        """Whether an exit is to be made until the trade is flat."""
        return self.fired_at_us is not None


FRESH: Final = StopState()


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What is seen of a trade's market at one moment; None: not known (or too old to count)."""

    at_us: int
    close_us: int
    side: str
    p_e6: int | None
    score_e6: int | None
    is_flatten: bool


def judge(state: StopState, settings: AutoStop, look: Look) -> StopState:
    """Return the state after a look; a stop that has fired stays fired."""
    if look.is_flatten and state.source is not Source.FLATTEN:
        return _fire(state, look, Source.FLATTEN, "switch Flatten")
    if state.is_fired or look.at_us >= look.close_us:
        return state
    if _is_spike_against(settings.momentum, look):
        return _fire(state, look, Source.MOMENTUM_STOP, _momentum_reason(look))
    return _verify(state, settings.probability, look)


def _is_spike_against(settings: MomentumStop, look: Look) -> bool:
    if not settings.enabled or look.score_e6 is None:
        return False
    threshold = settings.threshold_basis_points * BUCKET_E6
    if look.side == sides.NO:
        return look.score_e6 >= threshold
    return look.score_e6 <= -threshold


def _verify(state: StopState, settings: ProbabilityStop, look: Look) -> StopState:
    at_us = max(look.at_us, state.seen_at_us)
    is_time = look.close_us - at_us >= settings.min_seconds_to_close * SECOND_US
    is_below = look.p_e6 is not None and look.p_e6 < settings.below_permille * 1000
    if not (settings.enabled and is_time and is_below):
        return msgspec.structs.replace(state, below_since_us=None, seen_at_us=at_us)
    since = state.below_since_us
    if since is None or at_us - state.seen_at_us > MAX_UNSEEN_US:
        since = at_us
    state = msgspec.structs.replace(state, below_since_us=since, seen_at_us=at_us)
    if at_us - since < settings.verify_seconds * SECOND_US:
        return state
    return _fire(state, look, Source.AUTO_STOP, _probability_reason(settings, look))


def _fire(state: StopState, look: Look, source: Source, reason: str) -> StopState:
    """Fire, or hand a stop that has fired over to a stronger source; attempts are kept."""
    return msgspec.structs.replace(
        state,
        fired_at_us=look.at_us if state.fired_at_us is None else state.fired_at_us,
        source=source,
        reason=reason,
        seen_at_us=max(look.at_us, state.seen_at_us),
    )


def _momentum_reason(look: Look) -> str:
    return f"momentum {(look.score_e6 or 0) / BUCKET_E6:+.1f} bp against {look.side}"


def _probability_reason(settings: ProbabilityStop, look: Look) -> str:
    p_percent = (look.p_e6 or 0) / 10_000
    return (
        f"probability {p_percent:.1f} % below {settings.below_permille / 10:g} % "
        f"for {settings.verify_seconds} s"
    )


def is_exit_due(state: StopState, at_us: int, close_us: int) -> bool:
    """Tell whether the next exit may be proposed now."""
    if not state.is_fired or at_us >= close_us:
        return False
    return state.attempted_at_us is None or at_us - state.attempted_at_us >= RETRY_US


def exit_limit_e4(state: StopState, bid_e4: int | None, at_us: int) -> int | None:
    """Return the least the next exit takes; None: nobody bids, wait for somebody.

    Args:
        state: a stop that has fired.
        bid_e4: best bid on the trade's own side, from a whole and fresh book; None: none known.
        at_us: market time.
    """
    assert state.fired_at_us is not None
    if bid_e4 is None:
        is_patient = at_us - state.fired_at_us < NO_BID_PATIENCE_US
        return None if is_patient and state.source is not Source.FLATTEN else LEAST_E4
    if state.attempts >= len(STEPS_E4):
        return LEAST_E4
    lowered = (bid_e4 - STEPS_E4[state.attempts]) // _CENT_E4 * _CENT_E4
    return max(lowered, LEAST_E4)


def attempted(state: StopState, at_us: int) -> StopState:
    """Return the state after an exit was proposed."""
    return msgspec.structs.replace(state, attempts=state.attempts + 1, attempted_at_us=at_us)
