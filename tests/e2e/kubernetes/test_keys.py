"""API keys in Secrets: missing, incomplete, broken, somebody else's; told, and taken up when mended.

The accounts are of mode demo: nothing of them reaches an exchange here, so a good key stays
"not verified".
"""

from __future__ import annotations

import base64
import contextlib

import pytest
from tests.e2e.kubernetes import accounts
from tests.e2e.kubernetes.keys import fresh_key

DEMO = {"mode": "demo", "credentialsSecretRef": {"name": "e2e-key"}}
MARKET = "e2e-market"


@pytest.fixture(scope="module", autouse=True)
def demo_environment(system):
    """The release with a market plane for demo accounts, which reaches nobody."""
    with secret(system, pair(fresh_key()), MARKET):
        demo = {"enabled": True, "marketCredentials": {"existingSecret": MARKET}}
        system.release.upgrade(environments={"demo": demo})
        yield
        system.release.upgrade()
        system.until_all_ready()


def test_a_missing_secret_is_named_and_found_later(system, new_account):
    """CredentialsValid says what is missing at each step, and how to mend it."""
    trader = new_account("keyless", **accounts.merged(DEMO, {"risk": {"maxOpenTrades": 1}}))
    said = trader.until_condition("CredentialsValid", "False", "SecretNotFound")
    assert "e2e-key" in said["message"]
    assert not accounts.pods(system.kubectl, trader.name)
    with secret(system, {"key-id": "x"}):
        said = trader.until_condition("CredentialsValid", "False", "KeyMissing")
        assert "private-key" in said["message"]
    with secret(system, {"key-id": "x", "private-key": "not a key"}):
        trader.until_condition("CredentialsValid", "False", "KeyBroken")
    with secret(system, pair(fresh_key())):
        trader.until_condition("CredentialsValid", "Unknown", "NotVerified")


def test_two_accounts_with_one_key_are_refused(system, new_account):
    """The second one gets no workload and says whose key it is not; it goes on when the key is free."""
    key = fresh_key()
    with secret(system, pair(key)):
        first = new_account("one-key", **DEMO)
        first.until_condition("CredentialsValid", "Unknown", "NotVerified")
        first.wait("its pod", lambda: accounts.pods(system.kubectl, first.name))
        second = new_account("one-key", **DEMO)
        second.until_condition("CredentialsValid", "False", "KeyInUse")
        assert not accounts.pods(system.kubectl, second.name)
        first.leave()
        second.until_condition("CredentialsValid", "Unknown", "NotVerified")


def pair(key):
    """Return a key as a Secret has it."""
    return {"key-id": key.key_id, "private-key": key.pem}


@contextlib.contextmanager
def secret(system, values, name="e2e-key"):
    """Keep a Secret with some values while a block runs."""
    data = {name: base64.b64encode(text.encode()).decode() for name, text in values.items()}
    head = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    system.kubectl.apply({**head, "data": data})
    try:
        yield
    finally:
        system.kubectl.delete("secret", name)
