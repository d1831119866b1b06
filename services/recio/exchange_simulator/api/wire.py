"""Numbers and times as the exchange writes them.

Dollars and counts are decimal strings: prices with four decimals, money with six, counts with two.
Times are RFC 3339 in UTC, Unix seconds or Unix milliseconds, by field.
"""

from __future__ import annotations

from recio.domain.units import format_time_us

_PRICES = tuple(f"{e4 // 10_000}.{e4 % 10_000:04d}" for e4 in range(10_001))


def price(price_e4: int) -> str:
    """Return a contract price.

    >>> price(5600), price(10_000)
    ('0.5600', '1.0000')
    """
    return _PRICES[price_e4]


def count(qty_e2: int) -> str:
    """Return a signed count of contracts.

    >>> count(1050), count(-5)
    ('10.50', '-0.05')
    """
    sign, digits = ("-", -qty_e2) if qty_e2 < 0 else ("", qty_e2)
    return f"{sign}{digits // 100}.{digits % 100:02d}"


def money(usd_e6: int) -> str:
    """Return signed dollars with six decimals.

    >>> money(-1_500_000)
    '-1.500000'
    """
    sign, digits = ("-", -usd_e6) if usd_e6 < 0 else ("", usd_e6)
    return f"{sign}{digits // 1_000_000}.{digits % 1_000_000:06d}"


def money8(usd_e8: int) -> str:
    """Return dollars with eight decimals."""
    return f"{usd_e8 // 10**8}.{usd_e8 % 10**8:08d}"


def cents(usd_e6: int) -> int:
    """Return whole cents, rounded down."""
    return usd_e6 // 10_000


def time(at_us: int) -> str:
    """Return RFC 3339."""
    return format_time_us(at_us)


def seconds(at_us: int) -> int:
    """Return Unix seconds."""
    return at_us // 1_000_000


def millis(at_us: int) -> int:
    """Return Unix milliseconds."""
    return at_us // 1_000
