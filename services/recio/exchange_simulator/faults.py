"""Injected faults: each is armed for the next N matching requests or frames, then it is over.

Nothing happens here unless the control API armed it. Requests: no answer before or after the
exchange accepted them, a cut connection after, an error status, a late answer. Frames: lost,
doubled, late, exchanged with the next one, or the connection is cut instead. A lost frame of a
numbered channel is a gap in its ``seq``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from recio.domain.errors import InvalidValue
from recio.exchange_simulator.api.messages import Request
from recio.exchange_simulator.stream.subscriptions import SEQUENCED


class RequestFault(StrEnum):
    """What happens to a request."""

    TIMEOUT_BEFORE = "timeout_before_acceptance"
    TIMEOUT_AFTER = "timeout_after_acceptance"
    CUT_BEFORE = "cut_before_acceptance"
    CUT_AFTER = "cut_after_acceptance"
    STATUS = "status"
    LATE = "late_answer"


class FrameFault(StrEnum):
    """What happens to a pushed frame."""

    LOSE = "lose"
    DUPLICATE = "duplicate"
    LATE = "late"
    REORDER = "reorder"
    SEQ_GAP = "seq_gap"
    CUT = "cut"


_SEQUENCED_TYPES: Final = frozenset(
    {
        "orderbook_snapshot",
        "orderbook_delta",
        "trade",
        "market_lifecycle_v2",
        "event_lifecycle",
        "order_group_updates",
        "cfbenchmarks_value",
    }
)
assert SEQUENCED - {"orderbook_delta"} <= _SEQUENCED_TYPES


@dataclass(slots=True)
class ArmedRequest:
    """A fault for the next ``count`` requests with this method and path prefix ("" matches all)."""

    fault: RequestFault
    count: int = 1
    method: str = ""
    path: str = ""
    status: int = 503
    delay_seconds: float = 1.0

    def matches(self, request: Request) -> bool:
        """Tell whether it strikes this request."""
        return self.method in ("", request.method) and self.path in request.path


@dataclass(slots=True)
class ArmedFrame:
    """A fault for the next ``count`` frames of a type ("" matches all) to an account ("": anybody)."""

    fault: FrameFault
    count: int = 1
    type: str = ""
    account: str = ""
    delay_seconds: float = 1.0

    def matches(self, kind: str, account: str) -> bool:
        """Tell whether it strikes a frame."""
        if self.fault is FrameFault.SEQ_GAP and kind not in _SEQUENCED_TYPES:
            return False
        return self.type in ("", kind) and self.account in ("", account)


@dataclass(slots=True)
class Delivery:
    """What reaches the other side: frames now, frames later with their delay, or the end."""

    now: list[bytes] = field(default_factory=list)
    later: list[tuple[float, bytes]] = field(default_factory=list)
    is_cut: bool = False


@dataclass(slots=True)
class FaultPlan:
    """All armed faults. The first that matches strikes."""

    requests: list[ArmedRequest] = field(default_factory=list)
    frames: list[ArmedFrame] = field(default_factory=list)
    struck: int = 0

    def arm_request(self, fault: ArmedRequest) -> None:
        """Arm a fault for requests."""
        _check_count(fault.count)
        self.requests.append(fault)

    def arm_frame(self, fault: ArmedFrame) -> None:
        """Arm a fault for frames."""
        _check_count(fault.count)
        self.frames.append(fault)

    def clear(self) -> None:
        """Disarm everything."""
        self.requests.clear()
        self.frames.clear()

    def for_request(self, request: Request) -> ArmedRequest | None:
        """Return the fault that strikes a request, used up by one."""
        for one in self.requests:
            if one.matches(request):
                self._use(self.requests, one)
                return one
        return None

    def deliver(self, frames: list[bytes], account: str) -> Delivery:
        """Decide what becomes of frames."""
        if not self.frames:
            return Delivery(frames)
        result = Delivery()
        held: list[bytes] = []
        for frame in frames:
            one = self._for_frame(kind_of(frame), account)
            _apply(result, held, one, frame)
            if result.is_cut:
                return result
        result.now += held
        return result

    def _for_frame(self, kind: str, account: str) -> ArmedFrame | None:
        for one in self.frames:
            if one.matches(kind, account):
                self._use(self.frames, one)
                return one
        return None

    def _use(
        self, armed: list[ArmedRequest] | list[ArmedFrame], one: ArmedRequest | ArmedFrame
    ) -> None:
        self.struck += 1
        one.count -= 1
        if one.count == 0:
            armed.remove(one)  # type: ignore[arg-type]


def kind_of(frame: bytes) -> str:
    """Return a push's type; "" for replies to commands.

    >>> kind_of(b'{"type":"ticker","sid":1,"msg":{}}'), kind_of(b'{"id":1,"type":"ok"}')
    ('ticker', '')
    """
    head = b'{"type":"'
    return frame[len(head) : frame.index(b'"', len(head))].decode() if frame[:9] == head else ""


def _apply(result: Delivery, held: list[bytes], one: ArmedFrame | None, frame: bytes) -> None:
    if one is None:
        # A frame that was held back goes out right after the next one.
        result.now += [frame, *held]
        held.clear()
    elif one.fault is FrameFault.DUPLICATE:
        result.now += [frame, frame]
    elif one.fault is FrameFault.LATE:
        result.later.append((one.delay_seconds, frame))
    elif one.fault is FrameFault.REORDER:
        held.append(frame)
    elif one.fault is FrameFault.CUT:
        result.is_cut = True


def _check_count(count: int) -> None:
    if count < 1:
        raise InvalidValue(f"expected a count of 1 or more, received {count}")
