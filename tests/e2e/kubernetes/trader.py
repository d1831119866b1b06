"""One account on the cluster, as its owner sees it: the resource, its pods, its trades, its money."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from tests.e2e.kubernetes import accounts
from tests.e2e.kubernetes.database import Books, Row
from tests.e2e.kubernetes.explain import explain
from tests.e2e.kubernetes.kubectl import Kubectl, Object
from tests.e2e.kubernetes.page import Page
from tests.e2e.kubernetes.waiting import wait_for

READY_SECONDS: Final = 120.0
TRADE_SECONDS: Final = 240.0
"""In the last minutes of an hour there may be nothing to buy until the next one opens."""
ATTEMPTS: Final = 5
LEAVE_SECONDS: Final = 120.0
FORCE: Final = "recio.io/force-finalize=true"


@dataclass(frozen=True, slots=True)
class Trader:
    """A TradingAccount that a test applied."""

    kubectl: Kubectl
    books: Books
    name: str

    def apply(self, **spec: Any) -> str:
        """Apply the quiet document with some fields changed."""
        return self.kubectl.apply(accounts.document(self.name, **spec))

    def patch(self, **spec: Any) -> None:
        """Patch some fields of the spec."""
        self.kubectl.patch("ta", self.name, {"spec": spec})

    def resource(self) -> Object | None:
        """Return the resource, None once it is gone."""
        return self.kubectl.get("ta", self.name)

    def condition(self, kind: str) -> dict[str, Any]:
        """Return one condition."""
        return accounts.condition(self.resource(), kind)

    def explain(self) -> str:
        """Tell everything that one would look at."""
        return explain(self.kubectl, self.name)

    def wait(self, what: str, probe: Any, seconds: float = READY_SECONDS) -> Any:
        """Wait for something of this account; a failure explains itself."""
        return wait_for(f"{self.name}: {what}", probe, seconds=seconds, explain=self.explain)

    def until_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until the account is Ready as its newest spec says."""
        self.wait("Ready=True", lambda: accounts.is_ready(self.resource()), seconds)

    def until_condition(
        self, kind: str, status: str, reason: str = "", seconds: float = READY_SECONDS
    ) -> dict[str, Any]:
        """Wait until a condition has a status, and a reason if one is given; return it."""

        def seen() -> dict[str, Any] | None:
            now = self.resource()
            found = accounts.condition(now, kind)
            is_it = found.get("status") == status and reason in ("", found.get("reason"))
            return found if is_it and accounts.is_settled(now) else None

        told = f"{kind}={status} {reason}"
        return self.wait(told, seen, seconds)  # type: ignore[no-any-return]

    def until_effective(self, state: str, seconds: float = 30.0) -> None:
        """Wait until the status tells which switch position counts."""

        def effective() -> bool:
            status = (self.resource() or {}).get("status", {})
            return bool(status.get("trading", {}).get("effective") == state)

        self.wait(f"effective switch {state}", effective, seconds)

    def pod_uids(self) -> set[str]:
        """Return the identities of the account's pods."""
        return accounts.pod_uids(self.kubectl, self.name)

    # Trading ------------------------------------------------------------------------------------

    def trades(self, state: str = "") -> list[Row]:
        """Return the account's trades, those of one state if it is given."""
        chosen = f"AND state = '{state}'" if state else ""
        return self.books.ask(
            f"SELECT * FROM trading.trades WHERE account = '{self.name}' {chosen} ORDER BY number"
        )

    def buy(self, page: Page, **changed: Any) -> Row:
        """Buy one contract by hand and wait until the trade is open; return it.

        A market that moves between click and order leaves nothing to take: one clicks again.
        """
        reasons = []
        for _ in range(ATTEMPTS):
            buy = partial(page.buy, self.name, **changed)
            intent = self.wait("a strike to buy", buy, TRADE_SECONDS)
            found = self.wait("an open trade", partial(self._bought, intent), TRADE_SECONDS)
            if not isinstance(found, str):
                return found[0]  # type: ignore[no-any-return]
            reasons.append(found)
        raise AssertionError(f"{self.name}: nothing bought in {ATTEMPTS} attempts: {reasons}")

    def _bought(self, intent: dict[str, Any]) -> list[Row] | str:
        sql = (
            "SELECT t.* FROM trading.trades t JOIN trading.orders o USING (trade_id) "
            f"WHERE o.intent_id = '{intent['intent_id']}' AND t.state = 'open'"
        )
        return self.books.ask(sql) or self._refusal(intent)

    def _refusal(self, intent: dict[str, Any]) -> str:
        sql = (
            "SELECT i.state || ': ' || i.refusal || coalesce(t.close_reason, '') "
            "FROM trading.intents i LEFT JOIN trading.orders o USING (intent_id) "
            "LEFT JOIN trading.trades t ON t.trade_id = o.trade_id "
            f"WHERE i.intent_id = '{intent['intent_id']}' "
            "AND (i.state = 'refused' OR t.state = 'abandoned')"
        )
        return self.books.value(sql) or ""

    def close(self, page: Page, trade: Row) -> None:
        """Close a trade by hand, again if the bid has gone meanwhile, until it is over."""

        def is_over() -> bool:
            now = self.trade(trade["trade_id"])
            if now["state"] in ("closed", "settled"):
                return True
            if now["state"] == "open":
                page.close(now)
            return False

        wait_for(f"{self.name}: trade closed", is_over, seconds=TRADE_SECONDS, explain=self.explain)

    def trade(self, trade_id: str) -> Row:
        """Return one trade as it is now."""
        return self.books.ask(f"SELECT * FROM trading.trades WHERE trade_id = '{trade_id}'")[0]

    def is_quiet(self) -> bool:
        """Tell whether no order is on its way."""
        return not self.books.value(
            f"SELECT live_orders FROM ops.account_status WHERE account = '{self.name}'"
        )

    # Truth --------------------------------------------------------------------------------------

    def until_cash_is_equal(self) -> None:
        """Wait until the exchange and our ledger have the same cash, to the micro-dollar."""

        def is_equal() -> bool:
            ledger, exchange = self.cash()
            return self.is_quiet() and ledger == exchange

        self.wait("equal cash here and at the exchange", is_equal, 60.0)

    def cash(self) -> tuple[int | None, int | None]:
        """Return the ledger's cash and the exchange's."""
        sql = (
            "SELECT (SELECT sum(amount_usd_e6) FROM trading.ledger_postings "
            f"WHERE book = 'cash' AND account = '{self.name}') AS ledger, "
            "(SELECT sum(cash_usd_e6) FROM exchange_sim.balances "
            f"WHERE account = '{self.name}') AS exchange"
        )
        row = self.books.ask(sql)[0]
        return row["ledger"], row["exchange"]

    def doubled_orders(self) -> list[Row]:
        """Return what the exchange has received more than once: there must be nothing."""
        return self.books.ask(
            "SELECT client_order_id, count(*) FROM exchange_sim.orders "
            f"WHERE account = '{self.name}' GROUP BY 1 HAVING count(*) > 1"
        )

    # Leaving ------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Delete the account and wait until nothing of it is left, whatever state it is in."""
        if self.resource() is None:
            return
        self.kubectl.annotate("ta", self.name, FORCE)
        self.kubectl.delete("ta", self.name)
        self.until_gone()

    def until_gone(self) -> None:
        """Wait until the resource and its pods are gone."""
        self.wait("gone", lambda: self.resource() is None, LEAVE_SECONDS)
        label = f"recio.io/account={self.name}"
        self.wait("no pod", lambda: not self.kubectl.names("pods", label), LEAVE_SECONDS)
