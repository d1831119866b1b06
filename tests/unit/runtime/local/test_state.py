"""The state directory: one run at a time, and nothing is lost by a wrong key."""

from __future__ import annotations

import pytest

from recio.domain.errors import Broken
from recio.runtime.local.state import StateDirectory


def test_two_runs_never_share_a_directory(tmp_path):
    """The second is told what to do."""
    first, second = StateDirectory(tmp_path / "s"), StateDirectory(tmp_path / "s")
    first.lock()
    with pytest.raises(Broken, match="another `recio up` runs"):
        second.lock()
    first.unlock()
    second.lock()
    second.unlock()


def test_a_fresh_start_keeps_what_was_there(tmp_path):
    """It is moved aside; of several only the newest copy stays."""
    state = StateDirectory(tmp_path / "s")
    state.lock()
    assert state.set_aside() == tmp_path / "s.previous"
    for content in ("one", "two"):
        (state.credentials / "key").write_text(content)
        assert state.set_aside() == tmp_path / "s.previous"
        assert not (state.credentials / "key").exists()
    assert (tmp_path / "s.previous/credentials/key").read_text() == "two"
    state.unlock()


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    """With another way out."""
    (tmp_path / "file").touch()
    with pytest.raises(Broken, match="--state"):
        StateDirectory(tmp_path / "file" / "s").lock()


def test_a_large_log_is_put_away(tmp_path, monkeypatch):
    """A run that lasts for weeks does not fill the disk."""
    monkeypatch.setattr("recio.runtime.local.state.LOG_MOST_BYTES", 3)
    state = StateDirectory(tmp_path)
    state.lock()
    state.log_file("x").write_text("1234")
    assert not state.log_file("x").exists()
    assert (state.logs / "x.jsonl.1").read_text() == "1234"
    state.unlock()
