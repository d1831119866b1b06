"""Settings: every mistake is named."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest

from recio.domain.account_config import Mode
from recio.runtime import settings
from recio.runtime.settings import Secret, SettingsInvalid, load, process_settings

NEEDED = {
    "RECIO_ENVIRONMENT": "paper",
    "RECIO_MODE": "paper",
    "RECIO_DATABASE_URL": "postgresql:///recio",
    "RECIO_REDIS_URL": "redis://localhost",
}


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """A service's settings."""

    pause_seconds: Annotated[int, msgspec.Meta(ge=1)]
    is_loud: bool = False
    names: tuple[str, ...] = ()
    token: Secret = Secret("")


def test_a_process_is_told_what_it_needs():
    """Texts become numbers, lists and choices."""
    made = process_settings(
        {**NEEDED, "RECIO_HTTP_PORT": "8080", "RECIO_ACCOUNTS": "a, b", "RECIO_SERIES": "KXBTC15M"}
    )
    assert (made.mode, made.http_port, made.series) == (Mode.PAPER, 8080, ("KXBTC15M",))
    assert made.hosted_accounts() == ("a", "b")


def test_every_problem_is_named_at_once():
    """Missing, misspelt and ill-formed variables are all in the message."""
    values = {
        "RECIO_ENVIROMENT": "paper",
        "RECIO_MODE": "papr",
        "RECIO_REDIS_URL": "redis://localhost",
        "RECIO_HTTP_PORT": "many",
    }
    with pytest.raises(SettingsInvalid) as caught:
        process_settings(values)
    message = str(caught.value)
    for part in (
        "RECIO_ENVIROMENT is unknown (is RECIO_ENVIRONMENT meant?)",
        "RECIO_ENVIRONMENT is missing",
        "RECIO_DATABASE_URL is missing",
        "RECIO_MODE: ",
        "'papr'",
        "RECIO_HTTP_PORT: ",
    ):
        assert part in message


def test_variables_of_services_are_left_to_them():
    """A process reads only its own."""
    values = {**NEEDED, "RECIO_TRADE_EXECUTOR_PAUSE_SECONDS": "1"}
    assert process_settings(values).environment == "paper"
    assert settings.service_values("trade_executor", values) == {
        "RECIO_TRADE_EXECUTOR_PAUSE_SECONDS": "1"
    }


def test_a_service_reads_its_own():
    """Defaults hold where nothing is set."""
    made = load(
        Own,
        "trade_executor",
        {
            "RECIO_TRADE_EXECUTOR_PAUSE_SECONDS": "3",
            "RECIO_TRADE_EXECUTOR_IS_LOUD": "true",
            "RECIO_TRADE_EXECUTOR_NAMES": "x,y",
        },
    )
    assert made == Own(pause_seconds=3, is_loud=True, names=("x", "y"))


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", ""])
def test_an_impossible_value_is_refused_by_name(value):
    """The message names the variable and what was received."""
    with pytest.raises(SettingsInvalid, match="RECIO_TRADE_EXECUTOR_PAUSE_SECONDS"):
        load(Own, "trade_executor", {"RECIO_TRADE_EXECUTOR_PAUSE_SECONDS": value})


def test_a_secret_is_never_shown():
    """Not when printed, not inside its struct, not in an error."""
    values = {
        "RECIO_TRADE_EXECUTOR_TOKEN": "hunter2",
        "RECIO_TRADE_EXECUTOR_PAUSE_SECONDS": "1",
    }
    made = load(Own, "trade_executor", values)
    assert made.token.reveal() == "hunter2"
    assert "hunter2" not in f"{made} {made!r} {made.token}"
    with pytest.raises(SettingsInvalid) as caught:
        load(Own, "trade_executor", {**values, "RECIO_TRADE_EXECUTOR_PAUSE_SECONDS": "x"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:secret@h/db", "postgresql://u:********@h/db"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("redis://localhost", "redis://localhost"),
        ("redis://:p@ss@host", "redis://:********@host"),
    ],
)
def test_an_address_is_shown_without_its_password(url, shown):
    """Even where the password holds an @."""
    assert settings.masked_url(url) == shown
