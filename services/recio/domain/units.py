"""Money, prices, quantities and times as exact integers; the only place that knows scales.

    price_e4   contract price, 1e-4 dollar      0 … 10_000 (0 and 10_000 are not tradable)
    qty_e2     contracts, 1e-2 contract         signed where a position is meant (+ YES, - NO)
    usd_e6     money and index values, 1e-6 $   signed
    p_e6       probability, 1e-6                0 … 1_000_000
    at_us      microseconds since 1970 UTC      what PostgreSQL's timestamptz stores and a browser's
                                                number holds exactly (docs/decisions/0002)

``price_e4 * qty_e2`` is exactly ``usd_e6``. Parsing refuses what does not fit and never rounds;
floats never hold money.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NewType

from recio.domain.errors import InvalidValue

PriceE4 = NewType("PriceE4", int)
QtyE2 = NewType("QtyE2", int)
UsdE6 = NewType("UsdE6", int)
ProbabilityE6 = NewType("ProbabilityE6", int)
TimeUs = NewType("TimeUs", int)

PRICE_ONE_E4: Final = 10_000
CONTRACT_E2: Final = 100
USD_E6: Final = 1_000_000
CENT_E6: Final = 10_000
P_ONE_E6: Final = 1_000_000
SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
HOUR_US: Final = 3600 * SECOND_US

_DECIMAL: Final = re.compile(r"(-?)(\d{1,15})(?:\.(\d{1,15}))?", re.ASCII)


def parse_scaled(text: str, places: int) -> int:
    """Return the decimal string ``text`` as an integer in units of ``10**-places``, exactly.

    >>> parse_scaled("0.5600", 4), parse_scaled("-1.5", 2), parse_scaled("80193.52", 6)
    (5600, -150, 80193520000)

    Raises:
        InvalidValue: not a plain decimal, or digits other than 0 below the last place.
    """
    match = _decimal(text)
    if match is None:
        raise InvalidValue(f"expected a decimal string such as '0.5600', received {text!r}")
    sign, whole, fraction = match.group(1), match.group(2), match.group(3) or ""
    kept, dropped = fraction[:places], fraction[places:]
    if dropped.strip("0"):
        raise InvalidValue(f"expected at most {places} decimal places, received {text!r}")
    value: int = int(whole) * 10**places + int(kept.ljust(places, "0") or "0")
    return -value if sign else value


def _decimal(text: object) -> re.Match[str] | None:
    # What is decoded from the wire may be no text at all, whatever the annotation says.
    return _DECIMAL.fullmatch(text) if isinstance(text, str) else None


def format_scaled(value: int, places: int, *, shown: int | None = None) -> str:
    """Return ``value`` in units of ``10**-places`` as a decimal string with ``shown`` places.

    >>> format_scaled(5600, 4), format_scaled(-150, 2), format_scaled(80193520000, 6, shown=2)
    ('0.5600', '-1.50', '80193.52')

    Raises:
        InvalidValue: ``shown`` places cannot hold the value exactly.
    """
    shown = places if shown is None else shown
    if shown < places:
        value, rest = (
            divmod(value, 10 ** (places - shown))
            if value >= 0
            else _divmod_down(value, places - shown)
        )
        if rest:
            raise InvalidValue(f"value needs more than {shown} decimal places")
    else:
        value *= 10 ** (shown - places)
    sign, digits = ("-", -value) if value < 0 else ("", value)
    whole, fraction = divmod(digits, 10**shown)
    return f"{sign}{whole}.{fraction:0{shown}d}" if shown else f"{sign}{whole}"


def _divmod_down(value: int, places: int) -> tuple[int, int]:
    whole, rest = divmod(-value, 10**places)
    return -whole, rest


def parse_price_e4(text: str) -> PriceE4:
    """Parse a contract price in dollars, 0 … 1.

    Raises:
        InvalidValue: outside 0 … 1 or finer than 1e-4 dollar.
    """
    price_e4 = parse_scaled(text, 4)
    if not 0 <= price_e4 <= PRICE_ONE_E4:
        raise InvalidValue(f"expected a contract price between 0 and 1 dollar, received {text!r}")
    return PriceE4(price_e4)


def parse_qty_e2(text: str) -> QtyE2:
    """Parse a signed count of contracts with at most two decimals."""
    return QtyE2(parse_scaled(text, 2))


def parse_usd_e6(text: str) -> UsdE6:
    """Parse dollars with at most six decimals."""
    return UsdE6(parse_scaled(text, 6))


def round_usd_e6(text: str) -> UsdE6:
    """Parse dollars of any precision, rounded half to even at 1e-6: for index values, never for money."""
    match = _decimal(text)
    if match is None:
        raise InvalidValue(f"expected a decimal string, received {text!r}")
    fraction = match.group(3) or ""
    scaled = int(match.group(2) + fraction.ljust(6, "0"))
    places = max(len(fraction) - 6, 0)
    quotient, rest = divmod(scaled, 10**places)
    half = 10**places
    if 2 * rest > half or (2 * rest == half and quotient % 2):
        quotient += 1
    return UsdE6(-quotient if match.group(1) else quotient)


def cost_usd_e6(price_e4: int, qty_e2: int) -> UsdE6:
    """Return price times quantity: exact, because 1e-4 times 1e-2 is 1e-6."""
    return UsdE6(price_e4 * qty_e2)


def parse_time_us(text: str) -> TimeUs:
    """Parse an RFC 3339 time with zone into microseconds since 1970 UTC; finer digits are cut off.

    Raises:
        InvalidValue: not a time, without a zone, or outside the years 1 to 9999.
    """
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise InvalidValue(f"expected an RFC 3339 time, received {text!r}") from error
    if moment.tzinfo is None:
        raise InvalidValue(f"expected a time with a zone, received {text!r}")
    try:
        return time_us(moment)
    except OverflowError as error:
        raise InvalidValue(f"expected a time of the years 1 to 9999, received {text!r}") from error


def time_us(moment: datetime) -> TimeUs:
    """Return an aware datetime as microseconds since 1970 UTC, exactly."""
    delta = moment.astimezone(UTC) - _EPOCH
    return TimeUs((delta.days * 86_400 + delta.seconds) * SECOND_US + delta.microseconds)


def as_datetime(at_us: int) -> datetime:
    """Return microseconds since 1970 as an aware UTC datetime, exactly."""
    seconds, micros = divmod(at_us, SECOND_US)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)


def format_time_us(at_us: int) -> str:
    """Return RFC 3339 in UTC with microseconds, ending in Z."""
    seconds, micros = divmod(at_us, SECOND_US)
    return f"{_format_second(seconds)}.{micros:06d}Z"


@lru_cache(maxsize=1024)
def _format_second(seconds: int) -> str:
    # Most times that are written lie in the same few seconds.
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
