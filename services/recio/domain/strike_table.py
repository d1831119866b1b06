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


class Ladder:
    """The markets of one event that have a strike, ascending, with what does not change in a tick."""

    __slots__ = ("_fees", "_markets", "_strikes", "unknown_strikes")

    def __init__(self, markets: tuple[MarketInfo, ...]) -> None:
        known = [
            (strike, market)
            for market in markets
            if (strike := market.strike_usd_e6) is not None and strike > 0
        ]
        known.sort(key=lambda item: (item[0], item[1].ticker))
        self._strikes = [strike for strike, _ in known]
        self._markets = [market for _, market in known]
        self._fees = [_fees_of(market) for market in self._markets]
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
        rows = []
        for place in self.near(centre):
            market = self._markets[place]
            told = max(known_at_us.get(market.ticker, 0), all_known_at_us)
            quote = quotes.get(market.ticker)
            rows.append(_row(view, market, quote, self._fees[place], told))
        return tuple(rows)


def why_not_tradable(market: MarketInfo, quote: MarketQuote | None) -> str:
    """Return the first thing that stands against trading a market, or nothing."""
    if market.status != ACTIVE:
        return f"market_{market.status}"
    if market.strike_type not in ABOVE:
        return "strike_type"
    if not fees.is_known(market.fee_type):
        return "fee_unknown"
    return _why_no_book(quote)


def _why_no_book(quote: MarketQuote | None) -> str:
    if quote is None:
        return "no_book"
    if not quote.is_valid:
        return "book_invalid"
    return "book_crossed" if _is_crossed(quote) else ""


class _Top:
    """A quote with its empty sides and its faults sorted out."""

    __slots__ = ("ask", "bid", "is_valid", "no_fee", "yes_fee")

    def __init__(self, quote: MarketQuote | None, fee_table: tuple[int, ...] | None) -> None:
        bid, ask = (quote.yes_bid_e4, quote.yes_ask_e4) if quote is not None else (None, None)
        self.is_valid = quote is not None and quote.is_valid and not _is_crossed(quote)
        self.bid = bid if bid is not None and 0 < bid < PRICE_ONE_E4 else None
        self.ask = ask if ask is not None and 0 < ask < PRICE_ONE_E4 else None
        self.yes_fee = fee_table[self.ask] if fee_table and self.ask else None
        self.no_fee = fee_table[self.bid] if fee_table and self.bid else None

    def edges(self, p_yes_e6: int) -> tuple[int | None, int | None]:
        """Return the edges of buying YES and of buying NO."""
        yes = no = None
        if self.ask is not None and self.yes_fee is not None:
            yes = p_yes_e6 // 100 - self.ask - self.yes_fee
        if self.bid is not None and self.no_fee is not None:
            no = (P_ONE_E6 - p_yes_e6) // 100 - (PRICE_ONE_E4 - self.bid) - self.no_fee
        return yes, no


class _View(NamedTuple):
    """What all rows of one table share."""

    odds: Odds
    model: Model
    price_usd_e6: int | None
    centre_usd_e6: int


def _row(
    view: _View,
    market: MarketInfo,
    quote: MarketQuote | None,
    fee_table: tuple[int, ...] | None,
    told_at_us: int,
) -> StrikeRow:
    strike, odds, price = market.strike_usd_e6 or 0, view.odds, view.price_usd_e6
    is_above = market.strike_type in ABOVE
    by_moves = odds.fingerprints_e6(strike) if is_above else None
    by_spread = odds.volatility_e6(strike) if is_above else None
    reason = why_not_tradable(market, quote)
    top = _Top(quote, fee_table)
    blend = odds.blend_e6(by_spread, top.bid, top.ask) if top.is_valid else None
    p_yes = choose(view.model, by_moves, by_spread, blend)
    yes_edge = no_edge = None
    if p_yes is None:
        reason = reason or why_no_probability(odds, view.model)
    elif not reason:
        yes_edge, no_edge = top.edges(p_yes)
    known = quote or _NO_QUOTE
    return StrikeRow(
        ticker=market.ticker,
        strike_usd_e6=strike,
        buffer_usd_e6=0 if price is None else abs(price - strike),
        side="yes" if strike < view.centre_usd_e6 else "no",
        p_yes_e6=p_yes,
        yes_bid_e4=top.bid,
        yes_ask_e4=top.ask,
        yes_bid_qty_e2=0 if top.bid is None else known.yes_bid_qty_e2,
        yes_ask_qty_e2=0 if top.ask is None else known.yes_ask_qty_e2,
        yes_edge_e4=yes_edge,
        no_edge_e4=no_edge,
        volume_e2=known.volume_e2,
        seq=known.seq,
        book_at_us=told_at_us if top.is_valid else known.at_us,
        is_valid=top.is_valid,
        reason=reason,
        p_fingerprints_e6=by_moves,
        p_volatility_e6=by_spread,
        yes_fee_e4=top.yes_fee,
        no_fee_e4=top.no_fee,
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


def _is_crossed(quote: MarketQuote) -> bool:
    bid, ask = quote.yes_bid_e4, quote.yes_ask_e4
    return bid is not None and ask is not None and bid >= ask


def _fees_of(market: MarketInfo) -> tuple[int, ...] | None:
    return _fee_table(market.fee_multiplier_e6) if fees.is_known(market.fee_type) else None


@lru_cache(maxsize=8)
def _fee_table(multiplier_e6: int) -> tuple[int, ...]:
    """Return the fee of one contract at every price: a NO contract pays as much as its YES twin."""
    return tuple(
        fees.fee_per_contract_e4(price, multiplier_e6) for price in range(PRICE_ONE_E4 + 1)
    )


_NO_QUOTE: Final = MarketQuote("", None, 0, None, 0, None, 0, 0, is_valid=False)
