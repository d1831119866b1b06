"""kubectl as the tests use it: objects as mappings, failures with kubectl's own words.

It finds its cluster and its program as a person's shell would: ``KUBECONFIG`` and ``PATH``, which
the test cluster sets for whatever it runs.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.e2e.cluster import shell
from tests.e2e.cluster.shell import CommandFailed

Object = dict[str, Any]

FORWARD_SECONDS: Final = 20.0
_FORWARDING: Final = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


@dataclass(frozen=True, slots=True)
class Kubectl:
    """The cluster as seen from one namespace."""

    namespace: str

    def run(self, *words: str, given: str | None = None, seconds: float = 60.0) -> str:
        """Run kubectl and return what it printed.

        Raises:
            CommandFailed: it said no; the message holds its words.
        """
        command = ["kubectl", "--namespace", self.namespace, *words]
        return shell.run(command, given=given, timeout_seconds=seconds)

    def refusal(self, *words: str, given: str | None = None) -> str:
        """Run a command that must be refused and return the reason."""
        try:
            said = self.run(*words, given=given)
        except CommandFailed as error:
            return str(error)
        raise AssertionError(f"expected kubectl {' '.join(words)} to be refused; it said {said}")

    def get(self, kind: str, name: str) -> Object | None:
        """Return an object, or None if there is none."""
        said = self.run("get", kind, name, "--ignore-not-found", "--output", "json")
        return json.loads(said) if said.strip() else None

    def one(self, kind: str, name: str) -> Object:
        """Return an object that must be there."""
        found = self.get(kind, name)
        assert found is not None, f"expected {kind} {name} in {self.namespace}; there is none"
        return found

    def list(self, kind: str, selector: str = "") -> list[Object]:
        """Return the objects of a kind that a label selector chooses."""
        chosen = ["--selector", selector] if selector else []
        items: list[Object] = json.loads(self.run("get", kind, *chosen, "--output", "json"))[
            "items"
        ]
        return items

    def names(self, kind: str, selector: str = "") -> set[str]:
        """Return the names of the objects that a label selector chooses."""
        return {item["metadata"]["name"] for item in self.list(kind, selector)}

    def apply(self, *documents: Mapping[str, Any]) -> str:
        """Apply documents as a person does."""
        return self.run("apply", "--filename", "-", given=_as_text(documents))

    def refused(self, document: Mapping[str, Any]) -> str:
        """Apply a document that admission must refuse, and return its words."""
        return self.refusal("apply", "--filename", "-", given=_as_text((document,)))

    def patch(self, kind: str, name: str, body: Mapping[str, Any]) -> None:
        """Change some fields of an object."""
        self.run("patch", kind, name, "--type", "merge", "--patch", json.dumps(body))

    def annotate(self, kind: str, name: str, annotation: str) -> None:
        """Set (``name=value``) or take away (``name-``) an annotation."""
        self.run("annotate", "--overwrite", kind, name, annotation)

    def delete(self, kind: str, name: str, *, waits: bool = False, seconds: float = 60.0) -> None:
        """Ask for the deletion of an object."""
        words = ["--ignore-not-found", f"--wait={str(waits).lower()}"]
        self.run("delete", kind, name, *words, seconds=seconds)

    def kill_pod(self, name: str) -> None:
        """Remove a pod without waiting for its process, as a lost machine does."""
        self.run("delete", "pod", name, "--grace-period=0", "--force", "--wait=false")

    def execute(self, pod: str, container: str, *words: str, given: str | None = None) -> str:
        """Run a command in a container."""
        stdin = ["--stdin"] if given is not None else []
        return self.run("exec", pod, *stdin, "--container", container, "--", *words, given=given)

    @contextlib.contextmanager
    def forward(self, target: str, port: int) -> Iterator[int]:
        """Forward a free local port to a pod or a service while the block runs; gives the port."""
        process = subprocess.Popen(
            ["kubectl", "--namespace", self.namespace, "port-forward", target, f":{port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield _forwarded_port(process)
        finally:
            process.kill()
            process.communicate()


def _as_text(documents: tuple[Mapping[str, Any], ...]) -> str:
    # A list of one kind or many: JSON is YAML.
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)})


def _forwarded_port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        found = _FORWARDING.search(line)
        if found:
            return int(found[1])
    raise CommandFailed(f"kubectl port-forward ended: {''.join(said)}")
