"""Image archives without a container engine."""

import hashlib
import io
import json
import tarfile

from tests.e2e.cluster.oci import Config, write_archive, write_layer


def written(folder, name="a"):
    """Return the path of an archive of two layers."""
    program = folder / f"{name}-program"
    program.write_bytes(b"\x7fELF")
    layers = [folder / f"{name}-{number}.tar" for number in (1, 2)]
    write_layer(layers[0], {"/etc/name": b"one"})
    write_layer(layers[1], {"/operator/manager": program, "/manager": program})
    path = folder / f"{name}.oci"
    write_archive(path, "recio.test/x:1", layers, Config(user="26:26", command=("/manager",)))
    return path


def contents(path):
    """Return every file of an archive."""
    with tarfile.open(path) as archive:
        return {info.name: archive.extractfile(info).read() for info in archive if info.isfile()}


def test_every_part_lies_under_its_own_digest(tmp_path):
    """A reader checks each part; one wrong byte and the image is refused."""
    files = contents(written(tmp_path))
    blobs = {name: data for name, data in files.items() if name.startswith("blobs/")}
    assert len(blobs) == 4
    for name, data in blobs.items():
        assert name == f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"


def test_the_index_leads_to_the_image_and_its_name(tmp_path):
    """Containerd names the image by the annotation."""
    files = contents(written(tmp_path))
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == "recio.test/x:1"
    manifest = json.loads(files["blobs/sha256/" + entry["digest"].removeprefix("sha256:")])
    config = json.loads(
        files["blobs/sha256/" + manifest["config"]["digest"].removeprefix("sha256:")]
    )
    assert config["config"]["User"] == "26:26"
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]


def test_programs_can_be_run_by_anybody(tmp_path):
    """Pods run as users that no image knows."""
    write_layer(tmp_path / "l.tar", {"/operator/manager": b"x"})
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "l.tar").read_bytes())) as layer:
        modes = {info.name: info.mode for info in layer}
    assert modes == {"operator": 0o755, "operator/manager": 0o755}


def test_the_same_content_gives_the_same_bytes(tmp_path):
    """Times and owners of this machine stay out of it."""
    assert written(tmp_path, "a").read_bytes() == written(tmp_path, "b").read_bytes()
