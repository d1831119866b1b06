"""What is fuzzed: one target for each kind of message that comes from outside."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random  # noqa: TID251  (seeded by target and chunk)
from typing import Any, Protocol


class Maker(Protocol):
    """Makes inputs."""

    def make(self, random: Random) -> bytes:
        """Return one input."""
        ...


@dataclass(frozen=True, kw_only=True)
class Target:
    """One decoder as its caller calls it.

    ``decode`` returns a value, or raises one of ``refusals``: nothing else. ``check`` judges what it
    accepted. ``again`` turns an accepted value back into bytes, where the product can. ``share`` says
    how many inputs it gets compared with others; ``begin`` makes it new for a run of inputs.
    """

    name: str
    decode: Callable[[bytes], Any]
    maker: Maker
    examples: Sequence[bytes]
    refusals: tuple[type[Exception], ...]
    check: Callable[[Any], None]
    again: Callable[[Any], bytes] | None = None
    share: float = 1.0
    is_twice: bool = True
    begin: Callable[[], None] | None = None
