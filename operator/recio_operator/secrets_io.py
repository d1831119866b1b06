"""Secrets: what may be known of them, and how ours are written.

``facts_of`` reads an API key out of a Secret, checks it as the signer of orders would, and keeps a
digest only. Nothing of a Secret's content is stored, logged, or told in a status or an Event. Refused:
missing keys, a PEM that does not parse or is of a kind that the exchange does not take.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from recio.adapters.kalshi.signing import RequestSigner
from recio.domain.errors import Rejected
from recio_operator.planning.observed import Key, KeyState

Object = dict[str, Any]

KEY_ID: Final = "key-id"
PRIVATE_KEY: Final = "private-key"
PASSWORD: Final = "password"  # noqa: S105 (a key's name, not a secret)
TOKEN: Final = "token"  # noqa: S105 (a key's name, not a secret)
_HELD_MOST: Final = 64_000


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """What we know of a Secret: its version, whose it is, its key."""

    version: int
    owner: str
    key: Key
    has_password: bool

    def says_the_same(self, other: SecretFacts) -> bool:
        """Whether nothing of it changed that concerns us."""
        return (self.owner, self.key, self.has_password) == (
            other.owner,
            other.key,
            other.has_password,
        )


def facts_of(secret: Object, *, owner: str, version: int) -> SecretFacts:
    """Return what is known of a Secret."""
    data = secret.get("data") or {}
    return SecretFacts(version, owner, key_of(secret), bool(data.get(PASSWORD)))


def key_of(secret: Object) -> Key:
    """Return the API key in a Secret as a digest, or what is wrong with it and how to mend it."""
    name = secret["metadata"]["name"]
    try:
        key_id, pem = value_of(secret, KEY_ID).decode().strip(), value_of(secret, PRIVATE_KEY)
    except (Rejected, UnicodeDecodeError):
        held = ", ".join(sorted(secret.get("data") or {})) or "none"
        return Key(
            state=KeyState.KEY_MISSING,
            secret=name,
            detail=f"expected the keys {KEY_ID} and {PRIVATE_KEY} in Secret {name}, received {held}",
        )
    try:
        RequestSigner(key_id, pem)
        public = load_pem_private_key(pem, None).public_key()
    except (Rejected, ValueError, TypeError) as error:
        return Key(
            state=KeyState.KEY_BROKEN,
            secret=name,
            detail=f"Secret {name}: {error if isinstance(error, Rejected) else _PEM_WANTED}",
        )
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.sha256(key_id.encode() + b"\n" + spki).hexdigest()
    return Key(
        state=KeyState.VALID,
        secret=name,
        digest=digest,
        id_digest=hashlib.sha256(key_id.encode()).hexdigest(),
    )


_PEM_WANTED: Final = f"expected a private key in PEM (RSA or Ed25519) under {PRIVATE_KEY}"


def value_of(secret: Object, key: str) -> bytes:
    """Return one value of a Secret.

    Raises:
        Rejected: it is missing, empty or not base64; the message names the Secret and the key.
    """
    name = secret["metadata"]["name"]
    try:
        value = b64decode((secret.get("data") or {}).get(key, ""), validate=True)
    except ValueError as error:
        raise Rejected(f"Secret {name}: key {key} is not base64") from error
    if not value.strip() or len(value) > _HELD_MOST:
        raise Rejected(f"expected a value under the key {key} of Secret {name}")
    return value


def opaque(
    name: str,
    values: Mapping[str, str | bytes],
    *,
    labels: Mapping[str, str],
    owner: Mapping[str, Any] | None = None,
) -> Object:
    """Return a Secret of ours, to be applied."""
    metadata: Object = {"name": name, "labels": dict(labels)}
    if owner is not None:
        metadata["ownerReferences"] = [dict(owner)]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": "Opaque",
        "data": {
            key: b64encode(value.encode() if isinstance(value, str) else value).decode()
            for key, value in values.items()
        },
    }


def owner_of(document: Object, *, is_controller: bool = True) -> Object:
    """Return the ownerReference to an object."""
    metadata = document["metadata"]
    return {
        "apiVersion": document["apiVersion"],
        "kind": document["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    } | ({"controller": True, "blockOwnerDeletion": True} if is_controller else {})
