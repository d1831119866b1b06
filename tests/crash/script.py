"""The script: entries, exits, a refused wish, a halt and its release, a settlement.

Of the entries one fills, one fills in part, one is on the other side, one nobody takes. Each phase ends when everything that hangs on it is at rest on both sides, so that a phase means the
same in every run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.crash.market import (
    ACCOUNT,
    CLOSE_US,
    EVENT,
    FULL,
    LATER,
    NOBODY,
    OTHER_SIDE,
    PART,
    FrozenMarket,
    Listed,
)

from recio.adapters.postgres import intents, switches
from recio.domain.account_config import Trading
from recio.domain.intents import Intent, Purpose, Source, derived_id
from recio.domain.units import SECOND_US
from recio.ports import Database

LOOK_S = 0.02
PATIENCE_S = 90.0
"""Account sync that has nothing open compares cash once a minute."""
ENTRY_VALID_US = 5 * SECOND_US
EXIT_VALID_US = 60 * SECOND_US

_UNREST = """
SELECT 'intent ' || market_ticker || ' waits' FROM trading.intents WHERE state = 'proposed'
UNION ALL
SELECT 'order ' || market_ticker || ' is ' || state::text || ', filled ' || filled_qty_e2
    || ', booked ' || booked_qty_e2 FROM trading.orders
WHERE state NOT IN ('executed', 'canceled', 'rejected', 'expired_unsent')
    OR booked_qty_e2 <> filled_qty_e2
UNION ALL
SELECT 'trade ' || t.market_ticker || ' is ' || t.state::text || ', ' || t.filled_qty_e2 || ' in, '
    || t.exited_qty_e2 || ' out; its orders say ' || o.bought || ' and ' || o.sold
FROM trading.trades t, LATERAL (
    SELECT coalesce(sum(booked_qty_e2) FILTER (WHERE purpose = 'entry'), 0) AS bought,
           coalesce(sum(booked_qty_e2) FILTER (WHERE purpose = 'exit'), 0) AS sold
    FROM trading.orders WHERE trade_id = t.trade_id) o
WHERE t.filled_qty_e2 <> o.bought OR t.exited_qty_e2 <> o.sold OR t.state::text <> ALL (
    CASE WHEN o.bought = 0 THEN '{abandoned}'::text[]
         WHEN o.sold = o.bought THEN '{closed}'
         WHEN EXISTS (SELECT FROM trading.settlements s WHERE s.market_ticker = t.market_ticker)
         THEN '{settled}' WHEN %s THEN '{expired}' ELSE '{open}' END)
"""
_FACTS = (
    "SELECT count(*), coalesce(sum(qty_e2), 0)::bigint, (SELECT count(*) FROM trading.settlements) "
    "FROM trading.fills"
)
_CASH = (
    "SELECT (SELECT exchange_usd_e6 FROM trading.balances ORDER BY at DESC LIMIT 1), "
    "(SELECT cash_usd_e6 FROM trading.totals)"
)
_HELD = "SELECT count(*) FROM trading.positions WHERE qty_e2 <> 0"


class NotAtRest(AssertionError):
    """Something that must end did not; the message says what."""


@dataclass(slots=True)
class Desk:
    """Where wishes are made and looked after. Nothing of the script rests longer than a halt."""

    owner: Database
    market: FrozenMarket

    async def wish(self, name: str, **fields: Any) -> UUID:
        """Propose an intent; proposing the same again changes nothing."""
        now_us = self.market.clock.market_us()
        is_exit = fields.get("trade_id") is not None
        intent = Intent(
            intent_id=derived_id(ACCOUNT, name),
            account=ACCOUNT,
            purpose=Purpose.EXIT if is_exit else Purpose.ENTRY,
            source=Source.MANUAL,
            event_ticker=EVENT,
            at_us=now_us,
            valid_until_us=now_us + (EXIT_VALID_US if is_exit else ENTRY_VALID_US),
            price_at_us=now_us,
            book_at_us=now_us,
            **fields,
        )
        async with self.owner.transaction() as tx:
            await intents.propose(tx, intent)
        return intent.intent_id

    async def enter(
        self, market: Listed, price_e4: int, qty_e2: int, *, side: str = "yes", name: str = ""
    ) -> None:
        """Wish to enter."""
        await self.wish(
            f"enter {name or market.ticker}",
            market_ticker=market.ticker,
            side=side,
            qty_e2=qty_e2,
            limit_price_e4=price_e4,
        )

    async def leave(self, market: Listed, price_e4: int, qty_e2: int, *, side: str = "yes") -> None:
        """Wish to leave, if there is something to leave."""
        async with self.owner.transaction() as tx:
            held = await tx.fetch_one(
                "SELECT trade_id FROM trading.trades WHERE market_ticker = %s AND state = 'open'",
                market.ticker,
            )
        if held is not None:
            await self.wish(
                f"leave {market.ticker}",
                market_ticker=market.ticker,
                side=side,
                qty_e2=qty_e2,
                limit_price_e4=price_e4,
                trade_id=held[0],
                reason="the script says so",
            )

    async def switch(self, state: Trading) -> None:
        """Throw a person's switch."""
        async with self.owner.transaction() as tx:
            await switches.set_switch(
                tx,
                ACCOUNT,
                "person",
                state,
                reason="the script says so",
                author="crash",
                at_us=self.market.clock.market_us(),
            )

    async def unrest(self) -> list[str]:
        """Return what is not at rest."""
        async with self.owner.transaction() as tx:
            is_over = self.market.clock.market_us() >= CLOSE_US
            found = [row[0] for row in await tx.fetch(_UNREST, is_over)]
            booked = await tx.fetch_one(_FACTS)
        state = self.market.exchange.state
        fills, settled = state.fills_of.get(ACCOUNT, []), state.settlements_of.get(ACCOUNT, [])
        theirs = (len(fills), sum(fill.qty_e2 for fill in fills), len(settled))
        if booked != theirs:
            found.append(f"facts booked {booked}, at the exchange {theirs}")
        if any(order.is_resting for order in state.orders_of.get(ACCOUNT, [])):
            found.append("an order rests")
        return found

    async def uncompared(self) -> list[str]:
        """Return why the books are not known to be equal."""
        async with self.owner.transaction() as tx:
            compared = await tx.fetch_one(_CASH)
            held = await tx.fetch_one(_HELD)
        cash = sum(self.market.exchange.state.accounts[ACCOUNT].cash_e6.values())
        found = [] if compared == (cash, cash) else [f"cash {compared}, at the exchange {cash}"]
        return found + ([] if held == (0,) else [f"{held[0]} positions are held"])

    async def reasons(self) -> list[str]:
        """Return what the services noted beside orders."""
        async with self.owner.transaction() as tx:
            found = await tx.fetch(
                "SELECT market_ticker, purpose::text, state::text, reason FROM trading.orders "
                "WHERE reason <> '' ORDER BY created_at"
            )
        return [" ".join(row) for row in found]

    async def no_open_trade(self) -> list[str]:
        """Return that no trade is open, if so."""
        async with self.owner.transaction() as tx:
            found = await tx.fetch("SELECT state::text FROM trading.trades")
        return [] if ("open",) in found else [f"trades are {found}"]

    async def wait(self, look: Callable[[], Awaitable[list[str]]]) -> None:
        """Wait until nothing is found any more.

        Raises:
            NotAtRest: not in time.
        """
        deadline = time.monotonic() + PATIENCE_S
        while found := await look():
            if time.monotonic() > deadline:
                raise NotAtRest(f"not at rest after {PATIENCE_S:g} s: {'; '.join(found)}")
            await asyncio.sleep(LOOK_S)


@dataclass(frozen=True, slots=True)
class Phase:
    """One step of the script.

    ``is_after_close``: before it, all services are ended and started again with market time behind
    the close: waiting for it would take longer than everything else, and nobody believes a
    settlement before it.
    """

    name: str
    act: Callable[[Desk], Awaitable[None]]
    is_after_close: bool = False


async def _halt(desk: Desk) -> None:
    desk.market.rest_by_hand(NOBODY, 500, 100)
    await desk.switch(Trading.HALTED)
    await desk.enter(LATER, 4_200, 500, name="while halted")


async def _release(desk: Desk) -> None:
    await desk.switch(Trading.ACTIVE)
    await desk.enter(LATER, 4_200, 500)


async def _settle(desk: Desk) -> None:
    await desk.market.settle()


async def _nothing(desk: Desk) -> None:
    del desk


PHASES = (
    Phase("start", _nothing),
    Phase("entry", lambda desk: desk.enter(FULL, 5_200, 1_000)),
    Phase("partial entry", lambda desk: desk.enter(PART, 6_200, 1_000)),
    Phase("entry on the other side", lambda d: d.enter(OTHER_SIDE, 7_200, 800, side="no")),
    Phase("entry that nobody takes", lambda desk: desk.enter(NOBODY, 5_000, 500)),
    Phase("refused", lambda desk: desk.enter(LATER, 4_200, 100_000, name="too large")),
    Phase("exit", lambda desk: desk.leave(FULL, 3_800, 1_000)),
    Phase("partial exit", lambda d: d.leave(OTHER_SIDE, 6_400, 800, side="no")),
    Phase("halt", _halt),
    Phase("release", _release),
    Phase("close", _nothing, is_after_close=True),
    Phase("settlement", _settle),
)
