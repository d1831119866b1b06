"""What crosses the pipe: MessagePack with its length in four bytes before it.

The parent trusts nothing that comes back: an answer is read as an ``Answer`` or refused, a longer one
than ``MOST_ANSWER_BYTES`` before it is read.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from recio.domain.errors import StrategyFailed
from recio.domain.proposals import Proposal, Proposals, View

LENGTH_BYTES: Final = 4
MOST_SOURCE_BYTES: Final = 256 * 1024
MOST_ANSWER_BYTES: Final = 64 * 1024
MOST_QUESTION_BYTES: Final = 1024 * 1024

_Text = Annotated[str, Meta(max_length=1000)]


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """The first thing that the process is told."""

    source: str
    file_name: str
    class_name: str
    parameters: dict[str, str]
    memory_bytes: int
    cpu_seconds: int


class Question(msgspec.Struct, frozen=True, array_like=True):
    """One moment to judge."""

    number: int
    view: View


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What came of the question with that number; 0 is the set-up.

    ``walls`` names what holds the process, in the answer to the set-up.
    """

    number: Annotated[int, Meta(ge=0)]
    proposals: Proposals = ()
    failure: _Text = ""
    walls: Annotated[tuple[_Text, ...], Meta(max_length=16)] = ()


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """The same before it is judged: the trader's objects as they are."""

    number: int
    proposals: tuple[Proposal, ...] = ()
    failure: str = ""
    walls: tuple[str, ...] = ()


_encoder: Final = msgspec.msgpack.Encoder()
_answers: Final = msgspec.msgpack.Decoder(Answer)
_setups: Final = msgspec.msgpack.Decoder(Setup)
_questions: Final = msgspec.msgpack.Decoder(Question)


def framed(message: Setup | Question | Reply) -> bytes:
    """Return a message with its length before it."""
    body = _encoder.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def read_answer(body: bytes) -> Answer:
    """Return what the strategy answered.

    Raises:
        StrategyFailed: it is not an answer.
    """
    try:
        answer = _answers.decode(body)
    except (ValueError, RecursionError) as error:
        raise StrategyFailed("nonsense", f"not an answer: {error}") from error
    markets = [one.market_ticker for one in answer.proposals]
    if len(set(markets)) != len(markets):
        raise StrategyFailed("nonsense", "expected each market once, received one twice")
    return answer


def read_setup(body: bytes) -> Setup:
    """Return the set-up. It comes from our own process."""
    return _setups.decode(body)


def read_question(body: bytes) -> Question:
    """Return a question. It comes from our own process."""
    return _questions.decode(body)
