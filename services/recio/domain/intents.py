"""Intents: what somebody wants done, before the gate has said yes.

An intent is one wish of one source. Its id is a function of the wish, so that the same wish
proposed twice (after a restart, by two copies, by an impatient finger) is one row.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import blake2b
from uuid import UUID

import msgspec


class Purpose(StrEnum):
    """Whether an order may raise exposure."""

    ENTRY = "entry"
    EXIT = "exit"


class Source(StrEnum):
    """Who wishes."""

    AUTO_ENTRY = "auto_entry"
    MANUAL = "manual"
    AUTO_STOP = "auto_stop"
    MOMENTUM_STOP = "momentum_stop"
    FLATTEN = "flatten"
    PANIC = "panic"


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One wish.

    ``side`` is the side of the position (yes, no). ``limit_price_e4`` is on that side's scale: the
    most an entry pays, the least an exit takes. ``qty_e2`` of an exit is capped by what is held.
    ``valid_until_us`` is market time: later the gate refuses it. ``snapshot_generation`` names the
    snapshot that it was decided on; None for a flatten without one.
    """

    intent_id: UUID
    account: str
    purpose: Purpose
    source: Source
    market_ticker: str
    event_ticker: str
    side: str
    qty_e2: int
    limit_price_e4: int
    at_us: int
    valid_until_us: int
    trade_id: UUID | None = None
    snapshot_generation: int | None = None
    decision_id: UUID | None = None
    p_e6: int | None = None
    edge_e4: int | None = None
    symbol_price_usd_e6: int | None = None
    momentum_bucket: int | None = None
    price_at_us: int | None = None
    book_at_us: int | None = None
    reason: str = ""


def derived_id(*parts: object) -> UUID:
    """Return the identifier that is a function of ``parts`` and nothing else.

    >>> derived_id("paper", "KXBTCD-25AUG0122-T119499.99", "yes", "entry", 1)
    UUID('80853845-8c14-8675-9318-9b640133675b')
    """
    text = "\x1f".join(str(part) for part in parts).encode()
    digest = bytearray(blake2b(text, digest_size=16, person=b"recio").digest())
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))
