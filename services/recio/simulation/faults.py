"""Does the faults of the catalogue to a stage, and tells the watch when they really struck."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from recio.exchange_simulator.core.pauses import is_trading_active
from recio.exchange_simulator.faults import ArmedFrame, ArmedRequest
from recio.simulation import catalogue
from recio.simulation.plan import Strike
from recio.simulation.stage import Slot, Stage
from recio.simulation.watching import WatchedFaults

LATE_SECONDS: Final = 3.0
OUTAGE_SECONDS: Final = 8.0
PAUSE_SECONDS: Final = 20.0
FAILOVER_SECONDS: Final = 3.0
SHORT_FREEZE_SECONDS: Final = 4.0
LONG_FREEZE_SECONDS: Final = 26.0
"""Longer than the lease and its margin together."""
COPY_SECONDS: Final = 30.0
SKEW_US: Final = 3_000_000
"""Within what the exchange takes of a signature's time (5 s)."""
LAG_SECONDS: Final = 14
"""Longer than a signature and its margin live, so that a look alone proves nothing."""
MOST_LAG_MS: Final = 60_000
"""What the exchange remembers of the past."""


class Faults:
    """What can be done to a stage. ``struck`` notes a fault and the account, "" for everybody."""

    def __init__(
        self, stage: Stage, armed: WatchedFaults, struck: Callable[[str, str], None]
    ) -> None:
        self._stage = stage
        self._armed = armed
        self._struck = struck
        self.copies: list[Slot] = []
        self._deeds: dict[str, Callable[[Strike], None]] = {
            "stream half-open": lambda act: self._quiet(act.fault),
            "names do not resolve": self._outage,
            "reads lag": self._lag,
            "trading pause": lambda act: self._pause(act, is_exchange=False),
            "exchange pause": lambda act: self._pause(act, is_exchange=True),
            "PostgreSQL away": lambda act: self._shut(act, OUTAGE_SECONDS * act.number),
            "PostgreSQL fails over": lambda act: self._shut(act, FAILOVER_SECONDS),
            "commit unknown, done": lambda act: self._lose(act, is_done=True),
            "commit unknown, not done": lambda act: self._lose(act, is_done=False),
            "disk full": self._fill,
            "hints lost": self._hints,
            "Redis away": self._lose_bus,
            "Redis flushed": self._flush,
            "kill -9": self._kill,
            "kill -9 of all": self._kill_all,
            "frozen shortly": lambda act: self._freeze(act, SHORT_FREEZE_SECONDS),
            "frozen past the lease": lambda act: self._freeze(act, LONG_FREEZE_SECONDS),
            "second copy": self._copy,
            "clock ahead": lambda act: self._skew(act, SKEW_US),
            "clock behind": lambda act: self._skew(act, -SKEW_US),
        }
        assert set(self._deeds) == set(catalogue.OTHERS)

    def do(self, act: Strike) -> None:
        """Let a fault happen, or arm it for the next message that it fits."""
        if act.fault in catalogue.REQUESTS:
            method, path, fault, status = catalogue.REQUESTS[act.fault]
            request = ArmedRequest(
                fault,
                act.number,
                method,
                path,
                status=status or 503,
                delay_seconds=LATE_SECONDS,
            )
            self._armed.name(request, act.fault)
            self._armed.arm_request(request)
        elif act.fault in catalogue.FRAMES:
            kind, type_ = catalogue.FRAMES[act.fault]
            frame = ArmedFrame(kind, act.number, type_, act.account, delay_seconds=LATE_SECONDS)
            self._armed.name(frame, act.fault)
            self._armed.arm_frame(frame)
        else:
            self._deeds[act.fault](act)

    def end(self) -> None:
        """End every fault that lasts: what follows must become quiet and equal."""
        stage = self._stage
        stage.gateway.faults.clear()
        stage.network.out_until_us = 0
        stage.server.full_until_us = stage.server.hints_lost_until_us = 0
        stage.server.lose_answers.clear()
        stage.bus.is_away = False
        for slot in self.copies:
            stage.kill(slot)
        for slot in stage.slots:
            slot.process.skew_us = 0
            stage.loop.thaw(slot.process)
        if not is_trading_active(stage.exchange.state):
            stage.exchange.resume(stage.clock.market_us())

    # The deeds.

    def _quiet(self, fault: str) -> None:
        if self._stage.network.silence():
            self._struck(fault, "")

    def _outage(self, act: Strike) -> None:
        network = self._stage.network
        network.out_until_us = self._stage.loop.now_us + round(OUTAGE_SECONDS * act.number * 1e6)
        network.cut()
        self._struck(act.fault, "")

    def _lag(self, act: Strike) -> None:
        config = self._stage.exchange.state.config
        lag_ms = min(LAG_SECONDS * 1000 * self._stage.speed, MOST_LAG_MS)
        before_ms, config.read_lag_ms = config.read_lag_ms, lag_ms
        self._struck(act.fault, "")

        def restore() -> None:
            config.read_lag_ms = before_ms

        self._later(OUTAGE_SECONDS * act.number, restore)

    def _pause(self, act: Strike, *, is_exchange: bool) -> None:
        stage = self._stage
        now_us = stage.clock.market_us()
        until_us = now_us + round(PAUSE_SECONDS * act.number * 1e6)
        if is_exchange:
            stage.exchange.pause_exchange(now_us, until_us=until_us)
        else:
            stage.exchange.pause_trading(now_us, until_us=until_us)
        self._struck(act.fault, "")

    def _shut(self, act: Strike, seconds: float) -> None:
        self._stage.server.shut(seconds)
        self._struck(act.fault, "")

    def _lose(self, act: Strike, *, is_done: bool) -> None:
        self._stage.server.lose_answers += [is_done] * act.number

    def _fill(self, act: Strike) -> None:
        stage = self._stage
        stage.server.full_until_us = stage.loop.now_us + round(2e6 * act.number)

    def _hints(self, act: Strike) -> None:
        self._stage.server.lose_hints(OUTAGE_SECONDS * act.number)
        self._struck(act.fault, "")

    def _lose_bus(self, act: Strike) -> None:
        bus = self._stage.bus
        bus.is_away = True
        self._struck(act.fault, "")

        def restore() -> None:
            bus.is_away = False

        self._later(OUTAGE_SECONDS * act.number, restore)

    def _flush(self, act: Strike) -> None:
        self._stage.bus.flush()
        self._struck(act.fault, "")

    def _kill(self, act: Strike) -> None:
        self._struck(f"{act.fault} {act.service}", act.account)
        self._stage.restart(self._stage.slot(act.account, act.service), 0.5 * act.number)

    def _kill_all(self, act: Strike) -> None:
        self._struck(act.fault, "")
        for slot in self._stage.slots:
            self._stage.restart(slot, 0.5 * act.number)

    def _freeze(self, act: Strike, seconds: float) -> None:
        stage = self._stage
        process = stage.slot(act.account, act.service).process
        stage.loop.freeze(process)
        self._struck(f"{act.fault} {act.service}", act.account)
        self._later(seconds, stage.loop.thaw, process)

    def _copy(self, act: Strike) -> None:
        stage = self._stage
        made = Slot(act.account, (act.service,), stage.loop.stage, starts=1_000 * len(self.copies))
        self.copies.append(made)
        stage.start(made)
        self._struck(f"{act.fault} {act.service}", act.account)
        self._later(COPY_SECONDS, stage.kill, made)

    def _skew(self, act: Strike, skew_us: int) -> None:
        process = self._stage.slot(act.account, act.service).process
        process.skew_us = skew_us
        self._struck(f"{act.fault} {act.service}", act.account)

        def restore() -> None:
            process.skew_us = 0

        self._later(OUTAGE_SECONDS * act.number, restore)

    def _later(self, seconds: float, act: Callable[..., None], *args: object) -> None:
        loop = self._stage.loop
        loop.call_later(seconds, act, *args, context=loop.stage.context.copy())
