"""The host: starts services in order, answers probes, drains, and stops on any failure."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from types import ModuleType

import pytest

from recio import manifest
from recio.adapters.transport.client import HttpClient
from recio.domain.errors import Broken, Rejected, Unavailable
from recio.runtime import host as hosting
from recio.runtime.host import Host, Placement
from recio.runtime.metrics import ProcessMetrics
from recio.runtime.service import HttpResponse, Readiness, Service

ROW = manifest.service("trade_manager")


@contextlib.contextmanager
def app(service):
    """Make ``service`` what the row's entry builds."""
    module = ModuleType("recio.apps.trade_manager.app")
    module.build = lambda _context: service
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        if before is None:
            del sys.modules[module.__name__]
        else:
            sys.modules[module.__name__] = before


def service(**changes):
    """Return a service that works."""
    parts = {
        "tasks": [asyncio.Event().wait],
        "readiness": lambda: Readiness(is_ready=True),
        **changes,
    }
    return Service(**parts)


async def no_context(_row, _account):
    """Hand out nothing."""


def host(**changes):
    """Return a host of one service on any port."""
    parts = {
        "placements": [Placement(ROW, "paper")],
        "make_context": no_context,
        "metrics": ProcessMetrics(),
        **changes,
    }
    return Host(**parts)


async def get(made, target, method="GET", body=b""):
    """Ask the host's server."""
    http = HttpClient(f"http://127.0.0.1:{made.port}")
    try:
        return await http.request(method, target, {}, body, timeout_s=30)
    finally:
        await http.close()


async def started(made):
    """Run a host until its services run."""
    running = asyncio.ensure_future(made.run())
    async with asyncio.timeout(60):
        while not made.app.hosted[0].is_started and not running.done():
            await asyncio.sleep(0.005)
    return running


def test_a_host_recovers_runs_and_drains(runner):
    """Recovery comes before the tasks, draining after the signal to stop."""
    log = []

    async def recover():
        log.append("recover")

    async def task():
        log.append("task")
        await asyncio.Event().wait()

    async def drain():
        log.append("drain")

    async def scenario():
        made = host(on_ready=lambda: log.append("ready"))
        running = await started(made)
        replies = [await get(made, path) for path in ("/healthz", "/readyz", "/metrics", "/x")]
        made.stop()
        return [reply.status for reply in replies], await running

    with app(service(recover=recover, tasks=[task], drain=drain)):
        assert runner.run(scenario()) == ([200, 200, 200, 404], 0)
    assert log == ["recover", "ready", "task", "drain"]


def test_a_service_that_is_not_ready_says_why(runner):
    """The probe's body holds the reason."""

    async def scenario():
        made = host()
        running = await started(made)
        reply = await get(made, "/readyz")
        made.stop()
        await running
        return reply

    with app(service(readiness=lambda: Readiness(is_ready=False, reason="no prices"))):
        reply = runner.run(scenario())
    assert reply.status == 503
    assert b"no prices" in reply.body


def test_during_recovery_it_is_alive_and_not_ready(runner):
    """A slow start is not taken for a dead process."""
    go_on = asyncio.Event()

    async def scenario():
        made = host()
        running = asyncio.ensure_future(made.run())
        async with asyncio.timeout(60):
            while not made.port:
                await asyncio.sleep(0.005)
        statuses = [(await get(made, path)).status for path in ("/healthz", "/readyz")]
        go_on.set()
        made.stop()
        await running
        return statuses

    with app(service(recover=go_on.wait)):
        assert runner.run(scenario()) == [200, 503]


def test_recovery_waits_for_a_database_that_is_not_there_yet(runner, monkeypatch):
    """Processes may start in any order."""
    monkeypatch.setattr(hosting, "RECOVERY_PAUSE_S", 0.001)
    failures = iter([Unavailable("no database"), Unavailable("no database"), None])

    async def recover():
        if (error := next(failures)) is not None:
            raise error

    async def scenario():
        made = host()
        running = await started(made)
        made.stop()
        return await running

    with app(service(recover=recover)):
        assert runner.run(scenario()) == 0
    assert next(failures, "used up") == "used up"


def test_a_start_says_what_it_waits_for_and_tells_the_log_once(runner, monkeypatch, caplog):
    """Alive, not ready, and the probe has the reason; nothing is given up."""
    monkeypatch.setattr(hosting, "RECOVERY_PAUSE_S", 0.001)
    monkeypatch.setattr(hosting, "RECOVERY_PAUSE_MOST_S", 0.001)
    failures = iter(range(20))
    reasons = []

    async def recover():
        number = next(failures, None)
        if number is not None:
            raise Unavailable(f"no exchange ({number})")

    async def scenario():
        made = host()
        running = asyncio.ensure_future(made.run())
        async with asyncio.timeout(60):
            while not made.app.hosted[0].is_started:
                reasons.append(made.app.hosted[0].readiness().reason)
                await asyncio.sleep(0)
        made.stop()
        return await running

    with app(service(recover=recover)):
        assert runner.run(scenario()) == 0
    assert "starting: no exchange (19)" in reasons
    assert len([line for line in caplog.records if "cannot start yet" in line.message]) == 1


def test_what_a_service_is_handed_may_come_late(runner, monkeypatch):
    """Its context waits for the database as its recovery does."""
    monkeypatch.setattr(hosting, "RECOVERY_PAUSE_S", 0.001)
    failures = iter([Unavailable("no market time")])

    async def make_context(_row, _account):
        if (error := next(failures, None)) is not None:
            raise error

    async def scenario():
        made = host(make_context=make_context)
        running = await started(made)
        made.stop()
        return await running

    with app(service()):
        assert runner.run(scenario()) == 0


def test_a_recovery_that_hangs_does_not_hold_a_stop_up(runner):
    """A pod that is told to end ends, whatever it waits for."""

    async def scenario():
        made = host()
        running = asyncio.ensure_future(made.run())
        async with asyncio.timeout(60):
            while made.app.hosted[0].service is None:
                await asyncio.sleep(0.005)
            made.stop()
            return await running

    with app(service(recover=asyncio.Event().wait)):
        assert runner.run(scenario()) == 0


@pytest.mark.parametrize("error", [Broken("impossible"), ValueError("x"), None])
def test_a_task_that_ends_stops_the_process(runner, error):
    """Stopping is safe, because starting is recovery."""

    async def task():
        if error is not None:
            raise error

    with app(service(tasks=[task])):
        assert runner.run(host().run()) == 1


def test_a_drain_that_takes_too_long_is_cut(runner):
    """A process that was told to stop stops."""

    async def scenario():
        made = host()
        running = await started(made)
        made.stop()
        return await running

    with app(service(drain=asyncio.Event().wait, drain_seconds=0.01)):
        assert runner.run(scenario()) == 0


def test_an_app_that_is_missing_is_named(runner):
    """The message says which module was expected."""
    row = manifest.ServiceRow(
        name="nothing", number=99, summary="", scope=manifest.Scope.SHARED, local_port=0
    )
    with pytest.raises(Broken, match=r"recio\.apps\.nothing\.app:build"):
        hosting.entry(row)
    assert runner.run(host(placements=[Placement(row, None)]).run()) == 1


def test_routes_answer_and_refuse(runner):
    """A route's refusal is the caller's error, an absence ours."""

    async def echo(request):
        return HttpResponse(200, request.body + request.query["a"].encode())

    async def refuse(_request):
        raise Rejected("expected something else")

    async def absent(_request):
        raise Unavailable("not now")

    routes = {("POST", "/echo"): echo, ("GET", "/refuse"): refuse, ("GET", "/absent"): absent}

    async def scenario():
        made = host()
        running = await started(made)
        replies = [
            await get(made, "/echo?a=1", "POST", b"x"),
            await get(made, "/refuse"),
            await get(made, "/absent"),
            await get(made, "/echo"),
            await get(made, "/echo?a=1", "POST", b"x" * 1_000_001),
        ]
        made.stop()
        await running
        return replies

    with app(service(routes=routes)):
        replies = runner.run(scenario())
    assert [reply.status for reply in replies] == [200, 400, 503, 404, 413]
    assert replies[0].body == b"x1"
    assert b"expected something else" in replies[1].body


def test_one_service_for_two_accounts_asks_whose(runner):
    """In a pooled process the account decides which copy answers."""

    def build(account):
        async def name(_request):
            return HttpResponse(200, account.encode())

        return service(routes={("GET", "/name"): name})

    accounts = iter(["one", "two"])

    async def scenario():
        made = host(placements=[Placement(ROW, "one"), Placement(ROW, "two")])
        running = await started(made)
        async with asyncio.timeout(60):
            while not made.app.hosted[1].is_started:
                await asyncio.sleep(0.005)
        replies = [await get(made, path) for path in ("/name?account=two", "/name")]
        made.stop()
        await running
        return replies

    with app(None):
        sys.modules["recio.apps.trade_manager.app"].build = lambda _: build(next(accounts))
        replies = runner.run(scenario())
    assert [reply.status for reply in replies] == [200, 400]
    assert replies[0].body == b"two"


def test_an_occupied_port_stops_the_start(runner, caplog):
    """The message names the port and what to do."""

    async def scenario():
        made = host()
        running = await started(made)
        status = await host(http_port=made.port).run()
        made.stop()
        await running
        return status, made.port

    with app(service()):
        status, port = runner.run(scenario())
    assert status == 1
    assert f"cannot listen on 127.0.0.1:{port}" in str(caplog.records[-1].exc_info[1])
