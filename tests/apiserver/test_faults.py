"""What goes wrong around the operator: it converges, makes nothing twice, and never touches a trader."""

import asyncio
from collections import Counter

import pytest
from tests.apiserver.fault_proxy import Faults, fault_proxy
from tests.apiserver.operator_world import paper, until, world

from recio_operator import process, work_queue


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    """Pauses double up to a second instead of up to two minutes, and a start is tried again at once.

    On a line that spoils a third of the requests, hardly an attempt of many requests succeeds as a
    whole: eight failures in a row would be minutes of waiting that prove nothing more.
    """
    monkeypatch.setattr(work_queue, "LONGEST_PAUSE_S", 1.0)
    monkeypatch.setattr(process, "START_PAUSE_S", 0.1)


@pytest.fixture
def run(runner, objects, server, database_url, tmp_path):
    """Run a test's coroutine with a world and a proxy of its own."""

    def start(check):
        async def main():
            async with (
                world(objects, server.kubeconfig, database_url) as made,
                fault_proxy(server.kubeconfig, tmp_path) as proxy,
            ):
                try:
                    await check(made, proxy)
                finally:
                    proxy.faults = Faults()
                    await made.stop_operators()

        runner.run(main())

    return start


def generations(made):
    """Return what would change if a Deployment's pods were replaced."""
    return {
        one["metadata"]["name"]: (one["metadata"]["uid"], one["metadata"]["generation"])
        for one in made.list("Deployment")
    }


@pytest.mark.parametrize(
    "faults",
    [
        Faults(error_share=0.3),
        Faults(busy_share=0.2),
        Faults(cut_share=0.2),
        Faults(lost_answer_share=0.4),
        Faults(delay_s=0.5),
        Faults(error_share=0.1, busy_share=0.1, cut_share=0.1, lost_answer_share=0.1, delay_s=0.1),
    ],
    ids=["500", "429", "cut", "lost answers", "slow", "all of it"],
)
def test_a_bad_line_to_the_api_server_only_takes_longer(run, faults):
    """Whatever the line does: every account gets its objects once, and its status."""

    async def check(made, proxy):
        proxy.faults = faults
        await made.start_operator(kubeconfig=proxy.kubeconfig)
        names = [f"a{number}" for number in range(4)]
        for name in names:
            made.objects.create(paper(name)).expect()
        for name in names:
            await until(
                lambda name=name: made.get("Deployment", f"ta-{name}-compact"),
                what=f"{name} is made",
                seconds=120,
            )
            await made.says(name, "Reconciled", "True", seconds=120)
        assert len(made.list("Deployment")) == len(names)
        secrets = Counter(one["metadata"]["name"] for one in made.list("Secret"))
        assert all(secrets[f"ta-{name}-exchange-key"] == 1 for name in names)

        async def are_known():
            return await made.exchange.accounts() == [*names, "market"]

        await until(are_known, what="all are known, nobody twice", seconds=120)
        assert proxy.failed or faults.delay_s

    run(check)


def test_watches_that_are_cut_miss_nothing(run):
    """An account that is made while every watch is down is found when they are back."""

    async def check(made, proxy):
        await made.start_operator(kubeconfig=proxy.kubeconfig)
        made.objects.create(paper("one")).expect()
        await made.exists("Deployment", "ta-one-compact")
        proxy.faults = Faults(is_away=True)
        proxy.cut_streams()
        await asyncio.sleep(0.5)
        made.objects.create(paper("two")).expect()
        made.delete("Service", "ta-one-compact")
        await asyncio.sleep(1)
        proxy.faults = Faults()
        await until(lambda: made.get("Deployment", "ta-two-compact"), what="two", seconds=60)
        await until(lambda: made.get("Service", "ta-one-compact"), what="the Service", seconds=60)

    run(check)


def test_without_its_database_the_operator_says_so_and_touches_nothing(run):
    """PostgreSQL away: conditions are Unknown, no pod is replaced; it comes back by itself."""

    async def check(made, _proxy):
        operator = await made.start_operator()
        made.objects.create(paper("one")).expect()
        await made.become_ready("ta-one-compact")
        await made.says("one", "Ready", "True")
        before = generations(made)
        name = made.release.database.name
        made.admin(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        made.admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname='{name}'")
        await made.says("one", "DatabaseReady", "False")
        made.patch("one", image="recio:newer", rollout={"policy": "Immediately"})
        await asyncio.sleep(2)
        assert generations(made) == before
        assert operator.books.snapshot is None
        made.admin(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await made.says("one", "DatabaseReady", "True")
        await until(lambda: generations(made) != before, what="the held change", seconds=60)

    run(check)


def test_an_operator_that_starts_again_restarts_no_trader(run):
    """A start writes nothing where everything is as it should be; what was missed is caught up."""

    async def check(made, _proxy):
        operator = await made.start_operator()
        for name in ("one", "two"):
            made.objects.create(paper(name)).expect()
            await made.become_ready(f"ta-{name}-compact")
            await made.says(name, "Ready", "True")
        await made.settled(operator)
        await made.stop_operators()
        before, versions = generations(made), made.versions()
        operator = await made.start_operator()
        await made.settled(operator)
        assert generations(made) == before
        assert made.versions() == versions
        await made.stop_operators()
        made.patch("one", trading="Halted")
        made.delete("ConfigMap", "ta-two")
        await made.start_operator()
        await made.exists("ConfigMap", "ta-two")
        await made.says("one", "TradingEnabled", "False")
        assert generations(made) == before

    run(check)


def test_an_operator_that_is_stopped_in_the_middle_is_made_good_by_the_next(run):
    """Wherever a start is cut short, the next one finishes, and makes nothing twice."""

    async def check(made, proxy):
        names = [f"a{number}" for number in range(6)]
        for name in names:
            made.objects.create(paper(name)).expect()
        for pause_s in (0.05, 0.15, 0.3, 0.5):
            await made.start_operator(kubeconfig=proxy.kubeconfig)
            await asyncio.sleep(pause_s)
            proxy.faults = Faults(is_away=True)
            proxy.cut_streams()
            await made.stop_operators()
            proxy.faults = Faults()
        await made.start_operator(kubeconfig=proxy.kubeconfig)
        for name in names:
            await made.exists("Deployment", f"ta-{name}-compact")
            await made.says(name, "Reconciled", "True")
        assert len(made.list("Deployment")) == len(names)
        assert made.ask("SELECT count(*) FROM trading.accounts") == [(len(names),)]

    run(check)


def test_two_operators_by_mistake_do_not_fight(run):
    """Both say the same under one manager's name: nothing flaps, the books are written once."""

    async def check(made, _proxy):
        one = await made.start_operator()
        two = await made.start_operator()
        for name in ("one", "two"):
            made.objects.create(paper(name)).expect()
        for name in ("one", "two"):
            await made.become_ready(f"ta-{name}-compact")
            await made.says(name, "Ready", "True")
        await made.settled(one, two)
        await asyncio.sleep(2)
        before = made.versions()
        await asyncio.sleep(5)
        assert made.versions() == before
        rows = made.ask("SELECT account, max(generation) FROM trading.account_config GROUP BY 1")
        assert sorted(rows) == [("one", 1), ("two", 1)]

    run(check)


def test_a_login_whose_password_the_database_lost_is_given_it_again(run):
    """After a restore the server knows another password, or none: the Secret's counts."""

    async def check(made, _proxy):
        await made.start_operator()
        made.objects.create(paper("one")).expect()
        await made.exists("Deployment", "ta-one-compact")
        await made.stop_operators()
        made.admin("ALTER ROLE recio_account_one NOLOGIN PASSWORD NULL")
        await made.start_operator()
        can = "SELECT rolcanlogin AND rolpassword IS NOT NULL FROM pg_authid WHERE rolname = %s"
        await until(lambda: made.ask(can, "recio_account_one") == [(True,)], what="it may again")

    run(check)


def test_stopping_takes_a_moment(run):
    """SIGTERM: what is begun is finished, then it goes, also when the API server hangs."""

    async def check(made, proxy):
        await made.start_operator(kubeconfig=proxy.kubeconfig)
        made.objects.create(paper("one")).expect()
        await made.exists("Deployment", "ta-one-compact")
        proxy.faults = Faults(delay_s=60)
        made.delete("Service", "ta-one-compact")
        await asyncio.sleep(0.5)
        async with asyncio.timeout(20):
            await made.stop_operators()

    run(check)
