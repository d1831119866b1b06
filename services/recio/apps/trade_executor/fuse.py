"""The limits that the exchange itself keeps: the fuse that entries carry, the money on the shard.

The fuse is an order group: more contracts matched in any 15 seconds than it allows, and the exchange
cancels what is in it and refuses what comes, whatever we do. Its limit follows from the account's
own limits (``limit_e2``). One group a shard is made and remembered; each start finds it again and
reads it back. An entry without a fuse that was read back does not go out; exits carry none.

A blown fuse is a condition of the account: the switch ``breaker:fuse`` refuses entries, and it stays
until a person resets it (``POST /api/reset_fuse``) or the executor is started again. Both are in the
audit. Money is read, never moved. Source: Kalshi documentation, "Order groups".
"""

from __future__ import annotations

import asyncio
import json
import math
from contextlib import suppress
from typing import Final

from recio.adapters.kalshi.model import OrderGroup
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.postgres import exchange_limits, orders, switches
from recio.adapters.postgres.config import effective_config
from recio.adapters.postgres.exchange_limits import HeldFuse
from recio.adapters.postgres.orders import OrderRow
from recio.domain.account_config import Risk, Trading
from recio.domain.errors import InvalidValue, Rejected, Unavailable
from recio.domain.intents import Purpose
from recio.domain.units import CONTRACT_E2, SECOND_US
from recio.runtime.service import HttpRequest, HttpResponse, ServiceContext
from recio.runtime.wake import Wake

SHARD: Final = 2
"""Crypto events live there (Kalshi documentation, "Exchange sharding", since 2026-08-24)."""
MOST_CONTRACTS: Final = 1_000_000
"""The exchange's own bound on a group's limit."""
BLOWN_CODES: Final = frozenset({"order_group_cancel", "exceeded_order_group_risk_limit"})
GONE_CODES: Final = frozenset({"order_group_not_found"})
BREAKER: Final = "breaker:fuse"
LOOK_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 1.0
WAIT_SECONDS: Final = 3.0
"""How long an entry waits for the fuse of a start; longer, and its price is history."""


class NoFuse(Exception):
    """An entry must not go out."""


def limit_e2(risk: Risk) -> int:
    """Return the fuse's limit: one contract more than the account may ever want in 15 seconds.

    That is the most it may hold, or the most it may order in a minute if that is less. The one more
    keeps a fuse that blows at its limit whole when an account does all that it may.

    >>> limit_e2(Risk(max_contracts_total=100, max_contracts_per_order=10))
    10100
    """
    ordered = risk.max_contracts_per_order * risk.max_orders_per_minute
    return min(min(risk.max_contracts_total, ordered) + 1, MOST_CONTRACTS) * CONTRACT_E2


class Fuse:
    """The order group of one account on the crypto shard, tended while the lease is held."""

    def __init__(self, context: ServiceContext, account: str, rest: KalshiRest) -> None:
        self._context = context
        self._account = account
        self._rest = rest
        self._wake = Wake(context.database, "settings", account=account)
        self.listen = self._wake.listen
        self._epoch: int | None = None
        self._is_first = True
        self._is_tending = asyncio.Lock()
        self._known = asyncio.Event()
        self._held: HeldFuse | None = None
        self._refused = ""
        self._is_ready = context.metrics.gauge(
            "recio_exchange_fuse_ready", "Whether entries carry an order group that was read back."
        )
        self._cash = context.metrics.gauge(
            "recio_shard_cash_dollars", "Cash on the crypto shard: the most that can be lost there."
        )

    def begin(self, epoch: int | None) -> None:
        """Tend it under a new epoch, as at a start; None: the lease is another copy's."""
        self._epoch = epoch
        self._is_first = True
        self._known.clear()
        self._wake.now()

    async def of(self, row: OrderRow) -> str | None:
        """Return the group that an order goes out with: an entry's fuse, none for an exit.

        Raises:
            NoFuse: an entry that must not go out, and why.
        """
        if row.order.purpose != Purpose.ENTRY.value:
            return None
        if row.order.exchange_index not in (None, SHARD):
            raise NoFuse(f"its market is on shard {row.order.exchange_index}, the fuse on {SHARD}")
        if not self._known.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._known.wait()
        held = self._held
        if not self._known.is_set() or held is None:
            raise NoFuse("the exchange's fuse is not set up yet")
        if self._refused or held.state != "ready":
            raise NoFuse(f"the exchange's fuse: {self._refused or held.reason}")
        return held.order_group_id

    def told(self, code: str, reason: str) -> None:
        """Take in why the exchange refused an entry: perhaps its fuse is blown, or gone."""
        if code in BLOWN_CODES:
            self._refused = f"blown: {reason}"
        elif code in GONE_CODES:
            self._is_first = True
        else:
            return
        self._wake.now()

    async def run(self) -> None:
        """Tend it for ever: at the start, when limits change, and every half minute."""
        due_wall_us = 0
        while True:
            is_hinted = await self._wake.wait()
            if self._epoch is None:
                continue
            if not is_hinted and not self._is_first and self._wall_us() < due_wall_us:
                continue
            wait_s = await self._tend_safely()
            due_wall_us = self._wall_us() + round(wait_s * SECOND_US)

    async def _tend_safely(self) -> float:
        """Tend it once; return when to come back."""
        try:
            async with self._is_tending:
                await self._tend()
        except Unavailable as error:
            self._context.log.warning("the fuse is not looked after: %s", error)
        except Rejected as error:
            await self._unverified(str(error))
        else:
            return LOOK_SECONDS
        # A lost answer is asked for again soon, but not by the hint of our own writes.
        await self._context.clock.sleep_wall(RETRY_SECONDS)
        return 0.0

    async def _tend(self) -> None:
        async with self._context.database.transaction() as tx:
            held = await exchange_limits.held_fuse(tx, self._account, SHARD)
            try:
                wanted_e2 = limit_e2((await effective_config(tx, self._account)).risk)
            except InvalidValue:
                # The gate refuses every entry until the document is mended; the fuse stays.
                wanted_e2 = limit_e2(Risk()) if held is None else held.contracts_e2
        self._held = held or self._held
        if self._is_first:
            await self._rest.adopt_limits()
        group_id = await self._group_id(held, wanted_e2)
        await self._check(held, group_id, wanted_e2)
        try:
            await self._read_cash()
        except Rejected as error:
            self._context.log.warning("money on the shard is not known: %s", error)

    async def _group_id(self, held: HeldFuse | None, wanted_e2: int) -> str:
        """Return the remembered group if the exchange has it, else one made now."""
        known = None if held is None else held.order_group_id
        if known is not None and not self._is_first:
            return known
        groups = [one for one in await self._rest.order_groups() if one.exchange_index == SHARD]
        if any(one.group_id == known for one in groups):
            assert known is not None
            return known
        if held is not None and held.state == "making":
            # An answer was lost: the group that was asked for then may be there.
            for one in groups:
                if one.limit_qty_e2 == held.contracts_e2:
                    return one.group_id
        await self._write("making", None, wanted_e2, "asked for")
        made = await self._rest.create_order_group(wanted_e2, exchange_index=SHARD)
        return made.group_id

    async def _check(self, held: HeldFuse | None, group_id: str, wanted_e2: int) -> None:
        """Read the group back; put it right at a start and when limits have changed."""
        group = await self._rest.order_group(group_id)
        was_blown = held is not None and held.state == "blown"
        is_blown = group.is_auto_cancel_enabled is False
        if self._refused or (is_blown and not was_blown):
            reason = self._refused or "blown: the exchange says so"
            await self._write("blown", group_id, wanted_e2, _blown_reason(reason, held))
            self._refused, was_blown = "", True
        if was_blown and not self._is_first:
            self._settle(ready=False)
            return
        if was_blown:
            await self._rest.reset_order_group(group_id, exchange_index=SHARD)
        if group.limit_qty_e2 != wanted_e2:
            await self._rest.limit_order_group(group_id, wanted_e2, exchange_index=SHARD)
        if was_blown or group.limit_qty_e2 != wanted_e2:
            group = await self._rest.order_group(group_id)
        if reason := _wrong(group, wanted_e2):
            raise Rejected(f"order group {group_id}: {reason}")
        known = None if held is None else (held.state, held.order_group_id, held.contracts_e2)
        if known == ("ready", group_id, wanted_e2) and not was_blown:
            self._held = held
        else:
            done = "reset at the start of the executor" if was_blown else "read back"
            await self._write("ready", group_id, wanted_e2, done)
        self._is_first = False
        self._settle(ready=True)

    async def _unverified(self, reason: str) -> None:
        held = self._held
        with suppress(Unavailable):
            if held is None or held.state != "blown":
                await self._write(
                    "unverified",
                    None if held is None else held.order_group_id,
                    limit_e2(Risk()) if held is None else held.contracts_e2,
                    f"not verified: {reason}",
                )
            self._settle(ready=False)

    def _settle(self, *, ready: bool) -> None:
        self._is_ready.set(int(ready))
        self._known.set()

    async def _write(
        self, state: str, group_id: str | None, contracts_e2: int, reason: str
    ) -> None:
        """Remember the fuse, and set or release the account's switch with it."""
        held = HeldFuse(
            state=state, order_group_id=group_id, contracts_e2=contracts_e2, reason=reason
        )
        now_us = self._context.clock.market_us()
        async with self._context.database.transaction() as tx:
            epoch = self._epoch
            if epoch is None or not await orders.is_holder(tx, self._account, epoch):
                raise Unavailable("another copy holds the lease")
            await exchange_limits.write_fuse(tx, self._account, SHARD, held, at_us=now_us)
            if state != "making":
                rows = await switches.switch_rows(tx, self._account)
                is_set = any(row.source == BREAKER for row in rows)
                if is_set or state != "ready":
                    await switches.set_switch(
                        tx,
                        self._account,
                        BREAKER,
                        Trading.ACTIVE if state == "ready" else Trading.NO_NEW_ENTRIES,
                        reason=f"the exchange's fuse: {reason}",
                        author=self._context.row.name,
                        at_us=now_us,
                    )
        self._held = held

    async def _read_cash(self) -> None:
        balance = await self._rest.balance()
        # Where the exchange does not split, all of it can be lost here. A shard that it does not
        # name is not empty but unknown.
        cash = balance.on_shard(SHARD) if balance.shards else balance.cash_usd_e6
        elsewhere = None if cash is None else balance.cash_usd_e6 - cash
        self._cash.set(math.nan if cash is None else cash / 1e6)
        async with self._context.database.transaction() as tx:
            await exchange_limits.write_cash(
                tx,
                self._account,
                SHARD,
                cash_usd_e6=cash,
                elsewhere_usd_e6=elsewhere,
                at_us=self._context.clock.market_us(),
            )

    async def reset(self, _request: HttpRequest) -> HttpResponse:
        """Reset a blown fuse because a person asks for it."""
        if self._epoch is None:
            return _answer(409, "another copy of the executor holds the lease: ask that one")
        try:
            async with self._is_tending:
                return await self._reset()
        except (Unavailable, Rejected) as error:
            return _answer(503, str(error))

    async def _reset(self) -> HttpResponse:
        held = self._held
        if held is None or held.order_group_id is None or held.state != "blown":
            state = "not set up" if held is None else held.state
            return _answer(409, f"the fuse is {state}, not blown: there is nothing to reset")
        group_id, wanted_e2 = held.order_group_id, held.contracts_e2
        await self._rest.reset_order_group(group_id, exchange_index=SHARD)
        if reason := _wrong(await self._rest.order_group(group_id), wanted_e2):
            raise Rejected(f"order group {group_id}: {reason}")
        await self._write("ready", group_id, wanted_e2, "reset by a person")
        self._refused = ""
        self._settle(ready=True)
        self._context.log.warning("the exchange's fuse was reset by a person")
        return _answer(200, "reset")

    def _wall_us(self) -> int:
        return self._context.clock.wall_us()


def _wrong(group: OrderGroup, wanted_e2: int) -> str:
    """Return what is wrong with a group as the exchange shows it."""
    if group.exchange_index not in (None, SHARD):
        return f"expected it on shard {SHARD}, it is on {group.exchange_index}"
    if group.limit_qty_e2 != wanted_e2:
        return (
            f"expected a limit of {wanted_e2 / 100:g} contracts, received {group.limit_qty_e2}e-2"
        )
    if group.is_auto_cancel_enabled is False:
        return "it does not cancel by itself"
    return ""


def _blown_reason(reason: str, held: HeldFuse | None) -> str:
    most = "" if held is None else f" (more than {held.contracts_e2 / 100:g} contracts in 15 s)"
    return f"{reason}{most}; a person resets it, or the next start of the executor"


def _answer(status: int, said: str) -> HttpResponse:
    return HttpResponse(status, json.dumps({"fuse": said}).encode())
