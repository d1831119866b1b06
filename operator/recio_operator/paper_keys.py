"""Keys of paper accounts: made here, told to the exchange simulator, kept in a Secret.

The simulator is asked who it knows; whoever is missing there (its database was made anew) is told
again. Telling is idempotent: the exchange knows a public key once and an account keeps its money.
If the simulator gives an old key a new id, the Secret follows and the pods with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from recio.adapters.transport.client import HttpClient
from recio.domain.errors import RecioError, Rejected, Unavailable
from recio.ports import HttpTransport
from recio.runtime.local import keys
from recio_operator.kube import SECRETS, Kube
from recio_operator.release import Environment, Exchange
from recio_operator.secrets_io import KEY_ID, PRIVATE_KEY, TOKEN, opaque, value_of

Object = dict[str, Any]

ACCOUNTS_TIMEOUT_S: Final = 5.0
_OK: Final = 200

_log = logging.getLogger("recio.operator.paper_keys")


class _Accounts(msgspec.Struct):
    accounts: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Door:
    """The admin API of one simulator."""

    exchange: Exchange
    http: HttpTransport


class PaperKeys:
    """Makes and registers the keys of the paper environments of a release."""

    def __init__(
        self, kube: Kube, *, transport: Callable[[str], HttpTransport] = HttpClient
    ) -> None:
        self._kube = kube
        self._transport = transport
        self._doors: dict[str, _Door] = {}

    async def ensure(
        self, environment: Environment, owner: str, dollars: int, secret: Object
    ) -> Object:
        """Have the exchange know the key of ``secret`` (an empty one gets a new key); return it.

        The Secret is written only if something in it is new.

        Raises:
            Unavailable: the exchange or the API server does not answer.
            Rejected: one of them refuses; the message says why.
        """
        door = self._door(environment)
        held = await self._kube.get(SECRETS, secret["metadata"]["name"])
        private = _private(held)
        private, public = keys.key_pair(private)
        key_id = await keys.register(
            door.http, owner, dollars, public, name="recio", token=await self._token(door.exchange)
        )
        if held is None or not _says(held, key_id, private):
            wanted = opaque(
                secret["metadata"]["name"],
                {KEY_ID: key_id, PRIVATE_KEY: private},
                labels=secret["metadata"]["labels"],
            )
            wanted["metadata"] |= secret["metadata"]
            held = await self._kube.apply(wanted)
        return held

    async def known(self, environment: Environment) -> frozenset[str]:
        """Return the accounts that the exchange knows.

        Raises:
            Unavailable: it does not answer.
        """
        door = self._door(environment)
        token = await self._token(door.exchange)
        reply = await door.http.request(
            "GET",
            "/admin/accounts",
            {"Authorization": f"Bearer {token}"},
            timeout_s=ACCOUNTS_TIMEOUT_S,
        )
        if reply.status != _OK:
            raise Unavailable(
                f"the exchange simulator of {environment.name} answers {reply.status} to its admin "
                f"token in Secret {door.exchange.admin_secret}"
            )
        return _accounts_in(reply.body, environment.name)

    def _door(self, environment: Environment) -> _Door:
        exchange = environment.exchange
        if exchange is None:
            raise Rejected(f"environment {environment.name} has no exchange simulator")
        door = self._doors.get(environment.name)
        if door is None:
            door = _Door(exchange, self._transport(exchange.rest_url))
            self._doors[environment.name] = door
        return door

    async def _token(self, exchange: Exchange) -> str:
        secret = await self._kube.get(SECRETS, exchange.admin_secret)
        if secret is None:
            raise Unavailable(
                f"expected Secret {exchange.admin_secret} with the exchange's admin token, as the "
                "release's preparing Job makes it"
            )
        return value_of(secret, TOKEN).decode().strip()

    async def close(self) -> None:
        """Close the connections."""
        for door in self._doors.values():
            await door.http.close()


def _private(held: Object | None) -> bytes | None:
    """Return the private key of a Secret, None if it holds none that parses."""
    if held is None:
        return None
    try:
        pem = value_of(held, PRIVATE_KEY)
        keys.key_pair(pem)
    except RecioError as error:
        _log.warning("a new key is made: %s", error)
        return None
    return pem


def _says(held: Object, key_id: str, private: bytes) -> bool:
    try:
        return value_of(held, KEY_ID) == key_id.encode() and value_of(held, PRIVATE_KEY) == private
    except Rejected:
        return False


def _accounts_in(body: bytes, environment: str) -> frozenset[str]:
    try:
        return msgspec.json.decode(body, type=_Accounts).accounts
    except (ValueError, RecursionError) as error:
        raise Unavailable(
            f"the exchange simulator of {environment} does not list its accounts: {error}"
        ) from error
