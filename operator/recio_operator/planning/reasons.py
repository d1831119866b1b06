"""Every reason that a condition or an Event of an account may give: what it means, how to mend it.

The one list: conditions refuse a reason that is not here, and the runbook is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. ``mend`` is what a person does, "" if there is nothing to do.

    ``is_warning``: its Event is a Warning. ``is_told``: an Event is posted when it appears.
    """

    meaning: str
    mend: str = ""
    is_warning: bool = False
    is_told: bool = False


def _bad(meaning: str, mend: str) -> Reason:
    return Reason(meaning, mend, is_warning=True, is_told=True)


def _news(meaning: str, mend: str = "") -> Reason:
    return Reason(meaning, mend, is_told=True)


_DOCUMENT: Final = {
    "UpToDate": Reason("Everything is as the document says."),
    "ChangesWaiting": Reason(
        "A part of the document counts only when the account is flat, or its pods are replaced.",
        "Wait, close what is open, or set spec.rollout.policy: Immediately for images and pods.",
    ),
    "SpecInvalid": _bad(
        "The document breaks a rule; the last good one goes on working.",
        "Correct the fields that the message names. A stricter spec.trading counts all the same.",
    ),
    "SpecImmutable": _bad(
        "The document changes what must stay for the account's life, such as its mode.",
        "Put the old value back, or make another account under another name.",
    ),
    "ApplyRefused": _bad(
        "The API server refused a child object or the database the document; it is tried again.",
        "Read the message: a quota, an admission policy, or rights of the operator.",
    ),
    "EnvironmentNotEnabled": _bad(
        "The release runs no market plane for the account's mode (and price source, for paper).",
        "Enable one in the chart's environments and upgrade, or make an account of another mode.",
    ),
    "NoMirror": _bad(
        "A shadow account trades on a mirror of production, which the chart does not install yet.",
        "Run the document on a machine of your own: `recio up --shadow --read-key DIRECTORY`.",
    ),
    "SeriesNotWatched": _bad(
        "The market plane does not follow a series that the account may trade.",
        "Add it to the environment's series in the chart's values, or remove it from spec.series.",
    ),
}

_DATABASE: Final = {
    "Connected": _news("PostgreSQL answers for the account."),
    "DatabaseUnreachable": _bad(
        "PostgreSQL does not answer the operator. Nothing is restarted; entries stop by themselves.",
        "See the database's pods: kubectl get cluster,pods -l cnpg.io/cluster. "
        "recio panic closes everything without it.",
    ),
    "NotApplied": Reason("The account is new: its books are being opened."),
}

_KEY: Final = {
    "Verified": _news("The account sync reads the exchange with this key."),
    "NotVerified": Reason("The key reads well; the account sync has not tried it yet."),
    "KeyUnknown": Reason("The key has not been looked at yet."),
    "Rotating": _news("The pods are to be replaced for a new key."),
    "SecretNotFound": _bad(
        "The Secret with the API key is not there.",
        "Make it: kubectl create secret generic NAME --from-literal=key-id=… "
        "--from-file=private-key=FILE. Of a paper account the operator makes it by itself.",
    ),
    "KeyMissing": _bad(
        "The Secret lacks key-id or private-key.",
        "Write both under exactly these names; the account takes them up by itself.",
    ),
    "KeyBroken": _bad(
        "The private key is no key that the exchange takes.",
        "Put the PEM file into private-key as the exchange gave it out, unencrypted.",
    ),
    "KeyInUse": _bad(
        "Another account trades with this key; two would double every limit.",
        "Make a key of its own for each account.",
    ),
    "RegistrationFailed": _bad(
        "The exchange simulator could not be told the paper account's key; it is tried again.",
        "See the simulator's pod in the account's environment.",
    ),
    "KeyRejected": _bad(
        "The exchange refuses the key.",
        "Make a new key on the exchange's page and write it into the Secret.",
    ),
}

_EXCHANGE: Final = {
    "Synchronised": _news("The account's books are read from the exchange and compared."),
    "NotSynchronised": Reason("The account sync has not read the exchange yet."),
    "ExchangeUnreachable": _bad(
        "The account sync could not read the exchange for a while.",
        "See the pod of kalshi-account-sync, the exchange's status page, and network policies.",
    ),
    "NotRunning": Reason("No pod runs that could tell."),
}

_TRADING: Final = {
    "Active": _news("Entries and exits."),
    "NoNewEntries": _news("No new position.", "Release the switches in status.trading.sources."),
    "ReduceOnly": _news(
        "Only orders that make a position smaller.",
        "Release the switches in status.trading.sources.",
    ),
    "Halted": _news(
        "Resting orders are cancelled, nothing goes out.",
        "Release the switches in status.trading.sources, each where it was set.",
    ),
    "Flatten": _news(
        "Everything is closed, then as Halted.",
        "Release the switches in status.trading.sources, each where it was set.",
    ),
    "NotArmed": _news(
        "A prod account without spec.arming may only reduce.",
        "Set spec.arming to the account's name.",
    ),
    "Suspended": _news("The pods are scaled to zero.", "Set spec.suspend: false."),
}

_PROGRESS: Final = {
    "Complete": Reason("Nothing is under way."),
    "RollingOut": _news("Pods are being made or replaced."),
    "WaitingForFlat": _news(
        "A change waits until the account has neither positions nor orders.",
        "Wait; or close what is open; or set spec.rollout.policy: Immediately for images and pods.",
    ),
    "WaitingForWindow": _news("A change waits for the next of spec.rollout.windows."),
    "WaitingForApproval": _news(
        "A change waits for a person, because spec.rollout.policy is Manual.",
        "kubectl annotate ta NAME --overwrite recio.io/restartedAt=$(date -Is)",
    ),
    "WaitingForDatabase": Reason("A change waits until PostgreSQL can say what is open."),
    "WaitingForKey": Reason("Pods wait for a good API key.", "See CredentialsValid."),
    "WaitingForPool": Reason("A change waits until the pool's pods are replaced."),
    "WaitingToSuspend": _news("spec.suspend waits until the account is flat or Halted."),
    "RotatingCredentials": Reason("A new API key waits for orders in flight, a minute at most."),
    "ReplacingTopology": _news("The old topology's pods go before the new ones come."),
    "RolloutForced": _bad(
        "The deadline passed: pods were replaced although the account was not flat.",
        "Nothing; the new pods take over. Raise spec.rollout.deadlineSeconds, or 0 for never.",
    ),
    "DriftRepaired": _news("Somebody changed a child object; it was put right."),
}

_OTHER: Final = {
    "Ready": _news("All necessary conditions hold and all pods are ready."),
    "PodsNotReady": _bad(
        "At least one pod is not ready; the message names it and says why.",
        "kubectl describe pod, kubectl logs.",
    ),
    "AsDeclared": Reason("Nobody changed settings on the page."),
    "SettingsOverridden": _news(
        "Settings were changed on the page; they count within the document's bounds.",
        "Put them into the document, or release them on the page.",
    ),
    "Paused": _news(
        "The annotation recio.io/paused is true: the operator writes nothing but the status.",
        "kubectl annotate ta NAME recio.io/paused-",
    ),
    "NotPaused": Reason("The operator works on the account."),
}

_LEAVING: Final = {
    "Leaving": _news("The account is being deleted and leaves the exchange clean first."),
    "LeavingRefused": _bad(
        "deletionPolicy is RefuseWhileOpen and something is open.",
        "Close it; or choose another spec.deletionPolicy; or annotate recio.io/force-finalize=true.",
    ),
    "LeavingBlind": _bad(
        "The account is being deleted, and PostgreSQL cannot say what is open.",
        "Wait for it, or annotate recio.io/force-finalize=true.",
    ),
    "Stopping": Reason("Clean; the pods stop before the key is free for others."),
    "Left": _news("The account left clean."),
    "LeftUnclean": _bad(
        "The account is gone although it was not clean: the time was up, or it was forced.",
        "Look at the exchange for resting orders and positions; its books stay in the database.",
    ),
}

REASONS: Final = {
    **_DOCUMENT,
    **_DATABASE,
    **_KEY,
    **_EXCHANGE,
    **_TRADING,
    **_PROGRESS,
    **_OTHER,
    **_LEAVING,
}

WAITING: Final = frozenset(
    {
        "WaitingForFlat",
        "WaitingForWindow",
        "WaitingForApproval",
        "WaitingForDatabase",
        "WaitingForPool",
    }
)
"""Reasons of Progressing from whose beginning the rollout's deadline counts."""
