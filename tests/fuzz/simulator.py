"""Targets: what members and testers send to the paper exchange, and what its own files hold.

The whole API answers, not only its decoders: signature and budget are passed over, everything else
is the product's. Whatever is sent, the answer is a documented status with a JSON body, and no money
appears: cash stays what it was, plus what was traded, to the micro-dollar.
"""

from collections.abc import Callable
from itertools import count
from random import Random  # noqa: TID251  (seeded by target and chunk)
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec
from tests.fuzz.kalshi_rest import done
from tests.fuzz.mutators import Binary, Json
from tests.fuzz.oracle import wrong
from tests.fuzz.targets import Target
from tests.unit.exchange_simulator import builders
from tests.unit.exchange_simulator.client import BASE, TestClock

from recio.adapters.transport.client import _Connection
from recio.domain.errors import Rejected, Unavailable
from recio.exchange_simulator.api.auth import KEY_HEADER
from recio.exchange_simulator.api.messages import Now, Request, Response
from recio.exchange_simulator.control import Control
from recio.exchange_simulator.core.state import Changes
from recio.exchange_simulator.feeds import Feeds
from recio.exchange_simulator.gateway import Gateway
from recio.exchange_simulator.stream.session import Session
from recio_operator import kube, paper_keys, readiness

NOW_US = builders.NOW_US
_STATUSES = {200, 201, 204, 400, 401, 403, 404, 405, 409, 410, 413, 422, 429}


_ORDER = {
    "ticker": builders.LOW, "side": "bid", "count": "10.00", "price": "0.4500",
    "time_in_force": "good_till_canceled", "self_trade_prevention_type": "taker_at_cross",
    "client_order_id": "c-1", "exchange_index": 2, "expiration_time": None, "post_only": False,
    "reduce_only": False, "cancel_order_on_pause": True, "order_group_id": None, "subaccount": 0,
}  # fmt: skip
_ORDERS = f"{BASE}/portfolio/events/orders"


class Refused(Exception):
    """The exchange said no, as documented."""


class House:
    """A small exchange with one member and a book; a new one for each chunk of inputs."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Open a new exchange."""
        exchange = self.exchange = builders.exchange()
        numbers = count(1)
        exchange.fresh = lambda: UUID(int=next(numbers))
        self.clock = TestClock()
        self.gateway = Gateway(exchange, self.clock)
        self.api = self.gateway.api
        body = {"account": "alice", "initial_balance_dollars": "1000", "key_type": "ed25519"}
        made = self.api.handle(
            Request("POST", "/admin/accounts", {}, msgspec.json.encode(body)), self.now()
        )
        key_id = msgspec.json.decode(made.body)["api_key_id"]
        key = exchange.state.keys[key_id]
        self.api.verifier = SimpleNamespace(verify=lambda *_: key)  # type: ignore[assignment]
        self.api.limits = _NoLimits()  # type: ignore[assignment]
        exchange.set_external_level(builders.LOW, "yes", 4400, 10_000, NOW_US)
        exchange.set_external_level(builders.LOW, "no", 5000, 10_000, NOW_US)
        asked = msgspec.json.encode(_ORDER | {"client_order_id": "first"})
        resting = self.api.handle(Request("POST", _ORDERS, {KEY_HEADER: "k"}, asked), self.now())
        self.order_id = msgspec.json.decode(resting.body)["order_id"]
        self.hub = self.gateway.hub
        self.session = Session(self.hub, "alice")
        self.feeds = Feeds(exchange)

    def now(self) -> Now:
        """Return both times."""
        return Now(NOW_US, NOW_US)

    def ask(self, method: str, target: str, data: bytes) -> Response:
        """Send one request."""
        headers = {KEY_HEADER: "k"}
        target = target.replace("{order}", self.order_id)
        answer = self.api.handle(Request(method, target, headers, data), self.now())
        self.exchange.state.changes = Changes()
        if answer.status >= 400:
            _answer(answer)
            raise Refused
        return answer


class _NoLimits:
    def bill_read(self, *_: object) -> None:
        """Cost nothing."""

    def bill_write(self, *_: object) -> None:
        """Cost nothing."""


def _answer(answer: Response) -> None:
    if answer.status not in _STATUSES:
        raise wrong("status", "a documented status", answer.status)
    if answer.body:
        msgspec.json.decode(answer.body)
    state = HOUSE.exchange.state
    for account in state.accounts.values():
        for shard, cash in account.cash_e6.items():
            if type(cash) is not int or cash < 0 or account.held_e6.get(shard, 0) < 0:
                raise wrong("cash", "money that is not negative", (cash, account.held_e6))


HOUSE = House()


class _Fresh(Json):
    """Orders need an id that was not used before."""

    number = 0

    def make(self, random: Random) -> bytes:
        self.number += 1
        return super().make(random).replace(b'"c-1"', b'"c-%d"' % self.number)


def _rest(name: str, method: str, path: str, *bodies: Any, share: float = 0.08) -> Target:
    examples = [msgspec.json.encode(body) for body in bodies]
    return Target(
        name=f"simulator {name}",
        decode=lambda data: HOUSE.ask(method, path, data),
        maker=_Fresh(examples),
        examples=examples,
        refusals=(Refused,),
        check=_answer,
        is_twice=False,
        begin=HOUSE.begin,
        share=share,
    )  # fmt: skip


class _Query(Binary):
    """Paths and queries; what is no character of a path is escaped, as on the wire."""

    def make(self, random: Random) -> bytes:
        return quote(super().make(random), safe="/?&=,%-._~").encode()


def _query(data: bytes) -> Any:
    return HOUSE.ask("GET", BASE + data.decode("latin-1"), b"")


_QUERIES = [
    b"/markets?limit=100&cursor=bjEy&status=open&tickers=A,B&min_close_ts=1&max_close_ts=2",
    b"/markets/" + builders.LOW.encode() + b"/orderbook?depth=10",
    b"/series/KXBTCD/markets/" + builders.LOW.encode() +
    b"/candlesticks?start_ts=1795192000&end_ts=1795195000&period_interval=1",
    b"/portfolio/fills?ticker=X&order_id=o&min_ts=1&max_ts=2&limit=1000&cursor=",
    b"/portfolio/orders?status=resting&subaccount=0&limit=10", b"/portfolio/positions?count_filter=x",
    b"/portfolio/settlements?limit=1", b"/events?series_ticker=KXBTCD&with_nested_markets=true",
    b"/markets/trades?ticker=X&min_ts=0&limit=5", b"/markets/orderbooks?tickers=A&tickers=B",
    b"/portfolio/balance?exchange_index=2", b"/portfolio/orders/o/queue_position",
]  # fmt: skip


def _stream(data: bytes) -> Any:
    session = HOUSE.session
    session.receive(data.decode("utf-8", "replace"))
    frames, session.outbox[:] = list(session.outbox), []
    if len(session.subscriptions) > 200:
        session.close()
    return frames


def _frames(frames: Any) -> None:
    for frame in frames:
        msgspec.json.decode(frame)


def _feed(venue: str) -> Callable[[bytes], Any]:
    sent: list[bytes] = []

    def decode(data: bytes) -> Any:
        sent.clear()
        session = HOUSE.feeds.connect(f"/feeds/{venue}", sent.extend)
        assert session is not None
        session.receive(data.decode("utf-8", "replace"))
        HOUSE.feeds.leave(session)
        return list(sent)

    return decode


def _control(path: str) -> Callable[[bytes], Any]:
    def decode(data: bytes) -> Any:
        control = Control(HOUSE.gateway)
        answer = done(control.request(Request("POST", path, {}, data)))
        HOUSE.gateway.faults.__init__()  # type: ignore[misc]
        HOUSE.exchange.state.config.settle_delay_seconds = 0
        HOUSE.exchange.state.config.read_lag_ms = 0
        if answer.status >= 400:
            _answer(answer)
            raise Refused
        return answer

    return decode


def _plain(name: str, decode: Callable[[bytes], Any], *examples: Any, check: Any, refusals: tuple[type[Exception], ...] = (),
           share: float = 0.4, begin: Any = None) -> Target:  # fmt: skip
    texts = [each if isinstance(each, bytes) else msgspec.json.encode(each) for each in examples]
    maker = Binary(texts) if isinstance(examples[0], bytes) else Json(texts)
    return Target(name=name, decode=decode, maker=maker, examples=texts, refusals=refusals,
                  check=check, is_twice=False, share=share, begin=begin)  # fmt: skip


class _Loop:
    def create_future(self) -> Any:
        """Never used: the waiter is set by hand."""


class _Wire:
    def abort(self) -> None:
        """Close at once."""

    def get_extra_info(self, _name: str) -> None:
        """Have no socket."""


class _Waiter:
    value: Any = None

    def done(self) -> bool:
        return self.value is not None

    def set_result(self, value: Any) -> None:
        self.value = value

    def set_exception(self, error: Exception) -> None:
        self.value = error


def _http(data: bytes) -> Any:
    """Give a connection with one waiting request some bytes of the server, then its end."""
    connection = _Connection(_Loop(), lambda _: None)  # type: ignore[arg-type]
    connection.connection_made(_Wire())  # type: ignore[arg-type]
    waiter = _Waiter()
    connection._waiter = waiter  # type: ignore[assignment]
    connection.data_received(data)
    connection.connection_lost(None)
    if isinstance(waiter.value, Exception):
        raise waiter.value
    return waiter.value


def _reply(value: Any) -> None:
    if type(value.status) is not int or not 0 <= value.status <= 65535:
        raise wrong("status", "a number", value.status)
    if type(value.body) is not bytes or not all(type(each) is str for each in value.headers):
        raise wrong("reply", "bytes and texts", value)


def _ignore(_value: object) -> None:
    """Accept any value of its type."""


def _kube(data: bytes) -> Any:
    return kube._decoded("GET", "/x", (200, 404, 409, 500)[len(data) % 4], data)


_HTTP = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\nConnection: close\r\n\r\nbusy",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
)  # fmt: skip
_SUBSCRIBE = {"id": 1, "cmd": "subscribe", "params": {
    "channels": ["orderbook_delta", "ticker", "cfbenchmarks_value"],
    "market_tickers": [builders.LOW], "index_ids": ["BRTI"], "use_yes_price": False,
    "send_initial_snapshot": True}}  # fmt: skip
_UPDATE = {"id": 2, "cmd": "update_subscription", "params": {
    "sids": [1], "action": "add_markets", "market_tickers": [builders.HIGH]}}  # fmt: skip
TARGETS = (
    _rest("create order", "POST", _ORDERS, _ORDER, share=0.3),
    _rest("create batch", "POST", f"{_ORDERS}/batched", {"orders": [_ORDER]}),
    _rest("cancel batch", "DELETE", f"{_ORDERS}/batched",
          {"orders": [{"order_id": "o", "exchange_index": 2, "market_ticker": builders.LOW}]}),
    _rest("amend order", "POST", f"{_ORDERS}/{{order}}/amend",
          {"ticker": builders.LOW, "side": "bid", "price": "0.4400", "count": "2.00"}),
    _rest("decrease order", "POST", f"{_ORDERS}/{{order}}/decrease",
          {"reduce_by": "0.50", "market_ticker": builders.LOW, "exchange_index": 2}),
    _rest("create group", "POST", f"{BASE}/portfolio/order_groups/create",
          {"contracts_limit": 10, "contracts_limit_fp": "10.00", "exchange_index": 2}),
    _rest("transfer", "POST", f"{BASE}/portfolio/intra_exchange_instance_transfer",
          {"source": "event_contract", "destination": "event_contract", "amount": 10_000,
           "source_exchange_shard": 2, "destination_exchange_shard": 0}),
    _rest("register key", "POST", f"{BASE}/api_keys",
          {"name": "n", "public_key": "-----BEGIN PUBLIC KEY-----", "scopes": ["read"]}),
    _rest("admin account", "POST", "/admin/accounts",
          {"account": "bob", "initial_balance_dollars": "1000", "key_type": "ed25519",
           "public_key_pem": "x"}),
    Target(name="simulator query", decode=_query, maker=_Query(_QUERIES), examples=_QUERIES,
           refusals=(Refused,), check=_answer, is_twice=False, begin=HOUSE.begin, share=0.08),
    _plain("simulator stream command", _stream, _SUBSCRIBE, _UPDATE,
           {"id": 3, "cmd": "unsubscribe", "params": {"sids": [1]}},
           {"id": 4, "cmd": "list_subscriptions"}, check=_frames, begin=HOUSE.begin),
    _plain("simulator coinbase command", _feed("coinbase"),
           {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["ticker", "heartbeat"]},
           check=_frames),
    _plain("simulator kraken command", _feed("kraken"),
           {"method": "subscribe", "params": {"channel": "ticker", "symbol": ["BTC/USD"]}},
           check=_frames),
    _plain("simulator bitstamp command", _feed("bitstamp"),
           {"event": "bts:subscribe", "data": {"channel": "live_trades_btcusd"}},
           check=_frames),
    _plain("simulator request fault", _control("/faults/requests"),
           {"fault": "status", "count": 1, "method": "POST", "path": "/x", "status": 503,
            "delay_seconds": 1.0}, check=_answer, refusals=(Refused,), share=0.2),
    _plain("simulator frame fault", _control("/faults/frames"),
           {"fault": "lose", "count": 1, "type": "fill", "account": "a", "delay_seconds": 1.0},
           check=_answer, refusals=(Refused,), share=0.2),
    _plain("simulator action", _control("/exchange"),
           {"action": "read_lag", "seconds": 1, "milliseconds": 5, "ticker": builders.LOW},
           check=_answer, refusals=(Refused,), share=0.2, begin=HOUSE.begin),
    _plain("http reply", _http, *_HTTP, check=_reply, refusals=(Unavailable,), share=1),
    _plain("operator readyz", readiness.reason_in,
           {"is_ready": True, "services": [{"service": "main_app", "is_ready": False,
            "account": "paper", "reason": "r"}]}, check=_ignore),
    _plain("operator kube reply", _kube, {"kind": "Status", "message": "m", "reason": "r"},
           {"kind": "Pod", "metadata": {"name": "x"}}, check=_ignore,
           refusals=(Rejected, Unavailable)),
    _plain("operator account list", lambda data: paper_keys._accounts_in(data, "paper"),
           {"accounts": ["a", "b"]}, check=_ignore, refusals=(Unavailable,)),
)  # fmt: skip
