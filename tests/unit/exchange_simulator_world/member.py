"""A member of the exchange, to take from the world and to rest beside it."""

from __future__ import annotations

from itertools import count

from recio.exchange_simulator.core import accounts, orders
from recio.exchange_simulator.core.orders import NewOrder
from recio.exchange_simulator.core.records import Account, Order
from recio.exchange_simulator.exchange import Exchange
from recio.exchange_simulator.specs import CRYPTO_SHARD, Levels

_names = count(1)


def join(exchange: Exchange) -> Account:
    """Open an account with $10,000."""
    return accounts.open_account(
        exchange.state, "alice", 10_000_000_000, CRYPTO_SHARD, exchange.now_us
    )


def place(
    exchange: Exchange, who: Account, ticker: str, *, is_bid: bool, price_e4: int, qty_e2: int
) -> Order:
    """Send an order on the YES scale that rests if it does not match."""
    new = NewOrder(
        ticker=ticker,
        is_bid=is_bid,
        price_e4=price_e4,
        qty_e2=qty_e2,
        time_in_force="good_till_canceled",
        self_trade="taker_at_cross",
        client_order_id=f"c{next(_names)}",
    )
    return orders.create(exchange.state, who, new)


def touch(levels: Levels) -> tuple[int, int]:
    """Return best bid and ask on the YES scale."""
    return levels.yes[-1][0], 10_000 - levels.no[-1][0]
