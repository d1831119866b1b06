"""One release of the chart on a real cluster, shared by the tests; an account of its own for each.

    make e2e          the core: install, first trade, halt, deaths, upgrade, delete
    make e2e-all      everything

They need a cluster and half an hour, so they are collected only when asked for (``RECIO_E2E``:
``core``, ``all``, or ``some`` while one works on them). Everything runs in the cluster's network:
``python -m tests.e2e.cluster run -- pytest tests/e2e/kubernetes``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from tests.e2e import proof
from tests.e2e.cluster import addons, images, paths
from tests.e2e.cluster.cluster import Cluster
from tests.e2e.kubernetes import accounts, elsewhere, product_image
from tests.e2e.kubernetes.database import Books
from tests.e2e.kubernetes.figures import Figures
from tests.e2e.kubernetes.helm import Release
from tests.e2e.kubernetes.kubectl import Kubectl
from tests.e2e.kubernetes.machine import Node
from tests.e2e.kubernetes.system import System
from tests.e2e.kubernetes.trader import Trader
from tests.e2e.kubernetes.versions import versions
from tests.e2e.kubernetes.waiting import Stopwatch, wait_for

SUITE = paths.environment().get("RECIO_E2E", "")
NAMESPACE = "recio-e2e"
FIRST = ("test_empty_cluster.py", "test_install.py")
LAST = ("test_node.py", "test_backup.py", "test_uninstall.py")
MEASURED = Figures()
TREE = proof.tree_hash() if SUITE in proof.SUITES else ""
"""What the run began with: a proof of a tree that changed meanwhile would prove nothing."""

collect_ignore_glob = [] if SUITE else ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "core: part of `make e2e`, not of `make e2e-all` only")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not of the suite; what needs an empty cluster first, what ends it last."""
    if SUITE == "core":
        left_out = [
            item for item in items if _is_ours(item) and not item.get_closest_marker("core")
        ]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=_place)


def _is_ours(item: pytest.Item) -> bool:
    return item.path.parent == paths.HERE.parent / "kubernetes"


def _place(item: pytest.Item) -> int:
    name = item.path.name if _is_ours(item) else ""
    if name in FIRST:
        return FIRST.index(name) - len(FIRST)
    return LAST.index(name) + 1 if name in LAST else 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell a failure at once: the end of the run may be half an hour away."""
    report = yield
    if SUITE and report.failed:
        item.config.get_terminal_writer().line(f"\n{report.longreprtext}")
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Print what was measured; write the proof when a whole suite was green."""
    if not SUITE:
        return
    terminalreporter.section("measured")
    for line in MEASURED.lines():
        terminalreporter.write_line(line)
    is_whole = not (config.option.keyword or config.option.markexpr or config.option.collectonly)
    is_whole = is_whole and all("::" not in word and ".py" not in word for word in config.args)
    if exitstatus == 0 and is_whole and TREE and proof.tree_hash() == TREE:
        counts = {what: len(terminalreporter.stats.get(what, [])) for what in ("passed", "skipped")}
        figures = {"tests": counts, "seconds": MEASURED.seconds, "tables": MEASURED.tables}
        proof.write(SUITE, versions=versions(), figures=figures)
        terminalreporter.write_line(f"proof written: {proof.RECORD}")


@pytest.fixture(scope="session")
def figures() -> Figures:
    """What is measured on the way."""
    return MEASURED


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """Kubectl in the namespace of the shared release."""
    return Kubectl(NAMESPACE)


@pytest.fixture(scope="session")
def node() -> Node:
    """The node of the cluster from source packages."""
    if elsewhere.is_used():
        pytest.skip("needs the cluster from source packages")
    return Node(Cluster())


@pytest.fixture(scope="session")
def tag() -> str:
    """The product image's tag in the cluster: of this very checkout, but while one works on tests."""
    if elsewhere.is_used():
        return elsewhere.image().rpartition(":")[2]
    if SUITE not in proof.SUITES:
        return product_image.tag_file().read_text()
    made = product_image.key()
    if product_image.full_name(made) not in product_image.loaded(Cluster()):
        pytest.fail(
            "the image of this checkout is not in the cluster: make e2e builds and loads it"
        )
    return made


@pytest.fixture(scope="session")
def values(tag: str) -> dict[str, Any]:
    """What the small profile needs to run from images that are in the cluster."""
    if elsewhere.is_used():
        return elsewhere.values()
    redis = images.all_images()["redis"]
    return {
        "profile": "small",
        "image": {"registry": images.REGISTRY, "repository": "recio", "tag": tag},
        "redis": {
            "image": {"registry": images.REGISTRY, "repository": redis.name, "tag": redis.tag}
        },
        "database": {
            "cnpg": {
                "imageName": images.all_images()["postgresql"].full_name,
                "pooler": {"imageName": images.all_images()["pgbouncer"].full_name},
            }
        },
    }


@pytest.fixture
def without_cnpg(kubectl: Kubectl) -> None:
    """A cluster that does not know CloudNativePG yet."""
    if _knows_cnpg(kubectl):
        pytest.skip("CloudNativePG is in the cluster already")


@pytest.fixture(scope="session")
def cnpg(kubectl: Kubectl) -> None:
    """CloudNativePG, installed unless it is there."""
    if not _knows_cnpg(kubectl) and not elsewhere.is_used():
        addons.install_cloudnative_pg(Cluster())


def _knows_cnpg(kubectl: Kubectl) -> bool:
    return "postgresql.cnpg.io/v1" in kubectl.run("api-versions").split()


@pytest.fixture(scope="session")
def system(kubectl: Kubectl, values: dict[str, Any], cnpg: None) -> System:  # noqa: ARG001
    """The shared release, installed unless it is there, and a first account on it, measured."""
    release = Release(kubectl, values)
    made = System(kubectl, release, Books(kubectl, f"{release.fullname}-db"), MEASURED)
    if not release.is_there():
        _install(made)
    made.until_all_ready()
    return made


def _install(system: System) -> None:
    """Install and apply an account at once, as one does who copies two lines."""
    watch = Stopwatch()
    system.release.install()
    trader = system.trader("newcomer")
    wait_for("the kind TradingAccount", trader.apply, seconds=30)
    trader.until_ready(600)
    seconds = watch.seconds()
    MEASURED.took("helm install to a Ready account, images present", seconds, at_most=120)
    trader.leave()


@pytest.fixture
def new_account(system: System) -> Iterator[Callable[..., Trader]]:
    """Return what applies an account of a fresh name; it is removed afterwards."""
    made: list[Trader] = []

    def apply(what: str, **spec: Any) -> Trader:
        trader = system.trader(accounts.fresh_name(what))
        made.append(trader)
        trader.apply(**spec)
        return trader

    yield apply
    for trader in made:
        trader.leave()
