"""What paper, shadow, demo and prod mean: the only place in the product that tells them apart.

    mode    exchange              price feeds                   orders go to
    paper   the exchange          recording: the exchange's     the exchange simulator
            simulator             live: the venues'
    shadow  production, read key  the venues'                   nowhere
    demo    the demo hosts        the venues'                   the demo hosts
    prod    production            the venues'                   production

A paper process opens no connection to a host of the exchange at all, a shadow process none that
could carry an order: both are refused here, below everything that could ask for it.

Hosts: Kalshi documentation, "API Environments" (read November 2026); REST and WebSocket have
different names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from recio.domain.account_config import Mode
from recio.domain.errors import Broken
from recio.ports import HttpReply, HttpTransport
from recio.runtime.settings import PriceSource, ProcessSettings

BASE_PATH: Final = "/trade-api/v2"
WEBSOCKET_PATH: Final = "/trade-api/ws/v2"


@dataclass(frozen=True, slots=True)
class Hosts:
    """Where an exchange listens: addresses without a path."""

    rest: str
    websocket: str


PRODUCTION: Final = Hosts("https://external-api.kalshi.com", "wss://external-api-ws.kalshi.com")
DEMO: Final = Hosts("https://external-api.demo.kalshi.co", "wss://external-api-ws.demo.kalshi.co")

_EXCHANGE_DOMAINS: Final = ("kalshi.com", "kalshi.co")
_READING: Final = frozenset({"GET", "HEAD"})


def hosts(settings: ProcessSettings) -> Hosts:
    """Return where the environment's exchange listens.

    Raises:
        Broken: a paper environment without addresses, or with those of a real exchange; another
            mode with addresses of its own.
    """
    given = Hosts(settings.exchange_rest_url, settings.exchange_websocket_url)
    if settings.mode is not Mode.PAPER:
        if given.rest or given.websocket:
            raise Broken(
                f"mode {settings.mode} knows its hosts: expected no RECIO_EXCHANGE_REST_URL and "
                f"RECIO_EXCHANGE_WEBSOCKET_URL, received {given.rest!r} and {given.websocket!r}"
            )
        return DEMO if settings.mode is Mode.DEMO else PRODUCTION
    if not given.rest or not given.websocket:
        raise Broken(
            "mode paper: expected RECIO_EXCHANGE_REST_URL and RECIO_EXCHANGE_WEBSOCKET_URL, the "
            "addresses that `recio exchange` prints"
        )
    for url in (given.rest, given.websocket):
        if is_real_exchange(url):
            raise Broken(f"a paper process opens no connection to a real exchange: received {url}")
    return given


def is_real_exchange(url: str) -> bool:
    """Whether an address belongs to a real exchange."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    return any(host == domain or host.endswith(f".{domain}") for domain in _EXCHANGE_DOMAINS)


def may_send_orders(mode: Mode) -> bool:
    """Whether orders of this mode go anywhere."""
    return mode is not Mode.SHADOW


def has_own_clock(mode: Mode) -> bool:
    """Whether market time is the environment's own and may differ from the wall's."""
    return mode is Mode.PAPER


def is_self_contained(mode: Mode) -> bool:
    """Whether the mode needs no exchange but ours: what `recio up` runs."""
    return mode is Mode.PAPER


def has_live_feeds(settings: ProcessSettings) -> bool:
    """Whether prices come from the venues themselves and not from the exchange simulator."""
    return settings.mode is not Mode.PAPER or settings.price_source is PriceSource.LIVE


class ReadingOnly:
    """An HttpTransport that lets nothing through that could change something."""

    def __init__(self, inner: HttpTransport) -> None:
        self._inner = inner

    async def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        timeout_s: float,
    ) -> HttpReply:
        """Send a reading request.

        Raises:
            Broken: another method; nothing was sent.
        """
        if method not in _READING or body:
            raise Broken(f"mode shadow sends no orders: refused {method} {target}")
        return await self._inner.request(method, target, headers, timeout_s=timeout_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._inner.close()


def guarded(transport: HttpTransport, mode: Mode) -> HttpTransport:
    """Return the transport as the mode may use it."""
    return transport if may_send_orders(mode) else ReadingOnly(transport)
