"""One Helm release of the chart: install, upgrade, roll back, uninstall."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.e2e.cluster import paths, shell
from tests.e2e.kubernetes.kubectl import Kubectl

CHART: Final = paths.REPOSITORY / "charts" / "recio"
SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Release:
    """A release by name in its namespace, with the values that this cluster needs."""

    kubectl: Kubectl
    values: Mapping[str, Any]
    name: str = "recio"

    @property
    def fullname(self) -> str:
        """What the release's objects are called after."""
        return self.name if "recio" in self.name else f"{self.name}-recio"

    def install(self, *words: str, **changed: Any) -> str:
        """Install the chart; raises ``CommandFailed`` with Helm's words if it may not be."""
        created = ["--create-namespace"]
        return self._helm("install", self.name, str(CHART), *created, *words, **changed)

    def upgrade(self, *words: str, **changed: Any) -> str:
        """Upgrade the release to the chart as it is, with some values changed."""
        return self._helm("upgrade", self.name, str(CHART), *words, **changed)

    def rollback(self, revision: int) -> str:
        """Go back to a revision."""
        return self._run("rollback", self.name, str(revision))

    def uninstall(self, *words: str) -> str:
        """Uninstall the release."""
        return self._run("uninstall", self.name, *words)

    def test(self) -> str:
        """Run the chart's own tests."""
        return self._run("test", self.name, "--logs")

    def revision(self) -> int:
        """Return the revision that is deployed."""
        history = json.loads(self._run("history", self.name, "--output", "json"))
        return max(int(one["revision"]) for one in history)

    def is_there(self) -> bool:
        """Tell whether the release is installed."""
        said = json.loads(self._run("list", "--all", "--output", "json"))
        return any(one["name"] == self.name for one in said)

    def _helm(self, *words: str, **changed: Any) -> str:
        values = json.dumps(_nested(self.values, changed))
        return self._run(*words, "--values", "-", given=values)

    def _run(self, *words: str, given: str | None = None) -> str:
        command = ["helm", "--namespace", self.kubectl.namespace, *words]
        return shell.run(command, given=given, timeout_seconds=SECONDS)


def _nested(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(base)
    for name, value in changes.items():
        old = made.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        made[name] = _nested(old, value) if both else value
    return made
