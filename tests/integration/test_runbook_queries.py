"""Whoever follows the runbook at night finds queries that the database takes."""

import re
from pathlib import Path

import psycopg
import pytest

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"
QUERIES = sorted(set(re.findall(r'sql "([^"$]+)"', RUNBOOK.read_text())))


def test_there_are_queries():
    """The expression above finds what it should."""
    assert len(QUERIES) > 10


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_of_the_runbook_runs(module_database_url, query):
    """Tables and columns are called as the page calls them, values of enumerations too."""
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        connection.execute(query.encode())
