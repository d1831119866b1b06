"""The numbered cases of the contract with the exchange, and who runs each.

A case is one coroutine over a ``Scene``: it acts through a client and states what the exchange's
documentation promises, by value. The same coroutine runs once with our adapter and once with the
official TypeScript client. A case that one of them cannot run says why, and the table shows it.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.contract.scene import Scene

OURS: Final = "ours"
OFFICIAL: Final = "official"

MODULES: Final = (
    "command",
    "access",
    "venue",
    "market_data",
    "taking",
    "resting",
    "changing",
    "batches",
    "groups",
    "money",
    "portfolio",
    "closing",
    "throttling",
    "wire_protocol",
    "channels",
    "fields",
    "faults",
)

NO_ED25519: Final = "the client signs with RSA only before 3.31.0"
NO_STREAM: Final = "the client has no stream that keeps books or reconnects"
NO_BUDGET: Final = "the client keeps no rate budget"

COMMAND: Final = "the command `recio exchange`"
# Where the exchange documents it: pages of docs.kalshi.com/getting_started unless they say more.
KEYS: Final = "API keys"
ERRORS: Final = "Errors (OpenAPI 3.30)"
OPENAPI: Final = "OpenAPI 3.30"
ASYNCAPI: Final = "AsyncAPI 2.0"
CHANGELOG: Final = "Changelog"
LIMITS: Final = "Rate limits"
FEES: Final = "Fee rounding"
FEE_SCHEDULE: Final = "Fee schedule of 2026-07-07"
DECIMALS: Final = "Fixed-point migration"
LIFE: Final = "Market lifecycle"
SETTLEMENT: Final = "Market settlement"
PAUSES: Final = "Maintenance and pauses"
SHARDS: Final = "Exchange sharding"
DIRECTION: Final = "Order direction"
GROUPS: Final = "Order groups"
BOOKS: Final = "Orderbook responses"
HISTORY: Final = "Historical data"
INDEX: Final = "CF Benchmarks value"
STREAMS: Final = "Quick start: WebSockets"
FIRST_ORDER: Final = "Quick start: create an order"
OBSERVED: Final = "seen on the demo exchange, 2026-06-11"

Run = Callable[["Scene"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """One promise of the exchange.

    ``only_ours`` says why the official client does not run it; "" means that it does. ``config``
    are fields of the simulator's ``Config``; ``listing`` are arguments of ``listing.exchange``.
    """

    number: int
    title: str
    source: str
    run: Run
    only_ours: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    listing: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the case's name in reports and in the table."""
        return f"TC-{self.number:03d}"

    @property
    def clients(self) -> tuple[str, ...]:
        """Return who runs it."""
        return (OURS,) if self.only_ours else (OURS, OFFICIAL)


SUITE: Final[dict[int, Case]] = {}


def case(
    number: int,
    source: str,
    *,
    only_ours: str = "",
    listing: Mapping[str, Any] | None = None,
    **config: Any,
) -> Callable[[Run], Run]:
    """Enter a coroutine into the suite under a number of its own; its docstring is the title."""

    def enter(run: Run) -> Run:
        if number in SUITE:
            raise ValueError(f"TC-{number:03d} is taken by {SUITE[number].title!r}")
        title = " ".join((run.__doc__ or "").split()).removesuffix(".")
        SUITE[number] = Case(number, title, source, run, only_ours, config, listing or {})
        return run

    return enter


def load() -> tuple[Case, ...]:
    """Import every module of cases and return all cases by number."""
    for name in MODULES:
        importlib.import_module(f"tests.contract.cases.{name}")
    return tuple(SUITE[number] for number in sorted(SUITE))
