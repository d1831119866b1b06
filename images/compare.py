# ruff: noqa: INP001, T201  (a program, no package)
"""Compares two OCI archives layer by layer and, where layers differ, file by file."""

import gzip
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

SHOWN: Final = 20


class Archive:
    """An OCI archive, opened to be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tar = tarfile.open(path)  # noqa: SIM115  (as long as the program)
        index = json.loads(self._read("index.json"))
        self.manifest_digest: str = index["manifests"][0]["digest"]
        self.manifest: dict[str, Any] = json.loads(self._blob(self.manifest_digest))
        self.config_digest: str = self.manifest["config"]["digest"]
        self.layers: list[str] = json.loads(self._blob(self.config_digest))["rootfs"]["diff_ids"]

    def entries(self, layer: int) -> dict[str, tuple[object, ...]]:
        """Return what a layer says of each path."""
        packed = self._blob(self.manifest["layers"][layer]["digest"])
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as tar:
            return {item.name: _facts(tar, item) for item in tar}

    def _blob(self, digest: str) -> bytes:
        return self._read(f"blobs/{digest.replace(':', '/')}")

    def _read(self, name: str) -> bytes:
        found = self._tar.extractfile(name)
        if found is None:
            raise SystemExit(f"compare: {self._path} has no {name}: expected an OCI archive")
        return found.read()


def _facts(tar: tarfile.TarFile, item: tarfile.TarInfo) -> tuple[object, ...]:
    file = tar.extractfile(item) if item.isreg() else None
    content = hashlib.sha256(file.read()).hexdigest() if file else item.linkname
    return item.type, oct(item.mode), item.uid, item.gid, item.mtime, content


def differences(first: Archive, second: Archive, layer: int) -> Iterator[str]:
    """Yield one line for each path that two layers hold differently."""
    one, two = first.entries(layer), second.entries(layer)
    for path in sorted(one.keys() | two.keys()):
        if one.get(path) != two.get(path):
            yield f"{path}: {one.get(path)} and {two.get(path)}"
    if list(one) != list(two) and one == two:
        yield "the same paths in another order"


def main() -> int:
    """Print what is equal; status 1 if a layer differs."""
    first, second = (Archive(Path(word)) for word in sys.argv[1:3])
    if len(first.layers) != len(second.layers):
        raise SystemExit("compare: the images have different numbers of layers")
    for number, (one, two) in enumerate(zip(first.layers, second.layers, strict=True)):
        print(f"    {'equal' if one == two else 'DIFFER'} layer {one}")
        if one != two:
            lines = list(differences(first, second, number))
            print("\n".join(f"        {line}" for line in lines[:SHOWN]))
            print(f"        {len(lines)} paths differ")
    print(f"    {'equal' if first.config_digest == second.config_digest else 'differ'} config")
    print(
        f"    {'equal' if first.manifest_digest == second.manifest_digest else 'differ'} manifest"
    )
    return first.layers != second.layers


if __name__ == "__main__":
    sys.exit(main())
