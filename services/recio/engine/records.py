"""Decision records: what was seen, what was judged, and what followed, small enough to keep.

A record's body is MessagePack; ``read_entry`` and ``read_stop`` give it back. With it a person sees
why a trade was or was not made, and a replay compares decisions. The id is a function of account,
kind, event and the snapshot's generation, so that the same decision is one row.
"""

from __future__ import annotations

from typing import Final, TypeVar
from uuid import UUID

import msgspec

from recio.domain.account_config import Model
from recio.domain.entry import Check
from recio.domain.errors import InvalidValue
from recio.domain.intents import Intent, derived_id
from recio.domain.messages import Snapshot
from recio.domain.proposals import Proposal
from recio.domain.stop import Look, StopState

T = TypeVar("T")

ENTRY: Final = "entry"
STOP: Final = "stop"


StrikeDecision = Check
"""One strike as it was judged, kept as it is."""


class EntryBody(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry decision saw. ``gate`` stands against the whole event; empty: none did."""

    gate: str
    close_us: int
    price_usd_e6: int | None
    price_age_us: int | None
    spot_usd_e6: int | None
    momentum_e6: int | None
    momentum_bucket: int | None
    is_momentum_complete: bool
    model: str
    snapshot_model: str
    model_version: str
    volatility_e9: int | None
    window_average_usd_e6: int | None
    window_count: int
    strikes: tuple[StrikeDecision, ...]
    intents: tuple[UUID, ...] = ()


class Told(msgspec.Struct, frozen=True):
    """What a strategy of one's own said, and which it was."""

    strategy: str = ""
    failure: str = ""
    proposals: tuple[Proposal, ...] = ()


class StrategyBody(EntryBody, frozen=True, kw_only=True):
    """The same where a strategy of one's own decides; ``told`` None: it was not asked, or not ours."""

    told: Told | None = None


class StopBody(msgspec.Struct, frozen=True, kw_only=True):
    """What a stop decision saw of one trade, and its state afterwards."""

    trade_id: UUID
    market_ticker: str
    side: str
    close_us: int
    p_e6: int | None
    bid_e4: int | None
    momentum_e6: int | None
    is_flatten: bool
    price_usd_e6: int | None
    generation: int | None
    state: StopState
    limit_price_e4: int | None = None
    intent_id: UUID | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One row of trading.decisions."""

    decision_id: UUID
    account: str
    kind: str
    event_ticker: str
    generation: int
    at_us: int
    body: bytes


_encoder: Final = msgspec.msgpack.Encoder()
_entry_decoder: Final = msgspec.msgpack.Decoder(StrategyBody)
_stop_decoder: Final = msgspec.msgpack.Decoder(StopBody)


def decision_id(account: str, kind: str, snapshot: Snapshot) -> UUID:
    """Return the id of the account's decision on a snapshot."""
    return derived_id(account, kind, snapshot.event_ticker, snapshot.generation)


def entry_record(
    account: str,
    snapshot: Snapshot,
    gate: str,
    *,
    checks: list[Check],
    wishes: list[Intent],
    model: Model,
    told: Told | None = None,
    decided: UUID | None = None,
) -> Record:
    """Return the record of one look at an event's strikes.

    ``told`` is what a strategy of one's own said, ``decided`` the decision's id if it is not the
    snapshot's.
    """
    price_at_us = snapshot.price_at_us
    made = EntryBody(
        gate=gate,
        close_us=snapshot.close_us,
        price_usd_e6=snapshot.price_usd_e6,
        price_age_us=None if price_at_us is None else snapshot.at_us - price_at_us,
        spot_usd_e6=snapshot.spot_usd_e6,
        momentum_e6=snapshot.momentum.score_e6,
        momentum_bucket=snapshot.momentum.bucket,
        is_momentum_complete=snapshot.momentum.is_complete,
        model=model.value,
        snapshot_model=snapshot.model,
        model_version=snapshot.model_version,
        volatility_e9=snapshot.volatility_e9,
        window_average_usd_e6=snapshot.window_average_usd_e6,
        window_count=snapshot.window_count,
        strikes=tuple(checks),
        intents=tuple(wish.intent_id for wish in wishes),
    )
    body = made if told is None else StrategyBody(**msgspec.structs.asdict(made), told=told)
    return Record(
        decision_id=decided or decision_id(account, ENTRY, snapshot),
        account=account,
        kind=ENTRY,
        event_ticker=snapshot.event_ticker,
        generation=snapshot.generation,
        at_us=snapshot.at_us,
        body=_encoder.encode(body),
    )


def stop_record(
    account: str, event_ticker: str, look: Look, body: StopBody, *, number: int
) -> Record:
    """Return the record of one change of a trade's stop; ``number`` counts them."""
    return Record(
        decision_id=derived_id(account, STOP, body.trade_id, look.at_us, number),
        account=account,
        kind=STOP,
        event_ticker=event_ticker,
        generation=body.generation or 0,
        at_us=look.at_us,
        body=_encoder.encode(body),
    )


def read_entry(body: bytes) -> StrategyBody:
    """Return what an entry decision saw.

    Raises:
        InvalidValue: not the body of an entry's record.
    """
    return _read(_entry_decoder, body)


def read_stop(body: bytes) -> StopBody:
    """Return what a stop decision saw.

    Raises:
        InvalidValue: not the body of a stop's record.
    """
    return _read(_stop_decoder, body)


def _read(decoder: msgspec.msgpack.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"not the body of a decision's record: {error}") from error
