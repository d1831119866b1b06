"""The money path's invariants as questions to the database: each counts what breaks it.

They are the ones that stored rows can tell, numbered as in docs/reliability.md; the others are
judged in simulated runs only. Each is a second, independent reckoning: none calls the code that it
watches. What is counted lies in the last ``WINDOW_US`` of market time or stands now, so that a
count goes back to zero when the cause is gone and a look costs milliseconds.

Nothing here is repaired or decided; an empty table counts zero, never unknown.
"""

from __future__ import annotations

from typing import Final

from recio.adapters.postgres import config, gate
from recio.domain.errors import InvalidValue
from recio.domain.tickers import new_york_day_start_us
from recio.domain.units import CONTRACT_E2, MINUTE_US, SECOND_US, USD_E6, as_datetime
from recio.ports import Query, Transaction

WINDOW_US: Final = 15 * MINUTE_US
SETTLED_US: Final = MINUTE_US
"""How long an ended order may wait for its fills before they count as lost."""
LATE_US: Final = 2 * SECOND_US
"""A switch is stamped before its commit: a claim so soon after the stamp may have come before it."""
STALE_US: Final = 15 * SECOND_US
"""The widest data age that an account may allow."""
BEYOND_LIMITS: Final = "08"

_QUESTIONS: Final = {
    # Two orders of one intent that are both known at the exchange.
    "01": "SELECT count(*) FROM (SELECT FROM trading.orders WHERE account = %(account)s "
    "AND created_at > %(since)s AND exchange_order_id IS NOT NULL "
    "GROUP BY intent_id HAVING count(*) > 1) found",
    # An order whose intent the gate never let through.
    "02": "SELECT count(*) FROM trading.orders o JOIN trading.intents i USING (intent_id) "
    "WHERE o.account = %(account)s AND o.created_at > %(since)s AND i.state <> 'accepted'",
    # The exchange says that an order was filled, and its fills do not come; or more came.
    "03": "SELECT count(*) FROM trading.orders o WHERE o.account = %(account)s "
    "AND o.changed_at BETWEEN %(since)s AND %(settled)s AND (o.booked_qty_e2 < o.filled_qty_e2 "
    "OR o.booked_qty_e2 <> (SELECT coalesce(sum(f.qty_e2), 0) FROM trading.fills f "
    "WHERE f.order_id = o.order_id)) AND o.state IN ('executed', 'canceled', 'rejected') "
    "AND o.created_at > %(since)s",
    # A position that is not the sum of its fills; settled and adopted ones have other sources.
    "04": "SELECT count(*) FROM trading.positions p WHERE p.account = %(account)s "
    "AND p.qty_e2 <> 0 AND p.qty_e2 <> (SELECT coalesce(sum(CASE f.book_side WHEN 'bid' "
    "THEN f.qty_e2 ELSE -f.qty_e2 END), 0) FROM trading.fills f WHERE f.account = p.account "
    "AND f.market_ticker = p.market_ticker) AND NOT EXISTS (SELECT FROM trading.settlements s "
    "WHERE (s.account, s.market_ticker) = (p.account, p.market_ticker)) AND NOT EXISTS "
    "(SELECT FROM trading.ledger_postings l JOIN trading.ledger_transactions t "
    "USING (transaction_id) WHERE l.account = p.account AND t.kind = 'opening' "
    "AND l.market_ticker = p.market_ticker)",
    # Cash differed when it was last compared.
    "05": "SELECT count(*) FROM (SELECT exchange_usd_e6, ledger_usd_e6 FROM trading.balances "
    "WHERE account = %(account)s ORDER BY at DESC LIMIT 1) last "
    "WHERE exchange_usd_e6 <> ledger_usd_e6",
    # A transaction of the ledger that does not come to nothing.
    "06": "SELECT count(*) FROM (SELECT FROM trading.ledger_postings "
    "WHERE account = %(account)s AND at > %(since)s "
    "GROUP BY transaction_id HAVING sum(amount_usd_e6) <> 0) found",
    # An entry without a known end that reserves nothing.
    "07": "SELECT count(*) FROM trading.orders WHERE account = %(account)s "
    "AND state IN ('submitted', 'unknown') AND purpose = 'entry' AND reserved_usd_e6 = 0",
    # An order claimed although a switch that still holds forbade it.
    "09": "SELECT count(*) FROM trading.orders o JOIN trading.intents i USING (intent_id) "
    "JOIN trading.switches s ON s.scope IN (o.account, '*') WHERE o.account = %(account)s "
    "AND o.created_at > %(since)s AND o.claimed_at > s.changed_at + %(late)s "
    "AND (o.purpose = 'entry' AND s.state <> 'Active' OR s.state = 'Halted' "
    "AND i.source NOT IN ('manual', 'flatten', 'panic'))",
    # An event under an epoch that a newer one had replaced before.
    "10": "SELECT count(*) FROM (SELECT e.epoch, max(e.epoch) OVER (ORDER BY e.wall_at, e.epoch) "
    "AS newest FROM trading.order_events e JOIN trading.orders o USING (order_id) "
    "WHERE o.account = %(account)s AND o.created_at > %(since)s) seen WHERE epoch < newest",
    # A change of state that the table of the state machine does not have.
    "11": "SELECT count(*) FROM trading.audit a JOIN trading.orders o "
    "ON a.subject_id = o.order_id::text WHERE o.account = %(account)s "
    "AND o.created_at > %(since)s AND a.old_state IS NOT NULL AND a.old_state <> a.new_state "
    "AND NOT EXISTS (SELECT FROM trading.order_transitions t "
    "WHERE (t.old::text, t.new::text) = (a.old_state, a.new_state))",
    # An entry that was let through on prices older than any account may allow.
    "12": "SELECT count(*) FROM trading.intents i JOIN trading.orders o USING (intent_id) "
    "WHERE o.account = %(account)s AND o.created_at > %(since)s AND o.purpose = 'entry' "
    "AND (i.price_at IS NULL OR i.book_at IS NULL "
    "OR o.created_at - least(i.price_at, i.book_at) > %(stale)s)",
    # An order that was claimed after its market had closed.
    "13": "SELECT count(*) FROM trading.orders o JOIN trading.trades t USING (trade_id) "
    "WHERE o.account = %(account)s AND o.created_at > %(since)s AND o.claimed_at > t.close_at",
    # An entry into an hour that was over already.
    "20": "SELECT count(*) FROM trading.orders o JOIN trading.trades t USING (trade_id) "
    "WHERE o.account = %(account)s AND o.created_at > %(since)s AND o.purpose = 'entry' "
    "AND o.created_at >= t.close_at",
}
NUMBERS: Final = tuple(sorted({*_QUESTIONS, BEYOND_LIMITS}))
"""The invariants that are watched in production by this module."""


async def broken(tx: Transaction, account: str, *, now_us: int) -> dict[str, int]:
    """Return for each invariant of ``NUMBERS`` how often the account's rows break it."""
    names = {
        "account": account,
        "since": as_datetime(now_us - WINDOW_US),
        "settled": as_datetime(now_us - SETTLED_US),
        "late": as_datetime(LATE_US) - as_datetime(0),
        "stale": as_datetime(STALE_US) - as_datetime(0),
    }
    answers = await tx.fetch_many(*(_query(sql, names) for sql in _QUESTIONS.values()))
    found = {number: int(rows[0][0]) for number, rows in zip(_QUESTIONS, answers, strict=True)}
    found[BEYOND_LIMITS] = await _beyond_limits(tx, account, now_us)
    return found


async def oldest_doubt_us(tx: Transaction, account: str) -> int | None:
    """Return since when the oldest order is without a known end; None if there is none."""
    row = await tx.fetch_one(
        "SELECT min(claimed_at) FROM trading.orders WHERE account = %s "
        "AND state IN ('submitted', 'unknown')",
        account,
    )
    return None if row is None or row[0] is None else round(row[0].timestamp() * SECOND_US)


async def _beyond_limits(tx: Transaction, account: str, now_us: int) -> int:
    """Count the limits that are passed while entries are on their way.

    Without any, a limit may have been made tighter than what is held: that is no violation.
    """
    try:
        limits = (await config.effective_config(tx, account)).risk
    except InvalidValue:
        return 0
    day_start_us = new_york_day_start_us(now_us)
    at_stake = await gate.exposure(tx, account, now_us=now_us, day_start_us=day_start_us)
    if not at_stake.in_flight:
        return 0
    passed = (
        at_stake.cost_usd_e6() > limits.max_cost_total_dollars * USD_E6,
        at_stake.contracts_e2() > limits.max_contracts_total * CONTRACT_E2,
        at_stake.open_trades > limits.max_open_trades,
    )
    return sum(passed)


def _query(sql: str, names: dict[str, object]) -> Query:
    """Return a query whose named places are numbered in their order."""
    params: list[object] = []
    head, *parts = sql.split("%(")
    for part in parts:
        name, _, rest = part.partition(")s")
        params.append(names[name])
        head += f"%s{rest}"
    return Query(head, tuple(params))
