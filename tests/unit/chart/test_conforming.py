"""Every object is one that Kubernetes 1.34 and the operators beside ours know, field by field."""

from __future__ import annotations

import subprocess

import pytest
import yaml
from tests.e2e.cluster import binaries, paths
from tests.unit.chart import accounts, rendering, schemas


@pytest.fixture(scope="session")
def location():
    """Where the schemas are; a real API server tells them once."""
    if paths.environment().get("RECIO_NO_APISERVER") == "1":
        pytest.skip("RECIO_NO_APISERVER=1: tests against a real API server are left out")
    return f"{schemas.directory()}/{schemas.LOCATION}"


def said_of(text, location):
    """Return the exit status of kubeconform and what it says."""
    done = subprocess.run(
        [
            str(binaries.ensure("kubeconform")["kubeconform"]),
            "-strict", "-summary", "-schema-location", location,
            "-skip", ",".join(schemas.SKIPPED), "-",
        ],
        input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("case", rendering.CASES)
def test_what_is_rendered_conforms(case, location):
    """Rule: no field is misspelt, misplaced or of another type, in our objects or in others' kinds."""
    status, words = said_of(rendering.text(case), location)
    assert status == 0, words


def test_an_account_s_objects_conform(location):
    """Rule: what the operator makes of the chart's release is as correct."""
    for topology in ("Compact", "PerService"):
        made = accounts.children("small", topology=topology)
        status, words = said_of(yaml.safe_dump_all(made), location)
        assert status == 0, words


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("readOnlyRootFilesystem: true", "readOnlyRootFilesytem: true"),
        ("terminationGracePeriodSeconds: 30", "terminationGracePeriodSeconds: soon"),
        ("poolMode: transaction", "poolmode: transaction"),
        ("enablePDB: false", "enablePdb: false"),
    ],
)
def test_a_misspelt_field_would_be_found(right, wrong, location):
    """Rule: the check is strict: a field with another name fails it."""
    text = rendering.text("small")
    assert right in text
    status, words = said_of(text.replace(right, wrong), location)
    assert status != 0
    assert "additional" in words or "expected" in words or "want" in words, words
