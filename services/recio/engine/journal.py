"""The journal's format: batches of a fold's inputs that prove that none is changed or missing.

A host notes every event before it folds it. A run of a host is a session; its batches count from 1.
A batch's body is one zlib stream of events as MessagePack, each with its length in four bytes before
it. The digest is SHA-256 over the digest of the batch before (nothing for the first) and everything
else in the row, so that a batch which was changed, moved or left out is refused with its place.

Markers stand between the events: ``...Started`` (the whole state that a fold begins with), ``Gap``
(events that could not be kept) and ``Stopped`` (an orderly end). A session whose last batches are
missing has no ``Stopped``: it looks as after a crash, and replay says so.

A host of an account notes a snapshot that came over the bus as ``Seen``: its generation and the first
sixteen bytes of the SHA-256 of its bytes. The journal of the environment's coordinator makes the same
snapshot again; if it turns out that it cannot, the host notes the whole of it later, as ``Late``.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final
from uuid import UUID

import msgspec

from recio.domain.account_config import Model
from recio.domain.errors import InvalidValue
from recio.domain.messages import Snapshot

FORMAT: Final = 1
_LEVEL: Final = 1
_LENGTH: Final = 4

MOST_BYTES: Final = 256 * 1024 * 1024
"""Unpacked bytes of a batch: far above what a host writes, far below what fills the memory."""


class SnapshotStarted(msgspec.Struct, frozen=True, kw_only=True, tag="snapshot_started"):
    """The snapshot fold begins.

    ``fingerprints``, ``volatility``: SHA-256 of each artefact, in hexadecimal. ``code`` names the
    code that decides (``runtime/revision.py``), here and below; empty: it was not noted.
    """

    at_us: int
    environment: str
    model: Model
    generation: int
    open_interval_us: int
    early_interval_us: int = 0
    fingerprints: tuple[str, ...]
    volatility: tuple[str, ...] = ()
    code: str = ""


class EntryStarted(msgspec.Struct, frozen=True, kw_only=True, tag="entry_started"):
    """The entry fold begins."""

    at_us: int
    account: str
    slippage_cents: int
    code: str = ""


class StopStarted(msgspec.Struct, frozen=True, kw_only=True, tag="stop_started"):
    """The stop fold begins."""

    at_us: int
    account: str
    code: str = ""


class Seen(msgspec.Struct, frozen=True, tag="seen"):
    """A snapshot, named by its generation and proved by the beginning of its SHA-256."""

    generation: int = msgspec.field(name="g")
    digest: bytes = msgspec.field(name="d")


class Late(msgspec.Struct, frozen=True, tag="late"):
    """The whole of a snapshot that an earlier ``Seen`` of the session names; nothing is folded here."""

    snapshot: Snapshot


class Gap(msgspec.Struct, frozen=True, tag="gap"):
    """So many events since then were folded but could not be kept."""

    events: int
    since_us: int


class Stopped(msgspec.Struct, frozen=True, tag="stopped"):
    """The host ended in order: nothing was folded after this."""

    at_us: int


Started = SnapshotStarted | EntryStarted | StopStarted
Marker = Started | Gap | Stopped


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """One row. ``owner`` is the environment or the account; ``first_at_us`` no later than its events."""

    owner: str
    host: str
    session: UUID
    seq: int
    first_at_us: int
    count: int
    body: bytes
    digest: bytes = b""
    format: int = FORMAT


_encoder: Final = msgspec.msgpack.Encoder()
_DIGEST_BYTES: Final = 16


def seen(snapshot: Snapshot) -> Seen:
    """Return the reference to a snapshot."""
    digest = hashlib.sha256(_encoder.encode(snapshot)).digest()[:_DIGEST_BYTES]
    return Seen(snapshot.generation, digest)


class Packer:
    """Packs events one by one; ``size`` is what they take unpacked."""

    __slots__ = ("_parts", "_zlib", "count", "size")

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(_LEVEL)
        self._parts: list[bytes] = []
        self.count = 0
        self.size = 0

    def add(self, event: object) -> None:
        """Add one event."""
        encoded = _encoder.encode(event)
        self._parts.append(self._zlib.compress(len(encoded).to_bytes(_LENGTH, "big") + encoded))
        self.count += 1
        self.size += _LENGTH + len(encoded)

    def body(self) -> bytes:
        """Return the packed events; nothing can be added after that."""
        self._parts.append(self._zlib.flush())
        return b"".join(self._parts)


def sealed(batch: Batch, previous: bytes) -> Batch:
    """Return the batch with its digest, which follows the digest of the session's batch before."""
    return msgspec.structs.replace(batch, digest=_digest(batch, previous))


class Opener:
    """Opens the batches of one session one after the other."""

    __slots__ = ("_expected", "_previous")

    def __init__(self) -> None:
        self._expected, self._previous = 1, b""

    def open(self, batch: Batch) -> list[bytes]:
        """Return the events of the next batch, as they were noted.

        Raises:
            InvalidValue: a batch before it is missing, or it was changed or cannot be unpacked; the
                message names it.
        """
        if batch.seq != self._expected:
            raise InvalidValue(
                f"{_place(batch)}: expected batch {self._expected}, which is missing"
            )
        if batch.format != FORMAT:
            raise InvalidValue(
                f"{_place(batch)}: expected format {FORMAT}, received {batch.format}"
            )
        if batch.digest != _digest(batch, self._previous):
            raise InvalidValue(
                f"{_place(batch)}: its digest does not fit: it, or the batch before, was changed"
            )
        found = _events(batch)
        self._expected, self._previous = self._expected + 1, batch.digest
        return found


def opened(batches: Iterable[Batch]) -> Iterator[tuple[Batch, list[bytes]]]:
    """Yield each batch of one session with its events, as they were noted.

    Raises:
        InvalidValue: as ``Opener.open``.
    """
    opener = Opener()
    for batch in batches:
        yield batch, opener.open(batch)


def decoded(batches: Iterable[Batch], decoder: msgspec.msgpack.Decoder[Any]) -> Iterator[Any]:
    """Yield the events of one session.

    Raises:
        InvalidValue: as ``opened``, or an event is none of the decoder's; the message names it.
    """
    for batch, events in opened(batches):
        yield from decoded_events(batch, events, decoder)


def decoded_events(
    batch: Batch, events: Iterable[bytes], decoder: msgspec.msgpack.Decoder[Any]
) -> Iterator[Any]:
    """Yield the events of one batch.

    Raises:
        InvalidValue: an event is none of the decoder's; the message names it.
    """
    for place, event in enumerate(events, start=1):
        try:
            yield decoder.decode(event)
        except (ValueError, RecursionError) as error:
            raise InvalidValue(f"{_place(batch)}, event {place}: {error}") from error


def _digest(batch: Batch, previous: bytes) -> bytes:
    named = [batch.owner, batch.host, batch.session, batch.seq, batch.first_at_us, batch.count]
    made = hashlib.sha256(previous + _encoder.encode([*named, batch.format]))
    made.update(batch.body)
    return made.digest()


def _events(batch: Batch) -> list[bytes]:
    try:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(batch.body, MOST_BYTES)
    except zlib.error as error:
        raise InvalidValue(f"{_place(batch)}: cannot be unpacked: {error}") from error
    if not unpacker.eof or unpacker.unused_data:
        raise InvalidValue(
            f"{_place(batch)}: expected one whole stream of at most {MOST_BYTES} bytes unpacked"
        )
    events, at = [], 0
    while at < len(raw):
        begin = at + _LENGTH
        at = begin + int.from_bytes(raw[at:begin], "big")
        events.append(raw[begin:at])
    if at != len(raw) or len(events) != batch.count:
        raise InvalidValue(
            f"{_place(batch)}: expected {batch.count} whole events, found {len(events)}"
        )
    return events


def _place(batch: Batch) -> str:
    return f"journal of {batch.host} ({batch.owner}), session {batch.session}, batch {batch.seq}"
