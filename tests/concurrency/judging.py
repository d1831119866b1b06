"""What must hold after every commit and at the end, whatever the order of the statements was."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from tests.concurrency.world import LIMITS, World

from recio.adapters.postgres import gate
from recio.adapters.postgres.stepped import SteppedDatabase
from recio.domain.tickers import new_york_day_start_us
from recio.domain.units import CONTRACT_E2, MINUTE_US, USD_E6, as_datetime, time_us
from recio.ports import Query
from recio.simulation import invariants
from recio.simulation.history import (
    Bucket,
    Change,
    Durable,
    HeldSample,
    History,
    Ledger,
    Limits,
    Order,
    OrderSample,
    Posting,
    Sample,
    Sent,
    Venue,
    VenueOrder,
)

# One row a thing, without times and versions: what two runs are compared by.
DIGEST: Final = """
SELECT string_agg(line, E'\n' ORDER BY line) FROM (
    SELECT format('intent %s %s', intent_id, state) line FROM trading.intents
    UNION ALL SELECT format('order %s %s %s/%s %s', order_id, state, booked_qty_e2, filled_qty_e2,
                            exchange_order_id) FROM trading.orders
    UNION ALL SELECT format('trade %s %s %s of %s: %s -%s +%s =%s', trade_id, state, exited_qty_e2,
                            filled_qty_e2, entry_cost_usd_e6, fees_usd_e6, exit_proceeds_usd_e6,
                            pnl_usd_e6) FROM trading.trades
    UNION ALL SELECT format('fill %s %s %s %s', fill_id, order_id, trade_id, qty_e2)
      FROM trading.fills
    UNION ALL SELECT format('position %s %s %s %s', account, market_ticker, qty_e2, cost_usd_e6)
      FROM trading.positions
    UNION ALL SELECT format('totals %s %s %s', account, cash_usd_e6, equity_usd_e6)
      FROM trading.totals
    UNION ALL SELECT format('ledger %s %s', transaction_id, sum(amount_usd_e6 * line))
      FROM trading.ledger_postings GROUP BY transaction_id
    UNION ALL SELECT format('settlement %s', market_ticker) FROM trading.settlements
    UNION ALL SELECT format('switch %s %s %s', scope, source, state) FROM trading.switches
    UNION ALL SELECT format('lease %s %s', epoch, holder) FROM trading.leases
    UNION ALL SELECT format('config %s %s', account, generation) FROM trading.account_config
    UNION ALL SELECT format('settings %s %s', account, generation) FROM trading.account_settings
    UNION ALL SELECT format('fleet %s', document) FROM trading.fleet
) lines
"""
_CHANGES: Final = (
    "SELECT subject, subject_id, version, coalesce(old_state, ''), new_state, author, at "
    "FROM trading.audit WHERE account IN ('one', '*') ORDER BY subject, subject_id, version"
)
_ORDERS: Final = (
    "SELECT order_id::text, intent_id::text, trade_id::text, market_ticker, purpose::text, "
    "book_side::text, state::text, qty_e2, filled_qty_e2, booked_qty_e2, reserved_usd_e6, "
    "created_at FROM trading.orders WHERE account = 'one' ORDER BY created_at, 1"
)
_DURABLE: Final = (
    "SELECT i.state::text, o.state::text, o.market_ticker, o.book_side::text, o.yes_price_e4, "
    "o.qty_e2, o.is_reduce_only, o.purpose::text, i.source, o.trade_id::text, coalesce(o.epoch, 0), "
    "coalesce((SELECT epoch FROM trading.leases WHERE account = 'one'), 0) "
    "FROM trading.orders o JOIN trading.intents i USING (intent_id) WHERE o.order_id::text = %s"
)
_FORBIDS: Final = (
    "SELECT count(*) FROM trading.switches WHERE source = 'person' AND state = 'Halted'"
)
_SAMPLED: Final = (
    "SELECT order_id::text, purpose::text, event_ticker, state::text, qty_e2, filled_qty_e2, "
    "booked_qty_e2, reserved_usd_e6 FROM trading.orders WHERE account = 'one' ORDER BY 1"
)
_HELD: Final = (
    "SELECT event_ticker, abs(qty_e2), cost_usd_e6 FROM trading.positions "
    "WHERE account = 'one' AND qty_e2 <> 0 ORDER BY market_ticker"
)
_SUMS: Final = (
    "SELECT (SELECT count(*) FROM trading.trades WHERE account = 'one' "
    "         AND state NOT IN ('closed', 'settled', 'abandoned')), "
    "(SELECT count(*) FROM trading.orders WHERE account = 'one' AND created_at > %s), "
    "(SELECT coalesce(max(state), 'Active')::text FROM trading.switches "
    " WHERE scope IN ('one', '*')), "
    "(SELECT count(*) FROM trading.ledger_postings WHERE account = 'one')"
)
_POSTINGS: Final = (
    "SELECT p.transaction_id::text, p.line, t.kind, t.fact_id, p.book, p.market_ticker, "
    "p.amount_usd_e6 FROM trading.ledger_postings p JOIN trading.ledger_transactions t "
    "USING (transaction_id) WHERE p.account = 'one' ORDER BY p.transaction_id, p.line"
)
# Each of these returns what is wrong.
WRONG: Final = {
    "a booked quantity differs from the order's fills": """
        SELECT o.order_id::text FROM trading.orders o LEFT JOIN trading.fills f USING (order_id)
         GROUP BY o.order_id HAVING o.booked_qty_e2 <> coalesce(sum(f.qty_e2), 0)""",
    "totals differ from the ledger": """
        SELECT t.account FROM trading.totals t LEFT JOIN trading.ledger_postings p USING (account)
         GROUP BY t.account HAVING t.cash_usd_e6 <>
            coalesce(sum(p.amount_usd_e6) FILTER (WHERE p.book = 'cash'), 0)
            OR t.equity_usd_e6 <> coalesce(
               sum(p.amount_usd_e6) FILTER (WHERE p.book IN ('cash', 'position')), 0)""",
    "a position differs from its fills and settlement": """
        SELECT p.account || ' ' || p.market_ticker FROM trading.positions p
          LEFT JOIN trading.fills f USING (account, market_ticker)
          LEFT JOIN trading.settlements s USING (account, market_ticker)
         GROUP BY p.account, p.market_ticker, p.qty_e2, s.yes_qty_e2, s.no_qty_e2
        HAVING p.qty_e2 <> coalesce(sum(CASE WHEN f.book_side = 'bid' THEN f.qty_e2
            ELSE -f.qty_e2 END), 0) - coalesce(s.yes_qty_e2 - s.no_qty_e2, 0)""",
    "exits may sell more than their trade bought": """
        SELECT t.trade_id::text FROM trading.trades t WHERE
          (SELECT coalesce(sum(CASE WHEN (f.book_side = 'bid') = (t.side = 'yes')
             THEN f.qty_e2 ELSE -f.qty_e2 END), 0) FROM trading.fills f
            WHERE f.trade_id = t.trade_id AND f.fill_id NOT LIKE 'by hand%') <
          (SELECT coalesce(sum((CASE WHEN o.state IN ('executed', 'canceled', 'rejected',
             'expired_unsent') THEN o.filled_qty_e2 ELSE o.qty_e2 END) - o.booked_qty_e2), 0)
             FROM trading.orders o WHERE o.trade_id = t.trade_id AND o.purpose = 'exit')""",
    "the fleet's cost is beyond its limit": """
        SELECT cost::text FROM (SELECT
          (SELECT coalesce(sum(ceil(reserved_usd_e6::numeric *
             ((CASE WHEN state IN ('executed', 'canceled', 'rejected', 'expired_unsent')
               THEN filled_qty_e2 ELSE qty_e2 END) - booked_qty_e2) / qty_e2)), 0)
             FROM trading.orders WHERE purpose = 'entry') +
          (SELECT coalesce(sum(cost_usd_e6), 0) FROM trading.positions WHERE market_ticker || '' NOT IN
             (SELECT market_ticker FROM trading.fills WHERE fill_id = 'opens')) AS cost) sums
         WHERE cost > 50000000""",
    "two live trades of ours in one market": """
        SELECT account || ' ' || market_ticker FROM trading.trades
         WHERE state NOT IN ('closed', 'settled', 'abandoned') AND source <> 'external'
         GROUP BY account, market_ticker HAVING count(*) > 1""",
    "trade numbers have a gap": """
        SELECT a.account FROM trading.accounts a WHERE a.last_trade_number <>
          (SELECT count(*) FROM trading.trades t WHERE t.account = a.account)""",
    "a trade is over while its entry may bring fills": """
        SELECT t.trade_id::text FROM trading.trades t JOIN trading.orders o USING (trade_id)
         WHERE t.state IN ('closed', 'settled', 'abandoned') AND o.purpose = 'entry'
           AND (o.state NOT IN ('executed', 'canceled', 'rejected', 'expired_unsent')
                OR o.booked_qty_e2 < o.filled_qty_e2)""",
}  # fmt: skip


def drive(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits, because its database port blocks; return its result."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")


def _all_wrong() -> str:
    return " UNION ALL ".join(
        f"SELECT '{name.replace(chr(39), chr(39) * 2)}: ' || string_agg(x, ', ') "
        f"FROM ({sql}) found (x) HAVING count(*) > 0"
        for name, sql in WRONG.items()
    )


_WRONG: Final = _all_wrong()


@dataclass(slots=True)
class Judge:
    """Looks after every commit, and at the end, with sessions of its own."""

    world: World
    looking: psycopg.Connection[Any]
    database: SteppedDatabase = field(init=False)
    first: Sample = field(init=False)
    samples: list[Sample] = field(init=False, default_factory=list)
    sent: list[Sent] = field(init=False, default_factory=list)
    notes: list[str] = field(init=False, default_factory=list)
    heard: set[str] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        """Begin to listen for hints."""
        self.database = SteppedDatabase(self.world.url, name="judge")
        self.first = drive(self._sample())
        self.looking.add_notify_handler(
            lambda hint: self.heard.add(f"{hint.channel} {hint.payload.partition(' ')[2]}")
        )
        for channel in ("intents", "orders", "facts", "switches"):
            self.looking.execute(f"LISTEN {channel}")

    def begin(self) -> None:
        """Forget the last run; note where this one starts."""
        self.samples[:] = [self.first]
        self.sent.clear()
        self.notes.clear()
        self.looking.execute("SELECT 1")
        self.heard.clear()

    def look(self) -> list[str]:
        """Note the books after a commit; return what is wrong with them at this very moment."""
        self.samples.append(drive(self._sample()))
        return [text for (text,) in self.looking.execute(_WRONG)]

    async def _sample(self) -> Sample:
        now_us = self.world.now_us
        async with self.database.transaction() as tx:
            counted = await gate.exposure(
                tx, "one", now_us=now_us, day_start_us=new_york_day_start_us(now_us)
            )
            orders, held, sums = await tx.fetch_many(
                Query(_SAMPLED), Query(_HELD), Query(_SUMS, (as_datetime(now_us - MINUTE_US),))
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

    def wire(self, client_order_id: str) -> None:
        """Note an order that leaves, with what is durable at this moment."""
        row = self.looking.execute(_DURABLE, (client_order_id,)).fetchone()
        durable = Durable()
        if row is not None:
            names = Durable.__slots__[:12]
            durable = Durable(**dict(zip(names, row, strict=True)), sellable_e2=10_000)
        if self.looking.execute(_FORBIDS).fetchone() != (0,):
            self.notes.append("an order left after a halt that was committed while it was claimed")
        clock = self.world.one.clock
        self.sent.append(
            Sent(
                at_us=clock.market_us(), wall_us=clock.wall_us(), kind="create", billing="write",
                shard=2, cost=1, is_handled=True, status=201, client_order_id=client_order_id,
                ticker=durable.ticker, book_side=durable.book_side, price_e4=durable.price_e4,
                qty_e2=durable.qty_e2, is_reduce_only=durable.is_reduce_only, durable=durable,
            )
        )  # fmt: skip

    def digest(self) -> str:
        """Return the books as they stand."""
        (text,) = self.looking.execute(DIGEST).fetchone() or ("",)
        return str(text)

    def end(self) -> list[str]:
        """Return what the whole run shows to be wrong."""
        history = self._history()
        found = [
            *invariants.invariant_01_one_exchange_order_per_intent(history),
            *invariants.invariant_02_no_order_without_a_durable_intent(history),
            *invariants.invariant_06_double_entry_append_only(history),
            *invariants.invariant_07_unknown_is_not_rejected(history),
            *invariants.invariant_08_no_trade_beyond_limits(history),
            *invariants.invariant_10_epochs_never_fall(history),
            *invariants._jumps(one for one in history.changes if one.subject == "orders"),
            *invariants._shrinking(history.samples),
        ]
        return [*found, *self._unheard()]

    def _history(self) -> History:
        bucket = Bucket(refill_per_s=1000, capacity=1000)
        orders = tuple(
            Order(**dict(zip(Order.__slots__, (*row[:11], time_us(row[11])), strict=True)))
            for row in self.looking.execute(_ORDERS)
        )
        changes = tuple(
            Change(**dict(zip(Change.__slots__, (*row[:6], time_us(row[6])), strict=True)))
            for row in self.looking.execute(_CHANGES)
        )
        return History(
            limits=_limits(),
            read_bucket=bucket,
            write_bucket=bucket,
            markets=(),
            venue=Venue(opening_usd_e6=0, cash_usd_e6=0, orders=self._venue()),
            ledger=Ledger(
                cash_usd_e6=0,
                postings=tuple(
                    Posting(**dict(zip(Posting.__slots__, row, strict=True)))
                    for row in self.looking.execute(_POSTINGS)
                ),
            ),
            sent=tuple(self.sent),
            orders=orders,
            changes=changes,
            samples=tuple(self.samples),
        )

    def _venue(self) -> tuple[VenueOrder, ...]:
        return tuple(
            VenueOrder(
                order_id=f"x{number}", client_order_id=one.client_order_id, ticker=one.ticker,
                is_bid=one.book_side == "bid", price_e4=one.price_e4, initial_e2=one.qty_e2,
                filled_e2=one.qty_e2, remaining_e2=0, status="executed", created_us=one.at_us,
            )
            for number, one in enumerate(self.sent)
        )  # fmt: skip

    def _unheard(self) -> list[str]:
        """Return what waits for somebody who was not woken."""
        waiting = self.looking.execute(
            "SELECT 'orders ' || order_id FROM trading.orders WHERE state = 'created' "
            "AND order_id NOT IN (SELECT order_id FROM kept.orders) "
            "UNION ALL SELECT 'intents ' || intent_id FROM trading.intents WHERE state = 'proposed' "
            "AND intent_id NOT IN (SELECT intent_id FROM kept.intents) "
            "UNION ALL SELECT 'facts ' || fill_id FROM trading.fills "
            "WHERE fill_id NOT IN (SELECT fill_id FROM kept.fills) "
            "UNION ALL SELECT 'switches ' || source FROM trading.switches s WHERE NOT EXISTS "
            "(SELECT FROM kept.switches k WHERE (k.scope, k.source, k.state) = "
            " (s.scope, s.source, s.state))"
        ).fetchall()
        return [f"nobody was woken for {name}" for (name,) in waiting if name not in self.heard]


def _limits() -> Limits:
    return Limits(
        contracts_per_order_e2=10 * CONTRACT_E2,
        contracts_per_event_e2=LIMITS["max_contracts_per_event"] * CONTRACT_E2,
        contracts_total_e2=LIMITS["max_contracts_total"] * CONTRACT_E2,
        cost_per_event_usd_e6=LIMITS["max_cost_per_event_dollars"] * USD_E6,
        cost_total_usd_e6=LIMITS["max_cost_total_dollars"] * USD_E6,
        open_trades=LIMITS["max_open_trades"],
        orders_per_minute=LIMITS["max_orders_per_minute"],
        price_age_us=3_000_000,
        book_age_us=5_000_000,
    )
