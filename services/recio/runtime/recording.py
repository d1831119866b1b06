"""Where a replay takes its frames from: the database, or a file that an export has written.

The artefacts that a session names by checksum are put into the file from what this release carries;
one that it does not carry is left out, and the replay says which is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from recio import data
from recio.adapters.postgres import recorded
from recio.adapters.postgres.recorded import Session, Wanted
from recio.domain.errors import Rejected
from recio.engine import export
from recio.engine.export import Artefact, Frame, Kept, Opening, Writer
from recio.ports import Database
from recio.runtime.revision import deciding_code, version

Tell = Callable[[int, int], None]
"""Gets how many batches are done, and of how many."""
_PART: Final = ".part"


def artefact_file(path: Path) -> Artefact:
    """Return an artefact of one's own, as a service was given it by its path.

    Raises:
        Rejected: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Rejected(f"cannot read {path}: {error.strerror or error}") from error
    # Fingerprints are a line of JSON and then numbers; a volatility model is JSON as a whole.
    kind = "volatility" if content.rstrip().endswith(b"}") else "fingerprints"
    return _artefact(kind, path.name, content)


def packaged_artefacts() -> Iterator[Artefact]:
    """Yield the artefacts of this release."""
    for name in data.fingerprint_names():
        yield _artefact("fingerprints", name, data.fingerprints_bytes(name))
    for name in data.volatility_names():
        yield _artefact("volatility", name, data.volatility_bytes(name))


async def of_database(
    database: Database, wanted: Wanted, chosen: list[Session], own: Sequence[Artefact] = ()
) -> AsyncIterator[Frame]:
    """Yield what the sessions hold, as a file would, without its end; ``own``: more artefacts."""
    yield Opening(
        version=version(),
        code=deciding_code(),
        accounts=wanted.accounts,
        since_us=wanted.since_us,
        until_us=wanted.until_us,
    )
    named = await recorded.artefacts_named(database, chosen)
    for artefact in (*packaged_artefacts(), *own):
        if artefact.sha256 in named:
            yield artefact
    async for frame in recorded.frames(database, wanted, chosen):
        yield frame


async def write_file(
    database: Database,
    wanted: Wanted,
    path: Path,
    tell: Tell,
    own: Sequence[Artefact] = (),
) -> tuple[str, int]:
    """Write a file; return its last digest and its size. It takes its name when it is whole.

    Raises:
        Rejected: there is no journal in that time, or the file cannot be written.
    """
    chosen = await sessions(database, wanted)
    total = sum(one.batches for one in chosen)
    part, done = path.with_name(path.name + _PART), 0
    try:
        with part.open("wb") as file:
            writer = Writer(file.write)
            async for frame in of_database(database, wanted, chosen, own):
                writer.add(frame)
                done += isinstance(frame, Kept)
                tell(done, total)
            digest, size = writer.close(), file.tell()
        part.replace(path)
    except OSError as error:
        raise Rejected(f"cannot write {path}: {error.strerror or error}") from error
    return digest, size


async def sessions(database: Database, wanted: Wanted) -> list[Session]:
    """Return the sessions that touch the wanted time.

    Raises:
        Rejected: there is none.
    """
    found = await recorded.sessions(database, wanted)
    if not found:
        raise Rejected(
            f"no journal of {', '.join(wanted.accounts)} in that time: journals are kept for the "
            "days that RECIO_SYSTEM_MONITOR_JOURNAL_DAYS says"
        )
    return found


def of_file(path: Path, tell: Tell) -> Iterator[Frame]:
    """Yield the frames of a file; ``tell`` gets bytes.

    Raises:
        Rejected: the file cannot be read.
        InvalidValue: as ``export.frames``.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            for frame in export.frames(file.read):
                yield frame
                tell(file.tell(), size)
    except OSError as error:
        raise Rejected(f"cannot read {path}: {error.strerror or error}") from error


def _artefact(kind: str, name: str, body: bytes) -> Artefact:
    return Artefact(kind=kind, name=name, sha256=hashlib.sha256(body).hexdigest(), body=body)
