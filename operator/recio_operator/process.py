"""Puts the operator together and runs it until it is told to stop.

Start: the API server and the CRDs are waited for, everything is listed once, then watching and work
begin. Nothing is restarted by a start: what is there and is as it should be is left alone. Stop: what is
being done is finished (a few seconds at most), then everything is closed; traders trade on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from recio.adapters.postgres.database import PostgresDatabase
from recio.domain.account_config import FLEET_NAME
from recio.domain.errors import RecioError, Unavailable
from recio.runtime.clock import wall_us
from recio.runtime.ids import SystemIds
from recio_operator import cluster as what
from recio_operator import kube as api
from recio_operator import records
from recio_operator.acting import Actor
from recio_operator.books import BooksPoll
from recio_operator.cluster import Cluster, Key
from recio_operator.events import Events
from recio_operator.fleet import FleetDesk
from recio_operator.kube import KINDS, Kube, Refused
from recio_operator.logins import LoginChecks
from recio_operator.markets import MarketDesk
from recio_operator.metrics import OperatorMetrics
from recio_operator.observing import Observer
from recio_operator.paper_keys import PaperKeys
from recio_operator.planning.templates import hosted_accounts
from recio_operator.probes import serving
from recio_operator.readiness import Readiness
from recio_operator.reconciling import Reconciler
from recio_operator.records import Records
from recio_operator.release import Release
from recio_operator.settings import OperatorSettings
from recio_operator.targets import TargetsDesk
from recio_operator.watching import Watching
from recio_operator.work_queue import Worked, WorkQueue

Object = dict[str, Any]

STOP_PATIENCE_S: Final = 2.5
"""How long the current work may take after SIGTERM."""
START_PAUSE_S: Final = 2.0
BOOKS_PATIENCE_S: Final = 10.0
"""How long a start waits for the first answer of the database before it says that there is none."""
WATCH_PATIENCE_S: Final = 60.0
GAUGES_S: Final = 5.0
RELIST_S: Final = 10.0
"""How long events of a watch that lists anew may keep coming."""

_log = logging.getLogger("recio.operator")


class OperatorProcess:
    """The operator of one release in one namespace."""

    def __init__(self, settings: OperatorSettings, release: Release, kube: Kube) -> None:
        ids = SystemIds()
        self.settings = settings
        self.release = release
        self.kube = kube
        self.metrics = OperatorMetrics()
        self.queue: WorkQueue[Key] = WorkQueue(
            self._work, workers=settings.workers, jitter=ids.jitter, on_worked=self._worked
        )
        self.cluster = Cluster(kube, release.name, self._news)
        self._database = PostgresDatabase(
            records.address(release),
            connections=4,
            name="recio operator",
            jitter=ids.jitter,
            listen_dsn=records.address(release, is_direct=True),
            password=_password(Path(settings.database_password_file)),
        )
        self._readiness = Readiness(self.cluster.unready, self.cluster.tell_owner)
        self._paper_keys = PaperKeys(kube)
        self.books = BooksPoll(
            self._database, every_s=settings.books_seconds, changed=self._books_changed
        )
        self.watching = Watching(
            kube.configuration, kube.namespace, what.watched(release.name), self.cluster.heard
        )
        self._jitter = ids.jitter
        self._unwatched_since: float | None = None
        self._reconciler = self._make_reconciler()

    def _make_reconciler(self) -> Reconciler:
        observer = Observer(
            cluster=self.cluster,
            books=self.books,
            release=self.release,
            readiness=self._readiness,
            now_us=wall_us,
        )
        written = Records(self._database, self.release)
        actor = Actor(
            logins=LoginChecks(cluster=self.cluster, books=self.books, records=written),
            cluster=self.cluster,
            observer=observer,
            books=self.books,
            records=written,
            paper_keys=self._paper_keys,
            events=Events(self.kube, socket.gethostname()),
        )
        return Reconciler(
            cluster=self.cluster,
            observer=observer,
            actor=actor,
            release=self.release,
            fleet=FleetDesk(cluster=self.cluster, actor=actor, records=written, now_us=wall_us),
            markets=MarketDesk(
                cluster=self.cluster,
                observer=observer,
                paper_keys=self._paper_keys,
                release=self.release,
            ),
            targets=TargetsDesk(cluster=self.cluster, release=self.release),
            again=self.queue.add,
            later=self.queue.add_after,
        )

    async def run(
        self, stop: asyncio.Event, *, on_ready: Callable[[int], None] = lambda _port: None
    ) -> None:
        """Work until ``stop`` is set; ``on_ready`` is told the HTTP port once everything is listed.

        Raises:
            Broken: the HTTP port is not free.
        """
        async with serving(
            self.settings.http_host,
            self.settings.http_port,
            alive=self._not_alive,
            ready=self._not_ready,
            metrics=self.metrics,
        ) as port:
            ending = asyncio.create_task(stop.wait(), name="stop")
            working = asyncio.create_task(self._run(stop, lambda: on_ready(port)), name="work")
            await asyncio.wait([ending, working], return_when=asyncio.FIRST_COMPLETED)
            try:
                await self.queue.close(patience_s=STOP_PATIENCE_S)
            finally:
                ending.cancel()
                working.cancel()
                results = await asyncio.gather(working, return_exceptions=True)
                await self._close()
            for result in results:
                if isinstance(result, BaseException) and not isinstance(
                    result, asyncio.CancelledError
                ):
                    raise result

    async def _run(self, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.books.run(), name="books")
            await self._fill_first()
            await self.books.first(BOOKS_PATIENCE_S)
            self.queue.start()
            self._add_everything()
            on_ready()
            _log.info(
                "watching namespace %s: %d accounts",
                self.kube.namespace,
                len(self.cluster.accounts()),
            )
            group.create_task(self.watching.run(lambda: on_signals(stop)), name="watching")
            group.create_task(self._resync(), name="resync")
            group.create_task(self._readiness.run(), name="readiness")
            group.create_task(self._reconciler.actor.logins.run(), name="logins")
            group.create_task(self._measure(), name="measure")

    async def _fill_first(self) -> None:
        while True:
            try:
                await self.cluster.fill()
                await self._find_owner()
            except (Unavailable, Refused) as error:
                _log.warning("not started yet: %s", error)
                await asyncio.sleep(START_PAUSE_S * (0.5 + self._jitter()))
            else:
                return

    async def _find_owner(self) -> None:
        """Read the uid of what release-wide objects belong to, so that they go with it."""
        told = self.release.owner
        if not told:
            return
        found = await self.kube.get(KINDS[told["kind"]], told["name"])
        if found is not None:
            owner = {**told, "uid": found["metadata"]["uid"]}
            self._reconciler.markets.owner = self._reconciler.targets.owner = owner

    def _add_everything(self) -> None:
        for environment in self.release.environments:
            if environment.exchange is not None:
                self.queue.add(Key(what.ENVIRONMENT, environment.name))
        self.queue.add(Key(what.FLEET, FLEET_NAME))
        for account in self.cluster.accounts():
            self.queue.add(Key(what.ACCOUNT, account))
        self.queue.add(Key(what.TARGETS, ""))

    async def _resync(self) -> None:
        """List and look at everything anew now and then: whatever was missed is found.

        Soon after a watch had to list anew: it cannot know what was deleted meanwhile.
        """
        due = self._next_resync()
        while True:
            await asyncio.sleep(RELIST_S)
            is_due = asyncio.get_running_loop().time() >= due
            if not (is_due or self.cluster.is_listed_anew):
                continue
            try:
                await self.cluster.fill()
            except RecioError as error:
                self.cluster.is_listed_anew = True
                _log.warning("what a watch may have missed is looked for later: %s", error)
            if is_due:
                due = self._next_resync()
                self._look_again()

    def _next_resync(self) -> float:
        wait_s = self.settings.resync_seconds * (0.75 + 0.5 * self._jitter())
        return asyncio.get_running_loop().time() + wait_s

    def _look_again(self) -> None:
        for account in self.cluster.accounts():
            self.queue.add_after(Key(what.ACCOUNT, account), 60 * self._jitter())
        self.queue.add_after(Key(what.FLEET, FLEET_NAME), 60 * self._jitter())

    def _books_changed(self, accounts: set[str] | None) -> None:
        if not self.cluster.is_filled:
            return
        for name in self.cluster.accounts() if accounts is None else accounts:
            if self.cluster.account(name) is not None:
                self.queue.add(Key(what.ACCOUNT, name))
        self.queue.add(Key(what.FLEET, FLEET_NAME))

    def _news(self, key: Key) -> None:
        self.queue.add(key)
        if key.what == what.POOL:
            # How its pods are is told in the status of every account that they host.
            live = self.cluster.cache.get(api.DEPLOYMENTS.kind, key.name)
            for account in hosted_accounts(live):
                self.queue.add(Key(what.ACCOUNT, account))

    async def _work(self, key: Key) -> float | None:
        return await self._reconciler.reconcile(key)

    def _worked(self, key: Key, worked: Worked) -> None:
        self.metrics.reconciles.labels(key.what, worked.result).inc()
        self.metrics.seconds.labels(key.what).observe(worked.seconds)

    async def _measure(self) -> None:
        counted = 0
        while True:
            self.metrics.depth.set(self.queue.depth)
            self.metrics.books_age.set(round(self.books.age_s, 1))
            self.metrics.watch_restarts.set(self.watching.restarts)
            self.metrics.writes.inc(self.kube.writes - counted)
            counted = self.kube.writes
            self._count_accounts()
            await asyncio.sleep(GAUGES_S)

    def _count_accounts(self) -> None:
        self.metrics.accounts.clear()
        found: Counter[tuple[str, str]] = Counter()
        for name in self.cluster.accounts():
            document = self.cluster.account(name) or {}
            found[document.get("spec", {}).get("mode", "paper"), _ready_in(document)] += 1
        for labels, number in found.items():
            self.metrics.accounts.labels(*labels).set(number)

    def _not_alive(self) -> str:
        stuck = self.queue.stuck()
        if stuck is not None:
            return f"{stuck} has been waiting or worked on for minutes"
        now_s = asyncio.get_running_loop().time()
        if self.watching.is_running or not self.cluster.is_filled:
            self._unwatched_since = None
        elif self._unwatched_since is None:
            self._unwatched_since = now_s
        elif now_s - self._unwatched_since > WATCH_PATIENCE_S:
            return "nothing is watched"
        return ""

    def _not_ready(self) -> str:
        return "" if self.cluster.is_filled else "the cluster's objects were not listed yet"

    async def _close(self) -> None:
        await self._paper_keys.close()
        await self._database.close()
        await self.kube.close()


def on_signals(stop: asyncio.Event) -> None:
    """Stop at SIGTERM and Ctrl-C; kopf asks for the same signals, so this is said after it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stop.set)


def _password(path: Path) -> Callable[[], str]:
    """Return what reads the password at each connection; without a file the server asks for none."""

    def read() -> str:
        try:
            return path.read_text().strip() if path.is_file() else ""
        except OSError as error:
            raise Unavailable(f"cannot read the password in {path}: {error.strerror}") from error

    return read


def _ready_in(document: Object) -> str:
    conditions = document.get("status", {}).get("conditions", [])
    return next((one["status"] for one in conditions if one["type"] == "Ready"), "Unknown")
