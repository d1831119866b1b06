"""Logs: one JSON object a line, with whose it is, without secrets."""

from __future__ import annotations

import io
import json
import logging

import pytest

from recio.runtime import json_log

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"


@pytest.fixture
def lines():
    """The log lines of a test, decoded."""
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    json_log.set_up(stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line_says_whose_it_is(lines):
    """Service, account and environment are on every line, ids where they are given."""
    log = json_log.context_log("trade_executor", account="paper", environment="paper")
    log.info("sent %s", 3, extra={"order_id": "abc"})
    (line,) = lines()
    expected = {
        "level": "info",
        "service": "trade_executor",
        "account": "paper",
        "environment": "paper",
        "order_id": "abc",
        "message": "sent 3",
    }
    assert {key: line[key] for key in expected} == expected
    assert line["at"].endswith("Z")


def test_an_error_brings_its_trace(lines):
    """The cause can be found from the line alone."""
    log = json_log.context_log("trade_executor", account=None, environment="paper")
    try:
        _ = 1 // 0
    except ZeroDivisionError:
        log.exception("failed")
    (line,) = lines()
    assert "ZeroDivisionError" in line["error"]
    assert "account" not in line


@pytest.mark.parametrize(
    ("message", "extra"),
    [
        (f"the key {KEY} does not parse", {}),
        ("postgresql://u:MIIE@host/db", {}),
        ("", {"private_key": "MIIE"}),
        ("", {"session_token": "MIIE"}),
        ("", {"url": "redis://:MIIE@host"}),
    ],
)
def test_secrets_are_replaced(lines, message, extra):
    """Neither a key nor a password reaches the log, wherever it comes from."""
    json_log.context_log("main_app", account=None, environment="paper").error(message, extra=extra)
    assert "MIIE" not in json.dumps(lines())


def test_an_unfinished_key_is_replaced_too():
    """A truncated text is still a secret."""
    assert "MIIE" not in json_log.redacted("-----BEGIN PRIVATE KEY-----\nMIIE")
