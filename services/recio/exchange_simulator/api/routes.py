"""Every endpoint: method, path, what it needs, what it costs, and who answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from recio.exchange_simulator.api import (
    account_routes,
    admin,
    exchange_routes,
    market_routes,
    order_routes,
    portfolio_routes,
)
from recio.exchange_simulator.api.call import Call
from recio.exchange_simulator.api.limits import ALL_SHARDS, CANCEL_COST, DEFAULT_COST

BASE: Final = "/trade-api/v2"
Handler = Callable[[Call], Any]
Billing = Literal["none", "read", "write", "batch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One endpoint. ``scope`` None: anybody may ask; ``cost`` in tokens, of each item in a batch."""

    method: str
    path: str
    handler: Handler
    scope: str | None = None
    cost: int = DEFAULT_COST
    billing: Billing = "read"
    success: int = 200


def _public(path: str, handler: Handler) -> Route:
    return Route(method="GET", path=BASE + path, handler=handler)


def _read(path: str, handler: Handler, scope: str = "read") -> Route:
    return Route(method="GET", path=BASE + path, handler=handler, scope=scope)


def _write(
    method: str,
    path: str,
    handler: Handler,
    *,
    scope: str = "write::trade",
    cost: int = DEFAULT_COST,
    success: int = 200,
) -> Route:
    return Route(
        method=method,
        path=BASE + path,
        handler=handler,
        scope=scope,
        cost=cost,
        billing="write",
        success=success,
    )


_ORDERS: Final = "/portfolio/events/orders"
_V1: Final = "/portfolio/orders"
_GROUP: Final = "/portfolio/order_groups/{group_id}"
_INTRA: Final = "/portfolio/intra_exchange_instance_transfer"

_MARKET_DATA: Final = (
    _public("/exchange/status", exchange_routes.status),
    _public("/exchange/schedule", exchange_routes.schedule),
    _public("/exchange/user_data_timestamp", exchange_routes.user_data_timestamp),
    _public("/series/fee_changes", exchange_routes.series_fee_changes),
    _public("/events/fee_changes", exchange_routes.event_fee_changes),
    _public("/events/multivariate", market_routes.multivariate_events),
    _public("/series", market_routes.series_list),
    _public("/series/{series_ticker}", market_routes.series_one),
    _public("/events", market_routes.events_list),
    _public("/events/{event_ticker}", market_routes.event_one),
    _public("/events/{event_ticker}/metadata", market_routes.event_metadata),
    _public("/markets", market_routes.markets_list),
    _public("/markets/trades", market_routes.trades),
    _public("/markets/orderbooks", market_routes.orderbooks),
    _public("/markets/candlesticks", market_routes.many_candles),
    _public("/markets/{ticker}", market_routes.market_one),
    _public("/markets/{ticker}/orderbook", market_routes.orderbook),
    _public("/series/{series_ticker}/markets/{ticker}/candlesticks", market_routes.market_candles),
    _public(
        "/series/{series_ticker}/events/{event_ticker}/candlesticks", market_routes.event_candles
    ),
    _public("/historical/cutoff", exchange_routes.historical_cutoff),
    _public("/historical/markets", lambda _: exchange_routes.empty_history("markets")),
    _public("/historical/trades", lambda _: exchange_routes.empty_history("trades")),
)
_PORTFOLIO: Final = (
    _read("/portfolio/balance", portfolio_routes.balance, "read::portfolio_balance"),
    _read("/portfolio/positions", portfolio_routes.positions),
    _read("/portfolio/fills", portfolio_routes.fills),
    _read("/portfolio/settlements", portfolio_routes.settlements),
    _read("/portfolio/orders", portfolio_routes.orders),
    _read("/portfolio/orders/queue_positions", portfolio_routes.queue_positions),
    _read("/portfolio/orders/{order_id}", portfolio_routes.order_one),
    _read("/portfolio/orders/{order_id}/queue_position", portfolio_routes.queue_position),
    _read("/portfolio/summary/total_resting_order_value", portfolio_routes.resting_value),
    _read("/portfolio/deposits", portfolio_routes.deposits),
    _read("/portfolio/withdrawals", portfolio_routes.withdrawals),
    _read("/historical/fills", lambda _: exchange_routes.empty_history("fills")),
    _read("/historical/orders", lambda _: exchange_routes.empty_history("orders")),
    _read("/historical/positions", exchange_routes.empty_positions),
)
_TRADING: Final = (
    _write("POST", _ORDERS, order_routes.create, success=201),
    _write("DELETE", _ORDERS, order_routes.cancel_all, success=204),
    Route(
        method="POST",
        path=f"{BASE}{_ORDERS}/batched",
        handler=order_routes.create_batch,
        scope="write::trade",
        billing="batch",
        success=201,
    ),
    Route(
        method="DELETE",
        path=f"{BASE}{_ORDERS}/batched",
        handler=order_routes.cancel_batch,
        scope="write::trade",
        billing="batch",
        cost=CANCEL_COST,
    ),
    _write("DELETE", _ORDERS + "/{order_id}", order_routes.cancel, cost=CANCEL_COST),
    _write("POST", _ORDERS + "/{order_id}/amend", order_routes.amend),
    _write("POST", _ORDERS + "/{order_id}/decrease", order_routes.decrease),
    _write("POST", _V1, order_routes.gone),
    _write("POST", _V1 + "/batched", order_routes.gone),
    _write("DELETE", _V1 + "/batched", order_routes.gone),
    _write("DELETE", _V1 + "/{order_id}", order_routes.gone),
    _write("POST", _V1 + "/{order_id}/amend", order_routes.gone),
    _write("POST", _V1 + "/{order_id}/decrease", order_routes.gone),
    _read("/portfolio/order_groups", account_routes.groups_list),
    _write("POST", "/portfolio/order_groups/create", account_routes.group_create, success=201),
    _read(_GROUP, account_routes.group_one),
    _write("PUT", _GROUP + "/reset", account_routes.group_reset),
    _write("PUT", _GROUP + "/trigger", account_routes.group_trigger),
    _write("PUT", _GROUP + "/limit", account_routes.group_limit),
    _write("DELETE", _GROUP, account_routes.group_delete),
)
_ACCOUNT: Final = (
    _read("/api_keys", account_routes.keys_list),
    _write("POST", "/api_keys", account_routes.key_create, scope="write", success=201),
    _write("POST", "/api_keys/generate", account_routes.key_generate, scope="write", success=201),
    _write("DELETE", "/api_keys/{key_id}", account_routes.key_delete, scope="write", success=204),
    _read("/account/limits", account_routes.account_limits),
    _write("POST", _INTRA, account_routes.transfer, scope="write::transfer"),
    _read(_INTRA + "s", account_routes.transfers),
    _read(_INTRA + "s/{transfer_id}", account_routes.transfer_one),
    _read("/portfolio/subaccounts/balances", account_routes.subaccount_balances),
    _read("/portfolio/subaccounts/transfers", account_routes.subaccount_transfers),
    _read("/portfolio/subaccounts/netting", account_routes.subaccount_netting),
    _write("POST", "/portfolio/subaccounts", account_routes.subaccount_create, scope="write"),
)
_ADMIN: Final = (
    Route(method="GET", path="/admin/accounts", handler=admin.account_list, billing="none"),
    Route(
        method="POST",
        path="/admin/accounts",
        handler=admin.create_account,
        billing="none",
        success=201,
    ),
    Route(
        method="GET", path="/admin/accounts/{account}", handler=admin.account_truth, billing="none"
    ),
)


def endpoint_costs(routes: tuple[Route, ...], _call: Call) -> dict[str, Any]:
    """List the endpoints that do not cost the default."""
    return {
        "default_cost": DEFAULT_COST,
        "endpoint_costs": [
            {"method": one.method, "path": one.path, "cost": one.cost}
            for one in routes
            if one.cost != DEFAULT_COST
        ],
    }


_BILLED: Final = _MARKET_DATA + _PORTFOLIO + _TRADING + _ACCOUNT
ROUTES: Final = (
    *_BILLED,
    _public("/account/endpoint_costs", partial(endpoint_costs, _BILLED)),
    *_ADMIN,
)


def billed_shard(call: Call) -> int:
    """Return the shard whose write bucket pays: -1 for all, when the ticker decides."""
    body = call.body if isinstance(call.body, dict) else {}
    index = body.get("exchange_index")
    if not isinstance(index, int):
        text = call.text("exchange_index")
        index = int(text) if text and text.removeprefix("-").isdigit() else None
    if index is None:
        is_named = any(body.get(name) for name in ("ticker", "market_ticker"))
        return ALL_SHARDS if is_named or call.text("market_ticker") else 0
    return index


def batch_size(call: Call) -> int:
    """Return how many items a batch has."""
    items = call.body.get("orders") if isinstance(call.body, dict) else None
    return max(len(items), 1) if isinstance(items, list) else 1
