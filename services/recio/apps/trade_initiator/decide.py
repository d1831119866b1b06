"""Decide one intent inside an open transaction: refuse with a reason, or make trade and order."""

from __future__ import annotations

from dataclasses import dataclass

from recio.adapters.postgres import config as configs
from recio.adapters.postgres import gate, intents, switches, trades
from recio.domain import fees, risk
from recio.domain.account_config import AccountConfig
from recio.domain.errors import InvalidValue
from recio.domain.intents import Intent, Purpose, derived_id
from recio.domain.messages import PriceRange
from recio.domain.orders import Order, OrderState
from recio.domain.risk import Exposure
from recio.domain.switches import Effective
from recio.domain.tickers import new_york_day_start_us
from recio.domain.trade_book import opening_side, own_price_e4
from recio.domain.trades import FINAL, Trade, TradeState
from recio.domain.units import PRICE_ONE_E4
from recio.ports import Clock, Transaction

TRADABLE = "active"
IMMEDIATE = "immediate_or_cancel"


@dataclass(frozen=True, slots=True)
class Scene:
    """What holds for every intent of this transaction."""

    environment: str
    switch: Effective
    now_us: int


async def set_scene(tx: Transaction, account: str, clock: Clock) -> Scene | None:
    """Lock the account and read what holds for it; None if it is gone.

    The time is taken when the lock is held: waiting for it makes prices older and intents late.
    """
    environment = await gate.lock_account(tx, account)
    if environment is None:
        return None
    return Scene(
        environment=environment,
        now_us=clock.market_us(),
        switch=await switches.effective_switch(tx, account),
    )


async def decide(tx: Transaction, scene: Scene, intent: Intent) -> str:
    """Decide one intent and write the outcome; return the refusal, empty if it was accepted."""
    if intent.purpose is Purpose.ENTRY:
        refusals = await _enter(tx, scene, intent)
    else:
        refusals = await _leave(tx, scene, intent)
    refusal = "; ".join(refusals)
    await intents.decide(tx, intent.intent_id, refusal=refusal, at_us=scene.now_us)
    return refusal


async def _enter(tx: Transaction, scene: Scene, intent: Intent) -> tuple[str, ...]:
    try:
        config = await configs.effective_config(tx, intent.account)
    except InvalidValue as error:
        # Exits need no configuration: only entries wait until somebody has mended it.
        return (f"the account's configuration does not read: {error}",)
    facts = await gate.market_facts(tx, scene.environment, intent.market_ticker)
    if facts is None:
        return (f"the exchange has told nothing of market {intent.market_ticker}",)
    day_start_us = new_york_day_start_us(scene.now_us)
    exposure = await gate.exposure(
        tx, intent.account, now_us=scene.now_us, day_start_us=day_start_us
    )
    fleet = await gate.fleet_totals(tx, now_us=scene.now_us, day_start_us=day_start_us)
    live = await trades.live_trades(tx, intent.account)
    reserve = risk.reserve_usd_e6(intent, fee_multiplier_e6=facts.info.fee_multiplier_e6)
    refusals = (
        *_market(scene, intent, facts),
        *_beside(intent, live, exposure),
        *risk.check_entry(
            intent,
            config.risk,
            exposure,
            switch=scene.switch,
            now_us=scene.now_us,
            reserve=reserve,
            fleet=fleet,
        ),
    )
    if refusals:
        return refusals
    number = await trades.next_number(tx, intent.account)
    trade = _new_trade(scene, config, intent, facts, number=number)
    await trades.insert_trade(tx, trade)
    await _insert_order(
        tx, scene, intent, trade, qty_e2=intent.qty_e2, reserve=reserve, facts=facts
    )
    return ()


async def _leave(tx: Transaction, scene: Scene, intent: Intent) -> tuple[str, ...]:
    assert intent.trade_id is not None
    trade = await trades.trade_by_id(tx, intent.trade_id)
    if trade is None or trade.account != intent.account:
        return (f"no trade {intent.trade_id} in account {intent.account}",)
    if trade.state in FINAL or trade.state is TradeState.EXPIRED:
        return (f"trade {trade.number} is {trade.state.value}: nothing to close",)
    if (intent.market_ticker, intent.side) != (trade.market_ticker, trade.side):
        return (
            f"trade {trade.number} is {trade.side} of {trade.market_ticker}, not what is named",
        )
    facts = await gate.market_facts(tx, scene.environment, trade.market_ticker)
    if facts is None:
        return (f"the exchange has told nothing of market {trade.market_ticker}",)
    free_e2 = await gate.free_qty_e2(tx, trade.trade_id, opening_side(trade.side))
    refusals = risk.check_exit(
        intent, switch=scene.switch, now_us=scene.now_us, free_qty_e2=free_e2
    )
    if refusals:
        return refusals
    qty_e2 = min(intent.qty_e2, free_e2)
    await _insert_order(tx, scene, intent, trade, qty_e2=qty_e2, reserve=0, facts=facts)
    return ()


def _market(scene: Scene, intent: Intent, facts: gate.MarketFacts) -> tuple[str, ...]:
    refusals = []
    if facts.event_ticker != intent.event_ticker:
        refusals.append(f"market belongs to {facts.event_ticker}, not to {intent.event_ticker}")
    if facts.info.status != TRADABLE:
        refusals.append(f"market is {facts.info.status}, not active")
    if not facts.open_us <= scene.now_us < facts.close_us:
        refusals.append("market is not in its open window")
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
    scene: Scene, config: AccountConfig, intent: Intent, facts: gate.MarketFacts, *, number: int
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
        created_at_us=scene.now_us,
        p_entry_e6=intent.p_e6,
        symbol_open_usd_e6=intent.symbol_price_usd_e6,
        momentum_bucket=intent.momentum_bucket,
    )


async def _insert_order(
    tx: Transaction,
    scene: Scene,
    intent: Intent,
    trade: Trade,
    *,
    qty_e2: int,
    reserve: int,
    facts: gate.MarketFacts,
) -> None:
    opening = opening_side(trade.side)
    is_entry = intent.purpose is Purpose.ENTRY
    order = Order(
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
        created_at_us=scene.now_us,
        exchange_index=facts.info.exchange_index,
    )
    await gate.insert_order(
        tx,
        order,
        event_ticker=trade.event_ticker,
        valid_until_us=min(intent.valid_until_us, facts.close_us),
    )
