"""The twenty invariants of the money path, as checks of a history.

Each check returns what it finds wrong, naming the culprit; nothing found means that the invariant
held. They know nothing of how the product works: tables of states, limits' arithmetic and token
buckets are written here a second time, so that one mistake cannot cancel itself. Classes: *step*
holds after every commit and every request, *quiescent* when faults have stopped and everything is
answered, *cross-run* compares two runs, *cluster* needs real processes and is judged elsewhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from recio.simulation.across_runs import (
    invariant_15_a_restart_changes_nothing,
    invariant_16_the_same_seed_gives_the_same_history,
)
from recio.simulation.history import (
    Bucket,
    Change,
    History,
    OrderSample,
    Sample,
    Sent,
    VenueOrder,
)
from recio.simulation.in_time import IN_DOUBT, held_breakers, long_doubts, long_waits, sent_late
from recio.simulation.over_all import entries_of, results, unbooked_e2, worst_usd_e6, wrong_sides

Found = list[str]
SIGNATURE_DEAD_US: Final = 10_000_000
"""No exit is sent again before its first signature has been dead for as long as it lived."""
CLOCK_US: Final = 3_000_000
"""How wrong a clock is made; the exchange takes a signature for 5 s, and we wait for 10."""
KILL_US: Final = 50_000
"""How long after the committed switch the last order may still leave, in wall time."""
UNAUTHENTICATED: Final = 401
SECOND_US: Final = 1_000_000
HOUR_US: Final = 3_600 * SECOND_US
ONE_E4: Final = 10_000

# What may follow what. A fill is the truth: it may come after "canceled" and "rejected".
FOLLOWS: Final[dict[str, frozenset[str]]] = {
    "": frozenset({"created"}),
    "created": frozenset({"submitted", "expired_unsent"}),
    "submitted": frozenset(
        {"unknown", "resting", "partially_filled", "executed", "canceled", "rejected"}
    ),
    "unknown": frozenset(
        {"submitted", "resting", "partially_filled", "executed", "canceled", "rejected"}
    ),
    "resting": frozenset({"partially_filled", "executed", "canceled"}),
    "partially_filled": frozenset({"executed", "canceled"}),
    "canceled": frozenset({"executed"}),
    "rejected": frozenset({"resting", "partially_filled", "executed", "canceled"}),
    "executed": frozenset(),
    "expired_unsent": frozenset(),
}
STRICTNESS: Final = ("Active", "NoNewEntries", "ReduceOnly", "Halted", "Flatten")
BY_A_PERSON: Final = frozenset({"flatten", "panic", "manual"})


def _creates(history: History) -> list[Sent]:
    """Creates of ours that the exchange could take: what it does not even authenticate is no order.

    A process that was frozen after its claim may send that one request when it wakes; its signature
    is dead by then (or nobody has taken over yet).
    """
    return [
        one
        for one in history.sent
        if one.kind == "create" and not one.is_foreign and one.status != UNAUTHENTICATED
    ]


def _ours(history: History) -> list[VenueOrder]:
    """V's orders less those that were sent by hand."""
    foreign = {one.client_order_id for one in history.sent if one.is_foreign}
    return [one for one in history.venue.orders if one.client_order_id not in foreign]


def invariant_01_one_exchange_order_per_intent(history: History) -> Found:
    """At most one exchange order for each intent."""
    intent_of = {one.order_id: one.intent_id for one in history.orders}
    found = Counter(
        intent_of.get(one.client_order_id, one.client_order_id) for one in _ours(history)
    )
    return [
        f"intent {intent} has {number} orders at the exchange"
        for intent, number in found.items()
        if number > 1
    ]


def invariant_02_no_order_without_a_durable_intent(history: History) -> Found:
    """An order's intent and row were committed, and said the same, before its first byte left."""
    found = []
    for sent in _creates(history):
        held = sent.durable
        if (held.intent_state, held.order_state) != ("accepted", "submitted"):
            found.append(
                f"order {sent.client_order_id} left at {sent.at_us} while its intent was "
                f"{held.intent_state or 'not there'} and its row {held.order_state or 'not there'}"
            )
        terms = (held.ticker, held.book_side, held.price_e4, held.qty_e2, held.is_reduce_only)
        said = (sent.ticker, sent.book_side, sent.price_e4, sent.qty_e2, sent.is_reduce_only)
        if held.order_state and terms != said:
            found.append(f"order {sent.client_order_id} left as {said}, its row says {terms}")
    seen = {one.client_order_id for one in history.sent}
    return [*found, *wrong_sides(history)] + [
        f"exchange order {one.order_id} ({one.client_order_id}) was sent by nobody"
        for one in history.venue.orders
        if one.client_order_id not in seen
    ]


def invariant_03_no_fill_lost_or_doubled(history: History) -> Found:
    """Booked fills equal the exchange's, by trade id."""
    theirs = [
        (one.trade_id, one.ticker, one.is_bid, one.price_e4, one.qty_e2, one.fee_usd_e6)
        for one in history.venue.fills
    ]
    # A fill that belongs to two trades of ours is booked in two parts.
    parts: dict[tuple[str, str, bool, int], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for one in history.ledger.fills:
        key = (one.trade_id, one.ticker, one.is_bid, one.price_e4)
        qty, fee = parts[key]
        parts[key] = (qty + one.qty_e2, fee + one.fee_usd_e6)
    ours = [(*key, *sums) for key, sums in parts.items()]
    lost, extra = Counter(theirs) - Counter(ours), Counter(ours) - Counter(theirs)
    return [f"fill {one[0]} is not booked as it happened: {one}" for one in lost] + [
        f"fill {one[0]} is booked but did not happen so: {one}" for one in extra
    ]


def invariant_04_positions_are_what_was_filled(history: History) -> Found:
    """Position = signed fills less settlements, in both books."""
    summed: Counter[str] = Counter()
    for fill in history.ledger.fills:
        summed[fill.ticker] += fill.qty_e2 if fill.is_bid else -fill.qty_e2
    for paid in history.ledger.settlements:
        summed[paid.ticker] -= paid.position_e2
    ours, theirs = dict(history.ledger.positions_e2), dict(history.venue.positions_e2)
    return [
        f"{ticker}: fills come to {summed[ticker]}, our book says {ours.get(ticker, 0)}, "
        f"the exchange {theirs.get(ticker, 0)}"
        for ticker in sorted({*summed, *ours, *theirs})
        if not summed[ticker] == ours.get(ticker, 0) == theirs.get(ticker, 0)
    ]


def invariant_05_cash_to_the_cent(history: History) -> Found:
    """Cash = opening + fills - fees + settlements, exactly, in both books; whole numbers only."""
    venue, ledger = history.venue, history.ledger
    amounts = [
        venue.opening_usd_e6,
        *(one.revenue_usd_e6 - one.fee_usd_e6 for one in venue.fills),
        *(one.revenue_usd_e6 for one in venue.settlements),
    ]
    found = [
        f"money that is not a whole number: {value!r}"
        for value in [*amounts, *(one.amount_usd_e6 for one in ledger.postings)]
        if type(value) is not int
    ]
    booked = sum(one.amount_usd_e6 for one in ledger.postings if one.book == "cash")
    sums = {
        "the exchange's facts": sum(amounts),
        "the exchange's balance": venue.cash_usd_e6,
        "our cash postings": booked,
        "our total": ledger.cash_usd_e6,
    }
    if len(set(sums.values())) > 1:
        found.append("cash differs: " + ", ".join(f"{k} {v}" for k, v in sums.items()))
    return [*found, *results(history)]


def invariant_06_double_entry_append_only(history: History) -> Found:
    """Every transaction's postings sum to zero, once a fact; no posting ever changes or goes."""
    sums: Counter[str] = Counter()
    facts: dict[tuple[str, str], set[str]] = defaultdict(set)
    for line in history.ledger.postings:
        sums[line.transaction_id] += line.amount_usd_e6
        facts[line.kind, line.fact_id].add(line.transaction_id)
    found = [f"transaction {name} sums to {total}" for name, total in sums.items() if total]
    found += [
        f"{kind} {fact} is booked {len(names)} times"
        for (kind, fact), names in facts.items()
        if len(names) > 1
    ]
    last = set(history.ledger.postings)
    for earlier in history.earlier_postings:
        found += [
            f"posting {one.transaction_id}/{one.line} was changed or removed"
            for one in earlier
            if one not in last
        ]
    found += _falling(history.samples)
    if not history.ledger.refuses_update:
        found.append("the database let a posting be changed")
    if not history.ledger.refuses_delete:
        found.append("the database let a posting be deleted")
    return found


def _falling(samples: Iterable[Sample]) -> Iterator[str]:
    most = 0
    for one in samples:
        if one.postings < most:
            yield f"at {one.at_us} there were {one.postings} postings, before {most}"
        most = max(most, one.postings)


def invariant_07_unknown_is_not_rejected(history: History) -> Found:
    """A doubt keeps its exposure, is not replaced or re-sent early, and ends in the truth."""
    return [
        *_uncounted(history),
        *_replaced(history),
        *_sent_again(history),
        *_wrongly_ended(history),
    ]


def _uncounted(history: History) -> Iterator[str]:
    for sample in history.samples:
        doubted = [one for one in entries_of(sample) if one.state in IN_DOUBT]
        yield from (
            f"order {one.order_id} is {one.state} at {sample.at_us} and reserves nothing"
            for one in doubted
            if one.reserved_usd_e6 <= 0
        )
        entries = entries_of(sample)
        usd = sum(map(worst_usd_e6, entries)) + sum(one.cost_usd_e6 for one in sample.held)
        contracts = sum(map(unbooked_e2, entries)) + sum(one.qty_e2 for one in sample.held)
        if (sample.counted_usd_e6, sample.counted_contracts_e2) != (usd, contracts):
            named = ", ".join(f"{one.order_id} {one.state}" for one in doubted)
            yield (
                f"at {sample.at_us} the gate counts {sample.counted_contracts_e2} contracts e-2 "
                f"and {sample.counted_usd_e6} usd e-6, at worst it is {contracts} and {usd} "
                f"({named or 'nothing in doubt'})"
            )


def _replaced(history: History) -> Iterator[str]:
    for sent in _creates(history):
        held = sent.durable
        if held.purpose == "exit" and sent.qty_e2 > held.sellable_e2:
            yield (
                f"exit {sent.client_order_id} sells {sent.qty_e2} of trade {held.trade_id}, whose "
                f"other exits leave {held.sellable_e2}"
            )
    entries: dict[str, set[str]] = defaultdict(set)
    for sent in _creates(history):
        if sent.durable.purpose == "entry":
            entries[sent.durable.trade_id].add(sent.client_order_id)
    yield from (
        f"trade {trade} was entered by {len(names)} orders: {sorted(names)}"
        for trade, names in entries.items()
        if len(names) > 1
    )


def _sent_again(history: History) -> Iterator[str]:
    before: dict[str, Sent] = {}
    # The margin of a signature's life is there for clocks that are wrong.
    slack_us = CLOCK_US * any(one.fault.startswith("clock") for one in history.strikes)
    for sent in _creates(history):
        first = before.get(sent.client_order_id)
        before[sent.client_order_id] = sent
        if first is None:
            continue
        signed_us = first.signed_us or first.wall_us
        if sent.durable.purpose == "entry":
            yield f"entry {sent.client_order_id} was sent again at {sent.at_us}"
        elif sent.wall_us - signed_us < SIGNATURE_DEAD_US - slack_us:
            yield (
                f"exit {sent.client_order_id} was sent again {sent.wall_us - signed_us} us after "
                "the first was signed, which could still arrive"
            )


def _wrongly_ended(history: History) -> Iterator[str]:
    lived = {one.client_order_id: one for one in history.venue.orders}
    for order in history.orders:
        at_exchange = lived.get(order.order_id)
        if order.state in {"rejected", "expired_unsent"} and at_exchange is not None:
            yield f"order {order.order_id} is {order.state}, yet it lived at the exchange"
    # What the stream mends a moment later was wrong all the same: limits were asked meanwhile.
    for change in history.changes:
        at_exchange = lived.get(change.subject_id) if change.subject == "orders" else None
        if at_exchange is not None and change.new in {"rejected", "expired_unsent"}:
            yield f"order {change.subject_id} was {change.new}, yet it lived at the exchange"
        elif at_exchange is not None and _is_filled_at_once(at_exchange, change):
            yield f"order {change.subject_id} was canceled, yet the exchange filled all of it"


def _is_filled_at_once(order: VenueOrder, change: Change) -> bool:
    """Whether an order that never rested was called canceled although it was filled."""
    return change.new == "canceled" and change.old != "resting" and order.status == "executed"


def invariant_08_no_trade_beyond_limits(history: History) -> Found:
    """At every instant at which an entry appears, the worst case is within every limit."""
    limits, found = history.limits, []
    known: set[str] = set()
    for sample in history.samples:
        entries = entries_of(sample)
        new = [one for one in entries if one.order_id not in known]
        known.update(one.order_id for one in entries)
        for one in new:
            found += _beyond(history, sample, one)
    found += [
        f"order {one.client_order_id} of {one.qty_e2}: at most {limits.contracts_per_order_e2}"
        for one in _creates(history)
        if one.durable.purpose == "entry" and one.qty_e2 > limits.contracts_per_order_e2
    ]
    return found


def _beyond(history: History, sample: Sample, new: OrderSample) -> Found:
    limits = history.limits
    entries, event = entries_of(sample), new.event_ticker
    here = [one for one in entries if one.event_ticker == event]
    held_here = [one for one in sample.held if one.event_ticker == event]
    figures = (
        ("contracts in the event",
         sum(map(unbooked_e2, here)) + sum(one.qty_e2 for one in held_here),
         limits.contracts_per_event_e2),
        ("contracts", sum(map(unbooked_e2, entries)) + sum(one.qty_e2 for one in sample.held),
         limits.contracts_total_e2),
        ("cost in the event",
         sum(map(worst_usd_e6, here)) + sum(one.cost_usd_e6 for one in held_here),
         limits.cost_per_event_usd_e6),
        ("cost", sum(map(worst_usd_e6, entries)) + sum(one.cost_usd_e6 for one in sample.held),
         limits.cost_total_usd_e6),
        ("open trades", sample.open_trades, limits.open_trades),
        ("orders in a minute", sample.orders_in_minute, limits.orders_per_minute),
    )  # fmt: skip
    return [
        f"order {new.order_id} at {sample.at_us} brings {name} to {value}, at most {most}"
        for name, value, most in figures
        if value > most
    ]


def _strictest_at(history: History, at_us: int) -> str:
    """The switch in force by the audit: the strictest of each source's last word."""
    last: dict[str, str] = {}
    for change in history.changes:
        if change.subject == "switches" and change.at_us <= at_us:
            last[change.subject_id] = change.new
    return max(last.values(), key=STRICTNESS.index, default="Active")


def invariant_09_no_order_after_kill(history: History) -> Found:
    """Nothing that the switch forbids leaves after it was committed; the switch stays latched."""
    found = []
    for sent in _creates(history):
        switch = _strictest_at(history, sent.at_us - KILL_US * history.speed)
        if not _is_allowed(switch, sent) and not _is_allowed(
            _strictest_at(history, sent.at_us), sent
        ):
            found.append(
                f"{sent.durable.purpose or 'order'} {sent.client_order_id} left at {sent.at_us} "
                f"although the switch was {switch}"
            )
    for sample in history.samples:
        said = _strictest_at(history, sample.at_us)
        before = _strictest_at(history, sample.at_us - 1)
        if sample.switch not in (said, before):
            found.append(f"at {sample.at_us} the switch is {sample.switch}, nobody released {said}")
    return found


def _is_allowed(switch: str, sent: Sent) -> bool:
    if sent.durable.purpose == "entry":
        return switch == "Active"
    return switch != "Halted" or sent.durable.source in BY_A_PERSON


def invariant_10_epochs_never_fall(history: History) -> Found:
    """The exchange never sees an order of an epoch below one that it has seen."""
    found, highest = [], 0
    for sent in _creates(history):
        epoch = sent.durable.epoch
        if epoch < highest or epoch != sent.durable.lease_epoch:
            found.append(
                f"order {sent.client_order_id} left under epoch {epoch}; the lease was at "
                f"{sent.durable.lease_epoch}, the exchange had seen {highest}"
            )
        highest = max(highest, epoch)
    return found


def invariant_11_states_only_go_on(history: History) -> Found:
    """Orders move along their table, fills never fall, and every quantity adds up."""
    return [
        *_jumps(change for change in history.changes if change.subject == "orders"),
        *_shrinking(history.samples),
        *_sums(history),
    ]


def _jumps(changes: Iterable[Change]) -> Iterator[str]:
    state: dict[str, str] = {}
    for change in changes:
        before = state.get(change.subject_id, "")
        state[change.subject_id] = change.new
        if change.old != before or change.new not in FOLLOWS[before]:
            yield f"order {change.subject_id} went from {before or 'nothing'} to {change.new}"


def _shrinking(samples: Iterable[Sample]) -> Iterator[str]:
    most: dict[str, tuple[int, int]] = {}
    for sample in samples:
        for one in sample.orders:
            filled, booked = most.get(one.order_id, (0, 0))
            if one.filled_e2 < filled or one.booked_e2 < booked:
                yield f"order {one.order_id}: filled fell from {filled} to {one.filled_e2}"
            most[one.order_id] = (one.filled_e2, one.booked_e2)


def _sums(history: History) -> Iterator[str]:
    theirs = {one.client_order_id: one for one in history.venue.orders}
    filled: Counter[str] = Counter()
    for fill in history.venue.fills:
        filled[fill.order_id] += fill.qty_e2
    for one in theirs.values():
        rest = one.initial_e2 - one.filled_e2
        expected = {"resting": rest, "canceled": 0, "executed": 0}[one.status]
        is_whole = one.status != "executed" or rest == 0
        if filled[one.order_id] != one.filled_e2 or one.remaining_e2 != expected or not is_whole:
            yield f"exchange order {one.order_id}: {one.filled_e2} filled of {one.initial_e2}"
    for order in history.orders:
        at_exchange = theirs.get(order.order_id)
        truth = at_exchange.filled_e2 if at_exchange is not None else 0
        if not order.booked_e2 == order.filled_e2 == truth <= order.qty_e2:
            yield (
                f"order {order.order_id}: {order.filled_e2} filled and {order.booked_e2} booked "
                f"of {order.qty_e2}, the exchange filled {truth}"
            )
        if order.state == "executed" and truth != order.qty_e2:
            yield f"order {order.order_id} is executed with {truth} of {order.qty_e2}"


def invariant_12_no_decision_on_stale_data(history: History) -> Found:
    """Every accepted entry knew how old its price and book were, and they were young enough."""
    found = []
    for one in history.intents:
        if one.purpose != "entry" or one.state != "accepted":
            continue
        for name, at_us, most_us in (
            ("price", one.price_at_us, history.limits.price_age_us),
            ("book", one.book_at_us, history.limits.book_age_us),
        ):
            if at_us is None:
                found.append(f"intent {one.intent_id} was accepted with a {name} of unknown age")
            elif abs(one.decided_us - at_us) // 1000 * 1000 > most_us:
                age_us = one.decided_us - at_us
                found.append(f"intent {one.intent_id} was accepted with a {name} {age_us} us old")
    return [*found, *sent_late(history, _creates(history))]


def invariant_13_price_and_size_are_legal(history: History) -> Found:
    """Every order is on the market's grid, of a size, and inside the market's open window."""
    found = []
    for sent in _creates(history):
        market = history.market(sent.ticker)
        if market is None:
            found.append(f"order {sent.client_order_id} names {sent.ticker}, which is not listed")
            continue
        if not any(
            first <= sent.price_e4 <= last and (sent.price_e4 - first) % step == 0
            for first, last, step in market.grid
        ):
            found.append(f"order {sent.client_order_id}: {sent.price_e4} e-4 is not on the grid")
        if sent.qty_e2 <= 0:
            found.append(f"order {sent.client_order_id}: {sent.qty_e2} contracts e-2")
        if not market.open_us <= sent.at_us < market.close_us:
            found.append(f"order {sent.client_order_id} left while {sent.ticker} was not open")
    return found


def invariant_18_within_the_rate_limit(history: History) -> Found:
    """The exchange's token buckets, filled and emptied again here, never run dry."""
    found: Found = []
    for billing, bucket in (("read", history.read_bucket), ("write", history.write_bucket)):
        shards = {one.shard for one in history.sent if one.billing == billing}
        for shard in sorted(shards):
            spent = [
                one
                for one in history.sent
                if one.billing == billing and one.shard == shard and one.is_handled
            ]
            found += _dry(spent, bucket, f"{billing} bucket of shard {shard}")
    return found


def _dry(spent: list[Sent], bucket: Bucket, name: str) -> Iterator[str]:
    tokens_e6, at_us = bucket.capacity * SECOND_US, 0
    for one in spent:
        gained = (one.at_us - at_us) * bucket.refill_per_s if at_us else 0
        tokens_e6 = min(tokens_e6 + gained, bucket.capacity * SECOND_US) - one.cost * SECOND_US
        at_us = one.at_us
        if tokens_e6 < 0:
            yield f"{name} is {-tokens_e6} e-6 tokens short at {one.at_us} ({one.kind})"


def invariant_19_everything_ends(history: History) -> Found:
    """When faults have stopped, nothing is left in doubt, in flight, undecided or unsettled."""
    found = [
        f"intent {one.intent_id} is still {one.state}"
        for one in history.intents
        if one.state == "proposed"
    ]
    found += [
        f"order {one.order_id} is still {one.state}"
        for one in history.orders
        if one.state in {"created", *IN_DOUBT}
    ]
    settled = {one.ticker for one in history.venue.settlements}
    found += [
        f"trade {one.trade_id} is still {one.state}, {one.ticker} was settled"
        for one in history.trades
        if one.ticker in settled and one.state not in {"closed", "settled", "abandoned"}
    ]
    return [*found, *long_doubts(history), *long_waits(history), *held_breakers(history)]


def invariant_20_never_a_wrong_hour(history: History) -> Found:
    """No wish is decided, and no order made, for a market that is over or not of its hour."""
    found = []
    for one in history.intents:
        market = history.market(one.ticker)
        if one.state != "accepted":
            continue
        if market is None or market.event_ticker != one.event_ticker:
            found.append(f"intent {one.intent_id} takes {one.ticker} for {one.event_ticker}")
        elif not 0 < market.close_us - one.decided_us <= HOUR_US:
            left_us = market.close_us - one.decided_us
            found.append(f"intent {one.intent_id} was accepted with {left_us} us to the close")
    return found


Check = Callable[[History], Found]
CrossCheck = Callable[[History, History], Found]


@dataclass(frozen=True, slots=True)
class Row:
    """One invariant: its class, its check, and what is judged elsewhere and why."""

    number: int
    kind: str
    check: Check | None = None
    cross: CrossCheck | None = None
    remark: str = ""


TABLE: Final = (
    Row(1, "step", invariant_01_one_exchange_order_per_intent),
    Row(2, "step", invariant_02_no_order_without_a_durable_intent),
    Row(3, "quiescent", invariant_03_no_fill_lost_or_doubled),
    Row(4, "quiescent", invariant_04_positions_are_what_was_filled),
    Row(5, "quiescent", invariant_05_cash_to_the_cent),
    Row(6, "step", invariant_06_double_entry_append_only),
    Row(7, "step", invariant_07_unknown_is_not_rejected),
    Row(8, "step", invariant_08_no_trade_beyond_limits,
        remark="one account; the fleet's limits, daily loss and drawdown are judged by the gate's tests"),
    Row(9, "step", invariant_09_no_order_after_kill,
        remark="with PostgreSQL or the operator down: tests/e2e"),
    Row(10, "step", invariant_10_epochs_never_fall,
        remark="a frozen copy that wakes: tests/integration/money/test_executor.py"),
    Row(11, "step", invariant_11_states_only_go_on),
    Row(12, "step", invariant_12_no_decision_on_stale_data,
        remark="the ages; the book's sequence number is in the decision record, which needs the brain"),
    Row(13, "step", invariant_13_price_and_size_are_legal),
    Row(14, "cluster",
        remark="a stepped run has no sockets at all: the network layer's own tests judge it"),
    Row(15, "cross-run", cross=invariant_15_a_restart_changes_nothing),
    Row(16, "cross-run", cross=invariant_16_the_same_seed_gives_the_same_history,
        remark="the decision log of the brain: tests/replay"),
    Row(17, "cluster", remark="there is no operator in a stepped run: tests/apiserver judges it"),
    Row(18, "step", invariant_18_within_the_rate_limit,
        remark="that cancels are not starved: tests/unit/adapters/kalshi"),
    Row(19, "quiescent", invariant_19_everything_ends),
    Row(20, "step", invariant_20_never_a_wrong_hour),
)  # fmt: skip


def violations(history: History) -> Found:
    """Return everything that one finished run shows to be wrong, with the invariant's number."""
    return [
        f"invariant {row.number}: {what}"
        for row in TABLE
        if row.check is not None
        for what in row.check(history)
    ]
