"""Notes a stepped run while it goes: every commit, every request as it leaves, every fault.

It looks with a database session of its own, so it sees what is committed and nothing else. What it
reads is written down, never used by the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import msgspec

from recio.adapters.postgres import gate
from recio.domain.tickers import new_york_day_start_us
from recio.domain.units import SECOND_US, as_datetime, parse_price_e4, parse_qty_e2, time_us
from recio.exchange_simulator.api.messages import Request, Response
from recio.exchange_simulator.api.routes import Route
from recio.exchange_simulator.core.refusals import Refusal
from recio.exchange_simulator.faults import ArmedFrame, ArmedRequest, FaultPlan
from recio.exchange_simulator.gateway import Gateway, Lost
from recio.ports import Clock, Database, Query, Transaction
from recio.simulation.history import (
    Durable,
    HeldSample,
    OrderSample,
    Posting,
    Sample,
    Sent,
    Strike,
)

OVER: Final = ("executed", "canceled", "rejected", "expired_unsent")
CREATE_PATH: Final = "/portfolio/events/orders"
SURE_MINUTE_US: Final = 55 * SECOND_US
"""What lies in a minute by any clock: a process's may be off by some seconds."""

_SNAPSHOT: Final = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
_ORDERS: Final = (
    "SELECT order_id::text, purpose::text, event_ticker, state::text, qty_e2, filled_qty_e2, "
    "booked_qty_e2, reserved_usd_e6 FROM trading.orders WHERE account = %s ORDER BY created_at, 1"
)
_HELD: Final = (
    "SELECT event_ticker, abs(qty_e2), cost_usd_e6 FROM trading.positions "
    "WHERE account = %s AND qty_e2 <> 0 ORDER BY market_ticker"
)
_SUMS: Final = (
    "SELECT (SELECT count(*) FROM trading.trades WHERE account = %s "
    "         AND state NOT IN ('closed', 'settled', 'abandoned')), "
    "(SELECT count(*) FROM trading.orders WHERE account = %s AND created_at > %s), "
    "(SELECT coalesce(max(state), 'Active')::text FROM trading.switches "
    " WHERE scope IN (%s, '*')), "
    "(SELECT count(*) FROM trading.ledger_postings WHERE account = %s)"
)
# What an exit's trade still has for it of our own doing: bought less sold, less what its other exits
# may yet sell. What a person sold past us does not count: reduce-only holds the exit to what is left.
# A trade that a person opened past us is his fills.
_DURABLE: Final = (
    "SELECT i.state::text, o.state::text, o.market_ticker, o.book_side::text, o.yes_price_e4, "
    "o.qty_e2, o.is_reduce_only, o.purpose::text, i.source, o.trade_id::text, "
    "coalesce(o.epoch, 0), coalesce((SELECT epoch FROM trading.leases l "
    " WHERE l.account = o.account AND l.service = 'trade_executor'), 0), o.claimed_at, "
    "(SELECT coalesce(sum(CASE WHEN (f.book_side = 'bid') = (t.side = 'yes') THEN f.qty_e2 "
    "                     ELSE -f.qty_e2 END), 0) FROM trading.fills f "
    "  WHERE f.trade_id = o.trade_id AND (f.order_id IS NOT NULL OR t.source = 'external')) - "
    "(SELECT coalesce(sum((CASE WHEN e.state IN ('executed', 'canceled', 'rejected', "
    "   'expired_unsent') THEN e.filled_qty_e2 ELSE e.qty_e2 END) - e.booked_qty_e2), 0) "
    "   FROM trading.orders e WHERE e.trade_id = o.trade_id AND e.purpose = 'exit' "
    "   AND e.order_id <> o.order_id) "
    "FROM trading.orders o JOIN trading.intents i USING (intent_id) "
    "JOIN trading.trades t ON t.trade_id = o.trade_id WHERE o.order_id::text = %s"
)
POSTINGS: Final = (
    "SELECT p.transaction_id::text, p.line, t.kind, t.fact_id, p.book, p.market_ticker, "
    "p.amount_usd_e6 FROM trading.ledger_postings p JOIN trading.ledger_transactions t "
    "USING (transaction_id) WHERE p.account = %s ORDER BY p.transaction_id, p.line"
)


class WatchedFaults(FaultPlan):
    """A fault plan that tells of each strike, by the name that the fault was armed under."""

    def __init__(self, struck: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = struck
        self._names: dict[int, str] = {}

    def name(self, armed: ArmedRequest | ArmedFrame, name: str) -> None:
        """Give an armed fault its name."""
        self._names[id(armed)] = name

    def _use(
        self, armed: list[ArmedRequest] | list[ArmedFrame], one: ArmedRequest | ArmedFrame
    ) -> None:
        super()._use(armed, one)
        where = "request" if isinstance(one, ArmedRequest) else "frame"
        self._tell(self._names.get(id(one), f"{where} {one.fault.value}"))


class Watch:
    """The notes of one account's run. ``looking`` is a session of its own that sees everything.

    ``is_gated``: ``look`` is called after transactions that may have changed nothing as well.
    """

    def __init__(
        self, looking: Database, account: str, clock: Clock, *, is_gated: bool = True
    ) -> None:
        self.account = account
        self.samples: list[Sample] = []
        self.sent: list[Sent] = []
        self.strikes: list[Strike] = []
        self.earlier_postings: list[tuple[Posting, ...]] = []
        self.commits = 0
        self.on_commit: Callable[[int], None] | None = None
        self._clock = clock
        self._looking = looking
        self._is_gated = is_gated
        self._snapshot = ""
        self._is_on = True

    def stop(self) -> None:
        """Look no more: what follows is not part of the run."""
        self._is_on = False

    # The wire.

    async def leaving(self, gateway: Gateway, asked: Request) -> int | None:
        """Note a request as its first byte leaves; return its number, None if it is of no interest."""
        if not self._is_on or "/portfolio" not in asked.path:
            return None
        route = _route(gateway, asked)
        terms: dict[str, Any] = {}
        is_create = asked.method == "POST" and asked.path.endswith(CREATE_PATH)
        if is_create:
            terms = _terms(msgspec.json.decode(asked.body))
            terms["signed_us"] = _signed_us(asked)
            if not terms["is_foreign"]:
                terms["durable"] = await self._durable(terms["client_order_id"])
        is_cancel = asked.method == "DELETE" and CREATE_PATH in asked.path
        self.sent.append(
            Sent(
                at_us=self._clock.market_us(),
                wall_us=self._clock.wall_us(),
                kind="create" if is_create else "cancel" if is_cancel else "other",
                billing=route.billing if route else "none",
                cost=route.cost if route else 0,
                is_handled=False,
                status=0,
                **{"shard": 0} | terms,
            )
        )
        return len(self.sent) - 1

    def handled(self, number: int) -> None:
        """Note that the exchange has looked at a request."""
        self.sent[number] = replace(self.sent[number], is_handled=True)

    def answered(self, number: int, answer: Response | Lost) -> None:
        """Note what the exchange answered."""
        status = answer.status if isinstance(answer, Response) else 0
        self.sent[number] = replace(self.sent[number], status=status)

    async def _durable(self, client_order_id: str) -> Durable:
        async with self._looking.transaction() as tx:
            row = await tx.fetch_one(_DURABLE, client_order_id)
        if row is None:
            return Durable()
        (intent, order, ticker, side, price, qty, reduce, purpose, source, trade, epoch, lease,
         claimed, sellable) = row  # fmt: skip
        return Durable(
            intent_state=intent,
            order_state=order,
            ticker=ticker,
            book_side=side,
            price_e4=price,
            qty_e2=qty,
            is_reduce_only=reduce,
            purpose=purpose,
            source=source,
            trade_id=trade,
            epoch=epoch,
            lease_epoch=lease,
            claimed_us=0 if claimed is None else time_us(claimed),
            sellable_e2=int(sellable),
        )

    # The steps.

    async def look(self) -> None:
        """Note the books if anything was committed since the last look."""
        if not self._is_on:
            return
        async with self._looking.transaction() as tx:
            if self._is_gated:
                ((snapshot,),) = await tx.fetch(_SNAPSHOT)
                if snapshot == self._snapshot:
                    return
                self._snapshot = snapshot
            self.samples.append(await self._sample(tx))
        self.commits += 1
        if self.on_commit is not None:
            self.on_commit(self.commits)

    async def _sample(self, tx: Transaction) -> Sample:
        name, now_us = self.account, self._clock.market_us()
        counted = await gate.exposure(
            tx, name, now_us=now_us, day_start_us=new_york_day_start_us(now_us)
        )
        minute = as_datetime(now_us - SURE_MINUTE_US)
        orders, held, sums = await tx.fetch_many(
            Query(_ORDERS, (name,)),
            Query(_HELD, (name,)),
            Query(_SUMS, (name, name, minute, name, name)),
        )
        ((trades, in_minute, switch, postings),) = sums
        names = OrderSample.__slots__
        return Sample(
            at_us=now_us,
            orders=tuple(OrderSample(**dict(zip(names, row, strict=True))) for row in orders),
            held=tuple(HeldSample(event_ticker=e, qty_e2=q, cost_usd_e6=c) for e, q, c in held),
            counted_contracts_e2=counted.contracts_e2(),
            counted_usd_e6=counted.cost_usd_e6(),
            open_trades=trades,
            orders_in_minute=in_minute,
            switch=switch,
            postings=postings,
        )

    async def keep_ledger(self) -> None:
        """Keep the whole ledger as it is now, to be compared with what it becomes."""
        async with self._looking.transaction() as tx:
            rows = await tx.fetch(POSTINGS, self.account)
        self.earlier_postings.append(postings_of(rows))

    # The faults.

    def struck(self, fault: str) -> None:
        """Note a fault, with the states of the orders that it may have touched."""
        if self._is_on:
            self.strikes.append(
                Strike(at_us=self._clock.market_us(), fault=fault, states=self._touched(fault))
            )

    def _touched(self, fault: str) -> tuple[str, ...]:
        asked = self.sent[-1] if fault.startswith(("request", "create")) and self.sent else None
        if asked is not None and asked.kind == "create":
            return ("by hand",) if asked.is_foreign else (asked.durable.order_state,)
        orders = self.samples[-1].orders if self.samples else ()
        live = {
            one.state for one in orders if one.state not in OVER or one.booked_e2 < one.filled_e2
        }
        return tuple(sorted(live)) or ("none live",)


def postings_of(rows: list[tuple[Any, ...]]) -> tuple[Posting, ...]:
    """Return the rows of ``POSTINGS`` as values."""
    return tuple(Posting(**dict(zip(Posting.__slots__, row, strict=True))) for row in rows)


def _signed_us(asked: Request) -> int | None:
    stamp = asked.headers.get("kalshi-access-timestamp")
    return None if stamp is None else int(stamp) * 1_000


def _route(gateway: Gateway, asked: Request) -> Route | None:
    try:
        return gateway.api.table.find(asked.method, asked.path)[0]
    except Refusal:
        return None


def _terms(body: dict[str, Any]) -> dict[str, Any]:
    name = body.get("client_order_id") or ""
    return {
        "client_order_id": name,
        "ticker": body["ticker"],
        "book_side": body["side"],
        "price_e4": parse_price_e4(body["price"]),
        "qty_e2": parse_qty_e2(body["count"]),
        "is_reduce_only": bool(body.get("reduce_only")),
        "shard": body.get("exchange_index") or 0,
        "is_foreign": name.startswith("hand-"),
    }
