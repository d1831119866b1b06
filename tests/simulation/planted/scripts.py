"""Acts that are added to every seed's plan, for bugs that need a certain meeting to show.

By chance these meetings are rare (a copy takes over while a frozen one still holds a fresh
signature), so a bug that needs one would take many seeds to be found. What is added are acts like
those that plans draw; everything around them stays the seed's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from recio.simulation.plan import ACCOUNTS, AnyAct, Enter, Leave, Strike, Switch
from recio.simulation.world import ENTRY_E4, HIGH, LENGTH_S, LOW, QUARTER

NORTH, SOUTH = ACCOUNTS
TAKE_OVER_S: Final = (300.0, 900.0, 1_500.0, 2_100.0, 2_700.0)


def enter(at_s: float, account: str, ticker: str, qty_e2: int = 100) -> Enter:
    """Return an entry at the plan's own price."""
    return Enter(
        at_s=at_s, account=account, ticker=ticker, price_e4=ENTRY_E4[ticker], qty_e2=qty_e2
    )


def leave(at_s: float, account: str, *, by_person: bool = False, times: int = 1) -> Leave:
    """Return a wish to sell everything, cheaply enough to be bought."""
    return Leave(
        at_s=at_s, account=account, qty_e2=1_000, is_cheap=True, by_person=by_person, times=times
    )


def strike(
    at_s: float, fault: str, account: str, *, when: str = "", service: str = "trade_executor"
) -> Strike:
    """Return a fault."""
    return Strike(at_s=at_s, fault=fault, account=account, service=service, when=when, number=4)


def switch(
    at_s: float, scope: str, state: Literal["NoNewEntries", "ReduceOnly", "Halted"], lasts_s: float
) -> Switch:
    """Return a switch."""
    return Switch(at_s=at_s, scope=scope, state=state, lasts_s=lasts_s)


def _met(*faults: tuple[str, str], at_s: tuple[float, ...] = TAKE_OVER_S) -> Iterator[AnyAct]:
    """Let faults meet orders of both accounts, again and again: each is (name, state)."""
    for start_s in at_s:
        for account in ACCOUNTS:
            for number, (fault, when) in enumerate(faults):
                yield strike(start_s + number, fault, account, when=when)
            yield enter(start_s + 20, account, LOW)
            yield enter(start_s + 30, account, HIGH)
            yield leave(start_s + 160, account, by_person=True)


EVENT_CONTRACTS: Final[tuple[AnyAct, ...]] = (
    enter(300, NORTH, LOW, 1_000),
    enter(400, NORTH, HIGH, 700),
)
ALL_CONTRACTS: Final[tuple[AnyAct, ...]] = (
    enter(300, NORTH, LOW, 1_000),
    enter(400, NORTH, QUARTER, 1_000),
)
EVENT_COST: Final[tuple[AnyAct, ...]] = (
    enter(300, SOUTH, LOW, 1_000),
    enter(400, SOUTH, HIGH, 700),
)
ALL_COST: Final[tuple[AnyAct, ...]] = (
    enter(300, SOUTH, LOW, 1_000),
    enter(400, SOUTH, QUARTER, 1_000),
    enter(500, SOUTH, HIGH, 500),
)
OPEN_TRADES: Final[tuple[AnyAct, ...]] = (
    enter(300, NORTH, LOW),
    enter(400, NORTH, QUARTER),
    enter(500, NORTH, HIGH),
)
FAST: Final[tuple[AnyAct, ...]] = (
    enter(300, SOUTH, LOW),
    enter(310, SOUTH, HIGH),
    leave(320, SOUTH),
    enter(335, SOUTH, QUARTER),
    enter(700, NORTH, LOW),
    leave(715, NORTH, by_person=True),
    enter(735, NORTH, QUARTER),
    enter(745, NORTH, HIGH),
)
FLEET: Final[tuple[AnyAct, ...]] = (
    enter(300, NORTH, LOW, 1_000),
    enter(400, NORTH, QUARTER, 500),
    enter(500, SOUTH, LOW, 1_000),
    enter(600, SOUTH, QUARTER, 1_000),
)
CLOSED: Final[tuple[AnyAct, ...]] = (
    enter(LENGTH_S + 2, NORTH, LOW),
    enter(LENGTH_S + 3, SOUTH, HIGH),
)
AT_THE_CLOSE: Final[tuple[AnyAct, ...]] = (
    *(enter(LENGTH_S - 900, account, LOW, 500) for account in ACCOUNTS),
    *(strike(LENGTH_S - 12, "frozen shortly", account, when="created") for account in ACCOUNTS),
    *(leave(LENGTH_S - 8, account, by_person=True) for account in ACCOUNTS),
)
SWITCHED: Final[tuple[AnyAct, ...]] = (
    *(enter(300, account, LOW, 500) for account in ACCOUNTS),
    switch(600, "*", "Halted", 300),
    *(leave(700, account) for account in ACCOUNTS),
    switch(1_000, "*", "NoNewEntries", 600),
    *(enter(1_100, account, ticker) for account in ACCOUNTS for ticker in (HIGH, QUARTER)),
    *(enter(1_300, account, LOW) for account in ACCOUNTS),
)
SWITCHED_ON_THE_WAY: Final[tuple[AnyAct, ...]] = tuple(
    act
    for start_s in (300.0, 1_000.0)
    for account, ticker in ((NORTH, LOW), (SOUTH, HIGH), (SOUTH, QUARTER))
    for act in (
        strike(start_s, "frozen shortly", account, when="created"),
        enter(start_s + 2, account, ticker),
        switch(start_s + 18, "*", "NoNewEntries", 300),
    )
)
COPIES: Final[tuple[AnyAct, ...]] = tuple(
    _met(("second copy", ""), ("frozen shortly", "submitted"))
)
FROZEN: Final[tuple[AnyAct, ...]] = tuple(_met(("frozen past the lease", "submitted")))
WAITING: Final[tuple[AnyAct, ...]] = tuple(_met(("frozen past the lease", "created")))
KILLED: Final[tuple[AnyAct, ...]] = tuple(_met(("kill -9", "submitted")))
STALE_EPOCH: Final[tuple[AnyAct, ...]] = tuple(
    act
    for start_s in TAKE_OVER_S
    for account in ACCOUNTS
    for act in (
        # When the database is back the copy takes over; the other knows it three seconds later.
        strike(start_s, "second copy", account),
        strike(start_s + 10, "PostgreSQL fails over", account),
        *(enter(start_s + 42 + late_s, account, LOW) for late_s in (0, 6, 12, 18, 24)),
        enter(start_s + 45, account, HIGH),
        enter(start_s + 51, account, QUARTER),
        leave(start_s + 200, account, by_person=True),
    )
)
NO_HINTS: Final[tuple[AnyAct, ...]] = (
    *(strike(LENGTH_S - 200, "hints lost", account) for account in ACCOUNTS),
    *(enter(LENGTH_S - 100, account, ticker) for account in ACCOUNTS for ticker in (LOW, HIGH)),
)
