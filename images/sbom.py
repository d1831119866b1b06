# ruff: noqa: INP001, T201  (a program, no package)
"""Writes what an image holds as CycloneDX 1.6: Python packages, and the base's Debian packages.

Runs while the image is built, from what was really installed: pip's report gives the sha256 of each
wheel, the installed metadata its licence, dpkg's database the packages of the base. The same inputs
give the same bytes: no clock, no chance, everything sorted. Addresses that wheels were fetched from
are left out, since they may name a private mirror. Refused: an installed package that the report
does not know, because then the lock file did not decide what is in the image.

Format: https://cyclonedx.org/docs/1.6/json/ (read November 2026).
Standard library only, because it runs in a build stage.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

Component = dict[str, Any]

LONGEST_LICENCE_NAME: Final = 80
"""What is longer in the field ``License`` is the licence's text, not its name."""
_NAMESPACE: Final = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
_CLASSIFIER: Final = "License :: OSI Approved :: "


def main() -> int:
    """Print the bill of materials of the folders and files that the words name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, required=True, help="environment with the wheels")
    parser.add_argument("--report", type=Path, required=True, help="pip's report of installing it")
    parser.add_argument("--wheel", type=Path, required=True, help="our own wheel")
    parser.add_argument("--dpkg", type=Path, required=True, help="/var/lib/dpkg of the base")
    parser.add_argument(
        "--os-release", type=Path, required=True, help="/etc/os-release of the base"
    )
    parser.add_argument("--revision", default="unknown", help="the commit")
    given = parser.parse_args()
    hashes = wheel_hashes(json.loads(given.report.read_text(encoding="utf-8")))
    base = os_release(given.os_release.read_text(encoding="utf-8"))
    components = [
        *python_components(given.library, hashes),
        operating_system(base),
        *debian_components(given.dpkg, base),
    ]
    document = bill(product(given.wheel, given.revision), components, epoch())
    json.dump(document, sys.stdout, indent=1, sort_keys=True)
    print()
    return 0


def epoch() -> int:
    """Return the time of the build, which is the commit's."""
    return int(os.environ.get("SOURCE_DATE_EPOCH", "0"))  # noqa: TID251  (a build tool, no service)


def bill(subject: Component, components: list[Component], epoch_s: int) -> dict[str, Any]:
    """Return the whole document."""
    ordered = sorted(components, key=lambda part: (part["type"], part["name"], part["version"]))
    content = json.dumps([subject, ordered], sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, content)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch_s, UTC).isoformat(),
            "component": subject,
        },
        "components": ordered,
    }


def product(wheel: Path, revision: str) -> Component:
    """Return the component that the image is made for."""
    name, version = wheel.name.split("-")[:2]
    return {
        "type": "application",
        "bom-ref": f"pkg:pypi/{name}@{version}",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}],
        "properties": [{"name": "recio:revision", "value": revision}],
    }


def wheel_hashes(report: dict[str, Any]) -> dict[str, str]:
    """Return the sha256 of each installed wheel by the package's name."""
    found = {}
    for item in report["install"]:
        archive = item["download_info"]["archive_info"]
        digest = archive.get("hashes", {}).get("sha256") or archive["hash"].partition("=")[2]
        found[canonical(item["metadata"]["name"])] = digest
    return found


def python_components(library: Path, hashes: dict[str, str]) -> Iterator[Component]:
    """Yield one component for each installed Python package.

    Raises:
        SystemExit: a package is installed that pip's report does not know.
    """
    folders = [str(path) for path in library.glob("lib/python3*/site-packages")]
    for found in distributions(path=folders):
        name = canonical(found.metadata["Name"])
        if name not in hashes:
            raise SystemExit(
                f"sbom: {name} is installed, but not from the lock file: run make lock"
            )
        reference = f"pkg:pypi/{name}@{found.version}"
        yield {
            "type": "library",
            "bom-ref": reference,
            "name": name,
            "version": found.version,
            "purl": reference,
            "hashes": [{"alg": "SHA-256", "content": hashes[name]}],
            **licences(found),
        }


def licences(found: Distribution) -> dict[str, Any]:
    """Return what the metadata says: an SPDX expression, else a name, else nothing."""
    told = found.metadata
    for expression in told.get_all("License-Expression") or []:
        return {"licenses": [{"expression": expression}]}
    names = [
        line.removeprefix(_CLASSIFIER)
        for line in told.get_all("Classifier") or []
        if line.startswith(_CLASSIFIER)
    ]
    own = "".join(told.get_all("License") or []).strip()
    if not names and own and len(own) <= LONGEST_LICENCE_NAME:
        names = [own]
    return {"licenses": [{"license": {"name": name}} for name in names]} if names else {}


def os_release(text: str) -> dict[str, str]:
    """Return the fields of /etc/os-release."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key: value.strip('"') for key, _, value in pairs}


def operating_system(base: dict[str, str]) -> Component:
    """Return the base's distribution as a component."""
    name, version = base.get("ID", "unknown"), base.get("VERSION_ID", "unknown")
    return {
        "type": "operating-system",
        "bom-ref": f"os:{name}@{version}",
        "name": name,
        "version": version,
        "description": base.get("PRETTY_NAME", name),
    }


def debian_components(dpkg: Path, base: dict[str, str]) -> Iterator[Component]:
    """Yield one component for each installed Debian package."""
    files = [dpkg / "status", *sorted((dpkg / "status.d").glob("*"))]
    vendor = base.get("ID", "debian")
    release = f"{vendor}-{base['VERSION_ID']}" if "VERSION_ID" in base else vendor
    for path in files:
        if not path.is_file() or path.suffix == ".md5sums":
            continue
        for stanza in path.read_text(encoding="utf-8").split("\n\n"):
            fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", stanza, re.MULTILINE))
            if "Package" in fields and "not-installed" not in fields.get("Status", ""):
                yield debian_component(fields, vendor, release)


def debian_component(fields: dict[str, str], vendor: str, release: str) -> Component:
    """Return the component of one stanza of dpkg's database."""
    name, version = fields["Package"], fields["Version"]
    architecture = fields.get("Architecture", "all")
    purl = f"pkg:deb/{vendor}/{quote(name)}@{quote(version)}?arch={architecture}&distro={release}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def canonical(name: str) -> str:
    """Return a package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
