"""Decide one intent inside an open transaction: refuse with a reason, or make trade and order."""

from __future__ import annotations

from recio.adapters.postgres import gate, intents, trades
from recio.domain.intents import Intent, Purpose
from recio.engine.gate import Accepted, enter, leave
from recio.ports import Clock, Transaction


async def decide(tx: Transaction, intent: Intent, clock: Clock) -> str | None:
    """Decide one intent and write the outcome; return the refusal, empty if it was accepted.

    None: it was decided meanwhile, or the account is gone. The time is taken when the account's
    lock is held: waiting for it makes prices older and intents late.
    """
    environment = await gate.lock_account(tx, intent.account)
    if environment is None:
        return None
    now_us = clock.market_us()
    outcome = await _outcome(tx, intent, environment, now_us)
    if outcome is None:
        return None
    if isinstance(outcome, Accepted):
        await _write(tx, outcome)
    refusal = "" if isinstance(outcome, Accepted) else "; ".join(outcome)
    await intents.decide(tx, intent.intent_id, refusal=refusal, at_us=now_us)
    return refusal


async def _outcome(
    tx: Transaction, intent: Intent, environment: str, now_us: int
) -> Accepted | tuple[str, ...] | None:
    if intent.purpose is Purpose.ENTRY:
        entry = await gate.entry_ground(tx, intent, environment, now_us=now_us)
        return None if entry is None else enter(intent, entry, now_us)
    exit_ground = await gate.exit_ground(tx, intent, environment)
    return None if exit_ground is None else leave(intent, exit_ground, now_us)


async def _write(tx: Transaction, made: Accepted) -> None:
    if made.new_trade is not None:
        await gate.take_number(tx, made.new_trade.account, made.new_trade.number)
        await trades.insert_trade(tx, made.new_trade)
    await gate.insert_order(
        tx, made.order, event_ticker=made.event_ticker, valid_until_us=made.valid_until_us
    )
