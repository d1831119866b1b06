"""Private keys for tests, made once."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

_PEM = serialization.Encoding.PEM
_PLAIN = serialization.NoEncryption()


@cache
def rsa_key(bits=2048):
    """Return the RSA key of that length."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ed25519_key():
    """Return the Ed25519 key."""
    return ed25519.Ed25519PrivateKey.generate()


def pkcs1(key):
    """Return the key as the exchange hands it out."""
    return key.private_bytes(_PEM, serialization.PrivateFormat.TraditionalOpenSSL, _PLAIN).decode()


def pkcs8(key, encryption=_PLAIN):
    """Return the key in the general form."""
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, encryption).decode()
