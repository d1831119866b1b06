"""What a person may set, with its bounds: automation and limits of one account.

The account's resource holds the values, a person's edits lie on top (``trading.account_settings``).
Strategy settings may move inside the bounds that the document itself has; limits may only become
tighter than the resource's. Names are the document's own camelCase names.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec

from recio.adapters.postgres.config import effective_config, newest_overrides
from recio.apps.main_app import reads
from recio.domain.account_config import Risk, Strategy, to_fields
from recio.ports import Transaction

EDITABLE: Final = ("autoEntry", "spikeAlert", "autoStop", "sizing")
"""Parts of the strategy that take effect at once; its name and model change in the resource."""


async def view(tx: Transaction, account: str) -> dict[str, Any]:
    """Return what counts now, the person's edits, and the bounds of every setting."""
    config = await effective_config(tx, account)
    newest = await reads.overrides(tx, account)
    return {
        "mode": config.mode.value,
        "series": [item.value for item in config.series],
        "model": config.strategy.model.value,
        "strategy_name": config.strategy.name.value,
        "strategy": {name: to_fields(config.strategy)[name] for name in EDITABLE},
        "risk": to_fields(config.risk),
        "overrides": await newest_overrides(tx, account),
        "author": newest["author"] if newest else None,
        "changed_at_us": newest["changed_at_us"] if newest else None,
        "bounds": bounds(),
    }


@cache
def bounds() -> dict[str, Any]:
    """Return ``path -> {min, max}`` (or ``{choices}``) for every editable setting."""
    found: dict[str, Any] = {}
    for name in EDITABLE:
        _collect(_field_type(Strategy, name), f"strategy.{name}", found)
    _collect(msgspec.inspect.type_info(Risk), "risk", found)
    return found


def _field_type(struct: type[msgspec.Struct], name: str) -> msgspec.inspect.Type:
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    return next(field.type for field in info.fields if field.encode_name == name)


def _collect(info: msgspec.inspect.Type, path: str, found: dict[str, Any]) -> None:
    match info:
        case msgspec.inspect.StructType():
            for field in info.fields:
                _collect(field.type, f"{path}.{field.encode_name}", found)
        case msgspec.inspect.IntType():
            found[path] = {"min": info.ge, "max": info.le}
        case msgspec.inspect.EnumType():
            found[path] = {"choices": [member.value for member in info.cls]}
        case msgspec.inspect.BoolType():
            found[path] = {"choices": [False, True]}
        case _:
            pass


def merge(held: dict[str, Any], edits: dict[str, Any]) -> dict[str, Any]:
    """Return the edits laid over earlier ones, part by part; ``None`` takes an edit back."""
    merged = dict(held)
    for key, value in edits.items():
        old = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = merge(old if isinstance(old, dict) else {}, value)
        else:
            merged[key] = value
    return merged
