"""What is compared: everything that money hangs on, without what time alone decides.

Our side is read from the database, the other side from the exchange's own memory. Each market
carries one trade, so a trade whose entry died unsent leaves all others comparable.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from tests.crash.market import ACCOUNT, FrozenMarket

from recio.adapters.postgres.orders import MAY_BRING_FILLS
from recio.ports import Database

State = dict[str, Any]

_ORDERS = (
    "SELECT order_id, market_ticker, purpose::text, state::text, book_side::text, yes_price_e4, "
    "qty_e2, filled_qty_e2, booked_qty_e2, reserved_usd_e6, is_reduce_only, attempt "
    "FROM trading.orders ORDER BY order_id"
)
_TRADES = (
    "SELECT market_ticker, state::text, side::text, wanted_qty_e2, filled_qty_e2, exited_qty_e2, "
    "entry_cost_usd_e6, exit_proceeds_usd_e6, fees_usd_e6, settlement_usd_e6, pnl_usd_e6, "
    "close_reason, source FROM trading.trades ORDER BY trade_id"
)
_FILLS = (
    "SELECT market_ticker, order_id, book_side::text, yes_price_e4, qty_e2, fee_usd_e6, is_taker "
    "FROM trading.fills ORDER BY 1, 2, 4, 5"
)
_POSITIONS = (
    "SELECT market_ticker, qty_e2, cost_usd_e6, realised_usd_e6, fees_usd_e6 FROM trading.positions"
)
_SETTLEMENTS = (
    "SELECT market_ticker, result, yes_qty_e2, no_qty_e2, revenue_usd_e6, fee_usd_e6 "
    "FROM trading.settlements"
)
_MARKET_OF = "(SELECT transaction_id, max(market_ticker) AS market FROM trading.ledger_postings GROUP BY 1) m"
"""Cash postings name no market; their transactions do."""
_POSTINGS = (
    "SELECT m.market, t.kind, p.book, sum(p.amount_usd_e6)::bigint FROM trading.ledger_postings p "
    f"JOIN trading.ledger_transactions t USING (transaction_id) JOIN {_MARKET_OF} "
    "USING (transaction_id) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
)
_INTENTS = (
    "SELECT intent_id, market_ticker, state::text, regexp_replace(refusal, '[0-9.]+', 'n', 'g') "
    "FROM trading.intents ORDER BY 1"
)
"""A refusal names what is held at that moment, which is less when another entry has died."""
_SWITCHES = "SELECT source, state::text FROM trading.switches ORDER BY 1"
_RESERVED = (
    "SELECT coalesce(sum(reserved_usd_e6), 0)::bigint FROM trading.orders "
    f"WHERE purpose = 'entry' AND {MAY_BRING_FILLS}"
)
_TOTALS = "SELECT cash_usd_e6, equity_usd_e6 FROM trading.totals"


async def read(owner: Database, market: FrozenMarket) -> State:
    """Return the whole state: by market, and what belongs to none."""
    async with owner.transaction() as tx:
        parts = {
            "orders": await tx.fetch(_ORDERS),
            "fills": await tx.fetch(_FILLS),
            "intents": await tx.fetch(_INTENTS),
        }
        by_ticker = {
            "trades": await tx.fetch(_TRADES),
            "positions": await tx.fetch(_POSITIONS),
            "settlements": await tx.fetch(_SETTLEMENTS),
            "ledger": await tx.fetch(_POSTINGS),
        }
        whole = {
            "switches": [list(row) for row in await tx.fetch(_SWITCHES)],
            "reserved_usd_e6": (await tx.fetch(_RESERVED))[0][0],
            "totals": [list(row) for row in await tx.fetch(_TOTALS)],
        }
    markets: dict[str, Any] = defaultdict(lambda: defaultdict(list))
    for name, rows in parts.items():
        ticker_at = 0 if name == "fills" else 1
        for row in rows:
            markets[row[ticker_at]][name].append(_plain(row))
    for name, rows in by_ticker.items():
        for row in rows:
            markets[row[0]][name].append(_plain(row))
    _add_exchange(markets, market)
    opening = dict(markets.pop("", {}))
    return {
        "markets": {ticker: dict(found) for ticker, found in sorted(markets.items())},
        "opening": opening,
        "exchange_cash_usd_e6": sum(market.exchange.state.accounts[ACCOUNT].cash_e6.values()),
        **whole,
    }


def _add_exchange(markets: Any, market: FrozenMarket) -> None:
    state = market.exchange.state
    for order in sorted(state.orders_of.get(ACCOUNT, []), key=lambda one: one.client_order_id):
        markets[order.ticker]["exchange orders"].append(
            [order.client_order_id, order.filled_e2, order.price_e4, order.is_bid]
        )
    for (name, ticker), position in state.positions.items():
        if name == ACCOUNT and position.position_e2:
            markets[ticker]["exchange positions"].append(position.position_e2)


def _plain(row: tuple[Any, ...]) -> list[Any]:
    return [str(value) if isinstance(value, UUID) else value for value in row]


def differences(clean: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Compare a run with the clean one.

    Returns:
        What differs and must not; and the markets whose entry died unsent, which may.
    """
    wrong, unsent = [], []
    for ticker in sorted({*clean["markets"], *found["markets"]}):
        ours, theirs = found["markets"].get(ticker, {}), clean["markets"].get(ticker, {})
        if ours == theirs:
            continue
        if _died_unsent(ours, theirs):
            unsent.append(ticker)
            continue
        wrong += _named(ticker, theirs, ours)
    for name in ("opening", "switches", "reserved_usd_e6"):
        if clean[name] != found[name]:
            wrong.append(f"{name}: clean {clean[name]}, here {found[name]}")
    return wrong + _cash(found), unsent


def _named(ticker: str, clean: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    return [
        f"{ticker} {name}: clean {clean.get(name)}, here {found.get(name)}"
        for name in sorted({*clean, *found})
        if clean.get(name) != found.get(name)
    ]


def _died_unsent(found: Mapping[str, Any], clean: Mapping[str, Any]) -> bool:
    """Whether the market's entry never reached the exchange, and nothing is left of it."""
    orders = found.get("orders", [])
    entry = next((one for one in clean.get("orders", []) if one[2] == "entry"), None)
    return (
        len(orders) == 1
        and entry is not None
        and orders[0][3] in {"expired_unsent", "canceled"}
        and (orders[0][:3], orders[0][4:7]) == (entry[:3], entry[4:7])
        and orders[0][7:9] == [0, 0]
        and entry[0] not in [one[0] for one in found.get("exchange orders", [])]
        and [trade[1] for trade in found["trades"]] == ["abandoned"]
        and not any(
            found.get(name)
            for name in ("fills", "positions", "settlements", "ledger", "exchange positions")
        )
    )


def _cash(found: Mapping[str, Any]) -> list[str]:
    """Check that cash is the same in our books, at the exchange, and as the sum of the markets."""
    summed = sum(
        amount
        for part in (found["opening"], *found["markets"].values())
        for _market, _kind, book, amount in part.get("ledger", [])
        if book == "cash"
    )
    exchange = found["exchange_cash_usd_e6"]
    totals = found["totals"][0][0] if found["totals"] else None
    if summed == exchange == totals:
        return []
    return [f"cash: postings come to {summed}, the total says {totals}, the exchange {exchange}"]
