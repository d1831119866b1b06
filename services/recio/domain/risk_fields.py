"""The limits of an account and of a fleet.

Each limit counts what is in flight at its worst case: an order that may still fill counts whole.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from recio.domain.field_types import (
    AgeMilliseconds,
    ContractsTotal,
    Dollars,
    OnBreach,
    OpenTrades,
    OrdersPerMinute,
    Part,
    PriceCents,
)


class Risk(Part, frozen=True, kw_only=True):
    """The account's limits. Exits are never held back by a limit."""

    max_contracts_per_order: Annotated[int, Meta(ge=1, le=10_000)] = 10
    """The most contracts of one entry order; at most maxContractsPerEvent."""

    max_contracts_per_event: ContractsTotal = 50
    """The most open contracts over all strikes of one event; at most maxContractsTotal."""

    max_contracts_total: ContractsTotal = 100
    """The most open contracts over all events."""

    max_cost_per_event_dollars: Dollars = 50
    """The most dollars, fees included, that the open positions of one event may cost; at most
    maxCostTotalDollars. It is also the most that the event can lose.
    """

    max_cost_total_dollars: Dollars = 100
    """The most dollars, fees included, that all open positions together may cost."""

    max_open_trades: OpenTrades = 3
    """The most trades that are open or entering at the same time."""

    max_orders_per_minute: OrdersPerMinute = 30
    """The most orders within 60 seconds; above it entries are refused, exits never."""

    max_daily_loss_dollars: Dollars = 25
    """The realised loss, after fees, of one New York day (midnight to midnight) at which onBreach
    acts, in dollars.
    """

    max_drawdown_dollars: Dollars = 100
    """How far equity may fall below its highest value until onBreach acts, in dollars. Equity is
    cash and what the open positions cost.
    """

    min_price_cents: PriceCents = 1
    """The lowest price of a contract that an entry may pay, in cents; at most maxPriceCents."""

    max_price_cents: PriceCents = 98
    """The highest price of a contract that an entry may pay, in cents. At 99 a win earns less than
    the fee.
    """

    max_price_age_milliseconds: AgeMilliseconds = 3000
    """The age of the index price, in milliseconds, from which on entries are refused."""

    max_book_age_milliseconds: AgeMilliseconds = 5000
    """The age of the market's order book, in milliseconds, from which on entries are refused."""

    on_breach: OnBreach = OnBreach.REDUCE_ONLY
    """The switch that is set while maxDailyLossDollars or maxDrawdownDollars is reached; the daily
    loss ends with the New York day.
    """


class FleetRisk(Part, frozen=True, kw_only=True):
    """Limits over all accounts together, beside each account's own; what is left out is no limit."""

    max_cost_total_dollars: Dollars | None = None
    """The most dollars, fees included, that the open positions of all accounts may cost."""

    max_daily_loss_dollars: Dollars | None = None
    """The realised loss of all accounts, after fees, of one New York day from which on entries are
    refused, in dollars.
    """

    max_open_trades: OpenTrades | None = None
    """The most trades of all accounts that are open or entering at the same time."""

    max_orders_per_minute: OrdersPerMinute | None = None
    """The most orders of all accounts within 60 seconds; above it entries are refused."""
