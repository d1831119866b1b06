"""A service context on real PostgreSQL, with the bus in memory."""

import asyncio
import logging

import pytest

from recio import manifest
from recio.adapters.postgres.database import PostgresDatabase
from recio.runtime.clock import WallClock
from recio.runtime.ids import SeededIds
from recio.runtime.metrics import Metrics, ProcessMetrics
from recio.runtime.service import ServiceContext
from recio.testing.memory_bus import MemoryBus


@pytest.fixture
def make_context(database_url, runner):
    """Make the context of a service, logged in as itself: what it may not do fails."""
    opened = []

    def make(service, **settings):
        owner = database_url.partition("//")[2].partition("@")[0]
        url = database_url.replace(f"//{owner}@", f"//recio_{service}@", 1)
        port = PostgresDatabase(url, connections=2)
        opened.append(port)
        prefix = f"RECIO_{service.upper()}_"
        return ServiceContext(
            row=manifest.service(service),
            environment="paper",
            account=None,
            clock=WallClock(),
            ids=SeededIds("test"),
            database=port,
            bus=MemoryBus(),
            access=None,
            metrics=Metrics(ProcessMetrics(), service=service, account=None),
            log=logging.LoggerAdapter(logging.getLogger("test"), {}),
            settings={prefix + name.upper(): str(value) for name, value in settings.items()},
        )

    yield make
    for port in opened:
        runner.run(port.close())


@pytest.fixture
def run_tasks(runner):
    """Run a service's tasks while a coroutine works; every failure of a task fails the test."""

    def run(service, work):
        async def main():
            if service.recover is not None:
                await service.recover()
            tasks = [asyncio.create_task(task()) for task in service.tasks]
            working = asyncio.create_task(work())
            try:
                async with asyncio.timeout(90):
                    done, _ = await asyncio.wait(
                        [working, *tasks], return_when=asyncio.FIRST_COMPLETED
                    )
                    return next(iter(done)).result()
            finally:
                for task in (working, *tasks):
                    task.cancel()
                await asyncio.gather(working, *tasks, return_exceptions=True)
                if service.drain is not None:
                    await service.drain()

        return runner.run(main())

    return run
