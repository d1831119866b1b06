"""Speaking to a real API server: one request, one answer, nothing hidden.

Documents go as they are and answers come as they are; an answer that says no is a value, because
most tests are about being refused.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from kubernetes import client, config

from recio_operator.kube import KINDS, Kind

Object = dict[str, Any]

JSON: Final = "application/json"
MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY: Final = "application/apply-patch+yaml"
CRDS_PATH: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PATIENCE_S: Final = 60.0
_FIRST_ERROR: Final = 400


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    body: Object

    @property
    def is_ok(self) -> bool:
        """Whether it said yes."""
        return self.status < _FIRST_ERROR

    @property
    def text(self) -> str:
        """Return its message; empty for an object."""
        return str(self.body.get("message", ""))

    @property
    def fields(self) -> set[str]:
        """Return the fields that it refuses."""
        causes = self.body.get("details", {}).get("causes", [])
        return {cause.get("field", "") for cause in causes}

    def expect(self) -> Object:
        """Return the object; the test fails with the server's words if it said no."""
        assert self.is_ok, f"{self.status} {self.text}"
        return self.body


class Server:
    """An API server, as the user of a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        settings = client.Configuration()
        config.load_kube_config(str(kubeconfig), client_configuration=settings)
        settings.proxy = None  # it is on this machine
        self._api = client.ApiClient(settings)
        self._host = settings.host

    def close(self) -> None:
        """Close the connections."""
        self._api.rest_client.close()

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = JSON,
        accept: str = JSON,
        **query: str,
    ) -> Answer:
        """Send one request; ``query`` as the API names it."""
        target = f"{self._host}{path}{'?' + urlencode(query) if query else ''}"
        headers = {"Accept": accept, "Content-Type": content_type}
        answer = self._api.call_api(method, target, headers, body, _request_timeout=PATIENCE_S)
        return Answer(answer.status, _decoded(answer.read() or b"{}"))

    def define(self, definition: Object) -> None:
        """Apply a custom resource definition and wait until it is served."""
        name, spec = definition["metadata"]["name"], definition["spec"]
        path = f"{CRDS_PATH}/{name}"
        self.request(
            "PATCH", path, definition, content_type=APPLY, fieldManager="test", force="true"
        ).expect()
        served = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        eventually(lambda: self.request("GET", served).is_ok, f"{name} is served")


def _decoded(content: bytes) -> Object:
    try:
        found: Object = json.loads(content)
    except ValueError:  # a path that is not served is answered in plain text
        found = {"message": content.decode(errors="replace")}
    return found


class Objects:
    """The objects of one namespace."""

    def __init__(self, server: Server, namespace: str, kinds: dict[str, Kind] = KINDS) -> None:
        self.server = server
        self.namespace = namespace
        self._kinds = kinds

    def try_out(self, document: Object, *, validation: str = "Strict") -> Answer:
        """Create an object without keeping it: everything is checked, nothing is stored."""
        return self.create(document, dryRun="All", fieldValidation=validation)

    def create(self, document: Object, **query: str) -> Answer:
        """Create an object."""
        asked = {"fieldValidation": "Strict"} | query
        return self.server.request("POST", self._path(document["kind"]), document, **asked)

    def get(self, kind: str, name: str) -> Object:
        """Return an object that must be there."""
        return self.server.request("GET", self._path(kind, name)).expect()

    def merge(self, kind: str, name: str, patch: Object, *, part: str = "", **query: str) -> Answer:
        """Change an object as ``kubectl patch --type=merge`` does; ``part``: a subresource."""
        path = self._path(kind, name) + (f"/{part}" if part else "")
        return self.server.request("PATCH", path, patch, content_type=MERGE, **query)

    def replace(self, document: Object, **query: str) -> Answer:
        """Write an object anew, whole."""
        path = self._path(document["kind"], document["metadata"]["name"])
        return self.server.request("PUT", path, document, **query)

    def apply(
        self, document: Object, manager: str, *, part: str = "", force: bool = False
    ) -> Answer:
        """Apply a document on the server's side, in the name of a field manager."""
        path = self._path(document["kind"], document["metadata"]["name"])
        return self.server.request(
            "PATCH",
            path + (f"/{part}" if part else ""),
            document,
            content_type=APPLY,
            fieldManager=manager,
            force=str(force).lower(),
        )

    def _path(self, kind: str, name: str = "") -> str:
        return self._kinds[kind].path(self.namespace, name)


def eventually(is_so: Callable[[], bool], what: str) -> None:
    """Wait until something is so; the test fails if it is not within some seconds."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:.0f} s: {what}"
        time.sleep(0.05)
