"""Recorded market data that ships with the product: files, their checksums, and doors to read them.

SOURCES.md names the public source of every file; checksums.json holds the SHA-256 of every file,
checked at each read: a file that was changed is refused, never used. Nothing here is written, and
nothing outside this folder is read. Values are integers with the unit in the name; times are UTC.

The layouts are described where they are read: ``minutes`` (one-minute prices), ``seconds``
(one-second prices), ``frames`` (recorded WebSocket messages) and ``fingerprints_bytes`` below.
"""

from __future__ import annotations

import lzma
from functools import lru_cache
from hashlib import sha256
from importlib import resources
from typing import Final

import msgspec

from recio.domain.errors import Broken, InvalidValue

_FINGERPRINTS: Final = (
    "btc_2025-08-11",
    "btc_2025-07-20",
    "btc_2022-01-01_2024-12-31",
    "eth_2023-01-01_2024-12-31",
)
_VOLATILITY: Final = ("btc", "eth")


class Settled(msgspec.Struct, frozen=True):
    """How the exchange settled a recorded market: the row of settlements.json."""

    ticker: str
    close_us: int
    strike_usd_e6: int
    settlement_usd_e6: int
    result: str
    settled_us: int


def names() -> tuple[str, ...]:
    """Return the names of all data files, in order."""
    return tuple(sorted(_checksums()))


def read(name: str) -> bytes:
    """Return one file as it is stored.

    Raises:
        InvalidValue: no file has this name; the message lists those that exist.
        Broken: the file is missing or its checksum differs from checksums.json.
    """
    expected = _checksums().get(name)
    if expected is None:
        raise InvalidValue(f"no data file is called {name!r}; there are {', '.join(names())}")
    try:
        content = resources.files(__name__).joinpath(name).read_bytes()
    except OSError as error:
        raise Broken(f"data file {name} cannot be read: reinstall the package") from error
    found = sha256(content).hexdigest()
    if found != expected:
        raise Broken(
            f"data file {name}: expected SHA-256 {expected}, found {found}: reinstall the package"
        )
    return content


def unpack(name: str) -> bytes:
    """Return the content of one xz-compressed file; raises like ``read``."""
    return lzma.decompress(read(name))


def fingerprint_names() -> tuple[str, ...]:
    """Return the names of the fingerprint tables: the published ones, then those counted by us."""
    return _FINGERPRINTS


def fingerprints_bytes(name: str) -> bytes:
    r"""Return one set of move tables, checked against its checksum.

    Layout: one line of JSON that ends in ``\n``, then little-endian unsigned 16-bit integers.
    The JSON object has ``symbol``, ``name``, ``buckets`` (the string "baseline", then the integers
    -30 … 30), ``ttc_minutes`` (1 … 60) and ``thresholds_bp`` (0, 5, … 200 in 0.01 %, 170 is
    missing in the source). The integers are ordered [bucket][ttc][threshold][up, down]: share of
    cases, in 0.01 percentage points, whose close after ``ttc`` minutes was at least the threshold
    higher (up) or lower (down). Tables that we counted have ``format`` 2 and numbers of cases after
    the shares; ``domain.fingerprints`` describes them.

    Raises:
        InvalidValue: no table has this name.
    """
    if name not in _FINGERPRINTS:
        raise InvalidValue(f"no fingerprints are called {name!r}: {', '.join(_FINGERPRINTS)}")
    return unpack(f"fingerprints_{name}.u16.xz")


def volatility_names() -> tuple[str, ...]:
    """Return the names of the volatility models."""
    return _VOLATILITY


def volatility_bytes(name: str) -> bytes:
    """Return a volatility model as ``domain.volatility_model`` reads it.

    Raises:
        InvalidValue: no model has this name.
    """
    if name not in _VOLATILITY:
        raise InvalidValue(f"no volatility model is called {name!r}: {', '.join(_VOLATILITY)}")
    return read(f"volatility_{name}.json")


def settled(ticker: str) -> Settled:
    """Return how a recorded market was settled.

    Raises:
        InvalidValue: no settlement of this ticker was recorded.
    """
    rows = msgspec.json.decode(read("settlements.json"), type=tuple[Settled, ...])
    for row in rows:
        if row.ticker == ticker:
            return row
    raise InvalidValue(f"no settlement is recorded for {ticker!r}")


@lru_cache(maxsize=1)
def _checksums() -> dict[str, str]:
    content = resources.files(__name__).joinpath("checksums.json").read_bytes()
    return msgspec.json.decode(content, type=dict[str, str])
