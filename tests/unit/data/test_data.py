"""The packaged data: complete, unchanged, and what its sources say."""

from __future__ import annotations

import struct
from importlib import resources

import msgspec
import pytest

from recio import data
from recio.domain.errors import Broken, InvalidValue

NOT_DATA = {"__init__.py", "minutes.py", "seconds.py", "frames.py", "SOURCES.md", "checksums.json"}


def test_every_file_is_listed_and_unchanged() -> None:
    """Each data file has a checksum, matches it, and is named in SOURCES.md."""
    folder = resources.files("recio.data")
    found = {item.name for item in folder.iterdir() if item.is_file()} - NOT_DATA
    sources = folder.joinpath("SOURCES.md").read_text()
    assert found == set(data.names())
    for name in data.names():
        assert data.read(name)
        assert f"`{name}`" in sources


def test_unknown_file_is_refused_with_the_known_ones() -> None:
    """A wrong name is told which names exist."""
    with pytest.raises(InvalidValue, match=r"settlements\.json"):
        data.read("nothing.xz")
    with pytest.raises(InvalidValue, match="btc_2025-08-11"):
        data.fingerprints_bytes("btc_1999")
    with pytest.raises(InvalidValue, match="KXBTC15M-1"):
        data.settled("KXBTC15M-1")


def test_changed_file_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose checksum differs stops the process that wanted it."""
    monkeypatch.setattr(data, "_checksums", lambda: {"settlements.json": "0" * 64, "gone": ""})
    with pytest.raises(Broken, match="expected SHA-256"):
        data.read("settlements.json")
    with pytest.raises(Broken, match="reinstall"):
        data.read("gone")


def test_recorded_market_settled_as_published() -> None:
    """Strike 80193.52, settlement 80285.68, yes, seven seconds after its close."""
    row = data.settled("KXBTC15M-26MAY130915-15")
    assert (row.strike_usd_e6, row.settlement_usd_e6) == (80_193_520_000, 80_285_680_000)
    assert row.result == "yes"
    assert 0 < row.settled_us - row.close_us < 10_000_000


@pytest.mark.parametrize(
    ("name", "bucket", "up", "down"),
    [
        ("btc_2025-07-20", "baseline", 1129, 1091),
        ("btc_2025-07-20", -30, 3153, 2486),
        ("btc_2025-07-20", 0, 623, 605),
        ("btc_2025-07-20", 30, 2652, 2763),
        ("btc_2025-08-11", "baseline", 1115, 1078),
        ("btc_2025-08-11", -30, 3160, 2481),
    ],
)
def test_fingerprints_hold_the_published_figures(
    name: str, bucket: str | int, up: int, down: int
) -> None:
    """15 minutes, 0.25 %: the calibration figures, in 0.01 points."""
    line, _, body = data.fingerprints_bytes(name).partition(b"\n")
    header = msgspec.json.decode(line)
    shape = len(header["buckets"]), len(header["ttc_minutes"]), len(header["thresholds_bp"])
    assert shape == (62, 60, 40)
    assert len(body) == 62 * 60 * 40 * 2 * 2
    place = header["buckets"].index(bucket) * 60 + header["ttc_minutes"].index(15)
    place = place * 40 + header["thresholds_bp"].index(25)
    assert struct.unpack_from("<2H", body, 4 * place) == (up, down)


def test_fingerprint_names_can_be_read() -> None:
    """Every name that is offered exists."""
    assert all(data.fingerprints_bytes(name) for name in data.fingerprint_names())
