"""What unified_production_coordinator costs: `python benchmarks/coordinator.py [seconds]`.

The service runs in this process on a real embedded PostgreSQL and Redis; another process publishes
what 100 markets with 20 deltas a second and 5 index ticks a second come to on the bus: ten book
updates a second, each with the tops of all markets, and a whole one each second. Printed are the
share of one core, the snapshots made and the memory (PSS) of this process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from recio import manifest
from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.postgres.migrate import migrate
from recio.adapters.redis.bus import RedisBus
from recio.apps.unified_production_coordinator.app import build
from recio.domain.messages import (
    BookUpdate,
    EventMarkets,
    ExchangeStatus,
    MarketInfo,
    MarketQuote,
    PriceHistory,
    PriceUpdate,
)
from recio.domain.tickers import format_event, format_market
from recio.domain.units import HOUR_US, MINUTE_US
from recio.runtime.clock import WallClock
from recio.runtime.ids import SeededIds
from recio.runtime.local.embedded import EmbeddedPostgres, EmbeddedRedis
from recio.runtime.metrics import Metrics, ProcessMetrics
from recio.runtime.service import ServiceContext

NAME = "unified_production_coordinator"
PRICE = 115_000_000_000
WARM_S = 5.0


def close_us(now_us: int) -> int:
    """Return the close of the event that is open now, at least ten minutes away."""
    return ((now_us + 10 * MINUTE_US) // HOUR_US + 1) * HOUR_US


async def feed(redis_url: str) -> None:
    """Publish the load for ever."""
    bus, clock = RedisBus(redis_url, environment="paper"), WallClock()
    now_us = clock.market_us()
    event = format_event("KXBTCD", close_us(now_us))
    strikes = [PRICE + (place - 50) * 250_000_000 - 10_000 for place in range(100)]
    tickers = [format_market(event, strike) for strike in strikes]
    await introduce(bus, event, tickers, strikes, now_us)
    turn = 0
    while True:
        turn += 1
        now_us = clock.market_us()
        bid = 4_000 + turn % 7 * 100
        quotes = tuple(
            MarketQuote(each, bid, 100, bid + 200, 100, 100_000, now_us, turn, is_valid=True)
            for each in tickers
        )
        await bus.publish(
            "books",
            BookUpdate(
                environment="paper", event_ticker=event, quotes=quotes, is_full=turn % 10 == 0,
                at_us=now_us, seen_us=now_us,
            ),
        )  # fmt: skip
        if turn % 2:
            await bus.publish(
                "prices",
                PriceUpdate(
                    environment="paper", symbol="BTC", at_us=now_us, seen_us=now_us,
                    index_usd_e6=PRICE + turn % 11 * 1_000_000, index_at_us=now_us,
                ),
            )  # fmt: skip
        await asyncio.sleep(0.1)


async def introduce(
    bus: RedisBus, event: str, tickers: list[str], strikes: list[int], now_us: int
) -> None:
    """Publish history, markets and status."""
    minutes = tuple((now_us - k * MINUTE_US, PRICE + k % 5 * 10_000_000) for k in range(60))
    stamp = {"environment": "paper", "at_us": now_us, "seen_us": now_us}
    await bus.publish(
        "prices", PriceHistory(symbol="BTC", source="benchmark", minutes=minutes, **stamp)
    )
    closes_us = close_us(now_us)
    markets = tuple(
        MarketInfo(
            ticker=ticker, strike_usd_e6=strike, strike_type="greater", status="active",
            price_ranges=(),
        )
        for ticker, strike in zip(tickers, strikes, strict=True)
    )  # fmt: skip
    await bus.publish(
        "markets",
        EventMarkets(
            symbol="BTC", series_ticker="KXBTCD", event_ticker=event, title="", markets=markets,
            open_us=closes_us - 2 * HOUR_US, close_us=closes_us, **stamp,
        ),
    )  # fmt: skip
    await bus.publish(
        "exchange_status",
        ExchangeStatus(
            is_exchange_active=True, is_trading_active=True, is_connected=True, resume_us=None,
            **stamp,
        ),
    )  # fmt: skip


async def measure(postgres_url: str, redis_url: str, seconds: float) -> None:
    """Run the service under the load and print what it cost."""
    database = PostgresDatabase(postgres_url)
    context = ServiceContext(
        row=manifest.service(NAME), environment="paper", account=None, clock=WallClock(),
        ids=SeededIds("benchmark"), database=database, access=None,  # type: ignore[arg-type]
        bus=RedisBus(redis_url, environment="paper"),
        metrics=Metrics(ProcessMetrics(), service=NAME, account=None),
        log=logging.LoggerAdapter(logging.getLogger("benchmark"), {}), settings={},
    )  # fmt: skip
    service = build(context)
    assert service.recover is not None
    await service.recover()
    tasks = [asyncio.ensure_future(task()) for task in service.tasks]
    feeder = await asyncio.create_subprocess_exec(sys.executable, __file__, "--feed", redis_url)
    try:
        await asyncio.sleep(WARM_S)
        begun_cpu, begun = time.process_time(), time.perf_counter()
        first = await generation(database)
        await asyncio.sleep(seconds)
        share = (time.process_time() - begun_cpu) / (time.perf_counter() - begun)
        made = await generation(database) - first
        print(f"python {sys.version.split()[0]} on {platform.machine()}, {os.cpu_count()} cores")
        print(f"{share:.2%} of a core, {made / seconds:.1f} snapshots/s, {pss_mb():.1f} MB PSS")
        print(f"ready: {service.readiness()}")
    finally:
        feeder.terminate()
        await feeder.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await database.close()


async def generation(database: PostgresDatabase) -> int:
    """Return the newest generation written."""
    async with database.transaction() as tx:
        row = await tx.fetch_one("SELECT max(generation) FROM market.snapshot_latest")
    return int(row[0] or 0) if row else 0


def pss_mb() -> float:
    """Return this process's proportional set size."""
    text = Path("/proc/self/smaps_rollup").read_text()
    line = next(line for line in text.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Start the servers, measure, stop them."""
    if sys.argv[1:2] == ["--feed"]:
        uvloop.run(feed(sys.argv[2]))
        return
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    with tempfile.TemporaryDirectory(prefix="recio-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        postgres = EmbeddedPostgres(Path(directory) / "pg", version=18)
        redis = EmbeddedRedis(Path(directory) / "redis")
        postgres.start()
        redis.start()
        try:
            # In a process of its own: what migrating loads would count as the service's memory.
            code = f"from {migrate.__module__} import migrate; migrate({postgres.url()!r})"
            subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
            uvloop.run(measure(postgres.url(), redis.url, seconds))
        finally:
            redis.stop()
            postgres.stop(is_immediate=True)


if __name__ == "__main__":
    main()
