"""How fast history is played: ours with the live folds, the gate and the ledger in the path, and peers.

    python -m benchmarks replay                      ours, and peers where they are installed
    python -m benchmarks replay --install            install the peers from PyPI first
    python -m benchmarks replay --only ours

Ours plays the tape through ``engine.backtest``: order books, tops at ten a second, snapshots with
probabilities, entry and stop rules, decision records, the risk gate, orders that arrive 150 ms later
and take what is displayed, fees, double-entry postings, trades. Two loads:

* no orders: the packaged recording of a 15-minute market (46,000 events: every change of a real book),
  automation on with the default rules;
* orders: a scripted 15-minute market with 18 changes of the book for each order. The price jumps over
  the strike every second, so each second a trade is stopped and the other side entered; every order
  fills: some 800 trades a market. The cost of an order is the difference to the same tape with
  automation off.

nautilus_trader: quote ticks of one instrument into a Python strategy that counts; then a market order
at each 20th. It models venue, matching, margin account, positions; no probabilities, no book depth here.
freqtrade: minute candles, two moving averages; candles only, no book, no latency, no ledger.

Every figure is CPU time of one process, best of the runs; the tape is made before the clock starts.
"""

from __future__ import annotations

import argparse
import gc
import resource
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.machine import heading
from benchmarks.peers import environments
from recio.domain.account_config import (
    AccountConfig,
    AutoEntry,
    Model,
    Paper,
    Risk,
    Strategy,
)
from recio.domain.field_types import Series
from recio.domain.strategy_fields import AutoStop, MomentumStop, ProbabilityStop, SpikeAlert
from recio.domain.tickers import format_event, format_market
from recio.domain.units import MINUTE_US, SECOND_US
from recio.engine.backtest import Backtest
from recio.engine.tape import Changed, Event, Loaded, Settled
from recio.research.backtest import artefacts
from recio.research.tapes import messages
from recio.research.tapes.opening import open_tape

SERIES = "KXBTC15M"
WINDOW_US = 15 * MINUTE_US
FIRST_US = 1_778_677_200_000_000
STRIKE = 80_000_000_000
NEAR = 2_400_000_000
CHANGES = 36
TRADED_S = 830
MIDDLE_E4 = 4_900
DEEP_E4 = 1_000
SIZE_E2 = 1_000_000_00


class Counting:
    """Takes what comes out, as a sink would."""

    def __init__(self) -> None:
        self.records = self.ended_trades = self.refusals = 0

    def decided(self, _record: object) -> None:
        """Count a decision."""
        self.records += 1

    def refused(self, _intent: object, _reasons: tuple[str, ...]) -> None:
        """Count a refusal."""
        self.refusals += 1

    def ended(self, _ended: object) -> None:
        """Count a trade."""
        self.ended_trades += 1

    def moved(self, _at_us: int, _cash: int, _equity: int) -> None:
        """Take the equity."""


def account(*, is_automatic: bool, is_scripted: bool) -> AccountConfig:
    """Return the account that plays."""
    if not is_scripted:
        rules = AutoEntry(enabled=is_automatic)
        return AccountConfig(
            name="bench", series=(Series.KXBTC15M,), strategy=Strategy(auto_entry=rules)
        )
    rules = AutoEntry(
        enabled=is_automatic,
        allow_reentry=True,
        min_seconds_to_close=900 - TRADED_S,
        max_seconds_to_close=900,
        cooldown_seconds=0,
        min_volume_contracts=0,
    )
    stop = AutoStop(
        probability=ProbabilityStop(below_permille=500, min_seconds_to_close=0, verify_seconds=0),
        momentum=MomentumStop(enabled=False),
    )
    strategy = Strategy(
        model=Model.FINGERPRINTS,
        auto_entry=rules,
        auto_stop=stop,
        spike_alert=SpikeAlert(enabled=False),
    )
    risk = Risk(
        max_contracts_per_event=1_000,
        max_contracts_total=1_000,
        max_cost_per_event_dollars=100_000,
        max_cost_total_dollars=100_000,
        max_orders_per_minute=300,
        max_daily_loss_dollars=1_000_000,
        max_drawdown_dollars=1_000_000,
    )
    paper = Paper(initial_balance_dollars=1_000_000)
    return AccountConfig(
        name="bench", series=(Series.KXBTC15M,), strategy=strategy, risk=risk, paper=paper
    )


def scripted(windows: int) -> Iterator[Event]:
    """Yield 15-minute markets in which the price jumps over the strike every second."""
    yield messages.status(FIRST_US)
    for number in range(windows):
        open_us = FIRST_US + number * WINDOW_US
        event_ticker = format_event(SERIES, open_us + WINDOW_US)
        ticker = format_market(event_ticker)
        yield messages.window_event(ticker, STRIKE, open_us)
        sides = ((MIDDLE_E4, SIZE_E2), (DEEP_E4, SIZE_E2))
        yield Loaded(ticker, sides, sides, open_us)
        for second in range(1, TRADED_S):
            at_us = open_us + second * SECOND_US
            way = NEAR if second % 2 else -NEAR
            yield messages.price("BTC", at_us, STRIKE + way)
            for place in range(CHANGES):
                moment_us = at_us + (place + 1) * (SECOND_US // (CHANGES + 1))
                yield Changed(
                    ticker, place % 2 == 0, DEEP_E4, 100 if place % 4 < 2 else -100, moment_us
                )
        yield Settled(ticker, event_ticker, "yes", open_us + WINDOW_US)


def play(config: AccountConfig, events: Iterable[Event]) -> tuple[float, Backtest, Counting]:
    """Return the CPU seconds of one run, the machine and what came out."""
    watcher = Counting()
    machine = Backtest(config, artefacts(), watcher, cash_usd_e6=10**12, latency_us=150_000)
    gc.collect()
    begun = time.process_time()
    for event in events:
        machine.take(event)
    machine.end()
    return time.process_time() - begun, machine, watcher


def ours(runs: int) -> None:
    """Measure and print ours."""
    real = list(open_tape("packaged").events())
    config = account(is_automatic=True, is_scripted=False)
    taken = [play(config, real) for _ in range(runs)]
    seconds, machine, watcher = min(taken, key=lambda each: each[0])
    print(
        f"ours, recorded book, no orders: {len(real) / seconds:,.0f} events per CPU second "
        f"({len(real):,} events, {machine.snapshots:,} snapshots, {watcher.records:,} decision "
        f"records, {machine.portfolio.orders} orders)"
    )
    made = list(scripted(4))
    quiet = min(play(account(is_automatic=False, is_scripted=True), made)[0] for _ in range(runs))
    config = account(is_automatic=True, is_scripted=True)
    taken = [play(config, made) for _ in range(runs)]
    seconds, machine, watcher = min(taken, key=lambda each: each[0])
    orders = machine.portfolio.orders
    print(f"ours, scripted book, automation off: {len(made) / quiet:,.0f} events per CPU second")
    print(
        f"ours, scripted book, {orders:,} orders ({len(made) / max(orders, 1):.0f} events an order): "
        f"{len(made) / seconds:,.0f} events per CPU second, {orders / seconds:,.0f} orders per CPU "
        f"second; an order costs {(seconds - quiet) / max(orders, 1) * 1000:.3f} ms "
        f"({orders / max(seconds - quiet, 1e-9):,.0f} a CPU second); "
        f"{watcher.ended_trades:,} trades, {watcher.refusals} refused"
    )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"ours, peak memory with the tapes held: {peak_mb:.0f} MB")


def peers(names: Sequence[str], runs: int) -> None:
    """Measure and print the peers that are installed."""
    for name in names:
        if not environments.is_installed(name):
            print(f"{name}: not installed (--install)")
            continue
        alone_s = 0.0
        for found in environments.run(name, runs):
            each_s = found["cpu_seconds"] / found["events"]
            print(
                f"{found['peer']}, {found['load']}: {1 / each_s:,.0f} {found['unit']} per CPU second"
                f"{_orders(found, alone_s)}; {found['peak_mb']} MB"
            )
            alone_s = alone_s or each_s


def _orders(found: Mapping[str, Any], alone_s: float) -> str:
    """Return what a peer's orders cost, by the load before it that had none."""
    if not found["orders"]:
        return ""
    orders, seconds = found["orders"], found["cpu_seconds"]
    text = f", {orders / seconds:,.0f} orders per CPU second ({orders:,})"
    if not alone_s:
        return text
    each_s = (seconds - alone_s * found["events"]) / orders
    return f"{text}; an order costs {each_s * 1000:.3f} ms ({1 / each_s:,.0f} a CPU second)"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--install", action="store_true", help="install the peers from PyPI first")
    parser.add_argument("--only", choices=("ours", "peers"), help="leave the other out")
    parser.add_argument("--runs", type=int, default=5, help="of each; the best counts (default 5)")
    wanted = parser.parse_args()
    names = tuple(environments.PEERS)
    if wanted.install:
        for name in names:
            environments.install(name)
    print(heading("msgspec"))
    if wanted.only != "peers":
        ours(wanted.runs)
    if wanted.only != "ours":
        peers(names, wanted.runs)


if __name__ == "__main__":
    main()
