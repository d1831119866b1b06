"""Where the market time of a fresh local run begins, and which world it is of.

The choice belongs to the state directory: books that began in one world cannot go on in another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from recio.domain.errors import Broken, Rejected
from recio.domain.units import format_time_us
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.world import MinutesSource, RecordingSource, Source, attach
from recio.exchange_simulator.world.regimes import RECORDED
from recio.runtime.clock import wall_us
from recio.runtime.local.options import ENVIRONMENT, SHADOW_ENVIRONMENT, UpOptions

FILE: Final = "world.json"


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What the simulated exchange plays, and the market time at which it began.

    ``is_shadow``: the accounts trade on a mirror of what is played, or with ``is_live`` of production.
    """

    start_us: int
    recording: str = ""
    is_live: bool = False
    regime: str = RECORDED.name
    is_shadow: bool = False

    @property
    def environment(self) -> str:
        """The name of the run's environment."""
        return SHADOW_ENVIRONMENT if self.is_shadow else ENVIRONMENT

    @property
    def has_stand_in(self) -> bool:
        """Whether production is played by an exchange simulator of its own."""
        return self.is_shadow and not self.is_live


def world_of(options: UpOptions, state: Path) -> World:
    """Return the directory's world; the options choose it at a fresh start only.

    Raises:
        InvalidValue: a start outside the recording or inside a pause, or no such recording.
        Rejected: the options ask for another world than the one that the books began in.
    """
    held = _held(state / FILE)
    if held is None:
        made = _chosen(options)
        (state / FILE).write_bytes(msgspec.json.encode(made))
        return made
    _refuse_another(held, options, state)
    return held


def _chosen(options: UpOptions) -> World:
    regime = options.regime or RECORDED.name
    if options.is_live:
        return World(start_us=wall_us(), is_live=True, regime=regime)
    if options.read_key is not None:
        return World(start_us=wall_us(), is_live=True, is_shadow=True)
    source: Source = MinutesSource(start_us=options.start_us)
    if options.recording is not None:
        if options.start_us is not None:
            raise Rejected("--start: a recorded market begins with its first frame")
        source = RecordingSource(options.recording)
    start_us = attach(Exchange(), source).start_us
    return World(
        start_us=start_us,
        recording=options.recording or "",
        regime=regime,
        is_shadow=options.is_shadow,
    )


def _held(path: Path) -> World | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=World)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise Broken(
            f"{path} cannot be read: {error}; start with nothing: recio up --fresh"
        ) from error


def _refuse_another(held: World, options: UpOptions, state: Path) -> None:
    asked = {
        "--recording": options.recording not in {None, held.recording},
        "--live-prices": options.is_live and not held.is_live,
        "--regime": options.regime not in {None, held.regime},
        "--shadow": options.is_shadow and not held.is_shadow,
        "--read-key": options.read_key is not None and not (held.is_shadow and held.is_live),
        "--start": options.start_us not in {None, held.start_us},
    }
    wrong = [name for name, is_another in asked.items() if is_another]
    if wrong:
        what = held.recording or ("live prices" if held.is_live else "recorded minutes")
        raise Rejected(
            f"{', '.join(wrong)}: the books in {state} began with {what} at "
            f"{format_time_us(held.start_us)}; add --fresh to begin anew, or choose another --state"
        )
