"""``recio prove``: the simulation under a trader's own document, and the one page it ends in.

Two accounts under the same document trade two simulated markets; the wishes are as large as the
document's limits provoke, the automations run with its strategy. The page says how far each limit
was used at worst, how long a halt took, and which seeds to play again. It says nothing about profit.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from recio.domain.account_config import Topology, parse_account
from recio.simulation.measures import Reached
from recio.simulation.plan import ACCOUNTS, SNAPSHOT_SECONDS, Plan, make_plan, scaled
from recio.simulation.run import Outcome

_USUAL_CONTRACTS: Final = 10
"""The contracts of an order that plans are written for."""
_KEPT: Final = ("series", "risk", "strategy")
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;"
    "border-bottom:1px solid #8884}td.n{text-align:right;font-variant-numeric:tabular-nums}"
    "meter{width:10rem}.bad{color:#c22}code{font-size:.9em}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}}"
)


class Worst(msgspec.Struct, frozen=True, kw_only=True):
    """How far a limit was used at worst, and the seed that did it."""

    reached: Reached
    seed: int


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What the seeds showed."""

    account: str
    topology: str
    seeds: int
    first_seed: int
    failed: dict[int, tuple[str, ...]]
    worst: tuple[Worst, ...]
    halts: int
    slowest_halt_us: int
    faults: int
    orders: int
    fills: int


def plan_of(document: Mapping[str, Any], seed: int) -> Plan:
    """Return a seed's plan under a trader's document.

    Raises:
        InvalidValue: the document is not valid.
    """
    config = parse_account(dict(document))
    spec = {name: part for name, part in document["spec"].items() if name in _KEPT}
    documents = {
        name: {**document, "metadata": {"name": name}, "spec": {**spec, "mode": "paper"}}
        for name in ACCOUNTS
    }
    scale = max(config.risk.max_contracts_per_order // _USUAL_CONTRACTS, 1)
    plan = make_plan(seed)
    return msgspec.structs.replace(
        scaled(plan, scale),
        documents=documents,
        topology="PerService" if config.topology is Topology.PER_SERVICE else "Compact",
        snapshot_seconds=plan.snapshot_seconds or SNAPSHOT_SECONDS,
    )


def proof_of(document: Mapping[str, Any], outcomes: Iterable[Outcome]) -> Proof:
    """Return what the outcomes of a document show together."""
    config = parse_account(dict(document))
    played = sorted(outcomes, key=lambda one: one.seed)
    halts = [halt for one in played for halt in one.halts]
    return Proof(
        account=config.name,
        topology=config.topology.value,
        seeds=len(played),
        first_seed=played[0].seed,
        failed={one.seed: one.violations for one in played if one.violations},
        worst=_worst(played),
        halts=len(halts),
        slowest_halt_us=max((halt.last_create_us for halt in halts), default=0),
        faults=sum(sum(one.hits.values()) for one in played),
        orders=sum(one.orders for one in played),
        fills=sum(one.fills for one in played),
    )


def _worst(outcomes: list[Outcome]) -> tuple[Worst, ...]:
    best: dict[str, Worst] = {}
    for one in outcomes:
        for rows in one.reached.values():
            for row in rows:
                held = best.get(row.limit)
                if held is None or row.most > held.reached.most:
                    best[row.limit] = Worst(reached=row, seed=one.seed)
    return tuple(best.values())


def shown(row: Reached, value: int) -> str:
    """Return a value in a person's units.

    >>> shown(Reached(limit="", most=0, allowed=0, unit="1e-6 dollar"), 1_500_000)
    '$1.50'
    """
    if row.unit == "1e-6 dollar":
        return f"${value / 1e6:,.2f}"
    return f"{value / 100:g} contracts" if row.unit == "1e-2 contract" else f"{value} {row.unit}"


def lines(proof: Proof) -> list[str]:
    """Return the page as text."""
    verdict = "NOT PROVED" if proof.failed else "nothing broke"
    what = f"{proof.orders} orders, {proof.fills} fills, {proof.faults} strikes of faults"
    made = [
        f"{proof.account} ({proof.topology}), {proof.seeds} simulated hours: {what}: {verdict}",
        "",
        f"{'limit':<24}{'allowed':>18}{'worst reached':>18}{'':>6}  seed",
    ]
    for worst in proof.worst:
        row = worst.reached
        share = row.most / row.allowed
        made.append(
            f"{row.limit:<24}{shown(row, row.allowed):>18}{shown(row, row.most):>18}"
            f"{share:>6.0%}  {worst.seed}"
        )
    made += ["", _halting(proof)]
    for seed, violations in proof.failed.items():
        made += ["", f"seed {seed} FAILED", *(f"  {what}" for what in violations[:5])]
    return made


def _halting(proof: Proof) -> str:
    if not proof.halts:
        return "No halt happened in these hours: play more seeds."
    if not proof.slowest_halt_us:
        return f"{proof.halts} halts: no order of an automation left after one was committed."
    return (
        f"{proof.halts} halts: the last order left at most {proof.slowest_halt_us / 1000:.1f} ms "
        "after one was committed."
    )


def page(proof: Proof, command: str) -> str:
    """Return the page as HTML that needs nothing else."""
    rows = "".join(
        f"<tr><td>{html.escape(worst.reached.limit)}</td>"
        f"<td class=n>{shown(worst.reached, worst.reached.allowed)}</td>"
        f"<td class=n>{shown(worst.reached, worst.reached.most)}</td>"
        f"<td><meter max={worst.reached.allowed} value={worst.reached.most}></meter></td>"
        f"<td class=n>{worst.seed}</td></tr>"
        for worst in proof.worst
    )
    failures = "".join(
        f"<p class=bad>Seed {seed} broke: {html.escape('; '.join(violations[:5]))}</p>"
        for seed, violations in proof.failed.items()
    )
    verdict = "An invariant was broken." if proof.failed else "No invariant was broken."
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(proof.account)}'
        f'</title><meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{html.escape(proof.account)} under faults</h1>"
        f"<p><strong>{verdict}</strong> {proof.seeds} simulated hours in topology "
        f"{proof.topology}: {proof.orders} orders, {proof.fills} fills, {proof.faults} strikes of "
        f"faults.</p>{failures}<h2>Limits</h2><table><tr><th>limit<th>allowed<th>worst reached<th>"
        f"<th>seed</tr>{rows}</table><p>What was in flight counts at its worst case.</p>"
        f"<h2>Time to safety</h2><p>{_halting(proof)}</p><h2>Play it again</h2>"
        f"<p><code>{html.escape(command)}</code></p><p>Prices, books and wishes are made up: this "
        "says what the system does with your limits, nothing about profit.</p></html>\n"
    )
