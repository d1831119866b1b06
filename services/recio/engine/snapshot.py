"""The fold that makes snapshots: prices and books in, one immutable picture of each event out.

``step(state, event)`` takes a message of the bus or a ``Tick`` and returns the snapshots that follow
from it: one for each live event whose price or book changed, at most ten a second of market time for
an event whose window is open and one a second for the others. A new index value does not wait for its
turn: it takes the next one at once, so that only what follows it waits longer. ``next_due_us`` says when a change that
was held back is due; a ``Tick`` then brings it out, and at least once a second also a picture of an
unchanged event, so that growing ages are seen.

Time is the events' own: the state's clock is the latest ``seen_us`` it was given. The state is
changed in place (a copy of half an hour of seconds for each tick would cost more than the rest); two
folds over the same events give the same snapshots, byte for byte.

Refused and counted in ``state.refused``: messages of another environment, prices that are not
positive or come from the future, books of events that are not known, closes that do not fit the
ticker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import sqrt
from types import MappingProxyType
from typing import Final

import msgspec

from recio.domain import momentum, probability, tickers
from recio.domain.account_config import Model
from recio.domain.errors import InvalidValue
from recio.domain.fingerprints import Fingerprints
from recio.domain.messages import (
    BookUpdate,
    EventMarkets,
    ExchangeStatus,
    MarketQuote,
    Momentum,
    PriceHistory,
    PriceUpdate,
    Snapshot,
    StrikeRow,
)
from recio.domain.probability import Odds
from recio.domain.settlement import NO_MEAN, Outlook, RunningMean, outlook
from recio.domain.strike_table import Ladder
from recio.domain.units import MINUTE_US, SECOND_US
from recio.domain.volatility import Volatility
from recio.domain.volatility_model import Spread, VolatilityModel

OPEN_INTERVAL_US: Final = SECOND_US // 10
EARLY_US: Final = 20 * MINUTE_US
"""An event that closes later than this is early."""
QUIET_INTERVAL_US: Final = SECOND_US
DULL_INTERVAL_US: Final = MINUTE_US
PRICE_MAX_AGE_US: Final = 15 * SECOND_US
"""The longest age that an account may allow (crd: risk.maxPriceAgeMilliseconds)."""
FUTURE_MAX_US: Final = 5 * SECOND_US
WORTH_US: Final = 60 * MINUTE_US
"""So much older minutes make the volatility begin anew; fewer change it too little."""
KEEP_CLOSED_US: Final = 5 * MINUTE_US
MAX_EVENTS: Final = 32
_E9: Final = 1_000_000_000
_DULL: Final = Outlook(0, 0.0, "not_looked_at")
_NO_MODELS: Final[Mapping[str, VolatilityModel]] = MappingProxyType({})


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """Time has come to ``at_us``; nothing else happened."""

    at_us: int


Event = PriceUpdate | PriceHistory | EventMarkets | BookUpdate | ExchangeStatus | Tick


class SymbolState:
    """What is known of one symbol's price."""

    __slots__ = ("mean", "momentum", "prices", "update", "volatility")

    def __init__(self, model: VolatilityModel | None = None) -> None:
        self.prices = momentum.PriceSeries()
        self.volatility = None if model is None else Volatility(model)
        self.momentum: Momentum = momentum.NOTHING
        self.mean: RunningMean = NO_MEAN
        self.update: PriceUpdate | None = None


class EventState:
    """What is known of one live event."""

    __slots__ = (
        "all_at_us",
        "at_us",
        "is_changed",
        "is_price_new",
        "ladder",
        "markets",
        "quotes",
        "shown_us",
        "turn_us",
    )

    def __init__(self, markets: EventMarkets) -> None:
        self.markets = markets
        self.ladder = Ladder(markets.markets)
        self.quotes: dict[str, MarketQuote] = {}
        self.at_us: dict[str, int] = {}
        self.all_at_us = 0
        self.shown_us = 0
        self.turn_us = 0
        self.is_changed = True
        self.is_price_new = False

    def due_us(self, state: State) -> int:
        """Return when the next picture of this event may be made, if there is reason to."""
        now_us, open_interval_us = state.now_us, state.open_interval_us
        if self.markets.event_ticker in state.dull:
            return self.shown_us + (QUIET_INTERVAL_US if self.is_changed else DULL_INTERVAL_US)
        if state.early_interval_us and now_us < self.markets.close_us - EARLY_US:
            return self.shown_us + state.early_interval_us
        is_open = self.markets.open_us <= now_us < self.markets.close_us
        if not (self.is_changed and is_open):
            return self.shown_us + QUIET_INTERVAL_US
        return self.turn_us + (0 if self.is_price_new else open_interval_us)

    def shown(self, now_us: int, open_interval_us: int) -> None:
        """Note that a picture is made now; one that came early has taken the next one's turn."""
        self.shown_us = now_us
        self.turn_us = max(now_us, self.turn_us + open_interval_us)
        self.is_changed = self.is_price_new = False


class State:
    """The fold's state. ``model`` makes ``p_yes_e6`` and the edges; every model's value is shown."""

    __slots__ = (
        "blends",
        "dull",
        "early_interval_us",
        "environment",
        "events",
        "fingerprints",
        "generation",
        "model",
        "now_us",
        "open_interval_us",
        "refused",
        "status",
        "symbols",
        "volatility",
    )

    def __init__(
        self,
        environment: str,
        *,
        fingerprints: dict[str, Fingerprints],
        volatility: Mapping[str, VolatilityModel] = _NO_MODELS,
        model: Model = Model.FINGERPRINTS,
        generation: int = 0,
        open_interval_us: int = OPEN_INTERVAL_US,
        early_interval_us: int = 0,
        blends: bool = True,
    ) -> None:
        """Start without any knowledge.

        Args:
            environment: whose messages are taken.
            fingerprints: artefact by symbol; a symbol without one has no such probability.
            volatility: the other model's artefacts, in the same way.
            model: the environment's own choice.
            generation: of the last snapshot made before; the next one is one higher.
            open_interval_us: least time between two pictures of an event whose window is open.
            early_interval_us: the same for an event that is early; 0: it is like any other.
            blends: whether the blend is made too; without a reader of it that is time for nothing.
        """
        self.environment = environment
        self.fingerprints = fingerprints
        self.volatility = volatility
        self.model = model
        self.generation = generation
        self.open_interval_us = open_interval_us
        self.early_interval_us = early_interval_us
        self.blends = blends
        self.dull: set[str] = set()
        """Events that nobody can act on now, as only a backtest knows: one picture a second will do,
        without strikes."""
        self.now_us = 0
        self.symbols: dict[str, SymbolState] = {}
        self.events: dict[str, EventState] = {}
        self.status: ExchangeStatus | None = None
        self.refused: Counter[str] = Counter()


def step(state: State, event: Event) -> tuple[State, tuple[Snapshot, ...]]:
    """Fold one event into the state and return the snapshots that follow from it."""
    if isinstance(event, Tick):
        state.now_us = max(state.now_us, event.at_us)
    elif event.environment != state.environment:
        state.refused["environment"] += 1
        return state, ()
    else:
        state.now_us = max(state.now_us, event.seen_us)
        _learn(state, event)
    return state, _due_snapshots(state)


def next_due_us(state: State) -> int | None:
    """Return when the next held-back change is due; None: nothing is held back."""
    waits = [live.due_us(state) for live in state.events.values() if live.is_changed]
    return min(waits, default=None)


def _learn(
    state: State, event: PriceUpdate | PriceHistory | EventMarkets | BookUpdate | ExchangeStatus
) -> None:
    if isinstance(event, PriceUpdate):
        _learn_price(state, event)
    elif isinstance(event, BookUpdate):
        _learn_books(state, event)
    elif isinstance(event, EventMarkets):
        _learn_markets(state, event)
    elif isinstance(event, PriceHistory):
        _learn_history(state, event)
    else:
        _learn_status(state, event)


def _learn_price(state: State, update: PriceUpdate) -> None:
    symbol = _symbol(state, update.symbol)
    price, at_us = update.index_usd_e6, update.index_at_us
    old = symbol.update
    if price is not None and at_us is not None:
        if not _is_price(state, price, at_us):
            return
        if at_us < (symbol.prices.newest_at_us or 0):
            state.refused["price_older_than_known"] += 1
            return
        symbol.prices.add(at_us, price)
        if symbol.volatility is not None:
            symbol.volatility.add(at_us, price)
        symbol.momentum = momentum.measure(symbol.prices, at_us, price)
    symbol.update = update
    symbol.mean = RunningMean(
        update.window_average_usd_e6, update.window_count, update.window_close_us
    )
    is_index_new = price is not None and (old is None or old.index_at_us != at_us)
    if old is None or _differs(old, update):
        for live in state.events.values():
            if live.markets.symbol == update.symbol:
                live.is_changed = True
                live.is_price_new = live.is_price_new or is_index_new


def _is_price(state: State, price_usd_e6: int, at_us: int) -> bool:
    if price_usd_e6 <= 0:
        state.refused["price_not_positive"] += 1
        return False
    if at_us > state.now_us + FUTURE_MAX_US:
        state.refused["price_from_the_future"] += 1
        return False
    return True


def _differs(old: PriceUpdate, new: PriceUpdate) -> bool:
    return (
        old.index_at_us != new.index_at_us
        or old.index_usd_e6 != new.index_usd_e6
        or old.spot_usd_e6 != new.spot_usd_e6
        or old.window_count != new.window_count
    )


def _learn_history(state: State, history: PriceHistory) -> None:
    symbol = _symbol(state, history.symbol)
    minutes = tuple(minute for minute in history.minutes if minute[1] > 0)
    state.refused["price_not_positive"] += len(history.minutes) - len(minutes)
    symbol.prices.add_history(minutes)
    model = state.volatility.get(history.symbol)
    if model is not None and _says_more(symbol.volatility, minutes):
        symbol.volatility = Volatility(model)
        for at_us, price in sorted((dict(minutes) | dict(symbol.prices)).items()):
            symbol.volatility.add(at_us, price)


def _says_more(known: Volatility | None, minutes: tuple[tuple[int, int], ...]) -> bool:
    """Whether minutes reach so far beyond what the volatility saw that it is worth beginning anew."""
    if known is None or known.since_us is None or not known.is_known:
        return True
    return bool(minutes) and min(minutes)[0] < known.since_us - WORTH_US


def _symbol(state: State, name: str) -> SymbolState:
    found = state.symbols.get(name)
    if found is None:
        found = state.symbols[name] = SymbolState(state.volatility.get(name))
    return found


def _learn_markets(state: State, markets: EventMarkets) -> None:
    try:
        named = tickers.parse_event(markets.event_ticker, markets.close_us)
    except InvalidValue:
        state.refused["event_ticker"] += 1
        return
    if named.close_us != markets.close_us or markets.open_us >= markets.close_us:
        state.refused["event_close"] += 1
        return
    live = state.events.get(markets.event_ticker)
    if live is None:
        if markets.close_us + KEEP_CLOSED_US <= state.now_us or len(state.events) >= MAX_EVENTS:
            state.refused["event_over"] += 1
            return
        state.events[markets.event_ticker] = EventState(markets)
        return
    if live.markets.markets != markets.markets:
        live.ladder = Ladder(markets.markets)
        live.is_changed = True
    live.markets = markets


def _learn_books(state: State, update: BookUpdate) -> None:
    live = state.events.get(update.event_ticker)
    if live is None:
        state.refused["book_of_unknown_event"] += 1
        return
    if update.is_full:
        quotes = {quote.ticker: quote for quote in update.quotes}
        live.is_changed = live.is_changed or quotes != live.quotes
        live.quotes = quotes
        live.at_us.clear()
        live.all_at_us = update.at_us
        return
    for quote in update.quotes:
        live.quotes[quote.ticker] = quote
        live.at_us[quote.ticker] = update.at_us
    live.is_changed = True


def _learn_status(state: State, status: ExchangeStatus) -> None:
    old, state.status = state.status, status
    if old is None or _trading(old) != _trading(status):
        for live in state.events.values():
            live.is_changed = True


def _trading(status: ExchangeStatus | None) -> bool | None:
    """Return whether the exchange trades; None while we are not connected or were not told."""
    if status is None or not status.is_connected:
        return None
    if status.is_exchange_active is False:
        return False
    return status.is_trading_active


def _due_snapshots(state: State) -> tuple[Snapshot, ...]:
    made = []
    for ticker, live in tuple(state.events.items()):
        if state.now_us >= live.markets.close_us + KEEP_CLOSED_US:
            del state.events[ticker]
        elif state.now_us >= live.due_us(state):
            made.append(_picture(state, live))
    return tuple(made)


def _picture(state: State, live: EventState) -> Snapshot:
    markets = live.markets
    symbol = state.symbols.get(markets.symbol) or SymbolState()
    update = symbol.update
    price = update.index_usd_e6 if update is not None else None
    is_dull = markets.event_ticker in state.dull
    view = _DULL if is_dull else _outlook(state, symbol, markets.close_us)
    spread = _spread(state, symbol, view, markets.close_us)
    odds = probability.odds(
        view,
        fingerprints=state.fingerprints.get(markets.symbol),
        bucket=symbol.momentum.bucket,
        spread=spread,
    )
    rows = () if is_dull else _rows(state, live, odds, price)
    state.generation += 1
    live.shown(state.now_us, state.open_interval_us)
    in_window = symbol.mean.close_us == markets.close_us
    return Snapshot(
        environment=state.environment,
        symbol=markets.symbol,
        series_ticker=markets.series_ticker,
        event_ticker=markets.event_ticker,
        title=markets.title,
        generation=state.generation,
        open_us=markets.open_us,
        close_us=markets.close_us,
        at_us=state.now_us,
        seen_us=state.now_us,
        price_usd_e6=price,
        price_at_us=update.index_at_us if update is not None else None,
        spot_usd_e6=update.spot_usd_e6 if update is not None else None,
        basis_usd_e6=update.basis_usd_e6 if update is not None else None,
        momentum=symbol.momentum,
        model=state.model.value,
        model_version=_version(state, symbol, markets.symbol),
        is_trading_active=_trading(state.status),
        rows=rows,
        reason=_reason(state, live, odds),
        window_average_usd_e6=symbol.mean.average_usd_e6 if in_window else None,
        window_count=symbol.mean.samples if in_window else 0,
        volatility_e9=None if spread is None else round(sqrt(spread.variance / view.seconds) * _E9),
    )


def _version(state: State, symbol: SymbolState, name: str) -> str:
    used = "" if symbol.volatility is None else symbol.volatility.name
    return probability.version(state.model, state.fingerprints.get(name), used)


def _rows(
    state: State, live: EventState, odds: Odds, price_usd_e6: int | None
) -> tuple[StrikeRow, ...]:
    return live.ladder.rows(
        odds,
        live.quotes,
        price_usd_e6=price_usd_e6,
        model=state.model,
        known_at_us=live.at_us,
        all_known_at_us=live.all_at_us,
    )


def _spread(state: State, symbol: SymbolState, view: Outlook, close_us: int) -> Spread | None:
    update = symbol.update
    if symbol.volatility is None or update is None or update.index_at_us is None or view.reason:
        return None
    found = symbol.volatility.spread(update.index_at_us, close_us, view.seconds)
    return found if found is None or state.blends else found._replace(weight=None)


def _outlook(state: State, symbol: SymbolState, close_us: int) -> Outlook:
    update = symbol.update
    if state.now_us >= close_us:
        return Outlook(0, 0.0, "closed")
    if update is None or update.index_usd_e6 is None or update.index_at_us is None:
        return Outlook(0, 0.0, "no_index")
    if state.now_us - update.index_at_us > PRICE_MAX_AGE_US:
        return Outlook(0, 0.0, "price_stale")
    return outlook(update.index_usd_e6, update.index_at_us, close_us, symbol.mean)


def _reason(state: State, live: EventState, odds: Odds) -> str:
    if odds.reason:
        return odds.reason
    if live.ladder.unknown_strikes and len(live.ladder) == 0:
        return "strike_unknown"
    return "" if _trading(state.status) else "exchange_paused_or_unknown"
