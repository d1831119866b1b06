"""Image archives in the OCI layout, written without a container engine.

An image here is a stack of tar layers and a few words of configuration: files from this machine
make one layer, a Debian tree another. Same input, same bytes: times and owners are fixed.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a container of the image is started as."""

    user: str = "0:0"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    folder: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Blob:
    """A part of an archive: bytes or a file, and its digest."""

    digest: str
    size_bytes: int
    content: bytes | Path


def write_archive(path: Path, name: str, layers: Sequence[Path], config: Config) -> None:
    """Write an OCI archive that holds one image.

    Args:
        path: the archive; replaced if it is there.
        name: the image's full name with its tag.
        layers: uncompressed tar files, lowest first.
        config: how it is started.
    """
    parts = [_of_file(layer) for layer in layers]
    described = _of_json(_image_config(config, [part.digest for part in parts]))
    manifest = _of_json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, described),
            "layers": [_descriptor(_LAYER, part) for part in parts],
        }
    )
    entry = _descriptor(_MANIFEST, manifest) | {
        "annotations": {
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": name.rpartition(":")[2],
        }
    }
    unfinished = path.with_suffix(".unfinished")
    with tarfile.open(unfinished, "w") as archive:
        _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(archive, "index.json", _json({"schemaVersion": 2, "manifests": [entry]}))
        for blob in {part.digest: part for part in [*parts, described, manifest]}.values():
            _add(archive, f"blobs/sha256/{blob.digest.partition(':')[2]}", blob.content)
    unfinished.rename(path)


def write_layer(path: Path, files: Mapping[str, Path | bytes]) -> None:
    """Write a layer of executable files that anybody may read, by their path in the image."""
    with tarfile.open(path, "w") as layer:
        for folder in sorted(_folders(files)):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            layer.addfile(info)
        for name, content in sorted(files.items()):
            _add(layer, name.lstrip("/"), content, mode=0o755)


def _folders(files: Mapping[str, Path | bytes]) -> set[str]:
    parents = {parent for name in files for parent in Path(name.lstrip("/")).parents}
    return {str(parent) for parent in parents} - {"."}


def _image_config(config: Config, layers: list[str]) -> dict[str, object]:
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "User": config.user,
            "Entrypoint": list(config.entrypoint),
            "Cmd": list(config.command),
            "WorkingDir": config.folder,
            "Env": [f"{name}={value}" for name, value in config.environment.items()],
        },
        "rootfs": {"type": "layers", "diff_ids": layers},
        # buildah stands nothing on an image that does not tell where each layer comes from.
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "recio"} for _ in layers],
    }


def _descriptor(media_type: str, blob: _Blob) -> dict[str, object]:
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size_bytes}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _of_json(value: object) -> _Blob:
    content = _json(value)
    return _Blob(f"sha256:{hashlib.sha256(content).hexdigest()}", len(content), content)


def _of_file(path: Path) -> _Blob:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return _Blob(f"sha256:{digest.hexdigest()}", path.stat().st_size, path)


def _add(archive: tarfile.TarFile, name: str, content: bytes | Path, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.mode = mode
    if isinstance(content, bytes):
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
        return
    info.size = content.stat().st_size
    with content.open("rb") as file:
        archive.addfile(info, file)
