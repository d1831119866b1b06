"""Writes the parts of docs/ that repeat the code, or checks that they are up to date.

A rendered part stands between ``<!-- rendered: NAME -->`` and ``<!-- end -->``; the rest of a page
is written by hand. ``make render`` writes, ``--check`` fails and says which page is stale. A part that
stands on no page fails too: a new alert or reason needs an entry in the runbook.

The custom resource definitions, which follow from the same code, are written and checked along.
"""

from __future__ import annotations

import importlib
import inspect as python_inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from docs import operations, proofs
from msgspec import inspect

from recio import manifest
from recio.domain import account_config as accounts
from recio.manifest import ServiceRow
from recio.runtime.settings import PREFIX, ProcessSettings, service_prefix
from recio_operator.schema import definitions as schema
from recio_operator.schema.status import AccountStatus, FleetStatus
from recio_operator.schema.text import effect_of, texts, with_choices, without_effect

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = (
    "docs/architecture.md",
    "docs/contract.md",
    "docs/kubernetes.md",
    "docs/reliability.md",
    "docs/runbook.md",
    "docs/settings.md",
    "docs/tables.md",
)
_PART: Final = re.compile(r"(<!-- rendered: ([A-Za-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main(arguments: list[str]) -> int:
    """Write or check every page and the custom resource definitions; return the exit status."""
    is_check = "--check" in arguments
    status = schema.main(["--check"] if is_check else [])
    pages = {name: (ROOT / name).read_text(encoding="utf-8") for name in PAGES}
    problems = [*unknown(pages), *homeless(pages)]
    if not problems:
        problems = list(_written(pages, is_check=is_check))
    for problem in problems:
        print(problem, file=sys.stderr)
    return int(bool(status or problems))


def _written(pages: Mapping[str, str], *, is_check: bool) -> Iterator[str]:
    """Write each page that is stale, or yield a problem for it."""
    for name, old in pages.items():
        new = rendered(old)
        if new != old and is_check:
            yield f"stale: {name}; mend it: make render"
        elif new != old:
            (ROOT / name).write_text(new, encoding="utf-8")


def unknown(pages: Mapping[str, str]) -> Iterator[str]:
    """Yield a problem for each part that a page wants and nothing makes."""
    for page, text in pages.items():
        for part in _named(text):
            if part not in PARTS:
                yield f"{page}: nothing makes the part {part} any more; remove its entry"


def homeless(pages: Mapping[str, str]) -> Iterator[str]:
    """Yield a problem for each part that stands on no page."""
    shown = {part for text in pages.values() for part in _named(text)}
    for part in PARTS:
        if part not in shown:
            kind, _, name = part.partition("-")
            where = (
                f"docs/runbook.md needs an entry {name}"
                if kind in operations.RUNBOOK
                else "show it"
            )
            yield f"no page has <!-- rendered: {part} -->; {where}"


def _named(text: str) -> list[str]:
    return [part[2] for part in _PART.finditer(text)]


def rendered(page: str) -> str:
    """Return the page with every rendered part made anew."""
    return _PART.sub(lambda part: f"{part[1]}{PARTS[part[2]]()}\n{part[3]}", page)


def services() -> str:
    """Return the table of services, in the order of the flow."""
    lines = ["| # | service | for each | does | reads → writes | tables written | local port |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in manifest.SERVICES:
        feedback = [f"{item.topic} (feedback)" for item in row.feedback]
        flow = f"{_listed([*row.reads, *feedback])} → {_listed(row.writes)}"
        cells = (
            str(row.number),
            f"`{row.name}`" + (" (one at a time)" if row.singleton else ""),
            str(row.scope),
            row.summary,
            flow,
            _listed(row.tables_written),
            str(row.local_port),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def flow() -> str:
    """Return the picture of the flow: topics as arrows, feedback dashed, money by the database."""
    lines = ["```mermaid", "flowchart LR"]
    for row in manifest.SERVICES:
        shape = f'(["{row.name}"])' if row.scope is manifest.Scope.SHARED else f'["{row.name}"]'
        lines.append(f"    {row.name}{shape}")
    lines.append('    postgres[("PostgreSQL: intents, trades, orders, fills, ledger")]')
    for row in manifest.SERVICES:
        lines += [
            f"    {writer.name} -- {topic} --> {row.name}" for writer, topic in _read_from(row)
        ]
    money = [row for row in manifest.SERVICES if _writes_money(row)]
    lines.append(f"    {' & '.join(row.name for row in money)} <--> postgres")
    lines += [
        f"    postgres -. {item.topic} .-> {row.name}"
        for row in manifest.SERVICES
        for item in row.feedback
    ]
    exchange = [row.name for row in manifest.SERVICES if "exchange" in row.egress]
    lines.append(
        f'    exchange{{{{"the exchange, or exchange_simulator"}}}} <--> {" & ".join(exchange)}'
    )
    return "\n".join([*lines, "```"])


def tables() -> str:
    """Return the matrix table by writer."""
    writers: dict[str, list[str]] = {}
    for row in manifest.SERVICES:
        for table in row.tables_written:
            writers.setdefault(table, []).append(row.name)
    lines = ["| table | written by |", "|---|---|"]
    lines += [f"| `{table}` | {', '.join(names)} |" for table, names in sorted(writers.items())]
    return "\n".join(lines)


def account_fields() -> str:
    """Return every field of a TradingAccount with its manual, bounds and default."""
    return _fields_table(accounts.AccountSpec)


def fleet_fields() -> str:
    """Return every field of the TradingFleet."""
    return _fields_table(accounts.FleetConfig)


def account_status() -> str:
    """Return every field of a TradingAccount's status."""
    return _status_table(AccountStatus)


def fleet_status() -> str:
    """Return every field of the TradingFleet's status."""
    return _status_table(FleetStatus)


def process_settings() -> str:
    """Return the variables that every process reads."""
    return "\n\n".join([_text(ProcessSettings), _variables(ProcessSettings, PREFIX)])


def service_settings() -> str:
    """Return each service's own variables."""
    parts = []
    for row in manifest.SERVICES:
        kind = settings_of(row)
        if kind is not None and kind.__struct_fields__:
            variables = _variables(kind, service_prefix(row.name))
            parts.append(f"### {row.name}\n\n{_text(kind)}\n\n{variables}")
    return "\n\n".join(parts)


def contract_cases() -> str:
    """Return the numbered cases of the contract suite, and who runs each."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    suite = importlib.import_module("tests.contract.suite")
    lines = ["| case | the exchange promises | documented in | run by |", "|---|---|---|---|"]
    for one in suite.load():
        clients = f"ours: {one.only_ours}" if one.only_ours else "both"
        lines.append(f"| {one.name} | {one.title} | {one.source} | {clients} |")
    return "\n".join(lines)


def settings_of(row: ServiceRow) -> type[msgspec.Struct] | None:
    """Return the struct of a service's settings; None: it has none of its own."""
    package = row.entry.partition(":")[0].rpartition(".")[0]
    for module in _modules(package):
        for name, kind in python_inspect.getmembers(module, python_inspect.isclass):
            if name == "Settings" and kind.__module__ == module.__name__:
                assert issubclass(kind, msgspec.Struct)
                return kind
    return None


PARTS: Final[dict[str, Callable[[], str]]] = {
    "services": services,
    "flow": flow,
    "tables": tables,
    "account-fields": account_fields,
    "fleet-fields": fleet_fields,
    "account-status": account_status,
    "fleet-status": fleet_status,
    "process-settings": process_settings,
    "service-settings": service_settings,
    "contract-cases": contract_cases,
    **operations.parts(),
    **proofs.parts(),
}


def _modules(package: str) -> Iterator[Any]:
    for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not found.ispkg:
            yield importlib.import_module(f"{package}.{found.name}")


def _read_from(row: ServiceRow) -> Iterator[tuple[ServiceRow, str]]:
    for topic in row.reads:
        for writer in manifest.SERVICES:
            if topic in writer.writes:
                yield writer, topic


def _writes_money(row: ServiceRow) -> bool:
    return any(table.startswith("trading.") for table in row.tables_written)


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names) or "-"


def _text(kind: type) -> str:
    return " ".join(python_inspect.cleandoc(kind.__doc__ or "").replace("``", "`").split())


class _Row(NamedTuple):
    """One field of a document: where it stands, what it is for, what it may be."""

    path: str
    text: str
    bounds: str
    default: str
    effect: str


def _fields_table(kind: type[msgspec.Struct]) -> str:
    lines = ["| field | what it is for | type, bounds | default | a change takes effect |"]
    lines.append("|---|---|---|---|---|")
    for row in _rows(kind, "spec"):
        cells = (f"`{row.path}`", row.text, row.bounds, row.default, row.effect)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _status_table(kind: type[msgspec.Struct]) -> str:
    lines = ["| field | what it says | type |", "|---|---|---|"]
    lines += [f"| `{row.path}` | {row.text} | {row.bounds} |" for row in _rows(kind, "status")]
    return "\n".join(lines)


def _rows(kind: type[msgspec.Struct], path: str, effect: str = "") -> Iterator[_Row]:
    for field in msgspec.structs.fields(kind):
        info = _plain(inspect.type_info(field.type))
        said = texts(kind)[field.name]
        own_effect = effect_of(said, inherited=effect)
        where = path + f".{field.encode_name}" + ("[]" if _is_list_of_parts(info) else "")
        default = "-" if _nested(info) else _default(field)
        text = _with_members(without_effect(said), info)
        yield _Row(where, text, _said(info), default, own_effect.rstrip(".") or "-")
        nested = _nested(info)
        if nested is not None:
            yield from _rows(nested, where, own_effect)


def _is_list_of_parts(info: inspect.Type) -> bool:
    return isinstance(info, inspect.VarTupleType) and _nested(info) is not None


def _with_members(text: str, info: inspect.Type) -> str:
    inner = _plain(info.item_type) if isinstance(info, inspect.VarTupleType) else info
    said = with_choices(text, inner.cls) if isinstance(inner, inspect.EnumType) else text
    return said.replace("\n", "<br>").replace("|", "\\|")


def _nested(info: inspect.Type) -> type[msgspec.Struct] | None:
    inner = _plain(info.item_type) if isinstance(info, inspect.VarTupleType) else info
    return inner.cls if isinstance(inner, inspect.StructType) else None


def _plain(info: inspect.Type) -> inspect.Type:
    if isinstance(info, inspect.Metadata):
        return _plain(info.type)
    if isinstance(info, inspect.UnionType):
        return _plain(next(kind for kind in info.types if not isinstance(kind, inspect.NoneType)))
    return info


def _variables(kind: type[msgspec.Struct], prefix: str) -> str:
    lines = ["| variable | type, bounds | default |", "|---|---|---|"]
    for field in msgspec.structs.fields(kind):
        said = _said(_plain(inspect.type_info(field.type)))
        lines.append(f"| `{prefix}{field.name.upper()}` | {said} | {_default(field)} |")
    return "\n".join(lines)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default
    if value is msgspec.NODEFAULT:
        return "empty"
    if isinstance(value, tuple):
        return ", ".join(_value(item) for item in value) or "empty"
    return "-" if value in (None, "") else f"`{_value(value)}`"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value.value) if isinstance(value, Enum) else str(value)


def _said(info: inspect.Type) -> str:
    match info:
        case inspect.IntType(ge=low, le=high) if low is not None and high is not None:
            return f"{low:,} … {high:,}"
        case inspect.StrType(max_length=most) if most is not None:
            return f"text, at most {most} characters"
        case inspect.EnumType():
            return ", ".join(str(member.value) for member in info.cls)
        case inspect.VarTupleType(max_length=most):
            inner = _plain(info.item_type)
            of = "" if isinstance(inner, inspect.StructType) else f" of {_said(inner)}"
            return f"list{of}" + (f", at most {most}" if most is not None else "")
        case inspect.DictType(max_length=most):
            return f"map, at most {most} entries"
        case _:
            return _NAMES.get(type(info), type(info).__name__.removesuffix("Type").lower())


_NAMES: Final[dict[type, str]] = {
    inspect.BoolType: "true, false",
    inspect.DateTimeType: "time",
    inspect.FloatType: "number",
    inspect.IntType: "integer",
    inspect.StrType: "text",
    inspect.StructType: "mapping",
    inspect.CustomType: "text (secret)",
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
