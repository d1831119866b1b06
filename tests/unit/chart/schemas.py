"""JSON schemas of every kind that the chart makes, strict: a field that nobody knows is refused.

Those of Kubernetes come from a real API server's own description, those of custom resources from
their definitions: ours, CloudNativePG's, the Barman plugin's. Kept in the cache for each version.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from tests.e2e.cluster import binaries, paths
from tests.e2e.cluster.control_plane import ControlPlane
from tests.unit.chart import rendering

Schema = dict[str, Any]

LOCATION: Final = "{{ .ResourceKind }}_{{ .Group }}_{{ .ResourceAPIVersion }}.json"
SKIPPED: Final = ("PodMonitor", "PrometheusRule")
"""The Prometheus operator's: its definitions are in no module that we build anything from."""
_REFERENCE: Final = "#/definitions/"


def directory() -> Path:
    """Return the folder with all schemas, made if it is missing."""
    version = binaries.TOOLS["kube-apiserver"].version()
    made = paths.cache() / f"chart-schemas-{version}"
    if not (made / "done").exists():
        made.mkdir(parents=True, exist_ok=True)
        _write_kubernetes(made)
        (made / "done").touch()
    _write_custom(made)
    return made


def _write_kubernetes(made: Path) -> None:
    kubectl = binaries.ensure("kubectl")["kubectl"]
    with ControlPlane() as plane:
        said = subprocess.run(
            [str(kubectl), "--kubeconfig", str(plane.kubeconfig), "get", "--raw", "/openapi/v2"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    found: dict[str, Schema] = json.loads(said)["definitions"]
    definitions = {name: strict(one) for name, one in found.items()}
    for name, one in found.items():
        for kind in one.get("x-kubernetes-group-version-kind", []):
            path = made / _file(kind["kind"], kind["group"], kind["version"])
            used = {each: definitions[each] for each in _reached(name, definitions)}
            whole = {"allOf": [{"$ref": f"{_REFERENCE}{name}"}], "definitions": used}
            path.write_text(json.dumps(whole))


def _reached(name: str, definitions: dict[str, Schema]) -> set[str]:
    """Return a definition and all that it refers to."""
    found, waiting = set(), [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += re.findall(r"#/definitions/([\w.-]+)", json.dumps(definitions[one]))
    return found


def _write_custom(made: Path) -> None:
    for definition in _custom():
        spec = definition["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"] |= {"metadata": {"type": "object"}}
            path = made / _file(spec["names"]["kind"], spec["group"], version["name"])
            path.write_text(json.dumps(schema))


def _custom() -> Iterator[Schema]:
    folders = [rendering.CHART / "files" / "crds"]
    folders += [
        binaries.source_of(name) / "config" / "crd" / "bases"
        for name in ("cloudnative-pg", "plugin-barman-cloud")
    ]
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            yield from yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader)


def _file(kind: str, group: str, version: str) -> str:
    # kubeconform takes the version for the group where there is none.
    return f"{kind.lower()}_{group or version}_{version}.json"


def strict(schema: Any) -> Any:
    """Return a schema that refuses fields which it does not name, in JSON Schema's own words."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    made = {name: strict(one) for name, one in schema.items() if name != "format"}
    named = isinstance(made.get("properties"), dict) and made.get("type", "object") == "object"
    is_open = made.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in made
    if named and not is_open:
        made["additionalProperties"] = False
    return made
