"""A decision in plain words, from its record: what was seen, which rule decided, with its numbers.

Nothing is guessed: a number that the record does not have is called unknown, and what a gate asks is
told only if the settings of that time are known.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from recio.domain.account_config import AccountConfig
from recio.domain.momentum import BUCKET_E6
from recio.domain.stop import StopState
from recio.domain.units import CONTRACT_E2, SECOND_US, USD_E6
from recio.engine import funnel
from recio.engine.comparing import moment
from recio.engine.funnel import Asked, Strike, strike_of, strike_order
from recio.engine.records import EntryBody, StopBody, StrategyBody, Told

UNKNOWN: Final = "unknown"
WORDS: Final = {
    "disabled": "automatic entry is switched off",
    "not_open": "the event is not open yet",
    "too_early": "the entry window has not begun",
    "too_late": "the entry window is over",
    "exchange_not_trading": "the exchange does not trade, or nobody knows whether it does",
    "no_index": "there is no index price",
    "price_stale": "the index price is too old",
    "spike_pause": "entries pause after a spike of momentum",
    "strategy_failed": "the strategy of one's own failed",
    "strategy_late": "the strategy of one's own answered too late",
    "strategy_changed": "the strategy of one's own was changed meanwhile",
    "not_in_picture": "the market is not among the strikes of the snapshot",
    "book_invalid": "the order book is not whole",
    "book_stale": "the order book is too old",
    "volume": "too few contracts were traded so far",
    "no_ask": "nobody sells that side",
    "not_proposed": "the strategy of one's own did not propose it",
    "limit": "it costs more than the strategy of one's own would pay",
    "price_band": "the price is outside of the band",
    "probability": "the probability is too low, or unknown",
    "edge": "the edge after the fee is too small, or unknown",
    "live_trade": "there is a trade in this market already",
    "entered_before": "this side was entered before, and re-entry is off",
    "attempt_pending": "an earlier wish for it was not decided yet",
    "cooldown": "the last attempt is too recent",
    "size": "the size came out below one contract",
    "max_open_trades": "so many trades are open as may be",
    "event_contracts": "the event would hold too many contracts",
    "total_contracts": "the account would hold too many contracts",
    "event_cost": "the event would cost more than it may",
    "total_cost": "all positions together would cost more than they may",
}


def words(gate: str) -> str:
    """Return what a gate means; a reason that comes from the data is told as it is."""
    if gate.startswith("switch_"):
        return f"the switch says {gate.removeprefix('switch_')}"
    return WORDS.get(gate, gate.replace("_", " "))


def entry_lines(
    body: EntryBody, *, event: str, at_us: int, market: str | None, config: AccountConfig | None
) -> list[str]:
    """Return an entry decision as text.

    Args:
        body: what it saw.
        event: the event's ticker.
        at_us: when it was made.
        market: the market that is asked for; None: the one nearest to being proposed.
        config: the settings of that time; None: they are not known.
    """
    asks = None if config is None else funnel.asked(config)
    left = max(body.close_us - at_us, 0) // SECOND_US
    made = [
        f"At {moment(at_us)}, {left // 60} min {left % 60} s before the close of {event}.",
        f"Seen: {_market(body)}.",
        f"Model: {body.model}; the snapshot's is {body.snapshot_model} ({body.model_version}).",
        f"Judged {len(body.strikes)} strikes: {_counts(body)}.",
    ]
    if body.gate:
        made.append(f"The event as a whole was held: {words(body.gate)} ({body.gate}).")
        if body.gate == "price_stale" and asks is not None and body.price_age_us is not None:
            made.append(
                f"  {_seconds(body.price_age_us)}, {_seconds(asks.max_price_age_us)} allowed"
            )
    if isinstance(body, StrategyBody) and body.told is not None:
        made += _strategy_lines(body.told)
    strikes = [strike_of(each) for each in body.strikes]
    for strike in _shown(strikes, market, asks):
        made += strike_lines(strike, at_us, asks)
    return made


def strike_lines(strike: Strike, at_us: int, asks: Asked | None) -> list[str]:
    """Return what one strike was judged by and where it ended."""
    verdict = (
        "PROPOSED" if not strike.gate else f"not proposed: {words(strike.gate)} ({strike.gate})"
    )
    made = [f"{strike.ticker} {strike.side}: {verdict}"]
    missed = funnel.miss(strike, asks, at_us) if asks is not None and strike.gate else None
    if missed is not None:
        short = funnel.amount(missed.gate, missed.short)
        made.append(f"  {funnel.told(missed)}: {short} too {_direction(missed)}")
    made += [f"  {line}" for line in _numbers(strike, asks)]
    return made


def stop_lines(body: StopBody, *, at_us: int, config: AccountConfig | None) -> list[str]:
    """Return a stop decision as text."""
    left = max(body.close_us - at_us, 0) // SECOND_US
    made = [
        (
            f"At {moment(at_us)}, {left // 60} min {left % 60} s before the close, the trade holds "
            f"{body.side} of {body.market_ticker}."
        ),
        f"Seen: probability {_p(body.p_e6)}, best bid {_cents(body.bid_e4)}, momentum "
        f"{_momentum(body.momentum_e6)}, index {_usd(body.price_usd_e6)}"
        + (f", snapshot {body.generation}." if body.generation else ", no snapshot."),
    ]
    made += _stop_rules(config, is_flatten=body.is_flatten)
    made.append(_stop_state(body.state, at_us))
    if body.intent_id is not None:
        limit = _cents(body.limit_price_e4)
        made.append(f"Exit {body.state.attempts} was proposed, for at least {limit}.")
    return made


def _stop_rules(config: AccountConfig | None, *, is_flatten: bool) -> list[str]:
    if is_flatten:
        return ["The switch says Flatten: everything is closed, whatever the market shows."]
    if config is None:
        return []
    rule, spike = config.strategy.auto_stop.probability, config.strategy.auto_stop.momentum
    below = f"below {rule.below_permille / 1000:g} for {rule.verify_seconds} s"
    return [
        f"Rule probability: {below if rule.enabled else 'off'}; rule momentum: "
        + (f"{spike.threshold_basis_points} bp against the trade." if spike.enabled else "off.")
    ]


def _stop_state(state: StopState, at_us: int) -> str:
    if state.is_fired and state.source is not None:
        return f"The stop fired ({state.source.value}): {state.reason}."
    if state.below_since_us is not None:
        held = _seconds(at_us - state.below_since_us)
        return f"The probability is below the limit for {held}: verifying."
    return "Nothing fires: the verification has ended."


def _strategy_lines(told: Told) -> list[str]:
    name = told.strategy or UNKNOWN
    if told.failure:
        return [f"Strategy {name} failed: {told.failure}."]
    made = [f"Strategy {name} proposed {len(told.proposals)} entries."]
    for one in told.proposals:
        limit = "the ask" if one.limit_price_e4 is None else _cents(one.limit_price_e4)
        reason = f": {one.reason}" if one.reason else ""
        made.append(
            f"  {one.contracts} {one.side} of {one.market_ticker}, probability {_p(one.p_e6)}, "
            f"at most {limit}{reason}"
        )
    return made


def _shown(strikes: list[Strike], market: str | None, asks: Asked | None) -> list[Strike]:
    if market is not None:
        return [strike for strike in strikes if strike.ticker == market]
    passed = [strike for strike in strikes if not strike.gate]
    if passed or not strikes:
        return passed
    order = strike_order(strike.gate for strike in strikes)
    place = max(order.index(strike.gate) for strike in strikes)
    last = [strike for strike in strikes if strike.gate == order[place]]
    return [min(last, key=lambda strike: _short(strike, asks))]


def _short(strike: Strike, asks: Asked | None) -> int:
    missed = None if asks is None else funnel.miss(strike, asks, 0)
    return 0 if missed is None else missed.short


def _counts(body: EntryBody) -> str:
    counts = Counter(each.gate for each in body.strikes)
    parts = [
        f"{counts[gate]} failed {gate}" for gate in strike_order(counts) if counts[gate] and gate
    ]
    return ", ".join([*parts, f"{counts['']} passed"])


def _market(body: EntryBody) -> str:
    age = UNKNOWN if body.price_age_us is None else _seconds(body.price_age_us)
    complete = "" if body.is_momentum_complete else ", of an incomplete past"
    volatility = (
        UNKNOWN if body.volatility_e9 is None else f"{body.volatility_e9 / 1e5:.4f} bp a second"
    )
    window = (
        f"; settlement mean so far {_usd(body.window_average_usd_e6)} of {body.window_count} s"
        if body.window_count
        else ""
    )
    return (
        f"index {_usd(body.price_usd_e6)} ({age} old), spot {_usd(body.spot_usd_e6)}, momentum "
        f"{_momentum(body.momentum_e6)}{complete}, volatility {volatility}{window}"
    )


def _numbers(strike: Strike, asks: Asked | None) -> list[str]:
    def needs(text: str) -> str:
        return "" if asks is None else f" ({text})"

    band = least_p = least_edge = volume = age = ""
    if asks is not None:
        band = f"{asks.min_price_e4 / 100:g} to {asks.max_price_e4 / 100:g}"
        least_p, least_edge = f"needs {_p(asks.min_p_e6)}", f"needs {_cents(asks.min_edge_e4)}"
        volume = f"needs {asks.min_volume_e2 / CONTRACT_E2:,.0f}"
        age = f"at most {_seconds(asks.max_book_age_us)}"
    traded = UNKNOWN if strike.volume_e2 is None else f"{strike.volume_e2 / CONTRACT_E2:,.0f}"
    book = UNKNOWN if strike.book_age_us is None else _seconds(strike.book_age_us)
    return [
        (
            f"probability {_p(strike.p_e6)}{needs(least_p)}, ask {_cents(strike.ask_e4)}{needs(band)}, "
            f"edge after the fee {_cents(strike.edge_e4)}{needs(least_edge)}"
        ),
        f"traded so far {traded} contracts{needs(volume)}, book {book} old{needs(age)}",
    ]


def _direction(missed: funnel.Miss) -> str:
    return "much" if missed.value > missed.needed else "little"


def _p(p_e6: int | None) -> str:
    return UNKNOWN if p_e6 is None else f"{p_e6 / 1e6:.6f}".rstrip("0").ljust(5, "0")


def _cents(price_e4: int | None) -> str:
    return UNKNOWN if price_e4 is None else f"{price_e4 / 100:g} cents"


def _usd(price_usd_e6: int | None) -> str:
    return UNKNOWN if price_usd_e6 is None else f"${price_usd_e6 / USD_E6:,.2f}"


def _momentum(score_e6: int | None) -> str:
    return UNKNOWN if score_e6 is None else f"{score_e6 / BUCKET_E6:+.1f} bp"


def _seconds(us: int) -> str:
    return f"{us / SECOND_US:.1f} s"
