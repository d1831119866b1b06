"""What the daily cards need of the database, and whose shadow an account has.

Reads only. A decision that its retention has removed leaves its trade without a market price; a
market's result is the one that the environment's market watchdog was told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from recio.adapters.postgres.config import effective_config
from recio.domain.account_config import AccountConfig, Mode
from recio.domain.card_words import summary
from recio.domain.day_card import CardTrade, DayCard, card, cards
from recio.domain.errors import InvalidValue
from recio.domain.tickers import new_york_day_start_us
from recio.domain.units import MINUTE_US, as_datetime, time_us
from recio.engine.records import read_entry
from recio.ports import Transaction

DAY_MINUTES: Final = 1440
SHADOW_DAYS: Final = 30
NO_SHADOW: Final = "no shadow result of this strategy here (recio up --shadow)"
_TRADES: Final = (
    "SELECT t.ended_at, t.changed_at, t.pnl_usd_e6, t.entry_cost_usd_e6, t.fees_usd_e6,"
    " t.filled_qty_e2, t.p_entry_e6, t.market_ticker, t.side::text, m.result, i.edge_e4, d.body"
    " FROM trading.trades t JOIN trading.accounts a USING (account)"
    " LEFT JOIN market.markets m ON m.environment = a.environment AND m.ticker = t.market_ticker"
    " LEFT JOIN LATERAL (SELECT w.edge_e4, w.decision_id FROM trading.orders o"
    " JOIN trading.intents w USING (intent_id)"
    " WHERE o.trade_id = t.trade_id AND w.purpose = 'entry' ORDER BY w.at LIMIT 1) i ON true"
    " LEFT JOIN trading.decisions d ON d.account = t.account AND d.decision_id = i.decision_id"
    " WHERE t.account = %s AND t.state IN ('closed', 'settled') AND t.filled_qty_e2 > 0"
    " AND coalesce(t.ended_at, t.changed_at) >= %s"
)
_WATCHED: Final = (
    "SELECT DISTINCT date_trunc('minute', at) FROM market.book_tops"
    " WHERE environment = (SELECT environment FROM trading.accounts WHERE account = %s)"
    " AND at >= %s"
)


class Cards(msgspec.Struct, frozen=True, kw_only=True):
    """The cards of an account's newest days, and one of them all together."""

    account: str
    mode: str
    days: tuple[DayCard, ...]
    total: DayCard


async def read_cards(tx: Transaction, account: str, *, days: int, now_us: int) -> Cards:
    """Return the cards of the New York days since ``days`` - 1 days ago.

    Raises:
        InvalidValue: there is no such account.
    """
    found = await tx.fetch_one("SELECT mode FROM trading.accounts WHERE account = %s", account)
    if found is None:
        raise InvalidValue(f"there is no account {account!r}")
    since = as_datetime(new_york_day_start_us(now_us - (days - 1) * DAY_MINUTES * MINUTE_US))
    trades = [_trade(row) for row in await tx.fetch(_TRADES, account, since)]
    watched: dict[int, int] = {}
    for (minute,) in await tx.fetch(_WATCHED, account, since):
        day = new_york_day_start_us(int(time_us(minute)))
        watched[day] = watched.get(day, 0) + 1
    trades.sort(key=lambda one: one.ended_us)
    total = card(trades, watched_minutes=sum(watched.values()))
    return Cards(account=account, mode=found[0], days=cards(trades, watched), total=total)


async def shadows_of(tx: Transaction, account: str) -> tuple[str, ...]:
    """Return the shadow accounts that trade what an account trades, by the same strategy."""
    mine = await effective_config(tx, account)
    rows = await tx.fetch(
        "SELECT account FROM trading.accounts WHERE mode = %s AND account <> %s ORDER BY account",
        Mode.SHADOW.value,
        account,
    )
    found = [(name, await effective_config(tx, name)) for (name,) in rows]
    return tuple(name for name, other in found if _trades_alike(mine, other))


async def shadow_words(tx: Transaction, account: str, *, now_us: int) -> str:
    """Return what shadow accounts of the same strategy earned, or that there is none."""
    told = []
    for name in await shadows_of(tx, account):
        found = await read_cards(tx, name, days=SHADOW_DAYS, now_us=now_us)
        told.append(f"shadow {name}, {SHADOW_DAYS} days: {summary(found.total)}")
    return "; ".join(told) or NO_SHADOW


def _trades_alike(one: AccountConfig, other: AccountConfig) -> bool:
    return one.strategy == other.strategy and set(one.series) == set(other.series)


def _trade(row: Sequence[Any]) -> CardTrade:
    ended, changed, pnl, cost, fees, qty, p_e6, ticker, side, result, edge, body = row
    return CardTrade(
        ended_us=int(time_us(ended or changed)),
        pnl_usd_e6=pnl,
        cost_usd_e6=cost,
        fees_usd_e6=fees,
        qty_e2=qty,
        p_e6=p_e6,
        ask_e4=None if body is None else _ask_e4(bytes(body), ticker, side),
        edge_e4=edge,
        is_won=result == side if result in {"yes", "no"} else None,
    )


def _ask_e4(body: bytes, ticker: str, side: str) -> int | None:
    """Return the ask that the decision saw for what was bought."""
    try:
        strikes = read_entry(body).strikes
    except InvalidValue:
        return None  # A record of another version: not known.
    for strike in strikes:
        if (strike.ticker, strike.side) == (ticker, side):
            return strike.ask_e4
    return None
