"""The document that counts now: what the resource says, less what must wait until the account is flat.

A strategy that owns open positions is not taken away from them, and a series is not removed while
something of it may be open. Everything else of the document (switches, limits, settings) counts at
once. Topology, image and pods are no matter of the document but of ``rollout``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from recio.domain.account_config import (
    ACCOUNT_KIND,
    API_VERSION,
    AccountConfig,
    parse_account,
    refuse_immutable_changes,
    resource_trading,
    to_document,
)
from recio.domain.errors import InvalidValue
from recio_operator.planning.observed import Books, Object, Observed

MESSAGE_CHARACTERS: Final = 2000
RESOURCE: Final = "resource"
"""The switch source that is the resource's own."""


@dataclass(frozen=True, slots=True)
class Effective:
    """``config`` counts now; ``held`` names the fields in which it is not the resource's."""

    config: AccountConfig
    held: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """A document that was read: ``config``, or what is wrong with it.

    ``applied`` is what services work by, None if there is nothing or another version wrote it.
    """

    config: AccountConfig | None
    applied: AccountConfig | None = None
    reason: str = ""
    problems: str = ""


def read(observed: Observed) -> Reading:
    """Return the resource's document as a configuration, or all its problems; it never raises."""
    name = str(observed.document["metadata"]["name"])
    applied = applied_config(name, observed.books)
    try:
        config = parse_account(observed.document)
    except InvalidValue as error:
        return Reading(None, applied, "SpecInvalid", _bounded(str(error)))
    if applied is not None:
        try:
            refuse_immutable_changes(applied, config)
        except InvalidValue as error:
            return Reading(None, applied, "SpecImmutable", _bounded(str(error)))
    return Reading(config, applied)


def _bounded(text: str) -> str:
    if len(text) <= MESSAGE_CHARACTERS:
        return text
    return f"{text[: MESSAGE_CHARACTERS - 1]}…"


def applied_config(name: str, books: Books | None) -> AccountConfig | None:
    """Return what services work by; None if there is nothing, or another version wrote it."""
    if books is None or books.applied_spec is None:
        return None
    head = {"apiVersion": API_VERSION, "kind": ACCOUNT_KIND, "metadata": {"name": name}}
    try:
        return parse_account(head | {"spec": books.applied_spec})
    except InvalidValue:
        return None


def effective(
    wanted: AccountConfig, applied: AccountConfig | None, books: Books | None
) -> Effective:
    """Return what counts now of a good document, after ``applied`` counted."""
    if applied is None or books is None or books.is_at_rest:
        return Effective(wanted)
    held = []
    before, after = applied.strategy, wanted.strategy
    if (before.name, before.custom) != (after.name, after.custom):
        held.append("spec.strategy.name and custom")
        after = msgspec.structs.replace(after, name=before.name, custom=before.custom)
    removed = tuple(series for series in applied.series if series not in wanted.series)
    if removed:
        held.append(f"spec.series without {', '.join(removed)}")
    series = wanted.series + removed
    return Effective(msgspec.structs.replace(wanted, strategy=after, series=series), tuple(held))


def document_to_write(
    counting: AccountConfig, applied: AccountConfig | None, books: Books | None
) -> Object | None:
    """Return the document for ``apply_account``, or None if services have it, switch included."""
    if books is not None and applied == counting and not is_switch_other(books, counting):
        return None
    return to_document(counting)


def is_switch_other(books: Books, config: AccountConfig) -> bool:
    """Return whether the resource's own switch row does not say what the document says."""
    return resource_switch(books) != resource_trading(config).value


def resource_switch(books: Books) -> str:
    """Return the position of the resource's own switch row."""
    held = [row.state.value for row in books.switches if row.source == RESOURCE]
    return held[0] if held else "Active"
