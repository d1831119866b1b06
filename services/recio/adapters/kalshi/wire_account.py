"""JSON of the account: balance, cash movements, transfers, order groups, limits, costs, keys.

Source: Kalshi OpenAPI 3.30 (read 2026-11). A transfer is asked for in centicents (1e-4 dollar) and
told in dollars.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from recio.adapters.kalshi import model, wire
from recio.domain.errors import InvalidValue

_CENTICENT_USD_E6 = 100
_Tokens = Annotated[int, msgspec.Meta(ge=0, le=10**6)]


class _Shard(msgspec.Struct):
    exchange_index: wire.Small
    balance: str


class _Balance(msgspec.Struct):
    balance: int
    updated_ts: int
    balance_dollars: str | None = None
    portfolio_value: int | None = None
    balance_breakdown: list[_Shard] | None = None


def balance(body: bytes) -> model.ExchangeBalance:
    """Convert the balance; the dollar string is exact where the integer of cents is rounded."""
    row = wire.decode(body, _Balance)
    exact = wire.optional_usd_e6(row.balance_dollars)
    return model.ExchangeBalance(
        cash_usd_e6=wire.cents_usd_e6(row.balance) if exact is None else exact,
        positions_usd_e6=(
            None if row.portfolio_value is None else wire.cents_usd_e6(row.portfolio_value)
        ),
        updated_at_us=wire.seconds_us(row.updated_ts) or 0,
        shards=tuple(
            model.ShardBalance(
                exchange_index=shard.exchange_index, cash_usd_e6=wire.usd_e6(shard.balance)
            )
            for shard in row.balance_breakdown or ()
        ),
    )


class AsOfReply(msgspec.Struct):
    """GET /exchange/user_data_timestamp."""

    as_of_time: str


class _Movement(msgspec.Struct):
    id: wire.Name
    status: str
    type: str
    amount_cents: int
    created_ts: int
    fee_cents: int = 0
    finalized_ts: int | None = None


class DepositsReply(msgspec.Struct):
    """GET /portfolio/deposits."""

    deposits: list[msgspec.Raw]
    cursor: str | None = None


class WithdrawalsReply(msgspec.Struct):
    """GET /portfolio/withdrawals."""

    withdrawals: list[msgspec.Raw]
    cursor: str | None = None


def deposit(body: bytes | msgspec.Raw) -> model.CashMovement:
    """Convert one deposit."""
    return _movement(body, "deposit")


def withdrawal(body: bytes | msgspec.Raw) -> model.CashMovement:
    """Convert one withdrawal."""
    return _movement(body, "withdrawal")


def _movement(body: bytes | msgspec.Raw, kind: str) -> model.CashMovement:
    row = wire.decode(body, _Movement)
    return model.CashMovement(
        movement_id=row.id,
        kind=kind,
        status=row.status,
        method=row.type,
        amount_usd_e6=wire.cents_usd_e6(row.amount_cents),
        fee_usd_e6=wire.cents_usd_e6(row.fee_cents),
        created_at_us=wire.seconds_us(row.created_ts) or 0,
        finalized_at_us=wire.seconds_us(row.finalized_ts),
    )


class TransferBody(msgspec.Struct, omit_defaults=True):
    """POST /portfolio/intra_exchange_instance_transfer."""

    source: str
    destination: str
    amount: int
    source_exchange_shard: wire.Small | None = None
    destination_exchange_shard: wire.Small | None = None


def transfer_body(amount_usd_e6: int, source_shard: int, destination_shard: int) -> TransferBody:
    """Return the body that moves cash between shards.

    Raises:
        InvalidValue: not positive, or finer than 1e-4 dollar.
    """
    amount, rest = divmod(amount_usd_e6, _CENTICENT_USD_E6)
    if amount <= 0 or rest:
        raise InvalidValue(
            f"expected a multiple of 1e-4 dollar above 0, received {amount_usd_e6}e-6"
        )
    return TransferBody("event_contract", "event_contract", amount, source_shard, destination_shard)


class TransferReply(msgspec.Struct):
    """The answer to a transfer."""

    transfer_id: wire.Name


class _Transfer(msgspec.Struct):
    transfer_id: wire.Name
    status: str = ""
    amount: str | None = None
    source_exchange_shard: wire.Small | None = None
    destination_exchange_shard: wire.Small | None = None
    created_ts: str | int | None = None


class TransfersReply(msgspec.Struct):
    """GET /portfolio/intra_exchange_instance_transfers."""

    transfers: list[msgspec.Raw]
    cursor: str | None = None


def transfer(body: bytes | msgspec.Raw) -> model.Transfer:
    """Convert one transfer."""
    row = wire.decode(body, _Transfer)
    created = row.created_ts
    return model.Transfer(
        transfer_id=row.transfer_id,
        status=row.status,
        amount_usd_e6=wire.optional_usd_e6(row.amount),
        source_shard=row.source_exchange_shard,
        destination_shard=row.destination_exchange_shard,
        created_at_us=(
            wire.optional_time_us(created) if isinstance(created, str) else wire.seconds_us(created)
        ),
    )


class _QueuePosition(msgspec.Struct):
    order_id: wire.Name
    market_ticker: wire.Name
    queue_position_fp: str


class QueuePositionsReply(msgspec.Struct):
    """GET /portfolio/orders/queue_positions."""

    queue_positions: list[msgspec.Raw] | None = None


def queue_position(body: bytes | msgspec.Raw) -> model.QueuePosition:
    """Convert one queue position."""
    row = wire.decode(body, _QueuePosition)
    return model.QueuePosition(
        order_id=row.order_id,
        ticker=row.market_ticker,
        ahead_qty_e2=wire.qty_e2(row.queue_position_fp),
    )


class GroupBody(msgspec.Struct, omit_defaults=True):
    """Create an order group, or set its limit."""

    contracts_limit_fp: str
    exchange_index: wire.Small | None = None
    subaccount: wire.Small | None = None


class GroupCreated(msgspec.Struct):
    """POST /portfolio/order_groups/create."""

    order_group_id: wire.Name
    exchange_index: wire.Small | None = None


class _Group(msgspec.Struct):
    id: wire.Label | None = None
    contracts_limit_fp: str | None = None
    is_auto_cancel_enabled: bool | None = None
    exchange_index: wire.Small | None = None
    orders: list[str] | None = None


class GroupsReply(msgspec.Struct):
    """GET /portfolio/order_groups."""

    order_groups: list[msgspec.Raw] | None = None


def group(body: bytes | msgspec.Raw, group_id: str = "") -> model.OrderGroup:
    """Convert one order group; a single one does not repeat its id."""
    row = wire.decode(body, _Group)
    if not (row.id or group_id):
        raise InvalidValue("order group: expected an id, received none")
    return model.OrderGroup(
        group_id=row.id or group_id,
        limit_qty_e2=wire.optional_qty_e2(row.contracts_limit_fp),
        is_auto_cancel_enabled=row.is_auto_cancel_enabled,
        exchange_index=row.exchange_index,
        order_ids=tuple(row.orders or ()),
    )


class _Bucket(msgspec.Struct):
    refill_rate: wire.Small
    bucket_capacity: wire.Small


class _Limits(msgspec.Struct):
    usage_tier: str
    read: _Bucket
    write: _Bucket


def limits(body: bytes) -> model.AccountLimits:
    """Convert the account's rate budget."""
    row = wire.decode(body, _Limits)
    return model.AccountLimits(
        tier=row.usage_tier, read=_bucket(row.read), write=_bucket(row.write)
    )


def _bucket(row: _Bucket) -> model.BucketLimit:
    if row.refill_rate <= 0 or row.bucket_capacity <= 0:
        raise InvalidValue(f"expected a token bucket with a rate above 0, received {row}")
    return model.BucketLimit(refill_per_s=row.refill_rate, capacity=row.bucket_capacity)


class _Cost(msgspec.Struct):
    method: str
    path: str
    cost: _Tokens


class _Costs(msgspec.Struct):
    default_cost: _Tokens
    endpoint_costs: list[_Cost] | None = None


def costs(body: bytes) -> model.EndpointCosts:
    """Convert the price list of the rate budget."""
    row = wire.decode(body, _Costs)
    return model.EndpointCosts(
        default_cost=row.default_cost,
        costs=tuple(
            model.EndpointCost(method=each.method, path=each.path, cost=each.cost)
            for each in row.endpoint_costs or ()
        ),
    )


class _Key(msgspec.Struct):
    api_key_id: wire.Name
    name: str = ""
    scopes: list[str] | None = None
    subaccount: wire.Small | None = None


class _Keys(msgspec.Struct):
    api_keys: list[_Key]


def api_keys(body: bytes) -> tuple[model.ApiKeyRecord, ...]:
    """Convert the account's API keys."""
    return tuple(
        model.ApiKeyRecord(
            key_id=row.api_key_id,
            name=row.name,
            scopes=tuple(row.scopes or ()),
            subaccount=row.subaccount,
        )
        for row in wire.decode(body, _Keys).api_keys
    )
