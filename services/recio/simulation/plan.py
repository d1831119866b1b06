"""What happens in one simulated hour: a list of acts that follows from the seed, and can be cut.

Everything else in a run (what runs before what, how long messages travel) follows from the seed as
well, so a plan with some acts left out is a run of its own: that is how a failing one is made small.
"""

from __future__ import annotations

import random  # noqa: TID251 (seeded: the same plan in each run)
from typing import Any, Final, Literal

import msgspec

from recio.simulation import catalogue, market_plane
from recio.simulation.world import (
    BOOK,
    CLOSE_US,
    ENTRY_E4,
    EXIT_E4,
    HIGH,
    LENGTH_S,
    LOW,
    QUARTER,
    QUARTER_CLOSE_US,
    SIDES,
    START_US,
    TICKERS,
    close_us,
)

Result = Literal["yes", "no"]
ACCOUNTS: Final = ("north", "south")
ENTRIES: Final = 20
EXITS: Final = 12
MOVES: Final = 24
FAULTS: Final = 5
SNAPSHOT_SECONDS: Final = 5
WITH_SNAPSHOTS: Final = 8
"""Each so many seeds the supervisors run as well, which costs twice as much."""
_SECOND_US: Final = 1_000_000


class Act(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that happens ``at_s`` market seconds after the start."""

    at_s: float


class Move(Act, frozen=True, kw_only=True):
    """The anonymous quantity of a level changes. ``side`` and price name the bid."""

    ticker: str
    side: Literal["yes", "no"]
    price_e4: int
    qty_e2: int


class Enter(Act, frozen=True, kw_only=True):
    """An entry is wished, on a price that is ``age_ms`` old; ``is_blind``: without a book.

    ``by_person``: by hand, and so for longer than an automation would.
    """

    account: str
    ticker: str
    price_e4: int
    qty_e2: int
    age_ms: int = 0
    is_blind: bool = False
    by_person: bool = False


class Leave(Act, frozen=True, kw_only=True):
    """Every open trade of an account is to be sold, in ``times`` wishes at once."""

    account: str
    qty_e2: int
    is_cheap: bool
    by_person: bool
    times: int = 1


class Hand(Act, frozen=True, kw_only=True):
    """The account's owner trades by hand, past our services; ``rests``: the order may rest."""

    account: str
    ticker: str
    side: Literal["bid", "ask"]
    price_e4: int
    qty_e2: int
    rests: bool = False


class Switch(Act, frozen=True, kw_only=True):
    """A switch is set, and released after ``lasts_s`` (0: never). ``scope`` "*" is all accounts."""

    scope: str
    state: Literal["NoNewEntries", "ReduceOnly", "Halted"]
    lasts_s: float


class Strike(Act, frozen=True, kw_only=True):
    """A fault of the catalogue strikes as soon as an order is in the state ``when`` ("" at once)."""

    fault: str
    account: str
    service: str
    when: str
    number: int


AnyAct = Move | Enter | Leave | Hand | Switch | Strike


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run. ``speed``: market seconds in a second of the processes' own time."""

    seed: int
    speed: int
    topology: Literal["PerService", "Compact"]
    read_lag_ms: int
    are_used_ids_refused_forever: bool
    results: dict[str, Result]
    snapshot_seconds: int = 0
    """Market seconds between snapshots; 0: none, and nobody decides by himself."""
    scale: int = 1
    """Every quantity and the opening balance are so many times the usual ones."""
    documents: dict[str, dict[str, Any]] = {}
    """The accounts' documents, where they are not the usual ones."""
    acts: tuple[AnyAct, ...] = ()


def make_plan(seed: int, faults: tuple[str, ...] = catalogue.NAMES, *, count: int = FAULTS) -> Plan:
    """Return the plan of a seed; ``count`` faults are drawn from ``faults``."""
    chance = random.Random(f"plan {seed}")  # noqa: S311 (repeatable on purpose)
    acts = [
        *_moves(chance),
        *_entries(chance),
        *_exits(chance),
        *_hands(chance),
        *_switches(chance),
        *(_strikes(chance, faults, count) if faults else ()),
    ]
    has_snapshots = seed % WITH_SNAPSHOTS == 0
    drawn: dict[str, Result] = {ticker: chance.choice(["yes", "no"]) for ticker in TICKERS}
    walked = market_plane.results(market_plane.walk(seed, SNAPSHOT_SECONDS))
    return Plan(
        seed=seed,
        speed=chance.choice([10, 15, 20]),
        topology=chance.choice(["PerService", "PerService", "PerService", "Compact"]),
        read_lag_ms=chance.choice([0, 0, 1_500, 3_000]),
        are_used_ids_refused_forever=chance.random() < 0.5,
        results=drawn | walked if has_snapshots else drawn,
        snapshot_seconds=SNAPSHOT_SECONDS if has_snapshots else 0,
        acts=tuple(sorted(acts, key=lambda act: act.at_s)),
    )


def _moves(chance: random.Random) -> list[Move]:
    levels = [(ticker, side, price) for ticker in BOOK for side, price, _ in BOOK[ticker]]
    made = []
    for _ in range(MOVES):
        ticker, side, price_e4 = chance.choice(levels)
        at_s = chance.uniform(5, _end_s(ticker))
        qty_e2 = chance.choice([0, 100, 250, 500, 1_000, 5_000])
        made.append(Move(at_s=at_s, ticker=ticker, side=side, price_e4=price_e4, qty_e2=qty_e2))
    return made


def _entries(chance: random.Random) -> list[Enter]:
    made = []
    for _ in range(ENTRIES):
        ticker = chance.choice([LOW, LOW, HIGH, HIGH, QUARTER])
        made.append(
            Enter(
                at_s=chance.uniform(5, _end_s(ticker) + 10),
                account=chance.choice(ACCOUNTS),
                ticker=ticker,
                price_e4=ENTRY_E4[ticker] + chance.choice([0] * 7 + [100, 50]),
                qty_e2=chance.choice([100, 300, 500, 500, 700, 1_000, 1_000, 1_100]),
                age_ms=chance.choice([0] * 9 + [4_000]),
                is_blind=chance.random() < 0.08,
                by_person=chance.random() < 0.25,
            )
        )
    return made


def _exits(chance: random.Random) -> list[Leave]:
    return [
        Leave(
            at_s=chance.uniform(60, LENGTH_S),
            account=chance.choice(ACCOUNTS),
            qty_e2=chance.choice([200, 500, 1_000]),
            is_cheap=chance.random() < 0.6,
            by_person=chance.random() < 0.5,
            times=chance.choice([1, 1, 1, 2]),
        )
        for _ in range(EXITS)
    ]


def _hands(chance: random.Random) -> list[Hand]:
    made = []
    for _ in range(chance.randint(0, 4)):
        ticker = chance.choice([LOW, HIGH])
        is_bid, rests = chance.random() < 0.5, chance.random() < 0.4
        taking = (ENTRY_E4 if is_bid == (SIDES[ticker] == "yes") else EXIT_E4)[ticker]
        price_e4 = taking if ticker == LOW else 10_000 - taking
        made.append(
            Hand(
                at_s=chance.uniform(30, LENGTH_S - 60),
                account=chance.choice(ACCOUNTS),
                ticker=ticker,
                side="bid" if is_bid else "ask",
                price_e4=price_e4 + (0 if not rests else -100 if is_bid else 100),
                qty_e2=chance.choice([100, 300]),
                rests=rests,
            )
        )
    return made


def _switches(chance: random.Random) -> list[Switch]:
    return [
        Switch(
            at_s=chance.uniform(120, LENGTH_S - 300),
            scope=chance.choice([*ACCOUNTS, "*"]),
            state=chance.choice(["NoNewEntries", "ReduceOnly", "Halted"]),
            lasts_s=chance.choice([30.0, 120.0, 300.0, 0.0]),
        )
        for _ in range(chance.choice([0, 1, 1, 2]))
    ]


def _strikes(chance: random.Random, faults: tuple[str, ...], count: int) -> list[Strike]:
    made = []
    for _ in range(count):
        strike = Strike(
            at_s=chance.uniform(20, LENGTH_S - 30),
            fault=chance.choice(faults),
            account=chance.choice(ACCOUNTS),
            service=chance.choice(catalogue.SERVICES),
            when=chance.choice(["", "created", "submitted", "unknown", "unbooked"]),
            number=chance.randint(1, 4),
        )
        made.append(strike)
        if strike.when == "unknown":
            # An order comes into doubt only when its answer is lost.
            doubt = chance.choice(catalogue.DOUBTS)
            made.append(msgspec.structs.replace(strike, fault=doubt, when="", number=1))
    return made


def _end_s(ticker: str) -> float:
    return (close_us(ticker) - START_US) / _SECOND_US


assert QUARTER_CLOSE_US < CLOSE_US


def scaled(plan: Plan, scale: int) -> Plan:
    """Return the plan with every quantity ``scale`` times as large."""
    acts = tuple(
        msgspec.structs.replace(act, qty_e2=act.qty_e2 * scale)
        if isinstance(act, Move | Enter | Leave | Hand)
        else act
        for act in plan.acts
    )
    return msgspec.structs.replace(plan, scale=scale, acts=acts)
