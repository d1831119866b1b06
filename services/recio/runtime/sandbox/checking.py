"""Whether a strategy answers the same questions alike: without that no backtest means anything.

The same views are put, in the same order, to two processes that differ in what must not count: the
seed of Python's hashes (the order of a set) and the time. The first answers that differ are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from recio.domain.errors import StrategyFailed
from recio.domain.proposals import Proposal, View
from recio.runtime.sandbox.child import Limits
from recio.runtime.sandbox.client import DEFAULTS, Sandbox

MOST_TOLD: Final = 10


def differences(
    file: Path,
    class_name: str,
    parameters: Mapping[str, str],
    views: Iterable[View],
    *,
    limits: Limits = DEFAULTS,
) -> list[str]:
    """Return where two runs of a strategy part, one sentence each; nothing if they never do.

    Raises:
        StrategyFailed: the file cannot be read.
    """
    found: list[str] = []
    with (
        Sandbox(file, class_name, parameters, limits=limits, hash_seed=0) as first,
        Sandbox(file, class_name, parameters, limits=limits, hash_seed=1) as second,
    ):
        for view in views:
            one, other = _answered(first, view), _answered(second, view)
            if one != other:
                found.append(
                    f"{view.event_ticker}, snapshot {view.generation}: "
                    f"first {_shown(one)}, then {_shown(other)}"
                )
                if len(found) == MOST_TOLD:
                    break
    return found


def _answered(sandbox: Sandbox, view: View) -> tuple[Proposal, ...] | str:
    try:
        return sandbox.ask(view)
    except StrategyFailed as error:
        return str(error)


def _shown(answer: tuple[Proposal, ...] | str) -> str:
    if isinstance(answer, str):
        return answer
    told = (
        f"{one.side} of {one.market_ticker} x {one.contracts} at {one.p_e6 / 10_000:.2f} %"
        for one in answer
    )
    return ", ".join(told) or "nothing"
