"""Key pairs that the exchange generates for members. Only the public half is kept."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from recio.exchange_simulator.core.refusals import invalid_parameter


def generate(kind: str, fresh: Callable[[], UUID]) -> tuple[str, str]:
    """Return (private PEM, public PEM) of a new key.

    RSA keys come as PKCS#1 and Ed25519 keys as PKCS#8, as the exchange hands them out. Ed25519
    keys take their secret from ``fresh`` identifiers.

    Raises:
        Refusal: the kind is neither rsa nor ed25519.
    """
    if kind == "rsa":
        return _pems(generate_private_key(65_537, 2048), PrivateFormat.TraditionalOpenSSL)
    if kind == "ed25519":
        secret = sha256(b"".join(fresh().bytes for _ in range(4))).digest()
        return _pems(Ed25519PrivateKey.from_private_bytes(secret), PrivateFormat.PKCS8)
    raise invalid_parameter("key_type must be rsa or ed25519")


def _pems(key: RSAPrivateKey | Ed25519PrivateKey, form: PrivateFormat) -> tuple[str, str]:
    private = key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private, public.decode()
