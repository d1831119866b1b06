"""Book what a person has accepted: the very fact that is in the evidence, or a difference of cash."""

from __future__ import annotations

from recio.adapters.postgres import disputes, facts
from recio.apps.kalshi_account_sync import booking, checking
from recio.apps.kalshi_account_sync.doubts import Doubts
from recio.domain.disputes import ACCEPTED, Dispute, Reason
from recio.domain.errors import Rejected
from recio.ports import Transaction
from recio.runtime.service import ServiceContext


class Accepting:
    """Carries out the decisions on one account's disputes."""

    def __init__(self, context: ServiceContext, account: str, doubts: Doubts) -> None:
        self._context = context
        self._account = account
        self._doubts = doubts

    async def book(self) -> None:
        """Book what is accepted; then set or release the switch by what is left.

        What cannot be booked is open again, with the reason: nothing is half done.
        """
        accepted = [each for each in await self._doubts.settle() if each.state == ACCEPTED]
        for each in accepted:
            try:
                async with self._context.database.transaction() as tx:
                    await self._book(tx, each)
                    await self._end(tx, each, "")
            except Rejected as error:
                self._context.log.error("dispute %s cannot be booked: %s", each.dispute_id, error)  # noqa: TRY400 - its message says it all
                async with self._context.database.transaction() as tx:
                    await self._end(tx, each, f"it cannot be booked: {error}")
        if accepted:
            await self._doubts.settle()

    async def _book(self, tx: Transaction, accepted: Dispute) -> None:
        now_us, told = self._context.clock.market_us(), accepted.told
        if accepted.reason is Reason.CASH_DIFFERS:
            amount = told["cash_usd_e6"] - accepted.held["cash_usd_e6"]
            fact_id = str(accepted.dispute_id)
            await facts.book_correction(tx, self._account, fact_id, amount, at_us=now_us)
        elif "fill_id" in told:
            fill = checking.fill_from(told)
            await booking.book_fill(
                tx,
                self._account,
                fill,
                client_order_id=fill.client_order_id,
                now_us=now_us,
                is_accepted=True,
            )
        else:
            settlement = checking.settlement_from(told)
            await booking.book_settlement(
                tx, self._account, settlement, now_us=now_us, is_accepted=True
            )

    async def _end(self, tx: Transaction, accepted: Dispute, refusal: str) -> None:
        await disputes.end_accepted(
            tx,
            accepted.dispute_id,
            refusal=refusal,
            author=self._context.row.name,
            at_us=self._context.clock.market_us(),
        )
