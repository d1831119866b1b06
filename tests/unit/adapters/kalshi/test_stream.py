"""The subscription protocol: numbering, gaps, refusals, what is asked for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.adapters.clock import HandClock

from recio.adapters.kalshi.events import BookChanged, Gap, Refused
from recio.adapters.kalshi.stream import (
    ANSWER_WITHIN_US,
    FILL,
    INDEX,
    LIFECYCLE,
    ORDER_BOOK,
    TRADE,
    StreamSession,
    Subscription,
)

A, B = "KXBTCD-25AUG0122-T119499.99", "KXBTCD-25AUG0122-T119749.99"


class Wire:
    """A session and the exchange's end of it."""

    def __init__(self, *tickers, channel=ORDER_BOOK):
        self.clock = HandClock()
        self.session = StreamSession(self.clock.market_us, self.clock.wall_us)
        self.seq = 0
        self.session.want(Subscription(key="k", channel=channel, tickers=tickers))
        self.session.connected()
        (self.asked,) = self.commands()
        self.say(
            "subscribed", numbered=False, id=self.asked["id"], msg={"channel": channel, "sid": 7}
        )

    def commands(self):
        """Return and forget what the session wants to send."""
        texts, self.session.outbox[:] = self.session.outbox[:], []
        return [json.loads(text) for text in texts]

    def say(self, kind, *, numbered=True, skip=0, **fields):
        """Let the exchange say something; return the events."""
        frame = {"type": kind, **fields}
        if numbered:
            self.seq += 1 + skip
            frame |= {"sid": 7, "seq": self.seq}
        return self.session.receive(json.dumps(frame).encode())

    def snapshot(self, ticker, yes=(("0.4500", "10.00"),), no=(("0.5300", "7.00"),), **more):
        """Let the exchange send a snapshot."""
        body = {"market_ticker": ticker, "market_id": "x"}
        body |= {"yes_dollars_fp": yes} if yes else {}
        body |= {"no_dollars_fp": no} if no else {}
        return self.say("orderbook_snapshot", msg=body, **more)

    def delta(self, ticker, price="0.4500", delta="1.00", side="yes", *, skip=0, **more):
        """Let the exchange send a delta."""
        body = {"market_ticker": ticker, "price_dollars": price, "delta_fp": delta, "side": side}
        return self.say(
            "orderbook_delta", skip=skip, msg={**body, "ts_ms": 1_780_000_000_000, **more}
        )

    def quote(self, ticker=A):
        """Return a book's top."""
        return self.session.books[ticker].quote()


def live(*tickers):
    """Return a wire on which the snapshots have come."""
    wire = Wire(*tickers)
    for ticker in tickers:
        wire.snapshot(ticker)
    return wire


def test_it_asks_for_the_no_scale_explicitly():
    """The default of use_yes_price is announced to change."""
    assert Wire(A, B).asked == {
        "id": 1,
        "cmd": "subscribe",
        "params": {"channels": [ORDER_BOOK], "market_tickers": [A, B], "use_yes_price": False},
    }


def test_snapshot_and_deltas_make_the_book():
    """Prices and sizes are exact; an absent side is empty."""
    wire = Wire(A)
    (event,) = wire.snapshot(A, no=())
    assert isinstance(event, BookChanged)
    assert event.book is wire.session.books[A]
    wire.delta(A, "0.4610", "2.50")
    wire.delta(A, "0.0010", "100", side="no")
    quote = wire.quote()
    assert (quote.yes_bid_e4, quote.yes_bid_qty_e2) == (4610, 250)
    assert (quote.yes_ask_e4, quote.yes_ask_qty_e2) == (9990, 10_000)
    assert (quote.seq, quote.at_us, quote.is_valid) == (3, 1_780_000_000_000_000, True)


def test_a_missing_frame_invalidates_every_book_of_the_subscription_and_asks_for_snapshots():
    """Nothing is applied in between: a phantom book costs money."""
    wire = live(A, B)
    events = wire.delta(A, skip=2)
    assert events[0] == Gap("k", ORDER_BOOK, 2, (A, B))
    assert not wire.quote(A).is_valid
    assert not wire.quote(B).is_valid
    (command,) = wire.commands()
    assert command["params"] == {"sids": [7], "action": "get_snapshot", "market_tickers": [A, B]}
    assert wire.delta(B) == ()
    wire.snapshot(A, yes=(("0.1000", "1.00"),), id=command["id"])
    wire.snapshot(B)
    assert wire.quote(A).yes_bid_e4 == 1000
    assert wire.quote(B).is_valid
    assert wire.session.gaps == 1
    assert wire.session.overdue() is None


def test_the_first_frame_is_number_one():
    """A lost first snapshot is a gap, not a book that waits for ever."""
    wire = Wire(A, B)
    events = wire.snapshot(B, skip=1)
    assert isinstance(events[0], Gap)
    assert wire.commands()[0]["params"]["action"] == "get_snapshot"


@pytest.mark.parametrize("again", [1, 2])
def test_a_repeated_or_late_frame_is_dropped(again):
    """Applied twice, a delta would show contracts that are not there."""
    wire = live(A)
    wire.delta(A)
    wire.seq -= again
    assert wire.delta(A) == ()
    assert wire.quote().yes_bid_qty_e2 == 1100
    assert wire.session.dropped == 1


def test_acknowledgements_are_numbered_too():
    """An ``ok`` takes a number of its subscription."""
    wire = live(A)
    wire.session.want(Subscription(key="k", channel=ORDER_BOOK, tickers=(A, B)))
    (command,) = wire.commands()
    assert command["params"] == {"sids": [7], "action": "add_markets", "market_tickers": [B]}
    wire.say("ok", id=command["id"], msg={"market_tickers": [A, B]})
    wire.snapshot(B)
    wire.delta(A)
    assert wire.session.gaps == 0
    assert wire.quote(B).is_valid


def test_markets_are_taken_away_and_their_late_frames_dropped():
    """A closed event's books are forgotten."""
    wire = live(A, B)
    book = wire.session.books[B]
    wire.session.want(Subscription(key="k", channel=ORDER_BOOK, tickers=(A,)))
    assert wire.commands()[0]["params"]["action"] == "delete_markets"
    assert wire.delta(B) == ()
    assert list(wire.session.books) == [A]
    assert not book.is_valid


def test_a_change_while_the_answer_is_out_is_told_after_it():
    """The sid is needed to change a subscription."""
    wire = Wire(A)
    session = StreamSession(wire.clock.market_us, wire.clock.wall_us)
    session.connected()
    session.want(Subscription(key="k", channel=ORDER_BOOK, tickers=(A,)))
    session.want(Subscription(key="k", channel=ORDER_BOOK, tickers=(A, B)))
    assert len(session.outbox) == 1
    session.receive(b'{"type":"subscribed","id":1,"msg":{"channel":"orderbook_delta","sid":3}}')
    assert json.loads(session.outbox[1])["params"]["market_tickers"] == [B]


def test_what_was_withdrawn_before_the_answer_is_unsubscribed():
    """Otherwise its frames would come for ever."""
    wire = Wire(A)
    session = StreamSession(wire.clock.market_us, wire.clock.wall_us)
    session.connected()
    session.want(Subscription(key="k", channel=ORDER_BOOK, tickers=(A,)))
    session.drop("k")
    session.receive(b'{"type":"subscribed","id":1,"sid":3,"msg":{"channel":"orderbook_delta"}}')
    assert json.loads(session.outbox[-1])["params"] == {"sids": [3]}


def test_a_lost_connection_invalidates_all_books_and_a_new_one_asks_for_all():
    """What happened in between is not known."""
    wire = live(A)
    wire.session.disconnected("cut")
    assert wire.quote().is_valid is False
    assert wire.session.books[A].reason == "cut"
    wire.session.connected()
    (command,) = wire.commands()
    assert command["cmd"] == "subscribe"
    assert command["params"]["market_tickers"] == [A]
    wire.seq = 0
    wire.say("subscribed", numbered=False, id=command["id"], msg={"channel": ORDER_BOOK, "sid": 7})
    wire.snapshot(A)
    assert wire.quote().is_valid


def test_a_negative_level_is_never_shown():
    """It is resynchronised, once."""
    wire = live(A)
    (event,) = wire.delta(A, delta="-10.01")
    assert not event.book.is_valid
    assert len(wire.commands()) == 1
    assert wire.delta(A) == ()
    assert wire.commands() == []
    wire.snapshot(A)
    assert wire.quote().is_valid


ABSURD = [
    {"price": "0.0000"},
    {"price": "1.0000"},
    {"price": "1.5000"},
    {"price": "-0.1000"},
    {"price": "0.12345"},
    {"price": "NaN"},
    {"price": 0.45},
    {"delta": "1.005"},
    {"delta": "1e3"},
    {"delta": ""},
    {"delta": None},
    {"delta": "99999999999999.00"},
    {"side": "both"},
    {"ts_ms": -1},
    {"ts_ms": 10**18},
]


@pytest.mark.parametrize("fields", ABSURD)
def test_an_absurd_delta_is_refused_counted_and_resynchronised(fields):
    """Its number is used up, so the book lacks something now."""
    wire = live(A)
    assert wire.delta(A, **fields) == ()
    assert sum(wire.session.refused.values()) == 1
    assert not wire.quote().is_valid
    assert wire.commands()[0]["params"]["action"] == "get_snapshot"
    wire.snapshot(A)
    wire.delta(A)
    assert wire.quote().is_valid


def test_an_absurd_snapshot_is_refused_and_not_asked_for_again_and_again():
    """The book stays invalid; the others live on."""
    wire = live(A, B)
    assert wire.snapshot(A, yes=(("1.0000", "5.00"),)) == ()
    assert not wire.quote(A).is_valid
    assert wire.delta(A) == ()
    assert wire.commands() == []
    wire.delta(B)
    assert wire.quote(B).is_valid


@pytest.mark.parametrize(
    "frame",
    [b"", b"{", b"[]", b"null", b'{"type":1}', b'"x"', b"\xff\xfe", b'{"type":"what_is_this"}'],
)
def test_no_frame_kills_the_session(frame):
    """Bad input is refused and counted."""
    wire = live(A)
    assert wire.session.receive(frame) == ()
    assert sum(wire.session.refused.values()) == 1
    wire.delta(A)
    assert wire.quote().is_valid


@given(st.binary(max_size=200))
def test_no_bytes_kill_the_session(frame):
    """Whatever arrives, the session goes on."""
    wire = live(A)
    wire.session.receive(frame)
    wire.session.receive(b'{"type":"orderbook_delta","sid":7,"seq":2,"msg":' + frame + b"}")
    wire.session.receive(b"[" * 100_000)


def test_an_unanswered_command_ends_the_connection():
    """The exchange does not listen any more."""
    wire = live(A)
    wire.session.probe()
    assert wire.session.overdue() is None
    wire.clock.now_us += ANSWER_WITHIN_US + 1
    assert wire.session.overdue() == "no answer to list_subscriptions"
    wire.say("ok", numbered=False, id=wire.commands()[0]["id"], msg=[])
    assert wire.session.overdue() is None


def test_a_resynchronisation_without_end_ends_the_connection():
    """A book must not stay unknown while everything looks alive."""
    wire = live(A)
    wire.delta(A, skip=1)
    (command,) = wire.commands()
    wire.say("ok", id=command["id"], msg={})
    wire.clock.now_us += ANSWER_WITHIN_US + 1
    assert wire.session.overdue() == "no snapshot for k"


@pytest.mark.parametrize("code", [7, 10, 25])
def test_a_terminal_error_subscribes_again(code):
    """The subscription is over at the exchange."""
    wire = live(A)
    (event,) = wire.say("error", msg={"code": code, "msg": "gone"})
    assert event == Refused("k", code, "gone")
    assert not wire.quote().is_valid
    assert wire.commands()[0]["cmd"] == "subscribe"


def test_a_terminal_error_of_the_whole_connection_ends_it():
    """Without a sid it is about everything."""
    wire = live(A)
    wire.say("error", numbered=False, msg={"code": 25, "msg": "too slow"})
    assert wire.session.overdue() == "error 25: too slow"


def test_a_refused_subscription_is_told_and_not_tried_again_on_this_connection():
    """It would be refused again and again."""
    wire = Wire(A)
    session = StreamSession(wire.clock.market_us, wire.clock.wall_us)
    session.connected()
    session.want(Subscription(key="k", channel=ORDER_BOOK, tickers=(A,)))
    session.outbox.clear()
    events = session.receive(b'{"type":"error","id":1,"msg":{"code":26,"msg":"too many"}}')
    assert list(events) == [Refused("k", 26, "too many")]
    assert session.outbox == []
    assert session.overdue() is None


def test_a_gap_of_a_channel_without_books_is_told_and_the_frame_is_used():
    """The consumer reads REST then."""
    wire = Wire(channel=LIFECYCLE)
    body = {"market_ticker": A, "event_type": "determined", "result": "yes", "determination_ts": 9}
    gap, seen = wire.say("market_lifecycle_v2", skip=3, msg=body)
    assert gap == Gap("k", LIFECYCLE, 3, ())
    assert (seen.result, seen.determined_at_us) == ("yes", 9_000_000)
    assert wire.commands() == []


def test_private_channels_have_no_numbers():
    """Their gaps cannot be seen; that is why REST is read anyway."""
    wire = Wire(channel=FILL)
    body = {
        "trade_id": "t",
        "order_id": "o",
        "client_order_id": "c",
        "market_ticker": A,
        "is_taker": True,
        "yes_price_dollars": "0.5600",
        "count_fp": "3.00",
        "fee_cost": "0.051800",
        "book_side": "ask",
        "ts_ms": 1_780_000_000_123,
        "post_position_fp": "-3.00",
        "exchange_index": 2,
    }
    (fill,) = wire.say("fill", numbered=False, sid=7, msg=body)
    assert (fill.fill_id, fill.client_order_id, fill.book_side) == ("t", "c", "ask")
    assert (fill.yes_price_e4, fill.qty_e2, fill.fee_usd_e6) == (5600, 300, 51_800)
    assert (fill.post_position_e2, fill.at_us) == (-300, 1_780_000_000_123_000)


def test_the_index_value_carries_its_averages():
    """The window's close is the next quarter hour at or after the value's time."""
    wire = Wire(channel=INDEX)
    at_ms = 1_779_984_000_000 - 20_000
    body = {
        "index_id": "BRTI",
        "received_at": at_ms + 40,
        "data": json.dumps({"type": "value", "id": "BRTI", "time": at_ms, "value": "80193.52"}),
        "avg_60s_data": {"value": "80190.12345678", "window_size": 60},
        "last_60s_windowed_average_15min": {"value": "80191.5", "window_size": 40},
    }
    (seen,) = wire.say("cfbenchmarks_value", msg=body)
    assert (seen.value_usd_e6, seen.at_us) == (80_193_520_000, at_ms * 1000)
    assert (seen.trailing_usd_e6, seen.window_usd_e6) == (80_190_123_457, 80_191_500_000)
    assert (seen.window_count, seen.window_close_us) == (40, 1_779_984_000_000_000)


def test_public_trades_are_yielded():
    """Price, size and taker's side."""
    wire = Wire(A, channel=TRADE)
    body = {
        "trade_id": "t",
        "market_ticker": A,
        "yes_price_dollars": "0.5200",
        "no_price_dollars": "0.4800",
        "count_fp": "26.40",
        "taker_book_side": "bid",
        "ts_ms": 1_780_000_000_000,
    }
    (trade,) = wire.say("trade", msg=body)
    assert (trade.yes_price_e4, trade.qty_e2, trade.taker_side) == (5200, 2640, "bid")


@given(st.lists(st.sampled_from(["ok", "lost", "twice", "bad"]), max_size=25))
def test_a_valid_book_always_equals_the_exchanges(faults):
    """Whatever is lost, repeated or broken: while our book is valid, it is the exchange's."""
    wire = live(A)
    theirs = {4500: 1000}
    for number, fault in enumerate(faults):
        price = 4500 + 10 * (number % 3)
        theirs[price] = theirs.get(price, 0) + 100
        if fault == "lost":
            wire.seq += 1
        elif fault == "bad":
            wire.delta(A, f"0.{price}", "x")
        else:
            wire.delta(A, f"0.{price}", "1.00")
        if fault == "twice":
            wire.seq -= 1
            wire.delta(A, f"0.{price}", "1.00")
        book = wire.session.books[A]
        # A frame lost last is not seen to be missing yet; its successor shows it.
        if book.is_valid and fault != "lost":
            assert book.yes.levels == theirs
        for _ in wire.commands():
            wire.snapshot(A, yes=[[f"0.{p}", f"{q // 100}.00"] for p, q in theirs.items()])
            assert book.yes.levels == theirs
