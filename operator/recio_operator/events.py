"""Kubernetes Events (``events.k8s.io/v1``) about accounts: one when something changed, never a stream.

An Event is told and forgotten: if the API server does not take it, the condition in the status says
the same. A note that was posted for an account a moment ago is not posted again.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from typing import Any, Final

from recio.domain.errors import RecioError
from recio.domain.units import format_time_us
from recio_operator.kube import Kube
from recio_operator.names import FIELD_MANAGER
from recio_operator.planning.plan import Note

Object = dict[str, Any]

NOTE_MOST: Final = 1024
"""The API server refuses longer notes."""
QUIET_US: Final = 600_000_000
_REMEMBERED: Final = 2_000

_log = logging.getLogger("recio.operator.events")


class Events:
    """Posts notes as Events."""

    def __init__(self, kube: Kube, instance: str) -> None:
        self._kube = kube
        self._instance = instance
        self._told: OrderedDict[tuple[str, str, str], int] = OrderedDict()

    async def post(self, document: Object, note: Note, *, now_us: int) -> None:
        """Post one note about an object, unless it was posted lately."""
        told = (document["metadata"]["uid"], note.reason, note.message)
        if now_us - self._told.get(told, -QUIET_US) < QUIET_US:
            return
        try:
            await self._kube.create(_event(document, note, now_us, self._instance))
        except RecioError as error:
            _log.info("an Event was not taken: %s", error)
            return
        self._told[told] = now_us
        self._told.move_to_end(told)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)


def _event(document: Object, note: Note, now_us: int, instance: str) -> Object:
    metadata = document["metadata"]
    name, namespace = metadata["name"], metadata["namespace"]
    mark = hashlib.sha256(f"{metadata['uid']}{note.reason}{note.message}{now_us}".encode())
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{mark.hexdigest()[:16]}", "namespace": namespace},
        "eventTime": format_time_us(now_us),
        "reportingController": f"recio.io/{FIELD_MANAGER}",
        "reportingInstance": instance,
        "action": note.reason,
        "reason": note.reason,
        "type": note.kind,
        "note": note.message[:NOTE_MOST],
        "regarding": {
            "apiVersion": document["apiVersion"],
            "kind": document["kind"],
            "name": name,
            "namespace": namespace,
            "uid": metadata["uid"],
        },
    }
