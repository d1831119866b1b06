"""Numbers and times of other people's files, as exact integers, or refused with a reason.

A time stamp's unit follows from its number of digits (ten: seconds, thirteen: milliseconds, sixteen:
microseconds, nineteen: nanoseconds; the four cannot be mistaken for each other between 2001 and
2286), must fit what the column's name says, and must be the same all the way down a file. A written
time needs a zone, unless the caller says that it is UTC. Whether contract prices are dollars or cents
is decided once a file, from the column's name or from values that leave no doubt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Final

from recio.domain.errors import InvalidValue
from recio.domain.units import PRICE_ONE_E4, parse_time_us
from recio.research.history.refusals import Refused

UNITS: Final = {10: "s", 13: "ms", 16: "us", 19: "ns"}
_PER_UNIT: Final = {"s": (1_000_000, 1), "ms": (1000, 1), "us": (1, 1), "ns": (1, 1000)}
EARLIEST_US: Final = 1_230_768_000_000_000
"""2009-01-01: there was no such coin before."""
MOST_USD_E6: Final = 10**14
"""A hundred million dollars: no coin of ours has such a price."""
MOST_VOLUME_E8: Final = 9 * 10**18
MOST_QTY_E2: Final = 10**13
_ZEROS: Final = tuple("0" * n for n in range(13))
_NUMBER: Final = re.compile(r"[+-]?(\d{1,30}(\.\d{0,60})?|\.\d{1,60})([eE][+-]?\d{1,3})?", re.ASCII)
_EXPONENTS: Final = range(-24, 24)


def scaled(text: str, places: int) -> int:
    """Return a decimal number in units of ``10**-places``, rounded half to even below that.

    Raises:
        Refused: not a number: empty, NaN, infinite, or words.
    """
    whole, _, fraction = text.partition(".")
    if len(fraction) <= places and whole.isdigit() and len(whole) < 16 and text.isascii():  # noqa: PLR2004
        if not fraction:
            return int(whole + _ZEROS[places])
        if fraction.isdigit():
            return int(whole + fraction.ljust(places, "0"))
    return _slowly(text, places)


def _slowly(text: str, places: int) -> int:
    stripped = text.strip()
    # Decimal itself takes 1_000, NaN, and the digits of every script.
    if _NUMBER.fullmatch(stripped) is None:
        raise Refused("not a number", text or "(empty)")
    number = Decimal(stripped)
    # Asked before it is written out: an exponent of a billion would be a billion digits.
    if number and number.adjusted() not in _EXPONENTS:
        raise Refused("not a number", text)
    try:
        return int(number.scaleb(places).to_integral_value())
    except InvalidOperation:
        raise Refused("not a number", text) from None


def usd_e6(text: str) -> int:
    """Return a price above 0.

    Raises:
        Refused: not a number, not above 0, or beyond a hundred million dollars.
    """
    price = scaled(text, 6)
    if not 0 < price < MOST_USD_E6:
        raise Refused("price not between 0 and 100,000,000 dollars", text)
    return price


def volume_e8(text: str) -> int | None:
    """Return a volume; None where the file has none.

    Raises:
        Refused: not a number, or below 0.
    """
    if not text:
        return None
    volume = scaled(text, 8)
    if not 0 <= volume < MOST_VOLUME_E8:
        raise Refused("volume below 0 or absurd", text)
    return volume


def qty_e2(text: str) -> int:
    """Return a count of contracts, 0 or more.

    Raises:
        Refused: not a number, or below 0.
    """
    qty = scaled(text, 2)
    if not 0 <= qty < MOST_QTY_E2:
        raise Refused("count of contracts below 0 or absurd", text)
    return qty


class Times:
    """Times of one column; remembers the unit that the first one had.

    ``unit`` is what the column's name says ("" if nothing); ``latest_us`` is now: data of tomorrow
    is in another unit, or made up.
    """

    def __init__(self, unit: str, *, latest_us: int, is_utc: bool = False) -> None:
        self._unit = unit
        self._latest_us = latest_us
        self._is_utc = is_utc

    def __call__(self, text: str) -> int:
        """Return microseconds since 1970.

        Raises:
            Refused: not a time, in another unit than those before, without a zone, or of no age that
                has such data.
        """
        whole, _, fraction = text.partition(".")
        at_us = self._number(whole, fraction) if whole.isdigit() else self._written(text)
        if not EARLIEST_US <= at_us <= self._latest_us:
            raise Refused("time before 2009 or in the future", text)
        return at_us

    def _number(self, whole: str, fraction: str) -> int:
        unit = UNITS.get(len(whole)) if whole.isascii() else None
        if unit is None:
            raise Refused("time of unknown unit", whole)
        if unit != self._unit:
            if self._unit:
                raise Refused("time in another unit", f"{whole} is {unit}, expected {self._unit}")
            self._unit = unit
        times, per = _PER_UNIT[unit]
        at_us = int(whole) * times // per
        if fraction and unit == "s":
            at_us += scaled(f"0.{fraction}", 6)
        elif fraction.strip("0"):
            raise Refused("time of unknown unit", f"{whole}.{fraction}")
        return at_us

    def _written(self, text: str) -> int:
        stripped = text.strip()
        try:
            at_us = int(parse_time_us(stripped))
        except InvalidValue:
            at_us = self._zoneless(stripped)
        if self._unit not in {"", "written"}:
            raise Refused("time in another unit", text)
        self._unit = "written"
        return at_us

    def _zoneless(self, text: str) -> int:
        stripped = text.removesuffix(" UTC")
        try:
            at_us = parse_time_us(stripped + "+00:00")
        except InvalidValue:
            raise Refused("not a time", text or "(empty)") from None
        if not self._is_utc and stripped == text:
            raise Refused("time without a zone (say --utc if it is UTC)", text)
        return at_us


def time_unit(column: str) -> str:
    """Return the unit that a column's name says; "" if it says none."""
    last = column.rpartition("_")[2]
    return {"ms": "ms", "us": "us", "ns": "ns", "s": "s", "millis": "ms"}.get(last, "")


CENTS: Final = "cents"
DOLLARS: Final = "dollars"


def contract_unit(columns: Iterable[str], values: Iterable[str]) -> str:
    """Return whether contract prices are dollars or cents.

    Raises:
        InvalidValue: names do not say, and the values fit both.
    """
    for unit in (CENTS, DOLLARS):
        if any(unit in column for column in columns):
            return unit
    seen = {value.strip() for value in values} - {""}
    if any("." in value for value in seen):
        return DOLLARS
    if any(value.isdigit() and int(value[:9]) > 1 for value in seen):
        return CENTS
    raise InvalidValue(
        "cannot tell whether contract prices are dollars or cents: say --prices dollars or "
        "--prices cents"
    )


def price_e4(text: str, unit: str) -> int:
    """Return a contract's price, 0 to 1 dollar.

    Raises:
        Refused: not a number, or outside of that.
    """
    price = scaled(text, 4 if unit == DOLLARS else 2)
    if not 0 <= price <= PRICE_ONE_E4:
        raise Refused(f"contract price outside of 0 to 1 dollar (read as {unit})", text)
    return price
