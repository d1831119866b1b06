"""Targets: what the exchange answers over REST, endpoint by endpoint, and how it says no.

The clients are the product's own; only ``_call`` (budget, signature, transport) is replaced by the
input. A read refuses with ``InvalidValue``; a mutation's answer that does not read is an
``OutcomeUnknown``: it was accepted there.
"""

import json
import lzma
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
from tests.fuzz.mutators import Json
from tests.fuzz.oracle import anything, count, price, wrong
from tests.fuzz.targets import Target

from recio.adapters.kalshi import wire_orders
from recio.adapters.kalshi.caller import Call
from recio.adapters.kalshi.errors import KalshiRejected, OutcomeUnknown, RateLimited
from recio.adapters.kalshi.model import NewOrder, OrderRef, TimeInForce
from recio.adapters.kalshi.rest import KalshiRest
from recio.domain.errors import InvalidValue, Unavailable
from recio.domain.orders import BookSide
from recio.ports import HttpReply

FOLDER = Path(__file__).parents[1] / "data" / "kalshi"
T = "KXBTCD-26AUG1717-T72749.99"
REF = OrderRef(order_id="o", ticker=T, exchange_index=2)
NEW = NewOrder(
    ticker=T,
    book_side=BookSide.BID,
    qty_e2=100,
    yes_price_e4=5600,
    client_order_id="c-1",
    time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL,
    exchange_index=2,
)


class Answered(KalshiRest):
    """The REST client whose every call is answered with the same body."""

    def __init__(self) -> None:
        class NoBudget:
            def punish(self, *_: object, **__: object) -> None:
                """Nothing to correct."""

        super().__init__(None, None, None, NoBudget())  # type: ignore[arg-type]
        self.body = b""

    async def _call(self, _call: Call, **_: object) -> bytes:  # type: ignore[override]
        return self.body


CLIENT = Answered()


def done(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    finally:
        work.close()
    raise AssertionError("it waits")


def answered(call: Callable[[Answered], Coroutine[Any, Any, Any]]) -> Callable[[bytes], Any]:
    """Return what decodes a body as the answer to a call."""

    def decode(data: bytes) -> Any:
        CLIENT.body = data
        return done(call(CLIENT))

    return decode


MARKET = {
    "ticker": T, "event_ticker": "KXBTCD-26AUG1717", "status": "active", "title": "Bitcoin",
    "yes_sub_title": "$72,750 or above", "open_time": "2026-08-17T20:00:00Z",
    "close_time": "2026-08-17T21:00:00Z", "strike_type": "greater", "floor_strike": 72749.99,
    "cap_strike": None, "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
    "yes_bid_dollars": "0.0000", "yes_ask_dollars": "0.0100", "last_price_dollars": "0.0100",
    "volume_fp": "103732.00", "open_interest_fp": "12.00", "exchange_index": 2, "result": "",
    "settlement_timer_seconds": 60, "expected_expiration_time": "2026-08-17T21:05:00Z",
    "expiration_value": "72,750.12", "settlement_value_dollars": "1.0000",
    "settlement_ts": "0001-01-01T00:00:00Z", "can_close_early": True,
    "updated_time": "2026-08-17T20:00:00Z", "fee_waiver_expiration_time": None,
    "something_new": {"deep": [1, 2]},
}  # fmt: skip
ORDER = {
    "order_id": "o-1", "client_order_id": "c-1", "ticker": T, "book_side": "ask",
    "outcome_side": "no", "side": "no", "action": "buy", "status": "resting",
    "yes_price_dollars": "0.5600", "initial_count_fp": "10.00", "fill_count_fp": "2.50",
    "remaining_count_fp": "7.50", "taker_fees_dollars": "0.017500",
    "maker_fees_dollars": "0.000000", "taker_fill_cost_dollars": "1.400000",
    "maker_fill_cost_dollars": "0.000000", "created_time": "2026-11-21T10:00:00.123456Z",
    "last_update_time": "2026-11-21T10:00:01Z", "expiration_time": None,
    "created_ts_ms": 1_795_255_200_123, "last_updated_ts_ms": 1_795_255_201_000,
    "expiration_ts_ms": None, "order_group_id": "g", "exchange_index": 2, "subaccount_number": 0,
    "last_update_reason": "Trade",
}  # fmt: skip
FILL = {
    "trade_id": "t-1", "fill_id": "t-1", "order_id": "o-1", "ticker": T, "market_ticker": T,
    "client_order_id": "c-1", "book_side": "bid", "outcome_side": "yes", "side": "yes",
    "action": "buy", "count_fp": "1.00", "yes_price_dollars": "0.5200",
    "no_price_dollars": "0.4800", "is_taker": True, "fee_cost": "0.017500",
    "created_time": "2026-11-21T10:00:00Z", "ts": 1_795_255_200, "ts_ms": 1_795_255_200_000,
    "exchange_index": 2, "subaccount_number": 0, "post_position_fp": "-1.00",
}  # fmt: skip
POSITION = {
    "ticker": T, "position_fp": "-10.00", "market_exposure_dollars": "4.400000",
    "realized_pnl_dollars": "-0.100000", "fees_paid_dollars": "0.172500",
    "total_traded_dollars": "4.400000", "last_updated_ts": "2026-11-21T10:00:00Z",
    "exchange_index": 2,
}  # fmt: skip
SETTLEMENT = {
    "ticker": T, "event_ticker": "KXBTCD-26AUG1717", "market_result": "yes",
    "yes_count_fp": "10.00", "yes_total_cost_dollars": "5.600000", "no_count_fp": "0.00",
    "no_total_cost_dollars": "0.000000", "revenue": 1000, "value": 100,
    "settled_time": "2026-11-21T10:00:00Z", "fee_cost": "0.172500", "exchange_index": 2,
}  # fmt: skip
CREATED = {
    "order_id": "o", "client_order_id": "c-1", "fill_count": "1.00", "remaining_count": "0.00",
    "average_fill_price": "0.560000", "average_fee_paid": "0.0175", "ts_ms": 1_795_255_200_000,
}  # fmt: skip
REFUSED = {"client_order_id": "d", "error": {"code": "X", "message": "no", "details": None}}
SERIES = {
    "ticker": "KXBTCD", "fee_type": "quadratic", "fee_multiplier": 1, "title": "Bitcoin price",
    "category": "Crypto", "frequency": "hourly", "exchange_index": 2,
}  # fmt: skip
EVENT = {
    "event_ticker": "KXBTCD-26AUG1717", "series_ticker": "KXBTCD", "title": "Bitcoin",
    "sub_title": "Aug 17", "mutually_exclusive": False, "fee_type_override": None,
    "fee_multiplier_override": 0.5, "strike_date": "2026-08-17T21:00:00Z", "exchange_index": 2,
    "markets": [MARKET],
}  # fmt: skip
BOOK = {"yes_dollars": [["0.4500", "10.00"], ["0.4400", "5.00"]], "no_dollars": [["0.5", "1"]]}
TRADE = {
    "trade_id": "t", "ticker": T, "count_fp": "3.00", "yes_price_dollars": "0.4400",
    "created_time": "2026-11-21T10:00:00Z", "taker_book_side": "bid",
    "taker_outcome_side": "yes", "taker_side": "yes", "is_block_trade": False,
}  # fmt: skip
OHLC = {"open_dollars": "0.1", "high_dollars": "0.2", "low_dollars": "0.1", "close_dollars": "0.2"}
CANDLE = {
    "end_period_ts": 1_795_255_200, "yes_bid": OHLC, "yes_ask": OHLC, "price": OHLC,
    "volume_fp": "10.00", "open_interest_fp": "10.00",
}  # fmt: skip
STATUS = {
    "exchange_active": True, "trading_active": True,
    "exchange_estimated_resume_time": "2026-11-21T10:00:00Z",
    "exchange_index_statuses": [
        {"exchange_index": 2, "exchange_active": True, "trading_active": False}
    ],
}  # fmt: skip
SCHEDULE = {
    "schedule": {
        "standard_hours": [{
            "start_time": "2026-01-01T00:00:00Z",
            "monday": [{"open_time": "00:00", "close_time": "24:00"}],
            "thursday": [{"open_time": "05:00", "close_time": "24:00"}],
        }],
        "maintenance_windows": [
            {"start_datetime": "2026-11-26T08:00:00Z", "end_datetime": "2026-11-26T10:00:00Z"}
        ],
    }
}  # fmt: skip
BALANCE = {
    "balance": 1234, "balance_dollars": "12.345678", "portfolio_value": 50,
    "updated_ts": 1_780_000_000,
    "balance_breakdown": [{"exchange_index": 2, "balance": "10.0000"}],
}  # fmt: skip
MOVEMENT = {
    "id": "d", "status": "applied", "type": "ach", "amount_cents": 10_000, "fee_cents": 0,
    "created_ts": 1_780_000_000, "finalized_ts": 1_780_000_100,
}  # fmt: skip
TRANSFER = {
    "transfer_id": "t", "status": "complete", "amount": "5.0000", "source_exchange_shard": 0,
    "destination_exchange_shard": 2, "created_ts": "2026-11-21T10:00:00Z",
}  # fmt: skip
BUCKET = {"refill_rate": 300, "bucket_capacity": 600}
GROUP = {
    "id": "g", "contracts_limit_fp": "10.00", "is_auto_cancel_enabled": True, "exchange_index": 2,
    "orders": ["o-1"],
}  # fmt: skip
COSTS = {
    "default_cost": 10,
    "endpoint_costs": [{"method": "DELETE", "path": "/trade-api/v2/x", "cost": 2}],
}
KEYS = {"api_keys": [{"api_key_id": "k", "name": "n", "scopes": ["read"], "subaccount": 0}]}
CUTOFF = {
    "market_settled_ts": "2026-11-21T10:00:00Z", "trades_created_ts": "2026-11-21T10:00:00Z",
    "orders_updated_ts": "2026-11-21T10:00:00Z",
}  # fmt: skip


def recorded(endpoint: str) -> list[Any]:
    """Return the bodies of an endpoint that were recorded at the exchange."""
    lines = lzma.decompress((FOLDER / "kxbtcd_rest_fixtures.jsonl.xz").read_bytes()).splitlines()
    return [row["body"] for row in map(json.loads, lines) if row["endpoint"] == endpoint]


def recorded_trades(number: int = 20) -> list[Any]:
    """Return public trades as they were recorded."""
    path = FOLDER / "kxbtc15m_rest_trades_sample.jsonl.xz"
    return [json.loads(line) for line in lzma.decompress(path.read_bytes()).splitlines()[:number]]


def _levels(value: Any) -> None:
    anything(value)
    for book in value if isinstance(value, tuple) else (value,):
        for levels in (book.yes, book.no):
            for price_e4, qty_e2 in levels:
                price(price_e4, "price_e4")
                count(qty_e2, "qty_e2")
                if price_e4 in (0, 10_000) or not qty_e2:
                    raise wrong("level", "a price and a size at which one can trade", price_e4)


def _hours(value: Any) -> None:
    anything(value)
    for row in value.hours:
        for text in (row.opens, row.closes):
            hours, colon, minutes = text.partition(":")
            if not (colon and text.isascii() and hours.isdigit() and minutes.isdigit()
                    and len(text) == 5 and int(hours) * 60 + int(minutes) <= 1440
                    and int(minutes) < 60):  # fmt: skip
                raise wrong("hours", "HH:MM", text)


def _target(
    name: str,
    call: Callable[[Answered], Coroutine[Any, Any, Any]],
    *bodies: Any,
    check: Callable[[Any], None] = anything,
    refusals: tuple[type[Exception], ...] = (InvalidValue,),
    share: float = 1.0,
) -> Target:
    examples = [msgspec.json.encode(body) for body in bodies]
    return Target(
        name=f"kalshi rest {name}",
        decode=answered(call),
        maker=Json(examples),
        examples=examples,
        refusals=refusals,
        check=check,
        share=share,
    )


def _page(rows: str, *examples: Any) -> list[dict[str, Any]]:
    return [{rows: list(examples), "cursor": ""}, {rows: [examples[0]], "cursor": None}]


READS = (
    _target("status", lambda c: c.status(), STATUS),
    _target("schedule", lambda c: c.schedule(), SCHEDULE, check=_hours),
    _target("series", lambda c: c.series("KXBTCD"), {"series": SERIES}),
    _target("series list", lambda c: c.series_list("Crypto"), {"series": [SERIES, SERIES]}),
    _target("fee changes", lambda c: c.fee_changes("KXBTCD"),
            {"series_fee_change_arr": [{"series_ticker": "KXBTCD", "fee_type": "quadratic",
             "fee_multiplier": 2.5, "scheduled_ts": "2026-11-21T10:00:00Z"}]}),
    _target("events", lambda c: c.events("KXBTCD"), *_page("events", EVENT), share=0.7),
    _target("event", lambda c: c.event("KXBTCD-26AUG1717"), {"event": EVENT},
            {"event": EVENT | {"markets": None}, "markets": [MARKET]}, share=0.7),
    _target("markets", lambda c: c.markets(series_ticker="KXBTCD"),
            *_page("markets", MARKET, *recorded("GET /markets/{ticker}")), share=0.7),
    _target("market", lambda c: c.market(T), {"market": MARKET},
            *({"market": body} for body in recorded("GET /markets/{ticker}"))),
    _target("orderbook", lambda c: c.orderbook(T), {"orderbook_fp": BOOK},
            *recorded("GET /markets/{ticker}/orderbook"), check=_levels),
    _target("orderbooks", lambda c: c.orderbooks([T]),
            {"orderbooks": [{"ticker": T, "orderbook_fp": BOOK}]}, check=_levels),
    _target("trades", lambda c: c.trades(T), *_page("trades", TRADE),
            {"trades": recorded_trades(3), "cursor": ""}),
    _target("candlesticks", lambda c: c.candlesticks("KXBTCD", T, 0, 1),
            {"candlesticks": [CANDLE, CANDLE]}),
    _target("historical cutoff", lambda c: c.historical_cutoff(), CUTOFF),
    _target("endpoint costs", lambda c: c.endpoint_costs(), COSTS),
    _target("as of", lambda c: c.as_of_us(), {"as_of_time": "2026-11-21T10:00:00Z"}),
    _target("balance", lambda c: c.balance(), BALANCE, BALANCE | {"balance_dollars": None}, share=2),
    _target("positions", lambda c: c.positions(), *_page("market_positions", POSITION), share=2),
    _target("listed positions", lambda c: c.listed_positions(),
            *_page("market_positions", POSITION, POSITION)),
    _target("fills", lambda c: c.fills(), *_page("fills", FILL), share=2),
    _target("listed fills", lambda c: c.listed_fills(min_us=0), *_page("fills", FILL, FILL)),
    _target("settlements", lambda c: c.settlements(), *_page("settlements", SETTLEMENT), share=2),
    _target("orders", lambda c: c.orders(), *_page("orders", ORDER), share=2),
    _target("order", lambda c: c.order("o-1"), {"order": ORDER}, share=2),
    _target("queue positions", lambda c: c.queue_positions("E"),
            {"queue_positions": [{"order_id": "o", "market_ticker": T, "queue_position_fp": "1.00"}]}),
    _target("deposits", lambda c: c.deposits(), *_page("deposits", MOVEMENT)),
    _target("withdrawals", lambda c: c.withdrawals(), *_page("withdrawals", MOVEMENT)),
    _target("transfers", lambda c: c.transfers(), *_page("transfers", TRANSFER),
            *_page("transfers", TRANSFER | {"created_ts": 1_780_000_000})),
    _target("limits", lambda c: c.limits(),
            {"usage_tier": "advanced", "read": BUCKET, "write": BUCKET}),
    _target("api keys", lambda c: c.api_keys(), KEYS),
    _target("order groups", lambda c: c.order_groups(), {"order_groups": [GROUP]}),
    _target("order group", lambda c: c.order_group("g"), GROUP | {"id": None}),
)  # fmt: skip


async def _created(client: Answered) -> Any:
    call = Call(method="POST", path="/portfolio/events/orders")
    return client._understand(call, await client._call(call), wire_orders.order_reply)


_UNKNOWN = (OutcomeUnknown,)
CHANGES = (
    _target("create", _created, CREATED,
            refusals=_UNKNOWN, share=2),
    _target("cancel", lambda c: c.cancel_order(REF),
            {"order_id": "o", "client_order_id": "c", "reduced_by": "3.00", "ts_ms": 1}, refusals=_UNKNOWN),
    _target("amend", lambda c: c.amend_order(REF, BookSide.ASK, yes_price_e4=4400,
            total_qty_e2=250), CREATED, refusals=_UNKNOWN),
    _target("decrease", lambda c: c.decrease_order(REF, by_qty_e2=50),
            {"order_id": "o", "remaining_count": "1.00", "client_order_id": "c", "ts_ms": 1}, refusals=_UNKNOWN),
    _target("create batch", lambda c: c.create_orders([NEW, NEW]),
            {"orders": [CREATED, REFUSED]},
            refusals=_UNKNOWN),
    _target("cancel batch", lambda c: c.cancel_orders([REF, REF]),
            {"orders": [{"order_id": "o", "client_order_id": "c", "reduced_by": "3.00", "ts_ms": 1},
                        {"order_id": "p", "error": {"code": "not_found"}}]}, refusals=_UNKNOWN),
    _target("create group", lambda c: c.create_order_group(1000, exchange_index=2),
            {"order_group_id": "g", "exchange_index": 2}, refusals=_UNKNOWN),
    _target("transfer", lambda c: c.transfer(5_000_000, source_shard=0, destination_shard=2),
            {"transfer_id": "t"}, refusals=_UNKNOWN),
)  # fmt: skip


_STATUSES = (400, 401, 403, 404, 408, 409, 410, 429, 500, 503)
_CALLS = (Call(method="GET", path="/x"), Call(method="POST", path="/x"))
_SAID = (RateLimited, OutcomeUnknown, Unavailable, KalshiRejected)
ERRORS = (
    {"error": {"code": "INVALID_ORDER", "message": "no", "details": "post only cross"}},
    {"error": {"code": "order_already_exists", "message": "used", "service": "trading"}},
    {"code": "bad_request", "message": "m", "details": "d"},
    {"msg": "limit must be at most 1000"},
    {"error": "too many requests"},
)


def _error(data: bytes) -> Any:
    status = _STATUSES[len(data) % len(_STATUSES)]
    return CLIENT._failure(_CALLS[len(data) % 2], HttpReply(status, {}, data))


def _is_known_error(error: Any) -> None:
    if type(error) not in _SAID:
        raise wrong("error", "one of the documented errors", type(error))
    if len(str(error)) > 3000:
        raise wrong("error", "a message that can be shown", len(str(error)))
    if isinstance(error, KalshiRejected):
        for text in (error.code, error.message, error.details):
            anything(text, "error")


_bodies = [*(msgspec.json.encode(each) for each in ERRORS), b"<html>502 Bad Gateway</html>"]
ERROR_BODIES = Target(
    name="kalshi rest error body",
    decode=_error,
    maker=Json(_bodies[:-1]),
    examples=_bodies,
    refusals=(),
    check=_is_known_error,
)
TARGETS = (*READS, *CHANGES, ERROR_BODIES)
