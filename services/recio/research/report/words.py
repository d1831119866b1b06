"""How figures of a report read: signs, dollars, cents, shares, spans of time."""

from __future__ import annotations

from typing import Final

from recio.research.axes import MINUS, NOT_KNOWN
from recio.research.significance import Interval

_USD_E6: Final = 1e6
_HOUR: Final = 3600
_DAY: Final = 86_400
_MINUTE: Final = 60
_SECOND_US: Final = 1_000_000


def signed(value: float, decimals: int = 2, before: str = "", after: str = "") -> str:
    """Return a value with its sign in front of everything.

    >>> signed(1.5, before="$"), signed(0.0), signed(0.25, 1, after=" c")
    ('+$1.50', '0.00', '+0.2 c')
    """
    text = f"{abs(value):,.{decimals}f}"
    is_zero = not float(text.replace(",", ""))
    sign = "" if is_zero else "+" if value > 0 else MINUS
    return f"{sign}{before}{text}{after}"


def dollars(usd_e6: int | None) -> str:
    """Return money with its sign, to the cent.

    >>> dollars(1_234_560_000), dollars(0)
    ('+$1,234.56', '$0.00')
    """
    return NOT_KNOWN if usd_e6 is None else signed(usd_e6 / _USD_E6, before="$")


def amount(usd_e6: int) -> str:
    """Return money that has no direction.

    >>> amount(8_200_000)
    '$8.20'
    """
    return f"${usd_e6 / _USD_E6:,.2f}"


def cents(usd: float | None) -> str:
    """Return dollars as cents with their sign.

    >>> cents(0.0123)
    '+1.23 ¢'
    """
    return NOT_KNOWN if usd is None else signed(usd * 100, after=" ¢")


def cents_interval(interval: Interval | None) -> str:
    """Return the bounds of an interval of dollars."""
    if interval is None:
        return "too few events for an interval"
    return f"95 %: {cents(interval.low)} to {cents(interval.high)}"


def share(value: float | None, decimals: int = 1) -> str:
    """Return a share in percent.

    >>> share(0.908)
    '90.8 %'
    """
    return NOT_KNOWN if value is None else f"{value * 100:.{decimals}f} %"


def price(price_e4: int | None) -> str:
    """Return a price in cents, with what is below a cent.

    >>> price(9600), price(9655)
    ('96 ¢', '96.55 ¢')
    """
    return NOT_KNOWN if price_e4 is None else f"{price_e4 / 100:g} ¢"


def chance(p_e6: int | None) -> str:
    """Return a probability in percent.

    >>> chance(963_000)
    '96.3 %'
    """
    return NOT_KNOWN if p_e6 is None else f"{p_e6 / 10_000:.1f} %"


def contracts(qty_e2: int) -> str:
    """Return a quantity.

    >>> contracts(500), contracts(1_234_550)
    ('5', '12,345.5')
    """
    return f"{qty_e2 / 100:,.2f}".rstrip("0").rstrip(".")


def span(us: int) -> str:
    """Return a length of time in its two largest units.

    >>> span(90_000_000), span(7_200_000_000), span(200_000_000_000)
    ('1 min 30 s', '2 h 0 min', '2 d 7 h')
    """
    seconds = us // _SECOND_US
    if seconds >= _DAY:
        return f"{seconds // _DAY} d {seconds % _DAY // _HOUR} h"
    if seconds >= _HOUR:
        return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE} min"
    return f"{seconds // _MINUTE} min {seconds % _MINUTE} s"
