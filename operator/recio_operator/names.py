"""Names and labels of everything the operator makes; the only place that spells them.

Children of an account are called ``ta-<account>[-<part>]``: an account's name has at most 32
characters and the longest part 24, so that each fits a DNS label (63). Deployments, Services and
Secrets always have a part, the other kinds never: an account may be called like another's child
(``x-trade-manager``), and no part ends another.
"""

from __future__ import annotations

from typing import Final

GROUP: Final = "recio.io"
VERSION: Final = "v1alpha1"
FIELD_MANAGER: Final = "recio-operator"
FINALIZER: Final = "recio.io/leave-clean"

PAUSED: Final = "recio.io/paused"
RESTARTED_AT: Final = "recio.io/restartedAt"
FORCE_FINALIZE: Final = "recio.io/force-finalize"

ACCOUNT_LABEL: Final = "recio.io/account"
ENVIRONMENT_LABEL: Final = "recio.io/environment"
POOL_LABEL: Final = "recio.io/pool"
CHECKSUM: Final = "recio.io/checksum"
"""On every child: the digest of what we last applied, so that a field we dropped is noticed."""
TEMPLATE_CHECKSUM: Final = "recio.io/template-checksum"
CREDENTIALS_CHECKSUM: Final = "recio.io/credentials-checksum"
CONFIG_CHECKSUM: Final = "recio.io/config-checksum"
POOLED_ACCOUNTS: Final = "recio.io/accounts"
"""On a pool's pod template: the accounts that its pods host, with commas."""

COMPACT: Final = "compact"
"""Part and component of the one Deployment of a Compact account."""
POOL: Final = "pool"
"""Component of a pool's Deployment."""


def child(account: str, part: str = "") -> str:
    """Return the name of an account's child object."""
    return f"ta-{account}-{part.replace('_', '-')}" if part else f"ta-{account}"


def pool(environment: str, mode: str) -> str:
    """Return the name of the pool that hosts the Pooled accounts of an environment and mode.

    Its prefix is not that of accounts, so that no account can be called like a pool.
    """
    return f"tp-{environment}-{mode}"


def login(account: str) -> str:
    """Return the account's database login."""
    return f"recio_account_{account}"


def labels(release: str, component: str, version: str = "") -> dict[str, str]:
    """Return the recommended labels; without ``version`` they may stand in a selector."""
    made = {
        "app.kubernetes.io/name": "recio",
        "app.kubernetes.io/instance": release,
        "app.kubernetes.io/component": component.replace("_", "-"),
    }
    if version:
        made |= {
            "app.kubernetes.io/version": version,
            "app.kubernetes.io/part-of": "recio",
            "app.kubernetes.io/managed-by": FIELD_MANAGER,
        }
    return made
