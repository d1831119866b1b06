"""Plays kinds of transactions against each other, in every order of their statements."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import pq
from tests.concurrency.exploring import Choice, Reaches, random_orders, written_by
from tests.concurrency.judging import Judge, drive
from tests.concurrency.kinds import Kind, Stage
from tests.concurrency.stepping import COMMIT, PATIENCE_S, Line, Player
from tests.concurrency.world import World
from tests.integration.money.scene import login_url

from recio.apps.trade_manager.fold import fold

Choose = Callable[[Sequence[Player], Sequence[int]], int | None]
VACUUM_EVERY = 300
BOUNDED = f"-c lock_timeout={PATIENCE_S:.0f}s"
"""What looks on and puts back waits for no lock for ever: somebody holds what nobody should."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to a player instead of its statement number ``at`` (counted from 0)."""

    player: int
    at: int
    what: str
    """die, commit lost, commit kept."""


@dataclass(slots=True)
class Run:
    """One order of statements and what came of it."""

    order: list[int] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    ending: str = ""
    """The books as it left them."""
    is_deadlock: bool = False
    has_struck: bool = False
    has_waited: bool = False


@dataclass(slots=True)
class Tried:
    """What was tried of one pair, and what was found."""

    orders: int = 0
    is_complete: bool = False
    redundant: int = 0
    waits: int = 0
    deaths: int = 0
    by_chance: int = 0
    deadlocks: int = 0
    unlike_serial: int = 0
    found: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    endings: set[str] = field(default_factory=set)


class Arena:
    """The world, the sessions, the judge."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self.world = World(url, runner)
        self._owner = psycopg.connect(url, autocommit=True, options=BOUNDED)
        self.judge = Judge(self.world, psycopg.connect(url, autocommit=True, options=BOUNDED))
        self._stage = Stage(self.world, self.judge.wire, {})
        self._lines: dict[str, list[Line]] = {}
        self._runs = 0
        self._touched = frozenset(self.world.tables)

    def close(self) -> None:
        """Close every session."""
        for lines in self._lines.values():
            for line in lines:
                line.close()
        drive(self.judge.database.close())
        self._owner.close()
        self.judge.looking.close()

    # One run.

    def play(self, kinds: Sequence[Kind], choose: Choose, fates: Sequence[Fate] = ()) -> Run | None:
        """Play one order; None if the choice found that it was played before in other words."""
        self._put_back()
        players = [self._player(kind) for kind in kinds]
        try:
            return self._play(kinds, players, choose, fates)
        except BaseException:
            # Whoever plays next finds no lock of theirs.
            self._end(players)
            raise

    def _play(
        self,
        kinds: Sequence[Kind],
        players: list[Player],
        choose: Choose,
        fates: Sequence[Fate],
    ) -> Run | None:
        run = Run()
        steps = [0] * len(players)
        while any(not player.is_done for player in players):
            able = [n for n, p in enumerate(players) if not p.is_done and not p.is_parked]
            if not able:
                run.is_deadlock = True
                run.found.append("deadlock: " + " | ".join(_text(p) for p in players if p.step))
                break
            chosen = choose(players, able)
            if chosen is None:
                self._leave(kinds, players)
                return None
            fate = next((f for f in fates if (f.player, f.at) == (chosen, steps[chosen])), None)
            steps[chosen] += 1
            self._go(run, players, chosen, fate)
        run.errors = [f"{type(p.error).__name__}: {p.error}" for p in players if p.error]
        self._leave(kinds, players)
        run.found += self.judge.end()
        run.notes = list(self.judge.notes)
        run.ending = self.judge.digest()
        return run

    def _go(self, run: Run, players: list[Player], chosen: int, fate: Fate | None) -> None:
        player = players[chosen]
        assert player.step is not None
        run.order.append(chosen)
        run.statements.append(_text(player))
        ends = player.step.is_commit or fate is not None
        self._touched |= written_by(player.step.sql)
        if fate is None:
            player.go(self._is_waiting)
            run.has_waited |= player.is_parked
        else:
            run.has_struck = True
            if fate.what == "die":
                player.die()
            else:
                player.lose_commit(is_kept=fate.what == "commit kept")
            self._until_gone(player.pid)
        for other in players:
            if other.is_parked and other is not player:
                other.look(self._is_waiting)
        if ends:
            run.found += self.judge.look()

    def settled(self) -> str:
        """Fold what there is to fold, as follows sooner or later; return the books then."""

        async def work() -> None:
            async with self.judge.database.transaction() as tx:
                for (trade_id,) in await tx.fetch(
                    "SELECT trade_id FROM trading.trades "
                    "WHERE state NOT IN ('closed', 'settled', 'abandoned') ORDER BY number"
                ):
                    await fold(tx, "paper", trade_id, now_us=self.world.now_us)

        self._touched |= {"trades", "audit"}
        drive(work())
        return self.judge.digest()

    def _put_back(self) -> None:
        done = self._owner.pgconn.exec_(self.world.putting_back(self._touched).encode())
        assert done.status == pq.ExecStatus.COMMAND_OK, done.error_message.decode()
        self._touched = frozenset()
        self._runs += 1
        if self._runs % VACUUM_EVERY == 0:
            self._owner.execute("VACUUM")
        self.judge.begin()

    def _player(self, kind: Kind) -> Player:
        idle = self._lines.setdefault(kind.login, [])
        line = idle.pop() if idle else Line(login_url(self.world.url, kind.login))
        return Player(line, lambda port: kind.script(self._stage, port))

    def _leave(self, kinds: Sequence[Kind], players: Sequence[Player]) -> None:
        left = []
        for kind, player in zip(kinds, players, strict=True):
            if player.is_done and player.line.is_open and not player.line.is_in_transaction:
                self._lines[kind.login].append(player.line)
            else:
                left.append(player)
        self._end(left)

    def _end(self, players: Sequence[Player]) -> None:
        # All of them first: a server that waits for a lock does not notice that its client is gone.
        for player in players:
            player.die()
        for player in players:
            self._until_gone(player.pid)

    def _is_waiting(self, pid: int) -> bool:
        row = self._owner.execute("SELECT cardinality(pg_blocking_pids(%s))", (pid,)).fetchone()
        return row != (0,)

    def _until_gone(self, pid: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while found := self._owner.execute(
            "SELECT state, wait_event_type, wait_event, query FROM pg_stat_activity WHERE pid = %s",
            (pid,),
        ).fetchone():
            assert time.monotonic() < deadline, f"session {pid} does not end: {found}"

    # Many runs.

    def serial(self, kinds: Sequence[Kind]) -> tuple[set[str], set[str]]:
        """Return how whole transactions in every order end, at once and when all is folded."""
        choice = Choice(Reaches(self.world.references, len(kinds)), is_serial=True)
        at_once, folded = set(), set()
        while True:
            choice.begin()
            run = self.play(kinds, choice)
            if run is not None:
                at_once.add(run.ending)
                folded.add(self.settled())
            if not choice.advance():
                return at_once, folded

    def every_order(self, kinds: Sequence[Kind], most: int) -> Tried:
        """Play every order of the statements, up to ``most``."""
        tried = Tried()
        at_once, folded = self.serial(kinds)
        choice = Choice(Reaches(self.world.references, len(kinds)))
        while tried.orders < most:
            choice.begin()
            run = self.play(kinds, choice)
            if run is None:
                tried.redundant += 1
            else:
                tried.orders += 1
                self._note(tried, run)
                if run.ending not in at_once and (later := self.settled()) not in folded:
                    self._unlike(tried, run, later, folded)
            if not choice.advance():
                tried.is_complete = True
                break
        return tried

    def by_chance(self, kinds: Sequence[Kind], tried: Tried, *, seed: int, number: int) -> None:
        """Play orders by chance: none may end as no order of ``every_order`` did."""
        known = set(tried.endings)
        for choose in random_orders(seed, number):
            run = self.play(kinds, choose)
            assert run is not None
            tried.by_chance += 1
            self._note(tried, run)
            if tried.is_complete and run.ending not in known:
                tried.found["an order by chance ended as none that was enumerated"] += 1

    def deaths(self, kinds: Sequence[Kind], tried: Tried) -> None:
        """Let each of two die at each of its statements, the other running into it; then again."""
        for victim in (0, 1):
            alone = self.play([kinds[victim]], lambda _players, able: able[0])
            assert alone is not None
            for at, text in enumerate(alone.statements):
                self._death(kinds, Fate(victim, at, "die"), tried)
                if text == COMMIT:
                    self._death(kinds, Fate(victim, at, "commit lost"), tried)
                    self._death(kinds, Fate(victim, at, "commit kept"), tried)

    def _death(self, kinds: Sequence[Kind], fate: Fate, tried: Tried) -> None:
        again = [*kinds, kinds[fate.player]]
        victim, other, heir = fate.player, 1 - fate.player, 2
        steps = 0

        def choose(_players: Sequence[Player], able: Sequence[int]) -> int:
            nonlocal steps
            # To the brink; then the other as far as it comes; then the end; then once more.
            if steps < fate.at and victim in able:
                steps += 1
                return victim
            return next(n for n in (other, victim, heir) if n in able)

        run = self.play(again, choose, [fate])
        assert run is not None
        run.errors = [text for text in run.errors if not text.startswith("CommitUnknown")]
        tried.deaths += run.has_struck
        self._note(tried, run)

    @staticmethod
    def _note(tried: Tried, run: Run) -> None:
        tried.deadlocks += run.is_deadlock
        tried.waits += run.has_waited
        tried.endings.add(run.ending)
        tried.notes.update(set(run.notes))
        tried.errors.update(run.errors)
        for what in set(run.found):
            tried.found[what] += 1
        for what in {*run.found, *run.errors}:
            tried.examples.setdefault(what, _told(run))

    @staticmethod
    def _unlike(tried: Tried, run: Run, later: str, folded: set[str]) -> None:
        """Note an ending that no order of whole transactions has, with what is unlike."""
        lines = set(later.split("\n"))
        unlike = min((sorted(lines ^ set(one.split("\n"))) for one in folded), key=len)
        tried.unlike_serial += 1
        tried.examples.setdefault("unlike serial", "\n".join([*unlike, _told(run)]))


def _text(player: Player) -> str:
    assert player.step is not None
    return " ".join(player.step.sql.split())[:70]


def _told(run: Run) -> str:
    return "\n".join(
        f"  {who}: {text}" for who, text in zip(run.order, run.statements, strict=True)
    )
