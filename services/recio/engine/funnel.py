"""The "why not" funnel: how many strikes failed at which gate, and which one came nearest.

Gates are tried in one order (``domain/entry.py``), so that a strike is counted at the first it failed
and every later count stands behind it. Decisions are recorded once a second of market time for each
event while its window is open, and otherwise when an event's outcome changed: the numbers count looks,
not different chances. What a gate asks comes from the settings that counted at the time of the look.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from recio.domain.account_config import AccountConfig
from recio.domain.units import CONTRACT_E2
from recio.engine.records import EntryBody

OF_EVENT: Final = (
    "disabled", "not_open", "too_early", "too_late", "switch_NoNewEntries", "switch_ReduceOnly",
    "switch_Halted", "switch_Flatten", "exchange_not_trading", "no_index", "price_stale",
    "spike_pause", "strategy_failed", "strategy_late", "strategy_changed",
)  # fmt: skip
_BEFORE_DATA: Final = ("not_in_picture",)
OF_STRIKE: Final = (
    "book_invalid", "book_stale", "volume", "no_ask", "not_proposed", "limit", "price_band",
    "probability", "edge", "live_trade", "entered_before", "attempt_pending", "cooldown",
)  # fmt: skip
OF_ACCOUNT: Final = (
    "size", "max_open_trades", "event_contracts", "total_contracts", "event_cost", "total_cost",
)  # fmt: skip


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the gates with numbers ask."""

    min_p_e6: int
    min_edge_e4: int
    min_price_e4: int
    max_price_e4: int
    max_price_age_us: int
    max_book_age_us: int
    min_volume_e2: int


class Strike(msgspec.Struct, frozen=True):
    """One strike of a decision, as it was judged."""

    ticker: str
    side: str
    p_e6: int | None
    ask_e4: int | None
    edge_e4: int | None
    volume_e2: int | None
    book_age_us: int | None
    gate: str


class Miss(msgspec.Struct, frozen=True, kw_only=True):
    """How near something came to passing a gate; ``short`` is what was missing, in the gate's unit."""

    gate: str
    at_us: int
    ticker: str
    side: str
    value: int
    needed: int
    short: int


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One gate: how many reached it, how many it stopped, and the nearest of those."""

    gate: str
    reached: int
    failed: int
    closest: Miss | None = None


class Funnel(msgspec.Struct, frozen=True, kw_only=True):
    """All of one event, or of all together. ``looks`` counts decisions, ``strikes`` what they judged."""

    name: str
    looks: int
    since_us: int
    until_us: int
    event_steps: tuple[Step, ...]
    strikes: int
    strike_steps: tuple[Step, ...]
    passed: int


def asked(config: AccountConfig) -> Asked:
    """Return what a configuration asks of an event and of a strike."""
    rules, risk = config.strategy.auto_entry, config.risk
    return Asked(
        min_p_e6=rules.min_probability_permille * 1000,
        min_edge_e4=rules.min_net_edge_basis_points,
        min_price_e4=risk.min_price_cents * 100,
        max_price_e4=risk.max_price_cents * 100,
        max_price_age_us=risk.max_price_age_milliseconds * 1000,
        max_book_age_us=risk.max_book_age_milliseconds * 1000,
        min_volume_e2=rules.min_volume_contracts * CONTRACT_E2,
    )


def miss(strike: Strike, asks: Asked, at_us: int) -> Miss | None:
    """Return by how much a strike failed its gate; None if that is no matter of a number."""
    found = _distance(strike, asks)
    if found is None:
        return None
    value, needed = found
    return Miss(
        gate=strike.gate,
        at_us=at_us,
        ticker=strike.ticker,
        side=strike.side,
        value=value,
        needed=needed,
        short=abs(needed - value),
    )


def _distance(strike: Strike, asks: Asked) -> tuple[int, int] | None:
    """Return (what it was, what is needed)."""
    ask = strike.ask_e4
    pairs = {
        "probability": (strike.p_e6, asks.min_p_e6),
        "edge": (strike.edge_e4, asks.min_edge_e4),
        "volume": (strike.volume_e2, asks.min_volume_e2),
        "book_stale": (strike.book_age_us, asks.max_book_age_us),
        "price_band": (
            ask,
            asks.min_price_e4 if ask is not None and ask < asks.min_price_e4 else asks.max_price_e4,
        ),
    }
    value, needed = pairs.get(strike.gate, (None, 0))
    return None if value is None else (value, needed)


class Counting:
    """Counts the decisions of one event, or of all."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._events: Counter[str] = Counter()
        self._strikes: Counter[str] = Counter()
        self._closest: dict[str, Miss] = {}
        self._since_us = self._until_us = 0
        self._looks = 0

    def add(self, at_us: int, body: EntryBody, asks: Asked) -> None:
        """Count one decision; where the event as a whole was held, its strikes count for nothing."""
        self._looks += 1
        self._since_us = min(self._since_us or at_us, at_us)
        self._until_us = max(self._until_us, at_us)
        self._events[body.gate] += 1
        if body.gate:
            if body.gate == "price_stale" and body.price_age_us is not None:
                self._near(_age_miss(body.price_age_us, asks, at_us))
            return
        for each in body.strikes:
            self._strikes[each.gate] += 1
            if each.gate:
                self._near(miss(strike_of(each), asks, at_us))

    def funnel(self) -> Funnel:
        """Return what was counted."""
        return Funnel(
            name=self._name,
            looks=self._looks,
            since_us=self._since_us,
            until_us=self._until_us,
            event_steps=self._steps(self._events, OF_EVENT),
            strikes=self._strikes.total(),
            strike_steps=self._steps(self._strikes, strike_order(self._strikes)),
            passed=self._strikes[""],
        )

    def _near(self, found: Miss | None) -> None:
        if found is None:
            return
        held = self._closest.get(found.gate)
        if held is None or found.short < held.short:
            self._closest[found.gate] = found

    def _steps(self, counts: Counter[str], order: Sequence[str]) -> tuple[Step, ...]:
        made, reached = [], counts.total()
        unknown = sorted(set(counts) - set(order) - {""})
        for gate in (*order, *unknown):
            failed = counts[gate]
            if failed:
                closest = self._closest.get(gate)
                made.append(Step(gate=gate, reached=reached, failed=failed, closest=closest))
            reached -= failed
        return tuple(made)


def strike_order(gates: Iterable[str]) -> tuple[str, ...]:
    """Return the gates of a strike in their order; a strike's own reason not to be known comes first."""
    known = {*_BEFORE_DATA, *OF_STRIKE, *OF_ACCOUNT, ""}
    reasons = tuple(sorted(set(gates) - known))
    return (*_BEFORE_DATA, *reasons, *OF_STRIKE, *OF_ACCOUNT)


class Funnels:
    """Counts decisions by event and in total."""

    def __init__(self) -> None:
        self._all = Counting("all events")
        self._events: dict[str, Counting] = {}

    def add(self, event_ticker: str, at_us: int, body: EntryBody, asks: Asked) -> None:
        """Count one decision."""
        held = self._events.get(event_ticker)
        if held is None:
            held = self._events[event_ticker] = Counting(event_ticker)
        held.add(at_us, body, asks)
        self._all.add(at_us, body, asks)

    def by_event(self) -> list[Funnel]:
        """Return one for each event, in order of their first decision."""
        return sorted((one.funnel() for one in self._events.values()), key=lambda one: one.since_us)

    def total(self) -> Funnel:
        """Return the one of all events together."""
        return self._all.funnel()


def strike_of(each: object) -> Strike:
    """Return a record's strike."""
    return Strike(*(getattr(each, name) for name in Strike.__struct_fields__))


def _age_miss(age_us: int, asks: Asked, at_us: int) -> Miss:
    needed = asks.max_price_age_us
    return Miss(
        gate="price_stale", at_us=at_us, ticker="", side="", value=age_us, needed=needed,
        short=abs(age_us - needed),
    )  # fmt: skip


_UNITS: Final = {
    "probability": (6, "", 3),
    "edge": (2, " cents", 2),
    "price_band": (2, " cents", 0),
    "volume": (2, " contracts", 0),
    "book_stale": (6, " s", 1),
    "price_stale": (6, " s", 1),
}
"""By gate: places behind the point, unit, and the least places that are shown."""


def amount(gate: str, value: int) -> str:
    """Return a value as a person reads it at this gate, exactly."""
    places, unit, least = _UNITS[gate]
    whole, _, rest = f"{value / 10**places:,.{places}f}".partition(".")
    rest = rest.rstrip("0").ljust(least, "0")
    return f"{whole}.{rest}{unit}" if rest else f"{whole}{unit}"


def told(one: Miss) -> str:
    """Return a miss as words: ``probability 0.948 of 0.950 needed``."""
    value, needed = amount(one.gate, one.value), amount(one.gate, one.needed)
    if one.gate in {"book_stale", "price_stale"}:
        return f"{one.gate} {value}, at most {needed} allowed"
    if one.gate == "price_band":
        bound = "least" if one.value < one.needed else "most"
        return f"price {value}, at {bound} {needed} allowed"
    return f"{one.gate} {value} of {needed} needed"
