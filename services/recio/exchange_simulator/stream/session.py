"""One WebSocket connection of a member, without the socket: commands in, frames out.

``receive`` reads one text message and queues the answers; everything queued, pushes included, is in
``outbox`` in the order in which it must be sent. A bad message is answered with an error and never
ends the connection. Commands, replies and error codes: docs.kalshi.com/asyncapi.yaml.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from recio.domain.errors import Rejected
from recio.exchange_simulator.stream.hub import Hub
from recio.exchange_simulator.stream.subscriptions import (
    ALL_INDICES,
    BY_MARKET,
    CHANNELS,
    Subscription,
)

UNPROCESSABLE: Final = 1
PARAMS_MISSING: Final = 2
CHANNELS_MISSING: Final = 3
SIDS_MISSING: Final = 4
UNKNOWN_COMMAND: Final = 5
UNKNOWN_SID: Final = 7
UNKNOWN_CHANNEL: Final = 8
BAD_PARAMETER: Final = 11
ONE_SID_NEEDED: Final = 12
BAD_ACTION: Final = 13
TICKER_MISSING: Final = 14
ACTION_MISSING: Final = 15
INDICES_MISSING: Final = 24

_TEXTS: Final = {
    UNPROCESSABLE: "Unable to process message",
    PARAMS_MISSING: "Params required",
    CHANNELS_MISSING: "Channels required",
    SIDS_MISSING: "Subscription IDs required",
    UNKNOWN_COMMAND: "Unknown command",
    UNKNOWN_SID: "Unknown subscription ID",
    UNKNOWN_CHANNEL: "Unknown channel name",
    BAD_PARAMETER: "Invalid parameter",
    ONE_SID_NEEDED: "Exactly one subscription ID is required",
    BAD_ACTION: "Invalid action",
    TICKER_MISSING: "Market Ticker required",
    ACTION_MISSING: "Action required",
    INDICES_MISSING: "Index IDs required",
}
_MARKET_ACTIONS: Final = frozenset({"add_markets", "delete_markets", "get_snapshot"})
_INDEX_ACTIONS: Final = frozenset({"subscribe_indices", "unsubscribe_indices", "indexlist"})


class CommandError(Rejected):
    """A command that cannot be done; answered with its code."""

    def __init__(self, code: int, **details: Any) -> None:  # noqa: ANN401 - JSON values
        super().__init__(_TEXTS[code])
        self.code = code
        self.details = details


class Session:
    """One connection. The shell sends what is in ``outbox`` and empties it."""

    def __init__(self, hub: Hub, account: str) -> None:
        self.hub = hub
        self.account = account
        self.outbox: list[bytes] = []
        self.subscriptions: dict[int, Subscription] = {}
        self._last_sid = 0
        self._commands: dict[str, Callable[[int | None, dict[str, Any]], None]] = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "update_subscription": self._update,
            "list_subscriptions": self._list,
        }

    def receive(self, text: str | bytes) -> None:
        """Do one command and queue its answers."""
        command_id: int | None = None
        try:
            message = _object(text)
            found_id = message.get("id")
            command_id = found_id if type(found_id) is int and found_id >= 0 else None
            self._do(command_id, message)
        except (ValueError, RecursionError):
            self._error(command_id, CommandError(UNPROCESSABLE))
        except CommandError as error:
            self._error(command_id, error)

    def close(self) -> None:
        """End every subscription."""
        for one in self.subscriptions.values():
            self.hub.remove(one)
        self.subscriptions.clear()

    def _do(self, command_id: int | None, message: dict[str, Any]) -> None:
        command = self._commands.get(str(message.get("cmd")))
        if command is None:
            raise CommandError(UNKNOWN_COMMAND)
        params = message.get("params")
        if message["cmd"] != "list_subscriptions" and not isinstance(params, dict):
            raise CommandError(PARAMS_MISSING)
        command(command_id, params or {})

    def _reply(self, command_id: int | None, body: dict[str, Any]) -> None:
        head = {} if command_id is None else {"id": command_id}
        self.outbox.append(msgspec.json.encode(head | body))

    def _error(self, command_id: int | None, error: CommandError) -> None:
        msg = {"code": error.code, "msg": str(error)} | error.details
        self._reply(command_id, {"type": "error", "msg": msg})

    def _subscribe(self, command_id: int | None, params: dict[str, Any]) -> None:
        channels = params.get("channels")
        if not isinstance(channels, list) or not channels:
            raise CommandError(CHANNELS_MISSING)
        tickers = _tickers(params)
        for channel in channels:
            try:
                self._open(command_id, channel, tickers, params)
            except CommandError as error:
                self._error(command_id, error)

    def _open(
        self, command_id: int | None, channel: object, tickers: list[str], params: dict[str, Any]
    ) -> None:
        if not isinstance(channel, str) or channel not in CHANNELS:
            raise CommandError(UNKNOWN_CHANNEL)
        wanted = self._known(command_id, channel, tickers)
        self._last_sid += 1
        one = Subscription(self._last_sid, channel, self.account, self.outbox, wanted)
        one.is_yes_scale = params.get("use_yes_price") is True
        one.indices = set(_texts(params.get("index_ids"))) if "cfbenchmarks" in channel else set()
        self.subscriptions[one.sid] = one
        self.hub.add(one)
        if not (channel == "ticker" and params.get("skip_ticker_ack") is True):
            msg = {"channel": channel, "sid": one.sid}
            self._reply(command_id, {"type": "subscribed", "msg": msg})
        if channel == "orderbook_delta":
            self._snapshots(one, wanted or set())
        elif channel == "ticker" and params.get("send_initial_snapshot") is True:
            self._tickers(wanted)

    def _known(self, command_id: int | None, channel: str, tickers: list[str]) -> set[str] | None:
        if channel not in BY_MARKET:
            return None
        if not tickers:
            if channel == "orderbook_delta":
                raise CommandError(TICKER_MISSING)
            return None
        if channel != "orderbook_delta":
            return set(tickers)
        known = {ticker for ticker in tickers if ticker in self.hub.state.markets}
        for ticker in sorted(set(tickers) - known):
            self._error(command_id, CommandError(BAD_PARAMETER, market_ticker=ticker))
        if not known:
            raise CommandError(TICKER_MISSING)
        return known

    def _snapshots(
        self, one: Subscription, tickers: Iterable[str], command_id: int | None = None
    ) -> None:
        for ticker in sorted(tickers):
            self.hub.send_snapshot(one, self.hub.state.markets[ticker], command_id)

    def _tickers(self, tickers: set[str] | None) -> None:
        for ticker, market in self.hub.state.markets.items():
            if tickers is None or ticker in tickers:
                self.hub.last_tickers.pop(ticker, None)
                self.hub.changed[ticker] = market

    def _unsubscribe(self, command_id: int | None, params: dict[str, Any]) -> None:
        sids = params.get("sids")
        if not isinstance(sids, list) or not sids:
            raise CommandError(SIDS_MISSING)
        for sid in sids:
            one = self.subscriptions.pop(sid, None) if isinstance(sid, int) else None
            if one is None:
                self._error(command_id, CommandError(UNKNOWN_SID))
                continue
            self.hub.remove(one)
            self._acknowledge(command_id, one, {"type": "unsubscribed"})

    def _acknowledge(self, command_id: int | None, one: Subscription, body: dict[str, Any]) -> None:
        seq = one.next_seq()
        numbered = {"sid": one.sid} if seq is None else {"sid": one.sid, "seq": seq}
        self._reply(command_id, numbered | body)

    def _update(self, command_id: int | None, params: dict[str, Any]) -> None:
        one = self._addressed(params)
        action = params.get("action")
        if action is None:
            raise CommandError(ACTION_MISSING)
        if not isinstance(action, str):
            raise CommandError(BAD_ACTION)
        if action in _INDEX_ACTIONS and one.channel == "cfbenchmarks_value":
            self._update_indices(command_id, one, action, params)
        elif action in _MARKET_ACTIONS and one.channel in BY_MARKET:
            self._update_markets(command_id, one, action, params)
        else:
            raise CommandError(BAD_ACTION)

    def _addressed(self, params: dict[str, Any]) -> Subscription:
        sids = params.get("sids") if "sids" in params else [params.get("sid")]
        if not isinstance(sids, list) or len(sids) != 1 or not isinstance(sids[0], int):
            raise CommandError(ONE_SID_NEEDED)
        if sids[0] not in self.subscriptions:
            raise CommandError(UNKNOWN_SID)
        return self.subscriptions[sids[0]]

    def _update_markets(
        self, command_id: int | None, one: Subscription, action: str, params: dict[str, Any]
    ) -> None:
        wanted = set(_tickers(params)) & self.hub.state.markets.keys()
        if not wanted:
            raise CommandError(TICKER_MISSING)
        if action == "get_snapshot":
            if one.channel != "orderbook_delta":
                raise CommandError(BAD_ACTION)
            self._snapshots(one, wanted, command_id)
            return
        self._change_markets(one, action, wanted)
        shown = {"market_tickers": sorted(one.tickers or ())}
        self._acknowledge(command_id, one, {"type": "ok", "msg": shown})
        if action == "add_markets" and one.channel == "orderbook_delta":
            self._snapshots(one, wanted)

    def _change_markets(self, one: Subscription, action: str, wanted: set[str]) -> None:
        before = one.tickers or set()
        one.tickers = before | wanted if action == "add_markets" else before - wanted
        if one.channel == "orderbook_delta":
            if action == "add_markets":
                self.hub.add_books(one, wanted - before)
            else:
                self.hub.remove_books(one, wanted & before)

    def _update_indices(
        self, command_id: int | None, one: Subscription, action: str, params: dict[str, Any]
    ) -> None:
        if action == "indexlist":
            msg = msgspec.json.encode({"index_ids": sorted(self.hub.exchange.indexes)})
            one.push("cfbenchmarks_value_indexlist", msg, command_id)
            return
        wanted = set(_texts(params.get("index_ids")))
        if not wanted:
            raise CommandError(INDICES_MISSING)
        if action == "subscribe_indices":
            one.indices |= wanted
        else:
            one.indices -= wanted
        shown = [ALL_INDICES] if ALL_INDICES in one.indices else sorted(one.indices)
        self._acknowledge(command_id, one, {"type": "ok", "msg": {"index_ids": shown}})

    def _list(self, command_id: int | None, _params: dict[str, Any]) -> None:
        rows = [{"channel": one.channel, "sid": sid} for sid, one in self.subscriptions.items()]
        self._reply(command_id, {"type": "ok", "msg": rows})


def _object(text: str | bytes) -> dict[str, Any]:
    message = msgspec.json.decode(text)
    if not isinstance(message, dict):
        raise CommandError(UNPROCESSABLE)
    return message


def _texts(value: object) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [one for one in items if isinstance(one, str) and one]


def _tickers(params: dict[str, Any]) -> list[str]:
    return _texts(params.get("market_ticker")) + _texts(params.get("market_tickers"))
