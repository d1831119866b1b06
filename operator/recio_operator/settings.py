"""What the operator is told: variables ``RECIO_OPERATOR_*``, and options that replace them."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from recio.runtime import settings

NAME: Final = "operator"


class OperatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Variables ``RECIO_OPERATOR_*``; every one has a default that fits the chart.

    ``namespace`` is watched; empty: the release's own. ``kubeconfig`` empty: the cluster that we
    run in. The password file belongs to the login ``recio_operator``; one that does not exist means
    that the database asks for none. ``owner_*`` and ``prepare_*`` are for ``recio-operator prepare``.
    """

    release_file: str = "/etc/recio/release/release.json"
    namespace: str = ""
    kubeconfig: str = ""
    database_password_file: str = "/etc/recio/database/recio_operator"  # noqa: S105 (a path)
    http_host: str = "0.0.0.0"  # noqa: S104 (the kubelet asks from outside of the pod)
    http_port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    log_level: str = "INFO"
    workers: Annotated[int, Meta(ge=1, le=100)] = 10
    books_seconds: Annotated[int, Meta(ge=1, le=300)] = 5
    resync_seconds: Annotated[int, Meta(ge=10, le=86400)] = 600
    owner_directory: str = "/etc/recio/owner"
    prepare_seconds: Annotated[int, Meta(ge=0, le=86400)] = 600


def of(values: dict[str, str]) -> OperatorSettings:
    """Return the settings in ``values``; other variables of ours are none of our business.

    Raises:
        SettingsInvalid: names each variable that is unknown or does not fit.
    """
    return settings.load(OperatorSettings, NAME, settings.service_values(NAME, values))
