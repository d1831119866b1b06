"""What happens at the simulated exchange: prices, listings, market makers, recordings.

``attach`` puts a world beside an exchange; the world's ``step`` lets everything happen that is due at a
market time, and ``next_event_us`` says when to come back. ``run`` does so on a clock, at real or
faster pace; a stepped run calls the same two. The world keeps nothing over a restart: its first
``step`` rebuilds the books, determines and settles what closed meanwhile. That first step may take a
second or two and must come before anything else moves the exchange's time (call it when recovering).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from recio.data import minutes
from recio.data.minutes import Minutes
from recio.domain.errors import InvalidValue
from recio.domain.units import HOUR_US, SECOND_US, format_time_us, parse_time_us
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.world.listings import is_paused
from recio.exchange_simulator.world.live import LivePrices
from recio.exchange_simulator.world.prices import Prices, SimulatedPrices
from recio.exchange_simulator.world.recording import RecordedWorld
from recio.exchange_simulator.world.regimes import RECORDED, RegimeMinutes, regime_of
from recio.exchange_simulator.world.repeating import RepeatedMinutes
from recio.exchange_simulator.world.simulated import SimulatedWorld
from recio.ports import Clock

_IDLE_SECONDS: Final = 60.0


class Driver(Protocol):
    """What drives an exchange. ``start_us`` is where a fresh market clock begins."""

    start_us: int

    def step(self, now_us: int) -> None:
        """Let everything happen that is due up to ``now_us``."""
        ...

    def next_event_us(self) -> int | None:
        """Return when ``step`` has something to do next; None: never again."""
        ...


@dataclass(frozen=True, slots=True)
class MinutesSource:
    """Recorded minutes, again and again: the default world.

    ``start_us`` None is the recording's default start; ``regime`` is one of ``regimes.REGIMES``.
    """

    name: str = "2024q3"
    start_us: int | None = None
    seed: int = 0
    regime: str = RECORDED.name


@dataclass(frozen=True, slots=True)
class RecordingSource:
    """A recorded market, by its name without the series or by its full ticker."""

    market: str = "26MAY130915-15"


@dataclass(frozen=True, slots=True)
class LiveSource:
    """Prices that somebody tells (``LivePrices.tell``); ``start_us`` is the wall time at the start.

    ``regime`` concerns the makers only.
    """

    prices: LivePrices
    start_us: int
    seed: int = 0
    regime: str = RECORDED.name


Source = MinutesSource | RecordingSource | LiveSource

DEFAULT_STARTS: Final = {
    "2024q3": "2024-07-30T13:48:00-04:00",
    "2022q4": "2022-11-15T13:48:00-05:00",
}
"""Tuesdays twelve minutes before an hourly close, of usual liveliness, away from the weekly pause."""

_RECORDINGS: Final = {
    "KXBTC15M-26MAY130915-15": (
        "kxbtc15m_ws_2026-05-13T125943Z",
        "btc_seconds_2026-05-13T12",
    )
}


class World:
    """A driver beside its exchange, with the loop that runs it on a clock."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    @property
    def start_us(self) -> int:
        """Where a fresh market clock begins."""
        return self._driver.start_us

    def step(self, now_us: int) -> None:
        """Let everything happen that is due up to ``now_us``; earlier times change nothing."""
        self._driver.step(now_us)

    def next_event_us(self) -> int | None:
        """Return when ``step`` has something to do next; None: never again."""
        return self._driver.next_event_us()

    async def run(self, clock: Clock) -> None:
        """Step for ever in market time."""
        while True:
            now_us = clock.market_us()
            self.step(now_us)
            due_us = self.next_event_us()
            seconds = _IDLE_SECONDS if due_us is None else (due_us - now_us) / SECOND_US
            await clock.sleep_market(max(seconds, 0.0))


def attach(exchange: Exchange, source: Source, *, is_fine: bool = True) -> World:
    """Put a world beside an exchange; nothing happens before the first ``step``.

    ``is_fine``: events happen in every tenth of a second; otherwise all of a second at its end, which
    a stepped run wants.

    Raises:
        InvalidValue: no such recording or regime, or a start outside of it.
    """
    if isinstance(source, RecordingSource):
        return World(_recorded(exchange, source, is_fine=is_fine))
    if isinstance(source, LiveSource):
        return _simulated(exchange, source.prices, source.start_us, source, is_fine=is_fine)
    if source.name not in DEFAULT_STARTS:
        raise InvalidValue(
            f"no minutes are called {source.name!r}; there are {', '.join(DEFAULT_STARTS)}"
        )
    recorded = minutes.load(f"btc_minutes_{source.name}")
    start_us = source.start_us
    if start_us is None:
        start_us = parse_time_us(DEFAULT_STARTS[source.name])
    _check_start(recorded, start_us)
    minutes_played = RegimeMinutes(
        RepeatedMinutes(recorded), regime_of(source.regime), seed=source.seed
    )
    prices = SimulatedPrices(minutes_played, seed=source.seed)
    return _simulated(exchange, prices, start_us, source, is_fine=is_fine)


def recordings() -> tuple[str, ...]:
    """Return the tickers of the recorded markets."""
    return tuple(_RECORDINGS)


def _simulated(
    exchange: Exchange,
    prices: Prices,
    start_us: int,
    source: MinutesSource | LiveSource,
    *,
    is_fine: bool,
) -> World:
    regime = regime_of(source.regime)
    return World(
        SimulatedWorld(
            exchange, prices, start_us=start_us, seed=source.seed, is_fine=is_fine, regime=regime
        )
    )


def _recorded(exchange: Exchange, source: RecordingSource, *, is_fine: bool) -> RecordedWorld:
    for ticker, (recording, prices) in _RECORDINGS.items():
        if source.market in (ticker, ticker.partition("-")[2]):
            return RecordedWorld(exchange, recording, prices, ticker, is_fine=is_fine)
    raise InvalidValue(
        f"no recording is called {source.market!r}; there are {', '.join(_RECORDINGS)}"
    )


def _check_start(recorded: Minutes, start_us: int) -> None:
    first_us = recorded.start_s * SECOND_US + HOUR_US
    last_us = recorded.end_s * SECOND_US - HOUR_US
    if not first_us <= start_us <= last_us:
        raise InvalidValue(
            f"expected a start from {format_time_us(first_us)} to {format_time_us(last_us)}, "
            f"received {format_time_us(start_us)}"
        )
    if is_paused(start_us):
        raise InvalidValue(
            f"trading pauses at {format_time_us(start_us)} (Thursdays 03:00-05:00 New York): "
            "choose another start"
        )
