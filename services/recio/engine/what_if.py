"""What would have been decided otherwise with other settings: the same events through a second fold.

The settings are applied to every ``Known``. Entry: a wish is the same if the same snapshot leads to
it. Trades and attempts that follow only from wishes that are not made now are taken out of what the
fold knows; what an additional entry would have led to (its fills, its stop, what it keeps from being
entered) is not known here and not invented: a backtest answers that. Stop: a trade is compared up to
the first difference, because what followed in truth says nothing of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from recio.domain.account_config import AccountConfig, parse_account, to_document
from recio.domain.entry import Key
from recio.domain.errors import InvalidValue
from recio.domain.intents import Intent, Purpose, Source
from recio.domain.messages import Snapshot
from recio.engine import entry, records, stop
from recio.engine.comparing import made_of
from recio.engine.records import Record
from recio.engine.replay import Replay
from recio.engine.replaying import COORDINATOR, ENTRIES, Run

NOT_MADE: Final = "not made"
ALSO_MADE: Final = "also made"
CHANGED: Final = "made otherwise"
_TRUTHS: Final = {"true": True, "false": False}


class Otherwise(msgspec.Struct, frozen=True, kw_only=True):
    """One intent that would not, or also, or otherwise have been made.

    ``gate`` is the first rule that it fails now; ``times`` counts what repeats.
    """

    kind: str
    host: str
    intent: Intent
    gate: str = ""
    detail: str = ""
    times: int = 1


class Setting(msgspec.Struct, frozen=True):
    """One setting of the account's document by its path below ``spec``."""

    path: tuple[str, ...]
    value: Any


def setting(text: str) -> Setting:
    """Read ``risk.maxOpenTrades=1``.

    Raises:
        InvalidValue: no path and value with = between them.
    """
    path, equals, value = text.partition("=")
    names = tuple(name for name in path.strip().removeprefix("spec.").split(".") if name)
    if not equals or not names or not value.strip():
        raise InvalidValue(f"expected a setting such as risk.maxOpenTrades=1, received {text!r}")
    return Setting(names, _value(value.strip()))


def changed(config: AccountConfig, settings: Sequence[Setting]) -> AccountConfig:
    """Return the configuration with these settings.

    Raises:
        InvalidValue: there is no such setting (the nearest is named), or a value does not fit.
    """
    document = to_document(config)
    for one in settings:
        _put(document["spec"], one)
    return parse_account(document)


def _value(text: str) -> object:
    if text in _TRUTHS:
        return _TRUTHS[text]
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdecimal() else text


def _put(spec: dict[str, Any], one: Setting) -> None:
    part: Any = spec
    for name in one.path[:-1]:
        part = part.get(name) if isinstance(part, dict) else None
    last = one.path[-1]
    if not isinstance(part, dict) or last not in part or isinstance(part[last], dict | list):
        known = list(_paths("", spec))
        wanted = ".".join(one.path)
        ends = {path.rpartition(".")[2].lower(): path for path in known}
        by_end = difflib.get_close_matches(last.lower(), list(ends), n=1, cutoff=0.6)
        found = [ends[name] for name in by_end] or difflib.get_close_matches(
            wanted, known, n=1, cutoff=0.5
        )
        hint = f"did you mean {found[0]}?" if found else f"there are {', '.join(known)}"
        raise InvalidValue(f"what if {wanted}: no setting is called so: {hint}")
    part[last] = one.value


def _paths(path: str, part: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for name, value in part.items():
        own = f"{path}.{name}" if path else name
        if isinstance(value, dict):
            found += _paths(own, value)
        elif not isinstance(value, list):
            found.append(own)
    return found


class WhatIf:
    """Watches a replay and folds the same events with other settings beside it."""

    def __init__(self, settings: Sequence[Setting]) -> None:
        self.made = self.made_now = 0
        self._settings = tuple(settings)
        self._configs: dict[bytes, AccountConfig] = {}
        self._entries: dict[str, _Entries] = {}
        self._stops: dict[str, _Stops] = {}

    def before(self, run: Run, event: object) -> None:
        """Look at nothing: the second fold follows the first."""

    def after(self, run: Run, event: object, commands: tuple[Any, ...]) -> bool:
        """Fold the event otherwise and note what is not the same; never end the replay."""
        if run.host == COORDINATOR:
            return False
        other: _Entries | _Stops
        if run.host == ENTRIES:
            other = self._entries.setdefault(run.owner, _Entries(run))
        else:
            other = self._stops.setdefault(run.owner, _Stops(run))
        if isinstance(event, entry.Known | stop.Known):
            event = msgspec.structs.replace(event, config=self._config(event.config))
        now = other.take(event)
        self.made += len(_wishes(commands))
        self.made_now += len(_wishes(now))
        other.compare(event, commands, now)
        return False

    def results(self) -> list[Otherwise]:
        """Return everything that is not the same, in order of time."""
        found = [one for host in self._entries.values() for one in host.results()]
        found += [one for host in self._stops.values() for one in host.results()]
        return sorted(found, key=lambda one: (one.intent.at_us, str(one.intent.intent_id)))

    def _config(self, config: AccountConfig) -> AccountConfig:
        key = msgspec.msgpack.encode(config)
        found = self._configs.get(key)
        if found is None:
            found = self._configs[key] = changed(config, self._settings)
        return found


class _Entries:
    """The entry fold with other settings."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._replay = Replay(run.fold)
        self._found: list[Otherwise] = []
        self._also: dict[Key, Otherwise] = {}
        self._then: set[Key] = set()
        self._now: set[Key] = set()

    def take(self, event: Any) -> tuple[Any, ...]:  # noqa: ANN401 (any event of the fold)
        """Fold one event; every snapshot is to leave a record, so that its gates are known."""
        state = self._replay.state
        if isinstance(event, entry.Known):
            event = self._own(event)
        elif isinstance(event, Snapshot) and state is not None:
            view = state.events.get(event.event_ticker)
            if view is not None:
                view.recorded_us = 0
        return _taken(self._run, self._replay, event)

    def compare(self, event: object, commands: tuple[Any, ...], now: tuple[Any, ...]) -> None:
        """Note which wishes are not the same."""
        then_by, now_by = _by_key(commands), _by_key(now)
        self._then |= then_by.keys()
        self._now |= now_by.keys()
        for key, intent in then_by.items():
            again = now_by.get(key)
            if again is None:
                gate = self._gate(event, key, now)
                self._found.append(Otherwise(kind=NOT_MADE, host=ENTRIES, intent=intent, gate=gate))
            elif (again.qty_e2, again.limit_price_e4) != (intent.qty_e2, intent.limit_price_e4):
                self._found.append(
                    Otherwise(kind=CHANGED, host=ENTRIES, intent=again, detail=_size(intent))
                )
        for key, intent in now_by.items():
            if key not in then_by:
                held = self._also.get(key)
                self._also[key] = (
                    Otherwise(kind=ALSO_MADE, host=ENTRIES, intent=intent)
                    if held is None
                    else msgspec.structs.replace(held, times=held.times + 1)
                )

    def results(self) -> list[Otherwise]:
        """Return what is not the same."""
        return [*self._found, *self._also.values()]

    def _own(self, known: entry.Known) -> entry.Known:
        gone = self._then - self._now
        if not gone:
            return known
        trades = tuple(
            trade
            for trade in known.trades
            if trade.source != Source.AUTO_ENTRY.value
            or (trade.market_ticker, trade.side) not in gone
        )
        attempts = {key: one for key, one in known.attempts.items() if key not in gone}
        return msgspec.structs.replace(known, trades=trades, attempts=attempts)

    def _gate(self, event: object, key: Key, now: tuple[Any, ...]) -> str:
        for one in made_of(now):
            if isinstance(one, Record) and one.kind == records.ENTRY:
                body = records.read_entry(one.body)
                judged = (each.gate for each in body.strikes if (each.ticker, each.side) == key)
                return body.gate or next(judged, "") or "not proposed"
        state = self._replay.state
        view = None
        if state is not None and isinstance(event, Snapshot):
            view = state.events.get(event.event_ticker)
        return "not decided on" if view is None else str(view.gate)


class _Stops:
    """The stop fold with other settings."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._replay = Replay(run.fold)
        self._found: dict[object, Otherwise] = {}

    def take(self, event: Any) -> tuple[Any, ...]:  # noqa: ANN401 (any event of the fold)
        """Fold one event."""
        return _taken(self._run, self._replay, event)

    def compare(self, event: object, commands: tuple[Any, ...], now: tuple[Any, ...]) -> None:
        """Note the first exit of each trade that is not the same."""
        del event
        then_by = {one.trade_id: one for one in _wishes(commands)}
        now_by = {one.trade_id: one for one in _wishes(now)}
        for trade_id, intent in then_by.items():
            if trade_id not in now_by:
                one = Otherwise(
                    kind=NOT_MADE, host=self._run.host, intent=intent, gate="no stop fires"
                )
                self._found.setdefault(trade_id, one)
        for trade_id, intent in now_by.items():
            if trade_id not in then_by:
                one = Otherwise(
                    kind=ALSO_MADE, host=self._run.host, intent=intent, detail=intent.reason
                )
                self._found.setdefault(trade_id, one)

    def results(self) -> list[Otherwise]:
        """Return what is not the same."""
        return list(self._found.values())


def _taken(run: Run, other: Replay, event: object) -> tuple[Any, ...]:
    """Fold an event, knowing nothing where the first fold knows nothing."""
    if run.replay.state is None and other.state is not None:
        other.lose(0, "as the first fold")
    try:
        return other.take(event)
    except InvalidValue:
        return ()


def _wishes(commands: tuple[Any, ...]) -> list[Intent]:
    return [one for one in made_of(commands) if isinstance(one, Intent)]


def _by_key(commands: tuple[Any, ...]) -> dict[Key, Intent]:
    return {
        (one.market_ticker, one.side): one
        for one in _wishes(commands)
        if one.purpose is Purpose.ENTRY
    }


def _size(intent: Intent) -> str:
    return f"{intent.qty_e2 / 100:g} at {intent.limit_price_e4 / 100:g} cents in truth"
