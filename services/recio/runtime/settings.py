"""Settings come from the environment, once, at the start; the only place that reads it.

Process settings are named ``RECIO_<NAME>``, a service's own ``RECIO_<SERVICE>_<NAME>``. A name that
nobody knows, a missing one without a default and a value that does not fit are errors that name the
variable. Secrets are wrapped so that they show as stars wherever they are printed.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Any, Final, TypeVar

import msgspec

from recio import manifest
from recio.domain.account_config import Mode
from recio.domain.errors import Broken

PREFIX: Final = "RECIO_"
MASK: Final = "********"

_TOOLS: Final = ("RECIO_PYTHON", "RECIO_NO_APISERVER", "RECIO_E2E")
"""What these begin with is read by the Makefile and the tests, not by us."""

T = TypeVar("T", bound=msgspec.Struct)


class SettingsInvalid(Broken):
    """One or more settings are missing, unknown or do not fit; the message names each."""


class Secret:
    """A text that is never shown: ``str`` and ``repr`` give stars, ``reveal`` the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class PriceSource(StrEnum):
    """Where a paper environment's prices come from."""

    RECORDING = "recording"
    LIVE = "live"


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is told, whichever services it hosts.

    ``database_url`` without a user means: each service logs in as itself (``recio_<service>`` or
    ``recio_account_<account>``), with a password from ``database_passwords_dir/<login>`` if that is
    set. It may be a transaction pooler's: ``database_listen_url`` is then the server's own, for the
    one connection of a process that lasts; ``database_pooler_prepares`` says that the pooler follows
    prepared statements (PgBouncer 1.21 or newer with ``max_prepared_statements``), which is faster. ``redis_password_file`` holds the password of Redis.
    Files of passwords are read at each connection. ``environments`` are those of the release, for
    services that show all of them; none means ``environment`` alone. ``credentials_dir`` holds ``<account>/key-id`` and ``<account>/private-key``, and
    ``market/`` for the environment's read key. ``exchange_*_url`` is where a paper environment's
    exchange listens, or a shadow environment's mirror; in the other modes the hosts are known and
    cannot be set. ``market_*_url``: a shadow environment reads its markets from an exchange simulator
    there, which plays production; without them from production itself.
    """

    environment: str
    mode: Mode
    database_url: str
    redis_url: str
    database_listen_url: str = ""
    database_pooler_prepares: bool = False
    redis_password_file: str = ""
    environments: tuple[str, ...] = ()
    credentials_dir: str = ""
    account: str = ""
    accounts: tuple[str, ...] = ()
    series: tuple[str, ...] = ("KXBTCD",)
    exchange_rest_url: str = ""
    exchange_websocket_url: str = ""
    market_rest_url: str = ""
    market_websocket_url: str = ""
    price_source: PriceSource = PriceSource.RECORDING
    database_passwords_dir: str = ""
    http_host: str = "127.0.0.1"
    http_port: int = 0
    log_level: str = "INFO"

    def hosted_accounts(self) -> tuple[str, ...]:
        """Return the accounts that this process works for."""
        return self.accounts or ((self.account,) if self.account else ())

    def shown_environments(self) -> tuple[str, ...]:
        """Return the environments of the release, our own first."""
        return tuple(dict.fromkeys((self.environment, *self.environments)))


def from_environment() -> dict[str, str]:
    """Return every ``RECIO_*`` variable of the process."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(PREFIX) and not name.startswith(_TOOLS)
    }


def process_settings(values: Mapping[str, str]) -> ProcessSettings:
    """Return the settings of a process.

    Raises:
        SettingsInvalid: names each variable that is missing, unknown or does not fit.
    """
    services = tuple(service_prefix(row.name) for row in manifest.SERVICES)
    own = {name: value for name, value in values.items() if not name.startswith(services)}
    return _load(ProcessSettings, PREFIX, own)


def service_values(service: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that belong to one service."""
    prefix = service_prefix(service)
    return {name: value for name, value in values.items() if name.startswith(prefix)}


def service_prefix(service: str) -> str:
    """Return what a service's variables begin with."""
    return f"{PREFIX}{service.upper()}_"


def load(kind: type[T], service: str, values: Mapping[str, str]) -> T:
    """Return a service's own settings as its frozen struct.

    Args:
        kind: the struct; its fields are the names in lower case, its defaults are the defaults.
        service: the service's name in the manifest.
        values: ``ServiceContext.settings``.

    Raises:
        SettingsInvalid: names each variable that is missing, unknown or does not fit.
    """
    return _load(kind, service_prefix(service), values)


def _load(kind: type[T], prefix: str, values: Mapping[str, str]) -> T:
    fields = {prefix + field.name.upper(): field for field in msgspec.structs.fields(kind)}
    problems = [_unknown(name, fields) for name in values if name not in fields]
    problems += [
        f"{name} is missing"
        for name, field in fields.items()
        if field.required and not values.get(name)
    ]
    made: dict[str, Any] = {}
    for name, field in fields.items():
        if values.get(name):
            try:
                made[field.name] = _converted(values[name], field.type)
            except (msgspec.ValidationError, ValueError) as error:
                shown = _shown(values[name], field.type)
                problems.append(f"{name}: {error}{_choices(field.type)}; received {shown}")
    if problems:
        raise SettingsInvalid("settings: " + "; ".join(sorted(problems)))
    return kind(**made)


def _converted(text: str, kind: Any) -> Any:  # noqa: ANN401 (whatever the field's type says)
    if getattr(kind, "__origin__", None) is tuple:
        value: Any = tuple(part.strip() for part in text.split(",") if part.strip())
    else:
        value = text
    return msgspec.convert(value, kind, strict=False, dec_hook=_secret)


def _secret(kind: type[Any], value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError(f"a setting cannot be of type {kind}")


def _shown(text: str, kind: object) -> str:
    return MASK if kind is Secret else repr(text)


def _choices(kind: object) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f": expected {', '.join(str(one.value) for one in kind)}"
    return ""


def _unknown(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    return f"{name} is unknown" + (f" (is {near[0]} meant?)" if near else "")


def masked_url(url: str) -> str:
    """Return an address without its password."""
    head, at, tail = url.rpartition("@")
    scheme, separator, login = head.partition("://")
    user, colon, _password = login.partition(":")
    return f"{scheme}{separator}{user}{':' + MASK if colon else ''}{at}{tail}" if at else url
