"""`recio doctor` on a real database and a real Redis, told by variables."""

from __future__ import annotations

import pytest

from recio import cli


@pytest.fixture
def variables(monkeypatch, database_url, redis_url, tmp_path):
    """What a process needs, but for the keys."""
    values = {
        "RECIO_ENVIRONMENT": "paper",
        "RECIO_MODE": "paper",
        "RECIO_DATABASE_URL": database_url.replace("postgres@", "", 1),
        "RECIO_REDIS_URL": redis_url,
        "RECIO_CREDENTIALS_DIR": str(tmp_path),
        "RECIO_EXCHANGE_REST_URL": "http://127.0.0.1:1",
        "RECIO_EXCHANGE_WEBSOCKET_URL": "ws://127.0.0.1:1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


def test_it_tells_apart_what_is_right_and_what_is_missing(variables, capsys):
    """Database under a service's own login, migrations, Redis; the key is not there."""
    assert cli.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "ok     database: PostgreSQL" in said
    assert "ok     redis" in said
    assert (
        f"WRONG  key of market: expected an API key in {variables['RECIO_CREDENTIALS_DIR']}" in said
    )


def test_a_redis_that_is_away_is_wrong(variables, capsys, monkeypatch):
    """Named with its address."""
    monkeypatch.setenv("RECIO_REDIS_URL", "redis://:hidden@127.0.0.1:1")
    assert cli.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "WRONG  redis: redis://:********@127.0.0.1:1 does not answer" in said
    assert "hidden" not in said
    assert variables
