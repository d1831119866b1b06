"""A strategy in the live service: the loop goes on whatever it does, and it comes back."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

import msgspec
import uvloop

from recio.engine.entry import Ask
from recio.runtime.metrics import Metrics, ProcessMetrics
from recio.runtime.sandbox.asking import Asking, Place
from recio.runtime.sandbox.child import Limits
from recio.runtime.stepped import SteppedLoop
from recio.testing.views import VIEW

GOOD = """
from recio.strategy import Proposal
class Mine:
    def __init__(self, parameters):
        self.ticker = parameters.get("ticker", "T1")
    def propose(self, view):
        return [Proposal(self.ticker, "yes", 1, 970_000)]
"""
LOOP = "class Mine:\n def __init__(self, p): pass\n def propose(self, view):\n  while True: pass\n"


def ask(generation=1, event=VIEW.event_ticker):
    """Return a question."""
    view = msgspec.structs.replace(VIEW, generation=generation, event_ticker=event)
    return Ask(event, generation, view.at_us, view)


@dataclass
class Desk:
    """An account's strategy, and whether the account holds something."""

    file: object
    is_flat: bool = True
    seconds: float = 0.5
    asking: Asking = field(init=False)

    def __post_init__(self):
        log = logging.LoggerAdapter(logging.getLogger("tests.strategy"), {})
        metrics = Metrics(ProcessMetrics(), service="auto_entry_supervisor", account="paper")
        limits = Limits(answer_seconds=self.seconds)
        self.asking = Asking(limits, lambda: self.is_flat, metrics=metrics, log=log)
        self.asking.follow(self.place())

    def place(self, **parameters):
        """Return where the strategy is."""
        return Place(self.file, "Mine", parameters)

    async def told(self, question):
        """Ask and wait for the answer."""
        self.asking.put(question)
        return await self.asking.next()


def played(tmp_path, text, story, **options):
    """Play a story with a strategy on the live loop."""
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    desk = Desk(file, **options)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(story(desk))
    finally:
        desk.asking.close()


def test_it_answers_and_says_which_strategy_it_was(tmp_path):
    """The name changes with every byte of the source."""

    async def story(desk):
        return await desk.told(ask(7))

    told = played(tmp_path, GOOD, story)

    assert [one.market_ticker for one in told.proposals] == ["T1"]
    assert (told.generation, told.at_us, told.failure) == (7, VIEW.at_us, "")
    assert told.strategy.startswith("Custom Mine ")
    assert played(tmp_path, GOOD + "\n", story).strategy != told.strategy


def test_the_loop_goes_on_while_it_thinks(tmp_path):
    """Exits and everything else of the process run on; it is killed in time."""

    async def story(desk):
        beats = 0
        asking = asyncio.create_task(desk.told(ask()))
        while not asking.done():
            await asyncio.sleep(0.01)
            beats += 1
        return beats, await asking

    beats, told = played(tmp_path, LOOP, story)

    assert told.failure == "timeout: no answer within 0.5 s"
    assert beats > 10


def test_of_several_questions_the_newest_is_put(tmp_path):
    """Prices of before are worth nothing; each event has its own turn."""

    async def story(desk):
        for generation in (1, 2, 3):
            desk.asking.put(ask(generation))
        desk.asking.put(ask(9, "KXBTCD-25AUG0123"))
        return [(await desk.asking.next()).generation for _ in range(2)]

    assert played(tmp_path, GOOD, story) == [3, 9]


def test_after_a_failure_it_pauses_and_is_told_alike(tmp_path):
    """Nothing is started in the pause; another strategy begins without one."""

    async def story(desk):
        first = await desk.told(ask())
        second = await desk.told(ask(2))
        desk.file.write_text(GOOD, encoding="utf-8")
        third = await desk.told(ask(3))
        desk.asking.follow(desk.place(ticker="T2"))
        return first, second, third, await desk.told(ask(4))

    first, second, third, fourth = played(tmp_path, "raise ValueError('no')", story)

    assert first.failure == "not_loaded: ValueError: no (mine.py, line 1)"
    assert second.failure == third.failure == first.failure
    assert [one.market_ticker for one in fourth.proposals] == ["T2"]


def test_changed_source_is_taken_up_when_nothing_is_held(tmp_path, monkeypatch):
    """A ConfigMap that was edited changes the file under a running pod."""
    monkeypatch.setattr("recio.runtime.sandbox.asking.LOOK_S", 0.0)

    async def story(desk):
        before = await desk.told(ask())
        desk.file.write_text(GOOD.replace('"T1"', '"T9"'), encoding="utf-8")
        desk.is_flat = False
        held = await desk.told(ask(2))
        desk.is_flat = True
        return before, held, await desk.told(ask(3))

    before, held, after = played(tmp_path, GOOD, story)

    assert held.strategy == before.strategy
    assert after.strategy != before.strategy
    assert after.proposals[0].market_ticker == "T9"


def test_a_missing_file_is_told(tmp_path):
    """The ConfigMap is not there: nothing is entered, and the reason is read."""

    async def story(desk):
        return await desk.told(ask())

    told = played(tmp_path, None, story)

    assert told.failure.startswith("not_loaded: expected the strategy in ")
    assert told.strategy == ""


def test_a_stepped_run_asks_without_waiting(tmp_path):
    """No time passes while it computes, so that the run is the same each time."""
    (tmp_path / "mine.py").write_text(GOOD, encoding="utf-8")
    loop = SteppedLoop()
    asyncio.set_event_loop(loop)
    desk = Desk(tmp_path / "mine.py", seconds=10)
    try:
        told = loop.run_until_complete(desk.told(ask()))
    finally:
        desk.asking.close()
        asyncio.set_event_loop(None)
        loop.close()

    assert (told.failure, len(told.proposals), loop.now_us) == ("", 1, 0)
