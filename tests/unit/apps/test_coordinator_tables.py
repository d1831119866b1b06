"""Which fingerprints a coordinator uses: a packaged name, or a file of `recio model build`."""

from __future__ import annotations

import lzma

import pytest

from recio import data
from recio.apps.unified_production_coordinator.app import fingerprints
from recio.domain.errors import InvalidValue

OURS = "btc_2022-01-01_2024-12-31"


def named(wanted):
    """Return the names of the tables by symbol."""
    return {prints.symbol: prints.name for _, prints in fingerprints(wanted)}


def test_a_packaged_name_and_the_other_symbol():
    """What is not named is the packaged one of its symbol."""
    assert named("btc_2025-07-20") == {"BTC": "btc_2025-07-20", "ETH": "eth_2023-01-01_2024-12-31"}
    assert named("eth_2023-01-01_2024-12-31")["BTC"] == "btc_2025-08-11"


def test_a_file_of_ones_own(tmp_path):
    """Compressed or not; its checksum is that of what is inside, as in the journal."""
    content = data.fingerprints_bytes(OURS)
    (tmp_path / "mine").write_bytes(content)
    (tmp_path / "mine.xz").write_bytes(lzma.compress(content, preset=0))

    assert named(str(tmp_path / "mine"))["BTC"] == OURS
    assert fingerprints(str(tmp_path / "mine.xz"))[0][0] == fingerprints(OURS)[0][0]


def test_what_cannot_be_read_is_refused(tmp_path):
    """A missing file, a damaged one, one that holds something else, an unknown name."""
    (tmp_path / "cut.xz").write_bytes(lzma.compress(b"x" * 1000)[:-20])
    (tmp_path / "other").write_bytes(b"hello\n")
    for wanted in ("none", "cut.xz", "other"):
        with pytest.raises(InvalidValue, match="fingerprints"):
            fingerprints(str(tmp_path / wanted))
    with pytest.raises(InvalidValue, match="no fingerprints are called"):
        fingerprints("btc_1999")
