"""The rules between fields as CEL, for the custom resource definitions.

Orders and immutable fields come from the domain's tables; the others repeat a check of
``recio.domain.account_rules``, and tests compare both on a real API server. Defaults are filled in
before rules run, so a field with a default is always there, also for a transition rule: it cannot
be dodged by leaving the field out.

CEL in CRDs: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/
custom-resource-definitions/#validation-rules (read November 2026).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, NamedTuple, get_args, get_origin

import msgspec

from recio.domain.account_config import FLEET_NAME
from recio.domain.account_fields import AccountSpec, Toleration
from recio.domain.account_rules import IMMUTABLE, ORDERED, Ordered, encoded_names
from recio.domain.field_types import AccountName
from recio.domain.strategy_fields import Strategy

INVALID: Final = "FieldValueInvalid"
REQUIRED: Final = "FieldValueRequired"
FORBIDDEN: Final = "FieldValueForbidden"


class Rule(NamedTuple):
    """One CEL rule.

    ``shown`` is CEL text for a message with values, ``message`` stands in for it. Values are bounded
    strings only: the API server counts string() of a number as without bound and refuses the CRD.
    """

    rule: str
    message: str
    shown: str = ""
    reason: str = INVALID
    field_path: str = ""

    def as_schema(self) -> dict[str, str]:
        """Return the rule as an entry of ``x-kubernetes-validations``."""
        entry = {
            "rule": self.rule,
            "message": self.message,
            "messageExpression": self.shown,
            "reason": self.reason,
            "fieldPath": self.field_path,
        }
        return {key: text for key, text in entry.items() if text}


def rules_of(part: type[msgspec.Struct]) -> list[Rule]:
    """Return the rules of one part of the document."""
    ordered = [_order(rule) for rule in ORDERED if issubclass(part, rule.part)]
    return [*ordered, *_OF_PART.get(part, ())]


def rules_of_field(part: type[msgspec.Struct], name: str) -> list[Rule]:
    """Return the rules of one field: whether it may ever change."""
    if (part, name) not in _immutable_fields():
        return []
    spelled = encoded_names(part)[name]
    is_text = issubclass(_type_of(part, name), str)
    return [
        Rule(
            "self == oldSelf",
            f"{spelled} is immutable: make another TradingAccount for another {spelled}",
            shown=f"'{spelled} is immutable, expected ' + oldSelf + ', received ' + self + "
            "': make another TradingAccount'"
            if is_text
            else "",
        )
    ]


def _type_of(part: type[msgspec.Struct], name: str) -> type:
    info = next(field.type for field in msgspec.structs.fields(part) if field.name == name)
    plain = get_args(info)[0] if get_origin(info) is Annotated else info
    assert isinstance(plain, type)
    return plain


def rule_of_keys(longest: int, pattern: str = "") -> Rule:
    """Return the bounds of a map's keys, which OpenAPI cannot say."""
    bounds = [f"size(key) <= {longest}", *([f"key.matches('{pattern}')"] if pattern else [])]
    like = f" that match {pattern}" if pattern else ""
    return Rule(
        f"self.all(key, {' && '.join(bounds)})",
        f"expected keys of at most {longest} characters{like}",
    )


def _order(rule: Ordered) -> Rule:
    names = encoded_names(rule.part)
    low, high = names[rule.low], names[rule.high]
    sign, bound = ("<", "less than") if rule.is_strict else ("<=", "at most")
    return Rule(
        f"self.{low} {sign} self.{high}",
        f"expected {low} to be {bound} {high}: lower {low} or raise {high}",
        field_path=f".{low}",
    )


def _immutable_fields() -> set[tuple[type[msgspec.Struct], str]]:
    found = set()
    for steps in IMMUTABLE:
        part: Any = AccountSpec
        for step in steps[:-1]:
            part = _type_of(part, step)
        found.add((part, steps[-1]))
    return found


_NAME: Final[Any] = msgspec.inspect.type_info(AccountName)
LONGEST_NAME: Final[int] = _NAME.max_length
_NAME_PATTERN: Final[str] = _NAME.pattern.replace(r"\Z", "$")

ACCOUNT_ROOT: Final = (
    Rule(
        f"size(self.metadata.name) <= {LONGEST_NAME}",
        f"expected metadata.name to have at most {LONGEST_NAME} characters: choose a shorter name",
        field_path=".metadata",
    ),
    Rule(
        f"self.metadata.name.matches('{_NAME_PATTERN}')",
        "expected metadata.name to have only a-z, 0-9 and - (not first, not last): choose a name "
        "such as main",
        field_path=".metadata",
    ),
    Rule(
        "self.spec.mode != 'prod' || !has(self.spec.arming) || "
        "self.spec.arming == self.metadata.name",
        "expected spec.arming to be the account's own name; remove it to leave the account "
        "ReduceOnly",
        shown="'expected spec.arming to be ' + self.metadata.name + ' (the account\\'s own name), "
        "received ' + self.spec.arming + '; remove it to leave the account ReduceOnly'",
        field_path=".spec.arming",
    ),
)

FLEET_ROOT: Final = (
    Rule(
        f"self.metadata.name == '{FLEET_NAME}'",
        f"expected metadata.name to be {FLEET_NAME}: there is one fleet; edit that one",
        field_path=".metadata",
    ),
)

_SPEC: Final = (
    Rule(
        "self.mode != 'paper' || !has(self.credentialsSecretRef)",
        "mode paper takes no credentials: remove credentialsSecretRef, or choose another mode",
        reason=FORBIDDEN,
        field_path=".credentialsSecretRef",
    ),
    Rule(
        "self.mode == 'paper' || has(self.credentialsSecretRef)",
        "credentialsSecretRef is required in modes shadow, demo and prod: name the Secret with the "
        "keys key-id and private-key",
        shown="'credentialsSecretRef is required in mode ' + self.mode + ': name the Secret with "
        "the keys key-id and private-key'",
        reason=REQUIRED,
        field_path=".credentialsSecretRef",
    ),
    Rule(
        "self.mode != 'prod' || has(self.risk)",
        "risk is required in mode prod: write your limits down",
        reason=REQUIRED,
        field_path=".risk",
    ),
)

_STRATEGY: Final = (
    Rule(
        "self.name != 'Custom' || has(self.custom)",
        "custom is required with name Custom: say which class of which ConfigMap",
        reason=REQUIRED,
        field_path=".custom",
    ),
    Rule(
        "self.name == 'Custom' || !has(self.custom)",
        "custom goes with name Custom: remove custom, or set name to Custom",
        reason=FORBIDDEN,
        field_path=".custom",
    ),
)

_TOLERATION: Final = (
    Rule(
        "self.operator == 'Exists' || has(self.key)",
        "expected operator Exists, because there is no key: name a key, or tolerate every taint "
        "with operator Exists",
        field_path=".operator",
    ),
    Rule(
        "self.operator != 'Exists' || !has(self.value) || self.value == ''",
        "operator Exists takes no value: remove value, or use operator Equal",
        field_path=".value",
    ),
    Rule(
        "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        "tolerationSeconds goes with effect NoExecute: set effect, or remove tolerationSeconds",
        field_path=".effect",
    ),
)

_OF_PART: Final[dict[type, tuple[Rule, ...]]] = {
    AccountSpec: _SPEC,
    Strategy: _STRATEGY,
    Toleration: _TOLERATION,
}
