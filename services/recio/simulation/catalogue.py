"""The faults that a plan can draw, by name, and what each is in the real world.

``faults`` does them; here are only the names, so that a plan can be made without a stage.
"""

from __future__ import annotations

from typing import Final

from recio.exchange_simulator.faults import FrameFault, RequestFault

SERVICES: Final = (
    "trade_initiator",
    "trade_executor",
    "kalshi_account_sync",
    "trade_manager",
)
"""The services that the stage runs, and that can be killed, frozen and started twice."""

SUPERVISORS: Final = ("auto_entry_supervisor", "active_trade_supervisor")
"""Those that decide by themselves; they run in hours that have snapshots."""

_CREATES: Final = {
    "create: no answer, accepted": RequestFault.TIMEOUT_AFTER,
    "create: no answer, never arrived": RequestFault.TIMEOUT_BEFORE,
    "create: cut, accepted": RequestFault.CUT_AFTER,
    "create: cut, never arrived": RequestFault.CUT_BEFORE,
    "create: answer is late": RequestFault.LATE,
}
REQUESTS: Final[dict[str, tuple[str, str, RequestFault, int]]] = {
    **{name: ("POST", "/portfolio/events/orders", fault, 0) for name, fault in _CREATES.items()},
    "create: 503": ("POST", "/portfolio/events/orders", RequestFault.STATUS, 503),
    "create: 429": ("POST", "/portfolio/events/orders", RequestFault.STATUS, 429),
    "cancel: no answer, done": ("DELETE", "/portfolio/", RequestFault.TIMEOUT_AFTER, 0),
    "cancel: never arrived": ("DELETE", "/portfolio/", RequestFault.CUT_BEFORE, 0),
    "read: 500": ("GET", "/portfolio", RequestFault.STATUS, 500),
    "read: 429": ("GET", "/portfolio", RequestFault.STATUS, 429),
    "read: no answer": ("GET", "/portfolio", RequestFault.TIMEOUT_BEFORE, 0),
}
"""Name to method, path, fault and status."""

FRAMES: Final[dict[str, tuple[FrameFault, str]]] = {
    "fills lost": (FrameFault.LOSE, "fill"),
    "order updates lost": (FrameFault.LOSE, "user_order"),
    "all frames lost": (FrameFault.LOSE, ""),
    "frames twice": (FrameFault.DUPLICATE, ""),
    "frames late": (FrameFault.LATE, ""),
    "frames swapped": (FrameFault.REORDER, ""),
    "stream cut": (FrameFault.CUT, ""),
}

OTHERS: Final = (
    "stream half-open",
    "names do not resolve",
    "reads lag",
    "trading pause",
    "exchange pause",
    "PostgreSQL away",
    "PostgreSQL fails over",
    "commit unknown, done",
    "commit unknown, not done",
    "disk full",
    "hints lost",
    "Redis away",
    "Redis flushed",
    "kill -9",
    "kill -9 of all",
    "frozen shortly",
    "frozen past the lease",
    "second copy",
    "clock ahead",
    "clock behind",
)
DOUBTS: Final = tuple(name for name in REQUESTS if "no answer, " in name or "cut" in name)[:4]
"""What makes an order unknown."""

NAMES: Final = (*REQUESTS, *FRAMES, *OTHERS)

STATES: Final = ("none live", "created", "submitted", "unknown", "executed")
"""What a fault can meet; "executed" is a fill that is not booked yet. Our orders never rest."""
SHORT: Final = {"executed": "unbooked"}
_BY_SERVICE: Final = (
    "kill -9",
    "frozen shortly",
    "frozen past the lease",
    "second copy",
    "clock ahead",
    "clock behind",
)
_ON_CREATE: Final = frozenset(name for name in REQUESTS if name.startswith("create"))
_ON_CANCEL: Final = frozenset(name for name in REQUESTS if name.startswith("cancel"))


def struck_names() -> list[str]:
    """Return every name under which a strike is noted: some with the service that it meets."""
    made = []
    for name in NAMES:
        made += [f"{name} {service}" for service in SERVICES] if name in _BY_SERVICE else [name]
    return made


def states_of(struck: str) -> tuple[str, ...]:
    """Return the states in which a fault can meet an order."""
    if struck in _ON_CREATE:
        # The order that is on its way; it was marked submitted before its first byte left.
        return ("submitted",)
    if struck in _ON_CANCEL:
        return ()
    return STATES


def cells() -> list[str]:
    """Return every fault and order state that must be hit, as outcomes count them."""
    return [f"{name} | {state}" for name in struck_names() for state in states_of(name)]
