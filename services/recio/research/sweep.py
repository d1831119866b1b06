"""Plays every cell of a grid over several processes; a cell that is finished is never played again.

Each finished cell is one file under ``cells/``, named by a checksum of everything that decides its
outcome: document, tape, seed, latency, the strategy's file, and our code. A tape's own files are taken by their
names: who changes them says ``--again``. A file that cannot be read is played anew and told.
An interruption leaves what is done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from recio.domain.errors import Broken, InvalidValue
from recio.research.grid import GridCell
from recio.research.running import Found, Job, played
from recio.research.walking import Tried

FOLDER: Final = "cells"
_DECIDING: Final = ("data", "domain", "engine", "exchange_simulator/world", "research/tapes")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What every cell is played with."""

    tape: str
    seed: int
    latency_ms: int
    strategy_file: str = ""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a sweep is. ``playing_us`` is the market time of each running cell, 0: not begun."""

    done: int
    whole: int
    kept: int
    """How many of those done were there from before."""
    playing_us: tuple[int, ...]


def key_of(cell: GridCell, asked: Asked) -> str:
    """Return the checksum of everything that decides a cell's outcome."""
    own = Path(asked.strategy_file).read_bytes() if asked.strategy_file else b""
    decisive = (cell.document, asked, own, code_checksum())
    packed = msgspec.json.encode(decisive, order="deterministic")
    return hashlib.blake2b(packed, digest_size=12).hexdigest()


@cache
def code_checksum() -> str:
    """Return the checksum of all code and artefacts that a backtest runs on."""
    root, whole = Path(__file__).parents[1], hashlib.blake2b(digest_size=16)
    for part in _DECIDING:
        for path in sorted((root / part).rglob("*")):
            if path.suffix in {".py", ".json"}:
                whole.update(path.relative_to(root).as_posix().encode())
                whole.update(path.read_bytes())
    return whole.hexdigest()


def sweep(
    cells: Sequence[GridCell],
    asked: Asked,
    folder: Path,
    *,
    jobs: int,
    again: bool = False,
    tell: Callable[[Progress], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> list[Tried]:
    """Play what is not played yet and return every cell with what it found, in order.

    Raises:
        Broken: a worker ended, or could not play a cell; the others' files stay.
    """
    held = folder / FOLDER
    held.mkdir(parents=True, exist_ok=True)
    keys = {key_of(cell, asked): cell for cell in cells}
    done = {} if again else _kept(held, keys, warn)
    kept = len(done)
    wanted = [
        Job(name=key, document=cell.document, **msgspec.structs.asdict(asked))
        for key, cell in keys.items()
        if key not in done
    ]
    tell(Progress(done=kept, whole=len(keys), kept=kept, playing_us=()))
    # Closed here, so that an interruption ends the workers before anything else happens.
    with closing(played(wanted, min(jobs, len(wanted)))) as heard_of:
        for job, heard, playing_us in heard_of:
            if heard.error:
                raise Broken(f"{keys[job.name].name} could not be played: {heard.error}")
            if heard.found is not None:
                _keep(held / f"{job.name}.json", heard.found)
                done[job.name] = heard.found
            tell(Progress(done=len(done), whole=len(keys), kept=kept, playing_us=tuple(playing_us)))
    return [Tried(settings=cell.settings, found=done[key]) for key, cell in keys.items()]


def _kept(folder: Path, keys: dict[str, Any], warn: Callable[[str], None]) -> dict[str, Found]:
    found = {}
    for key in keys:
        path = folder / f"{key}.json"
        if not path.exists():
            continue
        try:
            found[key] = read_found(path.read_bytes())
        except InvalidValue as error:
            warn(f"{path} is played anew: {error}")
    return found


_decoder: Final = msgspec.json.Decoder(Found)


def read_found(data: bytes) -> Found:
    """Return what a file of a finished cell holds.

    Raises:
        InvalidValue: not such a file, or only a part of it.
    """
    try:
        return _decoder.decode(data)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"not a finished cell: {error}") from error


def _keep(path: Path, found: Found) -> None:
    # Beside it first: a file of that name is always whole.
    beside = path.with_suffix(".part")
    beside.write_bytes(msgspec.json.encode(found))
    beside.replace(path)
