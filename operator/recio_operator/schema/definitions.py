"""The custom resource definitions of TradingAccount and TradingFleet, made from the domain's structs.

    python -m recio_operator.schema.definitions           write charts/recio/files/crds/
    python -m recio_operator.schema.definitions --check   fail if they are stale

Field, bound, default and manual stand once, in ``recio.domain``; what the parser there refuses, the
API server refuses too.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from recio.domain.account_config import ACCOUNT_KIND, FLEET_KIND, AccountSpec, FleetConfig
from recio_operator.names import GROUP, VERSION
from recio_operator.schema.fields import Schema, part_default, struct_schema, validations
from recio_operator.schema.rules import ACCOUNT_ROOT, FLEET_ROOT, Rule
from recio_operator.schema.status import AccountStatus, FleetStatus

CRDS: Final = Path(__file__).parents[3] / "charts" / "recio" / "files" / "crds"
_HEAD: Final = "# Made by `make render` from services/recio/domain; edit the fields there.\n"
_FOLDED_FROM: Final = 60
_READY: Final = '.status.conditions[?(@.type=="Ready")]'
_ACCOUNT_TEXT: Final = (
    "TradingAccount is one account at the exchange (or at the built-in paper exchange): what it "
    "trades, within which limits, and whether it may trade now. The operator runs the services "
    "that it needs. Its name is the account's identity everywhere and has at most 32 characters."
)
_FLEET_TEXT: Final = (
    "TradingFleet is the switch and the limits over all accounts of a release. There is one, and "
    "its name is default."
)


class Column(msgspec.Struct, frozen=True):
    """A column of ``kubectl get``; ``is_wide``: only with -o wide."""

    name: str
    path: str
    text: str
    kind: str = "string"
    is_wide: bool = False

    def as_schema(self) -> Schema:
        """Return the column as an entry of ``additionalPrinterColumns``."""
        column: Schema = {"name": self.name, "type": self.kind, "jsonPath": self.path}
        column["description"] = self.text
        return column | ({"priority": 1} if self.is_wide else {})


_AGE: Final = Column("Age", ".metadata.creationTimestamp", "When it was made.", "date")
ACCOUNT_COLUMNS: Final = (
    Column("Mode", ".spec.mode", "Against which exchange, and with whose money."),
    Column("Trading", ".status.trading.effective", "The strictest of all switches."),
    Column("Ready", f"{_READY}.status", "Whether the account can do its job."),
    Column("Workloads", ".status.workloads", "Deployments that are ready, of those wanted."),
    Column("Reason", f"{_READY}.reason", "Why it is ready or not."),
    Column("Strategy", ".spec.strategy.name", "Which rules decide.", is_wide=True),
    Column("Topology", ".spec.topology", "How its services are spread.", is_wide=True),
    Column("Image", ".status.image", "The image that its pods run.", is_wide=True),
    _AGE,
)
FLEET_COLUMNS: Final = (
    Column("Trading", ".status.trading.effective", "The strictest switch over all accounts."),
    Column("Ready", f"{_READY}.status", "Whether the operator follows it."),
    Column("Accounts", ".status.accounts", "How many accounts there are.", "integer"),
    Column("Reason", f"{_READY}.reason", "Why it is ready or not."),
    Column(
        "Max-Cost", ".spec.risk.maxCostTotalDollars", "Dollars at stake.", "integer", is_wide=True
    ),
    Column("Max-Loss", ".spec.risk.maxDailyLossDollars", "Dollars a day.", "integer", is_wide=True),
    _AGE,
)


def definitions() -> dict[str, Schema]:
    """Return both custom resource definitions by file name."""
    account = _definition(
        ACCOUNT_KIND,
        "ta",
        ACCOUNT_COLUMNS,
        _root(ACCOUNT_KIND, _ACCOUNT_TEXT, (AccountSpec, AccountStatus), ACCOUNT_ROOT),
    )
    fleet = _definition(
        FLEET_KIND,
        "tf",
        FLEET_COLUMNS,
        _root(FLEET_KIND, _FLEET_TEXT, (FleetConfig, FleetStatus), FLEET_ROOT),
    )
    return {f"{crd['spec']['names']['plural']}.yaml": crd for crd in (account, fleet)}


def rendered() -> dict[str, str]:
    """Return the text of each file by its name."""
    return {name: f"{_HEAD}{as_yaml(crd)}" for name, crd in definitions().items()}


def as_yaml(document: object) -> str:
    """Return YAML that reads well and is the same every time."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)


def main(arguments: list[str]) -> int:
    """Write or check the files; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m recio_operator.schema.definitions",
        description="Write the custom resource definitions from the fields of the documents.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing, fail if stale")
    parser.add_argument("--directory", type=Path, default=CRDS, help="where they are")
    told = parser.parse_args(arguments)
    stale = [name for name, text in rendered().items() if _held(told.directory / name) != text]
    if told.check:
        if stale:
            print(f"stale: {', '.join(stale)}; mend it: make render", file=sys.stderr)  # noqa: T201
        return int(bool(stale))
    told.directory.mkdir(parents=True, exist_ok=True)
    for name, text in rendered().items():
        (told.directory / name).write_text(text, encoding="utf-8")
    return 0


def _held(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _definition(kind: str, short: str, columns: tuple[Column, ...], root: Schema) -> Schema:
    singular = kind.lower()
    plural = f"{singular}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": singular,
                "shortNames": [short],
                "categories": ["recio"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column.as_schema() for column in columns],
                    "schema": {"openAPIV3Schema": root},
                }
            ],
        },
    }


def _root(
    kind: str,
    text: str,
    parts: tuple[type[msgspec.Struct], type[msgspec.Struct]],
    rules: tuple[Rule, ...],
) -> Schema:
    spec, status = (struct_schema(part, _first_line(part)) for part in parts)
    head = {key: spec.pop(key) for key in ("description", "type")}
    return {
        "description": text,
        "type": "object",
        "properties": {
            "apiVersion": {
                "description": f"The version of this form: {GROUP}/{VERSION}.",
                "type": "string",
            },
            "kind": {"description": f"What this is: {kind}.", "type": "string"},
            "metadata": {"type": "object"},
            "spec": head | {"default": part_default(parts[0], spec)} | spec,
            "status": status,
        },
        **validations(list(rules)),
    }


def _first_line(part: type[msgspec.Struct]) -> str:
    return " ".join((part.__doc__ or "").split())


class _Dumper(yaml.SafeDumper):
    """Blocks for text of several lines, lists below their key, no anchors."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002, ARG002
        """Indent lists below their key."""
        return super().increase_indent(flow, False)  # noqa: FBT003

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        """Write everything out."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if style is None and len(text) > _FOLDED_FROM and re.search(r": |'| #", text):
        style = ">"  # the other way to write it is in quotes with every quote doubled
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
