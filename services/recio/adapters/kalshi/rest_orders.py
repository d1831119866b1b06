"""Mutations: orders, order groups, transfers between shards.

Shard and ticker are always named when they are known: without them the exchange bills every shard's
budget and looks for an order on shard 0 only. ``prepare`` and ``submit`` split a create, so that
the caller can check its right to send between signing and sending. Source: Kalshi OpenAPI 3.30.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from recio.adapters.kalshi import model, wire, wire_account, wire_orders
from recio.adapters.kalshi.budget import CANCEL_COST, DEFAULT_COST, Budget, Lane
from recio.adapters.kalshi.caller import Call, Caller, segment
from recio.adapters.kalshi.errors import OutcomeUnknown
from recio.adapters.kalshi.signing import RequestSigner, SignedAhead
from recio.domain.errors import InvalidValue
from recio.domain.orders import BookSide
from recio.ports import Clock, HttpTransport

ORDERS: Final = "/portfolio/events/orders"
BATCHED: Final = f"{ORDERS}/batched"
GROUPS: Final = "/portfolio/order_groups"

_encoder: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class PreparedOrder:
    """A create request with tokens taken and headers signed at ``signed_at_us`` (wall time)."""

    order: model.NewOrder
    call: Call
    target: str
    headers: dict[str, str]
    signed_at_us: int


class OrderCalls(Caller):
    """The order endpoints. One answer each; what an exception means is told in ``caller``."""

    def __init__(
        self,
        http: HttpTransport,
        signer: RequestSigner | None,
        clock: Clock,
        budget: Budget,
        base_path: str = "/trade-api/v2",
    ) -> None:
        super().__init__(http, signer, clock, budget, base_path)
        path = self._base_path + ORDERS
        self.ahead = None if signer is None else SignedAhead(signer, clock, "POST", path)

    async def prepare(
        self, order: model.NewOrder, *, lane: Lane | None = None, wait_s: float | None = None
    ) -> PreparedOrder:
        """Take tokens, encode and sign a create; nothing is sent.

        ``lane`` is REDUCE for reduce-only orders and ENTRY for others unless given.

        Raises:
            InvalidValue: the exchange is documented to refuse such an order.
            RateLimited: no tokens within ``wait_s``.
        """
        body = _encoder.encode(wire_orders.create_body(order))
        lane = lane or (Lane.REDUCE if order.is_reduce_only else Lane.ENTRY)
        call = Call(method="POST", path=ORDERS, body=body, lane=lane, shard=order.exchange_index)
        await self.budget.take(lane, call.cost, shard=call.shard, wait_s=wait_s)
        if self.ahead is None:
            raise InvalidValue("an order needs a key that signs it; this connection has none")
        signed_at_us, headers = self.ahead.take()
        headers["Content-Type"] = "application/json"
        return PreparedOrder(order, call, self._base_path + ORDERS, headers, signed_at_us)

    async def submit(self, prepared: PreparedOrder) -> model.OrderReply:
        """Send a prepared create, once.

        Raises:
            KalshiRejected: refused; the order does not live.
            OutcomeUnknown: it may live.
            Unavailable: not sent, or throttled; it does not live.
        """
        body = await self._send(prepared.call, prepared.target, prepared.headers)
        return _checked_reply(
            prepared, self._understand(prepared.call, body, wire_orders.order_reply)
        )

    async def create_order(
        self, order: model.NewOrder, *, lane: Lane | None = None, wait_s: float | None = None
    ) -> model.OrderReply:
        """Prepare and submit."""
        return await self.submit(await self.prepare(order, lane=lane, wait_s=wait_s))

    async def cancel_order(self, order: model.OrderRef) -> model.CancelReply:
        """Cancel one order."""
        return await self._change(
            Call(
                method="DELETE",
                path=f"{ORDERS}/{segment(order.order_id)}",
                query={
                    "subaccount": order.subaccount,
                    "exchange_index": order.exchange_index,
                    "market_ticker": order.ticker,
                },
                lane=Lane.CANCEL,
                cost=CANCEL_COST,
                shard=order.exchange_index,
            ),
            wire_orders.cancel_reply,
        )

    async def amend_order(
        self,
        order: model.OrderRef,
        side: BookSide,
        *,
        yes_price_e4: int,
        total_qty_e2: int,
        client_order_id: str | None = None,
        updated_client_order_id: str | None = None,
        lane: Lane = Lane.ENTRY,
    ) -> model.OrderReply:
        """Change price or size; ``total_qty_e2`` is what has filled plus what shall remain.

        Raises:
            InvalidValue: the order's ticker is not known.
        """
        if order.ticker is None:
            raise InvalidValue(f"amend {order.order_id}: expected the ticker of its market")
        body = wire_orders.AmendBody(
            ticker=order.ticker,
            side=side.value,
            price=wire.dollars(yes_price_e4),
            count=wire.count(total_qty_e2),
            client_order_id=client_order_id,
            updated_client_order_id=updated_client_order_id,
            exchange_index=order.exchange_index,
        )
        return await self._change(self._post(order, "amend", body, lane), wire_orders.order_reply)

    async def decrease_order(
        self,
        order: model.OrderRef,
        *,
        by_qty_e2: int | None = None,
        to_qty_e2: int | None = None,
    ) -> model.DecreaseReply:
        """Take contracts out of a resting order: ``by`` so many, or down ``to`` so many.

        Raises:
            InvalidValue: not exactly one of the two was given.
        """
        if (by_qty_e2 is None) == (to_qty_e2 is None):
            raise InvalidValue("expected exactly one of by_qty_e2 and to_qty_e2")
        body = wire_orders.DecreaseBody(
            reduce_by=None if by_qty_e2 is None else wire.count(by_qty_e2),
            reduce_to=None if to_qty_e2 is None else wire.count(to_qty_e2),
            market_ticker=order.ticker,
            exchange_index=order.exchange_index,
        )
        call = self._post(order, "decrease", body, Lane.CANCEL)
        return await self._change(call, wire_orders.decrease_reply)

    async def create_orders(
        self, orders: Sequence[model.NewOrder], *, lane: Lane = Lane.ENTRY
    ) -> tuple[model.CreatedItem, ...]:
        """Create several orders in one request; each item has its own answer."""
        body = {"orders": [wire_orders.create_body(order) for order in orders]}
        # Batches are billed to the unscoped bucket, whatever shards they name.
        call = Call(
            method="POST",
            path=BATCHED,
            body=_encoder.encode(body),
            lane=lane,
            cost=DEFAULT_COST * len(orders),
        )
        return await self._change(call, wire_orders.created_batch)

    @property
    def most_cancels(self) -> int:
        """How many orders one batch can cancel: it must fit into the write bucket as a whole."""
        return self.budget.most(Lane.CANCEL) // CANCEL_COST

    async def cancel_orders(
        self, orders: Sequence[model.OrderRef]
    ) -> tuple[model.CanceledItem, ...]:
        """Cancel several orders in one request; each item has its own answer."""
        body = {"orders": [wire_orders.cancel_item(order) for order in orders]}
        call = Call(
            method="DELETE",
            path=BATCHED,
            body=_encoder.encode(body),
            lane=Lane.CANCEL,
            cost=CANCEL_COST * len(orders),
        )
        return await self._change(call, wire_orders.canceled_batch)

    async def cancel_all(self, *, subaccount: int | None = None) -> None:
        """Cancel everything on all shards; orders of the next minute may be swept as well."""
        call = Call(
            method="DELETE", path=ORDERS, query={"subaccount": subaccount}, lane=Lane.CANCEL
        )
        await self._change(call, lambda _: None)

    async def create_order_group(
        self, limit_qty_e2: int, *, exchange_index: int | None
    ) -> model.OrderGroup:
        """Make a fuse of ``limit_qty_e2`` contracts in any 15 s."""
        body = wire_account.GroupBody(wire.count(limit_qty_e2), exchange_index)
        call = Call(
            method="POST",
            path=f"{GROUPS}/create",
            body=_encoder.encode(body),
            lane=Lane.REDUCE,
            shard=exchange_index,
        )
        reply = await self._change(call, lambda data: wire.decode(data, wire_account.GroupCreated))
        return model.OrderGroup(
            group_id=reply.order_group_id,
            limit_qty_e2=limit_qty_e2,
            is_auto_cancel_enabled=None,
            exchange_index=exchange_index if reply.exchange_index is None else reply.exchange_index,
        )

    async def reset_order_group(self, group_id: str, *, exchange_index: int | None) -> None:
        """Let a blown fuse take orders again."""
        await self._group("PUT", group_id, "/reset", exchange_index)

    async def trigger_order_group(self, group_id: str, *, exchange_index: int | None) -> None:
        """Blow the fuse: cancel its orders and refuse new ones."""
        await self._group("PUT", group_id, "/trigger", exchange_index)

    async def limit_order_group(
        self, group_id: str, limit_qty_e2: int, *, exchange_index: int | None
    ) -> None:
        """Set the limit of a fuse."""
        body = wire_account.GroupBody(wire.count(limit_qty_e2))
        await self._group("PUT", group_id, "/limit", exchange_index, _encoder.encode(body))

    async def delete_order_group(self, group_id: str, *, exchange_index: int | None) -> None:
        """Delete a fuse; its orders are canceled."""
        await self._group("DELETE", group_id, "", exchange_index)

    async def transfer(
        self, amount_usd_e6: int, *, source_shard: int, destination_shard: int
    ) -> str:
        """Move cash between shards and return the transfer's id; arrival may take long."""
        body = wire_account.transfer_body(amount_usd_e6, source_shard, destination_shard)
        call = Call(
            method="POST",
            path="/portfolio/intra_exchange_instance_transfer",
            body=_encoder.encode(body),
            lane=Lane.REDUCE,
        )
        reply = await self._change(call, lambda data: wire.decode(data, wire_account.TransferReply))
        return reply.transfer_id

    def _post(self, order: model.OrderRef, verb: str, body: msgspec.Struct, lane: Lane) -> Call:
        return Call(
            method="POST",
            path=f"{ORDERS}/{segment(order.order_id)}/{verb}",
            query={"subaccount": order.subaccount},
            body=_encoder.encode(body),
            lane=lane,
            shard=order.exchange_index,
        )

    async def _group(
        self, method: str, group_id: str, verb: str, shard: int | None, body: bytes = b"{}"
    ) -> None:
        call = Call(
            method=method,
            path=f"{GROUPS}/{segment(group_id)}{verb}",
            query={"exchange_index": shard},
            body=body,
            lane=Lane.CANCEL,
            shard=shard,
        )
        await self._change(call, lambda _: None)


def _checked_reply(prepared: PreparedOrder, reply: model.OrderReply) -> model.OrderReply:
    """Return the reply; one about another order is a bug of somebody's and told as unknown."""
    theirs, ours = reply.client_order_id, prepared.order.client_order_id
    if theirs and theirs != ours:
        raise OutcomeUnknown(
            f"create {ours}: the answer is about {theirs} (order {reply.order_id})"
        )
    return reply
