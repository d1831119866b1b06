"""A structural OpenAPI schema from a msgspec struct: types, bounds, defaults, rules, manual.

Defaults are written where the value says something; an empty list, map or text means the same as
its absence and is not stored. Patterns must be in the syntax that Python and RE2 share.

OpenAPI in CRDs: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/
custom-resource-definitions/#specifying-a-structural-schema (read November 2026).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import inspect

from recio.domain.risk_fields import Risk
from recio_operator.schema.rules import Rule, rule_of_keys, rules_of, rules_of_field
from recio_operator.schema.text import effect_of, manual, texts, with_choices

Schema = dict[str, Any]

_READ: Final = re.compile(r"self\.([A-Za-z]+)")
_WRITTEN_DOWN: Final = (Risk,)
"""Parts that get no default: whether a person wrote them is a rule's business."""


def struct_schema(part: type[msgspec.Struct], text: str, *, effect: str = "") -> Schema:
    """Return the schema of a struct.

    Args:
        part: the struct.
        text: what it is for.
        effect: when a change takes effect, for fields that do not say it themselves.
    """
    fields = msgspec.structs.fields(part)
    required = [field.encode_name for field in fields if field.required]
    rules = rules_of(part)
    return {
        "description": text,
        "type": "object",
        "properties": {field.encode_name: _field(part, field, effect) for field in fields},
        **({"required": sorted(required)} if required else {}),
        **validations(rules),
    }


def validations(rules: list[Rule]) -> Schema:
    """Return the part of a schema that holds CEL rules; empty without rules."""
    return {"x-kubernetes-validations": [rule.as_schema() for rule in rules]} if rules else {}


def _field(part: type[msgspec.Struct], field: msgspec.structs.FieldInfo, effect: str) -> Schema:
    text = texts(part)[field.name]
    schema = _any(
        inspect.type_info(field.type),
        manual(text, inherited=effect),
        effect_of(text, inherited=effect),
    )
    default = _default(field, schema)
    head = {key: schema.pop(key) for key in ("description", "type")}
    with_default = head | ({} if default is None else {"default": default}) | schema
    return with_default | validations(rules_of_field(part, field.name))


def _any(info: inspect.Type, text: str, effect: str) -> Schema:
    if isinstance(info, inspect.Metadata):
        return _any(info.type, text, effect) | (info.extra_json_schema or {})
    if isinstance(info, inspect.UnionType):
        kinds = [kind for kind in info.types if not isinstance(kind, inspect.NoneType)]
        return _any(kinds[0], text, effect)
    if isinstance(info, inspect.StructType):
        return struct_schema(info.cls, text, effect=effect)
    if isinstance(info, inspect.VarTupleType):
        return _list(info, text, effect)
    if isinstance(info, inspect.EnumType):
        values = [member.value for member in info.cls]
        return {"description": with_choices(text, info.cls), "type": "string", "enum": values}
    return {"description": text, **_SCALARS[type(info)](info)}


def _list(info: inspect.VarTupleType, text: str, effect: str) -> Schema:
    item = info.item_type
    is_set = isinstance(item, inspect.EnumType)
    items = _any(item, "", effect)
    if isinstance(item, inspect.EnumType):
        text = with_choices(text, item.cls)
        del items["description"]
    elif isinstance(item, inspect.StructType):
        items["description"] = " ".join((item.cls.__doc__ or "").split())
    return {
        "description": text,
        "type": "array",
        **_present(minItems=info.min_length, maxItems=info.max_length),
        "items": items,
        "x-kubernetes-list-type": "set" if is_set else "atomic",
    }


def _map(info: inspect.DictType) -> Schema:
    value = _SCALARS[type(info.value_type)](info.value_type)
    return {
        "type": "object",
        **_present(maxProperties=info.max_length),
        "additionalProperties": value,
        **validations([_rule_of_keys(info.key_type)]),
    }


def _rule_of_keys(key: inspect.Type) -> Rule:
    assert isinstance(key, inspect.StrType)
    assert key.max_length is not None
    return rule_of_keys(key.max_length, _pattern(key) or "")


def _integer(info: inspect.IntType) -> Schema:
    return {"type": "integer", "format": "int64", **_present(minimum=info.ge, maximum=info.le)}


def _string(info: inspect.StrType) -> Schema:
    bounds = _present(minLength=info.min_length, maxLength=info.max_length, pattern=_pattern(info))
    return {"type": "string", **bounds}


def _pattern(info: inspect.StrType) -> str | None:
    """Return the pattern as RE2 writes it."""
    return info.pattern and info.pattern.replace(r"\Z", "$")


def _present(**entries: object) -> Schema:
    return {key: value for key, value in entries.items() if value is not None}


_SCALARS: Final[dict[type, Callable[[Any], Schema]]] = {
    inspect.BoolType: lambda _: {"type": "boolean"},
    inspect.DateTimeType: lambda _: {"type": "string", "format": "date-time"},
    inspect.DictType: _map,
    inspect.IntType: _integer,
    inspect.StrType: _string,
}


def _default(field: msgspec.structs.FieldInfo, schema: Schema) -> object:
    """Return the default as it stands in the document; None: there is none to write."""
    value = field.default
    if value is msgspec.NODEFAULT or value in (None, "", ()) or isinstance(value, _WRITTEN_DOWN):
        return None
    if isinstance(value, msgspec.Struct):
        assert value == type(value)(), f"{field.name}: a part's default is that of its fields"
        return part_default(type(value), schema)
    return (
        list(map(msgspec.to_builtins, value))
        if isinstance(value, tuple)
        else msgspec.to_builtins(value)
    )


def part_default(part: type[msgspec.Struct], schema: Schema) -> Schema | None:
    """Return the default of a part, None if nothing in it has one.

    The API server fills in the fields' own defaults, but tries the part's rules on this value as it
    stands: so it holds the fields that the rules read, and no more.
    """
    defaults = {
        name: inner["default"] for name, inner in schema["properties"].items() if "default" in inner
    }
    read = {name for rule in rules_of(part) for name in _READ.findall(rule.rule)}
    return {name: defaults[name] for name in defaults if name in read} if defaults else None
