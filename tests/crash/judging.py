"""The invariants that the end of a run can break, judged as the simulation judges them.

The others need what only a watched run has: each request beside the rows of that moment. Restart
equivalence (15) is ``state.differences``: it compares more than the simulation's check does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.crash.market import ACCOUNT, FrozenMarket

from recio.ports import Database
from recio.simulation import invariants
from recio.simulation.reading import append_only, read_history

CHECKS = (
    invariants.invariant_01_one_exchange_order_per_intent,
    invariants.invariant_03_no_fill_lost_or_doubled,
    invariants.invariant_04_positions_are_what_was_filled,
    invariants.invariant_05_cash_to_the_cent,
    invariants.invariant_06_double_entry_append_only,
    invariants.invariant_11_states_only_go_on,
    invariants.invariant_12_no_decision_on_stale_data,
    invariants.invariant_13_price_and_size_are_legal,
    invariants.invariant_19_everything_ends,
    invariants.invariant_20_never_a_wrong_hour,
)


@dataclass(frozen=True, slots=True)
class Unwatched:
    """What a history takes from a watch, where nobody watched."""

    account: str = ACCOUNT
    sent: Sequence[Any] = ()
    samples: Sequence[Any] = ()
    earlier_postings: Sequence[Any] = ()
    strikes: Sequence[Any] = ()


async def broken(owner: Database, url: str, market: FrozenMarket) -> list[str]:
    """Return which invariants a run at rest breaks, and how."""
    watch: Any = Unwatched()
    history = await read_history(owner, market.exchange, watch, refusals=append_only(url))
    return [f"{check.__name__}: {found}" for check in CHECKS for found in check(history)]
