"""The answer to "is it worth anything?" in a few figures and plain words, never prettified.

Evidence for an edge asks for three things at once: enough events, a bootstrap interval above zero,
and a result that fair bets seldom give by luck; for a loss that is more than bad luck the same, the
other way round. Everything less is called no evidence. Quotes that were made up can prove nothing
about an exchange, whatever the figures say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from recio.research.report import words
from recio.research.report.aggregates import (
    Fall,
    Sums,
    brier,
    cost_per_contract,
    fall_of,
    forecasts,
    judged,
    per_event,
    sums,
)
from recio.research.result import Result, TradeLine
from recio.research.significance import Bet, Interval, fair_price_p, ratio_interval

ENOUGH_EVENTS: Final = 30
"""Below it neither an interval nor a share means much: a convention."""
SELDOM: Final = 0.05
MADE_UP: Final = "The quotes were made up: profit against made-up quotes says nothing about Kalshi."
_USD_E6: Final = 1e6
_QTY_E2: Final = 100


class AgainstMarket(msgspec.Struct, frozen=True, kw_only=True):
    """Brier scores of our probability and of the market's middle on the same trades; less is better.

    ``difference`` is ours minus the market's, with the bounds of a bootstrap by event.
    """

    trades: int
    ours: float
    market: float
    difference: Interval | None


class Headline(msgspec.Struct, frozen=True, kw_only=True):
    """What a page begins with."""

    verdict: str
    is_edge: bool
    sums: Sums
    per_contract_usd: Interval | None
    per_trade_usd: Interval | None
    luck: float | None
    """How often fair bets earn as much; see ``significance.fair_price_p``."""
    fall: Fall | None
    against_market: AgainstMarket | None


def headline(result: Result) -> Headline:
    """Return what a run comes to."""
    trades = judged(result.trades)
    events = per_event(trades)
    pnls = [pnl / _USD_E6 for pnl, _, _ in events]
    total = sums(result.trades)
    contracts = ratio_interval(pnls, [qty / _QTY_E2 for _, qty, _ in events])
    luck = fair_price_p(bets(trades), total.pnl_usd_e6 / _USD_E6)
    is_edge, verdict = _verdict(total, contracts, luck)
    return Headline(
        verdict=f"{verdict} {MADE_UP}" if result.is_synthetic else verdict,
        is_edge=is_edge and not result.is_synthetic,
        sums=total,
        per_contract_usd=contracts,
        per_trade_usd=ratio_interval(pnls, [float(count) for _, _, count in events]),
        luck=luck,
        fall=fall_of(result.equity),
        against_market=against_market(trades),
    )


def bets(trades: Sequence[TradeLine]) -> list[Bet]:
    """Return judged trades as bets that are held: what each loses or wins after its entry's fee."""
    made = []
    for one in trades:
        cost = cost_per_contract(one)
        if cost is not None and 0 < cost < 1:
            contracts = one.filled_qty_e2 / _QTY_E2
            made.append(Bet(one.event_ticker, cost * contracts, (1 - cost) * contracts))
    return made


def against_market(trades: Sequence[TradeLine]) -> AgainstMarket | None:
    """Return both Brier scores on the trades of which everything needed is known."""
    known = forecasts(trades)
    ours = brier((one.p, one.came) for one in known)
    market = brier((one.market_p, one.came) for one in known)
    if ours is None or market is None:
        return None
    by_event: dict[str, list[float]] = {}
    for one in known:
        off = (one.p - one.came) ** 2 - (one.market_p - one.came) ** 2
        by_event.setdefault(one.event, []).append(off)
    sizes = [float(len(held)) for held in by_event.values()]
    difference = ratio_interval([sum(held) for held in by_event.values()], sizes)
    return AgainstMarket(trades=len(known), ours=ours, market=market, difference=difference)


def _verdict(total: Sums, interval: Interval | None, luck: float | None) -> tuple[bool, str]:
    if not total.trades:
        return False, "No trade has a known result, so nothing is known about an edge."
    if interval is None or luck is None or total.events < ENOUGH_EVENTS:
        return False, (
            f"Too little to judge: {_events(total)}, and fewer than {ENOUGH_EVENTS} tell neither "
            "an edge nor its absence."
        )
    if interval.high < 0 and luck > 1 - SELDOM:
        return False, (
            f"It lost money after fees, and not by bad luck alone: over {_events(total)} the whole "
            "95 % interval of the expectancy is below zero, and fair bets at the same prices end "
            f"better in {words.share(luck, 0)} of cases."
        )
    if interval.low > 0 and luck < SELDOM:
        return True, (
            f"There is evidence of an edge on this tape: over {_events(total)} the 95 % interval of "
            f"the expectancy is above zero, and fair bets at the same prices earn as much in only "
            f"{words.share(luck)} of cases. It is one tape and one choice of settings."
        )
    pnl = total.pnl_usd_e6
    did = "earned money" if pnl > 0 else "lost money" if pnl < 0 else "earned nothing"
    return False, (
        f"No evidence of an edge: it {did} after fees, and over {_events(total)} that is within "
        f"chance. Fair bets at the same prices end at least as well in {words.share(luck, 0)} of cases."
    )


def _events(total: Sums) -> str:
    return f"{total.trades} trades in {total.events} events"
