"""Waiting for work: a hint wakes at once, a slow poll backs it up."""

import asyncio

import pytest

from recio.ports import Notification
from recio.runtime import stepped
from recio.runtime.wake import Wake


class Listening:
    """A database that only listens."""

    poll_seconds = 2.0
    settle_seconds = 0.02

    def __init__(self):
        self.hints = asyncio.Queue()
        self.channels = None

    async def listen(self, *channels):
        """Yield what the test sends."""
        self.channels = channels
        while True:
            yield await self.hints.get()


def waited(account="paper", *, hint=None, after_s=0.5, at_most_s=None, is_follower=False):
    """Return after how many seconds a waiting loop went on."""

    async def main():
        database = Listening()
        wake = Wake(database, "orders", account=account, is_follower=is_follower)
        listening = asyncio.create_task(wake.listen())
        loop = asyncio.get_running_loop()
        if hint is not None:
            loop.call_later(after_s, database.hints.put_nowait, hint)
        began_s = loop.time()
        await wake.wait(at_most_s)
        listening.cancel()
        assert database.channels == ("orders",)
        return loop.time() - began_s

    return stepped.run(main())


@pytest.mark.parametrize("payload", ["paper 17", "paper", "* person"])
def test_a_hint_for_the_account_or_for_all_wakes_at_once(payload):
    """Whatever the row."""
    assert waited(hint=Notification("orders", payload)) == 0.5


@pytest.mark.parametrize("payload", ["another 17", "paper2 17", ""])
def test_a_hint_for_somebody_else_wakes_nobody(payload):
    """The poll does, as always."""
    assert waited(hint=Notification("orders", payload)) == 2.0


def test_without_an_account_every_hint_wakes():
    """For services that look after all."""
    assert waited(None, hint=Notification("orders", "another 17")) == 0.5


def test_a_new_connection_wakes():
    """Hints may have been lost: everything may have changed."""
    assert waited(hint=Notification("", "")) == 0.5


def test_without_a_hint_the_poll_wakes():
    """A lost hint costs two seconds, no more."""
    assert waited() == 2.0


@pytest.mark.parametrize(("at_most_s", "expected_s"), [(0.25, 0.25), (60.0, 2.0), (-1.0, 0.0)])
def test_whoever_knows_when_to_look_waits_no_longer(at_most_s, expected_s):
    """And never longer than the poll."""
    assert waited(at_most_s=at_most_s) == expected_s


def test_a_hint_before_the_wait_is_not_lost():
    """What came while the loop was working wakes the next wait at once, once."""

    async def main():
        wake = Wake(Listening(), "orders", account="paper")
        loop = asyncio.get_running_loop()
        wake.now()
        await wake.wait()
        first_s = loop.time()
        await wake.wait()
        return first_s, loop.time()

    assert stepped.run(main()) == (0.0, 2.0)


def test_a_follower_lets_others_go_first_after_a_hint():
    """Only after a hint: a poll is on time."""
    hint = Notification("orders", "paper 17")

    assert waited(hint=hint, is_follower=True) == pytest.approx(0.52)
    assert waited(is_follower=True) == 2.0
