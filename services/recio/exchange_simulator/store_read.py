"""How rows of schema exchange_sim become the exchange's records again (see ``store_rows``)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from recio.domain.units import time_us
from recio.exchange_simulator.core.fees import FeeTerms
from recio.exchange_simulator.core.records import (
    Account,
    ApiKey,
    Fill,
    Market,
    MarketStatus,
    Order,
    OrderGroup,
    Position,
    Reason,
    Settlement,
    Trade,
    Transfer,
)


def micros(moment: datetime | None) -> int | None:
    """Return a timestamptz as microseconds; None stays None."""
    return None if moment is None else int(time_us(moment))


def _us(moment: datetime) -> int:
    return int(time_us(moment))


def account(row: Sequence[Any]) -> Account:
    """Return an account from its row, without its cash."""
    return Account(
        account=row[0],
        user_id=str(row[1]),
        number=row[2],
        tier=row[3],
        opening_e6=row[4],
        created_us=_us(row[5]),
        updated_us=_us(row[6]),
    )


def key(row: Sequence[Any]) -> ApiKey:
    """Return a key from its row."""
    return ApiKey(
        key_id=str(row[0]),
        account=row[1],
        name=row[2],
        public_pem=row[3],
        scopes=tuple(row[4].split()),
        created_us=_us(row[5]),
    )


def group(row: Sequence[Any]) -> OrderGroup:
    """Return an order group from its row."""
    return OrderGroup(
        group_id=str(row[0]),
        number=row[1],
        account=row[2],
        exchange_index=row[3],
        limit_e2=row[4],
        is_triggered=row[5],
        matched=deque(msgspec.json.decode(row[6], type=list[tuple[int, int]])),
    )


def fee_terms(row: Sequence[Any]) -> FeeTerms:
    """Return the fee terms in an event's row."""
    return FeeTerms(row[3], row[4])


def order(row: Sequence[Any]) -> Order:
    """Return an order from its row."""
    flags = msgspec.json.decode(row[13], type=dict[str, Any])
    return Order(
        order_id=str(row[0]),
        number=row[1],
        queue=row[2],
        account=row[3],
        client_order_id=row[4],
        ticker=row[5],
        is_bid=row[6],
        price_e4=row[7],
        initial_e2=row[8],
        remaining_e2=row[9],
        filled_e2=row[10],
        status=row[11],
        reason=Reason(row[12]),
        exchange_index=row[14],
        group_id=row[15],
        expiration_us=micros(row[16]),
        taker_cost_e6=row[17],
        maker_cost_e6=row[18],
        taker_fees_e6=row[19],
        maker_fees_e6=row[20],
        accumulator_e6=row[21],
        created_us=_us(row[22]),
        updated_us=_us(row[23]),
        **flags,
    )


def fill(row: Sequence[Any]) -> Fill:
    """Return a fill from its row."""
    return Fill(
        number=row[0],
        trade_id=str(row[1]),
        order_id=str(row[2]),
        client_order_id=row[3],
        account=row[4],
        ticker=row[5],
        exchange_index=row[6],
        is_bid=row[7],
        is_taker=row[8],
        price_e4=row[9],
        qty_e2=row[10],
        fee_e6=row[11],
        revenue_e6=row[12],
        position_e2=row[13],
        at_us=_us(row[14]),
    )


def position(row: Sequence[Any]) -> Position:
    """Return a position from its row."""
    return Position(
        account=row[0],
        ticker=row[1],
        exchange_index=row[2],
        position_e2=row[3],
        cost_e6=row[4],
        traded_e6=row[5],
        realized_e6=row[6],
        fees_e6=row[7],
        open_fees_e6=row[8],
        volume_e2=row[9],
        is_settled=row[10],
        updated_us=_us(row[11]),
    )


def settlement(row: Sequence[Any]) -> Settlement:
    """Return a settlement from its row."""
    return Settlement(
        number=row[0],
        account=row[1],
        ticker=row[2],
        event_ticker=row[3],
        exchange_index=row[4],
        result=row[5],
        yes_e2=row[6],
        yes_cost_e6=row[7],
        no_e2=row[8],
        no_cost_e6=row[9],
        revenue_cents=row[10],
        payout_cents=row[11],
        fee_e6=row[12],
        at_us=_us(row[13]),
    )


def transfer(row: Sequence[Any]) -> Transfer:
    """Return a transfer from its row."""
    return Transfer(
        transfer_id=str(row[0]),
        number=row[1],
        account=row[2],
        source=row[3],
        destination=row[4],
        amount_e6=row[5],
        at_us=_us(row[6]),
    )


def trade(row: Sequence[Any]) -> Trade:
    """Return a trade from its row."""
    return Trade(
        number=row[0],
        trade_id=str(row[1]),
        ticker=row[2],
        price_e4=row[3],
        qty_e2=row[4],
        is_taker_bid=row[5],
        at_us=_us(row[6]),
    )


def restore_market(market: Market, row: Sequence[Any]) -> None:
    """Set a listed market's figures from its row."""
    market.status = MarketStatus(row[3])
    market.close_us = _us(row[5])
    market.volume_e2, market.open_interest_e2 = row[6], row[7]
    market.last_price_e4, market.last_size_e2 = row[8], row[9]
    market.result, market.expiration_value, market.payout_cents = row[10], row[11], row[12]
    market.determined_us, market.settled_us = micros(row[13]), micros(row[14])
    market.created_us, market.updated_us = _us(row[15]), _us(row[16])
