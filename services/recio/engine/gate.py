"""The gate's decision: an intent and its ground in, an order or the reasons against it out. Pure.

Live, the ground is read in the transaction that locks the account (``adapters.postgres.gate``) and
the order is written in the same one; a backtest reads it from its own books. Both decide here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from recio.domain import fees, risk
from recio.domain.account_config import AccountConfig
from recio.domain.errors import InvalidValue
from recio.domain.intents import Intent, Purpose, Source, derived_id
from recio.domain.messages import MarketInfo, PriceRange
from recio.domain.orders import Order, OrderState
from recio.domain.risk import Exposure, FleetTotals
from recio.domain.switches import Effective
from recio.domain.trade_book import opening_side, own_price_e4
from recio.domain.trades import FINAL, Trade, TradeState
from recio.domain.units import PRICE_ONE_E4

TRADABLE: Final = "active"
IMMEDIATE: Final = "immediate_or_cancel"
NOT_OPEN: Final = "market is not in its open window"


class MarketFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate must know of a market; taken from ``market.markets``, never from the intent."""

    info: MarketInfo
    event_ticker: str
    symbol: str
    open_us: int
    close_us: int


class EntryGround(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry is decided on; ``trade_number`` is the next one of the account."""

    switch: Effective
    market: MarketFacts | None
    config: AccountConfig | InvalidValue
    exposure: Exposure
    fleet: FleetTotals | None
    live: list[Trade]
    trade_number: int


class ExitGround(msgspec.Struct, frozen=True, kw_only=True):
    """What an exit is decided on; ``free_qty_e2`` is what can still be sold of its trade."""

    switch: Effective
    market: MarketFacts | None
    trade: Trade | None
    free_qty_e2: int


class Accepted(NamedTuple):
    """What an allowed wish becomes. ``new_trade`` is None for an exit.

    Nothing is sent after ``valid_until_us``, which is never later than the close.
    """

    order: Order
    new_trade: Trade | None
    event_ticker: str
    valid_until_us: int


def enter(intent: Intent, ground: EntryGround, now_us: int) -> Accepted | tuple[str, ...]:
    """Return a trade with its first order, or every reason against it."""
    config, facts = ground.config, ground.market
    if isinstance(config, InvalidValue):
        # Exits need no configuration: only entries wait until somebody has mended it.
        return (f"the account's configuration does not read: {config}",)
    if facts is None:
        return (f"the exchange has told nothing of market {intent.market_ticker}",)
    reserve = risk.reserve_usd_e6(intent, fee_multiplier_e6=facts.info.fee_multiplier_e6)
    refusals = (
        *_market(intent, facts, now_us),
        *_beside(intent, ground.live, ground.exposure),
        *risk.check_entry(
            intent,
            config.risk,
            ground.exposure,
            switch=ground.switch,
            now_us=now_us,
            reserve=reserve,
            fleet=ground.fleet,
        ),
    )
    if refusals:
        return refusals
    trade = _trade_of(intent, config, facts, number=ground.trade_number, now_us=now_us)
    order = _order_of(intent, trade, facts, qty_e2=intent.qty_e2, reserve=reserve, now_us=now_us)
    return _accepted(intent, order, trade, facts, new_trade=trade)


def leave(intent: Intent, ground: ExitGround, now_us: int) -> Accepted | tuple[str, ...]:
    """Return an order that reduces a trade, or every reason against it."""
    trade, facts = ground.trade, ground.market
    if trade is None or trade.account != intent.account:
        return (f"no trade {intent.trade_id} in account {intent.account}",)
    if facts is None:
        return (f"the exchange has told nothing of market {trade.market_ticker}",)
    if reason := _not_to_close(intent, trade, facts, now_us):
        return (reason,)
    free_e2 = ground.free_qty_e2
    refusals = risk.check_exit(intent, switch=ground.switch, now_us=now_us, free_qty_e2=free_e2)
    if refusals:
        return refusals
    qty_e2 = min(intent.qty_e2, free_e2)
    order = _order_of(intent, trade, facts, qty_e2=qty_e2, reserve=0, now_us=now_us)
    return _accepted(intent, order, trade, facts, new_trade=None)


def _accepted(
    intent: Intent, order: Order, trade: Trade, facts: MarketFacts, *, new_trade: Trade | None
) -> Accepted:
    return Accepted(
        order,
        new_trade,
        event_ticker=trade.event_ticker,
        valid_until_us=min(intent.valid_until_us, facts.close_us),
    )


def _not_to_close(intent: Intent, trade: Trade, facts: MarketFacts, now_us: int) -> str:
    """Return why a trade cannot be closed by this wish; empty if it can."""
    if trade.state in FINAL or trade.state is TradeState.EXPIRED:
        return f"trade {trade.number} is {trade.state.value}: nothing to close"
    if (intent.market_ticker, intent.side) != (trade.market_ticker, trade.side):
        return f"trade {trade.number} is {trade.side} of {trade.market_ticker}, not what is named"
    # A trade that is about to expire: whoever folds it has not seen the close yet.
    return NOT_OPEN if now_us >= facts.close_us else ""


def _market(intent: Intent, facts: MarketFacts, now_us: int) -> tuple[str, ...]:
    refusals = []
    if facts.event_ticker != intent.event_ticker:
        refusals.append(f"market belongs to {facts.event_ticker}, not to {intent.event_ticker}")
    if facts.info.status != TRADABLE:
        refusals.append(f"market is {facts.info.status}, not active")
    if not facts.open_us <= now_us < facts.close_us:
        refusals.append(NOT_OPEN)
    if facts.info.strike_usd_e6 is None:
        refusals.append("market has no strike yet")
    if not fees.is_known(facts.info.fee_type):
        refusals.append(f"fees of type {facts.info.fee_type!r} cannot be reckoned, so not reserved")
    yes_price_e4 = own_price_e4(intent.side, intent.limit_price_e4)
    if not is_on_grid(yes_price_e4, facts.info.price_ranges):
        refusals.append(f"price {yes_price_e4} e-4 dollar is not on the market's grid")
    return tuple(refusals)


def _beside(intent: Intent, live: list[Trade], exposure: Exposure) -> tuple[str, ...]:
    """Refuse a second position in a market: the exchange would net it, and the two would blur."""
    if any(trade.market_ticker == intent.market_ticker for trade in live):
        return (f"there is a live trade in {intent.market_ticker} already",)
    if any(held.market_ticker == intent.market_ticker for held in exposure.held):
        return (f"there is a position in {intent.market_ticker} already",)
    return ()


def is_on_grid(yes_price_e4: int, ranges: tuple[PriceRange, ...]) -> bool:
    """Return whether the exchange takes this price in a market with these price ranges."""
    if not 0 < yes_price_e4 < PRICE_ONE_E4:
        return False
    return any(
        each.start_e4 <= yes_price_e4 <= each.end_e4
        and (yes_price_e4 - each.start_e4) % each.step_e4 == 0
        for each in ranges
    )


def _strategy(intent: Intent, config: AccountConfig) -> str:
    """Return what decided: a strategy of one's own is named with its source."""
    is_own = config.strategy.custom is not None and intent.source is Source.AUTO_ENTRY
    return (intent.reason if is_own else "") or config.strategy.name.value


def _trade_of(
    intent: Intent, config: AccountConfig, facts: MarketFacts, *, number: int, now_us: int
) -> Trade:
    return Trade(
        trade_id=derived_id(intent.intent_id, "trade"),
        account=intent.account,
        number=number,
        state=TradeState.CREATED,
        source=intent.source.value,
        strategy=_strategy(intent, config),
        symbol=facts.symbol,
        event_ticker=facts.event_ticker,
        market_ticker=intent.market_ticker,
        strike_usd_e6=facts.info.strike_usd_e6,
        side=intent.side,
        close_us=facts.close_us,
        wanted_qty_e2=intent.qty_e2,
        filled_qty_e2=0,
        open_qty_e2=0,
        entry_cost_usd_e6=0,
        exit_proceeds_usd_e6=0,
        fees_usd_e6=0,
        pnl_usd_e6=None,
        opened_at_us=None,
        created_at_us=now_us,
        p_entry_e6=intent.p_e6,
        symbol_open_usd_e6=intent.symbol_price_usd_e6,
        momentum_bucket=intent.momentum_bucket,
    )


def _order_of(
    intent: Intent, trade: Trade, facts: MarketFacts, *, qty_e2: int, reserve: int, now_us: int
) -> Order:
    opening = opening_side(trade.side)
    is_entry = intent.purpose is Purpose.ENTRY
    return Order(
        order_id=derived_id(intent.intent_id, 1),
        trade_id=trade.trade_id,
        account=intent.account,
        intent_id=intent.intent_id,
        attempt=1,
        market_ticker=intent.market_ticker,
        purpose=intent.purpose.value,
        book_side=opening if is_entry else opening.opposite,
        yes_price_e4=own_price_e4(trade.side, intent.limit_price_e4),
        qty_e2=qty_e2,
        time_in_force=IMMEDIATE,
        is_reduce_only=not is_entry,
        state=OrderState.CREATED,
        exchange_order_id=None,
        filled_qty_e2=0,
        reserved_usd_e6=reserve,
        created_at_us=now_us,
        exchange_index=facts.info.exchange_index,
    )
