"""Targets: the exchange's WebSocket, one for each channel, through the session that keeps the books.

Every frame of a chunk meets the same session, as on a connection. Between frames the harness undoes
only what would make the next ones be passed over: the numbering, and a book without a snapshot.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from tests.fuzz.kalshi_rest import FILL as FILL_ROW
from tests.fuzz.kalshi_rest import ORDER, T
from tests.fuzz.mutators import Json
from tests.fuzz.oracle import anything, count, price, wrong
from tests.fuzz.targets import Target

from recio.adapters.kalshi.events import BookChanged
from recio.adapters.kalshi.stream import (
    FILL,
    GROUPS,
    INDEX,
    INDEX_5HZ,
    LIFECYCLE,
    MARKET_POSITIONS,
    ORDER_BOOK,
    TICKER,
    TRADE,
    USER_ORDERS,
    StreamSession,
    Subscription,
)

NOW_US = 1_795_255_200_000_000
SID = 7
OTHER = "KXBTCD-26AUG1717-T73000.00"


class NotTaken(Exception):
    """The session took nothing from the frame: it refused or dropped it, and counted that."""


class Connection:
    """One session on one connection, subscribed to one channel."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.begin()

    def begin(self) -> None:
        """Open a new connection."""
        session = self.session = StreamSession(lambda: NOW_US, lambda: NOW_US)
        is_book = self.channel == ORDER_BOOK
        tickers = (T, OTHER) if is_book else ()
        indices = ("BRTI",) if self.channel.startswith(INDEX) else ()
        session.want(
            Subscription(key="it", channel=self.channel, tickers=tickers, index_ids=indices)
        )
        session.connected()
        told = {"channel": self.channel, "sid": SID}
        session.receive(msgspec.json.encode({"id": 1, "type": "subscribed", "msg": told}))
        self.live = session._wanted["it"]

    def take(self, data: bytes) -> Sequence[Any]:
        """Receive one frame and return its events."""
        session, live = self.session, self.live
        live.last_seq = 1
        live.is_asked, live.sid = True, SID
        session._by_sid = {SID: live}
        for book in session.books.values():
            if not book.is_valid:
                book.load([(4500, 1000), (4400, 500)], [(5000, 100)], seq=1, at_us=NOW_US)
        events = session.receive(data)
        commands = len(session.outbox)
        session.outbox.clear()
        session._asked.clear()
        if commands > 3:
            raise wrong("outbox", "at most three commands for a frame", commands)
        if not events:
            raise NotTaken
        return events


def _check(events: Sequence[Any]) -> None:
    for event in events:
        if isinstance(event, BookChanged):
            book = event.book
            if book.is_valid:
                for side in (book.yes, book.no):
                    for price_e4, qty_e2 in side.levels.items():
                        price(price_e4, "price_e4")
                        count(qty_e2, "qty_e2")
                        if price_e4 in (0, 10_000) or not qty_e2:
                            raise wrong("level", "a price and size at which one can trade", qty_e2)
                    if side.best_e4 != max(side.levels, default=0):
                        raise wrong("best_e4", "the highest bid", side.best_e4)
                anything(book.quote(), "quote")
        else:
            anything(event, "event")


def _target(channel: str, *frames: Any, share: float = 1, part: str = "") -> Target:
    connection = Connection(channel)
    examples = [msgspec.json.encode(frame) for frame in frames]
    return Target(
        name=f"kalshi stream {channel}{part}",
        decode=connection.take,
        maker=Json(examples),
        examples=examples,
        refusals=(NotTaken,),
        check=_check,
        is_twice=False,
        begin=connection.begin,
        share=share,
    )


def _frame(kind: str, msg: Any) -> dict[str, Any]:
    return {"type": kind, "sid": SID, "seq": 2, "msg": msg}


_INDEX = {
    "index_id": "BRTI",
    "data": '{"value":"80193.52","time":1795255200000}',
    "avg_60s_data": {"value": "80190.1", "window_size": 60},
    "last_60s_windowed_average_15min": {"value": "80190.12345678", "window_size": 12},
}
_LIFE = {
    "market_ticker": T, "event_type": "determined", "open_ts": 1_795_255_200,
    "close_ts": 1_795_258_800, "determination_ts": 1_795_258_801, "settled_ts": 1_795_258_861,
    "result": "yes", "strike_type": "greater", "floor_strike": 72749.99, "cap_strike": None,
    "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}], "exchange_index": 2,
    "additional_metadata": {"event_ticker": "KXBTCD-26AUG1717", "strike_type": "greater",
                            "floor_strike": 72749.99},
}  # fmt: skip
TARGETS = (
    _target(
        ORDER_BOOK,
        _frame("orderbook_delta", {"market_ticker": T, "price_dollars": "0.4400",
               "delta_fp": "-5.00", "side": "yes", "ts_ms": 1_795_255_200_000}),
        _frame("orderbook_delta", {"market_ticker": OTHER, "price_dollars": "0.5600",
               "delta_fp": "105.00", "side": "no", "ts_ms": 1_795_255_200_000,
               "client_order_id": "c", "subaccount": 0}),
        _frame("orderbook_delta", {"market_ticker": "FOREIGN", "price_dollars": "0.5600",
               "delta_fp": "105.00", "side": "no", "ts_ms": 0}), share=8.37),
    _target(
        ORDER_BOOK,
        _frame("orderbook_snapshot", {"market_ticker": T, "market_id": "x",
               "yes_dollars_fp": [["0.0800", "300.00"], ["0.2200", "333.00"]],
               "no_dollars_fp": [["0.5400", "20.00"]], "ts_ms": 1_795_255_200_000}), part=" snapshot"),
    _target(
        ORDER_BOOK,
        {"id": 1, "type": "subscribed", "msg": {"channel": ORDER_BOOK, "sid": SID}},
        {"id": 2, "type": "error", "sid": SID, "msg": {"code": 25, "msg": "buffer overflow"}},
        {"id": 3, "type": "ok", "sid": SID, "seq": 2, "msg": {"market_tickers": [T]}},
        {"sid": SID, "seq": 2, "type": "unsubscribed"}, part=" answers"),
    _target(TICKER, _frame("ticker", {"market_ticker": T, "price_dollars": "0.4800",
            "yes_bid_dollars": "0.4500", "yes_ask_dollars": "0.5300", "volume_fp": "33896.00",
            "open_interest_fp": "20422.00", "ts_ms": 1_795_255_200_000, "ts": 1_795_255_200})),
    _target(TRADE, _frame("trade", {"trade_id": "t", "market_ticker": T, "taker_side": "no",
            "yes_price_dollars": "0.3600", "count_fp": "136.00", "taker_outcome_side": "no",
            "taker_book_side": "ask", "is_block_trade": False, "ts": 1_795_255_200,
            "ts_ms": 1_795_255_200_000})),
    _target(FILL, _frame("fill", FILL_ROW), share=2),
    _target(USER_ORDERS, _frame("user_order", ORDER), share=2),
    _target(MARKET_POSITIONS, _frame("market_position", {"market_ticker": T,
            "position_fp": "-10.00", "position_cost_dollars": "5.0000",
            "realized_pnl_dollars": "-0.1000", "fees_paid_dollars": "0.0700", "subaccount": 0})),
    _target(LIFECYCLE, _frame("market_lifecycle_v2", _LIFE),
            _frame("event_lifecycle", {"event_ticker": "KXBTCD-26AUG1717", "series_ticker": "S",
                   "title": "t", "exchange_index": 2}),
            _frame("event_fee_update", {"event_ticker": "KXBTCD-26AUG1717",
                   "fee_type_override": "quadratic", "fee_multiplier_override": 0.5})),
    _target(GROUPS, _frame("order_group_updates", {"event_type": "triggered",
            "order_group_id": "g", "contracts_limit_fp": "10.00", "ts_ms": 1_795_255_200_000})),
    _target(INDEX, _frame("cfbenchmarks_value", _INDEX)),
    _target(INDEX_5HZ, _frame("cfbenchmarks_value_5hz", {"index_id": "BRTI",
            "value_usd": "80193.52", "source_ts_ms": 1_795_255_200_123})),
)  # fmt: skip
