"""What the operator writes to PostgreSQL: documents, switches, keys, logins. Each in one transaction.

The password of a login is never sent to the server: it gets the verifier that it would store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psycopg

from recio.adapters.postgres import config, scram, status
from recio.adapters.postgres.switches import set_switch
from recio.domain.account_config import FleetConfig, fleet_to_document
from recio.domain.errors import Broken
from recio.ports import Clock, Database, Transaction
from recio.runtime.clock import AcceleratedClock, NoMarketTime, WallClock, load_market_time
from recio_operator import names
from recio_operator.planning.plan import SwitchOrder
from recio_operator.release import Environment, Release

Object = dict[str, Any]

AUTHOR: Final = "operator"
OPERATOR_LOGIN: Final = "recio_operator"
CHECK_TIMEOUT_S: Final = 5


@dataclass(frozen=True, slots=True)
class Records:
    """The database under the operator's login."""

    database: Database
    release: Release

    async def write_account(
        self, document: Object, environment: Environment, switch: SwitchOrder | None
    ) -> None:
        """Write an account's document, and the position of its own switch where that is overridden.

        Raises:
            InvalidValue: the document is not valid, or changes what must stay.
        """
        at_us = (await self._clock(environment.name)).market_us()
        async with self.database.transaction() as tx:
            await config.apply_account(
                tx, document, environment=environment.name, at_us=at_us, author=AUTHOR
            )
            if switch is not None:
                await self._set(tx, document["metadata"]["name"], switch, at_us)

    async def set_switch(self, account: str, environment: str, switch: SwitchOrder) -> None:
        """Set the position of an account's own switch; without an environment by the wall's time."""
        clock = await self._clock(environment) if environment else WallClock()
        async with self.database.transaction() as tx:
            await self._set(tx, account, switch, clock.market_us())

    @staticmethod
    async def _set(tx: Transaction, account: str, switch: SwitchOrder, at_us: int) -> None:
        await set_switch(
            tx,
            account,
            "resource",
            switch.state,
            reason=switch.reason,
            author=AUTHOR,
            at_us=at_us,
        )

    async def claim_key(self, account: str, digest: str) -> str | None:
        """Claim an API key for an account; return who has it already, None if it is ours now."""
        at_us = WallClock().wall_us()
        async with self.database.transaction() as tx:
            return await status.claim_key(tx, account, digest, at_us=at_us)

    async def set_login(self, account: str, password: str) -> None:
        """Let the account's login in with this password."""
        async with self.database.transaction() as tx:
            await status.set_account_login(
                tx, account, scram.verifier(names.login(account), password)
            )

    async def leave(self, account: str) -> None:
        """Let the account's login in no more, and leave its API key to others."""
        async with self.database.transaction() as tx:
            await status.disable_account_login(tx, account)
            await status.release_key(tx, account)

    async def write_fleet(self, document: Object) -> None:
        """Write the fleet's document and its switch.

        Raises:
            InvalidValue: the document is not valid.
        """
        async with self.database.transaction() as tx:
            await config.apply_fleet(tx, document, at_us=WallClock().wall_us(), author=AUTHOR)

    async def release_fleet(self) -> None:
        """Release the fleet's switch and its limits: its resource is gone."""
        await self.write_fleet(fleet_to_document(FleetConfig()))

    async def lets_in(self, account: str, password: str) -> bool:
        """Whether the server takes this password of the account's login.

        Raises:
            Unavailable: it cannot be asked.
        """
        told = self.release.database
        address = psycopg.conninfo.make_conninfo(
            host=told.direct_host,
            port=told.direct_port,
            dbname=told.name,
            sslmode=told.ssl_mode,
            user=names.login(account),
            password=password,
            connect_timeout=CHECK_TIMEOUT_S,
            application_name="recio operator check",
        )
        return await status.can_log_in(address)

    async def _clock(self, environment: str) -> Clock:
        try:
            return AcceleratedClock(await load_market_time(self.database, environment))
        except (Broken, NoMarketTime):
            return WallClock()


def address(release: Release, *, is_direct: bool = False) -> str:
    """Return the operator's address of the database, without a password."""
    told = release.database
    return psycopg.conninfo.make_conninfo(
        host=told.direct_host if is_direct else told.host,
        port=told.direct_port if is_direct else told.port,
        dbname=told.name,
        sslmode=told.ssl_mode,
        user=OPERATOR_LOGIN,
    )
