"""How many pods of an account may run: one, or none while it is suspended or its key is another's.

Suspending waits until the account is flat or its switches stand at Halted; an account that is
suspended stays so whatever happens meanwhile. While PostgreSQL cannot be asked nothing changes.
"""

from __future__ import annotations

from recio.domain.account_config import Trading
from recio_operator.planning.observed import KeyState, Object, Observed


def replicas(observed: Observed, live: Object | None, *, is_suspended: bool) -> int:
    """Return how many pods a Deployment of the account may have now."""
    present = 1 if live is None else min(1, live["spec"].get("replicas", 1))
    if not observed.is_database_known:
        return present if is_suspended or is_key_of_another(observed) else 1
    if is_key_of_another(observed):
        return 0
    if not is_suspended:
        return 1
    return 0 if may_suspend(observed) or live is None else present


def is_key_of_another(observed: Observed) -> bool:
    """Return whether another account trades with the key."""
    return observed.key is not None and observed.key.state is KeyState.KEY_IN_USE


def may_suspend(observed: Observed) -> bool:
    """Return whether the pods may stop: nothing is open, or nothing may be done about it."""
    books = observed.books
    if books is None:
        return observed.is_database_known
    return books.is_at_rest or (books.trading is Trading.HALTED and books.live_orders == 0)
