"""What stands between our books and the exchange's word, and the switch that it holds.

A contradiction is written down at once; a difference when it has stood for its time, and it ends
when a whole look has not found it again. While anything is undecided the account takes no new
entries: one latched switch row, ``breaker:books``, whose reason names what it is. Nothing but a
person's decision, or the end of a difference, releases it.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from recio.adapters.postgres import disputes, switches
from recio.domain.account_config import Trading
from recio.domain.disputes import STANDS_FOR_S, Contradiction, Dispute, Reason, may_pass, summary
from recio.domain.units import SECOND_US
from recio.runtime.service import ServiceContext

BREAKER: Final = "breaker:books"
AGREE: Final = "the books agree with the exchange, or a person has decided"


class Doubts:
    """The doubts of one account.

    ``undecided`` is what the last look found. ``is_holding``: entries are, or after a start may be,
    held; while they are not, only this service itself could change that, and nothing is read.
    """

    def __init__(self, context: ServiceContext, account: str) -> None:
        self._context = context
        self._account = account
        self._since_us: dict[tuple[Reason, str], int] = {}
        self._seen: set[tuple[Reason, str]] = set()
        self.undecided: list[Dispute] = []
        self.is_holding = True
        self._measured: set[Reason] = set()
        self._open = context.metrics.gauge(
            "recio_disputes_open", "Facts of the exchange that wait for a person.", "reason"
        )
        self._refused = context.metrics.counter(
            "recio_facts_refused_total", "Facts of the exchange that could not be booked."
        )

    @property
    def are_standing(self) -> bool:
        """Whether a difference was there at the last look."""
        return bool(self._since_us)

    async def raise_(self, found: Contradiction, *, as_of_us: int | None = None) -> bool:
        """Take note of something that is not believed; return whether it is written down now.

        Args:
            found: what it is.
            as_of_us: how fresh the reads were, if that matters: one part of what the exchange shows
                may run ahead of another, so that a difference counts its time on their clock.
        """
        now_us = self._context.clock.market_us()
        if not may_pass(found.reason):
            await self._write(found, now_us)
            return True
        key = (found.reason, found.subject)
        self._seen.add(key)
        since_us = self._since_us.setdefault(key, now_us)
        stands_us = (now_us if as_of_us is None else as_of_us) - since_us
        is_due = stands_us >= STANDS_FOR_S[found.reason] * SECOND_US
        if is_due:
            await self._write(found, now_us)
        return is_due

    async def _write(self, found: Contradiction, now_us: int) -> None:
        async with self._context.database.transaction() as tx:
            is_new = await disputes.open_dispute(
                tx, self._account, found, author=self._context.row.name, at_us=now_us
            )
        if is_new:
            self._refused.inc()
            self._context.log.error("%s: no new entries until it is decided", found)
            await self.settle()

    def begin(self) -> None:
        """Begin a whole look."""
        self._seen.clear()

    async def end(self, looked_at: set[Reason]) -> None:
        """End a whole look: what it looked for and did not find is gone."""
        for key in [k for k in self._since_us if k[0] in looked_at and k not in self._seen]:
            del self._since_us[key]
        if not self.is_holding:
            return
        now_us = self._context.clock.market_us()
        async with self._context.database.transaction() as tx:
            for held in await disputes.undecided(tx, self._account):
                is_gone = (held.reason, held.subject) not in self._seen
                if held.reason in looked_at and may_pass(held.reason) and is_gone:
                    await disputes.clear(
                        tx, held.dispute_id, author=self._context.row.name, at_us=now_us
                    )
        await self.settle()

    async def settle(self) -> list[Dispute]:
        """Set or release the switch by what is undecided now; return that."""
        async with self._context.database.transaction() as tx:
            self.undecided = await disputes.undecided(tx, self._account)
            rows = await switches.switch_rows(tx, self._account)
            held = next((row for row in rows if row.source == BREAKER), None)
            is_free = held is None or held.state is Trading.ACTIVE
            if self.undecided or not is_free:
                reasons = [(each.reason, each.explanation) for each in self.undecided]
                await switches.set_switch(
                    tx,
                    self._account,
                    BREAKER,
                    Trading.NO_NEW_ENTRIES if reasons else Trading.ACTIVE,
                    reason=summary(reasons) or AGREE,
                    author=self._context.row.name,
                    at_us=self._context.clock.market_us(),
                )
        self.is_holding = bool(self.undecided)
        self._measure()
        return self.undecided

    def _measure(self) -> None:
        counts = Counter(each.reason for each in self.undecided)
        self._measured |= counts.keys()
        for reason in self._measured:
            self._open.set(counts[reason], reason.value)
