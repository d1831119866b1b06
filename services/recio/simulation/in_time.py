"""Parts of the invariants that are about time: nothing too late, nothing for ever."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from recio.simulation.history import History, Sent

IN_DOUBT: Final = frozenset({"submitted", "unknown"})
LATE_US: Final = 5_000_000
"""How long after its end an order may leave: a process's clock may be off by less."""
CALM_US: Final = 60_000_000
"""How long after the last fault a doubt may last, or a wish wait, in wall time."""


def sent_late(history: History, creates: Iterable[Sent]) -> Iterator[str]:
    """A wish was made for its moment: no order leaves when that is over."""
    lives_until_us = dict(history.lives_until_us)
    for sent in creates:
        late_us = sent.at_us - lives_until_us.get(sent.client_order_id, sent.at_us)
        if late_us > LATE_US:
            yield f"order {sent.client_order_id} left {late_us} us after its end"


def long_doubts(history: History) -> Iterator[str]:
    """No order is in doubt for long when nothing fails any more."""
    last_us = _last_fault_us(history)
    since: dict[str, int] = {}
    for change in history.changes:
        if change.subject != "orders":
            continue
        began_us = since.pop(change.subject_id, None)
        if change.new in IN_DOUBT:
            since[change.subject_id] = change.at_us if began_us is None else began_us
        elif (
            began_us is not None and change.at_us - max(began_us, last_us) > CALM_US * history.speed
        ):
            yield (
                f"order {change.subject_id} was in doubt for {change.at_us - began_us} us, "
                f"the last fault was at {last_us}"
            )


def long_waits(history: History) -> Iterator[str]:
    """No wish waits long for the gate when nothing fails any more."""
    last_us = _last_fault_us(history)
    for one in history.intents:
        waited_us = one.decided_us - max(one.at_us, last_us)
        if one.state != "proposed" and waited_us > CALM_US * history.speed:
            yield (
                f"intent {one.intent_id} waited for {one.decided_us - one.at_us} us, "
                f"the last fault was at {last_us}"
            )


def held_breakers(history: History) -> Iterator[str]:
    """The simulated exchange never lies: in the end no breaker has a reason to hold."""
    last = {one.subject_id: one.new for one in history.changes if one.subject == "switches"}
    for name, state in last.items():
        if "breaker:" in name and state != "Active":
            yield f"{name} is still {state}"


def _last_fault_us(history: History) -> int:
    return max((one.at_us for one in history.strikes), default=0)
