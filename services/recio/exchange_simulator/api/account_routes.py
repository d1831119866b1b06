"""Order groups, API keys, limits, transfers between shards, and the thin subaccounts."""

from __future__ import annotations

from typing import Final

import msgspec

from recio.domain.errors import InvalidValue
from recio.domain.units import parse_qty_e2
from recio.exchange_simulator.api import keys, limits, wire
from recio.exchange_simulator.api import render_portfolio as render
from recio.exchange_simulator.api.auth import load_public_key
from recio.exchange_simulator.api.call import Call, Json, page
from recio.exchange_simulator.core import accounts, groups
from recio.exchange_simulator.core.records import ApiKey, OrderGroup, Transfer
from recio.exchange_simulator.core.refusals import Refusal, invalid_parameter, not_found
from recio.exchange_simulator.core.state import SHARDS

SCOPES: Final = (
    "read",
    "write",
    "read::block_trade_accept",
    "read::portfolio_balance",
    "write::trade",
    "write::transfer",
    "write::block_trade_accept",
)
_CENTICENT_E6: Final = 100


class GroupBody(msgspec.Struct, kw_only=True):
    """The body that creates or limits an order group."""

    contracts_limit: int | None = None
    contracts_limit_fp: str | None = None
    subaccount: int | None = None
    exchange_index: int | None = None


class KeyBody(msgspec.Struct, kw_only=True):
    """The body that registers an API key."""

    name: str
    public_key: str
    scopes: list[str] | None = None
    subaccount: int | None = None


class GenerateBody(msgspec.Struct, kw_only=True):
    """The body that asks for a generated key pair."""

    name: str
    scopes: list[str] | None = None
    subaccount: int | None = None
    key_type: str | None = None


class TransferBody(msgspec.Struct, kw_only=True):
    """The body that moves money between shards; ``amount`` in centicents ($1 = 10,000)."""

    source: str
    destination: str
    amount: int
    source_exchange_shard: int = 0
    destination_exchange_shard: int = 0


def _limit_e2(body: GroupBody) -> int:
    if body.contracts_limit_fp is not None:
        try:
            return parse_qty_e2(body.contracts_limit_fp)
        except InvalidValue as error:
            raise invalid_parameter("contracts_limit_fp must be a count") from error
    if body.contracts_limit is None:
        raise invalid_parameter("contracts_limit or contracts_limit_fp is required")
    return body.contracts_limit * 100


def groups_list(call: Call) -> Json:
    """List order groups."""
    own = [one for one in call.state.groups.values() if one.account == call.account.account]
    return {"order_groups": [render.group(one) for one in own]}


def group_create(call: Call) -> Json:
    """Make an order group."""
    body = call.decoded(GroupBody)
    call.primary_only(body.subaccount or 0)
    shard = body.exchange_index or 0
    if shard not in SHARDS:
        raise invalid_parameter("exchange_index names no shard")
    made = groups.create(call.state, call.account, _limit_e2(body), shard)
    return {"order_group_id": made.group_id, "subaccount": 0, "exchange_index": shard}


def _group(call: Call) -> OrderGroup:
    call.primary_only()
    shard = call.number("exchange_index") or 0
    return groups.find(call.state, call.account, call.params["group_id"], shard)


def group_one(call: Call) -> Json:
    """Give one order group."""
    found = groups.find(call.state, call.account, call.params["group_id"], None)
    body = render.group(found)
    del body["id"]
    return body | {"orders": list(found.orders)}


def group_reset(call: Call) -> Json:
    """Let a triggered group trade again."""
    groups.reset(call.state, _group(call))
    return {}


def group_trigger(call: Call) -> Json:
    """Trigger a group by hand."""
    groups.trigger(call.state, _group(call))
    return {}


def group_limit(call: Call) -> Json:
    """Change a group's limit."""
    groups.set_limit(call.state, _group(call), _limit_e2(call.decoded(GroupBody)))
    return {}


def group_delete(call: Call) -> Json:
    """Remove a group."""
    groups.delete(call.state, _group(call))
    return {}


def _scopes(wanted: list[str] | None) -> tuple[str, ...]:
    scopes = tuple(wanted) if wanted else ("read", "write")
    if any(one not in SCOPES for one in scopes):
        raise invalid_parameter(f"scopes must be among {', '.join(SCOPES)}")
    if "write" in scopes and "read" not in scopes:
        raise invalid_parameter("scope write needs scope read")
    return scopes


def register_key(
    call: Call, account: str, name: str, public_pem: str, scopes: list[str] | None
) -> ApiKey:
    """Register a public key; the same key of the same account is registered once."""
    state = call.state
    load_public_key(public_pem)
    for known in state.keys.values():
        if known.account == account and known.public_pem == public_pem:
            return known
    number = state.next_number()
    key = ApiKey(
        key_id=state.new_id("key", number),
        account=account,
        name=name,
        public_pem=public_pem,
        scopes=_scopes(scopes),
        created_us=state.now_us,
    )
    state.keys[key.key_id] = key
    state.changes.keys[key.key_id] = key
    state.changes.is_urgent = True
    return key


def keys_list(call: Call) -> Json:
    """List the account's API keys."""
    own = [one for one in call.state.keys.values() if one.account == call.account.account]
    return {
        "api_keys": [
            {"api_key_id": one.key_id, "name": one.name, "scopes": list(one.scopes)} for one in own
        ]
    }


def key_create(call: Call) -> Json:
    """Register a key of the member's own."""
    body = call.decoded(KeyBody)
    call.primary_only(body.subaccount or 0)
    key = register_key(call, call.account.account, body.name, body.public_key, body.scopes)
    return {"api_key_id": key.key_id}


def key_generate(call: Call) -> Json:
    """Generate a key pair; its private half is in this answer only."""
    body = call.decoded(GenerateBody)
    call.primary_only(body.subaccount or 0)
    private_pem, public_pem = keys.generate(body.key_type or "rsa", call.exchange.fresh)
    key = register_key(call, call.account.account, body.name, public_pem, body.scopes)
    return {"api_key_id": key.key_id, "private_key": private_pem}


def key_delete(call: Call) -> None:
    """Remove a key."""
    key = call.state.keys.get(call.params["key_id"])
    if key is None or key.account != call.account.account:
        raise not_found("API key")
    del call.state.keys[key.key_id]
    call.state.changes.keys.pop(key.key_id, None)
    call.state.changes.removed_keys.add(key.key_id)
    call.state.changes.is_urgent = True


def account_limits(call: Call) -> Json:
    """Give the account's token buckets."""
    tier = call.account.tier
    read, write = limits.TIERS[tier]
    return {
        "usage_tier": tier.lower(),
        "read": {
            "refill_rate": read,
            "bucket_capacity": limits.capacity(tier, is_write=False),
        },
        "write": {
            "refill_rate": write,
            "bucket_capacity": limits.capacity(tier, is_write=True),
        },
        "grants": [],
    }


def transfer(call: Call) -> Json:
    """Move money between shards; at once here, up to an hour on the exchange."""
    body = call.decoded(TransferBody)
    source, destination = body.source_exchange_shard, body.destination_exchange_shard
    if source not in SHARDS or destination not in SHARDS or source == destination:
        raise invalid_parameter("name two different shards")
    if {body.source, body.destination} != {"event_contract"}:
        raise invalid_parameter("only event_contract balances exist here")
    amount_e6 = body.amount * _CENTICENT_E6
    if amount_e6 <= 0 or amount_e6 % call.state.config.balance_precision_e6:
        raise invalid_parameter("amount must be above 0 and in the account's balance precision")
    account, state = call.account, call.state
    if account.available_e6(source) < amount_e6:
        raise Refusal(400, "available_balance_too_low", f"not enough money on shard {source}")
    accounts.pay(state, account, source, -amount_e6)
    accounts.pay(state, account, destination, amount_e6)
    number = state.next_number()
    done = Transfer(
        transfer_id=state.new_id("transfer", number),
        number=number,
        account=account.account,
        source=source,
        destination=destination,
        amount_e6=amount_e6,
        at_us=state.now_us,
    )
    state.transfers_of.setdefault(account.account, []).append(done)
    state.changes.transfers.append(done)
    return {"transfer_id": done.transfer_id}


def _transfer_body(one: Transfer) -> Json:
    return {
        "transfer_id": one.transfer_id,
        "source": "event_contract",
        "destination": "event_contract",
        "source_exchange_shard": one.source,
        "destination_exchange_shard": one.destination,
        # Asked for in centicents, told in dollars: so the API declares it.
        "amount": wire.money(one.amount_e6),
        "status": "complete",
        "created_ts": wire.seconds(one.at_us),
    }


def transfers(call: Call) -> Json:
    """List transfers between shards, newest first."""
    own = call.state.transfers_of.get(call.account.account, [])
    shown, cursor = page(own, lambda one: one.number, call, (100, 500))
    return {"transfers": [_transfer_body(one) for one in shown], "cursor": cursor}


def transfer_one(call: Call) -> Json:
    """Give one transfer."""
    for one in call.state.transfers_of.get(call.account.account, []):
        if one.transfer_id == call.params["transfer_id"]:
            return {"transfer": _transfer_body(one)}
    raise not_found("transfer")


def subaccount_balances(call: Call) -> Json:
    """Give the balances of the primary subaccount, the only one here."""
    account = call.account
    return {
        "subaccount_balances": [
            {
                "subaccount_number": 0,
                "exchange_index": shard,
                "balance": wire.money(account.available_e6(shard)),
                "updated_ts": wire.seconds(account.updated_us),
            }
            for shard in sorted(account.cash_e6)
        ]
    }


def subaccount_create(_call: Call) -> Json:
    """Refuse further subaccounts."""
    raise Refusal(403, "forbidden", "further subaccounts do not exist on this exchange")


def subaccount_transfers(_call: Call) -> Json:
    """List transfers between subaccounts: there are none."""
    return {"transfers": [], "cursor": ""}


def subaccount_netting(_call: Call) -> Json:
    """Give the netting switch of the primary subaccount."""
    rows = [{"subaccount_number": 0, "enabled": True, "exchange_index": one} for one in SHARDS]
    return {"netting_configs": rows}
