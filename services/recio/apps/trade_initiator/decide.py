"""Decide one intent inside an open transaction: refuse with a reason, or make trade and order."""

from __future__ import annotations

from recio.adapters.postgres import gate, intents, trades
from recio.adapters.postgres.gate import EntryGround, ExitGround, MarketFacts
from recio.domain import fees, risk
from recio.domain.account_config import AccountConfig
from recio.domain.errors import InvalidValue
from recio.domain.intents import Intent, Purpose, derived_id
from recio.domain.messages import PriceRange
from recio.domain.orders import Order, OrderState
from recio.domain.risk import Exposure
from recio.domain.trade_book import opening_side, own_price_e4
from recio.domain.trades import FINAL, Trade, TradeState
from recio.domain.units import PRICE_ONE_E4
from recio.ports import Clock, Transaction

TRADABLE = "active"
IMMEDIATE = "immediate_or_cancel"
NOT_OPEN = "market is not in its open window"


async def decide(tx: Transaction, intent: Intent, clock: Clock) -> str | None:
    """Decide one intent and write the outcome; return the refusal, empty if it was accepted.

    None: it was decided meanwhile, or the account is gone. The time is taken when the account's
    lock is held: waiting for it makes prices older and intents late.
    """
    environment = await gate.lock_account(tx, intent.account)
    if environment is None:
        return None
    now_us = clock.market_us()
    refusals: tuple[str, ...] | None
    if intent.purpose is Purpose.ENTRY:
        entry = await gate.entry_ground(tx, intent, environment, now_us=now_us)
        refusals = None if entry is None else await _enter(tx, intent, entry, now_us)
    else:
        leave = await gate.exit_ground(tx, intent, environment)
        refusals = None if leave is None else await _leave(tx, intent, leave, now_us)
    if refusals is None:
        return None
    refusal = "; ".join(refusals)
    await intents.decide(tx, intent.intent_id, refusal=refusal, at_us=now_us)
    return refusal


async def _enter(
    tx: Transaction, intent: Intent, ground: EntryGround, now_us: int
) -> tuple[str, ...]:
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
    await gate.take_number(tx, intent.account, ground.trade_number)
    trade = _new_trade(intent, config, facts, number=ground.trade_number, now_us=now_us)
    await trades.insert_trade(tx, trade)
    order = _new_order(intent, trade, facts, qty_e2=intent.qty_e2, reserve=reserve, now_us=now_us)
    await _insert_order(tx, order, intent, trade, facts)
    return ()


async def _leave(
    tx: Transaction, intent: Intent, ground: ExitGround, now_us: int
) -> tuple[str, ...]:
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
    order = _new_order(intent, trade, facts, qty_e2=qty_e2, reserve=0, now_us=now_us)
    await _insert_order(tx, order, intent, trade, facts)
    return ()


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


def _new_trade(
    intent: Intent, config: AccountConfig, facts: MarketFacts, *, number: int, now_us: int
) -> Trade:
    return Trade(
        trade_id=derived_id(intent.intent_id, "trade"),
        account=intent.account,
        number=number,
        state=TradeState.CREATED,
        source=intent.source.value,
        strategy=config.strategy.name.value,
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


def _new_order(
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


async def _insert_order(
    tx: Transaction, order: Order, intent: Intent, trade: Trade, facts: MarketFacts
) -> None:
    await gate.insert_order(
        tx,
        order,
        event_ticker=trade.event_ticker,
        valid_until_us=min(intent.valid_until_us, facts.close_us),
    )
