"""The one list of services and what each reads and writes; data only.

The local runner, the probes, the grants, the chart, the dashboards and the tests all read this
list. The order is the order of the flow. A topic has one writer; an edge against the flow is
declared as feedback with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """For what one instance of a service works."""

    ENVIRONMENT = "environment"
    ACCOUNT = "account"
    SHARED = "shared"
    PAPER = "paper environment"


@dataclass(frozen=True, slots=True)
class Feedback:
    """A topic or table that a service reads although its writer comes later in the flow."""

    topic: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRow:
    """One service.

    ``reads`` and ``writes`` are bus topics; ``tables_written`` are ``schema.table`` names, from
    which grants follow. ``singleton``: a second running copy must stay passive (lease). ``egress``
    names outside hosts by kind: exchange, price_feeds. ``local_port`` is only for the local runner;
    in Kubernetes all services listen on the same port. ``probe_seconds``: how long until ready.
    """

    name: str
    number: int
    summary: str
    scope: Scope
    local_port: int
    reads: tuple[str, ...] = ()
    feedback: tuple[Feedback, ...] = ()
    writes: tuple[str, ...] = ()
    tables_written: tuple[str, ...] = ()
    singleton: bool = False
    egress: tuple[str, ...] = ()
    uses_bus: bool = True
    probe_seconds: int = 20

    @property
    def entry(self) -> str:
        """Where its door is: ``module:function``."""
        if self.scope is Scope.PAPER:
            return "recio.exchange_simulator.app:build"
        return f"recio.apps.{self.name}.app:build"


SERVICES: Final[tuple[ServiceRow, ...]] = (
    ServiceRow(
        name="exchange_simulator",
        number=14,
        summary="The exchange of paper accounts: matching, REST, WebSocket, settlement, price recording.",
        scope=Scope.PAPER,
        local_port=8014,
        tables_written=("exchange_sim.*", "ops.environments"),
        singleton=True,
        uses_bus=False,
    ),
    ServiceRow(
        name="btc_price_watchdog",
        number=1,
        summary="Index and spot price of each symbol, cross-checked; gaps, basis and staleness explicit.",
        scope=Scope.ENVIRONMENT,
        local_port=8002,
        writes=("prices",),
        tables_written=("market.prices", "market.minutes"),
        egress=("exchange", "price_feeds"),
    ),
    ServiceRow(
        name="kalshi_api_watchdog",
        number=2,
        summary="Markets of the live events, order books, exchange status, lifecycle and results.",
        scope=Scope.ENVIRONMENT,
        local_port=8005,
        writes=("books", "markets", "exchange_status"),
        tables_written=("market.events", "market.markets", "market.book_tops"),
        egress=("exchange",),
    ),
    ServiceRow(
        name="unified_production_coordinator",
        number=3,
        summary="Momentum, probabilities and strike table as one immutable snapshot, built on events.",
        scope=Scope.ENVIRONMENT,
        local_port=8010,
        reads=("prices", "books", "markets", "exchange_status"),
        writes=("snapshots",),
        tables_written=("market.snapshot_latest", "market.journal"),
    ),
    ServiceRow(
        name="auto_entry_supervisor",
        number=4,
        summary="Entry rules, spike alert, indicator with reasons; proposes entries.",
        scope=Scope.ACCOUNT,
        local_port=8009,
        reads=("snapshots",),
        feedback=(Feedback("trading.trades", reason="No second entry beside an open trade."),),
        tables_written=(
            "trading.intents",
            "trading.decisions",
            "trading.automation",
            "trading.journal",
        ),
    ),
    ServiceRow(
        name="active_trade_supervisor",
        number=5,
        summary="Watches open trades; auto stop, momentum stop, flatten; needs neither entry nor UI nor Redis.",
        scope=Scope.ACCOUNT,
        local_port=8007,
        reads=("snapshots",),
        feedback=(Feedback("trading.trades", reason="It watches what is open."),),
        tables_written=(
            "trading.intents",
            "trading.decisions",
            "trading.stops",
            "trading.journal",
        ),
    ),
    ServiceRow(
        name="trade_initiator",
        number=6,
        summary="The gate: checks and reserves risk, makes trade and order durable in one transaction.",
        scope=Scope.ACCOUNT,
        local_port=8011,
        tables_written=(
            "trading.intents",
            "trading.trades",
            "trading.orders",
            "trading.accounts",
        ),
        uses_bus=False,
    ),
    ServiceRow(
        name="trade_executor",
        number=7,
        summary="The only caller of order endpoints; fenced; cancel before reduce before entry.",
        scope=Scope.ACCOUNT,
        local_port=8001,
        tables_written=(
            "trading.orders",
            "trading.order_events",
            "trading.leases",
            "trading.exchange_limits",
            "trading.switches",
        ),
        singleton=True,
        egress=("exchange",),
        uses_bus=False,
    ),
    ServiceRow(
        name="kalshi_account_sync",
        number=8,
        summary="Orders, fills, positions, settlements and balance from the exchange, with their ledger postings.",
        scope=Scope.ACCOUNT,
        local_port=8004,
        tables_written=(
            "trading.orders",
            "trading.fills",
            "trading.positions",
            "trading.settlements",
            "trading.ledger_transactions",
            "trading.ledger_postings",
            "trading.balances",
            "trading.trades",
            "trading.totals",
            "trading.accounts",
            "trading.disputes",
            "trading.switches",
        ),
        egress=("exchange",),
        uses_bus=False,
    ),
    ServiceRow(
        name="trade_manager",
        number=9,
        summary="Folds facts into trades: open, closing, closed, expired, settled; statistics.",
        scope=Scope.ACCOUNT,
        local_port=4000,
        tables_written=("trading.trades",),
        uses_bus=False,
    ),
    ServiceRow(
        name="db_poller",
        number=10,
        summary="Change feed: PostgreSQL NOTIFY to browsers, no polling.",
        scope=Scope.SHARED,
        local_port=8003,
        writes=("changes",),
    ),
    ServiceRow(
        name="system_monitor",
        number=12,
        summary="CPU, memory, disk and latency against thresholds; n of m services healthy.",
        scope=Scope.SHARED,
        local_port=8012,
        writes=("health",),
        tables_written=("ops.health",),
    ),
    ServiceRow(
        name="cascading_failure_detector",
        number=13,
        summary="Names the root cause of a failure and trips breakers that block entries; never exits.",
        scope=Scope.SHARED,
        local_port=8008,
        reads=("health",),
        tables_written=("trading.switches", "ops.breakers"),
    ),
    ServiceRow(
        name="main_app",
        number=11,
        summary="Web UI, REST API and one WebSocket to each browser.",
        scope=Scope.SHARED,
        local_port=3000,
        reads=("prices", "markets", "exchange_status", "snapshots", "changes", "health"),
        tables_written=(
            "trading.intents",
            "trading.account_settings",
            "trading.disputes",
            "trading.switches",
            "ops.users",
            "ops.sessions",
        ),
    ),
)

BY_NAME: Final = {row.name: row for row in SERVICES}


def service(name: str) -> ServiceRow:
    """Return the row of one service.

    Raises:
        KeyError: the name is not in the list; the message names those that are.
    """
    if name not in BY_NAME:
        raise KeyError(f"no service is called {name!r}; there are {', '.join(BY_NAME)}")
    return BY_NAME[name]


def dns_name(name: str) -> str:
    """Return a service's name as Kubernetes spells it: hyphens for underscores."""
    return name.replace("_", "-")
