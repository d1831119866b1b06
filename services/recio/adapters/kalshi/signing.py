"""Request signatures: timestamp in ms + METHOD + path without query; the body is not signed.

RSA-PSS (SHA-256, MGF1-SHA-256, salt of 32 bytes) and Ed25519; private keys as PEM in PKCS#1 or
PKCS#8. Keys and signatures never appear in a message. Source: Kalshi documentation, "API Keys".

A signature made ahead is as good as one made in line, because it covers no body: ``SignedAhead``
takes the 0.25 ms of an RSA signature out of the path of an order.
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from recio.domain.errors import Rejected
from recio.ports import Clock

SIGNATURE_MAX_AGE_US: Final = 2_000_000
"""The exchange accepts about five seconds of skew; two leave room for a slow network."""

REFRESH_US: Final = 200_000
MIN_RSA_BITS: Final = 2048

_PSS: Final = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
_SHA256: Final = hashes.SHA256()


class RequestSigner:
    """Signs requests of one API key.

    Args:
        key_id: The key's identifier at the exchange.
        pem: The private key, PEM.

    Raises:
        Rejected: the key does not parse, is encrypted, too short, or of another kind.
    """

    def __init__(self, key_id: str, pem: str | bytes) -> None:
        if not key_id or not key_id.isascii() or any(c.isspace() for c in key_id):
            raise Rejected(
                "expected the id of an API key (letters, digits, hyphens), received none"
            )
        self.key_id = key_id
        self._sign = _signing_function(_load(pem))

    def headers(self, method: str, target: str, wall_us: int) -> dict[str, str]:
        """Return the three headers that sign ``method`` and ``target`` (its query is left out)."""
        stamp = str(wall_us // 1000)
        path = target.partition("?")[0]
        signature = self._sign(f"{stamp}{method}{path}".encode())
        return {
            "KALSHI-ACCESS-KEY": self.key_id,
            "KALSHI-ACCESS-TIMESTAMP": stamp,
            "KALSHI-ACCESS-SIGNATURE": b64encode(signature).decode("ascii"),
        }


class SignedAhead:
    """Holds fresh headers for one method and path; each is used once.

    Until ``refresh`` is called it holds none and signs in line.
    ``depth`` is how many are held: a burst of that many orders pays for no signature.
    """

    def __init__(
        self, signer: RequestSigner, clock: Clock, method: str, path: str, *, depth: int = 2
    ) -> None:
        self._signer = signer
        self._clock = clock
        self._method = method
        self._path = path
        self._depth = depth
        self._held: deque[tuple[int, dict[str, str]]] = deque()
        self.used_ahead = 0
        self.signed_in_line = 0

    def take(self) -> tuple[int, dict[str, str]]:
        """Return (wall time of the signature, headers): the freshest held, else one made now."""
        now = self._clock.wall_us()
        if self._held:
            signed_at_us, headers = self._held.pop()
            if 0 <= now - signed_at_us <= SIGNATURE_MAX_AGE_US:
                self.used_ahead += 1
                return signed_at_us, headers
            self._held.clear()  # The others are older still (or the wall clock jumped).
        self.signed_in_line += 1
        return now, self._signer.headers(self._method, self._path, now)

    def refresh(self) -> None:
        """Sign until ``depth`` headers are held, none older than ``REFRESH_US``."""
        now = self._clock.wall_us()
        while self._held and not 0 <= now - self._held[0][0] < REFRESH_US:
            self._held.popleft()
        while len(self._held) < self._depth:
            self._held.append((now, self._signer.headers(self._method, self._path, now)))


_PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def _load(pem: str | bytes) -> _PrivateKey:
    data = pem.encode() if isinstance(pem, str) else pem
    if b"-----BEGIN" not in data:
        raise Rejected(
            "expected a private key in PEM form (it starts with -----BEGIN); give the file's content"
        )
    try:
        key = serialization.load_pem_private_key(data.strip() + b"\n", password=None)
    except TypeError as error:
        raise Rejected(
            "the private key is encrypted; write it without a passphrase: "
            "openssl pkey -in key.pem -out plain.pem"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        hint = "; its line breaks are the two characters \\n" if b"\\n" in data else ""
        raise Rejected(f"the private key does not parse as PKCS#1 or PKCS#8{hint}") from error
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Rejected(f"expected an RSA or Ed25519 private key, received {type(key).__name__}")
    if key.key_size < MIN_RSA_BITS:
        raise Rejected(
            f"expected an RSA key of {MIN_RSA_BITS} bits or more, received {key.key_size}"
        )
    return key


def _signing_function(key: _PrivateKey) -> Callable[[bytes], bytes]:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign
    return lambda text: key.sign(text, _PSS, _SHA256)
