"""``recio-operator prepare``: the release's Secrets, then its database. Doing it again changes nothing.

Secrets that exist are kept, whoever made them. Every one is written before the database learns its
password, so that a run which is cut short leaves nothing that nobody knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg

from recio import manifest
from recio.domain.account_config import PaperSource
from recio.domain.errors import Broken, Unavailable
from recio.manifest import Scope
from recio.runtime.ids import new_secret
from recio.runtime.preparing import ADMIN, EnvironmentSpec, prepare_release
from recio.runtime.settings import PriceSource
from recio_operator import kube as api
from recio_operator import names
from recio_operator.kube import Conflict, Kube
from recio_operator.release import Environment, Release
from recio_operator.secrets_io import PASSWORD, TOKEN, opaque, value_of
from recio_operator.settings import NAME, OperatorSettings

Object = dict[str, Any]
Say = Callable[[str], None]

USERNAME: Final = "username"
PAUSE_S: Final = 2.0
_SOURCES: Final = {
    PaperSource.RECORDING: PriceSource.RECORDING,
    PaperSource.LIVE_FEED: PriceSource.LIVE,
}


class Wanted(NamedTuple):
    """A Secret that must be there: ``fixed`` values, and the key whose value is made by chance."""

    name: str
    key: str
    component: str
    fixed: dict[str, str]


class _Made(NamedTuple):
    """The passwords in the Secrets."""

    logins: dict[str, str]
    page_password: str
    is_page_password_new: bool


def prepare(settings: OperatorSettings, release: Release, *, say: Say) -> None:
    """Make what a release needs before anything of it can start.

    Raises:
        Unavailable: the API server or the database did not answer in time.
        Broken: something must be mended by a person; the message says what.
    """
    made = asyncio.run(_secrets(settings, release, say))
    prepare_release(
        _owner(settings, release),
        logins=made.logins,
        environments=[_spec(one) for one in release.environments],
        say=say,
        page_password=made.page_password,
        is_page_password_new=made.is_page_password_new,
        timeout_s=settings.prepare_seconds,
    )
    say(f"the release {release.name} is prepared")


def _spec(environment: Environment) -> EnvironmentSpec:
    source = environment.price_source
    return EnvironmentSpec(
        name=environment.name,
        mode=environment.mode,
        price_source=_SOURCES[source] if source is not None else PriceSource.LIVE,
    )


def _owner(settings: OperatorSettings, release: Release) -> str:
    told, directory = release.database, Path(settings.owner_directory)
    try:
        login, password = ((directory / name).read_text().strip() for name in (USERNAME, PASSWORD))
    except OSError as error:
        raise Broken(
            f"expected {USERNAME} and {PASSWORD} of the database's owner in {directory}: "
            f"{error.strerror}; the chart mounts them from the owner's Secret"
        ) from error
    return psycopg.conninfo.make_conninfo(
        host=told.direct_host,
        port=told.direct_port,
        dbname=told.name,
        sslmode=told.ssl_mode,
        user=login,
        password=password,
    )


def wanted(release: Release) -> Iterator[tuple[Wanted, str]]:
    """Yield each Secret, with the database login that it is for (or none)."""
    services = [row.name for row in manifest.SERVICES if row.scope is not Scope.ACCOUNT]
    for service in (*services, NAME):
        yield Wanted(release.login_secret(service), PASSWORD, service, {}), f"recio_{service}"
    # A Redis of the user's own brings its own password.
    if release.redis.password_secret.startswith(f"{release.fullname}-"):
        yield Wanted(release.redis.password_secret, PASSWORD, "redis", {}), ""
    tokens = {one.exchange.admin_secret for one in release.environments if one.exchange}
    for name in sorted(tokens):
        yield Wanted(name, TOKEN, "exchange-simulator", {}), ""
    yield Wanted(release.admin_secret, PASSWORD, "main-app", {USERNAME: ADMIN}), ""


async def _secrets(settings: OperatorSettings, release: Release, say: Say) -> _Made:
    kube = await api.connect(
        settings.namespace or release.namespace, kubeconfig=settings.kubeconfig
    )
    made = _Made({}, "", is_page_password_new=False)
    try:
        for one, login in wanted(release):
            value, is_new = await _patiently(settings, kube, release, one, say)
            if login:
                made.logins[login] = value
            if one.name == release.admin_secret:
                made = _Made(made.logins, value, is_page_password_new=is_new)
    finally:
        await kube.close()
    return made


async def _patiently(
    settings: OperatorSettings, kube: Kube, release: Release, one: Wanted, say: Say
) -> tuple[str, bool]:
    """Make one Secret, waiting for an API server that is not there now."""
    deadline_s = asyncio.get_running_loop().time() + settings.prepare_seconds
    while True:
        try:
            return await _ensure(kube, release, one, say)
        except Unavailable as error:
            if asyncio.get_running_loop().time() > deadline_s:
                raise
            say(f"waiting for the API server: {error}")
            await asyncio.sleep(PAUSE_S)


async def _ensure(kube: Kube, release: Release, one: Wanted, say: Say) -> tuple[str, bool]:
    """Return a Secret's value, and whether it was made now."""
    held = await kube.get(api.SECRETS, one.name)
    is_new = False
    if held is None:
        labels = names.labels(release.name, one.component, release.version)
        made = opaque(one.name, {**one.fixed, one.key: new_secret()}, labels=labels)
        try:
            held = await kube.create(made)
        except Conflict:
            # Another run was faster; its value counts.
            held = await kube.get(api.SECRETS, one.name)
        else:
            is_new = True
            say(f"made Secret {one.name}")
    else:
        say(f"kept Secret {one.name}")
    if held is None:
        raise Unavailable(f"Secret {one.name} was made and deleted at the same moment")
    return value_of(held, one.key).decode().strip(), is_new
