"""API keys from a directory as Kubernetes mounts a Secret: ``<owner>/key-id``, ``<owner>/private-key``.

The owner is an account, or ``market`` for the environment's read key. Files are read when asked
for, so that a rotated key is found by the next connection. Nothing here is ever logged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from recio.domain.errors import Broken

MARKET: Final = "market"
_KEY_ID: Final = "key-id"
_PRIVATE_KEY: Final = "private-key"
_KEY_ID_LINE: Final = b"Key-Id:"


@dataclass(frozen=True, slots=True)
class Credentials:
    """One API key."""

    key_id: str = field(repr=False)
    private_key: bytes = field(repr=False)


def read(directory: str, owner: str) -> Credentials:
    """Return the key of an account or of the market reader.

    Raises:
        Broken: no directory was set, or a file is missing or empty; the message names it.
    """
    if not directory:
        raise Broken("expected RECIO_CREDENTIALS_DIR, the directory of the API keys")
    folder = Path(directory) / owner
    key_id = _content(folder / _KEY_ID).decode(errors="replace").strip()
    return Credentials(key_id, _content(folder / _PRIVATE_KEY))


def read_at(path: Path) -> Credentials:
    """Return the key of a directory, or of the file that `recio exchange --key-out` wrote.

    Raises:
        Broken: nothing is there, or no key id; the message names the file.
    """
    if not path.is_file():
        return read(str(path.parent), path.name)
    content = _content(path)
    first, _, _ = content.partition(b"\n")
    if not first.startswith(_KEY_ID_LINE):
        raise Broken(
            f"expected `{_KEY_ID_LINE.decode()} …` in the first line of {path}, as "
            f"`recio exchange --key-out` writes it, or a directory with {_KEY_ID} and {_PRIVATE_KEY}"
        )
    key_id = first.removeprefix(_KEY_ID_LINE).decode(errors="replace").strip()
    return Credentials(key_id, content)


def write(directory: Path, owner: str, credentials: Credentials) -> None:
    """Write a key where ``read`` finds it, for nobody else to read."""
    folder = directory / owner
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, content in (
        (_KEY_ID, credentials.key_id.encode()),
        (_PRIVATE_KEY, credentials.private_key),
    ):
        path = folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)


def has(directory: Path, owner: str) -> bool:
    """Whether there is a key."""
    return (directory / owner / _KEY_ID).exists() and (directory / owner / _PRIVATE_KEY).exists()


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Broken(f"expected an API key in {path}: {error.strerror}") from error
    if not content.strip():
        raise Broken(f"expected an API key in {path}, received an empty file")
    return content
