"""The exchange's durable memory: schema exchange_sim through the database port.

``save`` writes everything that changed in one transaction; rows are made before its first wait, so
that what happens meanwhile belongs to the next save. ``load`` restores an exchange that has nothing
in memory: accounts, keys, orders with their order in the queue, fills, positions, money, markets,
groups and the market clock. Not kept: anonymous liquidity (the world quotes anew), candles, token
buckets, injected faults. Restored members' orders stand in front of anonymous quantity, because
that comes back later.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from recio.domain.errors import Broken
from recio.exchange_simulator import store_read as read
from recio.exchange_simulator import store_rows as rows
from recio.exchange_simulator.core import accounts, markets, resting
from recio.exchange_simulator.core.grids import STRUCTURES
from recio.exchange_simulator.core.naming import derived_uuid
from recio.exchange_simulator.core.records import Event, Market, MarketStatus, Order
from recio.exchange_simulator.core.state import RECENT_TRADES, Changes, State
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.specs import EventSpec, MarketSpec, SeriesSpec
from recio.ports import Database, Transaction

_DELETE_KEY: Final = "DELETE FROM exchange_sim.api_keys WHERE key_id = %s"
_DELETE_GROUP: Final = "DELETE FROM exchange_sim.order_groups WHERE group_id = %s"
_TRIM_TRADES: Final = (
    "DELETE FROM exchange_sim.trades WHERE number <= "
    "(SELECT number FROM exchange_sim.trades ORDER BY number DESC OFFSET %s LIMIT 1)"
)
_TRIM_EVERY: Final = 5_000


class DatabaseStore:
    """Saves to and loads from one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._trades_since_trim = 0
        self._epoch = 0

    async def save(self, exchange: Exchange, changes: Changes) -> None:
        """Save in one transaction; the records are read before the first wait.

        Raises:
            Broken: another copy of the exchange has taken over; nothing was saved.
        """
        state = exchange.state
        writes = rows.writes(changes)
        head = rows.exchange_row(state.config.namespace, state.counter, state.now_us)
        async with self._database.transaction() as tx:
            for sql, values in writes:
                if len(values) == 1:
                    await tx.execute(sql, *values[0])
                else:
                    await tx.execute_many(sql, values)
            await _remove(tx, changes)
            if not await tx.execute(rows.WRITE_EXCHANGE, *head, self._epoch):
                raise Broken("another copy of the exchange has taken over: this one stops")
            self._trades_since_trim += len(changes.trades)
            if self._trades_since_trim >= _TRIM_EVERY:
                await tx.execute(_TRIM_TRADES, RECENT_TRADES)
                self._trades_since_trim = 0

    async def stopped_us(self) -> int | None:
        """Return the market time at which the stored exchange stopped; None: there is none."""
        async with self._database.transaction() as tx:
            head = await tx.fetch_one(rows.EXCHANGE.select("namespace"))
        return None if head is None else read.micros(head[2])

    async def load(self, exchange: Exchange) -> bool:
        """Restore an empty exchange; tell whether there was anything to restore.

        Raises:
            Broken: the database holds another exchange's memory.
        """
        state = exchange.state
        async with self._database.transaction() as tx:
            head = await tx.fetch_one(rows.TAKE_EXCHANGE)
            if head is None:
                return False
            self._epoch = head[3]
            if head[0] != state.config.namespace:
                raise Broken(
                    f"schema exchange_sim holds exchange {head[0]!r}, expected "
                    f"{state.config.namespace!r}: use a database of its own for each"
                )
            state.counter = head[1]
            state.at(read.micros(head[2]) or 0)
            await _load_markets(tx, state)
            await _load_members(tx, state)
            await _load_orders(tx, state)
            await _load_history(tx, state)
        state.take_changes()
        return True


async def _remove(tx: Transaction, changes: Changes) -> None:
    for key_id in changes.removed_keys:
        await tx.execute(_DELETE_KEY, key_id)
    for group_id in changes.removed_groups:
        await tx.execute(_DELETE_GROUP, group_id)


async def _load_markets(tx: Transaction, state: State) -> None:
    for _, spec in await tx.fetch(rows.SERIES.select("ticker", ("spec",))):
        series = msgspec.json.decode(spec, type=SeriesSpec)
        state.series[series.ticker] = series
    for row in await tx.fetch(rows.EVENTS.select("number", ("spec",))):
        _restore_event(state, row)
    for row in await tx.fetch(rows.MARKETS.select("number", ("spec",))):
        _restore_market(state, row)
    for event in state.events.values():
        _set_timers(state, event)


def _restore_event(state: State, row: tuple[Any, ...]) -> None:
    state.events[row[0]] = Event(
        spec=msgspec.json.decode(row[5], type=EventSpec),
        exchange_index=row[2],
        fee_terms=read.fee_terms(row),
        number=row[1],
        created_us=read.micros(row[6]) or 0,
        updated_us=read.micros(row[7]) or 0,
    )


def _restore_market(state: State, row: tuple[Any, ...]) -> None:
    event = state.events[row[1]]
    structure = event.spec.price_level_structure
    market = Market(
        spec=msgspec.json.decode(row[4], type=MarketSpec),
        event=event,
        market_id=derived_uuid(state.config.namespace, "market", row[0]),
        number=row[2],
        exchange_index=event.exchange_index,
        price_level_structure=structure,
        price_ranges=STRUCTURES[structure],
        open_us=event.spec.open_us,
        close_us=event.spec.close_us,
        created_us=0,
        updated_us=0,
    )
    read.restore_market(market, row)
    event.markets.append(market)
    state.markets[market.ticker] = market


def _set_timers(state: State, event: Event) -> None:
    statuses = {market.status for market in event.markets}
    if MarketStatus.INITIALIZED in statuses:
        state.set_timer(event.spec.open_us, "open", event.spec.event_ticker)
    if statuses & {MarketStatus.INITIALIZED, MarketStatus.ACTIVE, MarketStatus.INACTIVE}:
        state.set_timer(event.spec.close_us, "close", event.spec.event_ticker)
    for market in event.markets:
        if market.status is MarketStatus.DETERMINED:
            state.set_timer(markets.finalize_at(state, market), "finalize", market.ticker)


async def _load_members(tx: Transaction, state: State) -> None:
    for row in await tx.fetch(rows.ACCOUNTS.select("number")):
        account = read.account(row)
        state.accounts[account.account] = account
    for name, shard, cash in await tx.fetch(rows.BALANCES.select("account")):
        state.accounts[name].cash_e6[shard] = cash
    for row in await tx.fetch(rows.KEYS.select("key_id")):
        key = read.key(row)
        state.keys[key.key_id] = key
    for row in await tx.fetch(rows.GROUPS.select("number", ("matched",))):
        group = read.group(row)
        state.groups[group.group_id] = group
    for row in await tx.fetch(rows.POSITIONS.select("account, ticker")):
        position = read.position(row)
        state.positions[position.account, position.ticker] = position
        state.markets[position.ticker].positions[position.account] = position
        held = state.house.positions_e2
        held[position.ticker] = held.get(position.ticker, 0) - position.position_e2


async def _load_orders(tx: Transaction, state: State) -> None:
    standing: list[Order] = []
    for row in await tx.fetch(rows.ORDERS.select("number", ("flags",))):
        order = read.order(row)
        state.orders[order.order_id] = order
        state.orders_of.setdefault(order.account, []).append(order)
        if order.client_order_id:
            state.client_order_ids[order.account, order.client_order_id] = order.order_id
        if order.is_resting:
            standing.append(order)
        else:
            resting.release_client_order_id(state, order)
    for order in sorted(standing, key=lambda one: one.queue):
        market = state.markets[order.ticker]
        level = market.book.side(is_bid=order.is_bid).level(order.price_e4)
        level.join(order, order.remaining_e2)
        resting.remember(state, market, order)
        accounts.hold(state, state.accounts[order.account], market)


async def _load_history(tx: Transaction, state: State) -> None:
    for row in await tx.fetch(rows.FILLS.select("number")):
        fill = read.fill(row)
        state.fills_of.setdefault(fill.account, []).append(fill)
    for row in await tx.fetch(rows.SETTLEMENTS.select("number")):
        settlement = read.settlement(row)
        state.settlements_of.setdefault(settlement.account, []).append(settlement)
    for row in await tx.fetch(rows.TRANSFERS.select("number")):
        transfer = read.transfer(row)
        state.transfers_of.setdefault(transfer.account, []).append(transfer)
    for row in await tx.fetch(rows.TRADES.select("number")):
        state.trades.append(read.trade(row))
