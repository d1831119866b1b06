"""The monitor against real processes' probes and a real database."""

import asyncio
import socket

import psycopg
import pytest

from recio.apps.system_monitor.app import SystemMonitor, build
from recio.apps.system_monitor.settings import Settings, targets
from recio.runtime.host import http_server
from recio.runtime.http_server import Hosted, ProcessApp
from recio.runtime.metrics import ProcessMetrics
from recio.runtime.service import Readiness, Service
from recio.runtime.settings import SettingsInvalid


def hosted(name, account=None, *, reason=""):
    """Return a started service that is ready unless it has a reason."""
    readiness = Readiness(is_ready=not reason, reason=reason)
    service = Service(tasks=(), readiness=lambda: readiness)
    return Hosted(name, account, service=service, is_started=True)


@pytest.fixture
def closed_port():
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def health_of(context, names):
    """Return the first health message of each name."""
    found = {}
    async for _, row in context.bus.subscribe("health"):
        found.setdefault((row.service, row.account), row)
        if names <= found.keys():
            return found
    return found


def test_every_service_of_a_process_is_measured(make_context, runner, database_url):
    """Ready and unready services of one process, its CPU and memory, and the machine."""
    app = ProcessApp(
        ProcessMetrics(),
        [hosted("trade_manager", "paper"), hosted("btc_price_watchdog", reason="prices are old")],
    )

    async def scenario():
        async with http_server(app, "127.0.0.1", 0) as port:
            entry = f"trade_manager@paper+btc_price_watchdog=http://127.0.0.1:{port}"
            context = make_context("system_monitor")
            monitor = SystemMonitor(context, Settings(probe_urls=(entry,)))
            waiting = asyncio.create_task(
                health_of(
                    context,
                    {("trade_manager", "paper"), ("btc_price_watchdog", None), ("machine", None)},
                )
            )
            await asyncio.sleep(0)
            await monitor.measure()
            await monitor.close()
            return await asyncio.wait_for(waiting, 90)

    found = runner.run(scenario())
    well, ill = found["trade_manager", "paper"], found["btc_price_watchdog", None]
    assert well.is_ready
    assert well.memory_bytes > 1_000_000
    assert (ill.is_ready, ill.level, ill.reason) == (False, "critical", "prices are old")
    assert found["machine", None].reason.startswith("1 of 2 services healthy")
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT service, account, is_ready, reason FROM ops.health ORDER BY service"
        ).fetchall()
    assert rows[0] == ("btc_price_watchdog", "", False, "prices are old")
    assert rows[2][:3] == ("trade_manager", "paper", True)


def test_a_process_that_does_not_answer_is_named(make_context, run_tasks, closed_port):
    """A dead process is a failure of the services it should host."""
    context = make_context(
        "system_monitor", probe_urls=f"trade_executor@paper=http://127.0.0.1:{closed_port}"
    )

    async def work():
        return await health_of(context, {("trade_executor", "paper")})

    row = run_tasks(build(context), work)["trade_executor", "paper"]
    assert (row.is_ready, row.level) == (False, "critical")
    assert row.reason.startswith("does not answer: ")
    assert (row.cpu_permille, row.memory_bytes) == (None, None)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"[]", 200, "/readyz is not understood"),
        (b"", 200, "/readyz is not understood"),
        (b"{}", 404, "/readyz answered 404"),
        (b'{"services": []}', 200, "is not hosted where it was expected"),
    ],
)
def test_an_answer_that_is_not_ours_is_a_failure(
    make_context, runner, database_url, body, status, reason
):
    """Another program on the port, or another service, is not taken for a healthy one."""

    async def stranger(_scope, _receive, send):
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def scenario():
        async with http_server(stranger, "127.0.0.1", 0) as port:
            settings = Settings(probe_urls=(f"trade_manager@a=http://127.0.0.1:{port}",))
            monitor = SystemMonitor(make_context("system_monitor"), settings)
            await monitor.measure()
            await monitor.close()

    runner.run(scenario())
    with psycopg.connect(database_url) as connection:
        is_ready, said = connection.execute(
            "SELECT is_ready, reason FROM ops.health WHERE service = 'trade_manager'"
        ).fetchone()
    assert not is_ready
    assert said.startswith(reason)


@pytest.mark.parametrize(
    "entry", ["http://127.0.0.1:1", "nobody=http://127.0.0.1:1", "trade_manager=ftp://x", "="]
)
def test_an_impossible_probe_is_refused_at_the_start(entry):
    """A typing error in the setting is named before anything runs."""
    with pytest.raises(SettingsInvalid, match="RECIO_SYSTEM_MONITOR_PROBE_URLS"):
        targets(Settings(probe_urls=(entry,)))


def test_the_file_of_probes_is_followed_and_what_it_lists_no_more_leaves_no_row(
    make_context, runner, database_url, tmp_path
):
    """Accounts come and go while the monitor runs; a list with an error changes nothing."""
    path = tmp_path / "probes"
    app = ProcessApp(
        ProcessMetrics(), [hosted("trade_manager", "one"), hosted("trade_manager", "two")]
    )
    seen = []

    def rows():
        with psycopg.connect(database_url) as connection:
            found = connection.execute(
                "SELECT account FROM ops.health WHERE service = 'trade_manager' ORDER BY account"
            ).fetchall()
        return [account for (account,) in found]

    async def scenario():
        async with (
            http_server(app, "127.0.0.1", 0) as port,
            http_server(
                ProcessApp(ProcessMetrics(), [hosted("db_poller")]), "127.0.0.1", 0
            ) as other,
        ):
            settings = Settings(
                probe_urls=(f"db_poller=http://127.0.0.1:{other}",), probe_file=str(path)
            )
            monitor = SystemMonitor(make_context("system_monitor"), settings)
            url = f"http://127.0.0.1:{port}"
            for text in (
                None,
                f"# accounts\n\ntrade_manager@one={url}  # the first\n",
                f"trade_manager@one+trade_manager@two={url}\n",
                "nonsense\n",
                "",
            ):
                if text is not None:
                    path.write_text(text)
                await monitor.measure()
                seen.append((rows(), monitor.readiness().is_ready))
            await monitor.close()

    # Two accounts in one process: both are told of as soon as it is asked at all.
    runner.run(scenario())
    both = ["one", "two"]
    assert seen == [([], True), (both, True), (both, True), (both, False), ([], True)]
