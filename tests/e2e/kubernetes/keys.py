"""API keys as an exchange would hand them out, for accounts that never reach one."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from recio.runtime.ids import SystemIds


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key's id and its private half."""

    key_id: str
    pem: str


def fresh_key() -> ApiKey:
    """Return a key that nobody has."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return ApiKey(str(SystemIds().fresh()), pem.decode())
