"""SCRAM-SHA-256 verifiers, made here, so that no password is ever sent to a server or its log.

The text is what PostgreSQL stores (RFC 5803; PostgreSQL documentation, "pg_authid", read November
2026). The salt follows from login and password through the same slow derivation: the same password
gives the same verifier, so that giving it again changes nothing, not even for a pooler that has kept
the old one. Refused: what is not printable ASCII, which would have to be normalised first (RFC 4013).
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from hashlib import pbkdf2_hmac, sha256
from typing import Final

from recio.domain.errors import InvalidValue

ITERATIONS: Final = 4096
"""PostgreSQL's own; passwords here are random and long, and nobody guesses those."""
_SALT_BYTES: Final = 16


def verifier(login: str, password: str) -> str:
    """Return what the server stores for a login's password.

    Raises:
        InvalidValue: the password is empty or holds what is not printable ASCII.
    """
    if not password or not password.isascii() or not password.isprintable():
        raise InvalidValue(f"expected a password of printable ASCII characters for {login}")
    salt = _slow(password, f"recio {login}".encode())[:_SALT_BYTES]
    salted = _slow(password, salt)
    stored = sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${ITERATIONS}:{_text(salt)}${_text(stored)}:{_text(server)}"


def _slow(password: str, salt: bytes) -> bytes:
    return pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)


def _text(data: bytes) -> str:
    return b64encode(data).decode()
