"""Commands in a container find their login and its password by themselves."""

import psycopg
import pytest

from recio.cli_login import direct_address, logged_in
from recio.runtime.settings import SettingsInvalid

ADDRESS = "postgresql://db:5432/recio?sslmode=require"


def parts(address):
    """Return an address in its parts."""
    return psycopg.conninfo.conninfo_to_dict(address)


@pytest.fixture
def directory(tmp_path):
    """A directory with the password of one login."""
    (tmp_path / "recio_main_app").write_text("secret\n")
    return tmp_path


def test_the_only_file_is_the_login(directory):
    """A service's container mounts its own password and no other."""
    told = parts(logged_in(ADDRESS, {"RECIO_DATABASE_PASSWORDS_DIR": str(directory)}))
    assert (told["user"], told["password"]) == ("recio_main_app", "secret")
    assert (told["host"], told["sslmode"]) == ("db", "require")


def test_an_accounts_login_follows_from_the_account(directory):
    """Of several accounts the first one asks."""
    (directory / "recio_account_alpha").write_text("other")
    values = {"RECIO_DATABASE_PASSWORDS_DIR": str(directory), "RECIO_ACCOUNTS": "alpha, beta"}
    told = parts(logged_in(ADDRESS, values))
    assert (told["user"], told["password"]) == ("recio_account_alpha", "other")


def test_what_an_address_says_stays(directory):
    """Who names a login and a password means them."""
    values = {"RECIO_DATABASE_PASSWORDS_DIR": str(directory)}
    told = parts(logged_in("postgresql://me:mine@db/recio", values))
    assert (told["user"], told["password"]) == ("me", "mine")


def test_a_login_that_nothing_tells_is_asked_for(directory):
    """Guessing among several would ask under a stranger's name."""
    (directory / "recio_operator").write_text("other")
    with pytest.raises(SettingsInvalid, match="received 2"):
        logged_in(ADDRESS, {"RECIO_DATABASE_PASSWORDS_DIR": str(directory)})


def test_the_server_is_asked_rather_than_its_pooler():
    """Commands send options that a pooler would refuse."""
    values = {"RECIO_DATABASE_URL": "postgresql://pooler/recio"}
    assert direct_address(values) == "postgresql://pooler/recio"
    assert direct_address(values | {"RECIO_DATABASE_LISTEN_URL": ADDRESS}) == ADDRESS
    assert direct_address({}) == ""
