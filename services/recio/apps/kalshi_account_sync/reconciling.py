"""Read everything back from the exchange and book what is missing; compare when it is quiet.

One look is: settlements, orders and fills since the last known fact, each booked by itself; what of
them is not believed is left unbooked and raised (``doubts``). Then cash and positions are compared.
A list that cannot be read stops no other list, and a fact that cannot be booked no other fact.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from recio.adapters.kalshi.errors import KalshiRejected
from recio.adapters.kalshi.model import ExchangeFill, ExchangeOrder, ExchangeSettlement
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.rest_portfolio import Listed
from recio.adapters.postgres import external, facts
from recio.adapters.postgres.external import Pulse
from recio.adapters.postgres.facts import Fill, Settlement
from recio.apps.kalshi_account_sync import booking, checking
from recio.apps.kalshi_account_sync.accepting import Accepting
from recio.apps.kalshi_account_sync.comparing import Comparison
from recio.apps.kalshi_account_sync.doubts import Doubts
from recio.apps.kalshi_account_sync.losses import LossWatch
from recio.domain.disputes import Contradiction, Reason
from recio.domain.errors import InvalidValue, Rejected, Unavailable
from recio.domain.units import MINUTE_US, SECOND_US
from recio.runtime.service import ServiceContext

LOOK_BACK_US: Final = 10 * MINUTE_US
"""Facts are read again from this long before the newest one: they are not shown in order."""

STREAM: Final = "stream"
READ: Final = "read"

_ALWAYS: Final = {Reason.REPLY_UNREADABLE, Reason.FRESHNESS_IMPOSSIBLE}

T = TypeVar("T")


class Reconciler:
    """Keeps one account's books equal to the exchange's, or says why they are not."""

    def __init__(self, context: ServiceContext, account: str, rest: KalshiRest) -> None:
        self._context = context
        self._account = account
        self._database = context.database
        self._clock = context.clock
        self._rest = rest
        self._losses = LossWatch(context, account)
        self.doubts = Doubts(context, account)
        self.accepting = Accepting(context, account, self.doubts)
        self._comparison = Comparison(context, account, rest, self._raise)
        self._strangers: dict[str, ExchangeFill] = {}
        self._newest_as_of_us = 0
        self._looked_at: set[Reason] = set()
        self._problems: list[str] = []
        self._facts = context.metrics.counter(
            "recio_facts_booked_total", "Facts booked, by kind and by who told first.", "kind", "by"
        )
        self.problem = ""

    @property
    def is_unsettled(self) -> bool:
        """Whether something differs, or the newest facts are not compared yet."""
        return self.doubts.are_standing or self._comparison.is_due

    async def open_books(self) -> None:
        """Book the opening balance and positions at the account's very first start."""
        async with self._database.transaction() as tx:
            if await external.opening_us(tx, self._account) is not None:
                return
        balance = await self._rest.balance()
        positions = await self._rest.positions()
        if await self._rest.orders(status="resting"):
            raise Unavailable(
                "orders rest at the exchange, so that its balance leaves their collateral out: cancel "
                "them, or wait until they are over, and the books are opened"
            )
        at_us = await self._rest.as_of_us()
        wrong = _impossible_freshness(at_us, self._clock.market_us(), 0)
        if wrong:
            raise Unavailable(f"the books cannot be opened: {wrong}")
        if (await self._rest.balance()).cash_usd_e6 != balance.cash_usd_e6:
            raise Unavailable("somebody trades while the books are opened: they are read again")
        async with self._database.transaction() as tx:
            if not await facts.open_books(
                tx, self._account, cash_usd_e6=balance.cash_usd_e6, at_us=at_us
            ):
                return
            for position in positions:
                if position.qty_e2:
                    await booking.adopt_position(tx, self._account, position, at_us=at_us)
        self._context.log.info("books opened with %d micro-dollars", balance.cash_usd_e6)

    async def reconcile(self) -> None:
        """Read orders, fills and settlements since the last known fact, and book them.

        Settlements are read before fills, so that every fill of a settled market is at hand.
        """
        self.doubts.begin()
        self._problems.clear()
        self._looked_at = set(_ALWAYS)
        if self.doubts.is_holding:
            await self.accepting.book()
        now_us = self._clock.market_us()
        since_us = await self._since_us(now_us)
        last_action_us = (await self.pulse()).last_action_us
        as_of_us = await self._freshness()
        settlements = await self._list("settlements", self._rest.listed_settlements, since_us)
        orders = await self._list("orders", self._rest.listed_orders, since_us)
        if orders is not None:
            await self._book_orders(orders, is_fresh=(as_of_us or 0) > last_action_us)
        fills = await self._list("fills", self._rest.listed_fills, since_us)
        async with self._database.transaction() as tx:
            booked = await facts.booked_since(tx, self._account, since_us)
            settled = await facts.settled_since(tx, self._account, since_us)
        await self._book_fills(fills or (), booked)
        for settlement in settlements or ():
            await self._told(settlement, partial(self._settle, settlement, settled))
        if settlements is not None and fills is not None:
            self._looked_at.add(Reason.SETTLEMENT_DIFFERS)
        if as_of_us is not None:
            sure = (since_us + SECOND_US, as_of_us - SECOND_US)
            await self._miss(
                "fill", fills, {n: parts[0].at_us for n, parts in booked.items()}, sure
            )
            await self._miss(
                "settlement", settlements, {n: s.settled_at_us for n, s in settled.items()}, sure
            )
        await self._losses.look()
        self._looked_at |= await self._guarded("balance", self._comparison.look()) or set()
        await self.doubts.end(self._looked_at)
        self.problem = "; ".join(self._problems)

    async def _list(
        self, name: str, read: Callable[..., Awaitable[Listed[T]]], since_us: int
    ) -> tuple[T, ...] | None:
        """Read one list; what cannot be read of it is raised. None: it is not known."""
        listed = await self._guarded(name, read(min_us=since_us))
        if listed is None:
            return None
        for bad in listed.bad:
            await self._raise(checking.unreadable(name, bad))
        return listed.rows

    async def _guarded(self, name: str, reading: Awaitable[T]) -> T | None:
        """Return what is read; a reply that cannot be read stops nothing else."""
        try:
            return await reading
        except InvalidValue as error:
            await self._raise(
                Contradiction(
                    Reason.REPLY_UNREADABLE,
                    name,
                    f"{name} cannot be read: {error}",
                    told={"problem": str(error)},
                )
            )
            return None

    async def _freshness(self) -> int | None:
        """Return how fresh reads are; None if that cannot be believed."""
        as_of_us = await self._guarded("freshness", self._rest.as_of_us())
        if as_of_us is None:
            return None
        wrong = _impossible_freshness(as_of_us, self._clock.market_us(), self._newest_as_of_us)
        if wrong:
            await self._raise(
                Contradiction(Reason.FRESHNESS_IMPOSSIBLE, "", wrong, told={"as_of_us": as_of_us})
            )
            return None
        self._newest_as_of_us = max(self._newest_as_of_us, as_of_us)
        return as_of_us

    async def _raise(self, found: Contradiction, as_of_us: int | None = None) -> None:
        self._problems.append(str(found))
        if await self.doubts.raise_(found, as_of_us=as_of_us):
            self._strangers.pop(found.subject, None)  # The row in the database takes its place.

    async def _told(
        self, told: ExchangeFill | ExchangeOrder | ExchangeSettlement, work: Callable[[], Any]
    ) -> bool:
        """Book one fact; one that is not believed, or refused, must not stop the others."""
        try:
            await work()
        except Contradiction as found:
            await self._raise(found)
        except Rejected as error:
            subject = told.fill_id if isinstance(told, ExchangeFill) else told.ticker
            await self._raise(
                Contradiction(
                    Reason.FACT_REFUSED,
                    subject,
                    f"{subject} cannot be booked: {error}",
                    told=checking.plain(told),
                )
            )
        else:
            return True
        return False

    async def _book_orders(self, orders: tuple[ExchangeOrder, ...], *, is_fresh: bool) -> None:
        names = [(order.order_id, order.client_order_id) for order in orders]
        async with self._database.transaction() as tx:
            found = await external.held_orders(tx, self._account, names)
        held = {str(each.order_id): each for each in found}
        held |= {each.exchange_order_id or "": each for each in found}
        for order in orders:
            if checking.is_news(order, held.get(order.order_id) or held.get(order.client_order_id)):
                await self._told(order, partial(self._book_order, order, is_fresh=is_fresh))
        if is_fresh:
            self._looked_at.add(Reason.ORDER_FILLS_FELL)

    async def _book_order(self, told: ExchangeOrder, *, is_fresh: bool = False) -> None:
        async with self._database.transaction() as tx:
            row = await external.our_order(tx, self._account, told.order_id, told.client_order_id)
            if row is not None and is_fresh and told.fill_qty_e2 < row.booked_qty_e2:
                raise Contradiction(
                    Reason.ORDER_FILLS_FELL,
                    told.order_id,
                    f"order {row.order.order_id} is said to be filled for "
                    f"{told.fill_qty_e2 / 100:g} contracts, its fills are "
                    f"{row.booked_qty_e2 / 100:g}",
                    told=checking.plain(told),
                    held={"booked_qty_e2": row.booked_qty_e2},
                )
            await booking.book_order(tx, self._account, told, now_us=self._clock.market_us())

    async def _book_fills(
        self, told: tuple[ExchangeFill, ...], booked: Mapping[str, Sequence[Fill]]
    ) -> None:
        listed = {fill.fill_id for fill in told}
        strangers = self._strangers_of_before() | self._strangers
        waiting = [fill for name, fill in strangers.items() if name not in listed]
        for fill in sorted([*told, *waiting], key=lambda each: each.at_us or 0):
            parts = booked.get(fill.fill_id)
            if parts:
                await self._told(fill, partial(_as_booked, fill, parts))
            else:
                await self.book_fill(fill, told_by=READ)
        self._looked_at |= {Reason.FILL_OF_UNKNOWN_ORDER, Reason.FILLS_MISSING}
        async with self._database.transaction() as tx:
            missing = await external.missing_fills(tx, self._account)
        for each in missing:
            await self._raise(
                Contradiction(
                    Reason.FILLS_MISSING,
                    str(each.order_id),
                    f"order {each.order_id} is said to be filled for {each.filled_qty_e2 / 100:g} "
                    f"contracts, shown are fills of {each.booked_qty_e2 / 100:g}",
                    told={"filled_qty_e2": each.filled_qty_e2},
                    held={"booked_qty_e2": each.booked_qty_e2},
                )
            )

    def _strangers_of_before(self) -> dict[str, ExchangeFill]:
        """Return the disputed fills of unknown orders: their orders are asked for again."""
        return {
            each.subject: checking.fill_from(each.told)
            for each in self.doubts.undecided
            if each.reason is Reason.FILL_OF_UNKNOWN_ORDER
        }

    async def book_order(self, order: ExchangeOrder) -> None:
        """Move an order of ours on to what the stream tells; frames may come late or out of order."""
        await self._told(order, partial(self._book_order, order))

    async def book_fill(self, fill: ExchangeFill, *, told_by: str) -> None:
        """Book one fill; a stranger's order is looked up at the exchange first, to know whose it is."""
        await self._told(fill, partial(self._book_fill, fill, told_by))

    async def _book_fill(self, fill: ExchangeFill, told_by: str) -> None:
        async with self._database.transaction() as tx:
            booked = await facts.booked_fill(tx, self._account, fill.fill_id)
            if booked:
                checking.check_same_fill(fill, booked)
                return
            opened_us = await external.opening_us(tx, self._account)
            known = await external.our_order(tx, self._account, fill.order_id, fill.client_order_id)
        client_order_id = fill.client_order_id
        if known is None:
            if opened_us is None or (fill.at_us or opened_us + 1) <= opened_us:
                return
            client_order_id = await self._client_order_id(fill)
            if client_order_id is None:
                return
        async with self._database.transaction() as tx:
            is_new = await booking.book_fill(
                tx,
                self._account,
                fill,
                client_order_id=client_order_id,
                now_us=self._clock.market_us(),
            )
        self._strangers.pop(fill.fill_id, None)
        if is_new:
            self._comparison.is_due = True
            self._facts.inc(1, "fill", told_by)
            if told_by == STREAM:
                await self._losses.look()

    async def _client_order_id(self, fill: ExchangeFill) -> str | None:
        """Return the client order id of a fill's order, which must be one that the exchange knows.

        A fill that the stream alone tells of is looked at again until its order is known. None:
        reads are not as fresh as the fill yet, so that they cannot know its order.
        """
        try:
            return (await self._rest.order(fill.order_id)).client_order_id
        except (KalshiRejected, InvalidValue) as error:
            self._strangers[fill.fill_id] = fill
            if self._newest_as_of_us <= (fill.at_us or 0):
                return None
            raise Contradiction(
                Reason.FILL_OF_UNKNOWN_ORDER,
                fill.fill_id,
                f"fill {fill.fill_id} is of order {fill.order_id}, which is not known: {error}",
                told=checking.plain(fill),
            ) from error

    async def refuse_frame(self, kind: str, count: int) -> None:
        """Raise that the stream has told something that cannot be read."""
        await self._raise(
            Contradiction(
                Reason.FACT_UNREADABLE,
                f"stream {kind} {count} {self._clock.market_us()}",
                f"a frame of the stream cannot be read ({kind})",
                told={"kind": kind, "count": count},
            )
        )

    async def pulse(self) -> Pulse:
        """Return what is open now."""
        async with self._database.transaction() as tx:
            return await external.pulse(tx, self._account)

    async def _since_us(self, now_us: int) -> int:
        async with self._database.transaction() as tx:
            last_us = await external.last_fact_us(tx, self._account)
            since_us = min(now_us, last_us or now_us) - LOOK_BACK_US
            return await external.oldest_open_us(tx, self._account, since_us)

    async def _settle(self, told: ExchangeSettlement, settled: Mapping[str, Settlement]) -> None:
        booked = settled.get(told.ticker)
        if booked is not None:
            checking.check_same_settlement(told, booked)
            return
        async with self._database.transaction() as tx:
            await booking.book_settlement(tx, self._account, told, now_us=self._clock.market_us())

    async def _miss(
        self,
        kind: str,
        told: Sequence[ExchangeFill | ExchangeSettlement] | None,
        booked: Mapping[str, int],
        sure: tuple[int, int],
    ) -> None:
        """Raise what is booked and no longer listed, in the time that the lists cover for certain."""
        self._looked_at.add(Reason.FACTS_VANISHED)
        if told is None:
            return
        listed = {each.fill_id if isinstance(each, ExchangeFill) else each.ticker for each in told}
        for name, at_us in sorted(booked.items()):
            if sure[0] < at_us < sure[1] and name not in listed:
                await self._raise(
                    Contradiction(
                        Reason.FACTS_VANISHED,
                        f"{kind} {name}",
                        f"{kind} {name} is booked and no longer listed",
                        told={"listed": len(listed)},
                        held={kind: name},
                    )
                )


async def _as_booked(told: ExchangeFill, booked: Sequence[Fill]) -> None:
    checking.check_same_fill(told, booked)


def _impossible_freshness(as_of_us: int, now_us: int, newest_us: int) -> str:
    """Return why reads cannot be as fresh as is said; empty if they can."""
    if as_of_us > now_us + checking.CLOCKS_DIFFER_US:
        return f"reads are said to be of {(as_of_us - now_us) // SECOND_US} s from now"
    if as_of_us < now_us - checking.READS_LAG_US:
        return f"reads are said to be {(now_us - as_of_us) // SECOND_US} s old"
    if as_of_us < newest_us - checking.CLOCKS_DIFFER_US:
        return f"reads are said to be {(newest_us - as_of_us) // SECOND_US} s older than before"
    return ""
