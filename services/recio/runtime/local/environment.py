"""What each process of a local run is told: the settings that ``recio run`` reads from variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recio.domain.account_config import AccountConfig, Mode
from recio.exchange_simulator.world.regimes import RECORDED
from recio.runtime.host import Placement
from recio.runtime.local.options import EXAMPLE_FILE, EXAMPLE_FOLDER, UpOptions
from recio.runtime.local.plan import SIMULATOR, PlannedProcess
from recio.runtime.local.start import World
from recio.runtime.settings import PriceSource, ProcessSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEnvironment:
    """What all processes of a run have in common. ``database_url`` names no user."""

    options: UpOptions
    accounts: Sequence[AccountConfig]
    database_url: str
    redis_url: str
    credentials: Path
    passwords: Path | None
    world: World
    exchange_port: int
    production_port: int = 0
    processes: Sequence[PlannedProcess]
    ports: Mapping[str, int]

    @property
    def exchange_url(self) -> str:
        """Where the exchange simulator listens."""
        return f"http://127.0.0.1:{self.exchange_port}"

    @property
    def production_url(self) -> str:
        """Where the simulator listens that plays production; nothing if none does."""
        return f"http://127.0.0.1:{self.production_port}" if self.world.has_stand_in else ""

    def settings(self, process: PlannedProcess) -> ProcessSettings:
        """Return one process's settings."""
        return ProcessSettings(
            environment=self.world.environment,
            mode=Mode.SHADOW if self.world.is_shadow else Mode.PAPER,
            database_url=self.database_url,
            redis_url=self.redis_url,
            credentials_dir=str(self.credentials),
            database_passwords_dir=str(self.passwords or ""),
            accounts=process.accounts,
            series=self.series(),
            exchange_rest_url=self.exchange_url,
            exchange_websocket_url=self.exchange_url.replace("http", "ws", 1),
            market_rest_url=self.production_url,
            market_websocket_url=self.production_url.replace("http", "ws", 1),
            price_source=PriceSource.LIVE if self.world.is_live else PriceSource.RECORDING,
            http_host=self.options.host,
            http_port=self.ports[process.name],
        )

    def series(self) -> tuple[str, ...]:
        """Return every series that an account trades, in order of first mention."""
        return tuple(
            dict.fromkeys(str(name) for account in self.accounts for name in account.series)
        )

    def balances(self) -> dict[str, int]:
        """Return every account's opening cash in dollars."""
        return {account.name: account.paper.initial_balance_dollars for account in self.accounts}

    def values(self, process: PlannedProcess) -> dict[str, str]:
        """Return the variables of the services of one process."""
        made: dict[str, str] = {}
        for placed in process.placements:
            if placed.row.name == "system_monitor":
                made["RECIO_SYSTEM_MONITOR_PROBE_URLS"] = ",".join(self._probe_urls())
                made["RECIO_SYSTEM_MONITOR_DISK_PATH"] = str(self.credentials)
            if placed.row.name == "auto_entry_supervisor":
                made["RECIO_AUTO_ENTRY_SUPERVISOR_STRATEGIES_DIR"] = str(self.strategies())
            if placed.row.name == SIMULATOR and not self.world.is_shadow:
                made |= world_values(self.world)
        return made

    def strategies(self) -> Path:
        """Return where strategies of one's own lie: in folders beside the account's document."""
        return (self.options.account_file or EXAMPLE_FOLDER / EXAMPLE_FILE).resolve().parent

    def _probe_urls(self) -> list[str]:
        return [
            "+".join(_probed(placed) for placed in process.placements)
            + f"=http://127.0.0.1:{self.ports[process.name]}"
            for process in self.processes
        ]


def world_values(world: World) -> dict[str, str]:
    """Return the exchange simulator's variables."""
    made = {"RECIO_EXCHANGE_SIMULATOR_START_US": str(world.start_us)}
    if world.is_live:
        made["RECIO_EXCHANGE_SIMULATOR_IS_LIVE"] = "true"
    if world.recording:
        made["RECIO_EXCHANGE_SIMULATOR_RECORDING"] = world.recording
    if world.regime != RECORDED.name:
        made["RECIO_EXCHANGE_SIMULATOR_REGIME"] = world.regime
    return made


def _probed(placed: Placement) -> str:
    return f"{placed.row.name}@{placed.account}" if placed.account else placed.row.name
