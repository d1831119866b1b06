"""Every order in which two players' statements can run, up to statements that commute.

What a transaction has not committed is invisible to others (READ COMMITTED), so a read commutes with
everything but a commit of what it reads; a statement that locks commutes with what locks no row of
the same tables in a mode that excludes it. Orders that differ only in such neighbours end the same:
of each class one is run (sleep sets, Godefroid 1996). ``random_order`` runs orders without that
reasoning, to check it.
"""

from __future__ import annotations

import random  # noqa: TID251 (a seeded order)
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.concurrency.stepping import Player

FLEET_TOTALS: Final = frozenset({"fleet", "trades", "orders", "positions", "ledger_postings"})
_NAMED: Final = re.compile(r"\btrading\.(\w+)")
_WRITTEN: Final = re.compile(r"\b(?:INSERT INTO|UPDATE|DELETE FROM) trading\.(\w+)")
_AUDITED: Final = frozenset({"intents", "trades", "orders", "switches"})

# What excludes what: SHARE and stronger modes of row locks; a reference only excludes FOR UPDATE.
_EXCLUDES: Final = {
    "refer": {"update"},
    "share": {"write", "update"},
    "write": {"share", "write", "update"},
    "update": {"refer", "share", "write", "update"},
}


@dataclass(frozen=True, slots=True)
class Reach:
    """What a statement reads, writes and locks: tables, and for locks their mode."""

    reads: frozenset[str]
    writes: frozenset[str]
    locks: frozenset[tuple[str, str]]
    is_commit: bool = False
    is_free: bool = False
    """A commit of a transaction that only read: it commutes with everything."""


def written_by(sql: str) -> frozenset[str]:
    """Return the tables that a statement writes, the audit included."""
    written = frozenset(_WRITTEN.findall(sql))
    return written | {"audit"} if written & _AUDITED else written


def reach_of(sql: str, references: Mapping[str, frozenset[str]]) -> Reach:
    """Return the reach of a statement; ``references`` are the tables that a table's rows name."""
    named = frozenset(_NAMED.findall(sql))
    written = written_by(sql)
    locks = {(table, "write") for table in written - {"audit"}}
    if "INSERT INTO" in sql:
        locks |= {(other, "refer") for table in written for other in references.get(table, ())}
    for text, mode in (
        ("FOR NO KEY UPDATE", "write"),
        ("FOR UPDATE", "update"),
        ("FOR SHARE", "share"),
    ):
        if text in sql:
            locks |= {(table, mode) for table in named}
    if "lock_fleet_totals" in sql:
        named |= FLEET_TOTALS
        locks.add(("fleet", "update"))
    if "advisory" in sql:
        locks.add(("advisory", "write"))
    return Reach(named, written, frozenset(locks))


def commute(one: Reach, other: Reach) -> bool:
    """Whether two statements of different transactions can change places."""
    if one.is_free or other.is_free:
        return True
    if one.is_commit and other.is_commit:
        return False
    if one.is_commit or other.is_commit:
        commit, statement = (one, other) if one.is_commit else (other, one)
        touched = commit.writes | {table for table, _ in commit.locks}
        seen = statement.reads | statement.writes | {table for table, _ in statement.locks}
        return not touched & seen
    return not any(
        table == table_ and mode_ in _EXCLUDES[mode]
        for table, mode in one.locks
        for table_, mode_ in other.locks
    )


class Reaches:
    """The reach of each player's next statement, with what its transaction has touched so far."""

    def __init__(self, references: Mapping[str, frozenset[str]], number: int) -> None:
        self._references = references
        self._cache: dict[str, Reach] = {}
        self._touched: list[list[Reach]] = [[] for _ in range(number)]

    def begin(self) -> None:
        """Forget what was touched: a new run."""
        for touched in self._touched:
            touched.clear()

    def next_of(self, number: int, player: Player) -> Reach:
        """Return the reach of the player's next statement."""
        assert player.step is not None
        if player.step.is_commit:
            touched = self._touched[number]
            writes = frozenset[str]().union(*(one.writes for one in touched))
            locks = frozenset[tuple[str, str]]().union(*(one.locks for one in touched))
            return Reach(frozenset(), writes, locks, is_commit=True, is_free=not locks)
        sql = player.step.sql
        if sql not in self._cache:
            self._cache[sql] = reach_of(sql, self._references)
        return self._cache[sql]

    def ran(self, number: int, reach: Reach) -> None:
        """Note that it ran."""
        if reach.is_commit:
            self._touched[number].clear()
        else:
            self._touched[number].append(reach)


@dataclass(slots=True)
class _Node:
    """A state on the way: who could go on, who was tried, who need not be tried."""

    reaches: dict[int, Reach]
    asleep: set[int]
    tried: list[int] = field(default_factory=list)

    def untried(self) -> list[int]:
        return [n for n in self.reaches if n not in self.asleep and n not in self.tried]


def is_between_transactions(player: Player) -> bool:
    """Whether its next statement begins a transaction."""
    return player.step is not None and player.step.begins


class Choice:
    """Decides in each run who goes next; after the run ``advance`` turns to the next order.

    ``is_serial``: whole transactions, one after the other, in every order.
    """

    def __init__(self, reaches: Reaches, *, is_serial: bool = False) -> None:
        self._reaches = reaches
        self._is_serial = is_serial
        self._path: list[_Node] = []
        self._depth = 0
        self._last: int | None = None
        self.is_redundant = False

    def begin(self) -> None:
        """Start a run."""
        self._depth = 0
        self._last = None
        self.is_redundant = False
        self._reaches.begin()

    def __call__(self, players: Sequence[Player], able: Sequence[int]) -> int | None:
        """Return who goes on; None if this order was tried already in other words."""
        if not self._is_serial:
            return self._choose(players, able)
        if self._last not in able or is_between_transactions(players[self._last]):
            self._last = self._choose(players, able)
        return self._last

    def _choose(self, players: Sequence[Player], able: Sequence[int]) -> int | None:
        if self._depth == len(self._path):
            self._path.append(self._node(players, able))
        node = self._path[self._depth]
        if self._depth == len(self._path) - 1 and not self._picked(node):
            self.is_redundant = True
            return None
        self._depth += 1
        chosen = node.tried[-1]
        self._reaches.ran(chosen, node.reaches[chosen])
        return chosen

    def _picked(self, node: _Node) -> bool:
        """Whether the node has a choice for this run; makes one at a fresh node."""
        if node.tried:
            return True
        left = node.untried()
        node.tried += left[:1]
        return bool(left)

    def _node(self, players: Sequence[Player], able: Sequence[int]) -> _Node:
        reaches = {n: self._reaches.next_of(n, players[n]) for n in able}
        asleep: set[int] = set()
        if self._path and not self._is_serial:
            above = self._path[-1]
            chosen = above.tried[-1]
            waiting = above.asleep | set(above.tried[:-1])
            asleep = {
                n
                for n in waiting
                if n in reaches and commute(above.reaches[n], above.reaches[chosen])
            }
        return _Node(reaches, asleep)

    def advance(self) -> bool:
        """Turn to the next order; False when there is none."""
        del self._path[self._depth + self.is_redundant :]
        while self._path:
            left = self._path[-1].untried()
            if left:
                self._path[-1].tried.append(left[0])
                return True
            self._path.pop()
        return False


def random_orders(seed: int, number: int) -> Iterator[Callable[[object, Sequence[int]], int]]:
    """Yield as many choices by chance."""
    for index in range(number):
        chance = random.Random(seed * 1_000_003 + index)
        yield lambda _players, able, chance=chance: chance.choice(list(able))  # type: ignore[misc]
