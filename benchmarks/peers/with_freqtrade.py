"""Measures freqtrade's backtest in its own environment, without a network; prints one JSON object.

200,000 one-minute candles on a random walk (seed 1), two exponential averages that cross, one position
at a time, a fee of 0.1 %. The exchange's markets are given here instead of asked for. The clock runs
over ``backtest_one_strategy``: indicators, signals and the trades.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from unittest.mock import PropertyMock, patch

import numpy as np
import pandas as pd
from freqtrade.configuration import Configuration
from freqtrade.enums import RunMode
from freqtrade.exchange import Exchange
from freqtrade.optimize.backtesting import Backtesting

CANDLES = 200_000
PAIR = "BTC/USDT"
STRATEGY = '''
from freqtrade.strategy import IStrategy
from pandas import DataFrame


class Crossing(IStrategy):
    """Two averages that cross."""

    INTERFACE_VERSION = 3
    timeframe = "1m"
    minimal_roi = {"0": 10}
    stoploss = -0.99
    startup_candle_count = 60
    process_only_new_candles = True

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe["fast"] = dataframe["close"].ewm(span=12).mean()
        dataframe["slow"] = dataframe["close"].ewm(span=48).mean()
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe.loc[dataframe["fast"] > dataframe["slow"], "enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe.loc[dataframe["fast"] < dataframe["slow"], "exit_long"] = 1
        return dataframe
'''
MARKET = {
    "id": "BTCUSDT", "symbol": PAIR, "base": "BTC", "quote": "USDT", "active": True, "spot": True,
    "type": "spot", "margin": False, "swap": False, "future": False, "contract": False,
    "linear": None, "inverse": None, "taker": 0.001, "maker": 0.001, "contractSize": None,
    "precision": {"amount": 1e-5, "price": 0.01, "cost": 0.01},
    "limits": {"amount": {"min": 1e-5, "max": 9000}, "price": {"min": 0.01, "max": 1e6},
               "cost": {"min": 5, "max": 9e6}, "leverage": {"min": None, "max": None}},
    "info": {},
}  # fmt: skip


def candles(folder: Path) -> None:
    """Write a random walk of candles."""
    chance = np.random.default_rng(1)
    close = 60_000 * np.exp(np.cumsum(chance.normal(0, 0.0006, CANDLES)))
    opened = np.concatenate([[60_000.0], close[:-1]])
    spread = np.abs(chance.normal(0, 0.0003, CANDLES)) * close
    frame = pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=CANDLES, freq="min", tz="UTC"),
            "open": opened,
            "high": np.maximum(opened, close) + spread,
            "low": np.minimum(opened, close) - spread,
            "close": close,
            "volume": chance.uniform(1, 50, CANDLES),
        }
    )
    folder.mkdir(parents=True)
    frame.to_feather(folder / "BTC_USDT-1m.feather")


def configured(home: Path) -> dict[str, object]:
    """Return the configuration of a run below a folder."""
    (home / "strategies").mkdir(parents=True)
    (home / "strategies" / "crossing.py").write_text(STRATEGY)
    candles(home / "data" / "binance")
    document = {
        "stake_currency": "USDT", "stake_amount": 100, "dry_run": True, "dry_run_wallet": 10_000,
        "max_open_trades": 1, "fee": 0.001, "timeframe": "1m", "dataformat_ohlcv": "feather",
        "exchange": {"name": "binance", "key": "", "secret": "", "pair_whitelist": [PAIR]},
        "pairlists": [{"method": "StaticPairList"}],
        "entry_pricing": {"price_side": "same", "use_order_book": False},
        "exit_pricing": {"price_side": "same", "use_order_book": False},
    }  # fmt: skip
    (home / "config.json").write_text(json.dumps(document))
    given = {
        "config": [str(home / "config.json")], "user_data_dir": str(home), "strategy": "Crossing",
        "datadir": str(home / "data" / "binance"), "strategy_path": str(home / "strategies"),
        "export": "none",
    }  # fmt: skip
    return Configuration(given, RunMode.BACKTEST).get_config()


def measure(home: Path) -> dict[str, object]:
    """Run once."""
    config = configured(home)
    nothing = {"return_value": None}
    with (
        patch.object(Exchange, "reload_markets", **nothing),
        patch.object(Exchange, "validate_config", **nothing),
        patch.object(Exchange, "additional_exchange_init", **nothing),
        patch("freqtrade.exchange.binance.Binance.additional_exchange_init", **nothing),
        patch.object(Exchange, "markets", PropertyMock(return_value={PAIR: MARKET})),
        patch.object(Exchange, "timeframes", PropertyMock(return_value=["1m"])),
        patch.object(Exchange, "precisionMode", PropertyMock(return_value=4)),
        patch.object(Exchange, "precision_mode_price", PropertyMock(return_value=4)),
    ):
        testing = Backtesting(config)
        data, timerange = testing.load_bt_data()
        begun = time.process_time()
        testing.backtest_one_strategy(testing.strategylist[0], data, timerange)
        seconds = time.process_time() - begun
    (results,) = testing.all_bt_content.values()
    return {
        "peer": f"freqtrade {version('freqtrade')}",
        "load": "200,000 minute candles",
        "unit": "candles",
        "events": CANDLES,
        "orders": 2 * len(results["results"]),
        "cpu_seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        print(json.dumps(measure(Path(place) / "user_data")))
    sys.stdout.flush()
