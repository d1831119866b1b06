"""Exchange status, schedule and other facts about the exchange itself."""

from __future__ import annotations

from recio.domain.units import HOUR_US
from recio.exchange_simulator.api import wire
from recio.exchange_simulator.api.call import Call, Json
from recio.exchange_simulator.core import pauses
from recio.exchange_simulator.core.state import SHARDS

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LIVE_WINDOW_US = 90 * 24 * HOUR_US
"""Data older than about three months lives in the historical tier (docs, "Historical data")."""


def status(call: Call) -> Json:
    """Tell whether the exchange and its shards trade."""
    paused = call.state.pauses
    flags = {
        "exchange_active": not paused.is_exchange_paused,
        "trading_active": pauses.is_trading_active(call.state),
        "intra_exchange_transfers_active": not paused.is_exchange_paused,
    }
    body: Json = flags | {
        "exchange_index_statuses": [
            {"exchange_index": index, "description": name} | flags for index, name in SHARDS.items()
        ]
    }
    resume_us = call.state.weekly_boundary_us if paused.is_weekly else paused.resume_us
    if resume_us is not None and not flags["trading_active"]:
        body["exchange_estimated_resume_time"] = wire.time(resume_us)
    return body


def schedule(call: Call) -> Json:
    """Give the weekly hours and the next maintenance window."""
    start, end = pauses.weekly_window(call.state.now_us)
    hours: Json = {day: [{"open_time": "00:00", "close_time": "00:00"}] for day in _DAYS}
    hours["thursday"] = [
        {"open_time": "00:00", "close_time": "03:00"},
        {"open_time": "05:00", "close_time": "00:00"},
    ]
    hours |= {
        "start_time": wire.time(call.state.now_us),
        "end_time": wire.time(call.state.now_us + _LIVE_WINDOW_US),
    }
    window = {"start_datetime": wire.time(start), "end_datetime": wire.time(end)}
    windows = [window] if call.state.config.has_weekly_pause else []
    return {"schedule": {"standard_hours": [hours], "maintenance_windows": windows}}


def user_data_timestamp(call: Call) -> Json:
    """Tell up to when portfolio reads are complete."""
    return {"as_of_time": wire.time(call.state.as_of_us())}


def series_fee_changes(_call: Call) -> Json:
    """List scheduled fee changes of series: there are none."""
    return {"series_fee_change_arr": []}


def event_fee_changes(_call: Call) -> Json:
    """List fee changes of events: there are none."""
    return {"event_fee_changes": [], "cursor": ""}


def historical_cutoff(call: Call) -> Json:
    """Tell from when on data is in the live endpoints."""
    cutoff = wire.time(call.state.now_us - _LIVE_WINDOW_US)
    names = ("market_settled_ts", "trades_created_ts", "orders_updated_ts")
    return dict.fromkeys((*names, "market_positions_last_updated_ts"), cutoff)


def empty_history(name: str) -> Json:
    """Return an empty page of the historical tier: everything is still live here."""
    return {name: [], "cursor": ""}


def empty_positions(_call: Call) -> Json:
    """Return an empty page of the historical tier's positions."""
    return empty_history("market_positions") | {"event_positions": []}
