"""The image's bill of materials: complete, the same for the same inputs, silent about addresses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / "images" / "sbom.py"

REPORT = {
    "install": [
        {
            "metadata": {"name": "Some_Library"},
            "download_info": {
                "url": "https://user:word@mirror.example/some_library.whl",
                "archive_info": {"hash": "sha256=aa", "hashes": {"sha256": "aa" * 32}},
            },
        },
        {
            "metadata": {"name": "old"},
            "download_info": {"archive_info": {"hash": "sha256=" + "bb" * 32}},
        },
    ]
}
STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10
Description: a library
 that has: a colon

Package: gone
Status: deinstall ok not-installed
Version: 1
"""


@pytest.fixture
def image(tmp_path):
    """Lay out what a build stage has: an environment, a report, a wheel, dpkg's database."""
    site = tmp_path / "library" / "lib" / "python3.11" / "site-packages"
    for name, version, more in (
        ("some_library", "1.2", "License-Expression: MIT OR Apache-2.0"),
        ("old", "3", "Classifier: License :: OSI Approved :: BSD License"),
    ):
        folder = site / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{more}\n", encoding="utf-8"
        )
    (tmp_path / "report.json").write_text(json.dumps(REPORT), encoding="utf-8")
    (tmp_path / "recio-0.1.0-py3-none-any.whl").write_bytes(b"wheel")
    (tmp_path / "dpkg").mkdir()
    (tmp_path / "dpkg" / "status").write_text(STATUS, encoding="utf-8")
    (tmp_path / "os-release").write_text(
        'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n', encoding="utf-8"
    )
    return tmp_path


def written(image):
    """Run the program as the build does."""
    words = [
        sys.executable, str(PROGRAM), "--library", image / "library",
        "--report", image / "report.json", "--wheel", image / "recio-0.1.0-py3-none-any.whl",
        "--dpkg", image / "dpkg", "--os-release", image / "os-release", "--revision", "abc",
    ]  # fmt: skip
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"SOURCE_DATE_EPOCH": "1"},
    )


def test_it_lists_python_packages_with_hash_and_licence(image):
    """Hashes are those of the wheels that pip verified, licences those of the metadata."""
    done = written(image)
    assert done.returncode == 0, done.stderr
    parts = {part["name"]: part for part in json.loads(done.stdout)["components"]}
    assert parts["some-library"]["hashes"] == [{"alg": "SHA-256", "content": "aa" * 32}]
    assert parts["some-library"]["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert parts["old"]["hashes"] == [{"alg": "SHA-256", "content": "bb" * 32}]
    assert parts["old"]["licenses"] == [{"license": {"name": "BSD License"}}]


def test_it_lists_the_base_and_only_what_is_installed_there(image):
    """What dpkg remembers of a removed package is not in the image."""
    document = json.loads(written(image).stdout)
    parts = {part["name"]: part for part in document["components"]}
    assert "gone" not in parts
    purl = "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12"
    assert parts["libc6"]["purl"] == purl
    assert parts["debian"]["type"] == "operating-system"
    assert document["metadata"]["component"]["name"] == "recio"
    assert document["metadata"]["timestamp"] == "1970-01-01T00:00:01+00:00"


def test_the_same_inputs_give_the_same_bytes(image):
    """It is part of a layer, and layers are compared."""
    assert written(image).stdout == written(image).stdout


def test_it_names_no_address(image):
    """A wheel may come from a private mirror, with a password in its address."""
    assert "mirror.example" not in written(image).stdout
    assert "word" not in written(image).stdout


def test_a_package_that_no_lock_file_named_is_refused(image):
    """Otherwise something else than the lock file would decide what is in the image."""
    report = {"install": REPORT["install"][:1]}
    (image / "report.json").write_text(json.dumps(report), encoding="utf-8")
    done = written(image)
    assert done.returncode == 1
    assert done.stderr == "sbom: old is installed, but not from the lock file: run make lock\n"


def test_a_licence_text_is_no_licence_name(image):
    """Some packages put the whole text where the name should be."""
    (path,) = image.glob("library/lib/python3.11/site-packages/old*/METADATA")
    text = "Metadata-Version: 2.1\nName: old\nVersion: 3\nLicense: " + "Permission is granted " * 9
    path.write_text(text, encoding="utf-8")
    parts = {part["name"]: part for part in json.loads(written(image).stdout)["components"]}
    assert "licenses" not in parts["old"]
