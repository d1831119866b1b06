"""What paper, shadow, demo and prod mean: the only place in the product that tells them apart.

    mode    markets are read at    price feeds                   orders go to
    paper   the exchange           recording: the exchange's     the exchange simulator
            simulator              live: the venues'
    shadow  production, read key   the venues'                   the mirror: an exchange simulator with
                                                                 production's books (world/mirror.py)
    demo    the demo hosts         the venues'                   the demo hosts
    prod    production             the venues'                   production

A paper process opens no connection to a host of the exchange at all, a shadow process none that
could carry an order: what goes to production is refused unless it reads, and what carries orders is
refused unless it goes to an exchange of ours. Both are held here, below everything that could ask.

The production that a shadow environment reads may be played by an exchange simulator
(``market_*_url``), for rehearsals and tests; prices and time then come from there as well.

Hosts: Kalshi documentation, "API Environments" (read November 2026); REST and WebSocket have
different names.
"""

from __future__ import annotations

import ipaddress
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
_IMAGINED: Final = frozenset({Mode.PAPER, Mode.SHADOW})


def hosts(settings: ProcessSettings) -> Hosts:
    """Return where the accounts' orders and money are.

    Raises:
        Broken: a paper or shadow environment without addresses, or with those of a real exchange;
            another mode with addresses of its own.
    """
    given = Hosts(settings.exchange_rest_url, settings.exchange_websocket_url)
    if settings.mode not in _IMAGINED:
        if given.rest or given.websocket:
            raise Broken(
                f"mode {settings.mode} knows its hosts: expected no RECIO_EXCHANGE_REST_URL and "
                f"RECIO_EXCHANGE_WEBSOCKET_URL, received {given.rest!r} and {given.websocket!r}"
            )
        return DEMO if settings.mode is Mode.DEMO else PRODUCTION
    if not given.rest or not given.websocket:
        whose = (
            "`recio exchange` prints" if settings.mode is Mode.PAPER else "the mirror listens at"
        )
        raise Broken(
            f"mode {settings.mode}: expected RECIO_EXCHANGE_REST_URL and "
            f"RECIO_EXCHANGE_WEBSOCKET_URL, the addresses that {whose}"
        )
    return _ours(settings.mode, given)


def market_hosts(settings: ProcessSettings) -> Hosts:
    """Return where markets, books and results are read.

    Raises:
        Broken: addresses that the mode does not have, or one of two.
    """
    given = Hosts(settings.market_rest_url, settings.market_websocket_url)
    if not given.rest and not given.websocket:
        return PRODUCTION if settings.mode is Mode.SHADOW else hosts(settings)
    if settings.mode is not Mode.SHADOW:
        raise Broken(
            f"mode {settings.mode} reads its markets where its orders go: expected no "
            f"RECIO_MARKET_REST_URL and RECIO_MARKET_WEBSOCKET_URL, received {given.rest!r} and "
            f"{given.websocket!r}"
        )
    if not given.rest or not given.websocket:
        raise Broken(
            "mode shadow: expected RECIO_MARKET_REST_URL and RECIO_MARKET_WEBSOCKET_URL, or neither "
            "to read production"
        )
    return _ours(settings.mode, given)


def _ours(mode: Mode, given: Hosts) -> Hosts:
    for url in (given.rest, given.websocket):
        if is_real_exchange(url) or _is_public_address(url):
            raise Broken(
                f"a {mode} process sends orders to exchanges of ours only, and opens no other "
                f"connection to a real exchange: received {url}"
            )
    return given


def is_real_exchange(url: str) -> bool:
    """Whether an address belongs to a real exchange."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    return any(host == domain or host.endswith(f".{domain}") for domain in _EXCHANGE_DOMAINS)


def _is_public_address(url: str) -> bool:
    """Whether an address is a number of the open internet: no simulator of ours has one."""
    try:
        return ipaddress.ip_address(urlsplit(url).hostname or "").is_global
    except ValueError:
        return False


def is_mirrored(mode: Mode) -> bool:
    """Whether the accounts trade on a mirror of the exchange that is read."""
    return mode is Mode.SHADOW


def is_real_money(mode: Mode) -> bool:
    """Whether what is lost there is lost: its strategy should have been a shadow's before."""
    return mode is Mode.PROD


def has_own_clock(mode: Mode) -> bool:
    """Whether market time is the environment's own and may differ from the wall's."""
    return mode is Mode.PAPER


def keeps_own_time(settings: ProcessSettings) -> bool:
    """Whether a process's market time is its environment's own: there is no real exchange in it."""
    return has_own_clock(settings.mode) or bool(settings.market_rest_url)


def is_self_contained(mode: Mode) -> bool:
    """Whether the mode needs no exchange but ours: what `recio up` runs."""
    return mode is Mode.PAPER


def has_live_feeds(settings: ProcessSettings) -> bool:
    """Whether prices come from the venues themselves and not from the exchange simulator."""
    if settings.mode is Mode.PAPER:
        return settings.price_source is PriceSource.LIVE
    return not settings.market_rest_url


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
            raise Broken(
                f"mode shadow only reads the real exchange: refused {method} {target}, nothing sent"
            )
        return await self._inner.request(method, target, headers, timeout_s=timeout_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._inner.close()


def guarded(transport: HttpTransport, mode: Mode) -> HttpTransport:
    """Return a transport to where markets are read as the mode may use it."""
    return ReadingOnly(transport) if is_mirrored(mode) else transport
