"""Paper keys: made here, registered at the exchange simulator, kept in the state directory.

Registering is repeated at each start: the exchange knows a public key once, keeps an account's
money, and a state directory whose database was replaced gets its keys known again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from recio.domain.errors import Broken, Rejected, Unavailable
from recio.ports import HttpTransport
from recio.runtime import credentials
from recio.runtime.credentials import MARKET, Credentials

REGISTER_TIMEOUT_S: Final = 10.0
_CREATED: Final = frozenset({200, 201})


class _Registered(msgspec.Struct):
    api_key_id: str


async def ensure_keys(
    http: HttpTransport, directory: Path, balances: Mapping[str, int], *, has_reader: bool = True
) -> list[str]:
    """Give every account, and the market reader unless it reads elsewhere, a key that is known.

    Args:
        http: to the exchange simulator.
        directory: where ``runtime.credentials`` finds keys.
        balances: opening cash in dollars by account.
        has_reader: whether markets are read at this exchange too.

    Returns:
        The owners whose key is new.
    """
    owners = {MARKET: 0, **balances} if has_reader else balances
    made = [owner for owner in owners if not credentials.has(directory, owner)]
    for owner, dollars in owners.items():
        await _ensure_key(http, directory, owner, dollars)
    return made


async def ensure_read_key(http: HttpTransport, directory: Path) -> None:
    """Give the market reader a key that the exchange knows and that can read only."""
    await _ensure_key(http, directory, MARKET, 0, scopes=("read",))


async def _ensure_key(
    http: HttpTransport,
    directory: Path,
    owner: str,
    dollars: int,
    *,
    scopes: Sequence[str] | None = None,
) -> None:
    private, public = _key_pair(directory, owner)
    key_id = await register(http, owner, dollars, public, name="recio up", scopes=scopes)
    credentials.write(directory, owner, Credentials(key_id, private))


def _key_pair(directory: Path, owner: str) -> tuple[bytes, str]:
    if not credentials.has(directory, owner):
        return key_pair(None)
    try:
        return key_pair(credentials.read(str(directory), owner).private_key)
    except Rejected as error:
        raise Broken(
            f"the key in {directory / owner} does not parse: remove that directory, a new key "
            "is made at the next start"
        ) from error


def key_pair(private: bytes | None) -> tuple[bytes, str]:
    """Return a private key (a new one without ``private``) and its public half, both as PEM.

    Raises:
        Rejected: ``private`` is not a private key in PEM.
    """
    if private is None:
        new = Ed25519PrivateKey.generate()
        private = new.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        public = load_pem_private_key(private, None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Rejected("expected a private key in PEM without a passphrase") from error
    return private, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


async def register(
    http: HttpTransport,
    owner: str,
    dollars: int,
    public: str,
    *,
    name: str,
    token: str = "",
    scopes: Sequence[str] | None = None,
) -> str:
    """Make the exchange simulator know a public key; return the key's id there.

    Doing it again changes nothing. ``token`` is for an exchange that other machines reach; without
    ``scopes`` the key may do everything.

    Raises:
        Unavailable: the exchange does not answer, or did not take the key.
    """
    body = msgspec.json.encode(
        {
            "account": owner,
            "initial_balance_dollars": dollars,
            "public_key_pem": public,
            "name": name,
            "scopes": scopes,
        }
    )
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    reply = await http.request(
        "POST", "/admin/accounts", headers, body, timeout_s=REGISTER_TIMEOUT_S
    )
    if reply.status not in _CREATED:
        raise Unavailable(
            f"the exchange simulator did not take the key of {owner}: {reply.status} "
            f"{reply.body[:200].decode(errors='replace')}"
        )
    return msgspec.json.decode(reply.body, type=_Registered).api_key_id
