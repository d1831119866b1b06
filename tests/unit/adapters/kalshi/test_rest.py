"""REST calls: what goes out, and what each answer means."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from tests.unit.adapters.clock import HandClock
from tests.unit.adapters.keys import ed25519_key, pkcs8

from recio.adapters.kalshi.budget import Budget, Lane
from recio.adapters.kalshi.errors import KalshiRejected, OutcomeUnknown, RateLimited
from recio.adapters.kalshi.model import NewOrder, OrderRef, TimeInForce
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.signing import RequestSigner
from recio.domain.errors import InvalidValue, NoAnswer, Rejected, Unavailable
from recio.domain.orders import BookSide
from recio.ports import HttpReply

TICKER = "KXBTCD-26AUG1717-T72749.99"
ORDERS = "/trade-api/v2/portfolio/events/orders"
REF = OrderRef(order_id="o/1", ticker=TICKER, exchange_index=2)
NEW = NewOrder(
    ticker=TICKER,
    book_side=BookSide.BID,
    qty_e2=100,
    yes_price_e4=5600,
    client_order_id="c-1",
    time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL,
    exchange_index=2,
)
CREATED = {
    "order_id": "o",
    "client_order_id": "c-1",
    "fill_count": "1.00",
    "remaining_count": "0.00",
}


class Script:
    """An HttpTransport that answers from a list and remembers what was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def request(self, method, target, headers, body=b"", *, timeout_s):
        """Answer with the next of the script."""
        assert timeout_s > 0
        self.asked.append((method, target, headers, body))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, said = answer
        data = said if isinstance(said, bytes) else json.dumps(said).encode()
        return HttpReply(status, {}, data)

    async def close(self):
        """Forget the rest."""
        self.answers.clear()


class Desk:
    """A REST adapter over a script."""

    def __init__(self, *answers, signed=True):
        self.http = Script(*answers)
        self.clock = HandClock()
        signer = RequestSigner("key", pkcs8(ed25519_key())) if signed else None
        self.rest = KalshiRest(self.http, signer, self.clock, Budget(self.clock))

    @property
    def last(self):
        """Return method, path, query and body of the last request."""
        method, target, _, body = self.http.asked[-1]
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return method, parts.path, query, json.loads(body) if body else None


def run(call):
    """Run a call."""
    return asyncio.run(call)


def test_a_create_names_shard_and_ticker_and_is_signed():
    """Without a shard every shard's budget is billed."""
    desk = Desk((201, CREATED))
    reply = run(desk.rest.create_order(NEW))
    assert (reply.order_id, reply.fill_qty_e2, reply.remaining_qty_e2) == ("o", 100, 0)
    method, path, query, body = desk.last
    assert (method, path, query) == ("POST", ORDERS, {})
    assert (body["exchange_index"], body["ticker"], body["count"]) == (2, TICKER, "1.00")
    assert "KALSHI-ACCESS-SIGNATURE" in desk.http.asked[-1][2]


def test_prepare_sends_nothing_and_tells_when_it_was_signed():
    """Between signing and sending the caller checks its right to send."""
    desk = Desk((201, CREATED))
    prepared = run(desk.rest.prepare(NEW))
    assert desk.http.asked == []
    assert prepared.signed_at_us == desk.clock.now_us
    assert run(desk.rest.submit(prepared)).order_id == "o"


def test_a_cancel_names_ticker_and_shard():
    """Otherwise the exchange looks on shard 0 and answers 404; the id is escaped."""
    desk = Desk((200, {"order_id": "o/1", "reduced_by": "3.00", "ts_ms": 1}))
    assert run(desk.rest.cancel_order(REF)).reduced_qty_e2 == 300
    assert desk.last == (
        "DELETE",
        f"{ORDERS}/o%2F1",
        {"exchange_index": "2", "market_ticker": TICKER},
        None,
    )


def test_amend_and_decrease_and_groups():
    """Each mutation carries what the exchange asks for."""
    desk = Desk(
        (200, CREATED),
        (200, {"order_id": "o", "remaining_count": "1.00"}),
        (201, {"order_group_id": "g"}),
        (200, {}),
        (201, {"transfer_id": "t"}),
    )
    run(desk.rest.amend_order(REF, BookSide.ASK, yes_price_e4=4400, total_qty_e2=250))
    assert desk.last[3] == {
        "ticker": TICKER,
        "side": "ask",
        "price": "0.4400",
        "count": "2.50",
        "exchange_index": 2,
    }
    run(desk.rest.decrease_order(REF, by_qty_e2=50))
    assert desk.last[3] == {"reduce_by": "0.50", "market_ticker": TICKER, "exchange_index": 2}
    assert run(desk.rest.create_order_group(1000, exchange_index=2)).group_id == "g"
    run(desk.rest.reset_order_group("g", exchange_index=2))
    assert desk.last == (
        "PUT",
        "/trade-api/v2/portfolio/order_groups/g/reset",
        {"exchange_index": "2"},
        {},
    )
    assert run(desk.rest.transfer(5_000_000, source_shard=0, destination_shard=2)) == "t"
    with pytest.raises(InvalidValue, match="exactly one"):
        run(desk.rest.decrease_order(REF))


MUTATION_UNKNOWN = [
    (500, {"error": {"code": "internal_error"}}),
    (503, b"<html>"),
    (408, b""),
    (201, b"not json"),
    (201, {"no": "order_id"}),
    (201, {**CREATED, "client_order_id": "somebody-elses"}),
    NoAnswer("cut", sent=True),
    Unavailable("a transport that does not say"),
]


@pytest.mark.parametrize("answer", MUTATION_UNKNOWN)
def test_a_mutation_without_a_usable_answer_is_unknown(answer):
    """It may live at the exchange: never "failed"."""
    with pytest.raises(OutcomeUnknown):
        run(Desk(answer).rest.create_order(NEW))


def test_a_mutation_of_which_nothing_left_is_not_unknown():
    """It was not done; it may be tried again."""
    with pytest.raises(Unavailable) as caught:
        run(Desk(NoAnswer("refused", sent=False)).rest.create_order(NEW))
    assert not isinstance(caught.value, OutcomeUnknown)


@pytest.mark.parametrize("answer", [(500, b""), (504, b""), NoAnswer("cut", sent=True)])
def test_a_read_without_an_answer_is_unavailable(answer):
    """Nothing can have happened."""
    with pytest.raises(Unavailable) as caught:
        run(Desk(answer).rest.status())
    assert not isinstance(caught.value, OutcomeUnknown)


def test_a_refusal_tells_status_code_and_reason():
    """The caller decides by code, people by the message."""
    error = {"error": {"code": "order_already_exists", "message": "used", "details": "d"}}
    with pytest.raises(KalshiRejected, match=r"POST /portfolio/events/orders with 409") as caught:
        run(Desk((409, error)).rest.create_order(NEW))
    assert caught.value.is_duplicate
    assert (caught.value.code, caught.value.details) == ("order_already_exists", "d")


def test_429_means_nothing_was_done_and_corrects_the_budget():
    """No Retry-After comes; our own count is set to nothing."""
    desk = Desk((429, {"error": "too many requests"}))
    with pytest.raises(RateLimited):
        run(desk.rest.create_order(NEW))
    assert not desk.rest.budget.try_take(Lane.CANCEL, 2, shard=2)
    assert desk.rest.budget.try_take(Lane.CANCEL, 2)


def test_an_order_needs_a_key():
    """Public reads do not."""
    desk = Desk((200, {"exchange_active": True, "trading_active": False}), signed=False)
    assert run(desk.rest.status()).is_trading_active is False
    assert "KALSHI-ACCESS-KEY" not in desk.http.asked[0][2]
    with pytest.raises(Rejected, match="needs a key"):
        run(desk.rest.create_order(NEW))


FILL = {
    "trade_id": "t",
    "order_id": "o",
    "ticker": TICKER,
    "book_side": "bid",
    "count_fp": "1.00",
    "yes_price_dollars": "0.5200",
    "is_taker": True,
    "fee_cost": "0.0175",
}


def test_all_pages_are_read():
    """The last page has an empty cursor; times are widened to whole seconds."""
    desk = Desk(
        (200, {"fills": [FILL], "cursor": "next"}),
        (200, {"fills": [FILL | {"trade_id": "u"}], "cursor": ""}),
    )
    fills = run(desk.rest.fills(ticker=TICKER, min_us=1_500_000, max_us=2_500_000))
    assert [fill.fill_id for fill in fills] == ["t", "u"]
    assert desk.last[2] == {
        "ticker": TICKER,
        "min_ts": "1",
        "max_ts": "3",
        "limit": "1000",
        "cursor": "next",
    }


def test_a_list_that_does_not_end_is_an_error_not_a_loop():
    """A cursor that repeats would be read for ever."""
    desk = Desk(*[(200, {"fills": [], "cursor": "same"})] * 2)
    with pytest.raises(InvalidValue, match="does not end"):
        run(desk.rest.fills())


def test_a_list_of_money_with_a_bad_row_is_refused_as_a_whole():
    """A list with a hole looks complete."""
    desk = Desk((200, {"fills": [FILL, FILL | {"count_fp": "x"}], "cursor": ""}))
    with pytest.raises(InvalidValue):
        run(desk.rest.fills())


def test_a_list_of_markets_with_a_bad_row_keeps_the_others_and_counts():
    """Market data lives on."""
    good = {"ticker": TICKER, "event_ticker": "KXBTCD-26AUG1717", "status": "active"}
    desk = Desk((200, {"markets": [good, {"ticker": 5}], "cursor": None}))
    assert [one.ticker for one in run(desk.rest.markets(series_ticker="KXBTCD"))] == [TICKER]
    assert desk.rest.refused == {"market": 1}


def test_many_books_are_read_a_hundred_at_a_time():
    """Tickers are repeated in the query."""
    empty = {"orderbooks": []}
    desk = Desk((200, empty), (200, empty))
    run(desk.rest.orderbooks([f"T{number}" for number in range(130)]))
    assert [asked[1].count("tickers=") for asked in desk.http.asked] == [100, 30]


def test_adopted_limits_change_the_budget():
    """The account's own tier counts."""
    limits = {
        "usage_tier": "advanced",
        "read": {"refill_rate": 300, "bucket_capacity": 600},
        "write": {"refill_rate": 300, "bucket_capacity": 600},
    }
    desk = Desk((200, limits))
    run(desk.rest.adopt_limits())
    assert desk.rest.budget.limits.write.capacity == 600


def test_a_batch_is_paid_by_its_size_from_the_unscoped_bucket():
    """Ten tokens an order; the reply has one answer an order, in order."""
    desk = Desk((201, {"orders": [CREATED, {"client_order_id": "d", "error": {"code": "x"}}]}))
    second = msgspec.structs.replace(NEW, client_order_id="d")
    created = run(desk.rest.create_orders([NEW, second]))
    assert [item.error is None for item in created] == [True, False]
    assert desk.rest.budget.try_take(Lane.ENTRY, 40)
    assert not desk.rest.budget.try_take(Lane.ENTRY, 1)
