"""The door of main_app: puts its parts together."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse
from msgspec import Meta

from recio.apps.main_app import reads
from recio.apps.main_app.accounts import Accounts
from recio.apps.main_app.assets import Assets
from recio.apps.main_app.board import Board
from recio.apps.main_app.btc_price import PriceAnswer
from recio.apps.main_app.desk import Desk
from recio.apps.main_app.gate import Gate
from recio.apps.main_app.hub import Hub
from recio.apps.main_app.invariants import InvariantWatch
from recio.apps.main_app.market import HISTORY_US, Market
from recio.apps.main_app.routes import (
    accounts,
    controls,
    disputes,
    login,
    market,
    orders,
    trades,
)
from recio.apps.main_app.sessions import COOKIE, Attempts, Sessions
from recio.domain.errors import Rejected, Unavailable
from recio.domain.messages import Change, PriceUpdate, Snapshot
from recio.domain.units import MINUTE_US, SECOND_US
from recio.runtime.clocks import Clocks
from recio.runtime.service import AsgiApp, Readiness, Service, ServiceContext
from recio.runtime.settings import load

TOPICS: Final = ("prices", "markets", "exchange_status", "snapshots", "changes", "health")
SWEEP_S: Final = 10.0
FIRST_SWEEP_S: Final = 2.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """``RECIO_MAIN_APP_*``.

    ``allowed_hosts`` are the names that browsers reach this release by, besides localhost.
    ``secure_cookie`` is for releases behind TLS: the cookie is then sent over https only.
    """

    allowed_hosts: tuple[str, ...] = ()
    secure_cookie: bool = False
    session_seconds: Annotated[int, Meta(ge=300, le=30 * 86_400)] = 7 * 86_400


def build(context: ServiceContext) -> Service:
    """Build the service; nothing runs before the host starts its tasks."""
    settings = load(Settings, context.row.name, context.settings)
    board = Board()
    known = Market(context.clock_of, board)
    price = PriceAnswer()
    sessions = Sessions(context.database, context.clock, settings.session_seconds * SECOND_US)
    books = Accounts(context.database, context.clock, board, known, clock_of=context.clock_of)
    hub = Hub(
        board=board,
        market=known,
        accounts=books,
        sessions=sessions,
        clock=context.clock,
        clock_of=context.clock_of,
    )
    desk = Desk(
        environment=context.environment,
        clock=context.clock,
        clock_of=context.clock_of,
        ids=context.ids,
        database=context.database,
        board=board,
        market=known,
        accounts=books,
        sessions=sessions,
        attempts=Attempts(),
        hub=hub,
        is_secure=settings.secure_cookie,
        session_seconds=settings.session_seconds,
    )
    assets = Assets()
    if not assets.is_built:
        context.log.warning("the page is not built: run `make ui`")
    gate = Gate(
        application(desk),
        sessions=sessions,
        price=price,
        assets=assets,
        hosts=settings.allowed_hosts,
    )
    return Service(
        tasks=(
            lambda: _follow(context, known, books, price),
            lambda: _keep_accounts(desk),
            lambda: _sweep(desk, context.clocks),
            InvariantWatch(desk, context.metrics, context.log).run,
        ),
        readiness=lambda: Readiness(is_ready=not books.reason, reason=books.reason),
        asgi=gate,
    )


def application(desk: Desk) -> AsgiApp:
    """Return the REST API and the WebSocket, without the gate before them."""
    # The interactive pages load scripts from elsewhere; the document itself stays.
    api = FastAPI(
        title="REC.IO",
        version="0.1.0",
        summary="A trader's own system for Kalshi's Bitcoin event contracts.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    api.state.desk = desk
    for module in (login, market, accounts, trades, orders, controls, disputes):
        api.include_router(module.router)

    @api.exception_handler(Unavailable)
    async def unavailable(_: Request, error: Unavailable) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 503)

    @api.exception_handler(Rejected)
    async def rejected(_: Request, error: Rejected) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 409)

    @api.websocket("/ws")
    async def live(socket: WebSocket) -> None:
        token = socket.cookies.get(COOKIE, "")
        await desk.hub.serve(socket, socket.state.session, token)

    return api


async def _follow(
    context: ServiceContext, known: Market, books: Accounts, price: PriceAnswer
) -> None:
    async for _, message in context.bus.subscribe(*TOPICS):
        if isinstance(message, Change):
            books.apply(message)
            continue
        known.apply(message)
        if isinstance(message, PriceUpdate) and message.environment == context.environment:
            price.update(message)
        elif isinstance(message, Snapshot):
            books.note_snapshot()


async def _keep_accounts(desk: Desk) -> None:
    while True:
        try:
            await desk.accounts.load()
            break
        except Unavailable as error:
            desk.accounts.reason = str(error)
            await desk.clock.sleep_wall(1.0)
    await desk.accounts.run()


async def _sweep(desk: Desk, clocks: Clocks | None) -> None:
    await desk.clock.sleep_wall(FIRST_SWEEP_S)
    while True:
        desk.market.forget_closed()
        desk.market.forget_unmeasured()
        try:
            if clocks is not None:
                await clocks.refresh()
            await _fill_charts(desk)
        except Unavailable as error:
            desk.accounts.reason = str(error)
        await desk.clock.sleep_wall(SWEEP_S)


async def _fill_charts(desk: Desk) -> None:
    """Read what happened before this service heard its first price."""
    for environment, symbol in list(desk.market.prices):
        now = desk.clock_of(environment).market_us()
        points = desk.market.history(environment, symbol)
        oldest_us = points[0][0] if points else now
        after_us = now - HISTORY_US
        if oldest_us > after_us + MINUTE_US:
            async with desk.database.transaction() as tx:
                older = await reads.price_history(tx, environment, symbol, after_us, oldest_us)
            desk.market.add_older(environment, symbol, older)
