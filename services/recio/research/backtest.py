"""Runs one account document over one tape and gathers what came of it.

The core is ``engine.backtest``; here are the artefacts that ship with the product, the clock that
measures the run, and the counts. Memory grows with trades, not with the tape: decisions go to a sink.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from recio import data
from recio.apps.unified_production_coordinator.app import fingerprints
from recio.domain.account_config import AccountConfig
from recio.domain.entry import PASSED
from recio.domain.intents import Intent
from recio.domain.tickers import series_of
from recio.domain.trade_book import FillFact, own_price_e4
from recio.domain.trades import Trade, TradeState
from recio.domain.units import USD_E6
from recio.domain.volatility_model import VolatilityModel
from recio.engine import funnel
from recio.engine.backtest import Answer, Artefacts, Backtest, Ended
from recio.engine.records import ENTRY, Record, StrikeDecision
from recio.research.result import EquityPoint, Result, Sink, TradeLine
from recio.research.tapes.tape import Tape

PROGRESS_EVENTS: Final = 20_000
_EVER_US: Final = 2**62
LATENCY_MS: Final = 150
"""From a decision to an order's arrival: our own path is some 10 ms, the rest is the network and the
exchange; a guess, not a measurement of the exchange."""


def run(
    config: AccountConfig,
    tape: Tape,
    *,
    sink: Sink,
    seed: int = 1,
    latency_ms: int = LATENCY_MS,
    document: Mapping[str, Any] | None = None,
    answer: Answer | None = None,
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Play the whole tape and return what was found.

    Args:
        config: the account; its own limits, strategy, sizing and opening balance count.
        tape: what is played.
        sink: takes every decision record.
        seed: of the tape, for the report; the run itself draws nothing.
        latency_ms: from a decision to the order's arrival.
        document: the account document as it was read, for the report.
        answer: gives what a trader's own strategy proposes.
        progress: told the market time now and then.

    Raises:
        InvalidValue: the tape cannot be read, or holds a result that is none.
    """
    gathered = _Gathered(sink)
    cash = config.paper.initial_balance_dollars * USD_E6
    machine = Backtest(
        config,
        artefacts(),
        gathered,
        cash_usd_e6=cash,
        latency_us=latency_ms * 1000,
        answer=answer,
    )
    began_s = time.process_time()
    for event in tape.events():
        machine.take(event)
        if progress is not None and machine.events % PROGRESS_EVENTS == 0:
            progress(machine.now_us)
    machine.end()
    return gathered.result(
        machine,
        tape,
        document=dict(document or {}),
        seed=seed,
        latency_ms=latency_ms,
        initial_cash_usd_e6=cash,
        cpu_seconds=time.process_time() - began_s,
    )


def artefacts() -> Artefacts:
    """Return the models that a coordinator uses unless it is told otherwise."""
    tables = fingerprints(data.fingerprint_names()[0])
    models = [VolatilityModel(data.volatility_bytes(name)) for name in data.volatility_names()]
    return Artefacts(
        fingerprints={prints.symbol: prints for _, prints in tables},
        volatility={each.symbol: each for each in models},
    )


class _Looked(msgspec.Struct, frozen=True):
    """What the counts need of an entry decision."""

    gate: str
    close_us: int
    model_version: str
    strikes: tuple[StrikeDecision, ...] = ()


_decoder: Final = msgspec.msgpack.Decoder(_Looked)
_GATES: Final = (*funnel.OF_STRIKE, *funnel.OF_ACCOUNT, PASSED)
_RANK: Final = {gate: rank for rank, gate in enumerate(_GATES, start=1)}
"""How far a strike came; what is wrong with a market itself comes before all of these."""


class _Furthest:
    """How far the strikes of one event came, each at its best look."""

    def __init__(self, close_us: int) -> None:
        self.close_us = close_us
        self.gates: dict[str, str] = {}

    def see(self, strike: StrikeDecision) -> None:
        """Take one look at a strike."""
        known = self.gates.get(strike.ticker)
        if known is None or _RANK.get(strike.gate, 0) > _RANK.get(known, 0):
            self.gates[strike.ticker] = strike.gate


class _Gathered:
    """What the run tells on its way, counted."""

    def __init__(self, sink: Sink) -> None:
        self.trades: list[TradeLine] = []
        self.equity: list[EquityPoint] = []
        self.gates: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.decisions = 0
        self.model_version = ""
        self._sink = sink
        self._closest: Counter[str] = Counter()
        self._furthest: dict[str, _Furthest] = {}

    def decided(self, record: Record) -> None:
        """Count what a decision says of each strike, and pass it on."""
        self.decisions += 1
        self._sink.decision(record)
        if record.kind != ENTRY:
            return
        looked = _decoder.decode(record.body)
        self.model_version = looked.model_version
        if looked.gate:
            self.gates[f"event:{looked.gate}"] += 1
            return
        furthest = self._furthest.get(record.event_ticker)
        if furthest is None:
            self._count(record.at_us)
            furthest = self._furthest[record.event_ticker] = _Furthest(looked.close_us)
        for strike in looked.strikes:
            self.gates[strike.gate] += 1
            furthest.see(strike)

    def _count(self, at_us: int) -> None:
        """Count the strikes of events that are over, so that memory does not grow with the tape."""
        over = [name for name, event in self._furthest.items() if event.close_us <= at_us]
        for name in over:
            self._closest.update(self._furthest.pop(name).gates.values())

    def refused(self, intent: Intent, reasons: tuple[str, ...]) -> None:
        """Count why the gate said no, without the numbers in it."""
        del intent
        for reason in reasons:
            self.refusals[_words(reason)] += 1

    def ended(self, ended: Ended) -> None:
        """Keep a trade's line."""
        self.trades.append(line_of(ended))

    def moved(self, at_us: int, cash_usd_e6: int, equity_usd_e6: int) -> None:
        """Keep a point of the curve if it is another one."""
        last = self.equity[-1] if self.equity else None
        if last is None or (last.cash_usd_e6, last.equity_usd_e6) != (cash_usd_e6, equity_usd_e6):
            self.equity.append(EquityPoint(at_us, cash_usd_e6, equity_usd_e6))

    def result(self, machine: Backtest, tape: Tape, **how: Any) -> Result:  # noqa: ANN401 (Result's own fields)
        """Return everything that was found."""
        self._count(_EVER_US)
        return Result(
            tape=tape.name,
            caveat=tape.caveat,
            is_synthetic=tape.is_synthetic,
            coverage=tape.coverage(),
            model_version=self.model_version,
            trades=tuple(self.trades),
            equity=tuple(self.equity),
            gates=dict(self.gates),
            closest=dict(self._closest),
            refusals=dict(self.refusals),
            events=machine.events,
            snapshots=machine.snapshots,
            decisions=self.decisions,
            orders=machine.portfolio.orders,
            **how,
        )


def _words(reason: str) -> str:
    """Return a reason without its numbers, so that the same reasons count together."""
    return " ".join(word for word in reason.split() if not any(map(str.isdigit, word))) or reason


def line_of(ended: Ended) -> TradeLine:
    """Return the line of a trade at its end."""
    trade, seen = ended.trade, ended.seen
    entries = [fill for fill in ended.fills if _is_entry(trade, fill)]
    exits = [fill for fill in ended.fills if not _is_entry(trade, fill)]
    return TradeLine(
        number=trade.number,
        symbol=trade.symbol,
        series_ticker=series_of(trade.event_ticker).ticker,
        event_ticker=trade.event_ticker,
        market_ticker=trade.market_ticker,
        side=trade.side,
        strike_usd_e6=trade.strike_usd_e6,
        close_us=trade.close_us,
        state=trade.state.value,
        decided_us=trade.created_at_us,
        opened_us=trade.opened_at_us,
        ended_us=ended.at_us if trade.pnl_usd_e6 is not None else None,
        wanted_qty_e2=trade.wanted_qty_e2,
        filled_qty_e2=trade.filled_qty_e2,
        entry_price_e4=_mean_e4(trade, entries),
        exit_price_e4=_mean_e4(trade, exits),
        cost_usd_e6=trade.entry_cost_usd_e6,
        proceeds_usd_e6=trade.exit_proceeds_usd_e6,
        payout_usd_e6=_payout(trade),
        fees_usd_e6=trade.fees_usd_e6,
        pnl_usd_e6=trade.pnl_usd_e6,
        p_e6=trade.p_entry_e6,
        market_p_e6=_middle_e6(seen.bid_e4, seen.ask_e4),
        ask_e4=seen.ask_e4,
        edge_e4=seen.edge_e4,
        seconds_to_close=seen.seconds_to_close,
        momentum_bucket=trade.momentum_bucket,
        close_reason=ended.reason,
        decision_id=seen.decision_id,
    )


def _is_entry(trade: Trade, fill: FillFact) -> bool:
    return (fill.book_side.value == "bid") is (trade.side == "yes")


def _mean_e4(trade: Trade, fills: list[FillFact]) -> int | None:
    qty = sum(fill.qty_e2 for fill in fills)
    if not qty:
        return None
    worth = sum(own_price_e4(trade.side, fill.yes_price_e4) * fill.qty_e2 for fill in fills)
    return round(worth / qty)


def _payout(trade: Trade) -> int | None:
    if trade.pnl_usd_e6 is None or trade.state is not TradeState.SETTLED:
        return None
    spent = trade.entry_cost_usd_e6 + trade.fees_usd_e6
    return trade.pnl_usd_e6 + spent - trade.exit_proceeds_usd_e6


def _middle_e6(bid_e4: int | None, ask_e4: int | None) -> int | None:
    """Return the middle as a probability; a book with one side only says none."""
    return None if bid_e4 is None or ask_e4 is None else (bid_e4 + ask_e4) * 50
