"""Which of the wanted objects must be written: those that a live one does not say already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from recio_operator.planning.differing import differs, is_as_applied, stamped
from recio_operator.planning.observed import Object
from recio_operator.planning.plan import Note
from recio_operator.planning.rollout import Hold, Settled

Children = Mapping[tuple[str, str], Object]


def changed(
    wanted: Iterable[Object], settled: Iterable[Settled], children: Children
) -> tuple[Object, ...]:
    """Return the objects to apply, stamped; Deployments last, when all they need is there."""
    others = (stamped(one) for one in wanted)
    return (
        *(one for one in others if differs(one, children.get(key_of(one)))),
        *(stamped(one.deployment) for one in settled if _is_changed(one)),
    )


def key_of(made: Object) -> tuple[str, str]:
    """Return what an object is found by among the children."""
    return made["kind"], made["metadata"]["name"]


def _is_changed(settled: Settled) -> bool:
    if settled.hold in (Hold.HELD, Hold.ROTATES):
        # Its digest is of the live template; writing it only for that would be a write for nothing.
        return differs(settled.deployment, settled.live)
    return differs(stamped(settled.deployment), settled.live)


def drift_notes(applied: Iterable[Object], children: Children) -> tuple[Note, ...]:
    """Return an Event if somebody changed children of ours: same digest, other content."""
    drifted = sorted(
        f"{made['kind']} {made['metadata']['name']}"
        for made in applied
        if is_as_applied(made, children.get(key_of(made)))
    )
    if not drifted:
        return ()
    return (Note(kind="Normal", reason="DriftRepaired", message=", ".join(drifted)),)
