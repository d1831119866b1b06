"""Keeps what campaigns showed, by the code that they were played with, for docs/reliability.md.

One file, written by one command: campaigns of the same code add up, those of older code stay as what
they were. A seed that is played again is not counted again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import msgspec

import recio
from recio.simulation.campaign import Tally

COMMAND: Final = "recio simulate --seeds N --first-seed K --results FILE --record docs/reliability/simulation.json"


class Campaign(msgspec.Struct, kw_only=True):
    """The seeds of one state of the code."""

    code: str
    seeds: list[int]
    counts: dict[str, int]
    hits: dict[str, int]
    failed: dict[int, tuple[str, ...]]


class Records(msgspec.Struct, kw_only=True):
    """All campaigns, oldest first."""

    command: str = COMMAND
    campaigns: list[Campaign] = []


def code_digest() -> str:
    """Return what names the code: a digest of every module of the package."""
    root = Path(recio.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def record(path: Path, tally: Tally) -> None:
    """Add the seeds of a tally that the file does not have yet."""
    records = msgspec.json.decode(path.read_bytes(), type=Records) if path.exists() else Records()
    code = code_digest()
    held = next((one for one in records.campaigns if one.code == code), None)
    if held is None:
        held = Campaign(code=code, seeds=[], counts={}, hits={}, failed={})
        records.campaigns.append(held)
    _add(held, tally.without(set(held.seeds)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(records), indent=1) + b"\n")


def _add(held: Campaign, tally: Tally) -> None:
    held.seeds = sorted([*held.seeds, *tally.outcomes])
    for name, number in tally.counts.items():
        held.counts[name] = held.counts.get(name, 0) + number
    for cell, number in tally.hits.items():
        held.hits[cell] = held.hits.get(cell, 0) + number
    held.failed |= tally.failed
