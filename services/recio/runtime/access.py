"""Opens exchange and price-feed connections as the environment's mode allows.

Apps ask for what they need (``market_rest``, ``account_stream``, ``price_feeds`` …) and never learn
which mode they are in. Everything made here is closed by ``close``.
"""

from __future__ import annotations

from typing import Final, Protocol

from recio.adapters.kalshi.book_feed import BookFeed
from recio.adapters.kalshi.budget import Budget
from recio.adapters.kalshi.rest import KalshiRest
from recio.adapters.kalshi.signing import RequestSigner
from recio.adapters.kalshi.stream import Subscription, account_subscriptions
from recio.adapters.kalshi.websocket import KalshiStream
from recio.adapters.price_feeds import bitstamp, coinbase, kraken
from recio.adapters.price_feeds.coinbase import CoinbaseCandles
from recio.adapters.price_feeds.feed import PriceFeed, Venue, VenueFeed
from recio.adapters.transport.client import HttpClient
from recio.adapters.transport.websocket import WebSocketClient
from recio.ports import Clock, HttpTransport, Ids, WebSocketTransport
from recio.runtime import credentials, modes
from recio.runtime.settings import ProcessSettings

FEEDS_PREFIX: Final = "/feeds/"
"""Below it the exchange simulator speaks the venues' wires, so that the same clients read it."""

_VENUES: Final = {
    module.SOURCE: (module.WEBSOCKET_URL, module.PATH) for module in (coinbase, kraken, bitstamp)
}


class Transports(Protocol):
    """Opens connections: over the network, or within the process in a stepped run."""

    def http(self, url: str) -> HttpTransport:
        """Return a transport to the host of ``url``."""
        ...

    def websocket(self, url: str) -> WebSocketTransport:
        """Return a transport to the host of ``url``."""
        ...


class NetworkTransports:
    """Connections over the network."""

    def http(self, url: str) -> HttpTransport:
        """Return a transport to the host of ``url``."""
        return HttpClient(url)

    def websocket(self, url: str) -> WebSocketTransport:
        """Return a transport to the host of ``url``."""
        return WebSocketClient(url)


class Access:
    """The environment's doors to the outside, shared by the services of a process."""

    def __init__(
        self, settings: ProcessSettings, *, clock: Clock, ids: Ids, transports: Transports
    ) -> None:
        self.series = settings.series
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._transports = transports
        self._rest: dict[str, KalshiRest] = {}
        self._streams: list[KalshiStream] = []
        self._opened: list[HttpTransport] = []

    @property
    def is_mirrored(self) -> bool:
        """Whether the accounts trade on a mirror of the exchange that is read."""
        return modes.is_mirrored(self._settings.mode)

    def market_books(self) -> BookFeed:
        """Return a new feed of whole order books under the read key."""
        return BookFeed(self.market_stream())

    def market_rest(self) -> KalshiRest:
        """Return the exchange's REST API under the environment's read key."""
        return self._rest_of(credentials.MARKET)

    def account_rest(self, account: str) -> KalshiRest:
        """Return the exchange's REST API under an account's key."""
        return self._rest_of(account)

    def market_stream(self) -> KalshiStream:
        """Return a new connection to the exchange's WebSocket under the read key."""
        where = modes.market_hosts(self._settings)
        return self._stream_of(credentials.MARKET, where)

    def account_stream(self, account: str) -> KalshiStream:
        """Return a new connection to the exchange's WebSocket under an account's key.

        It is subscribed to the account's private channels.
        """
        return self._stream_of(account, modes.hosts(self._settings), account_subscriptions())

    def price_feeds(self, symbol: str) -> tuple[PriceFeed, ...]:
        """Return new feeds of a symbol's spot price, the most trusted venue first."""
        made = []
        for venue in (coinbase.Coinbase, kraken.Kraken, bitstamp.Bitstamp):
            url, path = self._venue_address(venue(symbol))
            transport = self._transports.websocket(url)
            made.append(VenueFeed(venue(symbol), transport, self._clock, self._ids, path))
        return tuple(made)

    def candles(self, symbol: str) -> CoinbaseCandles:  # noqa: ARG002 (one source for all today)
        """Return where a symbol's minute closes of the past are read."""
        if modes.has_live_feeds(self._settings):
            return CoinbaseCandles(self._http(coinbase.REST_URL))
        http = self._http(modes.market_hosts(self._settings).rest)
        return CoinbaseCandles(http, f"{FEEDS_PREFIX}{coinbase.SOURCE}")

    def _http(self, url: str) -> HttpTransport:
        made = self._transports.http(url)
        self._opened.append(made)
        return made

    def _venue_address(self, venue: Venue) -> tuple[str, str]:
        if not modes.has_live_feeds(self._settings):
            return modes.market_hosts(self._settings).websocket, f"{FEEDS_PREFIX}{venue.source}"
        return _VENUES[venue.source]

    def _stream_of(
        self, owner: str, where: modes.Hosts, subscriptions: tuple[Subscription, ...] = ()
    ) -> KalshiStream:
        transport = self._transports.websocket(where.websocket)
        stream = KalshiStream(
            transport,
            self._signer(owner),
            self._clock,
            self._ids,
            subscriptions=subscriptions,
            path=modes.WEBSOCKET_PATH,
        )
        self._streams.append(stream)
        return stream

    def _rest_of(self, owner: str) -> KalshiRest:
        if owner not in self._rest:
            self._rest[owner] = KalshiRest(
                self._transport_of(owner),
                self._signer(owner),
                self._clock,
                Budget(self._clock),
                modes.BASE_PATH,
            )
        return self._rest[owner]

    def _transport_of(self, owner: str) -> HttpTransport:
        if owner == credentials.MARKET:
            http = self._http(modes.market_hosts(self._settings).rest)
            return modes.guarded(http, self._settings.mode)
        return self._http(modes.hosts(self._settings).rest)

    def _signer(self, owner: str) -> RequestSigner:
        key = credentials.read(self._settings.credentials_dir, owner)
        return RequestSigner(key.key_id, key.private_key)

    async def close(self) -> None:
        """Close every connection."""
        for stream in self._streams:
            await stream.close()
        for http in self._opened:
            await http.close()
