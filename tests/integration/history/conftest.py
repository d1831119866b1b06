"""Files of history, made by the tests, and the command on a real database."""

from __future__ import annotations

import gzip

import psycopg
import pytest

from recio import cli

START_S = 1_704_067_200  # 2024-01-01 00:00 UTC


def minute_rows(count, *, start_s=START_S, price=42_000.0):
    """Return rows ts,open,high,low,close,volume of a walk that goes nowhere."""
    rows = []
    for n in range(count):
        opened = price + n % 7
        close = price + (n + 3) % 7
        high, low = max(opened, close) + 0.5, min(opened, close) - 0.25
        rows.append(f"{start_s + 60 * n},{opened},{high},{low},{close},{n % 5}.125")
    return rows


def write(path, header, rows, *, end="\n"):
    """Write lines as CSV, gzip by the name."""
    text = "\n".join([header, *rows]) + end
    data = gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode()
    path.write_bytes(data)
    return path


MINUTES = "ts,open,high,low,close,volume"


@pytest.fixture
def history(database_url, capsys):
    """Run ``recio history`` and return (exit status, what it printed)."""

    def run(*words):
        status = cli.main(["history", *map(str, words), "--database-url", database_url])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return run


@pytest.fixture
def ask(database_url):
    """Return the rows of a query."""

    def rows(sql, *params):
        with psycopg.connect(database_url) as connection:
            return connection.execute(sql, params).fetchall()

    return rows
