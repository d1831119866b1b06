"""Bugs of the money path to be planted, one at a time: what is changed, and which check must notice.

Each is a change that somebody could make. ``old`` stands exactly once in its file, so that a bug
whose place has changed is noticed at once. ``breaks`` names what the simulation must say of it:
numbers of invariants, or ``DIES`` where the database or the code itself refuses to go on and a
service ends of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.planted import scripts

from recio.simulation.plan import AnyAct

DIES = 0
"""Stands in ``breaks`` for the end of a service."""

DECIDING = "services/recio/apps/trade_initiator/decide.py"
GATE = "services/recio/engine/gate.py"
GATE_ROWS = "services/recio/adapters/postgres/gate.py"
RISK = "services/recio/domain/risk.py"
SENDING = "services/recio/apps/trade_executor/sending.py"
RESOLVING = "services/recio/apps/trade_executor/resolving.py"
EXECUTOR = "services/recio/apps/trade_executor/app.py"
ORDER_ROWS = "services/recio/adapters/postgres/orders.py"
ORDERS = "services/recio/domain/orders.py"
LEASES = "services/recio/adapters/postgres/leases.py"
BOOKING = "services/recio/apps/kalshi_account_sync/booking.py"
FACTS = "services/recio/adapters/postgres/facts.py"
LEDGER = "services/recio/domain/ledger.py"
TRADE_BOOK = "services/recio/domain/trade_book.py"
SWITCHES = "services/recio/domain/switches.py"
SWITCH_ROWS = "services/recio/adapters/postgres/switches.py"
WAKE = "services/recio/runtime/wake.py"
TABLES = "migrations/0003_pre_trading.sql"

LOST = (
    "create: no answer, accepted",
    "create: no answer, never arrived",
    "create: cut, accepted",
    "create: cut, never arrived",
)
"""What makes an order unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """One change. ``faults`` (none: all) and ``count`` are what the plans draw from and how many."""

    name: str
    breaks: tuple[int, ...]
    file: str
    old: str
    new: str
    faults: tuple[str, ...] = ()
    count: int = 5
    speed: int = 0
    """Market seconds in a second of wall time, where it is not the plan's own."""
    script: tuple[AnyAct, ...] = ()
    """Acts that are added to each plan."""
    is_bare: bool = False
    """Of the plan's own acts only the moves of the book stay: nothing comes between the script's."""
    is_repeated: bool = False
    """Each seed is played twice, and the two histories must be the same."""


GATE_BUGS = (
    Bug(
        name="the new order is left out of the event's contracts",
        breaks=(8,),
        file=RISK,
        old="exposure.contracts_e2(event) + intent.qty_e2",
        new="exposure.contracts_e2(event)",
        script=scripts.EVENT_CONTRACTS,
        is_bare=True,
    ),
    Bug(
        name="the new order is left out of all contracts",
        breaks=(8,),
        file=RISK,
        old="exposure.contracts_e2() + intent.qty_e2",
        new="exposure.contracts_e2()",
        script=scripts.ALL_CONTRACTS,
        is_bare=True,
    ),
    Bug(
        name="the new order is left out of the event's cost",
        breaks=(8,),
        file=RISK,
        old="exposure.cost_usd_e6(event) + reserve",
        new="exposure.cost_usd_e6(event)",
        script=scripts.EVENT_COST,
        is_bare=True,
    ),
    Bug(
        name="the new order is left out of the cost of all",
        breaks=(8,),
        file=RISK,
        old="exposure.cost_usd_e6() + reserve",
        new="exposure.cost_usd_e6()",
        script=scripts.ALL_COST,
        is_bare=True,
    ),
    Bug(
        name="one open trade too many",
        breaks=(8,),
        file=RISK,
        old="exposure.open_trades + 1, limits.max_open_trades",
        new="exposure.open_trades, limits.max_open_trades",
        script=scripts.OPEN_TRADES,
        is_bare=True,
    ),
    Bug(
        name="one order in a minute too many",
        breaks=(8,),
        file=RISK,
        old="exposure.orders_in_minute + 1, limits.max_orders_per_minute",
        new="exposure.orders_in_minute, limits.max_orders_per_minute",
        script=scripts.FAST,
        is_bare=True,
    ),
    Bug(
        name="the size of an order is limited in another unit",
        breaks=(8,),
        file=RISK,
        old="if intent.qty_e2 > limits.max_contracts_per_order * CONTRACT_E2:",
        new="if intent.qty_e2 > limits.max_contracts_per_order * 1_000:",
    ),
    Bug(
        name="the limits of all accounts together are not asked",
        breaks=(8,),
        file=RISK,
        old="*(_fleet(fleet, reserve) if fleet is not None else ()),",
        new="",
        script=scripts.FLEET,
        is_bare=True,
    ),
    Bug(
        name="the reservation is skipped",
        breaks=(7,),
        file=GATE,
        old="qty_e2=intent.qty_e2, reserve=reserve, now_us=now_us)",
        new="qty_e2=intent.qty_e2, reserve=0, now_us=now_us)",
    ),
    Bug(
        name="an order in doubt reserves nothing",
        breaks=(7,),
        file=ORDER_ROWS,
        old="_OVER: Final = \"('executed', 'canceled', 'rejected', 'expired_unsent')\"",
        new="_OVER: Final = \"('executed', 'canceled', 'rejected', 'expired_unsent', 'unknown')\"",
        faults=LOST,
        count=12,
    ),
    Bug(
        name="a filled order counts no more, though its fills are not booked",
        breaks=(7,),
        file=ORDER_ROWS,
        old='f"(CASE WHEN state IN {_OVER} THEN filled_qty_e2 ELSE qty_e2 END) - booked_qty_e2"',
        new='f"(CASE WHEN state IN {_OVER} THEN booked_qty_e2 ELSE qty_e2 END) - booked_qty_e2"',
    ),
    Bug(
        name="what another exit is selling is sold again",
        breaks=(7,),
        file=GATE_ROWS,
        old='f"       (SELECT coalesce(sum({UNBOOKED_E2}), 0) "',
        new='f"       (SELECT 0 * coalesce(sum({UNBOOKED_E2}), 0) "',
    ),
    Bug(
        name="stale data is accepted",
        breaks=(12,),
        file=RISK,
        old="elif (age_ms := (now_us - at_us) // 1000) > limit_ms:",
        new="elif (age_ms := (now_us - at_us) // 1_000_000) > limit_ms:",
    ),
    Bug(
        name="data of unknown age is accepted",
        breaks=(12,),
        file=RISK,
        old='            yield f"{name} age unknown"\n',
        new="            continue\n",
    ),
    Bug(
        name="an entry into a closed market is accepted",
        breaks=(20,),
        file=GATE,
        old="if not facts.open_us <= now_us < facts.close_us:",
        new="if not facts.open_us <= now_us:",
        script=scripts.CLOSED,
    ),
    Bug(
        name="a price off the grid is accepted",
        breaks=(13,),
        file=GATE,
        old="        and (yes_price_e4 - each.start_e4) % each.step_e4 == 0\n",
        new="",
    ),
    Bug(
        name="an order outlives its market",
        breaks=(13,),
        file=GATE,
        old="valid_until_us=min(intent.valid_until_us, facts.close_us),",
        new="valid_until_us=intent.valid_until_us,",
        script=scripts.AT_THE_CLOSE,
    ),
)

EXECUTOR_BUGS = (
    Bug(
        name="the side is swapped on the way out",
        breaks=(2,),
        file=SENDING,
        old="book_side=order.book_side,",
        new="book_side=order.book_side.opposite,",
    ),
    Bug(
        name="entries sell and exits buy",
        breaks=(2,),
        file=GATE,
        old="book_side=opening if is_entry else opening.opposite,",
        new="book_side=opening.opposite if is_entry else opening,",
    ),
    Bug(
        name="an exit goes out without reduce-only",
        breaks=(2,),
        file=SENDING,
        old="is_reduce_only=order.is_reduce_only,",
        new="is_reduce_only=False,",
    ),
    Bug(
        name="no answer: sent again at once",
        breaks=(1, 7),
        file=SENDING,
        old=(
            "        except OutcomeUnknown as error:\n"
            '            return Outcome(OrderState.UNKNOWN, "unknown", reason=str(error))\n'
        ),
        new=(
            "        except OutcomeUnknown:\n"
            "            return _of_reply(row, await self._rest.submit(prepared))\n"
        ),
        faults=("create: cut, accepted",),
        count=16,
    ),
    Bug(
        name="no answer is taken for a refusal",
        breaks=(7,),
        file=SENDING,
        old=(
            "        except OutcomeUnknown as error:\n"
            '            return Outcome(OrderState.UNKNOWN, "unknown", reason=str(error))\n'
        ),
        new=(
            "        except OutcomeUnknown as error:\n"
            '            return Outcome(OrderState.REJECTED, "rejected", reason=str(error))\n'
        ),
        faults=("create: cut, accepted", "all frames lost"),
        count=20,
    ),
    Bug(
        name="what is in doubt is sent again without a look",
        breaks=(7,),
        file=EXECUTOR,
        old="outcome = await resolve(self._rest, self._context.clock, row)",
        new=(
            "from recio.apps.trade_executor.resolving import Verdict\n"
            "            outcome: Outcome | Verdict = Verdict.SEND_AGAIN"
        ),
        faults=LOST,
        count=12,
    ),
    Bug(
        name="a signature is believed dead too early",
        breaks=(7,),
        file=RESOLVING,
        old="SIGNATURE_DEAD_US = 10 * SECOND_US",
        new="SIGNATURE_DEAD_US = 1 * SECOND_US",
        faults=("create: cut, never arrived",),
        count=16,
    ),
    Bug(
        name="orders are not found by their own id",
        breaks=(7, 1),
        file=RESOLVING,
        old="if o.client_order_id == row.order.client_order_id), None)",
        new="if o.order_id == row.order.client_order_id), None)",
        faults=("create: cut, accepted", "frozen past the lease"),
        count=20,
    ),
    Bug(
        name="sent again under a new id",
        breaks=(1, 2),
        file=SENDING,
        old="client_order_id=order.client_order_id,",
        new=(
            "client_order_id=order.client_order_id\n"
            "        if order.state is OrderState.CREATED\n"
            "        else order.client_order_id[::-1],"
        ),
        faults=("create: cut, never arrived",),
        count=16,
    ),
    Bug(
        name="signed once more right before the wire",
        breaks=(10, 12),
        file=SENDING,
        old="        outcome = self._stale(row, prepared)\n",
        new=(
            "        prepared = await self._rest.prepare(prepared.order)\n        outcome = None\n"
        ),
        script=scripts.FROZEN,
    ),
    Bug(
        name="the end of an order's life is not looked at before the wire",
        breaks=(12,),
        file=ORDER_ROWS,
        old="valid_until_us=time_us(valid_until),",
        new="valid_until_us=time_us(valid_until) + 3_600_000_000,",
        script=scripts.WAITING,
    ),
    Bug(
        name="what an earlier copy claimed is not doubted",
        breaks=(19,),
        file=EXECUTOR,
        old="if row.order.state is OrderState.SUBMITTED and row.order.order_id not in self._busy:",
        new="if row.order.state is OrderState.UNKNOWN and row.order.order_id not in self._busy:",
        script=scripts.KILLED,
    ),
    Bug(
        name="the claim is not bound to the epoch",
        breaks=(10,),
        file=ORDER_ROWS,
        old="l.epoch = %s FOR SHARE) RETURNING 1",
        new="l.epoch >= %s FOR SHARE) RETURNING 1",
        script=scripts.STALE_EPOCH,
        speed=10,
    ),
    Bug(
        name="the epoch of a claim is off by one",
        breaks=(10,),
        file=ORDER_ROWS,
        old="values = (epoch, as_datetime(wall_us), at, at, order_group_id)",
        new="values = (epoch - 1, as_datetime(wall_us), at, at, order_group_id)",
    ),
    Bug(
        name="the lease is taken over too early",
        breaks=(10,),
        file=LEASES,
        old="if has_session and age_us < (LEASE_SECONDS + MARGIN_SECONDS) * SECOND_US:",
        new="if has_session and age_us < SECOND_US:",
        script=scripts.COPIES,
    ),
    Bug(
        name="the switch is not read at the claim",
        breaks=(9,),
        file=SENDING,
        old="if not allows(made.switch.state, Purpose(row.order.purpose), Source(row.source)):",
        new="if made.switch is None:",
        script=scripts.SWITCHED_ON_THE_WAY,
        is_bare=True,
    ),
    Bug(
        name="no new entries lets entries through",
        breaks=(9,),
        file=SWITCHES,
        old="        return state is Trading.ACTIVE\n",
        new="        return state in (Trading.ACTIVE, Trading.NO_NEW_ENTRIES)\n",
        script=scripts.SWITCHED,
    ),
    Bug(
        name="a halt lets automatic exits through",
        breaks=(9,),
        file=SWITCHES,
        old="    if state is Trading.HALTED:\n        return source in",
        new="    if state is Trading.FLATTEN:\n        return source in",
        script=scripts.SWITCHED,
    ),
    Bug(
        name="the switch of all accounts is forgotten",
        breaks=(9,),
        file=SWITCH_ROWS,
        old="\"WHERE scope IN (%s, '*') ORDER BY scope, source\",",
        new='"WHERE scope = %s ORDER BY scope, source",',
        script=scripts.SWITCHED,
    ),
    Bug(
        name="a part filled is taken for the whole",
        breaks=(11,),
        file=ORDERS,
        old="    if filled_qty_e2 >= qty_e2:\n",
        new="    if filled_qty_e2 > 0:\n",
    ),
    Bug(
        name="an older word turns a newer one back",
        breaks=(DIES,),
        file=ORDERS,
        old="    return reported if (held, reported) in TRANSITIONS else held\n",
        new="    return reported\n",
    ),
    Bug(
        name="reads come without a pause and without tokens",
        breaks=(18,),
        file="services/recio/adapters/kalshi/caller.py",
        old="        await self.budget.take(call.lane, call.cost, shard=call.shard, wait_s=wait_s)\n",
        new=(
            "        import asyncio\n"
            "        if not call.is_mutation:\n"
            "            target = self._target(call)\n"
            "            again = [self._send(call, target, self._headers(call.method, target))\n"
            "                     for _ in range(40)]\n"
            "            await asyncio.gather(*again, return_exceptions=True)\n"
        ),
    ),
)

BOOK_BUGS = (
    Bug(
        name="a fill is booked under its order's id",
        breaks=(3,),
        file=BOOKING,
        old="fill_id=facts.part_id(told.fill_id, number),",
        new="fill_id=facts.part_id(told.order_id, number),",
    ),
    Bug(
        name="a fee is forgotten",
        breaks=(3, 5),
        file=BOOKING,
        old="fee_usd_e6=_fee_up_to(told, after_e2) - _fee_up_to(told, before_e2),",
        new="fee_usd_e6=0,",
    ),
    Bug(
        name="a fee is reckoned in floats, by contract",
        breaks=(3, 5),
        file=BOOKING,
        old="return told.fee_usd_e6 * qty_e2 // told.qty_e2",
        new="return round(told.fee_usd_e6 / told.qty_e2) * qty_e2",
    ),
    Bug(
        name="a fill's side is swapped",
        breaks=(3, 4, 5),
        file=BOOKING,
        old="                book_side=told.book_side,\n                yes_price_e4",
        new="                book_side=told.book_side.opposite,\n                yes_price_e4",
    ),
    Bug(
        name="what was traded by hand is not booked",
        breaks=(3, 5),
        file=BOOKING,
        old="    if row is None and at_us <= opened_us:\n",
        new="    if row is None:\n",
    ),
    Bug(
        name="a settlement's fees are booked a second time",
        breaks=(5,),
        file=FACTS,
        old="revenue_usd_e6=settlement.revenue_usd_e6, fee_usd_e6=0",
        new="revenue_usd_e6=settlement.revenue_usd_e6, fee_usd_e6=settlement.fee_usd_e6",
    ),
    Bug(
        name="closing a position pays the price of opening it",
        breaks=(5,),
        file=LEDGER,
        old="proceeds = closing * (PRICE_ONE_E4 - own_price_e4)",
        new="proceeds = closing * own_price_e4",
    ),
    Bug(
        name="a fill is posted without its counterpart",
        breaks=(3,),
        file=LEDGER,
        old="            position=added - released,\n",
        new="",
    ),
    Bug(
        name="a position is added to itself",
        breaks=(4,),
        file=FACTS,
        old="DO UPDATE SET qty_e2 = excluded.qty_e2, ",
        new="DO UPDATE SET qty_e2 = positions.qty_e2 + excluded.qty_e2, ",
    ),
    Bug(
        name="the ledger can be changed afterwards",
        breaks=(6,),
        file=TABLES,
        old="ARRAY['ledger_transactions', 'ledger_postings', 'fills',",
        new="ARRAY['ledger_transactions', 'fills',",
    ),
    Bug(
        name="an expired trade is never settled",
        breaks=(19,),
        file=TRADE_BOOK,
        old="    if is_settled:\n",
        new="    if is_settled and not is_past_close:\n",
    ),
    Bug(
        name="a trade's result leaves out the fees",
        breaks=(5,),
        file=TRADE_BOOK,
        old="paid_out - sums.entry_cost_usd_e6 - sums.fees_usd_e6",
        new="paid_out - sums.entry_cost_usd_e6",
    ),
    Bug(
        name="an exit's proceeds count twice",
        breaks=(5,),
        file=TRADE_BOOK,
        old="exit_proceeds_usd_e6=sum(own_price_e4(side, f.yes_price_e4) * f.qty_e2 for f in exits),",
        new="exit_proceeds_usd_e6=sum(\n"
        "            own_price_e4(side, f.yes_price_e4) * f.qty_e2 for f in (*exits, *exits)\n"
        "        ),",
    ),
    Bug(
        name="what was sold counts twice",
        breaks=(DIES,),
        file=TRADE_BOOK,
        old="exited_qty_e2=sum(fill.qty_e2 for fill in exits),",
        new="exited_qty_e2=2 * sum(fill.qty_e2 for fill in exits),",
    ),
    Bug(
        name="nobody looks without a hint",
        breaks=(19,),
        file=WAKE,
        old="limit_s = poll_s if at_most_s is None else min(poll_s, max(at_most_s, 0.0))",
        new="limit_s = None if poll_s or at_most_s is None else 0.0",
        script=scripts.NO_HINTS,
    ),
    Bug(
        name="the gate reads the machine's clock",
        breaks=(16,),
        file=DECIDING,
        old="    now_us = clock.market_us()\n",
        new="    import time\n    now_us = clock.market_us() + time.time_ns() // 1000 % 1000\n",
        is_repeated=True,
    ),
)

BUGS = (*GATE_BUGS, *EXECUTOR_BUGS, *BOOK_BUGS)

ELSEWHERE = {
    "an entry in doubt is sent again": (
        "the claim of a resend asks what is left to sell, and an entry sells nothing: it ends "
        "canceled all the same (60 seeds, no violation); tests/integration/money/test_executor_doubt.py"
    ),
    "the stream is believed and nothing is read back": (
        "whatever the simulated stream loses leaves a gap in its numbers or ends the connection, "
        "and either makes account sync read back: tests/integration/money loses frames one by one"
    ),
    "how old the exchange's reads are is not asked": (
        "account sync reads again every second while an order is in doubt and finds it first: "
        "tests/integration/money/test_executor.py"
    ),
    "the fleet's lock is skipped": (
        "a transaction is one step of the simulation, so that two of them never overlap here: "
        "tests/concurrency plays them against each other statement by statement"
    ),
    "a wish is decided by two gates at once": "as above: tests/concurrency",
    "an invariant of class cluster (14, 17)": "needs sockets and an operator: tests/e2e, tests/apiserver",
    "a used id (409) is taken for a refusal": (
        "a second net: the exchange sees an id twice only if the look-up failed as well; "
        "tests/integration/money/test_executor.py"
    ),
    "a settlement is booked before its last fill": (
        "the simulated exchange shows both or none of them; "
        "tests/integration/money shows the settlement first"
    ),
    "a difference of cash is overlooked": (
        "an alarm that never rings breaks nothing by itself: "
        "tests/integration/money/test_paper_exchange.py and test_lies.py let the exchange lie"
    ),
}
"""What is not planted here, and who judges it."""
