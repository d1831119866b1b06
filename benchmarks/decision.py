"""Measure one decision: 21 strikes judged, sizes found together, a strategy of one's own asked.

    python -m benchmarks decision

CPU time of this process, the best of five runs: what a run needs when nothing disturbs it. The strategy
is ``k8s/examples/steady``; its own process works beside, so that is told as wall time too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from benchmarks.machine import heading
from recio.domain import sizing
from recio.domain.account_config import Risk, Sizing, SizingMethod, StrategyName
from recio.domain.messages import Snapshot
from recio.domain.sizing import Bet
from recio.engine import entry
from recio.engine.proposing import view_of
from recio.runtime.sandbox.client import Sandbox
from recio.testing import pictures
from recio.testing.views import CONFIG, KNOWN

EXAMPLE = Path(__file__).parents[1] / "k8s/examples/steady/strategy.py"
SNAPSHOTS = 400
RUNS = 5


def ladder() -> Snapshot:
    """Return a picture of 21 strikes, none of which is bought."""
    rows = []
    for place in range(-10, 11):
        p = max(20_000, min(980_000, 500_000 - place * 90_000))
        ask = min(p // 100 + 100, 9_900)
        strike = pictures.PRICE + place * 250_000_000 - 10_000
        rows.append(pictures.row(strike, p, max(ask - 200, 100), ask))
    return msgspec.structs.replace(pictures.PICTURE, rows=tuple(rows))


def scene(step_s: float) -> list[Snapshot]:
    """Return pictures that follow each other."""
    made, picture = [], ladder()
    for _ in range(SNAPSHOTS):
        picture = pictures.later(picture, step_s)
        made.append(picture)
    return made


def best_us(work: Callable[[], int]) -> float:
    """Return the CPU microseconds of one of the things that ``work`` does."""
    found = []
    for _ in range(RUNS):
        began = time.process_time()
        done = work()
        found.append((time.process_time() - began) / done * 1e6)
    return min(found)


def folded(pictures_: list[Snapshot]) -> int:
    """Fold them all as HourlyHTC does."""
    plain = msgspec.structs.replace(CONFIG.strategy, name=StrategyName.HOURLY_HTC, custom=None)
    config = msgspec.structs.replace(CONFIG, strategy=plain)
    state = entry.State("paper")
    entry.step(state, msgspec.structs.replace(KNOWN, config=config))
    for picture in pictures_:
        entry.step(state, picture)
    return len(pictures_)


def sized(count: int) -> int:
    """Find the sizes of that many nested strikes."""
    rules = Sizing(method=SizingMethod.CAPPED_KELLY, contracts=1_000, kelly_permille=100)
    risk = Risk(max_contracts_per_order=1_000)
    is_yes = True
    bets = [
        Bet(place, is_yes, 970_000 - 4_000 * place, 9_534 - 45 * place) for place in range(count)
    ]
    sizing.joint_qty_e2(rules, risk, bets, (), cash_usd_e6=1_000_000_000)
    return 1


def main() -> None:
    """Measure and print."""
    print(heading("msgspec"))
    often, rarely = scene(0.1), scene(1.0)
    told = {
        "snapshot of 21 strikes, ten a second": partial(folded, often),
        "the same, each with its record": partial(folded, rarely),
    } | {f"sizes of {count} nested strikes together": partial(sized, count) for count in (2, 3, 8)}
    for name, work in told.items():
        print(f"{name:40}{best_us(work):8.1f} µs")
    views = [view_of(picture, KNOWN) for picture in rarely]
    with Sandbox(EXAMPLE, "Steady", {}) as sandbox:
        sandbox.start()
        began = time.monotonic()
        own = best_us(lambda: sum(sandbox.ask(view) is not None for view in views))
        wall = (time.monotonic() - began) / len(views) / RUNS * 1e6
    name = "a strategy of one's own asked"
    print(f"{name:40}{own:8.1f} µs here, {wall:.0f} µs in all")


if __name__ == "__main__":
    main()
