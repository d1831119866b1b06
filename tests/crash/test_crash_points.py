"""Real processes, real PostgreSQL, killed -9 at one boundary of each kind (``--all`` does them all).

The rule (invariant 15): what the books, orders, fills, positions and cash end as does not depend on
whether a process died, nor where. The one exception: an entry that had not been sent may end unsent,
with its reservation released.
"""

from __future__ import annotations

import asyncio
import re
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest
from tests.crash.boundaries import Point
from tests.crash.killing import kill_at_all, record, worlds
from tests.crash.postgres_wire import ClientWire, ServerWire, writes
from tests.crash.results import EQUAL, UNSENT

PATIENCE_S = 540.0
"""Whichever test is first waits for most of the play: a minute on two quiet cores."""
GATE, EXECUTOR = "trade_initiator", "trade_executor"
SYNC, MANAGER = "kalshi_account_sync", "trade_manager"
ORDERS = "POST /portfolio/events/orders"
KINDS = (
    (GATE, "entry", "commit .*insert orders", "before"),
    (GATE, "exit", "commit .*insert orders", "after"),
    (EXECUTOR, "start", "commit .*leases", "after"),
    (EXECUTOR, "entry", "commit .*update orders", "before"),
    (EXECUTOR, "partial entry", "commit .*update orders", "after"),
    (EXECUTOR, "partial entry", ORDERS, "after"),
    (EXECUTOR, "exit", ORDERS, "before"),
    (EXECUTOR, "entry", ORDERS, "late"),
    (EXECUTOR, "partial exit", ORDERS, "after"),
    (SYNC, "start", "commit .*insert ledger_transactions", "after"),
    (SYNC, "partial entry", "commit .*insert fills", "before"),
    (SYNC, "exit", "commit .*insert fills", "after"),
    (SYNC, "settlement", "GET /portfolio/fills", "after"),
    (SYNC, "exit", "frame fill", "before"),
    (MANAGER, "exit", "commit .*update trades", "before"),
    (MANAGER, "settlement", "commit .*update trades", "after"),
)


def chosen(points, kind):
    """Return the first boundary of a kind."""
    service, phase, what, side = kind
    return next(
        (
            point
            for point in points
            if (point.service, point.phase, point.side) == (service, phase, side)
            and re.match(what, point.what)
        ),
        None,
    )


class Play:
    """The runs, in a thread of their own: each test waits for its own result only."""

    def __init__(self, thread):
        self.found = Future()
        self.results = {}
        self._runner = asyncio.Runner()
        self._playing = None
        self._deadline = time.monotonic() + PATIENCE_S
        self.whole = thread.submit(self._run)
        self.whole.add_done_callback(self._end)

    def result(self, kind):
        """Return the boundary of a kind, and what came of it."""
        point = self._wait(self.found, "two clean runs")[kind]
        assert point is not None, f"the clean run has no such boundary: {kind}"
        return point, self._wait(self.results[str(point)], f"the run killed at {point}")

    def _wait(self, result, what):
        wait([result], max(self._deadline - time.monotonic(), 1))
        assert result.done(), f"not over {PATIENCE_S:g} s after the play began: {what}"
        return result.result()

    def stop(self):
        """End it, if results are still to come; else it closes everything by itself."""
        waiting = [one for one in (self.found, *self.results.values()) if not one.done()]
        if waiting and self._playing is not None:
            self._runner.get_loop().call_soon_threadsafe(self._playing.cancel)

    def _run(self):
        with self._runner:
            self._runner.run(self._play())

    def _end(self, whole):
        error = whole.exception()
        for waiting in (self.found, *self.results.values()):
            if error is not None and not waiting.done():
                waiting.set_exception(error)

    async def _play(self):
        self._playing = asyncio.current_task()
        async with worlds(2) as here:
            clean = await record(here[0], 2)
            found = {kind: chosen(clean.points, kind) for kind in KINDS}
            points = [point for point in found.values() if point is not None]
            self.results = {str(point): Future() for point in points}
            self.found.set_result(found)
            await kill_at_all(here, clean, points, self._tell)

    def _tell(self, result):
        self.results[result.point].set_result(result)


@pytest.fixture(scope="module")
def play():
    """All kinds, two runs at a time."""
    with ThreadPoolExecutor(1) as thread:
        made = Play(thread)
        yield made
        made.stop()


@pytest.mark.timeout(PATIENCE_S + 60)
@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
def test_a_kill_changes_nothing(play, kind):
    """The end is the clean run's; an unsent entry may have died, with nothing left of it."""
    point, result = play.result(kind)
    assert result.outcome in {EQUAL, UNSENT}, (
        f"{result.reason}\npython -m tests.crash --log --point '{point}'"
    )
    if result.outcome == UNSENT:
        assert point.phase in {"entry", "partial entry"}, "only an entry may die unsent"


def test_a_boundary_is_read_back_from_its_name():
    """What a failure prints is what ``--point`` takes."""
    point = Point("partial entry", EXECUTOR, "commit update orders", 2, "after")
    assert Point.parse(str(point)) == point


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("INSERT INTO trading.fills VALUES ($1)", ["insert fills"]),
        ("insert into t select 1 on conflict (a) do update set b = 1", ["insert t"]),
        ("SELECT 1 FROM trading.orders o FOR UPDATE OF o", []),
        ("WITH x AS (DELETE FROM a.b RETURNING 1) SELECT * FROM x", ["delete b"]),
    ],
)
def test_what_a_statement_writes(sql, found):
    """Only writing makes a commit a boundary."""
    assert writes(sql) == found


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def test_round_trips_are_cut_wherever_the_bytes_are_cut():
    """One byte at a time gives the same round trips, and the commit is named by its writes."""
    started = (8).to_bytes(4, "big") + (196_608).to_bytes(4, "big")
    writing = _message(b"P", b"s1\0UPDATE trading.orders SET a = $1\0\0\0")
    writing += _message(b"B", b"\0s1\0\0\0\0\0\0\0") + _message(b"S", b"")
    commit = _message(b"P", b"\0COMMIT\0\0\0") + _message(b"B", b"\0\0\0\0\0\0\0\0")
    commit += _message(b"S", b"")
    wire = ClientWire()
    trips = [trip for byte in started + writing + commit for trip in wire.feed(bytes([byte]))]
    assert [trip.data for trip in trips] == [started, writing, commit]
    assert [trip.commit for trip in trips] == ["", "", "update orders"]


def test_a_hint_between_answers_is_no_answer():
    """NOTIFY arrives at any time and belongs to no round trip."""
    hint, answer = _message(b"A", b"orders"), _message(b"C", b"COMMIT\0") + _message(b"Z", b"I")
    assert ServerWire().feed(hint + answer) == [(hint, False), (answer, True)]
