"""The strike table: for each market near the price its side, probability, asks, fees and edges.

    edge of a side = its probability - its ask - the taker fee of its ask      (per contract, 1e-4 $)

An ask of 0 or 1 dollar is an empty side. A market whose book is not whole, is crossed, or that does
not trade keeps its probability (a person wants to see it) and has no edge; the row's reason is the
first thing that stands against trading it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from recio.domain import fees
from recio.domain.account_config import Model
from recio.domain.messages import MarketInfo, MarketQuote, StrikeRow
from recio.domain.probability import NO_BLEND, Odds, choose
from recio.domain.settlement import ABOVE
from recio.domain.units import P_ONE_E6, PRICE_ONE_E4

MAX_ROWS: Final = 21
ACTIVE: Final = "active"


class _Fixed(NamedTuple):
    """What of a market does not change in a tick; ``fault``: what of that stands against trading it."""

    ticker: str
    strike_usd_e6: int
    fault: str
    is_above: bool
    fee_table: tuple[int, ...] | None


class Ladder:
    """The markets of one event that have a strike, ascending, with what does not change in a tick."""

    __slots__ = ("_fixed", "_strikes", "unknown_strikes")

    def __init__(self, markets: tuple[MarketInfo, ...]) -> None:
        known = [
            _fixed(strike, market)
            for market in markets
            if (strike := market.strike_usd_e6) is not None and strike > 0
        ]
        known.sort(key=lambda fixed: (fixed.strike_usd_e6, fixed.ticker))
        self._fixed = known
        self._strikes = [fixed.strike_usd_e6 for fixed in known]
        self.unknown_strikes = len(markets) - len(known)

    def __len__(self) -> int:
        return len(self._strikes)

    def near(self, centre_usd_e6: int | None) -> range:
        """Return the places of at most 21 markets around a price; without one, of the middle ones."""
        count = len(self._strikes)
        middle = count // 2 if centre_usd_e6 is None else bisect_right(self._strikes, centre_usd_e6)
        first = max(0, min(middle - MAX_ROWS // 2, count - MAX_ROWS))
        return range(first, min(first + MAX_ROWS, count))

    def rows(
        self,
        odds: Odds,
        quotes: Mapping[str, MarketQuote],
        *,
        price_usd_e6: int | None,
        model: Model,
        known_at_us: Mapping[str, int],
        all_known_at_us: int,
    ) -> tuple[StrikeRow, ...]:
        """Return the rows around the expected settlement.

        Args:
            odds: probabilities of this event.
            quotes: tops of books by ticker.
            price_usd_e6: the index now; None: not known.
            model: whose probability makes the edges.
            known_at_us: when a book's top was last told by itself.
            all_known_at_us: when all tops were last told together.
        """
        centre = price_usd_e6 if odds.reason else odds.centre_usd_e6
        view = _View(odds, model, price_usd_e6, centre or 0)
        near = self.near(centre)
        rows = []
        for fixed in self._fixed[near.start : near.stop]:
            ticker = fixed.ticker
            told = known_at_us.get(ticker, 0)
            rows.append(_row(view, fixed, quotes.get(ticker), max(told, all_known_at_us)))
        return tuple(rows)


def why_not_tradable(market: MarketInfo, quote: MarketQuote | None) -> str:
    """Return the first thing that stands against trading a market, or nothing."""
    return _fault(market) or _why_no_book(quote)


def _fault(market: MarketInfo) -> str:
    if market.status != ACTIVE:
        return f"market_{market.status}"
    if market.strike_type not in ABOVE:
        return "strike_type"
    return "" if fees.is_known(market.fee_type) else "fee_unknown"


def _why_no_book(quote: MarketQuote | None) -> str:
    if quote is None or quote is _NO_QUOTE:
        return "no_book"
    if not quote.is_valid:
        return "book_invalid"
    bid, ask = quote.yes_bid_e4, quote.yes_ask_e4
    return "book_crossed" if bid is not None and ask is not None and bid >= ask else ""


class _View(NamedTuple):
    """What all rows of one table share."""

    odds: Odds
    model: Model
    price_usd_e6: int | None
    centre_usd_e6: int


def _row(view: _View, fixed: _Fixed, quote: MarketQuote | None, told_at_us: int) -> StrikeRow:
    """Return one row. It is made 21 times a picture: hence no helper objects on the way."""
    odds, model, price, centre = view
    ticker, strike, fault, is_above, fee_table = fixed
    quote = quote or _NO_QUOTE
    no_book = _why_no_book(quote)
    reason = fault or no_book
    bid, ask = quote.yes_bid_e4, quote.yes_ask_e4
    bid = bid if bid is not None and 0 < bid < PRICE_ONE_E4 else None
    ask = ask if ask is not None and 0 < ask < PRICE_ONE_E4 else None
    yes_fee = fee_table[ask] if fee_table and ask else None
    no_fee = fee_table[bid] if fee_table and bid else None
    by_moves, by_spread, blend = (
        odds.all_e6(strike, bid, ask, is_whole=not no_book) if is_above else _NONE
    )
    p_yes = choose(model, by_moves, by_spread, blend)
    yes_edge = no_edge = None
    if p_yes is None:
        reason = reason or why_no_probability(odds, model)
    elif not reason:
        yes_edge = None if ask is None or yes_fee is None else p_yes // 100 - ask - yes_fee
        if bid is not None and no_fee is not None:
            no_edge = (P_ONE_E6 - p_yes) // 100 - (PRICE_ONE_E4 - bid) - no_fee
    return StrikeRow(
        ticker=ticker,
        strike_usd_e6=strike,
        buffer_usd_e6=0 if price is None else abs(price - strike),
        side="yes" if strike < centre else "no",
        p_yes_e6=p_yes,
        yes_bid_e4=bid,
        yes_ask_e4=ask,
        yes_bid_qty_e2=0 if bid is None else quote.yes_bid_qty_e2,
        yes_ask_qty_e2=0 if ask is None else quote.yes_ask_qty_e2,
        yes_edge_e4=yes_edge,
        no_edge_e4=no_edge,
        volume_e2=quote.volume_e2,
        seq=quote.seq,
        book_at_us=quote.at_us if no_book else told_at_us,
        is_valid=not no_book,
        reason=reason,
        p_fingerprints_e6=by_moves,
        p_volatility_e6=by_spread,
        yes_fee_e4=yes_fee,
        no_fee_e4=no_fee,
        p_blend_e6=blend,
    )


def why_no_probability(odds: Odds, model: Model) -> str:
    """Return why the model knows no probability."""
    if odds.reason:
        return odds.reason
    if model is Model.VOLATILITY:
        return odds.volatility_reason
    if model is Model.FINGERPRINTS:
        return odds.fingerprints_reason
    return odds.volatility_reason or NO_BLEND


def _fixed(strike_usd_e6: int, market: MarketInfo) -> _Fixed:
    is_above = market.strike_type in ABOVE
    return _Fixed(market.ticker, strike_usd_e6, _fault(market), is_above, _fees_of(market))


def _fees_of(market: MarketInfo) -> tuple[int, ...] | None:
    return _fee_table(market.fee_multiplier_e6) if fees.is_known(market.fee_type) else None


@lru_cache(maxsize=8)
def _fee_table(multiplier_e6: int) -> tuple[int, ...]:
    """Return the fee of one contract at every price: a NO contract pays as much as its YES twin."""
    return tuple(
        fees.fee_per_contract_e4(price, multiplier_e6) for price in range(PRICE_ONE_E4 + 1)
    )


_NO_QUOTE: Final = MarketQuote("", None, 0, None, 0, None, 0, 0, is_valid=False)
_NONE: Final = (None, None, None)
