"""Subscriptions of one connection, and how a push becomes a frame.

A subscription's ``seq`` starts at 1 and rises by one with each message of its ``sid`` on channels
that have one; private channels and ``ticker`` have none, so that a lost message there goes
unnoticed, as on the exchange.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

SEQUENCED: Final = frozenset(
    {"orderbook_delta", "trade", "market_lifecycle_v2", "order_group_updates", "cfbenchmarks_value"}
)
PRIVATE: Final = frozenset({"fill", "user_orders", "market_positions", "order_group_updates"})
CHANNELS: Final = SEQUENCED | PRIVATE | {"ticker"}
BY_MARKET: Final = frozenset(
    {"orderbook_delta", "ticker", "trade", "fill", "user_orders", "market_positions"}
)
ALL_INDICES: Final = "all"


@dataclass(slots=True, eq=False)
class Subscription:
    """One ``sid``. ``tickers`` None: every market."""

    sid: int
    channel: str
    account: str
    outbox: list[bytes]
    tickers: set[str] | None = None
    indices: set[str] = field(default_factory=set)
    is_yes_scale: bool = False
    seq: int = 0
    heads: dict[str, bytes] = field(default_factory=dict)

    def wants(self, ticker: str) -> bool:
        """Tell whether messages of this market belong here."""
        return self.tickers is None or ticker in self.tickers

    def next_seq(self) -> int | None:
        """Return the number of the next message, or None where messages are not numbered."""
        if self.channel not in SEQUENCED:
            return None
        self.seq += 1
        return self.seq

    def push(self, kind: str, msg: bytes, command_id: int | None = None) -> None:
        """Queue a message whose ``msg`` is encoded already: once for all connections."""
        head = self.heads.get(kind)
        if head is None:
            head = self.heads[kind] = b'{"type":"%b","sid":%d' % (kind.encode(), self.sid)
        if command_id is not None:
            head += b',"id":%d' % command_id
        if self.channel in SEQUENCED:
            self.seq += 1
            self.outbox.append(b'%b,"seq":%d,"msg":%b}' % (head, self.seq, msg))
        else:
            self.outbox.append(b'%b,"msg":%b}' % (head, msg))
