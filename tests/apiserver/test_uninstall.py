"""``recio-operator uninstall``: all accounts leave before the release goes, or it says who does not."""

import asyncio

import pytest
from tests.apiserver.operator_world import paper, until, world

from recio.domain.errors import Broken
from recio_operator import kube as api
from recio_operator.uninstall import uninstall


@pytest.fixture
def run(runner, objects, server, database_url):
    """Run a test's coroutine with a world of its own and an API of the command's own."""

    def start(check):
        async def main():
            async with world(objects, server.kubeconfig, database_url) as made:
                kube = await api.connect(objects.namespace, kubeconfig=str(server.kubeconfig))
                try:
                    await check(made, kube)
                finally:
                    await kube.close()

        runner.run(main())

    return start


async def opened(made, name, **spec):
    """Make an account that holds a position."""
    made.objects.create(paper(name, **spec)).expect()
    await made.become_ready(f"ta-{name}-compact")
    await made.says(name, "Ready", "True")
    made.hold_position(name, 100)
    await until(lambda: made.get("TradingAccount", name)["status"]["flat"] is False, what="open")


def test_accounts_leave_and_the_fleet_goes_last(run):
    """Rule: when it returns, nothing of the release would hang in Terminating."""

    async def check(made, kube):
        await made.start_operator()
        made.objects.create(paper("one")).expect()
        await made.become_ready("ta-one-compact")
        await made.says("one", "Ready", "True")
        said = []
        leaving = asyncio.create_task(uninstall(kube, timeout_s=60, say=said.append))
        await made.is_gone("Deployment", "ta-one-compact")
        made.delete("Pod", "ta-one-compact-0")
        await leaving
        assert made.get("TradingAccount", "one") is None
        assert "one" in said[0]
        await uninstall(kube, timeout_s=1, say=said.append)

    run(check)


def test_an_open_position_that_waits_for_a_person_is_told_before_anything_is_deleted(run):
    """Rule: RefuseWhileOpen is asked first, so a refusal leaves the release as it was."""

    async def check(made, kube):
        await made.start_operator()
        await opened(made, "held", deletionPolicy="RefuseWhileOpen")
        made.objects.create(paper("other")).expect()
        with pytest.raises(Broken, match="nothing was deleted: held"):
            await uninstall(kube, timeout_s=60, say=lambda _line: None)
        for name in ("held", "other"):
            assert "deletionTimestamp" not in made.get("TradingAccount", name)["metadata"]

    run(check)


def test_who_has_not_left_in_time_is_named_with_what_to_do(run):
    """Rule: without an operator nobody lets them go: the command ends and says so."""

    async def check(made, kube):
        left = paper("left")
        left["metadata"]["finalizers"] = ["recio.io/leave-clean"]
        made.objects.create(left).expect()
        with pytest.raises(Broken, match=r"not gone within 1 s: left.*force-finalize=true"):
            await uninstall(kube, timeout_s=1, say=lambda _line: None)
        force = {"metadata": {"finalizers": []}}
        made.objects.merge("TradingAccount", "left", force).expect()

    run(check)
