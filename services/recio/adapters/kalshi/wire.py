"""Bodies of the exchange to values of ours and back: the primitives that the wire modules share.

Prices and money arrive as decimal strings (``*_dollars``), counts as decimal strings (``*_fp``),
times as RFC 3339, seconds or milliseconds. Unknown fields are ignored, known ones are converted
exactly or refused with ``InvalidValue``; nothing is rounded and nothing is guessed. What is accepted
can be stored: integers of 64 bits, names that are not empty, no NUL in a text.
Source: Kalshi API documentation, "Fixed-Point Migration" and OpenAPI (read 2026-11).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

import msgspec

from recio.domain import units
from recio.domain.errors import InvalidValue
from recio.domain.orders import BookSide

T = TypeVar("T")

CENT_USD_E6: Final = 10_000
MAX_QTY_E2: Final = 10**13
"""A hundred billion contracts: beyond it a count is absurd, and products stay within 64 bits."""

MAX_MULTIPLIER_E6: Final = 1000 * 1_000_000
MAX_USD_E6: Final = 10**18
"""A trillion dollars: nobody has it, and sums stay within 64 bits."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
"""What something is known by: an id, a ticker."""
Label = Annotated[str, msgspec.Meta(max_length=256)]
"""The same where "" may stand for none."""
Small = Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)]
"""A number of things: a shard, a subaccount, tokens; -1 is how "none" may be written."""

_MAX_DIGITS: Final = 24
_EXPONENTS: Final = range(-20, 12)
_LATEST_US: Final = 4_102_444_800_000_000  # 2100-01-01: a later time is in another unit.


_NUL: Final = b"\\u0000"
_decoders: Final[dict[object, tuple[msgspec.json.Decoder[Any], bool]]] = {}


def _decoder(kind: object) -> tuple[msgspec.json.Decoder[Any], bool]:
    """Return the decoder of a kind, and whether that has texts of its own (a page has only rows)."""
    known = _decoders.get(kind)
    if known is None:
        known = _decoders[kind] = msgspec.json.Decoder(kind), not _is_page(kind)
    return known


def _is_page(kind: object) -> bool:
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return False
    fields = msgspec.structs.fields(kind)
    return all("Raw" in str(field.type) or field.name == "cursor" for field in fields)


def decode(body: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Decode JSON into a struct.

    Raises:
        InvalidValue: not JSON, a known field is missing or of another type, or a text has a NUL
            (which no table could hold).
    """
    decoder, has_texts = _decoder(kind)
    if has_texts and _NUL in bytes(body):
        raise InvalidValue(f"expected texts without NUL in {kind.__name__}")
    try:
        value: T = decoder.decode(body)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(
            f"expected JSON of {kind.__name__}, received otherwise: {error}"
        ) from error
    return value


def price_e4(text: str) -> int:
    """Parse a price at which one can trade: above 0 and below 1 dollar."""
    price = units.parse_price_e4(text)
    if not 0 < price < units.PRICE_ONE_E4:
        raise InvalidValue(f"expected a price between 0 and 1 dollar, exclusive, received {text!r}")
    return price


def quote_e4(text: str | None) -> int | None:
    """Parse a quoted price; 0 and 1 dollar are how the exchange writes an empty side."""
    if not text:
        return None
    price = units.parse_price_e4(text)
    return price if 0 < price < units.PRICE_ONE_E4 else None


def qty_e2(text: str) -> int:
    """Parse a count that cannot be negative."""
    qty = signed_qty_e2(text)
    if qty < 0:
        raise InvalidValue(f"expected a count of 0 or more, received {text!r}")
    return qty


def signed_qty_e2(text: str) -> int:
    """Parse a count or position of a believable size."""
    qty = units.parse_qty_e2(text)
    if not -MAX_QTY_E2 < qty < MAX_QTY_E2:
        raise InvalidValue(f"expected a believable count, received {text!r}")
    return qty


def optional_qty_e2(text: str | None) -> int | None:
    """Parse a count that may be absent."""
    return qty_e2(text) if text else None


def usd_e6(text: str) -> int:
    """Parse dollars, signed, of a believable size."""
    return _believable_usd(units.parse_usd_e6(text))


def _believable_usd(value_usd_e6: int) -> int:
    if not -MAX_USD_E6 <= value_usd_e6 <= MAX_USD_E6:
        raise InvalidValue(f"expected a believable sum of money, received {value_usd_e6}e-6 dollar")
    return value_usd_e6


def optional_usd_e6(text: str | None) -> int | None:
    """Parse dollars that may be absent."""
    return usd_e6(text) if text else None


def cents_usd_e6(cents: int) -> int:
    """Return whole cents as 1e-6 dollars."""
    return _believable_usd(cents * CENT_USD_E6)


def payout_usd_e6(value_usd_e6: int | None) -> int | None:
    """Return what one contract paid at settlement: nothing, a dollar, or between."""
    if value_usd_e6 is not None and not 0 <= value_usd_e6 <= units.USD_E6:
        raise InvalidValue(f"expected a payout of 0 to 1 dollar, received {value_usd_e6}e-6 dollar")
    return value_usd_e6


def number_e6(number: Decimal | None) -> int | None:
    """Return a JSON number in units of 1e-6, exactly.

    Raises:
        InvalidValue: not finite, absurdly large, or finer than 1e-6.
    """
    if number is None:
        return None
    # Asked before anything is computed: a huge exponent overflows, too many digits are rounded.
    is_moderate = number.is_finite() and number.adjusted() in _EXPONENTS
    if not is_moderate or len(number.as_tuple().digits) > _MAX_DIGITS:
        raise InvalidValue(f"expected a number, received {number!s:.60}")
    scaled = number * 1_000_000
    if scaled != scaled.to_integral_value():
        raise InvalidValue(f"expected at most six decimal places, received {number!s:.60}")
    return int(scaled)


def multiplier_e6(number: Decimal | None) -> int | None:
    """Return a factor of the fee formula; it cannot be negative."""
    scaled = number_e6(number)
    if scaled is not None and not 0 <= scaled <= MAX_MULTIPLIER_E6:
        raise InvalidValue(f"expected a fee multiplier of 0 to 1000, received {number}")
    return scaled


def index_usd_e6(text: str | None) -> int | None:
    """Return an index value written as text; None if it is absent or no number (a word, a range)."""
    if not text:
        return None
    try:
        return _believable_usd(units.round_usd_e6(text.replace(",", "").removeprefix("$")))
    except InvalidValue:
        return None


def time_us(text: str) -> int:
    """Parse an RFC 3339 time of our age."""
    at_us = units.parse_time_us(text)
    if not 0 < at_us < _LATEST_US:
        raise InvalidValue(f"expected a time between 1970 and 2100, received {text!r}")
    return at_us


def optional_time_us(text: str | None) -> int | None:
    """Parse a time that may be absent; year 1 is how the exchange's servers write "never"."""
    return None if not text or text.startswith("0001-") else time_us(text)


def seconds_us(seconds: int | None) -> int | None:
    """Return Unix seconds as microseconds."""
    return None if seconds is None else _believable(seconds * 1_000_000)


def millis_us(millis: int | None) -> int | None:
    """Return Unix milliseconds as microseconds."""
    return None if millis is None else _believable(millis * 1000)


def _believable(at_us: int) -> int:
    if not 0 <= at_us < _LATEST_US:
        raise InvalidValue(f"expected a time between 1970 and 2100, received {at_us} us since 1970")
    return at_us


def book_side(
    side: str | None, outcome: str | None, legacy_side: str | None, action: str | None
) -> BookSide:
    """Return the direction on the YES book from whatever fields tell it.

    ``book_side`` is authoritative; ``outcome_side`` yes means bid and no means ask; the deprecated
    pair says it as (buy|sell, yes|no). Source: Kalshi documentation, "Order Direction".

    Raises:
        InvalidValue: no field tells the direction.
    """
    if side in {"bid", "ask"}:
        return BookSide(side)
    if outcome in {"yes", "no"}:
        return BookSide.BID if outcome == "yes" else BookSide.ASK
    if legacy_side in {"yes", "no"} and action in {"buy", "sell"}:
        return BookSide.BID if (legacy_side == "yes") == (action == "buy") else BookSide.ASK
    raise InvalidValue(
        f"expected book_side bid or ask, received {side!r} "
        f"(outcome_side {outcome!r}, side {legacy_side!r}, action {action!r})"
    )


def dollars(price: int) -> str:
    """Return a price in 1e-4 dollar as the exchange takes it.

    >>> dollars(5600), dollars(55)
    ('0.5600', '0.0055')
    """
    return f"{price // 10_000}.{price % 10_000:04d}"


def count(qty: int) -> str:
    """Return a count in 1e-2 contract as the exchange takes it.

    >>> count(150), count(5)
    ('1.50', '0.05')
    """
    return f"{qty // 100}.{qty % 100:02d}"


class _ErrorBody(msgspec.Struct):
    error: Any = None
    code: Any = None
    message: Any = None
    details: Any = None
    msg: Any = None


def error_parts(body: bytes) -> tuple[str, str, str]:
    """Return (code, message, details) of an error body in any of the shapes the exchange uses.

    An object under ``error``; a plain string under ``error``; flat ``code``, ``message``,
    ``details``; flat ``msg``. A body that is none of them is the message.
    """
    try:
        said = decode(body, _ErrorBody)
    except InvalidValue:
        return "", body[:200].decode("utf-8", "replace").replace("\0", "").strip(), ""
    if isinstance(said.error, dict):
        return (
            _text(said.error.get("code")).lower(),
            _text(said.error.get("message")),
            _text(said.error.get("details")),
        )
    message = _text(said.message) or _text(said.msg) or _text(said.error)
    return _text(said.code).lower(), message, _text(said.details)


def _text(value: object) -> str:
    return "" if value is None else str(value)[:500]
