"""Targets: what a person asks `recio sweep` for, and the files that an interrupted one left."""

import msgspec
from tests.fuzz.mutators import Binary, Json
from tests.fuzz.targets import Target

from recio.domain.errors import InvalidValue
from recio.research.grid import GridAxis, field_paths, parse_axis
from recio.research.running import EventLine, Found
from recio.research.sweep import read_found
from recio.research.tapes.tape import Coverage, Hole

AXES = [
    b"strategy.autoEntry.minProbabilityPermille=900,950,970",
    b"spec.strategy.model=Fingerprints,Volatility",
    b"strategy.autoEntry.enabled=true,false",
]
CELL = msgspec.json.encode(
    Found(
        name="a", digest="00", unknown=0, decisions=10, orders=2, is_synthetic=True,
        caveat="made up", cpu_seconds=1.5,
        events=(EventLine("KXBTCD-24JUL0210", 1, -4_070_000, 84_000, 500, 1, 0),),
        coverage=Coverage(first_us=0, last_us=10, holes=(Hole(1, 2, "gap"),), refused={"a": 1}),
    )
)  # fmt: skip


def _axis(data: bytes) -> GridAxis:
    return parse_axis(data.decode("utf-8", "replace"))


def _is_axis(axis: GridAxis) -> None:
    leaves, _ = field_paths()
    assert axis.path in leaves or axis.path.startswith("strategy.custom.parameters.")
    assert axis.values
    assert all(isinstance(value, int | str) for value in axis.values)


def _is_cell(found: Found) -> None:
    assert isinstance(sum(line.pnl_usd_e6 for line in found.events), int)


TARGETS: tuple[Target, ...] = (
    Target(
        name="axis of a grid", decode=_axis, maker=Binary(AXES), examples=AXES,
        refusals=(InvalidValue,), check=_is_axis, share=0.02, is_twice=False,
    ),
    Target(
        name="finished cell of a sweep", decode=read_found, maker=Json([CELL]), examples=[CELL],
        refusals=(InvalidValue,), check=_is_cell, again=msgspec.json.encode, share=0.2,
    ),
)  # fmt: skip
