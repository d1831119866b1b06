"""The official TypeScript client as a client of the suite: every call is a call of its own methods.

The client runs in Node.js (``typescript/driver.mjs``) and is spoken to in lines of JSON. Each answer
is checked there against the models that the client declares and the statuses that it documents;
what does not fit fails the case.
"""
# ruff: noqa: D102 - the methods of OfficialRest are those of KalshiRest, and mean the same.

from __future__ import annotations

import asyncio
import itertools
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from tests.contract.install import HERE, node_and_npm
from tests.contract.members import (
    BASE_PATH,
    STREAM_PATH,
    WITHIN_S,
    Answer,
    Commands,
    FrameFollower,
    Key,
    T,
)

from recio.adapters.kalshi import model, wire, wire_account, wire_markets, wire_orders
from recio.adapters.kalshi import wire_portfolio as portfolio
from recio.adapters.kalshi.errors import KalshiRejected, OutcomeUnknown, RateLimited
from recio.adapters.kalshi.stream import Subscription
from recio.domain.errors import NoAnswer, Rejected, Unavailable
from recio.domain.orders import BookSide

_LONGEST_LINE: Final = 16 * 1024 * 1024
_SECOND_US: Final = 1_000_000
_CENTICENT_E6: Final = 100
encode: Final = msgspec.json.encode


class Driver:
    """The Node.js process."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start it."""
        node, _ = node_and_npm()
        self._process = await asyncio.create_subprocess_exec(
            node, str(HERE / "driver.mjs"), stdin=PIPE, stdout=PIPE, limit=_LONGEST_LINE
        )
        self._reading = asyncio.create_task(self._read())

    async def close(self) -> None:
        """End it."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._reading is not None
        self._process.stdin.close()
        self._process.terminate()
        await self._process.wait()
        await self._reading

    async def ask(self, action: str, **what: Any) -> dict[str, Any]:
        """Let it do something and return its answer."""
        assert self._process is not None
        assert self._process.stdin is not None
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(encode({"id": number, "do": action} | what) + b"\n")
        async with asyncio.timeout(WITHIN_S * 2):
            answer: dict[str, Any] = await future
        assert "fault" not in answer, answer["fault"]
        return answer

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            answer = msgspec.json.decode(line)
            future = self._waiting.pop(answer["id"])
            if not future.done():
                future.set_result(answer)


def _raise(answer: dict[str, Any], what: str, *, is_mutation: bool) -> None:
    """Tell a refusal in the families of our adapter, as its callers know them."""
    if "lost" in answer:
        if "ECONNREFUSED" in answer["lost"]:
            raise NoAnswer(answer["lost"], sent=False)
        raise (OutcomeUnknown if is_mutation else Unavailable)(f"{what}: {answer['lost']}")
    status = answer["status"]
    if 200 <= status < 300:
        return
    code, message, details = wire.error_parts(encode(answer["data"]))
    if status == 429:
        raise RateLimited(f"{what}: {message}")
    if status >= 500:
        raise (OutcomeUnknown if is_mutation else Unavailable)(f"{what}: {status} {code}")
    raise KalshiRejected(status, code, message, details, request=what)


class OfficialRest:
    """The adapter's method names over the official client's methods."""

    def __init__(self, driver: Driver, member: int) -> None:
        self._driver = driver
        self._member = member

    async def call(self, api: str, method: str, *args: Any) -> Any:
        """Call a method of the client and return the decoded body."""
        answer = await self._driver.ask(
            "call", member=self._member, api=api, method=method, args=args
        )
        is_mutation = not method.startswith(("get", "batchGet"))
        _raise(answer, method, is_mutation=is_mutation)
        assert answer["misfits"] == [], f"{method} does not fit the official models"
        return answer["data"]

    async def _body(self, api: str, method: str, *args: Any) -> bytes:
        return encode(await self.call(api, method, *args))

    async def _pages(
        self, rows: str, fetch: Callable[[str | None], Any], convert: Callable[[Any], T]
    ) -> tuple[T, ...]:
        found: list[T] = []
        cursor: str | None = None
        while True:
            page = await fetch(cursor)
            found += [convert(msgspec.Raw(encode(row))) for row in page[rows]]
            cursor = page.get("cursor") or None
            if cursor is None:
                return tuple(found)

    async def status(self) -> model.StatusRecord:
        return wire_markets.status(await self._body("exchange", "getExchangeStatus"))

    async def schedule(self) -> model.ScheduleRecord:
        return wire_markets.schedule(await self._body("exchange", "getExchangeSchedule"))

    async def as_of_us(self) -> int:
        return wire.time_us((await self.call("exchange", "getUserDataTimestamp"))["as_of_time"])

    async def fee_changes(self, series_ticker: str) -> tuple[model.FeeChange, ...]:
        body = await self.call("exchange", "getSeriesFeeChanges", series_ticker)
        rows = body["series_fee_change_arr"]
        return tuple(wire_markets.fee_change(msgspec.Raw(encode(row))) for row in rows)

    async def series(self, ticker: str) -> model.SeriesRecord:
        body = await self.call("market", "getSeries", ticker)
        return wire_markets.series(encode(body["series"]))

    async def series_list(self, category: str) -> tuple[model.SeriesRecord, ...]:
        body = await self.call("market", "getSeriesList", category)
        return tuple(wire_markets.series(encode(row)) for row in body["series"])

    async def events(
        self, series_ticker: str, *, status: str | None = None, with_markets: bool = False
    ) -> tuple[model.EventRecord, ...]:
        def fetch(cursor: str | None) -> Any:
            nested = with_markets or None
            return self.call(
                "events", "getEvents", 200, cursor, nested, None, status, series_ticker
            )

        return await self._pages("events", fetch, lambda row: wire_markets.event(row, {}))  # type: ignore[arg-type]

    async def event(self, event_ticker: str) -> model.EventRecord:
        is_nested = True
        body = await self.call("events", "getEvent", event_ticker, is_nested)
        return wire_markets.event(encode(body["event"]), {})  # type: ignore[arg-type]

    async def markets(
        self,
        *,
        series_ticker: str | None = None,
        event_ticker: str | None = None,
        tickers: Sequence[str] = (),
        status: str | None = None,
        min_close_us: int | None = None,
        max_close_us: int | None = None,
    ) -> tuple[model.MarketRecord, ...]:
        latest, earliest = _seconds(max_close_us), _seconds(min_close_us)

        def fetch(cursor: str | None) -> Any:
            times = (None, None, None, latest, earliest, None, None)
            names = ",".join(tickers) or None
            filters = (event_ticker, series_ticker, *times, status, names)
            return self.call("market", "getMarkets", 1000, cursor, *filters)

        return await self._pages("markets", fetch, wire_markets.market)

    async def market(self, ticker: str) -> model.MarketRecord:
        return wire_markets.market(
            encode((await self.call("market", "getMarket", ticker))["market"])
        )

    async def orderbook(self, ticker: str, *, depth: int = 0) -> model.BookLevels:
        body = await self._body("market", "getMarketOrderbook", ticker, depth or None)
        reply = wire.decode(body, wire_markets.BookReply)
        return wire_markets.book(ticker, reply.orderbook_fp)

    async def orderbooks(self, tickers: Sequence[str]) -> tuple[model.BookLevels, ...]:
        body = await self._body("market", "getMarketOrderbooks", list(tickers))
        reply = wire.decode(body, wire_markets.BooksReply)
        return tuple(wire_markets.book(one.ticker, one.orderbook_fp) for one in reply.orderbooks)

    async def trades(
        self, ticker: str, *, min_us: int | None = None, max_us: int | None = None
    ) -> tuple[model.PublicTrade, ...]:
        bounds = (_seconds(min_us), _seconds(max_us))
        return await self._pages(
            "trades",
            lambda cursor: self.call("market", "getTrades", 1000, cursor, ticker, *bounds),
            wire_markets.trade,
        )

    async def candlesticks(
        self, series_ticker: str, ticker: str, start_us: int, end_us: int, *, minutes: int = 1
    ) -> tuple[model.Candle, ...]:
        bounds = (_seconds(start_us), _seconds(end_us), minutes)
        body = await self.call("market", "getMarketCandlesticks", series_ticker, ticker, *bounds)
        return tuple(wire_markets.candle(encode(row)) for row in body["candlesticks"])

    async def historical_cutoff(self) -> model.HistoricalCutoff:
        return wire_markets.cutoff(await self._body("historical", "getHistoricalCutoff"))

    async def endpoint_costs(self) -> model.EndpointCosts:
        return wire_account.costs(await self._body("account", "getAccountEndpointCosts"))

    async def limits(self) -> model.AccountLimits:
        return wire_account.limits(await self._body("account", "getAccountApiLimits"))

    async def balance(self, *, exchange_index: int | None = None) -> model.ExchangeBalance:
        return wire_account.balance(
            await self._body("portfolio", "getBalance", None, exchange_index)
        )

    async def positions(
        self, *, ticker: str | None = None, event_ticker: str | None = None
    ) -> tuple[model.ExchangePosition, ...]:
        filters = (1000, None, ticker, event_ticker)
        return await self._pages(
            "market_positions",
            lambda cursor: self.call("portfolio", "getPositions", cursor, *filters),
            portfolio.position,
        )

    async def fills(
        self,
        *,
        ticker: str | None = None,
        order_id: str | None = None,
        min_us: int | None = None,
        max_us: int | None = None,
    ) -> tuple[model.ExchangeFill, ...]:
        filters = (ticker, order_id, _seconds(min_us), _seconds(max_us), 1000)
        return await self._pages(
            "fills",
            lambda cursor: self.call("portfolio", "getFills", *filters, cursor),
            portfolio.fill,
        )

    async def settlements(
        self, *, ticker: str | None = None, min_us: int | None = None, max_us: int | None = None
    ) -> tuple[model.ExchangeSettlement, ...]:
        filters = (ticker, None, _seconds(min_us), _seconds(max_us))
        return await self._pages(
            "settlements",
            lambda cursor: self.call("portfolio", "getSettlements", 1000, cursor, *filters),
            portfolio.settlement,
        )

    async def orders(
        self,
        *,
        ticker: str | None = None,
        event_ticker: str | None = None,
        status: str | None = None,
        min_us: int | None = None,
        max_us: int | None = None,
    ) -> tuple[model.ExchangeOrder, ...]:
        filters = (ticker, event_ticker, _seconds(min_us), _seconds(max_us), status, 1000)
        return await self._pages(
            "orders",
            lambda cursor: self.call("orders", "getOrders", *filters, cursor),
            portfolio.order,
        )

    async def order(self, order_id: str) -> model.ExchangeOrder:
        return portfolio.order(encode((await self.call("orders", "getOrder", order_id))["order"]))

    async def queue_positions(self, event_ticker: str) -> tuple[model.QueuePosition, ...]:
        body = await self.call("orders", "getOrderQueuePositions", None, event_ticker)
        return tuple(wire_account.queue_position(encode(row)) for row in body["queue_positions"])

    async def deposits(self) -> tuple[model.CashMovement, ...]:
        return await self._pages(
            "deposits",
            lambda cursor: self.call("portfolio", "getDeposits", 500, cursor),
            wire_account.deposit,
        )

    async def withdrawals(self) -> tuple[model.CashMovement, ...]:
        return await self._pages(
            "withdrawals",
            lambda cursor: self.call("portfolio", "getWithdrawals", 500, cursor),
            wire_account.withdrawal,
        )

    async def transfers(self) -> tuple[model.Transfer, ...]:
        name = "getIntraExchangeInstanceTransfers"
        return await self._pages(
            "transfers",
            lambda cursor: self.call("portfolio", name, 500, cursor),
            wire_account.transfer,
        )

    async def transfer(
        self, amount_usd_e6: int, *, source_shard: int, destination_shard: int
    ) -> str:
        body = {
            "source": "event_contract",
            "destination": "event_contract",
            "amount": amount_usd_e6 // _CENTICENT_E6,
            "source_exchange_shard": source_shard,
            "destination_exchange_shard": destination_shard,
        }
        made = await self.call("portfolio", "intraExchangeInstanceTransfer", body)
        return str(made["transfer_id"])

    async def api_keys(self) -> tuple[model.ApiKeyRecord, ...]:
        return wire_account.api_keys(await self._body("apiKeys", "getApiKeys"))

    async def order_groups(self) -> tuple[model.OrderGroup, ...]:
        body = await self.call("orderGroups", "getOrderGroups")
        return tuple(wire_account.group(encode(row)) for row in body["order_groups"])

    async def order_group(self, group_id: str) -> model.OrderGroup:
        return wire_account.group(
            await self._body("orderGroups", "getOrderGroup", group_id), group_id
        )

    async def create_order(self, order: model.NewOrder) -> model.OrderReply:
        body = await self._body("orders", "createOrderV2", _create_body(order))
        return wire_orders.order_reply(body)

    async def cancel_order(self, order: model.OrderRef) -> model.CancelReply:
        where = (None, order.exchange_index, order.ticker)
        return wire_orders.cancel_reply(
            await self._body("orders", "cancelOrderV2", order.order_id, *where)
        )

    async def amend_order(
        self,
        order: model.OrderRef,
        side: BookSide,
        *,
        yes_price_e4: int,
        total_qty_e2: int,
        client_order_id: str | None = None,
        updated_client_order_id: str | None = None,
    ) -> model.OrderReply:
        body = {
            "ticker": order.ticker,
            "side": str(side),
            "price": _dollars(yes_price_e4),
            "count": _count(total_qty_e2),
            "client_order_id": client_order_id,
            "updated_client_order_id": updated_client_order_id,
            "exchange_index": order.exchange_index,
        }
        given = {name: value for name, value in body.items() if value is not None}
        reply = await self._body("orders", "amendOrderV2", order.order_id, given)
        return wire_orders.order_reply(reply)

    async def decrease_order(
        self,
        order: model.OrderRef,
        *,
        by_qty_e2: int | None = None,
        to_qty_e2: int | None = None,
    ) -> model.DecreaseReply:
        body: dict[str, Any] = {
            "market_ticker": order.ticker,
            "exchange_index": order.exchange_index,
        }
        if by_qty_e2 is not None:
            body["reduce_by"] = _count(by_qty_e2)
        if to_qty_e2 is not None:
            body["reduce_to"] = _count(to_qty_e2)
        reply = await self._body("orders", "decreaseOrderV2", order.order_id, body)
        return wire_orders.decrease_reply(reply)

    async def create_orders(
        self, orders: Sequence[model.NewOrder]
    ) -> tuple[model.CreatedItem, ...]:
        body = {"orders": [_create_body(order) for order in orders]}
        return wire_orders.created_batch(await self._body("orders", "batchCreateOrdersV2", body))

    async def cancel_orders(
        self, orders: Sequence[model.OrderRef]
    ) -> tuple[model.CanceledItem, ...]:
        items = [
            {"order_id": one.order_id}
            | ({} if one.ticker is None else {"market_ticker": one.ticker})
            | ({} if one.exchange_index is None else {"exchange_index": one.exchange_index})
            for one in orders
        ]
        reply = await self._body("orders", "batchCancelOrdersV2", {"orders": items})
        return wire_orders.canceled_batch(reply)

    async def cancel_all(self) -> None:
        await self.call("orders", "cancelAllOrders")

    async def create_order_group(
        self, limit_qty_e2: int, *, exchange_index: int | None
    ) -> model.OrderGroup:
        body = {"contracts_limit_fp": _count(limit_qty_e2), "exchange_index": exchange_index}
        made = await self.call("orderGroups", "createOrderGroup", body)
        return model.OrderGroup(
            group_id=made["order_group_id"],
            limit_qty_e2=limit_qty_e2,
            is_auto_cancel_enabled=None,
            exchange_index=made["exchange_index"],
        )

    async def reset_order_group(self, group_id: str, *, exchange_index: int | None) -> None:
        await self.call("orderGroups", "resetOrderGroup", group_id, None, exchange_index, {})

    async def trigger_order_group(self, group_id: str, *, exchange_index: int | None) -> None:
        await self.call("orderGroups", "triggerOrderGroup", group_id, None, exchange_index, {})

    async def limit_order_group(
        self, group_id: str, limit_qty_e2: int, *, exchange_index: int | None
    ) -> None:
        body = {"contracts_limit_fp": _count(limit_qty_e2)}
        where = (None, exchange_index)
        await self.call("orderGroups", "updateOrderGroupLimit", group_id, body, *where)

    async def delete_order_group(self, group_id: str, *, exchange_index: int | None) -> None:
        await self.call("orderGroups", "deleteOrderGroup", group_id, None, exchange_index)


def _seconds(at_us: int | None) -> int | None:
    return None if at_us is None else at_us // _SECOND_US


def _dollars(price_e4: int) -> str:
    return f"{price_e4 // 10_000}.{price_e4 % 10_000:04d}"


def _count(qty_e2: int) -> str:
    return f"{qty_e2 // 100}.{qty_e2 % 100:02d}"


def _create_body(order: model.NewOrder) -> dict[str, Any]:
    body = {
        "ticker": order.ticker,
        "side": str(order.book_side),
        "count": _count(order.qty_e2),
        "price": _dollars(order.yes_price_e4),
        "time_in_force": str(order.time_in_force),
        "self_trade_prevention_type": str(order.self_trade),
        "client_order_id": order.client_order_id,
        "exchange_index": order.exchange_index,
        "expiration_time": _seconds(order.expires_at_us),
        "post_only": order.is_post_only or None,
        "reduce_only": order.is_reduce_only or None,
        "cancel_order_on_pause": order.is_canceled_on_pause or None,
        "order_group_id": order.order_group_id,
    }
    return {name: value for name, value in body.items() if value is not None}


class OfficialSocket:
    """A WebSocket of the package ``ws``, signed by the official client."""

    def __init__(self, driver: Driver, number: int) -> None:
        self._driver = driver
        self._number = number

    async def send(self, text: str) -> None:
        """Send one text frame."""
        await self._driver.ask("send", socket=self._number, text=text)

    async def frame(self) -> dict[str, Any] | None:
        """Return the next frame."""
        answer = await self._driver.ask("frame", socket=self._number)
        if "closed" in answer:
            return None
        found: dict[str, Any] = msgspec.json.decode(answer["text"])
        return found

    async def close(self) -> None:
        """Close it."""
        await self._driver.ask("shut", socket=self._number)


class OfficialMember:
    """One member through the official client."""

    def __init__(self, driver: Driver, member: int, websocket: str) -> None:
        self._driver = driver
        self._member = member
        self._websocket = websocket
        self._sockets: list[Commands] = []
        self.rest = OfficialRest(driver, member)

    @classmethod
    async def join(
        cls,
        driver: Driver,
        origins: tuple[str, str],
        key: Key | None,
        *,
        skew_ms: int = 0,
        timeout_s: float = WITHIN_S,
    ) -> OfficialMember:
        """Make one in the driver."""
        made: dict[str, Any] = {
            "base": origins[0] + BASE_PATH,
            "timeoutMs": round(timeout_s * 1000),
        }
        if key is not None:
            made |= {"keyId": key.key_id, "pem": key.pem}
        await driver.ask("skew", milliseconds=skew_ms)
        answer = await driver.ask("join", member=made)
        return cls(driver, answer["member"], origins[1] + STREAM_PATH)

    async def raw(
        self, method: str, path: str, body: object = None, *, text: bytes | None = None
    ) -> Answer:
        """Send what the client has no method for, through the client's own signing."""
        content = {"body": body} if text is None else {"text": text.decode()}
        if body is None and text is None:
            content = {}
        answer = await self._driver.ask(
            "raw", member=self._member, method=method, path=path, **content
        )
        assert "lost" not in answer, answer
        assert answer["misfits"] == [], f"{method} {path} does not fit the official models"
        return Answer(answer["status"], answer["data"], answer["headers"])

    async def sign(self, method: str, path: str) -> dict[str, str]:
        """Return the headers that the client signs a request with."""
        answer = await self._driver.ask("sign", member=self._member, method=method, path=path)
        found: dict[str, str] = answer["headers"]
        return found

    async def socket(self, *, is_signed: bool = True) -> OfficialSocket:
        """Open a WebSocket."""
        answer = await self._driver.ask(
            "open", member=self._member, url=self._websocket, isSigned=is_signed
        )
        if "socket" not in answer:
            raise Rejected(f"{self._websocket}: {answer}")
        return OfficialSocket(self._driver, answer["socket"])

    async def follow(self, *subscriptions: Subscription) -> FrameFollower:
        """Open a WebSocket and subscribe."""
        follower = FrameFollower(Commands(await self.socket()))
        for subscription in subscriptions:
            await follower.want(subscription)
        return follower

    async def close(self) -> None:
        """Nothing is open but sockets, which their users close."""
