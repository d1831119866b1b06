"""Which kinds are tried against which, and what a row of the table says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tests.concurrency.arena import Arena, Tried
from tests.concurrency.kinds import KINDS, Kind

MOST: Final = 800
"""Orders of one pair; where there are more, the row says so, and more are drawn by chance."""
BY_CHANCE: Final = 5
BY_CHANCE_INSTEAD: Final = 200
SEED: Final = 5

# The same code on other data: tried against its own family, and not again against all others.
TWIN_OF: Final = {
    "gate: another entry": "gate",
    "gate: another exit": "gate",
    "executor: send an exit": "executor",
    "executor: refused": "executor",
    "sync: order filled in part": "sync",
    "person: halt all": "person",
}
# What is tried in `make test`: where locks of several tables meet, and where limits are shared.
QUICK: Final = (
    ("gate: entry", "gate: entry"),
    ("gate: entry", "gate: another entry"),
    ("gate: entry", "gate of another account: entry"),
    ("gate: exit", "gate: another exit"),
    ("gate: entry", "person: halt"),
    ("gate: entry", "sync: bought by hand"),
    ("gate: exit", "sync: sold by hand"),
    ("executor: send an entry", "executor: give an entry up"),
    ("executor: send an entry", "executor: take over"),
    ("executor: send an entry", "person: halt"),
    ("executor: no answer", "sync: order executed"),
    ("executor: found", "sync: fill"),
    ("executor: refused", "sync: order executed"),
    ("executor: take over", "executor: take over"),
    ("sync: fill", "sync: fill"),
    ("sync: order executed", "sync: fill"),
    ("sync: sold by hand", "sync: bought by hand"),
    ("sync: settlement", "sync: settlement"),
    ("sync: settlement", "manager: fold the ended"),
    ("sync: fill", "manager: fold the sent"),
    ("manager: fold the sent", "manager: fold the sent"),
    ("person: limits", "operator: account"),
)


def _family(kind: Kind) -> str:
    return kind.name.partition(":")[0]


def every_pair() -> list[tuple[Kind, Kind]]:
    """Return the pairs, a kind with itself included; those of ``make test`` first."""
    return sorted(_pairs(), key=lambda pair: (pair[0].name, pair[1].name) not in QUICK)


def _pairs() -> Iterator[tuple[Kind, Kind]]:
    for index, one in enumerate(KINDS):
        for two in KINDS[index:]:
            is_twin = one.name in TWIN_OF or two.name in TWIN_OF
            if not is_twin or _family(one) == _family(two):
                yield one, two


def tried(arena: Arena, pair: tuple[Kind, Kind]) -> Tried:
    """Try a pair: every order, some by chance, and every death that the other can notice."""
    found = arena.every_order(pair, MOST)
    number = BY_CHANCE if found.is_complete else BY_CHANCE_INSTEAD
    arena.by_chance(pair, found, seed=SEED, number=number)
    # Who never waits for the other notices nothing of its death: what it did is invisible.
    if found.waits or pair[0] is pair[1]:
        arena.deaths(pair, found)
    return found


def row(pair: tuple[Kind, Kind], found: Tried) -> dict[str, Any]:
    """Return what the table says of a pair."""
    return {
        "one": pair[0].name,
        "two": pair[1].name,
        "orders": found.orders,
        "is_complete": found.is_complete,
        "orders_with_a_wait": found.waits,
        "by_chance": found.by_chance,
        "deaths": found.deaths,
        "endings": len(found.endings),
        "deadlocks": found.deadlocks,
        "unlike_serial": found.unlike_serial,
        "violations": dict(sorted(found.found.items())),
        "refused_and_tried_again": dict(sorted(found.errors.items())),
        "notes": dict(sorted(found.notes.items())),
    }
