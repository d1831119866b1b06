"""The one WebSocket of each browser: a whole picture first, then what changed.

Frames to the browser (JSON):

    {"t":"snapshot","seq":0,"now_us":…,"speed_permille":…,"view":{…},"documents":{…},"history":{…}}
    {"t":"delta","seq":n,"now_us":…,"speed_permille":…,"documents":{…},"gone":[…]}

``seq`` rises by one; a browser that misses one reconnects. At most ten frames a second; what
changes between two frames is sent once, as it stands. At least one frame a second, so that silence
means a lost connection. A browser that takes a frame too slowly gets fewer frames, never a queue.
From the browser: ``{"t":"view","account":…,"event":…}``; both may be null: the first account, the
event that closes next. A new view is answered with a snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from recio.apps.main_app.accounts import Accounts
from recio.apps.main_app.board import Board
from recio.apps.main_app.market import Market
from recio.apps.main_app.sessions import Session, Sessions
from recio.domain.errors import Unavailable
from recio.ports import Clock

FRAME_S: Final = 0.1
BEAT_S: Final = 1.0
CHECK_US: Final = 30_000_000
LONGEST_REQUEST: Final = 1024
READERS_MOST: Final = 64
CLOSED_SESSION: Final = 4401
CLOSED_FULL: Final = 4429
CLOSED_REQUEST: Final = 4400

_encoder: Final = msgspec.json.Encoder()


class ViewRequest(msgspec.Struct, frozen=True, tag_field="t", tag="view"):
    """What a browser wants to look at; None: the default."""

    account: str | None = None
    event: str | None = None


_requests: Final = msgspec.json.Decoder(ViewRequest)


class Reader:
    """One browser: what it looks at and how much of it it has seen."""

    def __init__(self) -> None:
        self.wanted = ViewRequest()
        self.account: str | None = None
        self.event: str | None = None
        self.environment = ""
        self.view: tuple[object, ...] = ()
        self.seen = 0
        self.seq = -1
        self.changed = asyncio.Event()


class Hub:
    """All browsers."""

    def __init__(
        self,
        *,
        board: Board,
        market: Market,
        accounts: Accounts,
        sessions: Sessions,
        clock: Clock,
        clock_of: Callable[[str], Clock],
    ) -> None:
        self._board = board
        self._market = market
        self._accounts = accounts
        self._sessions = sessions
        self._clock = clock
        self._readers: set[Reader] = set()
        self._clock_of = clock_of
        self._speeds: dict[str, Speed] = {}

    async def serve(self, socket: WebSocket, session: Session, token: str) -> None:
        """Serve one browser until it goes or its session ends."""
        await socket.accept()
        if len(self._readers) >= READERS_MOST:
            await socket.close(CLOSED_FULL, "too many pages are open")
            return
        with self._joined() as reader:
            listening = asyncio.create_task(self._listen(socket, reader))
            sending = asyncio.create_task(self._send(socket, reader, token, session))
            await asyncio.wait((listening, sending), return_when=asyncio.FIRST_COMPLETED)
            for task in (listening, sending):
                task.cancel()
            results = await asyncio.gather(listening, sending, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
                raise result

    @contextmanager
    def _joined(self) -> Iterator[Reader]:
        reader = Reader()
        self._readers.add(reader)
        unlisten = self._board.listen(reader.changed.set)
        try:
            yield reader
        finally:
            unlisten()
            self._readers.discard(reader)
            self._look_at(reader, None)
            self._board.forget(other.seen for other in self._readers)

    async def _listen(self, socket: WebSocket, reader: Reader) -> None:
        while True:
            text = await socket.receive_text()
            try:
                reader.wanted = _requests.decode(text[:LONGEST_REQUEST])
            except (ValueError, RecursionError) as error:
                await socket.close(CLOSED_REQUEST, f"not a request: {error}"[:120])
                return
            reader.seq = -1
            reader.changed.set()

    async def _send(self, socket: WebSocket, reader: Reader, token: str, session: Session) -> None:
        checked_us = self._clock.wall_us()
        while True:
            if self._clock.wall_us() > checked_us + CHECK_US:
                checked_us = self._clock.wall_us()
                if not await self._is_open(token, session):
                    await socket.close(CLOSED_SESSION, "the session is over")
                    return
            reader.changed.clear()
            await socket.send_text(self._frame(reader).decode())
            await self._clock.sleep_wall(FRAME_S)
            try:
                async with asyncio.timeout(BEAT_S - FRAME_S):
                    await reader.changed.wait()
            except TimeoutError:
                pass

    async def _is_open(self, token: str, session: Session) -> bool:
        try:
            return await self._sessions.find(token) is not None
        except Unavailable:
            # The database is away: the page may go on showing, until the session's own end.
            return session.expires_us > self._clock.wall_us()

    def _frame(self, reader: Reader) -> bytes:
        self._market.publish()
        self._follow(reader)
        if reader.account is not None:
            self._accounts.publish_values(reader.account)
        is_whole = reader.seq < 0
        prefixes = self._prefixes(reader)
        changes = self._board.since(0 if is_whole else reader.seen, prefixes)
        reader.seen = changes.version
        reader.seq += 1
        frame: dict[str, Any] = {
            "t": "snapshot" if is_whole else "delta",
            "seq": reader.seq,
            "now_us": self._clock_of(reader.environment).market_us(),
            "speed_permille": self._speed(reader.environment),
            "documents": changes.documents,
        }
        if is_whole:
            frame["view"] = {
                "account": reader.account,
                "environment": reader.environment,
                "event": reader.event,
                "model": self._accounts.model_of(reader.account).value,
            }
            frame["history"] = {
                symbol: self._market.history(name, symbol)
                for name, symbol in self._market.prices
                if name == reader.environment
            }
        else:
            frame["gone"] = changes.gone
        return _encoder.encode(frame)

    def _speed(self, environment: str) -> int:
        if environment not in self._speeds:
            self._speeds[environment] = Speed(lambda: self._clock_of(environment))
        return self._speeds[environment].permille()

    def _follow(self, reader: Reader) -> None:
        """Set what the reader looks at; a change of it makes the next frame a whole one."""
        known = self._accounts.environments
        wanted = reader.wanted.account
        account = wanted if wanted in known else next(iter(known), None)
        environment = (
            known.get(account, "")
            if account
            else next((name for name, _ in self._market.prices), "")
        )
        event = self._event(environment, account, reader.wanted.event)
        model = self._accounts.model_of(account)
        view = (account, environment, event, model, self._market.fillings)
        if view != reader.view:
            self._look_at(reader, account)
            reader.view, reader.environment, reader.event, reader.seq = view, environment, event, -1

    def _event(self, environment: str, account: str | None, wanted: str | None) -> str | None:
        live = self._market.live_events(environment)
        names = [snapshot.event_ticker for snapshot in live]
        if wanted in names:
            return wanted
        config = self._accounts.configs.get(account) if account else None
        traded = [item.value for item in config.series] if config else []
        preferred = [item.event_ticker for item in live if item.series_ticker in traded]
        return next(iter([*preferred, *names]), None)

    def _look_at(self, reader: Reader, account: str | None) -> None:
        if reader.account == account:
            return
        if reader.account is not None:
            self._accounts.unwatch(reader.account)
        reader.account = account
        if account is not None:
            self._accounts.watch(account)

    def _prefixes(self, reader: Reader) -> tuple[str, ...]:
        name = reader.environment
        return (
            "accounts",
            "database",
            "health/",
            f"exchange/{name}/",
            f"price/{name}/",
            f"point/{name}/",
            f"event/{name}/",
            f"row/{name}/{reader.event}/{self._accounts.model_of(reader.account).value}/",
            f"account/{reader.account}/",
        )


class Speed:
    """How much faster than the wall market time runs, measured over at least two seconds."""

    def __init__(self, clock: Callable[[], Clock]) -> None:
        self._clock = clock
        self._since = self._now()
        self._permille = 1000

    def _now(self) -> tuple[int, int]:
        clock = self._clock()
        return clock.wall_us(), clock.market_us()

    def permille(self) -> int:
        """Return it in thousandths; 1000 is as fast as the wall."""
        now = self._now()
        passed = now[0] - self._since[0]
        if passed >= 2_000_000:  # noqa: PLR2004 (microseconds)
            self._permille = max(0, 1000 * (now[1] - self._since[1]) // passed)
            self._since = now
        return self._permille
