"""The web page's API as a person's browser uses it: log in, look, order by hand."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
from tests.e2e.cluster.shell import CommandFailed
from tests.e2e.kubernetes.kubectl import Kubectl

from recio.domain.units import SECOND_US
from recio.runtime.ids import SystemIds

Fields = dict[str, Any]

ONE_CONTRACT_E2: Final = 100
LEAST_E4: Final = 300
MOST_E4: Final = 9_700
"""Strikes that cost less or more are on their way to being decided."""
FRESH_US: Final = 2 * SECOND_US
EVEN_E4: Final = 5_000
LEAST_US: Final = 30 * SECOND_US
"""An event that closes sooner is left alone: a test wants to see its trade open."""


@dataclass(frozen=True, slots=True)
class Page:
    """A session of the first user."""

    client: httpx.Client
    environment: str

    def get(self, path: str, **query: Any) -> Any:
        """Read one path.

        Raises:
            CommandFailed: the answer was not 200, or none came.
        """
        return _body("GET", path, self._send("GET", path, params=query))

    def post(self, path: str, body: Fields, **headers: str) -> Fields:
        """Write to one path; raises as ``get``."""
        return _body("POST", path, self._send("POST", path, json=body, headers=headers))

    def _send(self, method: str, path: str, **rest: Any) -> httpx.Response:
        try:
            return self.client.request(method, path, **rest)
        except httpx.HTTPError as error:
            raise CommandFailed(f"{method} {path}: {error!r}") from error

    def quoted_strike(self) -> Fields:
        """Return a strike that can be bought now, nearest to an even chance.

        Raises:
            CommandFailed: there is none now.
        """
        now_us = self.get("/api/ttc")["now_us"]
        live = [one for one in self.get("/api/events") if one["close_us"] - now_us > LEAST_US]
        tables = [self.get("/api/strike_table", event=one["event_ticker"]) for one in live]
        fresh = [table for table in tables if now_us - table["at_us"] < FRESH_US]
        rows = [row for table in fresh for row in table["rows"] if _can_buy(row)]
        if not rows:
            told = f"{len(live)} live events, {len(fresh)} of them fresh"
            raise CommandFailed(f"no strike can be bought: {told}")
        return min(rows, key=lambda row: abs(row["yes_ask_e4"] - EVEN_E4))

    def buy(self, account: str, contracts_e2: int = ONE_CONTRACT_E2, **changed: Any) -> Fields:
        """Order YES contracts of the nearest strike; return the intent as it was proposed.

        Raises:
            CommandFailed: the page says no.
        """
        strike = self.quoted_strike()
        wish = {
            "account": account, "purpose": "entry", "market_ticker": strike["ticker"],
            "side": "yes", "qty_e2": contracts_e2, **changed,
        }  # fmt: skip
        return self.order(wish)

    def close(self, trade: Fields) -> Fields:
        """Order the exit of everything that a trade holds."""
        wish = {
            "account": trade["account"], "purpose": "exit", "trade_id": trade["trade_id"],
            "market_ticker": trade["market_ticker"], "side": trade["side"],
            "qty_e2": trade["filled_qty_e2"] - trade["exited_qty_e2"], "slippage_e4": 500,
        }  # fmt: skip
        return self.order(wish)

    def order(self, wish: Fields) -> Fields:
        """Preview and confirm, as two clicks do."""
        seen = self.post("/api/preview", wish)
        confirmed = wish | {"limit_price_e4": seen["limit_price_e4"]}
        key = seen["idempotency_key"]
        return self.post("/api/intents", confirmed, **{"idempotency-key": key})


def _can_buy(row: Fields) -> bool:
    price, has_book = row["yes_ask_e4"], row["is_valid"] and row["yes_bid_e4"]
    return bool(has_book and price and LEAST_E4 <= price <= MOST_E4)


def _body(method: str, path: str, answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json()
    raise CommandFailed(f"{method} {path}: {answer.status_code} {answer.text[:500]}")


def password(kubectl: Kubectl, secret: str) -> tuple[str, str]:
    """Return name and password of the page's first user."""
    data = kubectl.one("secret", secret)["data"]
    name, word = (base64.b64decode(data[key]).decode() for key in ("username", "password"))
    return name, word


def service_port(kubectl: Kubectl, service: str) -> int:
    """Return the first port of a service."""
    return int(kubectl.one("service", service)["spec"]["ports"][0]["port"])


@contextlib.contextmanager
def opened(kubectl: Kubectl, fullname: str, environment: str = "paper") -> Iterator[Page]:
    """Log in at the page through a port-forward, as the chart's notes tell.

    Raises:
        CommandFailed: it does not answer, or the password is wrong.
    """
    service = f"{fullname}-main-app"
    name, word = password(kubectl, f"{fullname}-admin")
    with kubectl.forward(f"service/{service}", service_port(kubectl, service)) as port:
        origin = f"http://127.0.0.1:{port}"
        headers = {"origin": origin}
        with httpx.Client(base_url=origin, headers=headers, timeout=15, trust_env=False) as client:
            page = Page(client, environment)
            page.post("/api/auth/login", {"username": name, "password": word})
            yield page


def fresh_key() -> str:
    """Return an idempotency key that nobody has used."""
    return str(SystemIds().fresh())
