"""Request signatures and those made ahead."""

from __future__ import annotations

from base64 import b64decode

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from tests.unit.adapters.clock import START_US, HandClock
from tests.unit.adapters.keys import ed25519_key, pkcs1, pkcs8, rsa_key

from recio.adapters.kalshi.signing import RequestSigner, SignedAhead
from recio.domain.errors import Rejected

PATH = "/trade-api/v2/portfolio/events/orders"
PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)


def verify_rsa(headers, text):
    """Check a signature as the exchange does: the salt has the digest's length."""
    signature = b64decode(headers["KALSHI-ACCESS-SIGNATURE"])
    rsa_key().public_key().verify(signature, text.encode(), PSS, hashes.SHA256())


@pytest.mark.parametrize("pem", [pkcs1(rsa_key()), pkcs8(rsa_key()), pkcs8(rsa_key()).encode()])
def test_rsa_signs_time_method_and_path_without_query(pem):
    """The query is not signed, the time is in milliseconds, both PEM forms load."""
    headers = RequestSigner("key-1", pem).headers("GET", f"{PATH}?limit=5", START_US + 999)
    assert headers["KALSHI-ACCESS-KEY"] == "key-1"
    assert headers["KALSHI-ACCESS-TIMESTAMP"] == "1780000000000"
    verify_rsa(headers, f"1780000000000GET{PATH}")
    with pytest.raises(InvalidSignature):
        verify_rsa(headers, f"1780000000000POST{PATH}")


def test_ed25519_signs_the_same_text():
    """The key's kind chooses the algorithm."""
    headers = RequestSigner("k", pkcs8(ed25519_key())).headers("DELETE", PATH, START_US)
    signature = b64decode(headers["KALSHI-ACCESS-SIGNATURE"])
    assert len(signature) == 64
    ed25519_key().public_key().verify(signature, f"1780000000000DELETE{PATH}".encode())


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        ("", "PEM form"),
        ("/etc/recio/key.pem", "PEM form"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "does not parse"),
        (pkcs8(rsa_key()).replace("\n", "\\n"), "line breaks"),
        (pkcs8(rsa_key(), serialization.BestAvailableEncryption(b"x")), "passphrase"),
        (pkcs8(ec.generate_private_key(ec.SECP256R1())), "RSA or Ed25519"),
        (pkcs8(rsa_key(1024)), "2048 bits"),
    ],
)
def test_a_key_that_cannot_sign_is_told_apart(pem, words):
    """Each kind of wrong key has its own words, and none of them shows the key."""
    with pytest.raises(Rejected, match=words) as caught:
        RequestSigner("key", pem)
    assert "BEGIN PRIVATE" not in str(caught.value)


@pytest.mark.parametrize("key_id", ["", "a b", "kéy", "a\n"])
def test_a_key_id_that_is_no_header_value_is_refused(key_id):
    """It goes into a header as it is."""
    with pytest.raises(Rejected, match="id of an API key"):
        RequestSigner(key_id, pkcs8(ed25519_key()))


class Ahead:
    """A pool over an RSA key with its clock."""

    def __init__(self, depth=2):
        self.clock = HandClock()
        signer = RequestSigner("key", pkcs8(rsa_key()))
        self.pool = SignedAhead(signer, self.clock, "POST", PATH, depth=depth)


def test_headers_made_ahead_are_used_once():
    """Two of the same signature would be a replay."""
    ahead = Ahead()
    ahead.pool.refresh()
    taken = [ahead.pool.take()[1]["KALSHI-ACCESS-SIGNATURE"] for _ in range(4)]
    assert len(set(taken)) == 4
    assert (ahead.pool.used_ahead, ahead.pool.signed_in_line) == (2, 2)


def test_headers_older_than_two_seconds_are_not_used():
    """The exchange accepts about five seconds of skew."""
    ahead = Ahead()
    ahead.pool.refresh()
    ahead.clock.now_us += 2_000_001
    signed_at_us, headers = ahead.pool.take()
    assert signed_at_us == ahead.clock.now_us
    assert headers["KALSHI-ACCESS-TIMESTAMP"] == str(ahead.clock.now_us // 1000)
    assert ahead.pool.used_ahead == 0


def test_a_wall_clock_set_back_makes_them_unusable():
    """A signature of the future is refused by the exchange."""
    ahead = Ahead()
    ahead.pool.refresh()
    ahead.clock.now_us -= 60_000_000
    assert ahead.pool.take()[0] == ahead.clock.now_us


def test_refresh_replaces_what_has_aged_and_keeps_the_rest():
    """Every 200 ms; a refresh in between signs only what was used."""
    ahead = Ahead(depth=1)
    ahead.pool.refresh()
    ahead.clock.now_us += 199_999
    ahead.pool.refresh()
    ahead.clock.now_us += 1
    ahead.pool.refresh()
    signed_at_us, headers = ahead.pool.take()
    assert signed_at_us == START_US + 200_000
    verify_rsa(headers, f"{signed_at_us // 1000}POST{PATH}")
