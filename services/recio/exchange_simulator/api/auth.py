"""Request signatures: which member sends this, and is it really them, now.

Signed text: milliseconds, upper-case method, path from the root as received, without the query
(docs.kalshi.com, "API keys"). RSA keys sign with PSS, SHA-256, salt as long as the digest; Ed25519
keys sign the text itself. The time must be within five seconds of the wall clock.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from recio.exchange_simulator.api.messages import Request
from recio.exchange_simulator.core.records import ApiKey
from recio.exchange_simulator.core.refusals import Refusal, invalid_parameter
from recio.exchange_simulator.core.state import State

SKEW_MS: Final = 5_000
KEY_HEADER: Final = "kalshi-access-key"
TIME_HEADER: Final = "kalshi-access-timestamp"
SIGNATURE_HEADER: Final = "kalshi-access-signature"
_PSS: Final = PSS(MGF1(SHA256()), 32)

PublicKey = RSAPublicKey | Ed25519PublicKey


def load_public_key(pem: str) -> PublicKey:
    """Parse a public key.

    Raises:
        Refusal: not a PEM public key of a kind the exchange takes.
    """
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise invalid_parameter("public_key must be an RSA or Ed25519 key in PEM") from error
    if not isinstance(key, RSAPublicKey | Ed25519PublicKey):
        raise invalid_parameter("public_key must be an RSA or Ed25519 key")
    return key


@dataclass(slots=True)
class Verifier:
    """Verifies signatures; keeps parsed keys."""

    state: State
    parsed: dict[str, PublicKey] = field(default_factory=dict)

    def verify(self, request: Request, wall_us: int) -> ApiKey:
        """Return the key that signed a request.

        Raises:
            Refusal: 401, with the reason in ``details``.
        """
        headers = request.headers
        key = self.state.keys.get(headers.get(KEY_HEADER, ""))
        if key is None:
            raise _unauthorized("NOT_FOUND" if headers.get(KEY_HEADER) else "MISSING_HEADERS")
        stamp = headers.get(TIME_HEADER, "")
        if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 16:
            raise _unauthorized("INVALID_TIMESTAMP")
        if abs(int(stamp) - wall_us // 1000) > SKEW_MS:
            raise _unauthorized("TIMESTAMP_OUT_OF_RANGE")
        text = f"{stamp}{request.method.upper()}{request.path}".encode()
        self._check(key, headers.get(SIGNATURE_HEADER, ""), text)
        return key

    def _check(self, key: ApiKey, encoded: str, text: bytes) -> None:
        public = self.parsed.get(key.key_id)
        if public is None:
            public = self.parsed[key.key_id] = load_public_key(key.public_pem)
        try:
            signature = b64decode(encoded, validate=True)
            if isinstance(public, RSAPublicKey):
                public.verify(signature, text, _PSS, SHA256())
            else:
                public.verify(signature, text)
        except (InvalidSignature, binascii.Error, ValueError) as error:
            raise _unauthorized("INCORRECT_API_KEY_SIGNATURE") from error


def require_scope(key: ApiKey, scope: str) -> None:
    """Refuse what the key may not do. ``write`` holds every ``write::…``; so does ``read``.

    Raises:
        Refusal: 403.
    """
    broad = scope.partition("::")[0]
    if scope not in key.scopes and broad not in key.scopes:
        raise Refusal(403, "forbidden", f"the API key lacks the scope {scope}")


def _unauthorized(details: str) -> Refusal:
    return Refusal(401, "authentication_error", "authentication failed", details=details)
