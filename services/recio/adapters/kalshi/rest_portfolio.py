"""Reads of the account's own facts: all pages or an error, never a part that looks like the whole.

Whoever must go on with the good rows when one is bad asks for them as ``listed_…`` and is given the
bad ones, too. Reads may lag behind our actions: ``as_of_us`` says how fresh they are.
Source: Kalshi OpenAPI 3.30.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import msgspec

from recio.adapters.kalshi import model, wire, wire_account, wire_portfolio
from recio.adapters.kalshi.caller import Caller, Query, segment
from recio.domain.errors import InvalidValue
from recio.domain.units import SECOND_US

PAGE: Final = 1000
PAGE_CASH: Final = 500
RAW_AT_MOST: Final = 4_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that does not convert: its JSON (shortened), and what is wrong with it."""

    raw: str
    problem: str


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """A whole list: the rows that convert, and those that do not."""

    rows: tuple[T, ...]
    bad: tuple[BadRow, ...] = ()


def _listed(rows: Sequence[msgspec.Raw], convert: Callable[[msgspec.Raw], T]) -> Listed[T]:
    good, bad = [], []
    for row in rows:
        try:
            good.append(convert(row))
        except InvalidValue as error:
            raw = bytes(row)[:RAW_AT_MOST].decode("utf-8", "replace")
            bad.append(BadRow(raw, str(error)))
    return Listed(tuple(good), tuple(bad))


class PortfolioReads(Caller):
    """What the account holds, did, and may do."""

    async def as_of_us(self) -> int:
        """Read how fresh balance, orders, fills and positions are."""
        reply = await self._read(
            "/exchange/user_data_timestamp", lambda body: wire.decode(body, wire_account.AsOfReply)
        )
        return wire.time_us(reply.as_of_time)

    async def balance(self, *, exchange_index: int | None = None) -> model.ExchangeBalance:
        """Read cash, in all and by shard."""
        return await self._read(
            "/portfolio/balance", wire_account.balance, {"exchange_index": exchange_index}
        )

    async def positions(
        self, *, ticker: str | None = None, event_ticker: str | None = None
    ) -> tuple[model.ExchangePosition, ...]:
        """Read unsettled positions."""
        rows = await self._position_rows(ticker, event_ticker)
        return tuple(wire_portfolio.position(row) for row in rows)

    async def listed_positions(self) -> Listed[model.ExchangePosition]:
        """Read unsettled positions, bad rows apart."""
        return _listed(await self._position_rows(), wire_portfolio.position)

    async def _position_rows(
        self, ticker: str | None = None, event_ticker: str | None = None
    ) -> list[msgspec.Raw]:
        return await self._pages(
            "/portfolio/positions",
            wire_portfolio.PositionsReply,
            lambda page: page.market_positions,
            {"ticker": ticker, "event_ticker": event_ticker, "limit": PAGE},
        )

    async def fills(
        self,
        *,
        ticker: str | None = None,
        order_id: str | None = None,
        min_us: int | None = None,
        max_us: int | None = None,
    ) -> tuple[model.ExchangeFill, ...]:
        """Read fills, newest first."""
        query = {"ticker": ticker, "order_id": order_id, **_between(min_us, max_us)}
        return tuple(wire_portfolio.fill(row) for row in await self._fill_rows(query))

    async def listed_fills(self, *, min_us: int) -> Listed[model.ExchangeFill]:
        """Read fills, newest first, bad rows apart."""
        return _listed(await self._fill_rows(_between(min_us, None)), wire_portfolio.fill)

    async def _fill_rows(self, query: Query) -> list[msgspec.Raw]:
        return await self._pages(
            "/portfolio/fills",
            wire_portfolio.FillsReply,
            lambda page: page.fills,
            {**query, "limit": PAGE},
        )

    async def settlements(
        self, *, ticker: str | None = None, min_us: int | None = None, max_us: int | None = None
    ) -> tuple[model.ExchangeSettlement, ...]:
        """Read settlements, newest first."""
        query = {"ticker": ticker, **_between(min_us, max_us)}
        return tuple(wire_portfolio.settlement(row) for row in await self._settlement_rows(query))

    async def listed_settlements(self, *, min_us: int) -> Listed[model.ExchangeSettlement]:
        """Read settlements, newest first, bad rows apart."""
        rows = await self._settlement_rows(_between(min_us, None))
        return _listed(rows, wire_portfolio.settlement)

    async def _settlement_rows(self, query: Query) -> list[msgspec.Raw]:
        return await self._pages(
            "/portfolio/settlements",
            wire_portfolio.SettlementsReply,
            lambda page: page.settlements,
            {**query, "limit": PAGE},
        )

    async def orders(
        self,
        *,
        ticker: str | None = None,
        event_ticker: str | None = None,
        status: str | None = None,
        min_us: int | None = None,
        max_us: int | None = None,
    ) -> tuple[model.ExchangeOrder, ...]:
        """Read orders, newest first; ``status``: resting, canceled, executed."""
        query = {"ticker": ticker, "event_ticker": event_ticker, "status": status}
        rows = await self._order_rows({**query, **_between(min_us, max_us)})
        return tuple(wire_portfolio.order(row) for row in rows)

    async def listed_orders(self, *, min_us: int) -> Listed[model.ExchangeOrder]:
        """Read orders, newest first, bad rows apart."""
        return _listed(await self._order_rows(_between(min_us, None)), wire_portfolio.order)

    async def _order_rows(self, query: Query) -> list[msgspec.Raw]:
        return await self._pages(
            "/portfolio/orders",
            wire_portfolio.OrdersReply,
            lambda page: page.orders,
            {**query, "limit": PAGE},
        )

    async def order(self, order_id: str) -> model.ExchangeOrder:
        """Read one order by the exchange's id."""
        reply = await self._read(
            f"/portfolio/orders/{segment(order_id)}",
            lambda body: wire.decode(body, wire_portfolio.OrderBody),
        )
        return wire_portfolio.order(reply.order)

    async def queue_positions(self, event_ticker: str) -> tuple[model.QueuePosition, ...]:
        """Read how many contracts stand before each resting order of an event."""
        reply = await self._read(
            "/portfolio/orders/queue_positions",
            lambda body: wire.decode(body, wire_account.QueuePositionsReply),
            {"event_ticker": event_ticker},
        )
        return tuple(wire_account.queue_position(row) for row in reply.queue_positions or ())

    async def deposits(self) -> tuple[model.CashMovement, ...]:
        """Read all deposits."""
        rows = await self._pages(
            "/portfolio/deposits",
            wire_account.DepositsReply,
            lambda page: page.deposits,
            {"limit": PAGE_CASH},
        )
        return tuple(wire_account.deposit(row) for row in rows)

    async def withdrawals(self) -> tuple[model.CashMovement, ...]:
        """Read all withdrawals."""
        rows = await self._pages(
            "/portfolio/withdrawals",
            wire_account.WithdrawalsReply,
            lambda page: page.withdrawals,
            {"limit": PAGE_CASH},
        )
        return tuple(wire_account.withdrawal(row) for row in rows)

    async def transfers(self) -> tuple[model.Transfer, ...]:
        """Read all moves of cash between shards."""
        rows = await self._pages(
            "/portfolio/intra_exchange_instance_transfers",
            wire_account.TransfersReply,
            lambda page: page.transfers,
            {"limit": PAGE_CASH},
        )
        return tuple(wire_account.transfer(row) for row in rows)

    async def limits(self) -> model.AccountLimits:
        """Read the account's rate budget."""
        return await self._read("/account/limits", wire_account.limits)

    async def api_keys(self) -> tuple[model.ApiKeyRecord, ...]:
        """Read the account's keys and their scopes."""
        return await self._read("/api_keys", wire_account.api_keys)

    async def order_groups(self) -> tuple[model.OrderGroup, ...]:
        """Read all order groups."""
        reply = await self._read(
            "/portfolio/order_groups", lambda body: wire.decode(body, wire_account.GroupsReply)
        )
        return tuple(wire_account.group(row) for row in reply.order_groups or ())

    async def order_group(self, group_id: str) -> model.OrderGroup:
        """Read one order group."""
        return await self._read(
            f"/portfolio/order_groups/{segment(group_id)}",
            lambda body: wire_account.group(body, group_id),
        )


def _between(min_us: int | None, max_us: int | None) -> dict[str, int | None]:
    # Whole seconds, rounded outwards: a fact at the border is read twice rather than missed.
    return {
        "min_ts": None if min_us is None else min_us // SECOND_US,
        "max_ts": None if max_us is None else -(-max_us // SECOND_US),
    }
