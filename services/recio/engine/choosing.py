"""From strikes that passed every gate of their own to intents: sizes, limits of the account, prices.

The surest strike comes first. Sizes are found together (domain/sizing.py) for the strikes that may
still be opened; each wish counts as filled whole for the limits of the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from recio.domain import entry, sides, sizing
from recio.domain.account_config import AccountConfig, SizingMethod
from recio.domain.entry import PASSED, Attempt, Check, Held, Key
from recio.domain.fees import budget_usd_e6
from recio.domain.intents import Intent, Purpose, Source, derived_id
from recio.domain.messages import Snapshot, StrikeRow
from recio.domain.proposals import Proposal
from recio.domain.sizing import Bet, Holding
from recio.domain.trades import FINAL, Trade
from recio.domain.units import CONTRACT_E2, SECOND_US
from recio.engine.entry_state import Known, State
from recio.engine.records import ENTRY, decision_id

VALID_US: Final = 5 * SECOND_US
ATTEMPT_PATIENCE_US: Final = 30 * SECOND_US
"""An attempt that nothing was heard of for so long is no longer waited for."""
MOST_TOGETHER: Final = 8
"""So many strikes are sized together, which takes a few milliseconds; the rest waits."""
_CENT_E4: Final = 100
_NOBODY: Final[Mapping[str, Proposal]] = {}


def current_attempt(state: State, snapshot: Snapshot, key: Key) -> Attempt | None:
    """Return the newest wish for one side of a market, as far as it still counts."""
    attempt = state.attempts.get(key)
    if attempt is None or not attempt.is_pending:
        return attempt
    if snapshot.at_us - attempt.at_us > ATTEMPT_PATIENCE_US:
        return Attempt(attempt.number, attempt.at_us, is_pending=False)
    return attempt


def choose(
    state: State,
    known: Known,
    snapshot: Snapshot,
    checks: Sequence[Check],
    proposals: Mapping[str, Proposal] = _NOBODY,
) -> tuple[list[Check], list[Intent]]:
    """Return the checks with the account's limits applied, and the wishes that pass all of it."""
    passing = sorted(
        (check for check in checks if check.gate == PASSED),
        key=lambda check: (-(check.p_e6 or 0), check.ticker),
    )
    if not passing:
        return list(checks), []
    held = _with_pending(state, snapshot)
    sizes = _sizes(state, known, snapshot, passing, held)
    wishes: list[Intent] = []
    outcome: dict[str, str] = {}
    for check in passing:
        proposal = proposals.get(check.ticker)
        qty = _no_more(sizes.get(check.ticker), proposal)
        intent, gate = _wish(state, known, snapshot, check, held=held, qty=qty, proposal=proposal)
        if intent is None:
            outcome[check.ticker] = gate
            continue
        held = _with_wish(held, (check.ticker, check.side), intent)
        _note(state, snapshot, intent)
        wishes.append(intent)
    judged = [
        msgspec.structs.replace(check, gate=outcome[check.ticker])
        if check.ticker in outcome
        else check
        for check in checks
    ]
    return judged, wishes


def _note(state: State, snapshot: Snapshot, intent: Intent) -> None:
    key = (intent.market_ticker, intent.side)
    state.attempts[key] = Attempt(_next_number(state, key), snapshot.at_us, is_pending=True)
    state.wishes[key] = intent


def _no_more(qty_e2: int | None, proposal: Proposal | None) -> int | None:
    if qty_e2 is None or proposal is None:
        return qty_e2
    return min(qty_e2, proposal.contracts * CONTRACT_E2)


def _sizes(
    state: State, known: Known, snapshot: Snapshot, passing: Sequence[Check], held: Held
) -> dict[str, int | None]:
    """Return how much to ask for of each strike, as far as they may still be opened."""
    settings = known.config.strategy.sizing
    chosen, holdings = list(passing), []
    if settings.method is not SizingMethod.FIXED:
        room = known.config.risk.max_open_trades - held.open_trades
        chosen = chosen[: max(min(room, MOST_TOGETHER), 0)]
        holdings = _holdings(state, known, snapshot)
    found = sizing.joint_qty_e2(
        settings,
        known.config.risk,
        [_bet(snapshot, check) for check in chosen],
        holdings,
        cash_usd_e6=known.cash_usd_e6,
    )
    return {check.ticker: qty for check, qty in zip(chosen, found, strict=True)}


def _bet(snapshot: Snapshot, check: Check) -> Bet:
    row = _row(snapshot, check.ticker)
    assert check.p_e6 is not None
    assert check.ask_e4 is not None
    fee_e4 = (row.yes_fee_e4 if check.side == sides.YES else row.no_fee_e4) or 0
    return Bet(row.strike_usd_e6, check.side == sides.YES, check.p_e6, check.ask_e4 + fee_e4)


def _row(snapshot: Snapshot, ticker: str) -> StrikeRow:
    row = sides.row_of(snapshot, ticker)
    assert row is not None
    return row


def _holdings(state: State, known: Known, snapshot: Snapshot) -> list[Holding]:
    """Return what is held of the event or on its way, at its probability now."""
    live = [
        trade
        for trade in known.trades
        if trade.event_ticker == snapshot.event_ticker and trade.state not in FINAL
    ]
    made = [_of_trade(known.config, snapshot, trade) for trade in live]
    markets = {trade.market_ticker for trade in live}
    return made + [
        _of_wish(known.config, snapshot, wish)
        for (ticker, _), wish in state.wishes.items()
        if wish.event_ticker == snapshot.event_ticker and ticker not in markets
    ]


def _of_trade(config: AccountConfig, snapshot: Snapshot, trade: Trade) -> Holding:
    strike, p_e6 = _odds(config, snapshot, trade.market_ticker, trade.side)
    if not trade.filled_qty_e2:
        # What it will cost is not known: a dollar is the most.
        worst = trade.wanted_qty_e2 * 10_000
        return Holding(
            strike, trade.side == sides.YES, p_e6, trade.wanted_qty_e2, worst, is_paid=False
        )
    cost = trade.entry_cost_usd_e6 * trade.open_qty_e2 // trade.filled_qty_e2 + trade.fees_usd_e6
    return Holding(strike, trade.side == sides.YES, p_e6, trade.open_qty_e2, cost, is_paid=True)


def _of_wish(config: AccountConfig, snapshot: Snapshot, wish: Intent) -> Holding:
    strike, p_e6 = _odds(config, snapshot, wish.market_ticker, wish.side)
    return Holding(
        strike, wish.side == sides.YES, p_e6, wish.qty_e2, worst_cost(wish), is_paid=False
    )


def _odds(
    config: AccountConfig, snapshot: Snapshot, ticker: str, side: str
) -> tuple[int, int | None]:
    row = sides.row_of(snapshot, ticker)
    if row is None:
        return 0, None
    return row.strike_usd_e6, sides.view(snapshot, row, side, config.strategy.model).p_e6


def _wish(
    state: State,
    known: Known,
    snapshot: Snapshot,
    check: Check,
    *,
    held: Held,
    qty: int | None,
    proposal: Proposal | None,
) -> tuple[Intent | None, str]:
    if check.ticker in held.live_markets:
        return None, "live_trade"
    if not qty:
        return None, entry.limit_gate(known.config, held, snapshot.event_ticker, 0, 0) or "size"
    intent = _intent(state, known, snapshot, check, qty_e2=qty, proposal=proposal)
    gate = entry.limit_gate(known.config, held, snapshot.event_ticker, qty, worst_cost(intent))
    return (None, gate) if gate else (intent, PASSED)


def _with_pending(state: State, snapshot: Snapshot) -> Held:
    """Return what is held as if every wish that the gate has not decided on were filled whole."""
    held = state.held
    for key, wish in tuple(state.wishes.items()):
        attempt = current_attempt(state, snapshot, key)
        if attempt is None or not attempt.is_pending:
            del state.wishes[key]
        elif key[0] not in held.live_markets:
            held = _with_wish(held, key, wish)
    return held


def _with_wish(held: Held, key: Key, wish: Intent) -> Held:
    return entry.with_entry(held, wish.event_ticker, key, wish.qty_e2, worst_cost(wish))


def worst_cost(intent: Intent) -> int:
    """Return the most that an entry can cost, its fees included."""
    cost = intent.limit_price_e4 * intent.qty_e2
    return cost + budget_usd_e6(intent.limit_price_e4, intent.qty_e2)


def _next_number(state: State, key: Key) -> int:
    attempt = state.attempts.get(key)
    return 1 if attempt is None else attempt.number + 1


def _intent(
    state: State,
    known: Known,
    snapshot: Snapshot,
    check: Check,
    *,
    qty_e2: int,
    proposal: Proposal | None,
) -> Intent:
    assert check.ask_e4 is not None
    number = _next_number(state, (check.ticker, check.side))
    most = None if proposal is None else proposal.limit_price_e4
    return Intent(
        intent_id=derived_id(state.account, check.ticker, check.side, "entry", number),
        account=state.account,
        purpose=Purpose.ENTRY,
        source=Source.AUTO_ENTRY,
        market_ticker=check.ticker,
        event_ticker=snapshot.event_ticker,
        side=check.side,
        qty_e2=qty_e2,
        limit_price_e4=_limit_e4(check.ask_e4, state.slippage_cents, known.config, most),
        at_us=snapshot.at_us,
        valid_until_us=min(snapshot.at_us + VALID_US, snapshot.close_us),
        snapshot_generation=snapshot.generation,
        decision_id=decision_id(state.account, ENTRY, snapshot),
        p_e6=check.p_e6,
        edge_e4=check.edge_e4,
        symbol_price_usd_e6=snapshot.price_usd_e6,
        momentum_bucket=snapshot.momentum.bucket,
        price_at_us=snapshot.price_at_us,
        book_at_us=_row(snapshot, check.ticker).book_at_us,
        reason=known.config.strategy.name.value if proposal is None else state.strategy,
    )


def _limit_e4(ask_e4: int, slippage_cents: int, config: AccountConfig, most_e4: int | None) -> int:
    """Return the ask, or a whole cent above it, which every price grid has, within the band."""
    if not slippage_cents:
        return ask_e4
    most = config.risk.max_price_cents * _CENT_E4
    if most_e4 is not None:
        most = min(most, most_e4 // _CENT_E4 * _CENT_E4)
    return max(ask_e4, min((ask_e4 // _CENT_E4 + slippage_cents) * _CENT_E4, most))
