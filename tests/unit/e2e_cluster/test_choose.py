"""Which cluster the end-to-end tests use."""

import pytest
from tests.e2e.cluster import choose
from tests.e2e.cluster.choose import Choice, decide


def there(*found):
    """Return probes that find exactly these."""
    return {kind: lambda kind=kind: kind in found for kind in (Choice.KIND, Choice.K3S)}


@pytest.mark.parametrize("told", list(Choice))
def test_what_was_told_is_used_without_looking(told):
    """A user's word needs no probing."""

    def refuse():
        raise AssertionError("asked for nothing")

    assert decide(told.value, {Choice.KIND: refuse, Choice.K3S: refuse}) is told


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ((Choice.KIND, Choice.K3S), Choice.KIND),
        ((Choice.KIND,), Choice.KIND),
        ((Choice.K3S,), Choice.K3S),
        ((), Choice.SOURCE),
    ],
)
@pytest.mark.parametrize("told", [None, ""])
def test_without_a_word_the_first_that_is_there(told, found, chosen):
    """Kind before k3s before source packages; the current cluster never."""
    assert decide(told, there(*found)) is chosen


def test_k3s_is_not_asked_for_when_kind_is_there():
    """Asking takes time, and may ask for a password."""

    def refuse():
        raise AssertionError("asked for nothing")

    assert decide(None, {Choice.KIND: lambda: True, Choice.K3S: refuse}) is Choice.KIND


def test_an_unknown_kind_is_refused_with_the_list():
    """A typing error must not end in somebody's current cluster."""
    with pytest.raises(ValueError, match="current, kind, k3s, source; received minikube"):
        decide("minikube", there())


def test_images_are_not_pushed_into_the_current_cluster(tmp_path):
    """Only its owner knows how images get there; the message says what is expected."""
    with pytest.raises(choose.CommandFailed, match="in a registry that the cluster can reach"):
        choose.CurrentCluster().load(tmp_path / "recio.tar")


@pytest.mark.parametrize("kind", list(Choice))
def test_the_variable_decides(monkeypatch, kind):
    """The environment's word is what is made."""
    monkeypatch.setenv(choose.VARIABLE, kind.value)
    assert type(choose.chosen()).__name__.lower() == f"{kind.value}cluster"
