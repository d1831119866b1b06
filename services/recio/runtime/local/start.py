"""Where the market time of a fresh local run begins, and which world it is of."""

from __future__ import annotations

from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.world import MinutesSource, RecordingSource, Source, attach
from recio.runtime.clock import wall_us
from recio.runtime.local.options import UpOptions


def source(options: UpOptions) -> Source:
    """Return what the simulated exchange plays."""
    if options.recording is not None:
        return RecordingSource(options.recording)
    return MinutesSource(start_us=options.start_us)


def start_us(options: UpOptions) -> int:
    """Return the market time of a fresh start, microseconds since 1970.

    Raises:
        InvalidValue: outside the recording, inside a trading pause, or no such recording.
    """
    if options.is_live:
        return wall_us()
    return attach(Exchange(), source(options)).start_us
