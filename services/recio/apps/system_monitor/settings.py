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
    ``trade_initiator@paper+trade_executor@paper=http://127.0.0.1:8011``. ``probe_file`` holds more
    of them, one a line (empty lines and what follows a # count for nothing), and is read again when
    it changes; while it is not there it holds none. None at all: only the machine is measured.
    ``disk_path`` lies on the disk that is measured. ``journal_days`` and ``decision_days`` of market
    time stay, counted back from the newest row of each environment and account, and whatever a trade
    that is not over may need; older partitions are dropped every ``retention_minutes``.
    """

    probe_urls: tuple[str, ...] = ()
    probe_file: str = ""
    interval_seconds: Annotated[int, Meta(ge=1, le=300)] = 5
    probe_timeout_milliseconds: Annotated[int, Meta(ge=100, le=30_000)] = 2000
    disk_path: str = "/"
    journal_days: Annotated[int, Meta(ge=1, le=3650)] = 14
    decision_days: Annotated[int, Meta(ge=1, le=3650)] = 90
    retention_minutes: Annotated[int, Meta(ge=1, le=1440)] = 10


class Target(msgspec.Struct, frozen=True):
    """One process: where it answers and what it hosts."""

    url: str
    hosts: tuple[Subject, ...]


def targets(settings: Settings, more: str = "") -> tuple[Target, ...]:
    """Return the processes to probe: those of the settings and those of the file's text.

    Raises:
        SettingsInvalid: an entry is not ``<services>=<base URL>``, or names no service of ours.
    """
    lines = (line.partition("#")[0].strip() for line in more.splitlines())
    found = [_target(entry, VARIABLE) for entry in settings.probe_urls]
    found += [_target(line, settings.probe_file) for line in lines if line]
    return tuple(dict.fromkeys(found))


def _target(entry: str, where: str) -> Target:
    names, equals, url = entry.partition("=")
    if not equals or not url.startswith(("http://", "https://")):
        raise SettingsInvalid(
            f"settings: {where}: expected entries such as "
            f"trade_executor@paper=http://127.0.0.1:8001, received {entry!r}"
        )
    return Target(
        url.rstrip("/"), tuple(_subject(name.strip(), entry, where) for name in names.split("+"))
    )


def _subject(name: str, entry: str, where: str) -> Subject:
    service, _, account = name.partition("@")
    if service not in manifest.BY_NAME:
        raise SettingsInvalid(
            f"settings: {where}: expected services of the manifest, received {service!r} in "
            f"{entry!r}"
        )
    return Subject(service, account)
