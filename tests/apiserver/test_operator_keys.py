"""API keys that a person brings: told what is wrong, mended by mending the Secret, never shared."""

import asyncio

from tests.apiserver.operator_world import demo, new_pem, secret_of, until

from recio_operator.names import CREDENTIALS_CHECKSUM


def test_a_secret_that_is_missing_or_wrong_is_told_of_until_it_is_right(run):
    """Missing, without its keys, with a broken PEM: each says so; the right one starts the account."""

    async def check(made):
        await made.start_operator()
        made.objects.create(demo("one", "kalshi")).expect()
        told = await made.says("one", "CredentialsValid", "False", reason="SecretNotFound")
        assert "kubectl" in told["message"]
        made.objects.create(secret_of("kalshi", wrong="x")).expect()
        told = await made.says("one", "CredentialsValid", "False", reason="KeyMissing")
        assert "private-key" in told["message"]
        wrong = secret_of("kalshi", key_id="abc", private_key="not a key")
        made.objects.merge("Secret", "kalshi", {"stringData": wrong["stringData"]}).expect()
        told = await made.says("one", "CredentialsValid", "False", reason="KeyBroken")
        assert "not a key" not in told["message"]
        assert made.list("Deployment") == []
        right = {"stringData": {"private-key": new_pem()}}
        made.objects.merge("Secret", "kalshi", right).expect()
        await made.exists("Deployment", "ta-one-compact")

    run(check)


def test_two_accounts_with_one_key_are_refused_until_the_first_leaves(run):
    """One key, one account: whoever claimed it first keeps it; the other is told by whom."""

    async def check(made):
        await made.start_operator()
        pem = new_pem()
        made.objects.create(secret_of("first", key_id="shared", private_key=pem)).expect()
        made.objects.create(secret_of("second", key_id="shared", private_key=pem)).expect()
        made.objects.create(demo("one", "first")).expect()
        await made.exists("Deployment", "ta-one-compact")
        made.objects.create(demo("two", "second")).expect()
        told = await made.says("two", "CredentialsValid", "False", reason="KeyInUse")
        assert "one" in told["message"]
        assert made.get("Deployment", "ta-two-compact") is None
        made.delete("TradingAccount", "one")
        await made.is_gone("TradingAccount", "one")
        await made.exists("Deployment", "ta-two-compact")

    run(check)


def test_two_accounts_with_one_key_at_the_same_moment_give_one_trader(run):
    """The claim in the database decides, whoever looks first."""

    async def check(made):
        pem = new_pem()
        names = [f"a{number}" for number in range(6)]
        made.objects.create(secret_of("kalshi", key_id="shared", private_key=pem)).expect()
        for name in names:
            made.objects.create(demo(name, "kalshi")).expect()
        await made.start_operator()
        await made.start_operator()
        await until(lambda: made.list("Deployment"), what="one trader")
        for _ in range(20):
            await asyncio.sleep(0.1)
            assert len(made.list("Deployment")) == 1
        [(holder,)] = made.ask("SELECT account FROM trading.account_keys")
        for name in set(names) - {holder}:
            await made.says(name, "CredentialsValid", "False", reason="KeyInUse")

    run(check)


def test_a_changed_secret_rotates_the_key(run):
    """The pods follow the Secret by its digest; the new key is claimed, the old one is free."""

    async def check(made):
        await made.start_operator()
        secret = secret_of("kalshi", key_id="old", private_key=new_pem())
        made.objects.create(secret).expect()
        made.objects.create(demo("one", "kalshi")).expect()
        await made.become_ready("ta-one-compact")
        await made.says("one", "CredentialsValid", "True")
        before = checksum(made)
        [(claimed,)] = made.ask("SELECT key_sha256 FROM trading.account_keys")
        values = secret_of("kalshi", key_id="new", private_key=new_pem())["stringData"]
        made.objects.merge("Secret", "kalshi", {"stringData": values}).expect()
        await until(lambda: checksum(made) != before, what="the pods get the new key")
        assert made.ask("SELECT key_sha256 FROM trading.account_keys") != [(claimed,)]
        await made.become_ready("ta-one-compact")
        await made.says("one", "CredentialsValid", "True")

    run(check)


def checksum(made):
    """Return what the account's pods know of their key."""
    template = made.get("Deployment", "ta-one-compact")["spec"]["template"]
    return template["metadata"]["annotations"][CREDENTIALS_CHECKSUM]


def test_a_deleted_key_of_a_paper_account_is_made_anew(run):
    """Nobody has to care for paper keys: a new one is made and told to the exchange."""

    async def check(made):
        await made.start_operator()
        made.objects.create(demo("paper-one", "x") | {"spec": {"topology": "Compact"}}).expect()
        await made.exists("Deployment", "ta-paper-one-compact")
        before = made.get("Secret", "ta-paper-one-exchange-key")["data"]["private-key"]
        made.delete("Secret", "ta-paper-one-exchange-key")
        await until(
            lambda: (
                (made.get("Secret", "ta-paper-one-exchange-key") or {"data": {}})["data"].get(
                    "private-key", before
                )
                != before
            ),
            what="a new key",
        )

    run(check)
