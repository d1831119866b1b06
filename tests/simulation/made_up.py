"""A good history made by hand: one entry, partly sold, the rest settled; every number fits.

Ten contracts of YES bought at 96 cents, three sold at 94, seven paid a dollar each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from recio.simulation.history import (
    Bucket,
    Change,
    Durable,
    Fill,
    HeldSample,
    History,
    Intent,
    Ledger,
    Limits,
    Market,
    Order,
    OrderSample,
    Posting,
    Sample,
    Sent,
    Settlement,
    Strike,
    Trade,
    Venue,
    VenueFill,
    VenueOrder,
    VenueSettlement,
)

SECOND: Final = 1_000_000
CLOSE_US: Final = 10_000 * SECOND
T0: Final = CLOSE_US - 600 * SECOND
EVENT, TICKER = "EVENT", "EVENT-T1"
ENTRY, EXIT, TRADE = "order-entry", "order-exit", "trade-1"
OPENING, RESERVED = 100_000_000, 9_700_000

LIMITS: Final = Limits(
    contracts_per_order_e2=1000,
    contracts_per_event_e2=2000,
    contracts_total_e2=3000,
    cost_per_event_usd_e6=20_000_000,
    cost_total_usd_e6=30_000_000,
    open_trades=2,
    orders_per_minute=5,
    price_age_us=3 * SECOND,
    book_age_us=5 * SECOND,
)
BOUGHT: Final = VenueFill(
    trade_id="fill-1", order_id="x-1", ticker=TICKER, is_bid=True, price_e4=9600, qty_e2=1000,
    fee_usd_e6=30_000, revenue_usd_e6=-9_600_000,
)  # fmt: skip
SOLD: Final = VenueFill(
    trade_id="fill-2", order_id="x-2", ticker=TICKER, is_bid=False, price_e4=9400, qty_e2=300,
    fee_usd_e6=10_000, revenue_usd_e6=2_820_000,
)  # fmt: skip
CASH: Final = OPENING - 9_630_000 + 2_810_000 + 7_000_000


def venue_order(**changes: Any) -> VenueOrder:
    """Return the entry as the exchange keeps it."""
    made = VenueOrder(
        order_id="x-1", client_order_id=ENTRY, ticker=TICKER, is_bid=True, price_e4=9600,
        initial_e2=1000, filled_e2=1000, remaining_e2=0, status="executed", created_us=T0,
    )  # fmt: skip
    return replace(made, **changes)


def durable(**changes: Any) -> Durable:
    """Return what stood in the database when the entry left."""
    made = Durable(
        intent_state="accepted", order_state="submitted", ticker=TICKER, book_side="bid",
        price_e4=9600, qty_e2=1000, purpose="entry", source="auto_entry", trade_id=TRADE, epoch=1,
        lease_epoch=1, claimed_us=T0,
    )  # fmt: skip
    return replace(made, **changes)


def sent_entry(**changes: Any) -> Sent:
    """Return the entry as it left."""
    made = Sent(
        at_us=T0, wall_us=T0, kind="create", billing="write", shard=2, cost=10, is_handled=True,
        status=201, client_order_id=ENTRY, ticker=TICKER, book_side="bid", price_e4=9600,
        qty_e2=1000, durable=durable(),
    )  # fmt: skip
    return replace(made, **changes)


def sent_exit(**changes: Any) -> Sent:
    """Return the exit as it left, half a minute later."""
    at_us = T0 + 30 * SECOND
    held = durable(
        book_side="ask", price_e4=9300, qty_e2=300, is_reduce_only=True, purpose="exit",
        source="auto_stop", claimed_us=at_us, sellable_e2=1000,
    )  # fmt: skip
    made = sent_entry(
        at_us=at_us, wall_us=at_us, client_order_id=EXIT, book_side="ask", price_e4=9300,
        qty_e2=300, is_reduce_only=True, durable=held,
    )  # fmt: skip
    return replace(made, **changes)


def intent(**changes: Any) -> Intent:
    """Return the wish to enter."""
    made = Intent(
        intent_id="intent-1", purpose="entry", source="auto_entry", ticker=TICKER,
        event_ticker=EVENT, state="accepted", at_us=T0, decided_us=T0,
        price_at_us=T0 - SECOND, book_at_us=T0 - SECOND,
    )  # fmt: skip
    return replace(made, **changes)


def order(**changes: Any) -> Order:
    """Return the entry as it ended."""
    made = Order(
        order_id=ENTRY, intent_id="intent-1", trade_id=TRADE, ticker=TICKER, purpose="entry",
        book_side="bid", state="executed", qty_e2=1000, filled_e2=1000, booked_e2=1000,
        reserved_usd_e6=RESERVED, created_us=T0,
    )  # fmt: skip
    return replace(made, **changes)


def order_sample(state: str = "submitted", **changes: Any) -> OrderSample:
    """Return the entry at a step."""
    made = OrderSample(
        order_id=ENTRY, purpose="entry", event_ticker=EVENT, state=state, qty_e2=1000, filled_e2=0,
        booked_e2=0, reserved_usd_e6=RESERVED,
    )  # fmt: skip
    return replace(made, **changes)


def sample(*orders: OrderSample, **changes: Any) -> Sample:
    """Return a step right after the entry was claimed."""
    made = Sample(
        at_us=T0, orders=orders, held=(), counted_contracts_e2=1000, counted_usd_e6=RESERVED,
        open_trades=1, orders_in_minute=1, switch="Active", postings=2,
    )  # fmt: skip
    return replace(made, **changes)


def change(subject_id: str, version: int, old: str, new: str, at_us: int = T0) -> Change:
    """Return a row of an order's audit."""
    return Change(
        subject="orders", subject_id=subject_id, version=version, old=old, new=new,
        author="executor", at_us=at_us,
    )  # fmt: skip


def switch(state: str, at_us: int, version: int = 1) -> Change:
    """Return a row of a switch's audit."""
    return Change(
        subject="switches", subject_id="account person", version=version, old="", new=state,
        author="person", at_us=at_us,
    )  # fmt: skip


def posting(transaction: str, line: int, book: str, amount_usd_e6: int, **changes: Any) -> Posting:
    """Return a line of the ledger."""
    made = Posting(
        transaction_id=transaction, line=line, kind="fill", fact_id=transaction, book=book,
        ticker=TICKER, amount_usd_e6=amount_usd_e6,
    )  # fmt: skip
    return replace(made, **changes)


POSTINGS: Final = (
    posting("opening", 1, "cash", OPENING, kind="opening"),
    posting("opening", 2, "capital", -OPENING, kind="opening"),
    posting("fill-1", 1, "cash", -9_630_000),
    posting("fill-1", 2, "position", 9_600_000),
    posting("fill-1", 3, "fees", 30_000),
    posting("fill-2", 1, "cash", 2_810_000),
    posting("fill-2", 2, "position", -2_880_000),
    posting("fill-2", 3, "fees", 10_000),
    posting("fill-2", 4, "result", 60_000),
    posting("paid", 1, "cash", 7_000_000, kind="settlement"),
    posting("paid", 2, "position", -6_720_000, kind="settlement"),
    posting("paid", 3, "result", -280_000, kind="settlement"),
)
CHANGES: Final = (
    change(ENTRY, 1, "", "created"),
    change(ENTRY, 2, "created", "submitted"),
    change(ENTRY, 3, "submitted", "unknown"),
    change(ENTRY, 4, "unknown", "executed", T0 + 2 * SECOND),
    change(EXIT, 1, "", "created", T0 + 30 * SECOND),
    change(EXIT, 2, "created", "submitted", T0 + 30 * SECOND),
    change(EXIT, 3, "submitted", "executed", T0 + 30 * SECOND),
    switch("Active", T0 - SECOND),
)


def booked(fill: VenueFill) -> Fill:
    """Return a fill as it is booked."""
    return Fill(
        trade_id=fill.trade_id, ticker=fill.ticker, is_bid=fill.is_bid, price_e4=fill.price_e4,
        qty_e2=fill.qty_e2, fee_usd_e6=fill.fee_usd_e6,
    )  # fmt: skip


def venue(**changes: Any) -> Venue:
    """Return the exchange's side."""
    sold = venue_order(
        order_id="x-2", client_order_id=EXIT, is_bid=False, price_e4=9300, initial_e2=300,
        filled_e2=300,
    )  # fmt: skip
    paid = VenueSettlement(ticker=TICKER, position_e2=700, revenue_usd_e6=7_000_000)
    made = Venue(
        opening_usd_e6=OPENING, cash_usd_e6=CASH, orders=(venue_order(), sold),
        fills=(BOUGHT, SOLD), settlements=(paid,),
    )  # fmt: skip
    return replace(made, **changes)


def ledger(**changes: Any) -> Ledger:
    """Return our books."""
    paid = Settlement(ticker=TICKER, position_e2=700, revenue_usd_e6=7_000_000, fee_usd_e6=0)
    made = Ledger(
        cash_usd_e6=CASH, fills=(booked(BOUGHT), booked(SOLD)), settlements=(paid,),
        postings=POSTINGS,
    )  # fmt: skip
    return replace(made, **changes)


def steps() -> tuple[Sample, ...]:
    """Return the account after the claim, in doubt, filled, and booked."""
    held = (HeldSample(event_ticker=EVENT, qty_e2=1000, cost_usd_e6=9_600_000),)
    done = order_sample("executed", filled_e2=1000, booked_e2=1000)
    return (
        sample(order_sample("submitted")),
        sample(order_sample("unknown")),
        sample(order_sample("executed", filled_e2=1000), at_us=T0 + 2 * SECOND),
        sample(done, at_us=T0 + 3 * SECOND, held=held, counted_usd_e6=9_600_000, postings=5),
    )


def history(**changes: Any) -> History:
    """Return the good history, with some of it otherwise."""
    sold = order(
        order_id=EXIT, intent_id="intent-2", purpose="exit", book_side="ask", qty_e2=300,
        filled_e2=300, booked_e2=300, reserved_usd_e6=0,
    )  # fmt: skip
    made = History(
        limits=LIMITS,
        read_bucket=Bucket(refill_per_s=300, capacity=600),
        write_bucket=Bucket(refill_per_s=100, capacity=100),
        markets=(
            Market(
                ticker=TICKER, event_ticker=EVENT, open_us=CLOSE_US - 3_600 * SECOND,
                close_us=CLOSE_US, grid=((100, 9900, 100),),
            ),
        ),
        venue=venue(),
        ledger=ledger(),
        sent=(sent_entry(), sent_exit()),
        intents=(intent(), intent(intent_id="intent-2", purpose="exit", source="auto_stop")),
        orders=(order(), sold),
        trades=(
            Trade(
                trade_id=TRADE, source="auto_entry", ticker=TICKER, side="yes", state="settled",
                filled_e2=1000, exited_e2=300, pnl_usd_e6=180_000,
            ),
        ),
        changes=CHANGES,
        samples=steps(),
        earlier_postings=(POSTINGS[:5],),
        strikes=(Strike(at_us=T0, fault="request cut", states=("submitted",)),),
        ended_us=CLOSE_US + 120 * SECOND,
    )  # fmt: skip
    return replace(made, **changes)
