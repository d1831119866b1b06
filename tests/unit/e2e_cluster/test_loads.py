"""Which loaded images outlive a cluster."""

import pytest
from tests.e2e.cluster import cluster, paths


@pytest.fixture
def record(monkeypatch, tmp_path):
    """An empty record."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    paths.image_store().mkdir(parents=True)
    return cluster._LoadRecord()


def test_the_latest_are_kept(record):
    """The product's image of an hour ago is not needed again; the last ones may be."""
    for number in range(4):
        record.note([f"recio.test/recio:{number}"])
    record.note(["recio.test/recio:0"])
    assert record.take_old(2) == ["recio.test/recio:1", "recio.test/recio:2"]
    assert record.take_old(2) == []


def test_base_images_are_never_old(record):
    """They are what the cluster itself runs on."""
    record.note(["recio.test/postgresql:17", "recio.test/recio:1"])
    record.note(["recio.test/recio:2"])
    assert record.take_old(1) == ["recio.test/recio:1"]


def test_nothing_was_loaded(record):
    """A first boot has nothing to forget."""
    assert record.take_old(2) == []
