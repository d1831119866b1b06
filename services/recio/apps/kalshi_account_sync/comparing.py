"""Compare cash and positions with the exchange's when nothing is in flight.

A comparison counts only if the exchange's reads are newer than our last act and nothing was booked
meanwhile. What differs at first sight may be a deposit: those are booked, then it is looked at
again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from recio.adapters.kalshi.model import ExchangePosition
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.rest_portfolio import Listed
from recio.adapters.postgres import external, facts
from recio.adapters.postgres.external import Pulse
from recio.apps.kalshi_account_sync import checking
from recio.domain.disputes import Contradiction, Reason
from recio.runtime.service import ServiceContext

Raise = Callable[[Contradiction, int], Awaitable[None]]


class Comparison:
    """Compares one account's books with what the exchange shows.

    ``is_due``: something was booked since the last comparison, or it could not be made.
    """

    def __init__(
        self, context: ServiceContext, account: str, rest: KalshiRest, raise_: Raise
    ) -> None:
        self._context = context
        self._account = account
        self._database = context.database
        self._clock = context.clock
        self._rest = rest
        self._raise = raise_
        self.is_due = False
        self._is_differing = False
        self._difference = context.metrics.gauge(
            "recio_cash_difference_dollars", "Exchange cash minus ledger cash, in a quiet moment."
        )

    async def look(self) -> set[Reason]:
        """Compare, if it is quiet; return which differences were looked for."""
        async with self._database.transaction() as tx:
            before = await external.pulse(tx, self._account)
        self.is_due = True
        if before.in_doubt:
            return set()
        # How fresh reads are is asked first: what is read after is at least as fresh.
        as_of_us = await self._rest.as_of_us()
        balance = await self._rest.balance()
        positions = await self._rest.listed_positions()
        now_us = self._clock.market_us()
        async with self._database.transaction() as tx:
            totals = await facts.lock_totals(tx, self._account)
            after = await external.pulse(tx, self._account)
            newest_us = await external.last_fact_us(tx, self._account) or 0
            if totals is None or after != before:
                return set()
            if as_of_us <= max(after.last_action_us, newest_us):
                return set()
            await external.record_balance(
                tx,
                self._account,
                exchange_usd_e6=balance.cash_usd_e6,
                ledger_usd_e6=totals.cash_usd_e6,
                as_of_us=as_of_us,
                at_us=now_us,
            )
        self.is_due = False
        await self._judge_positions(positions, after, as_of_us)
        is_told = await self._judge_cash(balance.cash_usd_e6, totals.cash_usd_e6, as_of_us)
        return {Reason.POSITIONS_DIFFER} | ({Reason.CASH_DIFFERS} if is_told else set())

    async def _judge_cash(self, told_usd_e6: int, held_usd_e6: int, as_of_us: int) -> bool:
        """Judge a difference of cash; False: it cannot be told exactly now.

        What somebody else has resting at the exchange holds collateral, which its balance leaves
        out. Its rules are not all public, so as much as can be held at most explains a shortage,
        and cash is compared exactly once nothing rests.
        """
        difference = told_usd_e6 - held_usd_e6
        if difference and -await self._held_by_orders() <= difference <= 0:
            return False
        self._difference.set(difference / 1e6)
        if not difference:
            self._is_differing = False
            return True
        if not self._is_differing:
            self._is_differing = True
            await self._book_movements(self._clock.market_us())
        await self._raise(
            Contradiction(
                Reason.CASH_DIFFERS,
                "",
                f"the exchange's cash differs from the books by ${difference / 1e6:.6f}",
                told={"cash_usd_e6": told_usd_e6},
                held={"cash_usd_e6": held_usd_e6},
            ),
            as_of_us,
        )
        return True

    async def _held_by_orders(self) -> int:
        """Return the most that resting orders can hold of the account's cash."""
        resting = await self._rest.orders(status="resting")
        return sum(checking.collateral_usd_e6(order) for order in resting)

    async def _judge_positions(
        self, listed: Listed[ExchangePosition], held: Pulse, as_of_us: int
    ) -> None:
        for bad in listed.bad:
            await self._raise(checking.unreadable("positions", bad), as_of_us)
        told = {each.ticker: each.qty_e2 for each in listed.rows if each.qty_e2}
        booked = dict(held.held)
        for ticker in sorted(told.keys() | booked.keys()):
            shown, ours = told.get(ticker, 0), booked.get(ticker, 0)
            if shown != ours:
                await self._raise(
                    Contradiction(
                        Reason.POSITIONS_DIFFER,
                        ticker,
                        f"{ticker}: the exchange shows {shown / 100:g} contracts, "
                        f"booked are {ours / 100:g}",
                        told={"qty_e2": shown},
                        held={"qty_e2": ours},
                    ),
                    as_of_us,
                )

    async def _book_movements(self, now_us: int) -> None:
        """Book deposits and withdrawals: the first thing that explains a difference.

        One with a fee is left to a person: whether the fee is part of the amount is not documented.
        """
        async with self._database.transaction() as tx:
            opened_us = await external.opening_us(tx, self._account)
        for movement in (*await self._rest.deposits(), *await self._rest.withdrawals()):
            at_us = movement.finalized_at_us
            if movement.status != "applied" or at_us is None or at_us <= (opened_us or 0):
                continue
            if movement.fee_usd_e6:
                self._context.log.warning("%s has a fee: book it by hand", movement.movement_id)
                continue
            sign = 1 if movement.kind == "deposit" else -1
            async with self._database.transaction() as tx:
                await facts.book_transfer(
                    tx,
                    self._account,
                    f"{movement.kind}:{movement.movement_id}",
                    sign * movement.amount_usd_e6,
                    at_us=at_us,
                    seen_us=now_us,
                )
