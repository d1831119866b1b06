"""Before anything is installed: what a cluster without CloudNativePG is told."""

from __future__ import annotations

import pytest
from tests.e2e.cluster.shell import CommandFailed
from tests.e2e.kubernetes.helm import Release
from tests.e2e.kubernetes.kubectl import Kubectl


@pytest.mark.core
@pytest.mark.usefixtures("without_cnpg")
def test_without_cloudnativepg_the_install_stops_with_one_clear_line(values):
    """It names what is missing and the command that mends it, and has made nothing."""
    kubectl = Kubectl("recio-e2e-empty")
    release = Release(kubectl, values)
    with pytest.raises(CommandFailed) as told:
        release.install()
    (line,) = [text for text in str(told.value).splitlines() if text.startswith("Error:")]
    assert "CloudNativePG" in line
    assert "kubectl apply" in line or "docs/install.md" in line
    assert not release.is_there()


def test_a_typo_in_the_values_is_refused(values):
    """values.schema.json names the unknown key before anything happens."""
    release = Release(Kubectl("recio-e2e-empty"), values)
    with pytest.raises(CommandFailed, match="replicass"):
        release.install(replicass=2)
