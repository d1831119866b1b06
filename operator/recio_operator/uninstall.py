"""``recio-operator uninstall``: every account leaves, before the release that runs them goes.

The operator does the leaving; this deletes the documents and waits. Refused before anything is
deleted: accounts that hold positions and whose deletionPolicy says to wait for a person. When the time
is up, the accounts that are still there are told with what they wait for, and the release stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from recio.domain.account_config import DeletionPolicy
from recio.domain.errors import Broken, Unavailable
from recio_operator import kube as api
from recio_operator.kube import Kind, Kube, Refused
from recio_operator.names import FORCE_FINALIZE

Object = dict[str, Any]
Say = Callable[[str], None]

PAUSE_S: Final = 1.0
TELL_S: Final = 10.0
NOT_FOUND: Final = 404


async def uninstall(kube: Kube, *, timeout_s: float, say: Say) -> None:
    """Delete the accounts of a namespace and wait until all are gone; then the fleet.

    Raises:
        Broken: an account may not leave or has not left in time; the message names each and why.
        Unavailable: the API server does not answer.
    """
    accounts = await _all(kube, api.ACCOUNTS)
    _refuse_open(accounts)
    for account in accounts:
        await kube.delete(api.ACCOUNTS, account["metadata"]["name"])
    if accounts:
        say(f"deleted, to leave their exchange: {_names(accounts)}")
    await _until_gone(kube, timeout_s, say)
    for fleet in await _all(kube, api.FLEETS):
        await kube.delete(api.FLEETS, fleet["metadata"]["name"])
    say("no account is left; the release may go")


async def _all(kube: Kube, kind: Kind) -> list[Object]:
    try:
        return await kube.list(kind)
    except Refused as error:
        if error.status == NOT_FOUND:
            # Whoever removed the definitions removed every object with them.
            return []
        raise


def _refuse_open(accounts: Iterable[Object]) -> None:
    held = [one for one in accounts if _waits_for_a_person(one)]
    if held:
        raise Broken(
            f"nothing was deleted: {_names(held)} may hold positions and their deletionPolicy is "
            f"{DeletionPolicy.REFUSE_WHILE_OPEN}. Close the positions (spec.trading: Flatten), or choose "
            "another spec.deletionPolicy, and uninstall again"
        )


def _waits_for_a_person(account: Object) -> bool:
    policy = account.get("spec", {}).get("deletionPolicy")
    is_flat = account.get("status", {}).get("flat")
    # One that nobody has looked at yet has never traded; unknown is not flat.
    return (
        policy == DeletionPolicy.REFUSE_WHILE_OPEN and "status" in account and is_flat is not True
    )


async def _until_gone(kube: Kube, timeout_s: float, say: Say) -> None:
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    told_s = loop.time()
    while left := await _left(kube):
        now_s = loop.time()
        if now_s >= deadline_s:
            raise Broken(
                f"not gone within {timeout_s:g} s: {_waiting(left)}. The release stays. Wait and "
                "uninstall again (uninstall.timeoutSeconds), or give an account up: "
                f"kubectl annotate ta NAME {FORCE_FINALIZE}=true"
            )
        if now_s >= told_s + TELL_S:
            told_s = now_s
            say(f"waiting for {_waiting(left)}")
        await asyncio.sleep(PAUSE_S)


async def _left(kube: Kube) -> list[Object]:
    try:
        return await _all(kube, api.ACCOUNTS)
    except Unavailable:
        # It may be restarting; what was deleted stays deleted.
        return [{"metadata": {"name": "the API server"}}]


def _names(accounts: Iterable[Object]) -> str:
    return ", ".join(sorted(one["metadata"]["name"] for one in accounts))


def _waiting(accounts: Iterable[Object]) -> str:
    return "; ".join(sorted(f"{one['metadata']['name']}{_why(one)}" for one in accounts))


def _why(account: Object) -> str:
    conditions = account.get("status", {}).get("conditions", [])
    words = {one["type"]: one.get("message", "") for one in conditions}
    said = words.get("Progressing") or words.get("Ready")
    return f" ({said})" if said else ""
