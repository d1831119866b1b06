"""What system_monitor is told: where to look, how often, and for how long to wait."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from recio import manifest
from recio.engine.breakers import Subject
from recio.runtime.settings import SettingsInvalid

VARIABLE = "RECIO_SYSTEM_MONITOR_PROBE_URLS"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Variables ``RECIO_SYSTEM_MONITOR_*``.

    ``probe_urls``: one entry for each process, ``<services>=<base URL>``; services of an account
    are written ``name@account``, several in one process are joined by ``+``:
    ``trade_initiator@paper+trade_executor@paper=http://127.0.0.1:8011``. None: only the machine is
    measured. ``disk_path`` lies on the disk that is measured.
    """

    probe_urls: tuple[str, ...] = ()
    interval_seconds: Annotated[int, Meta(ge=1, le=300)] = 5
    probe_timeout_milliseconds: Annotated[int, Meta(ge=100, le=30_000)] = 2000
    disk_path: str = "/"


class Target(msgspec.Struct, frozen=True):
    """One process: where it answers and what it hosts."""

    url: str
    hosts: tuple[Subject, ...]


def targets(settings: Settings) -> tuple[Target, ...]:
    """Return the processes to probe.

    Raises:
        SettingsInvalid: an entry is not ``<services>=<base URL>``, or names no service of ours.
    """
    return tuple(_target(entry) for entry in settings.probe_urls)


def _target(entry: str) -> Target:
    names, equals, url = entry.partition("=")
    if not equals or not url.startswith(("http://", "https://")):
        raise SettingsInvalid(
            f"settings: {VARIABLE}: expected entries such as "
            f"trade_executor@paper=http://127.0.0.1:8001, received {entry!r}"
        )
    return Target(
        url.rstrip("/"), tuple(_subject(name.strip(), entry) for name in names.split("+"))
    )


def _subject(name: str, entry: str) -> Subject:
    service, _, account = name.partition("@")
    if service not in manifest.BY_NAME:
        raise SettingsInvalid(
            f"settings: {VARIABLE}: expected services of the manifest, received {service!r} in "
            f"{entry!r}"
        )
    return Subject(service, account)
