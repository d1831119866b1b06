"""kalshi_account_sync: the private stream first, reading back always."""

from __future__ import annotations

from collections import Counter
from typing import Final

from recio.adapters.kalshi.model import ExchangeFill, ExchangeOrder
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.websocket import KalshiStream
from recio.adapters.postgres.external import Pulse
from recio.apps.kalshi_account_sync.reconciling import STREAM, Reconciler
from recio.domain.errors import InvalidValue, Rejected, Unavailable
from recio.domain.tickers import parse_market
from recio.runtime.service import Readiness, Service, ServiceContext
from recio.runtime.wake import Wake

IN_DOUBT_SECONDS: Final = 1.0
DIFFERING_SECONDS: Final = 5.0
AWAITING_SETTLEMENT_SECONDS: Final = 5.0
HOLDING_SECONDS: Final = 15.0
IDLE_SECONDS: Final = 60.0
STALE_SECONDS: Final = 180.0
PRIVATE_FRAMES: Final = ("fill", "user_order", "market_position")


class AccountSync:
    """Brings the exchange's facts of one account into the books."""

    def __init__(
        self, context: ServiceContext, account: str, rest: KalshiRest, stream: KalshiStream
    ) -> None:
        self._context = context
        self._account = account
        self._stream = stream
        self._reconciler = Reconciler(context, account, rest)
        self._look_now = False
        self._refused_frames = Counter[str]()
        self._wake = Wake(
            context.database, "orders", "facts", "disputes", account=account, is_follower=True
        )
        self._read_wall_us: int | None = None
        self._trouble = ""

    async def recover(self) -> None:
        """Open the books at the first start, and read back what happened since the last fact.

        Raises:
            Unavailable: not now. A refusal passes as well, when the key or the document is mended.
        """
        try:
            await self._reconciler.open_books()
            await self._read_back()
        except Rejected as error:
            raise Unavailable(f"cannot reconcile yet: {error}") from error

    async def follow(self) -> None:
        """Book what the private stream tells, as it tells it."""
        async for event in self._stream.events():
            try:
                await self._take(event)
            except (Unavailable, Rejected) as error:
                # The fact is not lost: reading back finds it, and tells what is wrong with it.
                self._context.log.warning("a fact waits for the next read: %s", error)
                self._hurry()

    async def _take(self, event: object) -> None:
        if isinstance(event, ExchangeFill):
            await self._reconciler.book_fill(event, told_by=STREAM)
        elif isinstance(event, ExchangeOrder):
            await self._reconciler.book_order(event)
        else:
            self._hurry()

    def _hurry(self) -> None:
        self._look_now = True
        self._wake.now()

    async def reconcile_for_ever(self) -> None:
        """Read back again and again: at once after a reconnection, often while something is open."""
        while True:
            try:
                await self._look_at_refused_frames()
                if self._look_now or await self._due_in_s() <= 0:
                    self._look_now = False
                    await self._read_back()
                elif self._reconciler.doubts.is_holding:
                    await self._reconciler.accepting.book()
                due_in_s = await self._due_in_s()
            except (Unavailable, Rejected) as error:
                self._trouble = str(error)
                self._context.log.warning("cannot reconcile: %s", error)
                await self._context.clock.sleep_wall(IN_DOUBT_SECONDS)
            else:
                await self._wake.wait(due_in_s)

    async def _look_at_refused_frames(self) -> None:
        """Hold entries for a private frame that could not be read, and read back at once."""
        for kind in PRIVATE_FRAMES:
            count = self._stream.refused[kind]
            if count > self._refused_frames[kind]:
                self._refused_frames[kind] = count
                self._look_now = True
                await self._reconciler.refuse_frame(kind, count)

    async def _due_in_s(self) -> float:
        """Return when to read back, by what is open now: an order in doubt makes it sooner."""
        pace_s = self._pace(await self._reconciler.pulse())
        age_s = (self._context.clock.wall_us() - (self._read_wall_us or 0)) / 1e6
        return max(pace_s - age_s, 0.0)

    def _pace(self, pulse: Pulse) -> float:
        """Return how long to wait before reading back again, in wall seconds."""
        if pulse.in_doubt:
            return IN_DOUBT_SECONDS
        if self._reconciler.is_unsettled:
            return DIFFERING_SECONDS
        if any(self._is_past_close(ticker) for ticker, _ in pulse.held):
            return AWAITING_SETTLEMENT_SECONDS
        return HOLDING_SECONDS if pulse.held else IDLE_SECONDS

    def _is_past_close(self, ticker: str) -> bool:
        now_us = self._context.clock.market_us()
        try:
            return parse_market(ticker, now_us).close_us <= now_us
        except InvalidValue:
            return False

    async def _read_back(self) -> None:
        await self._reconciler.reconcile()
        self._read_wall_us = self._context.clock.wall_us()
        self._trouble = self._reconciler.problem

    def readiness(self) -> Readiness:
        """Ready while the last successful read is not too old."""
        if self._read_wall_us is None:
            return Readiness(is_ready=False, reason="the books are not reconciled yet")
        age_s = (self._context.clock.wall_us() - self._read_wall_us) / 1e6
        if age_s > STALE_SECONDS:
            return Readiness(
                is_ready=False, reason=f"last reconciled {age_s:.0f} s ago: {self._trouble}"
            )
        return Readiness(is_ready=True, reason=self._trouble)

    def service(self) -> Service:
        """Return it as a service."""
        return Service(
            recover=self.recover,
            tasks=(self._wake.listen, self.follow, self.reconcile_for_ever),
            readiness=self.readiness,
        )


def build(context: ServiceContext) -> Service:
    """Build the account sync of the context's account."""
    assert context.account is not None
    return AccountSync(
        context,
        context.account,
        context.access.account_rest(context.account),
        context.access.account_stream(context.account),
    ).service()
