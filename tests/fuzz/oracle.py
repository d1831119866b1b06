"""What an accepted value may be, told by its type and the names of its fields, not by its decoder.

The unit in a name is a promise; here it is held to. Whatever leaves a decoder can be stored
(whole numbers of 64 bits, texts without NUL and lone surrogates) and is no float where it is money.
"""

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from recio.domain.messages import PriceRange

LATEST_US = 4_102_444_800_000_000
INT64 = 2**63
LONGEST_TEXT = 100_000
LONGEST_ID = 256
Check = Callable[[Any, str], None]


class Wrong(AssertionError):
    """A value was accepted that should not be."""


def wrong(path: str, expected: str, value: object) -> Wrong:
    """Return the complaint."""
    return Wrong(f"{path}: expected {expected}, accepted {str(value)[:120]!r}")


def between(low: int, high: int) -> Check:
    """Return a check of whole numbers."""

    def check(value: Any, path: str) -> None:
        if type(value) is not int or not low <= value <= high:
            raise wrong(path, f"a whole number from {low} to {high}", value)

    return check


def identifier(value: Any, path: str) -> None:
    """Check a name that something is known by."""
    if isinstance(value, UUID) or value is None:
        return
    if type(value) is not str or not 0 < len(value) <= LONGEST_ID:
        raise wrong(path, "a name of 1 to 256 characters", value)
    anything(value, path)


price = between(0, 10_000)
count = between(0, 10**13)
signed_count = between(-(10**13), 10**13)
money = between(-(10**18), 10**18)
time = between(0, LATEST_US)
chance = between(0, 1_000_000)
BY_NAME: dict[str, Check] = {
    "qty_e2:ExchangePosition": signed_count,
    "post_position_e2": signed_count,
    "sid": between(-INT64, INT64 - 1),
    "window_count": between(0, 60),
    "weekday": between(0, 6),
    "payout_usd_e6": between(0, 1_000_000),
    "settlement_value_usd_e6": money,
    "revenue_usd_e6": between(0, 10**18),
    "fee_multiplier_e6": between(0, 10**9),
    "fee_multiplier_override_e6": between(0, 10**9),
    "exchange_index": between(-1, 2**31 - 1),
    "missed": between(0, 2**53),
}
SIGNED_E4 = ("edge", "slippage", "fee")
_ID = re.compile(r"(^|_)(id|ticker|account|symbol)$")
MAY_BE_EMPTY = {"client_order_id", "series_ticker", "event_ticker:ExchangeSettlement"}
MAY_BE_FLOAT: set[str] = set()


def check_of(name: str, kind: str) -> Check:
    """Return what a field of this name must be."""
    named = BY_NAME.get(f"{name}:{kind}") or BY_NAME.get(name)
    if named is not None:
        return named
    is_named = bool(_ID.search(name)) and not {name, f"{name}:{kind}"} & MAY_BE_EMPTY
    units: tuple[tuple[bool, Check], ...] = (
        (
            name.endswith("_e4") and any(word in name for word in SIGNED_E4),
            between(-(10**7), 10**7),
        ),
        (name.endswith("_e4"), price),
        (name.endswith("_e2"), count),
        (name.endswith("usd_e6"), money),
        (name.startswith("p_") and name.endswith("_e6"), chance),
        (name.endswith("_us") and "age" not in name and "interval" not in name, time),
        (is_named, identifier),
    )
    return next((check for applies, check in units if applies), anything)


_checks: dict[type, Check] = {}


def anything(value: Any, path: str = "value") -> None:
    """Check whatever was accepted.

    Raises:
        Wrong: it, or something in it, should not have been.
    """
    check = _checks.get(type(value))
    if check is None:
        check = _checks[type(value)] = _check_for(type(value))
    check(value, path)


def _check_for(kind: type) -> Check:
    if issubclass(kind, msgspec.Struct):
        return _struct(kind)
    if hasattr(kind, "model_fields"):
        return lambda value, path: _named(dict(value), path, kind.__name__)
    for known, check in _PLAIN:
        if issubclass(kind, known):
            return check
    return _object


def _struct(kind: type[msgspec.Struct]) -> Check:
    fields = [(name, check_of(name, kind.__name__)) for name in kind.__struct_fields__]
    special = SPECIAL.get(kind)

    def check(value: Any, path: str) -> None:
        for name, each in fields:
            found = getattr(value, name)
            if found is not None:
                each(found, name)
        if special is not None:
            special(value, path)

    return check


def _named(fields: dict[str, Any], path: str, kind: str) -> None:
    for name, found in fields.items():
        if found is not None:
            check_of(name, kind)(found, f"{path}.{name}")


def _object(value: Any, path: str) -> None:
    slots = getattr(value, "__slots__", ())
    fields = getattr(value, "__dict__", None) or {each: getattr(value, each) for each in slots}
    if not fields:
        raise wrong(path, "a type that this oracle knows", type(value))
    _named(fields, path, type(value).__name__)


NUL = {"is_refused": True}
"""Whether a text with NUL is wrong; the database refuses it in any case (SQLSTATE 22021)."""


def without_storing(value: Any) -> None:
    """Check a value that goes to a table only as bytes, or past the database's own refusal."""
    NUL["is_refused"] = False
    try:
        anything(value)
    finally:
        NUL["is_refused"] = True


def _text(value: str, path: str) -> None:
    if len(value) > LONGEST_TEXT:
        raise wrong(path, f"a text of at most {LONGEST_TEXT} characters", len(value))
    if not value.isascii() or "\0" in value:
        if "\0" in value and NUL["is_refused"]:
            raise wrong(path, "a text without NUL", value)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise wrong(path, "a text without lone surrogates", value) from None


def _whole(value: int, path: str) -> None:
    if not -INT64 <= value < INT64:
        raise wrong(path, "a whole number of 64 bits", value)


def _float(value: float, path: str) -> None:
    if path.rpartition(".")[2] not in MAY_BE_FLOAT:
        raise wrong(path, "no float", value)


def _items(value: Any, path: str) -> None:
    for each in value:
        anything(each, path)


def _mapping(value: dict[Any, Any], path: str) -> None:
    for key, each in value.items():
        anything(key, path)
        anything(each, str(key))


def _nothing(_value: Any, _path: str) -> None:
    """Any member of these types is one that may be."""


_PLAIN: tuple[tuple[Any, Check], ...] = (
    ((bool, type(None), Enum, UUID, bytes, datetime), _nothing),
    (str, _text),
    (int, _whole),
    (float, _float),
    (Decimal, _float),
    ((list, tuple, set, frozenset), _items),
    (dict, _mapping),
)


def _range(value: PriceRange, path: str) -> None:
    if value.step_e4 <= 0 or value.start_e4 > value.end_e4:
        raise wrong(path, "a range of prices with a step", value)


SPECIAL: dict[type, Check] = {PriceRange: _range}
"""Checks of a type as a whole."""


def same(first: object, second: object) -> bool:
    """Tell whether two results are the same value (a float that is no number is no surprise)."""
    return first == second or repr(first) == repr(second)
