r"""The file that carries journals and decisions away, so that a replay needs no database.

    b"recio journal 1\n", then frames: length in four bytes, digest in 32, body

A body is one zlib stream of MessagePack. Its digest is SHA-256 over the digest of the frame before
(over the first line for the first) and the body, so that the first frame that was changed, moved or
left out is named; a file without its ``Closing`` was cut off. The chain proves that a file is whole,
not who wrote it: whoever can write the file can write another chain. Compare the last digest, which
the export prints, where that matters.

The order: ``Opening``, the ``Artefact`` that the sessions name, then ``Kept`` batches and ``Decided``
rows of all hosts together, by time, so that whoever reads holds little of it at once, ``Closing``.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from recio.domain.errors import InvalidValue
from recio.domain.intents import Intent
from recio.engine.journal import Batch
from recio.engine.records import Record

FIRST_LINE: Final = b"recio journal 1\n"
MOST_BYTES: Final = 64 * 1024 * 1024
"""Of one frame, packed or unpacked: far above what an export writes."""
_FAMILY: Final = b"recio journal "
_LENGTH: Final = 4
_DIGEST: Final = 32
_LEVEL: Final = 6


class Opening(msgspec.Struct, frozen=True, kw_only=True, tag="opening"):
    """What the file holds. ``accounts``: environment by account; ``code``: of whoever exported."""

    version: str
    code: str
    accounts: dict[str, str]
    since_us: int | None = None
    until_us: int | None = None


class Artefact(msgspec.Struct, frozen=True, kw_only=True, tag="artefact"):
    """One artefact of the snapshot fold: ``fingerprints`` or ``volatility``, with its bytes."""

    kind: str
    name: str
    sha256: str
    body: bytes


class Kept(msgspec.Struct, frozen=True, tag="batch"):
    """One batch as it is stored."""

    batch: Batch


class Decided(msgspec.Struct, frozen=True, kw_only=True, tag="decided"):
    """Decisions and automatic intents as they are stored."""

    records: tuple[Record, ...] = ()
    intents: tuple[Intent, ...] = ()


class Closing(msgspec.Struct, frozen=True, kw_only=True, tag="closing"):
    """The end; ``frames`` came before it."""

    frames: int


Frame = Opening | Artefact | Kept | Decided | Closing

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Frame)


class Writer:
    """Writes frames through ``write``; ``digest`` is that of the last one."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self.digest = hashlib.sha256(FIRST_LINE).digest()
        self.frames = 0
        write(FIRST_LINE)

    def add(self, frame: Frame) -> None:
        """Write one frame."""
        body = zlib.compress(_encoder.encode(frame), _LEVEL)
        self.digest = hashlib.sha256(self.digest + body).digest()
        self._write(len(body).to_bytes(_LENGTH, "big") + self.digest + body)
        self.frames += 1

    def close(self) -> str:
        """Write the end and return the last digest in hexadecimal."""
        self.add(Closing(frames=self.frames))
        return self.digest.hex()


def frames(read: Callable[[int], bytes]) -> Iterator[Frame]:
    """Yield the frames of a file up to its end; ``read`` returns so many bytes, fewer at the end.

    Raises:
        InvalidValue: not such a file, of another format, changed, or cut off; the message says where.
    """
    digest = _opened(read)
    at, number = len(FIRST_LINE), 0
    while True:
        number += 1
        place = f"journal file, frame {number} at byte {at}"
        body, told = _framed(read, place)
        digest = hashlib.sha256(digest + body).digest()
        if digest != told:
            raise InvalidValue(
                f"{place}: its digest does not fit: it was changed, or one before it left out"
            )
        frame = _decoded(body, place)
        yield frame
        if isinstance(frame, Closing):
            _check_end(frame, number, read(1), place)
            return
        at += _LENGTH + _DIGEST + len(body)


def _opened(read: Callable[[int], bytes]) -> bytes:
    line = read(len(FIRST_LINE))
    if line != FIRST_LINE:
        kind = "another format" if line.startswith(_FAMILY) else "no journal file"
        raise InvalidValue(
            f"expected a file that begins with {FIRST_LINE.decode()!r}, received {kind}: "
            f"{line!r}; `recio replay --export FILE` writes one"
        )
    return hashlib.sha256(line).digest()


def _framed(read: Callable[[int], bytes], place: str) -> tuple[bytes, bytes]:
    head = read(_LENGTH + _DIGEST)
    if len(head) < _LENGTH + _DIGEST:
        raise InvalidValue(f"{place}: the file ends without its closing frame: it was cut off")
    size = int.from_bytes(head[:_LENGTH], "big")
    if size > MOST_BYTES:
        raise InvalidValue(f"{place}: expected at most {MOST_BYTES} bytes, received {size}")
    body = read(size)
    if len(body) < size:
        raise InvalidValue(
            f"{place}: expected {size} bytes, received {len(body)}: the file was cut off"
        )
    return body, head[_LENGTH:]


def _decoded(body: bytes, place: str) -> Frame:
    try:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(body, MOST_BYTES)
    except zlib.error as error:
        raise InvalidValue(f"{place}: cannot be unpacked: {error}") from error
    if not unpacker.eof or unpacker.unused_data:
        raise InvalidValue(f"{place}: expected one whole stream of at most {MOST_BYTES} bytes")
    try:
        frame: Frame = _decoder.decode(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{place}: {error}") from error
    return frame


def _check_end(closing: Closing, number: int, rest: bytes, place: str) -> None:
    if closing.frames != number - 1:
        raise InvalidValue(
            f"{place}: expected {closing.frames} frames before it, received {number - 1}"
        )
    if rest:
        raise InvalidValue(f"{place}: expected the end of the file after it, received more")
