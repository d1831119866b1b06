"""Send one order: tokens and signature, the claim, the wire, the record. In that order.

The headers are signed before the claim and never again: whatever has been claimed by a copy that
then froze dies at the exchange of its own timestamp. The age of the signature is looked at once more
right before the first byte, so that a copy that wakes up does not even try.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from recio.adapters.kalshi.errors import KalshiRejected, OutcomeUnknown
from recio.adapters.kalshi.model import NewOrder, OrderReply, TimeInForce
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.rest_orders import PreparedOrder
from recio.adapters.postgres import orders
from recio.adapters.postgres.orders import OrderRow
from recio.apps.trade_executor.fuse import Fuse, NoFuse
from recio.domain.errors import InvalidValue, Unavailable
from recio.domain.intents import Purpose, Source
from recio.domain.orders import OrderState, later_of, reported_state
from recio.domain.switches import allows
from recio.domain.units import SECOND_US
from recio.ports import Database, Transaction
from recio.runtime.service import ServiceContext

TOKEN_WAIT_SECONDS = 3.0
"""Longer, and the price an entry was decided on is history; an exit is proposed anew."""
SIGNATURE_LIFE_US = 5 * SECOND_US
"""The exchange takes a signature for 5 s (see ``adapters.postgres.leases``)."""


class _Forbidden(Exception):
    """It must not go out, by the switch or by what is left to sell; rolls the claim back."""


class Outcome:
    """What became of a request, in our words."""

    def __init__(
        self,
        state: OrderState,
        kind: str,
        *,
        reason: str = "",
        exchange_order_id: str | None = None,
        filled_qty_e2: int | None = None,
    ) -> None:
        self.state = state
        self.kind = kind
        self.reason = reason
        self.exchange_order_id = exchange_order_id
        self.filled_qty_e2 = filled_qty_e2

    def body(self) -> dict[str, Any]:
        """Return it for the order's events."""
        fields = {
            "state": self.state.value,
            "reason": self.reason,
            "exchange_order_id": self.exchange_order_id,
            "filled_qty_e2": self.filled_qty_e2,
        }
        return {name: value for name, value in fields.items() if value not in (None, "")}


_ON_THE_WIRE = Outcome(OrderState.SUBMITTED, "submitted")


class Sender:
    """Sends the orders of one account under one epoch."""

    def __init__(
        self,
        context: ServiceContext,
        rest: KalshiRest,
        *,
        fuse: Fuse,
        heard: Callable[[OrderRow, Outcome], None],
    ) -> None:
        self._fuse = fuse
        self._context = context
        self._heard = heard
        self._database: Database = context.database
        self._clock = context.clock
        self._rest = rest
        self._sent = context.metrics.counter(
            "recio_orders_sent_total", "Order requests by outcome.", "outcome"
        )
        self._latency = context.metrics.histogram(
            "recio_order_request_seconds", "Wall time from the claim to the recorded reply."
        )

    async def send(self, row: OrderRow, epoch: int) -> OrderState:
        """Take one order to the exchange and record what came of it; return its state then.

        An order in doubt is an exit that the exchange cannot know: it goes out again under the same
        id, unless it is too late or its trade has nothing left that it could sell.

        Raises:
            Unavailable: the database did not take the claim (nothing was sent) or the record (the
                order stays submitted and is resolved as unknown).
        """
        if reason := self._too_late(row):
            return await self._end(row, epoch, reason)
        try:
            request = _request(row, await self._fuse.of(row))
            prepared = await self._rest.prepare(request, wait_s=TOKEN_WAIT_SECONDS)
        except NoFuse as error:
            return await self._end(row, epoch, f"not sent: {error}")
        except (Unavailable, InvalidValue) as error:
            # An exit in doubt stays in doubt: it is looked for and tried again.
            is_new = row.order.state is OrderState.CREATED
            return await self._end(row, epoch, str(error)) if is_new else row.order.state
        refusal = await self._claim(row, epoch, prepared)
        if refusal is None:
            return await self._submit(row, epoch, prepared)
        return _unsent_state(row) if refusal else row.order.state

    def _too_late(self, row: OrderRow) -> str:
        late_us = self._clock.market_us() - row.valid_until_us
        if late_us < 0:
            return ""
        if row.order.state is OrderState.CREATED:
            return f"not sent: {late_us // 1000} ms too late"
        return f"absent, too late to be sent again ({late_us // 1000} ms)"

    async def _claim(self, row: OrderRow, epoch: int, prepared: PreparedOrder) -> str | None:
        """Mark it submitted; return None if it may be sent, else why not ("": not ours any more)."""
        # Tokens may have been waited for: the order can have become too old meanwhile.
        reason = self._too_late(row)
        if not reason:
            try:
                return await self._claim_if_allowed(row, epoch, prepared)
            except _Forbidden as forbidden:
                reason = f"not sent: {forbidden}"
        await self._end(row, epoch, reason)
        return reason

    async def _claim_if_allowed(
        self, row: OrderRow, epoch: int, prepared: PreparedOrder
    ) -> str | None:
        now_us = self._clock.market_us()
        async with self._database.transaction() as tx:
            if row.order.state is not OrderState.CREATED:
                await _check_left(tx, row)
            made = await orders.claim(
                tx,
                row,
                epoch=epoch,
                wall_us=prepared.signed_at_us,
                at_us=now_us,
                order_group_id=prepared.order.order_group_id,
            )
            if not made.is_ours:
                # Perhaps it is over already: what may be sent now is no question of it any more.
                return ""
            if not allows(made.switch.state, Purpose(row.order.purpose), Source(row.source)):
                raise _Forbidden(f"switch {made.switch.state.value}: {made.switch.reason}")
            await self._record(tx, row, "submitted", {"epoch": epoch}, epoch)
        return None

    async def _submit(self, row: OrderRow, epoch: int, prepared: PreparedOrder) -> OrderState:
        started_us = self._clock.wall_us()
        outcome = self._stale(row, prepared)
        if outcome is not None and self._is_wanted_still(row):
            # It provably never left, and nobody would propose a person's exit again.
            doubt = Outcome(OrderState.UNKNOWN, "unknown", reason=outcome.reason)
            await self.record_outcome(row, epoch, doubt)
            again = replace(row, order=replace(row.order, state=OrderState.UNKNOWN))
            return await self.send(again, epoch)
        if outcome is None:
            self._heard(row, _ON_THE_WIRE)
            outcome = await self._answered(row, prepared)
        self._heard(row, outcome)
        state = await self.record_outcome(row, epoch, outcome)
        self._latency.observe((self._clock.wall_us() - started_us) / 1e6)
        self._sent.inc(1, outcome.kind)
        self._context.log.info(
            "order %s: %s %s", row.order.order_id, outcome.kind, outcome.reason,
            extra={"id": row.order.order_id},
        )  # fmt: skip
        return state

    def _stale(self, row: OrderRow, prepared: PreparedOrder) -> Outcome | None:
        """Return how it ends if it is too old for the wire: this copy stood still after the claim."""
        age_us = self._clock.wall_us() - prepared.signed_at_us
        if age_us > SIGNATURE_LIFE_US:
            reason = f"not sent: signed {age_us // 1000} ms ago, the exchange takes 5000"
        elif self._clock.market_us() >= row.valid_until_us:
            reason = "not sent: claimed in time, too late for the wire"
        else:
            return None
        return Outcome(OrderState.REJECTED, "not_sent", reason=reason)

    def _is_wanted_still(self, row: OrderRow) -> bool:
        return row.order.purpose == Purpose.EXIT.value and not self._too_late(row)

    async def _answered(self, row: OrderRow, prepared: PreparedOrder) -> Outcome:
        try:
            return _of_reply(row, await self._rest.submit(prepared))
        except OutcomeUnknown as error:
            return Outcome(OrderState.UNKNOWN, "unknown", reason=str(error))
        except KalshiRejected as error:
            self._fuse.told(error.code, str(error))
            return _of_rejection(error)
        except Unavailable as error:
            # No byte left, or the exchange throttled it before looking: it does not live.
            return Outcome(OrderState.REJECTED, "not_sent", reason=str(error))

    async def record_outcome(self, row: OrderRow, epoch: int, outcome: Outcome) -> OrderState:
        """Write what is known of an order now; an older word never turns a newer one back."""
        async with self._database.transaction() as tx:
            held = await orders.order_by_id(tx, row.order.account, row.order.order_id)
            assert held is not None
            state = later_of(held.order.state, outcome.state)
            is_ours = await orders.advance(
                tx,
                held,
                state,
                at_us=self._clock.market_us(),
                epoch=epoch,
                filled_qty_e2=outcome.filled_qty_e2,
                exchange_order_id=outcome.exchange_order_id,
                reason=outcome.reason or None,
            )
            if not is_ours:
                # A newer epoch holds the lease; it has doubted the order and finds out by itself.
                return held.order.state
            await self._record(tx, row, outcome.kind, outcome.body(), epoch)
        return state

    async def record_acknowledged(self, rows: Sequence[OrderRow], epoch: int) -> None:
        """Write that the exchange has taken the cancels of these orders; their ends are another fact."""
        if not rows:
            return
        async with self._database.transaction() as tx:
            if await orders.is_holder(tx, rows[0].order.account, epoch):
                for row in rows:
                    await self._record(tx, row, "cancel_acknowledged", {}, epoch)

    async def _end(self, row: OrderRow, epoch: int, reason: str) -> OrderState:
        """End an order that does not go out."""
        state = _unsent_state(row)
        async with self._database.transaction() as tx:
            held = await orders.order_by_id(tx, row.order.account, row.order.order_id)
            assert held is not None
            if held.order.state is not row.order.state:
                # Read before somebody moved it on: what it became counts.
                return held.order.state
            is_ours = await orders.advance(
                tx, row, state, at_us=self._clock.market_us(), epoch=epoch, reason=reason
            )
            if is_ours:
                await self._record(tx, row, state.value, {"reason": reason}, epoch)
        self._sent.inc(1, state.value)
        return state

    async def _record(
        self, tx: Transaction, row: OrderRow, kind: str, body: dict[str, Any], epoch: int
    ) -> None:
        await orders.record_event(
            tx,
            row,
            kind,
            body,
            epoch=epoch,
            at_us=self._clock.market_us(),
            wall_us=self._clock.wall_us(),
        )


async def _check_left(tx: Transaction, row: OrderRow) -> None:
    """Refuse to sell again what somebody has sold meanwhile: by hand, or by another exit."""
    left_e2 = await orders.left_to_sell_e2(tx, row)
    if left_e2 < row.order.qty_e2:
        raise _Forbidden(
            f"absent, and of its {row.order.qty_e2 / 100:g} contracts "
            f"{max(left_e2, 0) / 100:g} are left to sell"
        )


def _unsent_state(row: OrderRow) -> OrderState:
    """Return how an order ends that is not sent: an exit sent before is known not to have arrived."""
    is_new = row.order.state is OrderState.CREATED
    return OrderState.EXPIRED_UNSENT if is_new else OrderState.CANCELED


def _request(row: OrderRow, order_group_id: str | None) -> NewOrder:
    order = row.order
    force = TimeInForce(order.time_in_force)
    return NewOrder(
        ticker=order.market_ticker,
        book_side=order.book_side,
        qty_e2=order.qty_e2,
        yes_price_e4=order.yes_price_e4,
        client_order_id=order.client_order_id,
        time_in_force=force,
        exchange_index=order.exchange_index,
        is_reduce_only=order.is_reduce_only,
        is_canceled_on_pause=True,
        # Only what rests can expire; it goes when its time is over, whether we live or not.
        expires_at_us=row.valid_until_us if force is TimeInForce.GOOD_TILL_CANCELED else None,
        order_group_id=order_group_id,
    )


def _of_reply(row: OrderRow, reply: OrderReply) -> Outcome:
    if reply.fill_qty_e2 is None or reply.remaining_qty_e2 is None:
        return Outcome(
            OrderState.UNKNOWN,
            "unknown",
            reason="the reply does not say how much was filled",
            exchange_order_id=reply.order_id,
        )
    if reply.fill_qty_e2 > row.order.qty_e2:
        return Outcome(
            OrderState.UNKNOWN,
            "unknown",
            reason=f"the reply says {reply.fill_qty_e2} of {row.order.qty_e2} e-2 were filled",
            exchange_order_id=reply.order_id,
        )
    # What must be filled at once never rests, whatever the reply calls the rest of it.
    can_rest = row.order.time_in_force == TimeInForce.GOOD_TILL_CANCELED
    return Outcome(
        reported_state(
            row.order.qty_e2,
            reply.fill_qty_e2,
            is_resting=can_rest and reply.remaining_qty_e2 > 0,
        ),
        "accepted",
        exchange_order_id=reply.order_id,
        filled_qty_e2=reply.fill_qty_e2,
    )


def _of_rejection(error: KalshiRejected) -> Outcome:
    if error.is_duplicate:
        # The id was used: by this very order, whose first answer we never saw. Look it up.
        return Outcome(OrderState.UNKNOWN, "unknown", reason=str(error))
    return Outcome(OrderState.REJECTED, "rejected", reason=str(error))
