"""Reads TradingAccount files, and makes further accounts of the same kind for ``--accounts N``."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from recio.domain.account_config import (
    AccountConfig,
    Mode,
    PaperSource,
    Series,
    Topology,
    parse_account,
)
from recio.domain.errors import Rejected
from recio.runtime import modes
from recio.runtime.local.options import EXAMPLE_FILE, EXAMPLE_FOLDER, RECORDING_FILE
from recio.runtime.local.start import World

ACCOUNTS_MOST: Final = 20
_NOT_YAML: Final = (ValueError, AttributeError, RecursionError)
"""What the parser raises of itself: a date that is none, a broken tag, a thousand brackets."""


def example(*, is_recording: bool) -> Path:
    """Return the example account of a world: from the working directory, else the repository's."""
    path = EXAMPLE_FOLDER / (RECORDING_FILE if is_recording else EXAMPLE_FILE)
    return path if path.exists() else Path(__file__).resolve().parents[4] / path


def read_document(path: Path) -> dict[str, Any]:
    """Return the one document of a YAML file.

    Raises:
        Rejected: no such file, not YAML, or not exactly one document.
    """
    try:
        parts = [part for part in yaml.safe_load_all(path.read_text("utf-8")) if part]
    except OSError as error:
        raise Rejected(f"expected a TradingAccount document in {path}: {error.strerror}") from error
    except (yaml.YAMLError, *_NOT_YAML) as error:
        raise Rejected(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if len(parts) != 1:
        raise Rejected(f"{path}: expected one TradingAccount document, received {len(parts)}")
    if not isinstance(parts[0], dict):
        raise Rejected(
            f"{path}: expected a TradingAccount document (apiVersion, kind, metadata, spec), "
            f"received {str(parts[0])[:60]!r}"
        )
    return parts[0]


def paper_accounts(
    path: Path, *, number: int, topology: Topology | None, is_shadow: bool = False
) -> list[tuple[dict[str, Any], AccountConfig]]:
    """Return ``number`` accounts made from one document: <name>, <name>-2 and so on.

    With ``is_shadow`` a document of any mode will do: ``fitted`` makes it a shadow.

    Raises:
        Rejected: the document is not valid, or not of mode paper.
    """
    if not 1 <= number <= ACCOUNTS_MOST:
        raise Rejected(f"--accounts: expected 1 to {ACCOUNTS_MOST}, received {number}")
    document = read_document(path)
    try:
        parsed = parse_account(document)
    except Rejected as error:
        raise Rejected(f"{path}: {error}") from error
    if not is_shadow and not modes.is_self_contained(parsed.mode):
        raise Rejected(
            f"{path}: `recio up` runs paper accounts, received mode {parsed.mode}; with --shadow it "
            "runs any document as a shadow, the other modes run on Kubernetes, or with `recio run` "
            "and settings of your own"
        )
    made = []
    for index in range(1, number + 1):
        own = _copy(document, parsed.name, index, topology=topology)
        made.append((own, parse_account(own)))
    return made


def fitted(
    accounts: Sequence[tuple[dict[str, Any], AccountConfig]], world: World
) -> list[tuple[dict[str, Any], AccountConfig]]:
    """Return the accounts as the world asks for: its price source, and a series that it lists."""
    made = []
    for document, _ in accounts:
        own = copy.deepcopy(document)
        spec = own["spec"]
        if world.is_shadow:
            _make_shadow(own)
        elif world.is_live:
            spec.setdefault("paper", {})["source"] = PaperSource.LIVE_FEED.value
        if world.recording:
            spec["series"] = [Series.KXBTC15M.value]
        made.append((own, parse_account(own)))
    return made


def _make_shadow(document: dict[str, Any]) -> None:
    """Let an account trade the same on imagined money; its key is one of the mirror."""
    spec = document["spec"]
    spec["mode"] = Mode.SHADOW.value
    spec.setdefault("credentialsSecretRef", {"name": document["metadata"]["name"]})


def _copy(
    document: dict[str, Any], name: str, index: int, *, topology: Topology | None
) -> dict[str, Any]:
    own = copy.deepcopy(document)
    own["metadata"]["name"] = name if index == 1 else f"{name}-{index}"
    if topology is not None:
        own["spec"]["topology"] = topology.value
    return own
