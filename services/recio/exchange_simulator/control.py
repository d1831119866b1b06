"""The control API: arms faults and steers the exchange, on a port of its own, off unless asked for.

    POST   /faults/requests   {fault, count?, method?, path?, status?, delay_seconds?}
    POST   /faults/frames     {fault, count?, type?, account?, delay_seconds?}
    DELETE /faults            disarm everything
    GET    /faults            what is armed and how often faults struck
    POST   /exchange          {action: pause_trading | pause_exchange | resume | deactivate |
                               activate | cut_connections | slow_settlement | read_lag,
                               seconds?, milliseconds?, ticker?}

Loopback only, unsigned. ``seconds`` of a pause are market time.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final, Literal, TypeVar

import msgspec

from recio.domain.errors import InvalidValue
from recio.exchange_simulator.api.admin import require_loopback
from recio.exchange_simulator.api.messages import Request, Response, refuse, reply
from recio.exchange_simulator.core.refusals import Refusal, bad_request, invalid_parameter
from recio.exchange_simulator.faults import ArmedFrame, ArmedRequest, FrameFault, RequestFault
from recio.exchange_simulator.gateway import Gateway

_SECOND_US: Final = 1_000_000
MOST_LAG_MS: Final = 60_000


class RequestFaultBody(msgspec.Struct, kw_only=True):
    """A fault for requests."""

    fault: RequestFault
    count: int = 1
    method: str = ""
    path: str = ""
    status: int = 503
    delay_seconds: float = 1.0


class FrameFaultBody(msgspec.Struct, kw_only=True):
    """A fault for frames."""

    fault: FrameFault
    count: int = 1
    type: str = ""
    account: str = ""
    delay_seconds: float = 1.0


class ActionBody(msgspec.Struct, kw_only=True):
    """Something the exchange does."""

    action: Literal[
        "pause_trading",
        "pause_exchange",
        "resume",
        "deactivate",
        "activate",
        "cut_connections",
        "slow_settlement",
        "read_lag",
    ]
    seconds: int = 0
    milliseconds: int = 0
    ticker: str = ""


class Control:
    """The control API of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        # So that a read lag that is switched on later shows the true past.
        gateway.exchange.state.config.has_history = True

    async def request(self, request: Request) -> Response:
        """Answer one request."""
        try:
            require_loopback(request.peer)
            body = self._answer(request)
            await self.gateway.commit()
        except (Refusal, InvalidValue) as error:
            return refuse(error if isinstance(error, Refusal) else invalid_parameter(str(error)))
        return reply(body)

    def _answer(self, request: Request) -> dict[str, Any]:
        faults = self.gateway.faults
        match request.method, request.path:
            case "POST", "/faults/requests":
                wanted = _decoded(request, RequestFaultBody)
                faults.arm_request(ArmedRequest(**msgspec.structs.asdict(wanted)))
            case "POST", "/faults/frames":
                framed = _decoded(request, FrameFaultBody)
                faults.arm_frame(ArmedFrame(**msgspec.structs.asdict(framed)))
            case "DELETE", "/faults":
                faults.clear()
            case "POST", "/exchange":
                self._act(_decoded(request, ActionBody))
            case "GET", "/faults":
                pass
            case _:
                raise Refusal(404, "not_found", "no such endpoint")
        return self._armed()

    def _armed(self) -> dict[str, Any]:
        faults = self.gateway.faults
        return {
            "requests": [asdict(one) for one in faults.requests],
            "frames": [asdict(one) for one in faults.frames],
            "struck": faults.struck,
        }

    def _act(self, body: ActionBody) -> None:
        exchange, now_us = self.gateway.exchange, self.gateway.now().market_us
        exchange.advance(now_us)
        until = now_us + body.seconds * _SECOND_US if body.seconds else None
        match body.action:
            case "pause_trading":
                exchange.pause_trading(now_us, until_us=until)
            case "pause_exchange":
                exchange.pause_exchange(now_us, until_us=until)
            case "resume":
                exchange.resume(now_us)
            case "deactivate":
                exchange.deactivate(body.ticker, now_us)
            case "activate":
                exchange.activate(body.ticker, now_us)
            case "cut_connections":
                self.gateway.cut_all()
            case "slow_settlement":
                exchange.state.config.settle_delay_seconds = body.seconds
            case "read_lag":
                if not 0 <= body.milliseconds <= MOST_LAG_MS:
                    raise InvalidValue(f"expected 0 to {MOST_LAG_MS} milliseconds")
                exchange.state.config.read_lag_ms = body.milliseconds


K = TypeVar("K", RequestFaultBody, FrameFaultBody, ActionBody)


def _decoded(request: Request, kind: type[K]) -> K:
    try:
        return msgspec.json.decode(request.body, type=kind)
    except (ValueError, RecursionError) as error:
        raise bad_request(str(error)) from error
