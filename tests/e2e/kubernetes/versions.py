"""What the tests ran on."""

from __future__ import annotations

import json

from tests.e2e.cluster import images, shell


def versions() -> dict[str, str]:
    """Return the versions of the cluster's parts."""
    server = json.loads(shell.run(["kubectl", "version", "--output", "json"]))["serverVersion"]
    known = images.all_images()
    return {
        "kubernetes": server["gitVersion"],
        "helm": shell.run(["helm", "version", "--short"]).strip(),
        "cloudnative-pg": known["cloudnative-pg"].tag,
        "postgresql": known["postgresql"].tag,
        "pgbouncer": known["pgbouncer"].tag,
    }
