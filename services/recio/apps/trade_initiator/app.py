"""trade_initiator: turns intents into orders, or into refusals with a reason."""

from __future__ import annotations

from recio.adapters.postgres import intents
from recio.apps.trade_initiator.decide import decide
from recio.domain.errors import Rejected, Unavailable
from recio.runtime.service import Readiness, Service, ServiceContext
from recio.runtime.wake import Wake


class Gate:
    """Decides the intents of one account, oldest first."""

    def __init__(self, context: ServiceContext, account: str) -> None:
        self._context = context
        self._account = account
        self._wake = Wake(context.database, "intents", account=account)
        self._decided = context.metrics.counter(
            "recio_intents_decided_total", "Intents decided by the gate.", "outcome"
        )
        self._problem = "has not looked for intents yet"

    async def run(self) -> None:
        """Decide for ever."""
        while True:
            try:
                await self.decide_all()
                self._problem = ""
            except (Unavailable, Rejected) as error:
                # Rejected: the account's configuration does not read, or a row was refused. What
                # could not be decided still waits; dying would not mend it.
                self._problem = str(error)
                self._context.log.warning("intents wait: %s", error)
            await self._wake.wait()

    async def decide_all(self) -> None:
        """Decide every proposed intent, each in a transaction of its own."""
        while await self._decide_next():
            pass

    async def _decide_next(self) -> bool:
        async with self._context.database.transaction() as tx:
            # Look before locking: most wake-ups find nothing, and then no lock is taken.
            intent = await intents.oldest_proposed(tx, self._account)
            if intent is None:
                return False
            refusal = await decide(tx, intent, self._context.clock)
        if refusal is None:
            # The account is gone, or another copy decides: its commit is the next hint.
            return False
        self._decided.inc(1, "refused" if refusal else "accepted")
        self._context.log.info(
            "intent %s: %s", intent.intent_id, refusal or "accepted", extra={"id": intent.intent_id}
        )
        return True

    def readiness(self) -> Readiness:
        """Ready once the database answered."""
        return Readiness(is_ready=not self._problem, reason=self._problem)

    def service(self) -> Service:
        """Return it as a service."""
        return Service(tasks=(self._wake.listen, self.run), readiness=self.readiness)


def build(context: ServiceContext) -> Service:
    """Build the gate of the context's account."""
    assert context.account is not None
    return Gate(context, context.account).service()
