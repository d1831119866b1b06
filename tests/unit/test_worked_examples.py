"""The examples in docstrings are true: most come from the exchange's own documents."""

import doctest
import importlib
import pkgutil

import pytest

import recio.domain
import recio.engine

MODULES = sorted(
    module.name
    for package in (recio.domain, recio.engine)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name):
    """An example that nobody runs becomes a lie with the next change."""
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
