"""What a service is, and what it is handed.

``build(context) -> Service`` is the one door of every app. Nothing happens before ``build``; the
host (runtime/host.py) starts the tasks, serves the probes, and is the one place that catches
everything: it logs, counts and stops the process, because starting is recovery.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recio.manifest import ServiceRow
from recio.ports import Bus, Clock, Database, Ids

if TYPE_CHECKING:
    from recio.runtime.access import Access
    from recio.runtime.clocks import Clocks
    from recio.runtime.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a service can do its job, and if not, the one reason a person should read."""

    is_ready: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceContext:
    """Everything a service may touch.

    ``account`` is set for services of scope account, else None. ``access`` opens exchange and
    price-feed connections as the environment's mode allows. ``settings`` are the raw
    ``RECIO_<SERVICE>_*`` values; the app decodes them with ``runtime.settings.load``. ``clocks``
    are those of other environments, for shared services of a release that has several.
    """

    row: ServiceRow
    environment: str
    account: str | None
    clock: Clock
    ids: Ids
    database: Database
    bus: Bus
    access: Access
    metrics: Metrics
    log: logging.LoggerAdapter[Any]
    settings: Mapping[str, str]
    clocks: Clocks | None = None

    def clock_of(self, environment: str) -> Clock:
        """Return the clock of an environment of the release: our own's unless we show others."""
        return self.clock if self.clocks is None else self.clocks.of(environment)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to a service's own small HTTP API."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """Its answer. ``body`` bytes are sent as they are."""

    status: int
    body: bytes
    content_type: str = "application/json"


Route = Callable[[HttpRequest], Awaitable[HttpResponse]]
AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Service:
    """A built service.

    ``recover`` runs first and must finish before ``tasks`` start; each task runs for ever (one that
    returns or raises stops the process). ``readiness`` is cheap and never waits. ``routes`` are
    extra (method, path) handlers beside /healthz, /readyz and /metrics; ``asgi`` replaces the small
    server by a whole application that the probes are mounted into. ``drain`` is called on SIGTERM
    and may take ``drain_seconds``.
    """

    tasks: Sequence[Callable[[], Awaitable[None]]]
    readiness: Callable[[], Readiness]
    recover: Callable[[], Awaitable[None]] | None = None
    routes: Mapping[tuple[str, str], Route] = field(default_factory=dict)
    asgi: AsgiApp | None = None
    drain: Callable[[], Awaitable[None]] | None = None
    drain_seconds: float = 5.0
