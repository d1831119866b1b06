"""Times as Kubernetes writes them (RFC 3339, whole seconds, UTC) and as we count them."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(at_us: int) -> str:
    """Return a moment as Kubernetes writes it."""
    moment = datetime.fromtimestamp(at_us // 1_000_000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def microseconds(text: str) -> int:
    """Return a moment that Kubernetes wrote."""
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)
