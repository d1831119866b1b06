"""A run that nobody played: trades by a small seeded generator, all figures consistent."""

from random import Random  # noqa: TID251 (seeded)
from uuid import UUID

from recio.domain.fees import fee_per_contract_e4
from recio.research.result import EquityPoint, Result, TradeLine
from recio.research.tapes.tape import Coverage, Hole

HOUR_US = 3_600_000_000
START_US = 1_709_298_000_000_000  # 2024-03-01 13:00 UTC
CASH = 500_000_000


def trade(number=1, **changed):
    """Return a trade of five contracts that was held and won, or what is changed of it."""
    price_e4, qty_e2 = changed.get("entry_price_e4", 9600), changed.get("filled_qty_e2", 500)
    won = changed.pop("won", True)
    close_us = changed.get("close_us", START_US + number * HOUR_US)
    cost = price_e4 * qty_e2 if price_e4 else 0
    fees = fee_per_contract_e4(price_e4) * qty_e2 if price_e4 else 0
    payout = qty_e2 * 10_000 if won else 0
    values = {
        "number": number,
        "symbol": "BTC",
        "series_ticker": "KXBTCD",
        "event_ticker": f"KXBTCD-{number // 2}",
        "market_ticker": f"KXBTCD-{number // 2}-T{60_000 + number}",
        "side": "yes" if number % 3 else "no",
        "strike_usd_e6": 60_000_000_000,
        "close_us": close_us,
        "state": "settled",
        "decided_us": close_us - 600_000_000,
        "opened_us": close_us - 599_000_000,
        "ended_us": close_us + 5_000_000,
        "wanted_qty_e2": 500,
        "filled_qty_e2": qty_e2,
        "entry_price_e4": price_e4,
        "exit_price_e4": None,
        "cost_usd_e6": cost,
        "proceeds_usd_e6": 0,
        "payout_usd_e6": payout,
        "fees_usd_e6": fees,
        "pnl_usd_e6": payout - cost - fees,
        "p_e6": 970_000,
        "market_p_e6": 955_000,
        "ask_e4": 9600,
        "edge_e4": 73,
        "seconds_to_close": 600,
        "momentum_bucket": 3,
        "close_reason": "",
        "decision_id": UUID(int=number),
    }
    return TradeLine(**values | changed)


def many(count=120, seed=5):
    """Return trades with all kinds of ends."""
    chance, made = Random(seed), []
    for number in range(1, count + 1):
        price = chance.randrange(9000, 9800, 10)
        p = min(price * 100 + chance.randrange(-10_000, 20_000), 990_000)
        changes = {
            "entry_price_e4": price,
            "ask_e4": price - chance.choice([0, 0, 0, 100]),
            "market_p_e6": price * 100 - 5_000,
            "p_e6": None if number % 41 == 0 else p,
            "edge_e4": p // 100 - price - fee_per_contract_e4(price),
            "seconds_to_close": chance.randrange(120, 900),
            "filled_qty_e2": chance.choice([500, 500, 250]),
            "won": chance.random() < price / 10_000 - 0.01,
        }
        if number % 29 == 0:
            changes |= {"pnl_usd_e6": None, "payout_usd_e6": None, "state": "expired"}
        if number % 31 == 0:
            changes |= {"filled_qty_e2": 0, "entry_price_e4": None, "state": "abandoned"}
        made.append(trade(number, **changes))
    return [*made, _stopped(count + 1)]


def _stopped(number):
    sold, cost, fees = 2_000_000, 4_800_000, 13_500 + 84_000
    return trade(
        number,
        state="closed",
        payout_usd_e6=None,
        exit_price_e4=4000,
        proceeds_usd_e6=sold,
        fees_usd_e6=fees,
        pnl_usd_e6=sold - cost - fees,
        close_reason="probability stop <b>",
    )


def result(trades=None, **changed):
    """Return a run with these trades."""
    held = tuple(many() if trades is None else trades)
    cash, equity = CASH, [EquityPoint(START_US, CASH, CASH)]
    for one in held:
        cash += one.pnl_usd_e6 or 0
        equity.append(EquityPoint(one.close_us, cash, cash))
    values = {
        "document": {"metadata": {"name": "paper"}, "spec": {"mode": "paper"}},
        "tape": "made-up hours",
        "caveat": "Nothing here was traded anywhere.",
        "is_synthetic": True,
        "seed": 1,
        "latency_ms": 150,
        "model_version": "fingerprints 2025-08-11",
        "coverage": Coverage(
            first_us=START_US,
            last_us=START_US + 200 * HOUR_US,
            holes=(Hole(START_US + HOUR_US, START_US + 3 * HOUR_US, "no row for 2 h"),),
            rows=720_000,
            refused={"price below zero": 3},
            closes_whole=198,
            closes_in_part=2,
        ),
        "initial_cash_usd_e6": CASH,
        "trades": held,
        "equity": tuple(equity),
        "gates": {"": 121, "probability": 90_000, "edge": 12_345, "event:too_early": 70_000},
        "closest": {"": 121, "probability": 3_000, "edge": 700},
        "refusals": {"total cost above the limit": 4},
        "events": 5_000_000,
        "snapshots": 700_000,
        "decisions": 172_466,
        "orders": 125,
        "cpu_seconds": 12.5,
    }
    return Result(**values | changed)
