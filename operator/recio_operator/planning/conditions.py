"""The nine conditions of an account, all of them from the first visit.

    Ready                 all that is necessary holds and every pod is ready
    CredentialsValid      the API key reads well and the exchange takes it
    DatabaseReady         PostgreSQL answers for the account
    ExchangeReachable     the account sync reads the exchange; the market plane follows its series
    TradingEnabled        entries are allowed
    Reconciled            children and document are as the resource says
    Progressing           something is under way or waits
    Overridden            a person changed settings on the page
    ReconciliationPaused  the operator keeps its hands off

What is not known is Unknown, never guessed. ``lastTransitionTime`` moves with the status only; and
with the beginning of a wait, because the rollout's deadline counts from there. Messages hold nothing
that ticks, or the status would be written for ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from recio.domain.account_config import Mode, Trading
from recio_operator.planning.observed import KeyState, Object
from recio_operator.planning.reasons import REASONS, WAITING
from recio_operator.planning.situation import Finding, Situation, is_rolled_out, no, unknown, yes
from recio_operator.planning.times import rfc3339

MESSAGE_CHARACTERS: Final = 4000
_STATUS: Final = {True: "True", False: "False", None: "Unknown"}
_TICKING: Final = re.compile(r"\b\d+(\.\d+)?( ?(ms|s|m|h|seconds|minutes)\b|m\d+s\b)")
_BACKING_OFF: Final = re.compile(r"^(ErrImagePull|[A-Z][A-Za-z]+BackOff)(?=:|$)")
"""Kubernetes says in these how long it waits, or changes between the two of an image."""
_STALE: Final = "last reconciled"
"""What the account sync's readiness says when it could not read the exchange for a while."""


def findings(situation: Situation) -> dict[str, Finding]:
    """Return the content of every condition."""
    made = {
        "CredentialsValid": _credentials(situation),
        "DatabaseReady": _database(situation),
        "ExchangeReachable": _exchange(situation),
        "TradingEnabled": _trading(situation),
        "Reconciled": _reconciled(situation),
        "Progressing": _progressing(situation),
        "Overridden": _overridden(situation),
        "ReconciliationPaused": _paused(situation),
    }
    return {"Ready": _ready(situation, made)} | made


def conditions(found: Mapping[str, Finding], live: Object, *, now_us: int) -> list[Object]:
    """Return the conditions of a status; ``live`` is the resource with its present ones."""
    before = by_type(live)
    generation = live["metadata"].get("generation", 0)
    return [
        {
            "type": kind,
            "status": _STATUS[finding.status],
            "observedGeneration": generation,
            "lastTransitionTime": _since(finding, before.get(kind), now_us),
            "reason": _known(finding.reason),
            "message": (finding.message or REASONS[finding.reason].meaning)[:MESSAGE_CHARACTERS],
        }
        for kind, finding in found.items()
    ]


def by_type(live: Object) -> dict[str, Any]:
    """Return the present conditions of a resource by their type."""
    status = live.get("status") or {}
    return {one["type"]: one for one in status.get("conditions") or []}


def _known(reason: str) -> str:
    assert reason in REASONS, f"expected a reason of the list in reasons.py, received {reason}"
    return reason


def _since(finding: Finding, before: Mapping[str, Any] | None, now_us: int) -> str:
    if before is None or before["status"] != _STATUS[finding.status]:
        return rfc3339(now_us)
    begins = finding.reason in WAITING and before["reason"] not in WAITING
    return rfc3339(now_us) if begins else str(before["lastTransitionTime"])


def _ready(situation: Situation, found: Mapping[str, Finding]) -> Finding:
    if situation.leaving is not None:
        return situation.leaving
    if situation.refusal is not None:
        return situation.refusal
    for kind in ("DatabaseReady", "Reconciled", "CredentialsValid"):
        if found[kind].status is not True:
            return _failing(found[kind])
    if situation.is_suspended:
        return no("Suspended", "spec.suspend is true")
    if not situation.is_all_ready:
        return _pods_not_ready(situation)
    exchange = found["ExchangeReachable"]
    return yes("Ready") if exchange.status else _failing(exchange)


def _failing(finding: Finding) -> Finding:
    return no(finding.reason, finding.message)


def _pods_not_ready(situation: Situation) -> Finding:
    why = [
        f"{name}: {calm(text)}" for name, text in sorted(situation.observed.pods.items()) if text
    ]
    message = "; ".join(why) or "the pods have not started yet"
    return no("PodsNotReady", message)


def calm(text: str) -> str:
    """Return why a pod is not ready without anything that ticks."""
    word = _BACKING_OFF.match(text)
    if word is None:
        return _TICKING.sub("a while", text)
    return "ImagePullBackOff" if word.group() == "ErrImagePull" else word.group()


def _credentials(situation: Situation) -> Finding:
    key = situation.observed.key
    if key is None:
        return unknown("KeyUnknown")
    if key.state is not KeyState.VALID:
        return no(key.state.value, key.detail)
    if situation.is_rotating:
        return unknown("Rotating", "the pods do not have the Secret's present key yet")
    return _tried_key(situation)


def _tried_key(situation: Situation) -> Finding:
    text = situation.sync_reason
    if text is not None and " 401" in text:
        return no("KeyRejected", calm(text))
    status = situation.observed.document.get("status") or {}
    was = by_type(situation.observed.document).get("CredentialsValid", {}).get("status")
    is_same = status.get("credentialsHash") == situation.short_key
    is_tried = text == "" and all(is_rolled_out(one) for one in situation.settled)
    if is_tried or (was == "True" and is_same):
        return yes("Verified")
    return unknown("NotVerified", "the account sync has not tried the key yet")


def _database(situation: Situation) -> Finding:
    observed = situation.observed
    if observed.books is not None:
        return yes("Connected")
    if observed.books_reason:
        return no("DatabaseUnreachable", _TICKING.sub("a while", observed.books_reason))
    return unknown("NotApplied", "the account's books are being opened")


def _exchange(situation: Situation) -> Finding:
    config, environment = situation.config, situation.environment
    if config is not None and environment is None:
        return no_environment(situation)
    if config is not None and environment is not None:
        missing = [one.value for one in config.series if one.value not in environment.series]
        if missing:
            return no(
                "SeriesNotWatched",
                f"environment {environment.name} does not follow {', '.join(missing)}",
            )
    return _synchronised(situation)


NO_MIRROR: Final = (
    "mode shadow trades imagined money on a mirror of production, and this chart installs none yet: "
    "run the same document on a machine of your own, `recio up --shadow --read-key DIRECTORY "
    "--account-file FILE`; no pods are made here"
)


_ARMED: Final = "armed; this release holds no shadow result of the strategy"
_UNARMED: Final = (
    "spec.arming must be the account's name in mode prod; this release holds no shadow result of the "
    "strategy: `recio up --shadow` runs the same document without money, `recio card` shows each day"
)


def no_environment(situation: Situation) -> Finding:
    """Return what is said of an account whose market plane the release does not run."""
    assert situation.config is not None
    mode, source = situation.config.mode, situation.config.paper.source
    if mode is Mode.SHADOW:
        return no("NoMirror", NO_MIRROR)
    wanted = f"{mode.value} with price source {source.value}" if mode is Mode.PAPER else mode.value
    has = ", ".join(one.name for one in situation.release.environments) or "none"
    return no(
        "EnvironmentNotEnabled",
        f"expected an environment of mode {wanted}; the release runs {has}. Enable one in the "
        "chart's values (environments) and upgrade",
    )


def _synchronised(situation: Situation) -> Finding:
    text = situation.sync_reason
    if text is None or situation.is_suspended:
        return unknown("NotRunning")
    if text == "":
        return yes("Synchronised")
    if situation.observed.books is None:
        return unknown("DatabaseUnreachable")
    if _STALE in text:
        return no("ExchangeUnreachable", calm(text))
    return unknown("NotSynchronised", calm(text))


def _trading(situation: Situation) -> Finding:
    books = situation.observed.books
    if situation.is_suspended:
        return no("Suspended", "spec.suspend is true")
    if books is None:
        return unknown(_database(situation).reason)
    state = books.trading
    if state is Trading.ACTIVE:
        return yes("Active", _ARMED if _is_prod(situation) else "")
    who = "; ".join(f"{row.source}: {row.reason}" for row in books.switches if row.state is state)
    if _is_prod(situation) and not _is_armed(situation) and state is Trading.REDUCE_ONLY:
        return no("NotArmed", _UNARMED)
    return no(state.value, who)


def _is_prod(situation: Situation) -> bool:
    return situation.config is not None and situation.config.mode is Mode.PROD


def _is_armed(situation: Situation) -> bool:
    return situation.config is not None and situation.config.arming is not None


def _reconciled(situation: Situation) -> Finding:
    if situation.refusal is not None:
        return situation.refusal
    if situation.observed.books is None and situation.observed.books_reason:
        return unknown("DatabaseUnreachable", "it is not known which document counts")
    if situation.held_fields:
        waits = f"until the account is flat: {'; '.join(situation.held_fields)}"
        return yes("ChangesWaiting", waits)
    if situation.waiting is not None:
        return yes("ChangesWaiting", situation.waiting.message)
    return yes("UpToDate")


def _progressing(situation: Situation) -> Finding:
    if situation.leaving is not None:
        return yes(situation.leaving.reason, situation.leaving.message)
    if situation.waiting is not None:
        return situation.waiting
    if situation.held_fields:
        return yes("ChangesWaiting", "; ".join(situation.held_fields))
    rolling = sorted(
        one.deployment["metadata"]["name"] for one in situation.settled if not is_rolled_out(one)
    )
    if rolling:
        return yes("RollingOut", ", ".join(rolling))
    return no("Complete")


def _overridden(situation: Situation) -> Finding:
    books = situation.observed.books
    if books is None:
        return unknown(_database(situation).reason)
    if books.has_overrides:
        return yes("SettingsOverridden", "settings were changed on the page")
    return no("AsDeclared")


def _paused(situation: Situation) -> Finding:
    if situation.is_paused:
        return yes("Paused", "annotated recio.io/paused: only the status is written")
    return no("NotPaused")
