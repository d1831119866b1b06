"""The page's files: compressed, immutable where the name holds a hash."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from recio.apps.main_app.assets import Assets


@pytest.fixture
def folder(tmp_path):
    """A build of two files."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "app-0a1b.js.gz").write_bytes(gzip.compress(b"let a"))
    (tmp_path / "index.html.gz").write_bytes(gzip.compress(b"<p>page"))
    return tmp_path


def ask(assets: Assets, path: str, encoding: bytes = b"gzip, br"):
    """Ask for a path; return headers and body, or None."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"path": path, "method": "GET", "headers": [(b"accept-encoding", encoding)]}
    if not asyncio.run(assets.answer(scope, send)):
        return None
    return dict(sent[0]["headers"]), sent[1]["body"]


def test_a_hashed_file_is_kept_for_ever(folder):
    """Its name changes with its content."""
    headers, body = ask(Assets(folder), "/assets/app-0a1b.js")
    assert b"immutable" in headers[b"cache-control"]
    assert headers[b"content-encoding"] == b"gzip"
    assert gzip.decompress(body) == b"let a"


def test_the_page_is_asked_for_each_time(folder):
    """Otherwise a new release would not be seen."""
    headers, _ = ask(Assets(folder), "/")
    assert headers[b"cache-control"] == b"no-cache"


def test_a_client_without_gzip_gets_it_plain(folder):
    """No content-encoding then."""
    headers, body = ask(Assets(folder), "/index.html", b"")
    assert b"content-encoding" not in headers
    assert body == b"<p>page"


@pytest.mark.parametrize("path", ["/assets/../index.html", "/assets/", "/etc/passwd", "/index"])
def test_nothing_else_is_served(folder, path):
    """Files are looked up by name in memory; no path is ever opened."""
    assert ask(Assets(folder), path) is None


def test_without_a_build_the_page_says_how_to_make_one(tmp_path):
    """A checkout without Node.js still answers."""
    assets = Assets(tmp_path)
    assert not assets.is_built
    assert b"make ui" in ask(assets, "/", b"")[1]
