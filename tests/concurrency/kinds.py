"""The money transactions that are tried against each other: the product's own functions, by name."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from tests.concurrency.stepping import SteppedPort
from tests.concurrency.world import FLEET, LIMITS, World
from tests.integration.money.scene import Scene, document, fleet

from recio.adapters.kalshi.caller import Call
from recio.adapters.kalshi.model import ExchangeFill, NewOrder, OrderReply
from recio.adapters.kalshi.rest_orders import PreparedOrder
from recio.adapters.postgres import config, facts, intents, leases, orders, switches
from recio.adapters.postgres.orders import OrderRow
from recio.apps.kalshi_account_sync import booking
from recio.apps.kalshi_account_sync.doubts import Doubts
from recio.apps.kalshi_account_sync.losses import LossWatch
from recio.apps.main_app import settings_view
from recio.apps.trade_executor.resolving import found_outcome
from recio.apps.trade_executor.sending import Outcome, Sender
from recio.apps.trade_initiator.decide import decide
from recio.apps.trade_manager.fold import fold
from recio.domain.account_config import Trading
from recio.domain.disputes import Contradiction, Reason
from recio.domain.errors import Unavailable
from recio.domain.orders import OrderState
from recio.domain.units import SECOND_US
from recio.runtime.service import ServiceContext

HOLDER: Final = UUID(int=1)
RIVAL: Final = UUID(int=2)
OLD_EPOCH: Final = 1


@dataclass(slots=True)
class Stage:
    """What a kind works with: the world, and the wire that it may send on."""

    world: World
    wire: Callable[[str], None]
    contexts: dict[str, ServiceContext]

    def context(self, service: str, port: SteppedPort) -> ServiceContext:
        """Return what a service of account one is handed."""
        if service not in self.contexts:
            self.contexts[service] = self.world.one.context(service)
        return replace(self.contexts[service], database=port)


Script = Callable[[Stage, SteppedPort], Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of transaction, under its service's login."""

    name: str
    login: str
    script: Script


ONE: Final = config.account_login("one")
TWO: Final = config.account_login("two")


class Rest:
    """The exchange as far as a sender and a reconciler see it: it takes everything."""

    ahead = None

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._clock = stage.world.one.clock

    async def prepare(self, order: NewOrder, *, wait_s: float) -> PreparedOrder:
        """Sign."""
        assert wait_s > 0
        return PreparedOrder(order, Call(method="POST", path="/"), "/", {}, self._clock.wall_us())

    async def submit(self, prepared: PreparedOrder) -> OrderReply:
        """Take the order and fill it."""
        order = prepared.order
        self._stage.wire(order.client_order_id)
        return OrderReply(
            order_id=f"x-{order.client_order_id}",
            client_order_id=order.client_order_id,
            fill_qty_e2=order.qty_e2,
            remaining_qty_e2=0,
            average_price_usd_e6=None,
            average_fee_usd_e6=None,
            at_us=self._clock.market_us(),
        )


def _gate(wish: str) -> Script:
    async def script(stage: Stage, port: SteppedPort) -> str | None:
        intent = stage.world.wishes[wish]
        async with port.transaction() as tx:
            return await decide(tx, intent, stage.world.one.clock)

    return script


def _propose(wish: str) -> Script:
    async def script(stage: Stage, port: SteppedPort) -> bool:
        async with port.transaction() as tx:
            return await intents.propose(tx, stage.world.wishes[wish])

    return script


class NoTokens(Rest):
    """The exchange when no token comes in time."""

    async def prepare(self, order: NewOrder, *, wait_s: float) -> PreparedOrder:
        """Refuse."""
        raise Unavailable(f"no token for {order.ticker} within {wait_s} s")


class NoGroup:
    """No order group: what the exchange limits by itself is not tried here."""

    async def of(self, _row: OrderRow) -> None:
        """Return none."""


def _sender(stage: Stage, port: SteppedPort, rest: type[Rest] = Rest) -> Sender:
    context = stage.context("trade_executor", port)
    return Sender(
        context,
        rest(stage),  # type: ignore[arg-type]
        fuse=NoGroup(),  # type: ignore[arg-type]
        heard=lambda _row, _outcome: None,
    )


def _send(order: str, rest: type[Rest] = Rest) -> Script:
    async def script(stage: Stage, port: SteppedPort) -> None:
        async with port.transaction() as tx:
            held = await orders.work(tx, "one")
        row = next((r for r in held.waiting if r.order.order_id == stage.world.orders[order]), None)
        if row is not None:
            await _sender(stage, port, rest).send(row, OLD_EPOCH)

    return script


def _record(outcome: Callable[[World, Any], Outcome]) -> Script:
    async def script(stage: Stage, port: SteppedPort) -> None:
        async with port.transaction() as tx:
            (row,) = [
                row
                for row in await orders.open_orders(tx, "one")
                if row.order.order_id == stage.world.orders["sent"]
            ] or (None,)
        if row is not None:
            sender = _sender(stage, port)
            await sender.record_outcome(row, OLD_EPOCH, outcome(stage.world, row))

    return script


def _lease(holder: UUID, later_s: int) -> Script:
    async def script(stage: Stage, port: SteppedPort) -> int | None:
        wall_us = stage.world.one.clock.wall_us() + later_s * SECOND_US
        async with port.transaction() as tx:
            return await leases.acquire(tx, "one", "trade_executor", holder, wall_us=wall_us)

    return script


def _book_order(name: str) -> Script:
    async def script(stage: Stage, port: SteppedPort) -> bool:
        async with port.transaction() as tx:
            told = stage.world.told[name]
            return await booking.book_order(tx, "one", told, now_us=stage.world.now_us)

    return script


def _book_fill(name: str) -> Script:
    async def script(stage: Stage, port: SteppedPort) -> bool:
        told: ExchangeFill = stage.world.fills[name]
        async with port.transaction() as tx:
            return await booking.book_fill(
                tx, "one", told, client_order_id=told.client_order_id, now_us=stage.world.now_us
            )

    return script


async def _settle(stage: Stage, port: SteppedPort) -> str:
    async with port.transaction() as tx:
        return await booking.book_settlement(
            tx, "one", stage.world.settled, now_us=stage.world.now_us
        )


async def _deposit(stage: Stage, port: SteppedPort) -> bool:
    now_us = stage.world.now_us
    async with port.transaction() as tx:
        return await facts.book_transfer(
            tx, "one", "deposit:1", 5_000_000, at_us=now_us, seen_us=now_us
        )


async def _watch_losses(stage: Stage, port: SteppedPort) -> None:
    await LossWatch(stage.context("kalshi_account_sync", port), "one").look()


async def _trip(stage: Stage, port: SteppedPort) -> None:
    found = Contradiction(
        Reason.FILL_BEYOND_LIMIT, "some", "a fill is at a worse price than its limit", told={}
    )
    await Doubts(stage.context("kalshi_account_sync", port), "one").raise_(found)


def _fold(trade: str) -> Script:
    async def script(stage: Stage, port: SteppedPort) -> Any:
        async with port.transaction() as tx:
            return await fold(tx, "paper", stage.world.trades[trade], now_us=stage.world.now_us)

    return script


def _switch(state: Trading, scope: str) -> Script:
    async def script(stage: Stage, port: SteppedPort) -> None:
        async with port.transaction() as tx:
            await switches.set_switch(
                tx, scope, "person", state, reason="by hand", author="a person",
                at_us=stage.world.now_us,
            )  # fmt: skip

    return script


async def _tighten(stage: Stage, port: SteppedPort) -> None:
    scene: Scene = stage.world.one
    async with port.transaction() as tx:
        await config.apply_account(
            tx, document("one", **LIMITS | {"max_open_trades": 4}), environment="paper",
            at_us=scene.now_us, author="operator",
        )  # fmt: skip


async def _tighten_fleet(stage: Stage, port: SteppedPort) -> None:
    async with port.transaction() as tx:
        await config.apply_fleet(
            tx, fleet(**FLEET | {"max_open_trades": 4}), at_us=stage.world.now_us, author="operator"
        )


async def _edit(stage: Stage, port: SteppedPort) -> None:
    async with port.transaction() as tx:
        await tx.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", "settings one")
        edits = {"risk": {"maxOpenTrades": 4}}
        merged = settings_view.merge(await config.newest_overrides(tx, "one"), edits)
        await config.save_overrides(tx, "one", merged, author="a person", at_us=stage.world.now_us)


def _unknown(_world: World, _row: Any) -> Outcome:
    return Outcome(OrderState.UNKNOWN, "unknown", reason="no answer")


def _found(world: World, row: Any) -> Outcome:
    return found_outcome(row, world.told["executed"])


def _absent(_world: World, _row: Any) -> Outcome:
    return Outcome(OrderState.REJECTED, "rejected", reason="insufficient_balance")


KINDS: Final = tuple(
    Kind(*row)
    for row in (
        ("gate: entry", ONE, _gate("entry")),
        ("gate: another entry", ONE, _gate("other entry")),
        ("gate: exit", ONE, _gate("exit")),
        ("gate: another exit", ONE, _gate("other exit")),
        ("gate of another account: entry", TWO, _gate("entry of two")),
        ("page: propose", "recio_main_app", _propose("new")),
        ("executor: send an entry", ONE, _send("entry")),
        ("executor: send an exit", ONE, _send("exit")),
        ("executor: give an entry up", ONE, _send("entry", NoTokens)),
        ("executor: no answer", ONE, _record(_unknown)),
        ("executor: found", ONE, _record(_found)),
        ("executor: refused", ONE, _record(_absent)),
        ("executor: renew", ONE, _lease(HOLDER, 1)),
        ("executor: take over", ONE, _lease(RIVAL, 60)),
        ("sync: order executed", ONE, _book_order("executed")),
        ("sync: order filled in part", ONE, _book_order("in part")),
        ("sync: fill", ONE, _book_fill("ours")),
        ("sync: sold by hand", ONE, _book_fill("by hand")),
        ("sync: bought by hand", ONE, _book_fill("opens")),
        ("sync: settlement", ONE, _settle),
        ("sync: deposit", ONE, _deposit),
        ("sync: losses", ONE, _watch_losses),
        ("sync: dispute", ONE, _trip),
        ("manager: fold the held", ONE, _fold("held")),
        ("manager: fold the sent", ONE, _fold("sent")),
        ("manager: fold the ended", ONE, _fold("over")),
        ("person: halt", "recio_main_app", _switch(Trading.HALTED, "one")),
        ("person: halt all", "recio_main_app", _switch(Trading.HALTED, "*")),
        ("person: limits", "recio_main_app", _edit),
        ("operator: account", "recio_operator", _tighten),
        ("operator: fleet", "recio_operator", _tighten_fleet),
    )
)
BY_NAME: Final = {kind.name: kind for kind in KINDS}
