"""Paper keys: made here, registered at the exchange simulator, kept in the state directory."""

from __future__ import annotations

from recio.runtime.local.environment import LocalEnvironment


def ensure_keys(environment: LocalEnvironment) -> list[str]:
    """Make and register a key for every account and the market reader that has none."""
    return []
