"""``status`` of an account, and the Events that tell its changes.

Nothing in it ticks; what is not known is left out. ``effectiveGeneration`` follows the resource's
generation only when nothing of the document is held back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from recio.domain.account_config import Trading
from recio_operator.planning.conditions import by_type, conditions
from recio_operator.planning.observed import Books, Object, SwitchSource
from recio_operator.planning.plan import Note
from recio_operator.planning.reasons import REASONS
from recio_operator.planning.situation import Finding, Situation, no
from recio_operator.planning.times import rfc3339

_SOURCES_SHOWN: Final = 8
_REASON_CHARACTERS: Final = 1024
_SOURCE_CHARACTERS: Final = 128


def status_of(situation: Situation, found: Mapping[str, Finding]) -> Object:
    """Return the whole status."""
    observed = situation.observed
    live = observed.document.get("status") or {}
    generation = observed.document["metadata"].get("generation", 0)
    books = observed.books
    made = {
        "observedGeneration": generation,
        "effectiveGeneration": generation
        if situation.is_in_place
        else live.get("effectiveGeneration"),
        "trading": _trading(books) if books is not None else None,
        "workloads": f"{situation.ready}/{situation.expected}",
        "flat": books.is_at_rest if books is not None else None,
        "image": _image(situation),
        "operatorVersion": situation.release.version,
        "credentialsHash": _credentials_hash(situation, live.get("credentialsHash")),
        "conditions": conditions(found, observed.document, now_us=observed.now_us),
    }
    return {key: value for key, value in made.items() if value is not None}


def _image(situation: Situation) -> str | None:
    return situation.settled[0].image if situation.settled else None


def _credentials_hash(situation: Situation, live: str | None) -> str | None:
    """The key that the pods have: the old one until the rotation is through."""
    is_given = situation.has_good_key and not situation.is_rotating and situation.expected
    return situation.short_key if is_given else live


def _trading(books: Books) -> Object:
    order = list(Trading)
    rows = [row for row in books.switches if row.state is not Trading.ACTIVE]
    rows.sort(key=lambda row: (-order.index(row.state), row.source))
    shown = [_source(row) for row in rows[:_SOURCES_SHOWN]]
    return {"effective": books.trading.value} | ({"sources": shown} if shown else {})


def _source(row: SwitchSource) -> Object:
    return {
        "source": row.source[:_SOURCE_CHARACTERS],
        "state": row.state.value,
        "reason": row.reason[:_REASON_CHARACTERS],
        "since": rfc3339(row.since_us),
    }


def notes(live: Object, found: Mapping[str, Finding]) -> tuple[Note, ...]:
    """Return an Event for each condition whose reason is another one than before.

    Ready repeats another condition's reason while it is not True, and is then passed over.
    """
    before = by_type(live)
    return once(
        _note(finding) for kind, finding in found.items() if _is_news(kind, finding, before)
    )


def once(made: Iterable[Note]) -> tuple[Note, ...]:
    """Return the notes without a second one of the same reason."""
    return tuple({note.reason: note for note in made}.values())


def _is_news(kind: str, finding: Finding, before: Mapping[str, Object]) -> bool:
    reason = REASONS[finding.reason]
    old = before.get(kind)
    if not reason.is_told or (old is not None and old["reason"] == finding.reason):
        return False
    # At the first visit good news would be nine Events of nothing.
    return reason.is_warning or old is not None


def _note(finding: Finding) -> Note:
    reason = REASONS[finding.reason]
    kind = "Warning" if reason.is_warning else "Normal"
    return Note(kind=kind, reason=finding.reason, message=finding.message or reason.meaning)


def with_failure(status: Object | None, document: Object, message: str, *, now_us: int) -> Object:
    """Return a status that says that carrying out the plan failed.

    Args:
        status: what the plan wanted to say; None: what stands there already.
        document: the resource with its live status.
        message: what the API server or the database said.
        now_us: the time of the look.
    """
    made = status or document.get("status") or {}
    failed = no("ApplyRefused", message)
    said = {
        one["type"]: one
        for one in conditions({"Ready": failed, "Reconciled": failed}, document, now_us=now_us)
    }
    kept = [said.get(one["type"], one) for one in made.get("conditions", [])]
    live = document.get("status") or {}
    effective = live.get("effectiveGeneration")
    rest = {key: value for key, value in made.items() if key != "effectiveGeneration"}
    return (
        rest
        | ({} if effective is None else {"effectiveGeneration": effective})
        | {"conditions": kept or list(said.values())}
    )


def failure_notes(document: Object, message: str) -> tuple[Note, ...]:
    """Return the Event of a failure that the live status does not tell yet."""
    present = by_type(document).get("Reconciled", {}).get("reason")
    return () if present == "ApplyRefused" else (_note(no("ApplyRefused", message)),)
