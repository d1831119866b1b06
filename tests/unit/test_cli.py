"""The command line: every command explains itself, and mistakes are told in one line."""

from __future__ import annotations

import importlib

import pytest

from recio import cli, cli_doctor, cli_run, cli_up
from recio.domain.account_config import Topology
from recio.domain.errors import Broken, InvalidValue
from recio.runtime.settings import process_settings

COMMANDS = sorted(cli._COMMANDS)
NEEDED = {
    "RECIO_ENVIRONMENT": "paper",
    "RECIO_MODE": "paper",
    "RECIO_DATABASE_URL": "postgresql:///recio",
    "RECIO_REDIS_URL": "redis://localhost",
}


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    """Whoever runs the tests may have variables of ours."""
    for name in NEEDED:
        monkeypatch.delenv(name, raising=False)


def up(*words):
    """Return the options of `recio up` with these words."""
    parser = cli.argparse.ArgumentParser()
    cli_up.add_arguments(parser)
    return cli_up.options(parser.parse_args(words))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name, capsys):
    """What it does, its options, how it is used."""
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"recio {name}" in said
    assert "example" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_module(name):
    """With the three names that the command line uses."""
    module = importlib.import_module(f"recio.cli_{name}")
    assert all(hasattr(module, part) for part in ("EXAMPLES", "add_arguments", "run"))


def test_no_words_print_the_list(capsys):
    """Every command with one line."""
    with pytest.raises(SystemExit):
        cli.main([])
    said = capsys.readouterr().out
    assert all(f"  {name} " in said for name in COMMANDS)


def test_an_unknown_command_is_refused(capsys):
    """With those that are."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["upp"])
    assert ended.value.code == 2
    assert "'upp'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "trade_managr"], "RECIO_DATABASE_URL is missing"),
        (["migrate"], "expected --database-url or RECIO_DATABASE_URL"),
        (["trace", "x", "--state", "/nowhere"], "no local run in /nowhere"),
        (["keys", "check", "/nowhere/key"], "expected an API key in /nowhere/key/key-id"),
        (["up", "--speed", "21"], "--speed: expected 1 to 20, received 21"),
        (["up", "--fast", "soon"], "--fast: expected a period such as 15m"),
        (["up", "--start", "noon"], "expected an RFC 3339 time"),
        (["up", "--start", "2024-07-30T17:48:00"], "expected a time with a zone"),
        (["exchange", "--speed", "0"], "--speed: expected 1 to 20, received 0"),
    ],
)
def test_a_mistake_is_one_line_and_status_1(words, said, capsys):
    """Without a traceback."""
    assert cli.main(words) == 1
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    "words",
    [
        ("--live-prices", "--speed", "2"),
        ("--live-prices", "--fast", "1h"),
        ("--live-prices", "--recording"),
        ("--live-prices", "--start", "2024-07-30T17:48:00Z"),
        ("--live-prices", "--shadow"),
        ("--shadow", "--read-key", "k", "--speed", "2"),
        ("--shadow", "--read-key", "k", "--fast", "1h"),
        ("--shadow", "--read-key", "k", "--recording"),
        ("--read-key", "k"),
        ("--recording", "--regime", "thin"),
    ],
)
def test_live_prices_have_the_pace_and_the_time_of_the_present(words):
    """Options that contradict each other are refused."""
    with pytest.raises(InvalidValue):
        up(*words)


def test_options_reach_the_runner():
    """Each option is a field."""
    made = up("--fresh", "--accounts", "3", "--topology", "Pooled", "--fast", "2d", "--port", "0")
    assert (made.is_fresh, made.accounts, made.topology) == (True, 3, Topology.POOLED)
    assert (made.fast_seconds, made.port) == (172_800, 0)


def test_a_service_of_an_account_is_hosted_for_each():
    """In the order of the flow, whatever the order of the words."""
    process = process_settings({**NEEDED, "RECIO_ACCOUNTS": "a,b"})
    placed = cli_run.placements(["trade_manager", "trade_initiator", "db_poller"], process)
    assert [(p.row.name, p.account) for p in placed] == [
        ("trade_initiator", "a"),
        ("trade_initiator", "b"),
        ("trade_manager", "a"),
        ("trade_manager", "b"),
        ("db_poller", None),
    ]


@pytest.mark.parametrize(
    ("names", "said"),
    [(["trade_managr"], "no service is called trade_managr"), (["trade_manager"], "RECIO_ACCOUNT")],
)
def test_what_cannot_be_hosted_is_named(names, said):
    """An unknown service, or an account that is missing."""
    with pytest.raises(Broken, match=said):
        cli_run.placements(names, process_settings(NEEDED))


def test_the_configuration_is_shown_with_sources_and_without_secrets():
    """Passwords, keys and tokens are stars."""
    lines = cli_doctor.configuration(
        {
            **NEEDED,
            "RECIO_DATABASE_URL": "postgresql://u:hidden@h/db",
            "RECIO_MAIN_APP_SESSION_SECRET": "hidden",
        }
    )
    assert "RECIO_DATABASE_URL = postgresql://u:********@h/db (environment)" in lines
    assert "RECIO_HTTP_HOST = 127.0.0.1 (default)" in lines
    assert "hidden" not in "".join(lines)


def test_the_doctor_tells_what_is_wrong(monkeypatch, capsys):
    """And ends with status 1."""
    for name, value in {**NEEDED, "RECIO_HTTP_PORT": "many"}.items():
        monkeypatch.setenv(name, value)
    assert cli.main(["doctor"]) == 1
    assert "WRONG  settings: " in capsys.readouterr().out
