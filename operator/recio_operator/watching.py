"""kopf as the watcher: lists, watches, reconnects. Handlers of ours hear each event; nothing else.

kopf writes nothing: no annotations, no finalizer, no Events. Its own patience is without end; should
it give up all the same (the CRDs were removed), it is started again after a pause. It runs in our
event loop and leaves the signals to us.

kopf: https://docs.kopf.dev/en/stable/embedding/ (read November 2026).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import kopf
from kubernetes.aio import client

from recio_operator.kube import Kind, Object

Heard = Callable[[Kind, str, Object], None]
"""Told of each event: the kind, DELETED or anything else, the object."""

PAUSE_S: Final = 5.0
END_PATIENCE_S: Final = 1.5
_SERVER_TIMEOUT_S: Final = 300
_CLIENT_TIMEOUT_S: Final = 310
_WORKERS: Final = 100
_WORKER_IDLE_S: Final = 0.05

_log = logging.getLogger("recio.operator.watching")


@dataclass(frozen=True, slots=True)
class Watched:
    """A kind to watch, filtered by the API server."""

    kind: Kind
    label_selector: str = ""
    field_selector: str = ""


class _Patience:
    """Pauses between attempts, without an end; in seconds."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.2, 0.5, 1, 2, 3, 5, 8, 13), itertools.repeat(20.0))


class Watching:
    """Hears of everything that is watched, until it is stopped."""

    def __init__(
        self,
        configuration: client.Configuration,
        namespace: str,
        watched: Mapping[str, Watched],
        heard: Heard,
    ) -> None:
        self._configuration = configuration
        self._namespace = namespace
        self._watched = watched
        self._heard = heard
        self.is_running = False
        self.restarts = 0

    async def run(self, on_started: Callable[[], None]) -> None:
        """Watch for ever; ``on_started`` is called each time that kopf has set itself up."""
        while True:
            tasks = await kopf.spawn_tasks(
                registry=self._registry(),
                settings=self._settings(),
                standalone=True,
                namespaces=[self._namespace],
                priority=0,
            )
            on_started()
            self.is_running = True
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                _log.error("watching stopped and starts again: %s", _reason(done))
            finally:
                self.is_running = False
                for task in tasks:
                    task.cancel()
                # kopf holds cancellation back while it drains; nothing of it is worth waiting for.
                ended, _ = await asyncio.wait(tasks, timeout=END_PATIENCE_S)
                _reason(ended)
            self.restarts += 1
            await asyncio.sleep(PAUSE_S)

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(id="login", registry=registry)(self._login)
        for watched in self._watched.values():
            group, _, version = watched.kind.api_version.rpartition("/")
            kopf.on.event(
                group=group,
                version=version,
                plural=watched.kind.plural,
                id=watched.kind.plural,
                registry=registry,
            )(self._handler(watched.kind))
        return registry

    def _handler(self, kind: Kind) -> Callable[..., Any]:
        head = {"apiVersion": kind.api_version, "kind": kind.kind}

        async def handler(event: Mapping[str, Any], **_: object) -> None:
            self._heard(kind, event["type"] or "", head | dict(event["object"]))

        return handler

    def _settings(self) -> kopf.OperatorSettings:
        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.watching.server_timeout = _SERVER_TIMEOUT_S
        settings.watching.client_timeout = _CLIENT_TIMEOUT_S
        settings.watching.chunk_size = 250
        settings.networking.error_backoffs = _Patience()
        settings.queueing.worker_limit = _WORKERS
        settings.queueing.idle_timeout = _WORKER_IDLE_S
        settings.queueing.exit_timeout = 0.2
        for watched in self._watched.values():
            group, _, version = watched.kind.api_version.rpartition("/")
            place = (group, version, watched.kind.plural)
            if watched.label_selector:
                settings.watching.label_selectors[place] = watched.label_selector
            if watched.field_selector:
                settings.watching.field_selectors[place] = watched.field_selector
        return settings

    async def _login(self, **_: object) -> kopf.ConnectionInfo:
        """Hand kopf what our own client connects with; asked again when a token has expired."""
        told = self._configuration
        header = await told.get_api_key_with_prefix("BearerToken", alias="authorization") or ""
        token = header.rpartition(" ")[2]
        return kopf.ConnectionInfo(
            server=told.host,
            ca_path=told.ssl_ca_cert,
            insecure=not told.verify_ssl,
            scheme="Bearer" if token else None,
            token=token or None,
            certificate_path=told.cert_file,
            private_key_path=told.key_file,
        )


def _reason(done: set[asyncio.Task[Any]]) -> str:
    failed = (task.exception() for task in done if not task.cancelled())
    return "; ".join(str(error) or type(error).__name__ for error in failed if error) or "no reason"
