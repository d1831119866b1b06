"""Manual orders: what a click would do, and the intent that a confirmed one becomes.

A preview pins a limit price: it is what the intent carries, so that a price which moves between
preview and Enter leads to no fill rather than to a worse one. The preview runs the gate's own
checks, as a forecast; the gate decides again. The key made at the preview becomes the intent's
identity: confirming twice is one order.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import msgspec

from recio.adapters.postgres import gate
from recio.adapters.postgres.switches import effective_switch
from recio.adapters.postgres.trades import live_trades
from recio.apps.main_app import reads
from recio.apps.main_app.market import Market
from recio.domain import fees, risk
from recio.domain.account_config import AccountConfig
from recio.domain.errors import Rejected
from recio.domain.intents import Intent, Purpose, Source, derived_id
from recio.domain.messages import MarketInfo, Snapshot, StrikeRow
from recio.domain.sides import YES, SideView, view
from recio.domain.tickers import new_york_day_start_us
from recio.domain.units import P_ONE_E6, SECOND_US
from recio.ports import Clock, Transaction

VALID_US: Final = 15 * SECOND_US
"""Market time from Enter to the gate. The gate answers in milliseconds; at 20 times the wall's
speed this is still 0.75 s."""
CENT_E4: Final = 100
ACTIVE: Final = "active"


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants. ``limit_price_e4`` None: the best price now plus the slippage.

    ``slippage_e4`` is how much worse than the best price the limit may be.
    """

    account: str
    purpose: Purpose
    market_ticker: str
    side: str
    qty_e2: int
    trade_id: UUID | None = None
    limit_price_e4: int | None = None
    slippage_e4: int = 100


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What a ticket is judged on: the newest snapshot, its row seen from one side, what is held."""

    snapshot: Snapshot
    row: StrikeRow
    seen: SideView
    config: AccountConfig
    info: MarketInfo | None
    trade: dict[str, Any] | None = None

    @property
    def fee_multiplier_e6(self) -> int:
        """The market's fee multiplier; one until the exchange has told."""
        return self.info.fee_multiplier_e6 if self.info else P_ONE_E6


async def see(
    tx: Transaction, market: Market, ticket: Ticket, *, environment: str, config: AccountConfig
) -> Sight:
    """Return what is known of the ticket's market and trade.

    Raises:
        Rejected: no snapshot shows the market, or the trade is not this account's open one.
    """
    trade = None
    if ticket.trade_id is not None:
        trade = await reads.trade(tx, ticket.trade_id)
        if trade is None or trade["account"] != ticket.account:
            raise Rejected(f"{ticket.account} has no trade {ticket.trade_id}")
        if trade["market_ticker"] != ticket.market_ticker or trade["side"] != ticket.side:
            raise Rejected(
                f"trade {trade['number']} is {trade['side']} of {trade['market_ticker']}, "
                f"not {ticket.side} of {ticket.market_ticker}"
            )
    elif ticket.purpose is Purpose.EXIT:
        raise Rejected("an exit names the trade that it closes")
    found = market.find_row(environment, ticket.market_ticker)
    if found is None:
        raise Rejected(f"no live strike table shows {ticket.market_ticker}")
    snapshot, row = found
    info = market.market_info(environment, snapshot.event_ticker, row.ticker)
    seen = view(snapshot, row, ticket.side, config.strategy.model)
    return Sight(snapshot=snapshot, row=row, seen=seen, config=config, info=info, trade=trade)


def limit_e4(ticket: Ticket, sight: Sight) -> int:
    """Return the limit price on the ticket's side.

    Slippage goes to whole cents, which every price grid has; an entry's never beyond the account's
    highest price.

    Raises:
        Rejected: that side of the book is empty.
    """
    if ticket.limit_price_e4 is not None:
        return ticket.limit_price_e4
    is_entry = ticket.purpose is Purpose.ENTRY
    best = sight.seen.ask_e4 if is_entry else sight.seen.bid_e4
    if best is None:
        raise Rejected(
            f"nobody {'offers' if is_entry else 'bids for'} {ticket.side} of {ticket.market_ticker}"
        )
    if not ticket.slippage_e4:
        return best
    if is_entry:
        most = sight.config.risk.max_price_cents * CENT_E4
        return max(best, min(best // CENT_E4 * CENT_E4 + ticket.slippage_e4, most))
    least = -(-best // CENT_E4) * CENT_E4 - ticket.slippage_e4
    return min(best, max(least, CENT_E4))


def intent(ticket: Ticket, sight: Sight, *, key: UUID, clock: Clock, name: str) -> Intent:
    """Return the intent that the gate will judge."""
    now_us = clock.market_us()
    snapshot, row = sight.snapshot, sight.row
    return Intent(
        intent_id=derived_id(ticket.account, "manual", key),
        account=ticket.account,
        purpose=ticket.purpose,
        source=Source.MANUAL,
        market_ticker=ticket.market_ticker,
        event_ticker=snapshot.event_ticker,
        side=ticket.side,
        qty_e2=ticket.qty_e2,
        limit_price_e4=limit_e4(ticket, sight),
        at_us=now_us,
        valid_until_us=now_us + VALID_US,
        trade_id=ticket.trade_id,
        snapshot_generation=snapshot.generation,
        p_e6=sight.seen.p_e6,
        edge_e4=sight.seen.edge_e4 if ticket.purpose is Purpose.ENTRY else None,
        symbol_price_usd_e6=snapshot.price_usd_e6,
        momentum_bucket=snapshot.momentum.bucket,
        price_at_us=snapshot.price_at_us,
        book_at_us=row.book_at_us,
        reason=f"by hand, {name}",
    )


async def preview(tx: Transaction, wish: Intent, sight: Sight) -> dict[str, Any]:
    """Return what the intent would cost and bring, and what the gate would say now."""
    if wish.purpose is Purpose.EXIT:
        return await _preview_exit(tx, wish, sight)
    price = wish.limit_price_e4
    cost = price * wish.qty_e2
    fee = fees.taker_fee_usd_e6(price, wish.qty_e2, sight.fee_multiplier_e6)
    reserve = risk.reserve_usd_e6(wish, fee_multiplier_e6=sight.fee_multiplier_e6)
    fee_each = fees.fee_per_contract_e4(price, sight.fee_multiplier_e6)
    p_e6 = wish.p_e6
    return {
        **_common(wish, sight.seen.ask_e4, _available(wish.side, sight.row, is_entry=True)),
        "cost_usd_e6": cost,
        "fee_usd_e6": fee,
        "worst_usd_e6": -reserve,
        "best_usd_e6": wish.qty_e2 * 10_000 - cost - fee,
        "p_e6": p_e6,
        "break_even_e6": fees.break_even_e6(price, sight.fee_multiplier_e6),
        "edge_e4": None if p_e6 is None else p_e6 // 100 - price - fee_each,
        "refusals": await _entry_refusals(tx, wish, sight, reserve),
    }


async def _entry_refusals(tx: Transaction, wish: Intent, sight: Sight, reserve: int) -> list[str]:
    at_stake = await gate.exposure(
        tx,
        wish.account,
        now_us=wish.at_us,
        day_start_us=new_york_day_start_us(wish.at_us),
    )
    limits = risk.check_entry(
        wish,
        sight.config.risk,
        at_stake,
        switch=await effective_switch(tx, wish.account),
        now_us=wish.at_us,
        reserve=reserve,
        fleet=None,
    )
    refusals = [*limits]
    if sight.info is not None and sight.info.status != ACTIVE:
        refusals.append(f"market is {sight.info.status}, not active")
    refusals += [
        f"trade {trade.number} is in this market already"
        for trade in await live_trades(tx, wish.account)
        if trade.market_ticker == wish.market_ticker
    ]
    return refusals


async def _preview_exit(tx: Transaction, wish: Intent, sight: Sight) -> dict[str, Any]:
    trade = sight.trade
    assert trade is not None
    assert wish.trade_id is not None
    held_e2 = trade["filled_qty_e2"] - trade["exited_qty_e2"]
    free_e2 = await gate.free_to_sell_e2(tx, wish.trade_id, wish.side)
    # What is refused anyway is shown as it would be if nothing else were being sold.
    qty_e2 = min(wish.qty_e2, free_e2 if free_e2 > 0 else held_e2)
    proceeds = wish.limit_price_e4 * qty_e2
    fee = fees.taker_fee_usd_e6(wish.limit_price_e4, qty_e2, sight.fee_multiplier_e6)
    paid = trade["entry_cost_usd_e6"] + trade["fees_usd_e6"] - trade["exit_proceeds_usd_e6"]
    return {
        **_common(wish, sight.seen.bid_e4, _available(wish.side, sight.row, is_entry=False)),
        "cost_usd_e6": -proceeds,
        "fee_usd_e6": fee,
        "worst_usd_e6": proceeds - fee - paid if qty_e2 == held_e2 else None,
        "best_usd_e6": None,
        "p_e6": wish.p_e6,
        "break_even_e6": None,
        "edge_e4": None,
        "refusals": list(
            risk.check_exit(
                wish,
                switch=await effective_switch(tx, wish.account),
                now_us=wish.at_us,
                free_qty_e2=free_e2,
            )
        ),
    }


def _common(wish: Intent, best: int | None, available_e2: int) -> dict[str, Any]:
    return {
        "account": wish.account,
        "purpose": wish.purpose.value,
        "market_ticker": wish.market_ticker,
        "side": wish.side,
        "qty_e2": wish.qty_e2,
        "trade_id": wish.trade_id,
        "best_price_e4": best,
        "available_e2": available_e2,
        "limit_price_e4": wish.limit_price_e4,
        "snapshot_generation": wish.snapshot_generation,
        "at_us": wish.at_us,
    }


def _available(side: str, row: StrikeRow, *, is_entry: bool) -> int:
    # Buying NO takes what is bid for YES, and the other way round.
    is_ask = (side == YES) == is_entry
    return row.yes_ask_qty_e2 if is_ask else row.yes_bid_qty_e2
