"""Forked processes: ready, dead, restarted, stopped."""

from __future__ import annotations

import os
import signal
import time

import pytest

from recio.runtime.local import children as module
from recio.runtime.local.children import Child, Children


@pytest.fixture
def said():
    """The lines that the children's state gave."""
    return []


@pytest.fixture
def children(said):
    """Children that are killed at the end."""
    made = Children(said.append)
    yield made
    made.kill()
    made.stop()


def child(tmp_path, body, name="worker"):
    """Return a child that runs ``body``."""
    return Child(name=name, body=body, log=tmp_path / f"{name}.jsonl")


def until(children, condition):
    """Watch until something holds, at most a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        children.watch(0.05)


def waits(tell_ready):
    """Be ready, then wait to be stopped."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    tell_ready()
    while True:
        signal.pause()


def test_a_child_tells_when_it_is_ready(children, said, tmp_path):
    """And ends when asked to."""
    children.start(child(tmp_path, waits))
    until(children, children.are_ready)
    assert children.stop() == []
    assert said == ["worker is ready"]


def test_a_child_that_dies_is_started_again(children, said, tmp_path, monkeypatch):
    """With its cause and its log in the line."""
    monkeypatch.setattr(module, "PAUSE_FIRST_S", 0.01)
    marker = tmp_path / "died"

    def body(tell_ready):
        if not marker.exists():
            marker.touch()
            return 3
        return waits(tell_ready)

    one = child(tmp_path, body)
    one.pause_s = 0.01
    children.start(one)
    until(children, children.are_ready)
    assert "worker ended (status 3)" in said[0]
    assert str(tmp_path / "worker.jsonl") in said[0]
    assert said[1] == "worker is ready again (after 1 restarts)"


def test_pauses_between_restarts_grow(children, tmp_path):
    """A child that cannot start does not use up the machine."""
    one = child(tmp_path, lambda _tell: 1)
    one.pause_s = 0.01
    children.start(one)
    until(children, lambda: one.deaths == 3)
    assert one.pause_s == pytest.approx(0.08)


def test_a_killed_child_is_told_apart(children, said, tmp_path):
    """The signal is named."""
    one = child(tmp_path, waits)
    children.start(one)
    until(children, children.are_ready)
    os.kill(one.pid, signal.SIGKILL)
    until(children, lambda: one.deaths == 1)
    assert "signal SIGKILL" in said[-1]


def test_a_child_that_does_not_end_is_killed(children, tmp_path, monkeypatch):
    """Stopping takes a bounded time, and says whom it had to kill."""
    monkeypatch.setattr(module, "STOP_S", 0.1)

    def stubborn(tell_ready):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        tell_ready()
        while True:
            signal.pause()

    children.start(child(tmp_path, stubborn))
    until(children, children.are_ready)
    assert children.stop() == ["worker"]


def test_a_child_has_none_of_the_parents_files(children, tmp_path):
    """Connections of the parent are not shared with its children."""
    reader, writer = os.pipe()
    found = tmp_path / "found"

    def body(tell_ready):
        try:
            os.fstat(writer)
        except OSError:
            found.write_text("closed")
        return waits(tell_ready)

    children.start(child(tmp_path, body))
    until(children, children.are_ready)
    assert found.read_text() == "closed"
    os.close(reader)
    os.close(writer)


def test_what_a_child_prints_is_in_its_log(children, tmp_path):
    """Even what bypasses Python."""

    def body(tell_ready):
        os.write(1, b"out ")
        os.write(2, b"err")
        return waits(tell_ready)

    children.start(child(tmp_path, body))
    until(children, children.are_ready)
    assert (tmp_path / "worker.jsonl").read_text() == "out err"
