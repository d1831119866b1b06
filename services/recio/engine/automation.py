"""What the automation's indicator says: ACTIVE, INACTIVE, PAUSED or DISABLED, and why.

    DISABLED   automatic entry is switched off in the settings
    PAUSED     a momentum spike: entries wait until it has been calm for the cool-down
    INACTIVE   on, but nothing may be entered now; the reason says what is missing
    ACTIVE     on, and the event named is inside its entry window with everything in order

Nothing in a ``Status`` ticks: it holds until when a pause lasts, not for how long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from recio.domain.account_config import AccountConfig, Trading
from recio.domain.entry import PASSED
from recio.domain.spike import SpikeState
from recio.domain.tickers import SERIES
from recio.domain.units import MINUTE_US, SECOND_US

STALE_US: Final = 10 * SECOND_US


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The indicator. ``paused_until_us`` None while PAUSED: it is not calm yet."""

    status: str
    reason: str
    event_ticker: str | None = None
    paused_until_us: int | None = None


class Show(msgspec.Struct, frozen=True):
    """Write the indicator and the spike state by symbol."""

    status: Status
    at_us: int
    spikes: dict[str, SpikeState]


class EventGate(msgspec.Struct, frozen=True):
    """What stands against entering one live event, by its newest snapshot."""

    event_ticker: str
    gate: str
    close_us: int
    snapshot_at_us: int


def status_of(
    config: AccountConfig,
    switch: Trading,
    events: list[EventGate],
    spikes: Mapping[str, SpikeState],
    now_us: int,
) -> Status:
    """Return what the indicator says at ``now_us``."""
    if not config.strategy.auto_entry.enabled:
        return Status(status="DISABLED", reason="automatic entry is switched off")
    if switch is not Trading.ACTIVE:
        return Status(status="INACTIVE", reason=f"switch {switch.value}")
    paused = _pause(config, spikes)
    if paused is not None:
        return paused
    fresh = [event for event in events if now_us - event.snapshot_at_us <= STALE_US]
    if not fresh:
        return Status(status="INACTIVE", reason="no fresh market data")
    fresh.sort(key=lambda event: (event.gate != PASSED, event.close_us, event.event_ticker))
    first = fresh[0]
    if first.gate == PASSED:
        return Status(
            status="ACTIVE", reason="inside the entry window", event_ticker=first.event_ticker
        )
    return Status(status="INACTIVE", reason=first.gate, event_ticker=first.event_ticker)


def _pause(config: AccountConfig, spikes: Mapping[str, SpikeState]) -> Status | None:
    loud = [symbol for symbol in spikes if spikes[symbol].is_alarmed]
    if not loud:
        return None
    symbols = {SERIES[series.value].symbol for series in config.series}
    alarmed = [spikes[symbol] for symbol in loud if symbol in symbols]
    if not alarmed:
        return None
    calm = [state.calm_since_us for state in alarmed]
    wait_us = config.strategy.spike_alert.cooldown_minutes * MINUTE_US
    known = [since + wait_us for since in calm if since is not None]
    return Status(
        status="PAUSED",
        reason="momentum spike",
        paused_until_us=max(known) if len(known) == len(calm) else None,
    )
