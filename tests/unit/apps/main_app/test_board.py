"""The board: what a reader has missed, and nothing else."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from recio.apps.main_app.board import Board

KEYS = st.sampled_from(["a/1", "a/2", "b/1", "b/2"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.integers(0, 3)),
        st.tuples(st.just("drop"), KEYS, st.just(0)),
        st.tuples(st.just("read"), st.sampled_from([0, 1]), st.just(0)),
        st.tuples(st.just("forget"), st.just(""), st.just(0)),
    ),
    max_size=60,
)


class Reader:
    """A browser: it lays each answer over what it has."""

    def __init__(self) -> None:
        self.seen = 0
        self.has: dict[str, int] = {}

    def read(self, board: Board) -> None:
        """Catch up."""
        changes = board.since(self.seen, ("a/",))
        self.seen = changes.version
        for key, value in changes.documents.items():
            self.has[key] = msgspec.json.decode(value)
        for key in changes.gone:
            self.has.pop(key, None)


@given(STEPS)
def test_every_reader_ends_with_what_is_there(steps):
    """However late a reader comes, it has exactly the documents under its prefix."""
    board, truth = Board(), {}
    readers = [Reader(), Reader()]
    for kind, key, value in steps:
        if kind == "put":
            board.put(key, value)
            truth[key] = value
        elif kind == "drop":
            board.drop(key)
            truth.pop(key, None)
        elif kind == "read":
            readers[key].read(board)
        else:
            board.forget(reader.seen for reader in readers)
    for reader in readers:
        reader.read(board)
        assert reader.has == {key: value for key, value in truth.items() if key.startswith("a/")}


def test_an_equal_document_is_no_change():
    """A feed that repeats itself sends nothing."""
    board = Board()
    board.put("a", {"x": 1})
    version = board.version
    board.put("a", {"x": 1})
    assert board.version == version


def test_replace_drops_what_is_not_named():
    """A strike that left the table is gone for the browser too."""
    board = Board()
    board.replace("row/", {"1": 1, "2": 2})
    seen = board.version
    board.replace("row/", {"2": 2, "3": 3})
    changes = board.since(seen, ("row/",))
    assert list(changes.documents) == ["row/3"]
    assert changes.gone == ["row/1"]


def test_listeners_hear_changes_until_they_leave():
    """A browser that has gone is not woken."""
    board, heard = Board(), []
    leave = board.listen(lambda: heard.append(1))
    board.put("a", 1)
    leave()
    board.put("a", 2)
    assert heard == [1]
