"""Double-entry book-keeping of one account: exchange facts in, balanced postings out.

Books: ``cash`` (equals the exchange's balance), ``position`` (what is held, at cost), ``fees``,
``result`` (realised, without fees), ``capital`` (opening and transfers), ``suspense`` (not
explained yet). Debits are positive; every transaction sums to zero.

One signed YES quantity a market: + YES, - NO. A NO contract at q is a YES sold at 1 - q, so a
fill's cash is found from the YES price alone:

    opening YES at p   pays p          opening NO (selling YES at p)   pays 1 - p
    closing YES at p   receives p      closing NO (buying YES at p)    receives 1 - p

(the exchange nets a YES against a NO at $1: Kalshi, "Order direction", read 2026-11).
Cost leaves a position in proportion, rounded half to even at 1e-6 dollar; the rest stays, so that
the last contract takes the last micro-dollar with it.
"""

from __future__ import annotations

import msgspec

from recio.domain.errors import InvalidValue
from recio.domain.orders import BookSide
from recio.domain.units import PRICE_ONE_E4


class Posting(msgspec.Struct, frozen=True):
    """One line of a transaction."""

    book: str
    amount_usd_e6: int
    market_ticker: str = ""


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What is held of one market: signed quantity, its cost, and what it has earned."""

    qty_e2: int = 0
    cost_usd_e6: int = 0
    realised_usd_e6: int = 0
    fees_usd_e6: int = 0


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """A fact's effect: the holding after it, and its balanced postings."""

    holding: Holding
    postings: tuple[Posting, ...]

    @property
    def cash_usd_e6(self) -> int:
        """Change of cash."""
        return _total(self.postings, "cash")

    @property
    def result_usd_e6(self) -> int:
        """Realised result without fees; a gain is positive."""
        return -_total(self.postings, "result")

    @property
    def equity_usd_e6(self) -> int:
        """Change of cash plus positions at cost."""
        return self.cash_usd_e6 + _total(self.postings, "position")


def book_fill(
    held: Holding, ticker: str, *, side: BookSide, yes_price_e4: int, qty_e2: int, fee_usd_e6: int
) -> Booking:
    """Book one fill of ``qty_e2`` contracts at ``yes_price_e4``.

    >>> bought = book_fill(Holding(), "M", side=BookSide.BID, yes_price_e4=9600, qty_e2=1000,
    ...                    fee_usd_e6=26_900)
    >>> bought.holding.qty_e2, bought.holding.cost_usd_e6, bought.cash_usd_e6
    (1000, 9600000, -9626900)

    Raises:
        InvalidValue: a quantity that is not positive or a price outside 0 … 1.
    """
    if qty_e2 <= 0 or not 0 <= yes_price_e4 <= PRICE_ONE_E4:
        raise InvalidValue(f"{ticker}: not a fill: {qty_e2} hundredths at {yes_price_e4} e-4")
    sign = 1 if side is BookSide.BID else -1
    closing = min(qty_e2, abs(held.qty_e2)) if held.qty_e2 * sign < 0 else 0
    opening = qty_e2 - closing
    own_price_e4 = yes_price_e4 if sign > 0 else PRICE_ONE_E4 - yes_price_e4
    proceeds = closing * (PRICE_ONE_E4 - own_price_e4)
    released = _share(held.cost_usd_e6, closing, abs(held.qty_e2))
    added = opening * own_price_e4
    holding = Holding(
        qty_e2=held.qty_e2 + sign * qty_e2,
        cost_usd_e6=held.cost_usd_e6 - released + added,
        realised_usd_e6=held.realised_usd_e6 + proceeds - released,
        fees_usd_e6=held.fees_usd_e6 + fee_usd_e6,
    )
    return Booking(
        holding=holding,
        postings=_postings(
            ticker,
            cash=proceeds - added - fee_usd_e6,
            position=added - released,
            fees=fee_usd_e6,
            result=released - proceeds,
        ),
    )


def book_settlement(held: Holding, ticker: str, *, revenue_usd_e6: int, fee_usd_e6: int) -> Booking:
    """Book the exchange's payout of a market: the position ends, its cost becomes result.

    >>> book_settlement(Holding(qty_e2=1000, cost_usd_e6=9_600_000), "M",
    ...                 revenue_usd_e6=10_000_000, fee_usd_e6=0).result_usd_e6
    400000
    """
    holding = Holding(
        realised_usd_e6=held.realised_usd_e6 + revenue_usd_e6 - held.cost_usd_e6,
        fees_usd_e6=held.fees_usd_e6 + fee_usd_e6,
    )
    return Booking(
        holding=holding,
        postings=_postings(
            ticker,
            cash=revenue_usd_e6 - fee_usd_e6,
            position=-held.cost_usd_e6,
            fees=fee_usd_e6,
            result=held.cost_usd_e6 - revenue_usd_e6,
        ),
    )


def book_transfer(amount_usd_e6: int) -> tuple[Posting, ...]:
    """Book money that came in (positive) or went out: opening balance, deposit, withdrawal."""
    return _postings("", cash=amount_usd_e6, capital=-amount_usd_e6)


def book_correction(amount_usd_e6: int) -> tuple[Posting, ...]:
    """Book a difference of cash that nothing explains, when a person says so."""
    return _postings("", cash=amount_usd_e6, suspense=-amount_usd_e6)


def book_opening_position(ticker: str, cost_usd_e6: int) -> tuple[Posting, ...]:
    """Book a position that the account held before its first start, at the exchange's cost."""
    return _postings(ticker, position=cost_usd_e6, capital=-cost_usd_e6)


def _postings(ticker: str, **amounts_usd_e6: int) -> tuple[Posting, ...]:
    tagged = {"position", "result", "fees"}
    return tuple(
        Posting(book, amount, ticker if book in tagged else "")
        for book, amount in amounts_usd_e6.items()
        if amount
    )


def _share(total: int, part: int, whole: int) -> int:
    if not part:
        return 0
    quotient, rest = divmod(total * part, whole)
    return quotient + (2 * rest > whole or (2 * rest == whole and quotient % 2 == 1))


def _total(postings: tuple[Posting, ...], book: str) -> int:
    return sum(line.amount_usd_e6 for line in postings if line.book == book)
