"""What a simulated second of the world costs: prices, makers, takers, and the recorded market.

    python benchmarks/world.py

Prints microseconds of CPU time for each simulated second, on an exchange without members and
listeners, with the machine and the Python version. The ladder runs from 13:00 to 15:00 New York time
on 30 July 2024: one ladder of 40 strikes and one 15-minute market trade, the next ones are listed.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from time import process_time

from recio.data import minutes
from recio.domain.units import SECOND_US, parse_time_us
from recio.exchange_simulator import world
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.world.prices import SimulatedPrices

START = "2024-07-30T13:00:00-04:00"
HOURS_S = 2 * 3600


def main() -> None:
    """Measure and print."""
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    start_us = parse_time_us(START)
    prices = SimulatedPrices(minutes.load("btc_minutes_2024q3"))
    seconds = range(start_us // SECOND_US, start_us // SECOND_US + HOURS_S)
    show("index", timed(lambda: [prices.index(second) for second in seconds]))
    venues = prices.venues()
    show("three venues", timed(lambda: [prices.spot(v, s) for s in seconds for v in venues]))
    source = world.MinutesSource(start_us=start_us)
    show("world and exchange, once a second", run(source, HOURS_S, is_fine=False))
    show("world and exchange, every tenth of a second", run(source, HOURS_S, is_fine=True))
    recording = world.RecordingSource()
    show("recorded market, once a second", run(recording, 864, is_fine=False), 864)
    show("recorded market, every 10 ms", run(recording, 864, is_fine=True), 864)


def run(source: world.Source, seconds: int, *, is_fine: bool) -> float:
    """Return the CPU seconds that a world takes for some seconds of market time."""
    attached = world.attach(Exchange(), source, is_fine=is_fine)
    attached.step(attached.start_us)
    end_us = attached.start_us + seconds * SECOND_US

    def play() -> None:
        while (due_us := attached.next_event_us()) is not None and due_us <= end_us:
            attached.step(due_us)

    return timed(play)


def timed(work: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    before = process_time()
    work()
    return process_time() - before


def show(what: str, cpu_s: float, seconds: int = HOURS_S) -> None:
    """Print one line."""
    print(f"{what:45} {cpu_s / seconds * 1e6:8.1f} us per simulated second")


if __name__ == "__main__":
    main()
