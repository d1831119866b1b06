"""The admin API: makes accounts and keys, and tells the truth about an account.

It answers loopback, and anybody else only who shows the token that the exchange was given
(``Authorization: Bearer``); without one, loopback alone.

``POST /admin/accounts`` {account, initial_balance_dollars, public_key_pem?, key_type?} is idempotent:
an account that exists keeps its money; a given public key is registered once. Without a public key
a pair is generated (``key_type`` ed25519 or rsa) and its private half is in this one answer only.
``GET /admin/accounts/{account}`` gives exact integers in the product's units, for tests and for the
equality check of the ledger.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from ipaddress import ip_address

import msgspec

from recio.domain.errors import InvalidValue
from recio.domain.units import parse_usd_e6
from recio.exchange_simulator.api import account_routes, keys
from recio.exchange_simulator.api.call import Call, Json
from recio.exchange_simulator.api.messages import Request
from recio.exchange_simulator.core import accounts
from recio.exchange_simulator.core.records import Account
from recio.exchange_simulator.core.refusals import Refusal, invalid_parameter
from recio.exchange_simulator.specs import CRYPTO_SHARD

MOST_DOLLARS_E6 = 1_000_000 * 1_000_000


class AccountBody(msgspec.Struct, kw_only=True):
    """The body that makes an account; ``scopes`` None: the key may do everything."""

    account: str
    initial_balance_dollars: str | int
    public_key_pem: str | None = None
    key_type: str = "ed25519"
    name: str = "admin"
    scopes: list[str] | None = None


Token = Callable[[], str]
"""Returns the token of the admin API as it is now."""


def require_loopback(peer: str) -> None:
    """Refuse everybody but this machine ("" is this very process).

    Raises:
        Refusal: 403.
    """
    if not _is_loopback(peer):
        raise Refusal(403, "forbidden", "the admin API answers loopback only")


def require_admin(request: Request, token: Token | None) -> None:
    """Refuse who is neither on this machine nor shows the token.

    Raises:
        Refusal: 403 where there is no token at all, 401 for a missing or a wrong one.
    """
    if token is None:
        require_loopback(request.peer)
    elif not _is_loopback(request.peer):
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        expected = token().encode()
        is_right = hmac.compare_digest(shown.strip().encode(), expected)
        if scheme.lower() != "bearer" or not expected or not is_right:
            raise Refusal(401, "unauthorized", "the admin API expects its bearer token")


def _is_loopback(peer: str) -> bool:
    return not peer or ip_address(peer.partition("%")[0]).is_loopback


def create_account(call: Call) -> Json:
    """Make an account with opening cash on the crypto shard, and a key."""
    body = call.decoded(AccountBody)
    account = accounts.open_account(
        call.state, _name(body), _opening_e6(body), CRYPTO_SHARD, call.state.now_us
    )
    private_pem, public_pem = "", body.public_key_pem
    if public_pem is None:
        private_pem, public_pem = keys.generate(body.key_type, call.exchange.fresh)
    key = account_routes.register_key(call, account.account, body.name, public_pem, body.scopes)
    return {
        "account": account.account,
        "user_id": account.user_id,
        "api_key_id": key.key_id,
        "private_key": private_pem or None,
        "opening_usd_e6": account.opening_e6,
    }


def _name(body: AccountBody) -> str:
    if not 1 <= len(body.account) <= 253:
        raise invalid_parameter("account must have 1 to 253 characters")
    return body.account


def _opening_e6(body: AccountBody) -> int:
    try:
        opening = parse_usd_e6(str(body.initial_balance_dollars))
    except InvalidValue as error:
        raise invalid_parameter("initial_balance_dollars must be dollars") from error
    if not 0 <= opening <= MOST_DOLLARS_E6 or opening % 10_000:
        raise invalid_parameter("initial_balance_dollars must be whole cents, 0 to 1,000,000")
    return opening


def account_list(call: Call) -> Json:
    """Name all accounts."""
    return {"accounts": sorted(call.state.accounts)}


def account_truth(call: Call) -> Json:
    """Tell everything about an account as exact integers."""
    name = call.params["account"]
    account = call.state.account(name)
    state = call.state
    return {
        "account": name,
        "as_of_us": state.now_us,
        "opening_usd_e6": account.opening_e6,
        "cash_usd_e6": sum(account.cash_e6.values()),
        "held_usd_e6": sum(account.held_e6.values()),
        "shards": _shards(account),
        "positions": [_plain(one) for key, one in state.positions.items() if key[0] == name],
        "orders": [_plain(one) for one in state.orders_of.get(name, [])],
        "fills": [_plain(one) for one in state.fills_of.get(name, [])],
        "settlements": [_plain(one) for one in state.settlements_of.get(name, [])],
    }


def _shards(account: Account) -> list[Json]:
    return [
        {
            "exchange_index": shard,
            "cash_usd_e6": cash,
            "held_usd_e6": account.held_e6.get(shard, 0),
        }
        for shard, cash in sorted(account.cash_e6.items())
    ]


def _plain(record: object) -> Json:
    return msgspec.to_builtins(record)  # type: ignore[no-any-return]
