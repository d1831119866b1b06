"""The page's own files, held in memory and sent compressed.

``ui/build.mjs`` writes them gzipped, with a hash in each name but the page's own: those may be
kept for ever, the page is asked for again each time. Without a build the page says how to make one.
"""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
    ".webmanifest": b"application/manifest+json",
}
_FOR_EVER: Final = b"public, max-age=31536000, immutable"
_EACH_TIME: Final = b"no-cache"
_NOT_BUILT: Final = (
    b"<!doctype html><meta charset=utf-8><title>REC.IO</title>"
    b"<p>The page is not built. Run <code>make ui</code>, then start again."
)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file in both encodings."""

    packed: bytes
    plain: bytes
    content_type: bytes
    caching: bytes


class Assets:
    """All files of one folder, by path."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._assets = {
            "/" + path.relative_to(folder).as_posix().removesuffix(".gz"): _load(path)
            for path in sorted(folder.rglob("*.gz"))
        }
        page = self._assets.get("/index.html")
        self._assets["/"] = page or Asset(
            gzip.compress(_NOT_BUILT, mtime=0), _NOT_BUILT, _TYPES[".html"], _EACH_TIME
        )

    @property
    def is_built(self) -> bool:
        """Whether there is a page to show."""
        return "/index.html" in self._assets

    async def answer(
        self,
        scope: MutableMapping[str, Any],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> bool:
        """Send the file that the path names; False: there is none."""
        asset = self._assets.get(scope["path"])
        if asset is None:
            return False
        is_packed = any(
            key == b"accept-encoding" and b"gzip" in value for key, value in scope["headers"]
        )
        body = asset.packed if is_packed else asset.plain
        headers = [
            (b"content-type", asset.content_type),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", asset.caching),
            (b"vary", b"accept-encoding"),
        ]
        if is_packed:
            headers.append((b"content-encoding", b"gzip"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send(
            {"type": "http.response.body", "body": body if scope["method"] == "GET" else b""}
        )
        return True


def _load(path: Path) -> Asset:
    packed = path.read_bytes()
    name = Path(path.stem)
    caching = _FOR_EVER if path.parent.name == "assets" else _EACH_TIME
    return Asset(
        packed,
        gzip.decompress(packed),
        _TYPES.get(name.suffix, b"application/octet-stream"),
        caching,
    )
