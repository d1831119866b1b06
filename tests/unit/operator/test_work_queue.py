"""The queue: one entry a key, never twice at once, patience with what fails."""

import asyncio
import contextlib

from recio.domain.errors import Unavailable
from recio_operator.work_queue import Later, WorkQueue


class Work:
    """Counts what is worked on; behaves as told."""

    def __init__(self):
        self.done = []
        self.at_once = 0
        self.most_at_once = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.answers = {}

    async def __call__(self, key):
        """Work on a key."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            self.done.append(key)
            answers = self.answers.get(key)
            answer = answers.pop(0) if answers else None
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            self.at_once -= 1


@contextlib.asynccontextmanager
async def queue_of(work, *, workers=2, seen=None):
    """A running queue whose retries are not spread."""

    def told(key, worked):
        if seen is not None:
            seen.append((key, worked.result))

    queue = WorkQueue(work, workers=workers, jitter=lambda: 1.0, on_worked=told)
    queue.start()
    try:
        yield queue
    finally:
        await queue.close(patience_s=1)


async def until(condition):
    """Let others work until something is so."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


def test_a_key_added_many_times_is_worked_on_once(runner):
    """What waits is there once: a burst of events costs one look."""

    async def check():
        work = Work()
        async with queue_of(work) as queue:
            for _ in range(50):
                queue.add("a")
            await until(lambda: work.done)
            await asyncio.sleep(0.01)
            assert work.done == ["a"]

    runner.run(check())


def test_a_key_is_never_worked_on_twice_at_the_same_time(runner):
    """An event that comes while its key is worked on is looked at afterwards."""

    async def check():
        work = Work()
        work.gate.clear()
        async with queue_of(work, workers=4) as queue:
            queue.add("a")
            await until(lambda: work.at_once == 1)
            queue.add("a")
            queue.add("a")
            await asyncio.sleep(0.01)
            assert work.most_at_once == 1
            work.gate.set()
            await until(lambda: len(work.done) == 2)
            await asyncio.sleep(0.01)
            assert work.done == ["a", "a"]
            assert work.most_at_once == 1

    runner.run(check())


def test_keys_are_worked_on_together_up_to_the_number_of_workers(runner):
    """Work is bounded: a restart lists every account at once."""

    async def check():
        work = Work()
        work.gate.clear()
        async with queue_of(work, workers=3) as queue:
            for number in range(10):
                queue.add(number)
            await until(lambda: work.at_once == 3)
            await asyncio.sleep(0.01)
            assert work.most_at_once == 3
            assert queue.depth == 7
            work.gate.set()
            await until(lambda: len(work.done) == 10)

    runner.run(check())


def test_what_fails_comes_back_later_and_later_and_is_forgiven(runner):
    """Pauses double up to a cap; one success forgets them."""

    async def check():
        work, seen = Work(), []
        work.answers["a"] = [Unavailable("not now"), Unavailable("not now"), None]
        async with queue_of(work, seen=seen) as queue:
            queue.add("a")
            await until(lambda: len(work.done) == 3)
            assert seen == [("a", "failed"), ("a", "failed"), ("a", "ok")]
            pauses = [queue._retry("b") for _ in range(12)]
            assert pauses[:4] == [0.5, 1, 2, 4]
            assert pauses[-1] == 120
            queue.drop("b")

    runner.run(check())


def test_a_crash_is_told_and_the_rest_goes_on(runner, caplog):
    """A document that finds a mistake of ours must not stop other accounts."""

    async def check():
        work, seen = Work(), []
        work.answers["bad"] = [KeyError("oops")]
        async with queue_of(work, workers=1, seen=seen) as queue:
            queue.add("bad")
            queue.add("good")
            await until(lambda: "good" in work.done)
            assert ("bad", "crashed") in seen
            assert ("good", "ok") in seen

    runner.run(check())
    assert "our own mistake" in caplog.text


def test_work_may_ask_to_be_called_again_and_an_earlier_reason_wins(runner):
    """``add_after`` keeps the earlier of two times; an event does not wait for either."""

    async def check():
        work = Work()
        work.answers["a"] = [0.01]
        async with queue_of(work) as queue:
            queue.add("a")
            await until(lambda: len(work.done) == 2)
            queue.add_after("b", 3600)
            queue.add_after("b", 0.01)
            queue.add_after("b", 1800)
            await until(lambda: "b" in work.done)

    runner.run(check())


def test_later_is_no_failure(runner):
    """Who was overtaken looks again soon, without growing pauses."""

    async def check():
        work, seen = Work(), []
        work.answers["a"] = [Later(0.01, "somebody was faster"), None]
        async with queue_of(work, seen=seen) as queue:
            queue.add("a")
            await until(lambda: len(work.done) == 2)
            assert seen == [("a", "later"), ("a", "ok")]

    runner.run(check())


def test_closing_finishes_what_is_begun_and_begins_nothing(runner):
    """At SIGTERM an act is finished, never cut in the middle; what waits is left for the next start."""

    async def check():
        work = Work()
        work.gate.clear()
        async with queue_of(work, workers=1) as queue:
            queue.add("a")
            queue.add("b")
            await until(lambda: work.at_once == 1)
            closing = asyncio.create_task(queue.close(patience_s=5))
            await asyncio.sleep(0.01)
            work.gate.set()
            await closing
            assert work.done == ["a"]

    runner.run(check())


def test_a_key_that_hangs_is_named(runner, monkeypatch):
    """The liveness probe tells a queue that does not move."""

    async def check():
        work = Work()
        work.gate.clear()
        async with queue_of(work, workers=1) as queue:
            assert queue.stuck() is None
            queue.add("a")
            await until(lambda: work.at_once == 1)
            assert queue.stuck() is None
            monkeypatch.setattr("recio_operator.work_queue.STUCK_S", -1)
            assert queue.stuck() == "a"
            work.gate.set()

    runner.run(check())
