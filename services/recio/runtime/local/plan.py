"""Which services share a process in a local run, and on which port each process listens.

Services of the environment and shared ones have a process each. Those of an account follow its
topology: PerService one each, Compact one an account, Pooled one for all such accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from recio import manifest
from recio.domain.account_config import AccountConfig, Topology
from recio.manifest import Scope, ServiceRow
from recio.runtime.host import Placement

ACCOUNT_PORT_STEP: Final = 100
"""The second account's services listen a hundred above the first's."""
UI: Final = "main_app"
SIMULATOR: Final = "exchange_simulator"


@dataclass(frozen=True, slots=True)
class PlannedProcess:
    """One process: its name, what it hosts, and the port it would like."""

    name: str
    placements: tuple[Placement, ...]
    port: int

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that it works for."""
        found = [placed.account for placed in self.placements if placed.account is not None]
        return tuple(dict.fromkeys(found))


def plan(accounts: Sequence[AccountConfig], *, ui_port: int) -> list[PlannedProcess]:
    """Return the processes in the order in which they are started: the flow's."""
    processes = [
        PlannedProcess(
            row.name,
            (Placement(row, None),),
            ui_port if row.name == UI else row.local_port,
        )
        for row in manifest.SERVICES
        if row.scope is not Scope.ACCOUNT
    ]
    before_shared = next(
        (index for index, process in enumerate(processes) if _scope(process) is Scope.SHARED),
        len(processes),
    )
    return processes[:before_shared] + _account_processes(accounts) + processes[before_shared:]


def _scope(process: PlannedProcess) -> Scope:
    return process.placements[0].row.scope


def _account_processes(accounts: Sequence[AccountConfig]) -> list[PlannedProcess]:
    rows = [row for row in manifest.SERVICES if row.scope is Scope.ACCOUNT]
    made: list[PlannedProcess] = []
    pooled: list[Placement] = []
    for index, account in enumerate(accounts):
        shift = index * ACCOUNT_PORT_STEP
        placements = tuple(Placement(row, account.name) for row in rows)
        match account.topology:
            case Topology.POOLED:
                pooled += placements
            case Topology.COMPACT:
                made.append(_together(f"account {account.name}", placements, rows, shift))
            case Topology.PER_SERVICE:
                made += [
                    _alone(placed, account.name, shift, is_only=len(accounts) == 1)
                    for placed in placements
                ]
    if pooled:
        made.append(_together("pooled accounts", tuple(pooled), rows, 0))
    return made


def _together(
    name: str, placements: tuple[Placement, ...], rows: Sequence[ServiceRow], shift: int
) -> PlannedProcess:
    return PlannedProcess(name, placements, rows[0].local_port + shift)


def _alone(placed: Placement, account: str, shift: int, *, is_only: bool) -> PlannedProcess:
    name = placed.row.name if is_only else f"{placed.row.name} {account}"
    return PlannedProcess(name, (placed,), placed.row.local_port + shift)
