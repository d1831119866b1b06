"""The limits, checked against what is held and everything that may still happen.

``check`` is pure: it is given sums, and returns every reason against an intent; none means yes.
What may be in flight counts at its worst case: an entry order counts whole until the exchange has
ended it *and* its fills are booked (docs/decisions/0005).

A refusal is a value: it is recorded with its reason and shown.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from recio.domain import fees
from recio.domain.account_config import FleetRisk, Risk
from recio.domain.intents import Intent
from recio.domain.switches import Effective, allows
from recio.domain.units import CONTRACT_E2, USD_E6, format_scaled


class InFlight(msgspec.Struct, frozen=True, array_like=True):
    """One entry order that is not ended, or not booked yet."""

    event_ticker: str
    market_ticker: str
    qty_e2: int
    unbooked_qty_e2: int
    reserved_usd_e6: int

    @property
    def worst_usd_e6(self) -> int:
        """What its unbooked part can still cost, rounded up."""
        return -(-self.reserved_usd_e6 * self.unbooked_qty_e2 // self.qty_e2)


class Held(msgspec.Struct, frozen=True, array_like=True):
    """One booked position: unsigned quantity and cost."""

    event_ticker: str
    market_ticker: str
    qty_e2: int
    cost_usd_e6: int


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """What the account has at stake at one instant, read under the account's lock."""

    held: tuple[Held, ...] = ()
    in_flight: tuple[InFlight, ...] = ()
    open_trades: int = 0
    orders_in_minute: int = 0
    result_today_usd_e6: int = 0
    cash_usd_e6: int | None = None
    equity_usd_e6: int | None = None
    equity_high_usd_e6: int | None = None

    def contracts_e2(self, event_ticker: str | None = None) -> int:
        """Worst-case open contracts, of one event or of all."""
        return sum(h.qty_e2 for h in self.held if event_ticker in (None, h.event_ticker)) + sum(
            f.unbooked_qty_e2 for f in self.in_flight if event_ticker in (None, f.event_ticker)
        )

    def cost_usd_e6(self, event_ticker: str | None = None) -> int:
        """Worst-case cost, of one event or of all."""
        return sum(
            h.cost_usd_e6 for h in self.held if event_ticker in (None, h.event_ticker)
        ) + sum(f.worst_usd_e6 for f in self.in_flight if event_ticker in (None, f.event_ticker))


class FleetTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What all accounts have at stake together, read under the fleet's lock."""

    limits: FleetRisk
    open_trades: int
    cost_usd_e6: int
    orders_in_minute: int
    result_today_usd_e6: int


def reserve_usd_e6(intent: Intent, *, fee_multiplier_e6: int) -> int:
    """Return the worst-case cost of an entry: limit price times quantity plus the fee budget."""
    cost = intent.limit_price_e4 * intent.qty_e2
    return cost + fees.budget_usd_e6(
        intent.limit_price_e4, intent.qty_e2, multiplier_e6=fee_multiplier_e6
    )


def check_entry(
    intent: Intent,
    limits: Risk,
    exposure: Exposure,
    *,
    switch: Effective,
    now_us: int,
    reserve: int,
    fleet: FleetTotals | None,
) -> tuple[str, ...]:
    """Return every reason against an entry; an empty tuple allows it.

    Args:
        intent: the wish; its limit price is on its own side's scale.
        limits: the account's effective limits.
        exposure: what is at stake, read in the transaction that will reserve.
        switch: the effective switch, read in the same transaction.
        now_us: market time.
        reserve: the entry's own worst-case cost in 1e-6 dollar.
        fleet: totals over all accounts, None without a fleet document.
    """
    return (
        *_permission(intent, switch, now_us),
        *_data_age(intent, limits, now_us),
        *_order_size(intent, limits),
        *_account_exposure(intent, limits, exposure, reserve),
        *_account_loss(limits, exposure),
        *(_fleet(fleet, reserve) if fleet is not None else ()),
    )


def check_exit(
    intent: Intent, *, switch: Effective, now_us: int, free_qty_e2: int
) -> tuple[str, ...]:
    """Return every reason against an exit. Limits never hold an exit back.

    Args:
        intent: the wish.
        switch: the effective switch.
        now_us: market time.
        free_qty_e2: what the trade holds and no exit in flight is selling already.
    """
    refusals = list(_permission(intent, switch, now_us))
    if free_qty_e2 <= 0:
        refusals.append("nothing left to sell: all of it is sold or being sold")
    return tuple(refusals)


def _permission(intent: Intent, switch: Effective, now_us: int) -> Iterator[str]:
    if not allows(switch.state, intent.purpose, intent.source):
        yield f"switch {switch.state.value}: {switch.reason}"
    if now_us > intent.valid_until_us:
        late_ms = (now_us - intent.valid_until_us) // 1000
        yield f"too late: the intent was valid until {late_ms} ms ago"


def _data_age(intent: Intent, limits: Risk, now_us: int) -> Iterator[str]:
    checks = (
        ("price", intent.price_at_us, limits.max_price_age_milliseconds),
        ("book", intent.book_at_us, limits.max_book_age_milliseconds),
    )
    for name, at_us, limit_ms in checks:
        if at_us is None:
            yield f"{name} age unknown"
        elif (age_ms := (now_us - at_us) // 1000) > limit_ms:
            yield f"{name} is {age_ms} ms old, at most {limit_ms} allowed"
        elif -age_ms > limit_ms:
            # Its age is then unknown: one of the two clocks is wrong by more than the limit.
            yield f"{name} is {-age_ms} ms in the future, at most {limit_ms} allowed: check the clock"


def _order_size(intent: Intent, limits: Risk) -> Iterator[str]:
    price_e4 = intent.limit_price_e4
    if not limits.min_price_cents * 100 <= price_e4 <= limits.max_price_cents * 100:
        yield (
            f"price {_plain(price_e4, 100)} cents outside "
            f"{limits.min_price_cents}…{limits.max_price_cents}"
        )
    if intent.qty_e2 > limits.max_contracts_per_order * CONTRACT_E2:
        yield (
            f"{_plain(intent.qty_e2, CONTRACT_E2)} contracts, "
            f"at most {limits.max_contracts_per_order} an order"
        )


def _account_exposure(
    intent: Intent, limits: Risk, exposure: Exposure, reserve: int
) -> Iterator[str]:
    event = intent.event_ticker
    sums = (
        ("contracts in the event", exposure.contracts_e2(event) + intent.qty_e2,
         limits.max_contracts_per_event * CONTRACT_E2, CONTRACT_E2),
        ("contracts in total", exposure.contracts_e2() + intent.qty_e2,
         limits.max_contracts_total * CONTRACT_E2, CONTRACT_E2),
        ("dollars in the event", exposure.cost_usd_e6(event) + reserve,
         limits.max_cost_per_event_dollars * USD_E6, USD_E6),
        ("dollars in total", exposure.cost_usd_e6() + reserve,
         limits.max_cost_total_dollars * USD_E6, USD_E6),
        ("open trades", exposure.open_trades + 1, limits.max_open_trades, 1),
        ("orders in a minute", exposure.orders_in_minute + 1, limits.max_orders_per_minute, 1),
    )  # fmt: skip
    for name, value, limit, scale in sums:
        if value > limit:
            yield f"{_plain(value, scale)} {name}, at most {_plain(limit, scale)} allowed"
    if exposure.cash_usd_e6 is None:
        yield "cash unknown: the account is not reconciled yet"
    else:
        free = exposure.cash_usd_e6 - sum(f.worst_usd_e6 for f in exposure.in_flight)
        if reserve > free:
            yield f"costs up to ${_plain(reserve, USD_E6)}, ${_plain(free, USD_E6)} are free"


def _account_loss(limits: Risk, exposure: Exposure) -> Iterator[str]:
    lost = -exposure.result_today_usd_e6
    if lost >= limits.max_daily_loss_dollars * USD_E6:
        yield f"lost ${lost / USD_E6:.2f} today, the limit is ${limits.max_daily_loss_dollars}"
    if exposure.equity_usd_e6 is not None and exposure.equity_high_usd_e6 is not None:
        drawdown = exposure.equity_high_usd_e6 - exposure.equity_usd_e6
        if drawdown >= limits.max_drawdown_dollars * USD_E6:
            yield (
                f"${drawdown / USD_E6:.2f} below the high, "
                f"the limit is ${limits.max_drawdown_dollars}"
            )


def _fleet(totals: FleetTotals, reserve: int) -> Iterator[str]:
    limits = totals.limits
    sums = (
        ("dollars over all accounts", totals.cost_usd_e6 + reserve,
         limits.max_cost_total_dollars, USD_E6),
        ("open trades over all accounts", totals.open_trades + 1, limits.max_open_trades, 1),
        ("orders in a minute over all accounts", totals.orders_in_minute + 1,
         limits.max_orders_per_minute, 1),
    )  # fmt: skip
    for name, value, limit, scale in sums:
        if limit is not None and value > limit * scale:
            yield f"{_plain(value, scale)} {name}, at most {limit} allowed"
    lost = -totals.result_today_usd_e6
    if limits.max_daily_loss_dollars is not None and lost >= limits.max_daily_loss_dollars * USD_E6:
        yield f"all accounts lost ${lost / USD_E6:.2f} today, at most ${limits.max_daily_loss_dollars}"


def _plain(value: int, scale: int) -> str:
    """Return an exact number as a person writes it: what exceeds a limit by a hair must show."""
    text = format_scaled(value, len(str(scale)) - 1)
    return text.rstrip("0").rstrip(".") if "." in text else text


def breaches(limits: Risk, exposure: Exposure) -> tuple[str, ...]:
    """Return which loss limits are broken now: what ``risk.onBreach`` acts on."""
    return tuple(_account_loss(limits, exposure))
