"""Does the acts of a plan that somebody does: wishes, orders by hand, switches, moves of the book.

Wishes go in by the same function as the automations' and the page's, under the account's own login,
and are repeated under the same id when the database does not answer, as an impatient finger would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from recio.adapters.kalshi.model import NewOrder, TimeInForce
from recio.adapters.postgres import intents, switches
from recio.adapters.postgres.config import account_login
from recio.domain.account_config import Trading
from recio.domain.errors import Rejected, Unavailable
from recio.domain.intents import Intent, Purpose, Source, derived_id
from recio.domain.orders import BookSide
from recio.domain.units import SECOND_US
from recio.exchange_simulator.specs import CRYPTO_SHARD
from recio.ports import Database, Transaction
from recio.simulation import world
from recio.simulation.loop import SimulatedProcess
from recio.simulation.plan import Enter, Hand, Leave, Move, Switch
from recio.simulation.stage import Stage

TRIES: Final = 8
VALID_US: Final = 5 * SECOND_US
BY_HAND_VALID_US: Final = 15 * SECOND_US
"""How long a wish lives, as the automations and the page make it; in the processes' own time."""
PERSON: Final = "person"
_OPEN: Final = (
    "SELECT trade_id, market_ticker, side::text FROM trading.trades WHERE account = %s "
    "AND state IN ('open', 'closing') AND source <> 'external' ORDER BY number"
)


class People:
    """Whoever wishes and trades in a run."""

    def __init__(self, stage: Stage, process: SimulatedProcess) -> None:
        self._stage = stage
        self.process = process
        self._wishes = 0
        self._hands = 0
        self._owner: Database = stage.server.port(process, "")
        self._databases: dict[str, Database] = {
            name: stage.server.port(process, account_login(name), name) for name in stage.signers
        }

    def move(self, act: Move) -> None:
        """Change a level of the book, if the market takes it."""
        stage = self._stage
        now_us = stage.clock.market_us()
        if now_us < world.close_us(act.ticker):
            stage.exchange.set_external_level(
                act.ticker, act.side, act.price_e4, act.qty_e2, now_us
            )

    async def enter(self, act: Enter) -> None:
        """Wish an entry."""
        now_us = self._stage.clock.market_us()
        priced_us = now_us - act.age_ms * 1000
        wish = self._wish(
            act.account,
            Purpose.ENTRY,
            Source.MANUAL if act.by_person else Source.AUTO_ENTRY,
            ticker=act.ticker,
            side=world.SIDES[act.ticker],
            qty_e2=act.qty_e2,
            price_e4=act.price_e4,
            at_us=now_us,
        )
        fields = {"price_at_us": priced_us, "book_at_us": None if act.is_blind else priced_us}
        await self._propose(_with(wish, fields))

    async def leave(self, act: Leave) -> None:
        """Wish to sell every open trade of the account."""
        held: list[tuple[object, str, str]] = []

        async def read(tx: Transaction) -> None:
            held.extend(await tx.fetch(_OPEN, act.account))

        await self._tried(self._databases[act.account], read)
        source = Source.MANUAL if act.by_person else Source.AUTO_STOP
        for trade_id, ticker, side in held:
            for _ in range(act.times):
                floor_e4 = world.EXIT_E4[ticker] - (0 if act.is_cheap else -100)
                wish = self._wish(
                    act.account,
                    Purpose.EXIT,
                    source,
                    ticker=ticker,
                    side=side,
                    qty_e2=act.qty_e2,
                    price_e4=floor_e4,
                    at_us=self._stage.clock.market_us(),
                )
                await self._propose(_with(wish, {"trade_id": trade_id, "reason": "planned"}))

    async def hand(self, act: Hand) -> None:
        """Trade by hand; who gets no answer tries again, as a new order."""
        for _ in range(TRIES):
            self._hands += 1
            order = NewOrder(
                ticker=act.ticker,
                book_side=BookSide(act.side),
                qty_e2=act.qty_e2,
                yes_price_e4=act.price_e4,
                client_order_id=f"hand-{self._stage.seed}-{self._hands}",
                time_in_force=TimeInForce.GOOD_TILL_CANCELED
                if act.rests
                else TimeInForce.IMMEDIATE_OR_CANCEL,
                exchange_index=CRYPTO_SHARD,
            )
            try:
                await self._stage.rest(self.process, act.account).create_order(order)
            except Unavailable:
                await asyncio.sleep(1.0)
            except Rejected:
                return
            else:
                return

    async def switch(self, act: Switch) -> None:
        """Set a switch, and release it later."""
        await self._set(act, Trading(act.state))
        if act.lasts_s:
            await self._stage.clock.sleep_market(act.lasts_s)
            await self._set(act, Trading.ACTIVE)

    async def _set(self, act: Switch, state: Trading) -> None:
        async def set_it(tx: Transaction) -> None:
            await switches.set_switch(
                tx,
                act.scope,
                PERSON,
                state,
                reason="planned",
                author=PERSON,
                at_us=self._stage.clock.market_us(),
            )

        await self._tried(self._owner, set_it)

    def _wish(
        self,
        account: str,
        purpose: Purpose,
        source: Source,
        *,
        ticker: str,
        side: str,
        qty_e2: int,
        price_e4: int,
        at_us: int,
    ) -> Intent:
        self._wishes += 1
        return Intent(
            intent_id=derived_id(account, self._stage.seed, self._wishes),
            account=account,
            purpose=purpose,
            source=source,
            market_ticker=ticker,
            event_ticker=world.event_of(ticker),
            side=side,
            qty_e2=qty_e2,
            limit_price_e4=price_e4,
            at_us=at_us,
            valid_until_us=at_us + self._life_us(source),
            price_at_us=at_us,
            book_at_us=at_us,
        )

    def _life_us(self, source: Source) -> int:
        # Requests, doubts and signatures take wall time; so must the wish, to be as long beside them.
        life_us = BY_HAND_VALID_US if source is Source.MANUAL else VALID_US
        return life_us * self._stage.speed

    async def _propose(self, wish: Intent) -> None:
        async def propose(tx: Transaction) -> None:
            await intents.propose(tx, wish)

        await self._tried(self._databases[wish.account], propose)

    async def _tried(
        self, database: Database, work: Callable[[Transaction], Awaitable[None]]
    ) -> None:
        for _ in range(TRIES):
            try:
                async with database.transaction() as tx:
                    await work(tx)
            except Unavailable:
                await asyncio.sleep(1.0)
            else:
                return


def _with(wish: Intent, changes: Mapping[str, object]) -> Intent:
    fields = {name: getattr(wish, name) for name in wish.__struct_fields__}
    return Intent(**{**fields, **changes})
