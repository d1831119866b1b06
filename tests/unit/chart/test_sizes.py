"""The small profile fits a node with 2 cores and 4 GB beside k3s; docs/chart.md shows the sum."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.unit.chart import accounts, documentation, rendering

CORES = 1.2
MEBIBYTES = 2048
NEEDED_BEFORE = {"CloudNativePG's operator": ("100m", "100Mi")}
"""Its own manifest asks for that."""


def millicores(text: str) -> int:
    """Return cores in thousandths."""
    return int(text[:-1]) if text.endswith("m") else int(float(text) * 1000)


def mebibytes(text: str) -> int:
    """Return memory in MiB."""
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", text).groups()
    return int(number) * (1024 if unit == "Gi" else 1)


def requests(case: str) -> Iterator[tuple[str, int, int]]:
    """Yield (what, millicores, MiB) of everything that runs all the time, with one account."""
    for what, (cpu, memory) in NEEDED_BEFORE.items():
        yield what, millicores(cpu), mebibytes(memory)
    for one in (*rendering.objects(case), *accounts.children(case)):
        name, spec = one["metadata"]["name"], one.get("spec", {})
        if one["kind"] == "Deployment":
            made = [
                each["resources"]["requests"] for each in spec["template"]["spec"]["containers"]
            ]
            copies = spec["replicas"]
        elif one["kind"] in {"Cluster", "Pooler"}:
            container = spec["template"]["spec"]["containers"][0] if "template" in spec else spec
            made, copies = [container["resources"]["requests"]], spec["instances"]
        else:
            continue
        cpu = sum(millicores(each["cpu"]) for each in made) * copies
        memory = sum(mebibytes(each["memory"]) for each in made) * copies
        yield f"`{name}`", cpu, memory


def table(case: str) -> str:
    """Return the requests as a table with their sum."""
    rows = list(requests(case))
    total = (sum(cpu for _, cpu, _ in rows), sum(memory for _, _, memory in rows))
    lines = ["| what | cpu | memory |", "|---|---|---|"]
    lines += [f"| {what} | {cpu}m | {memory} MiB |" for what, cpu, memory in rows]
    lines.append(f"| **sum** | **{total[0]}m** | **{total[1]} MiB** |")
    return "\n".join(lines)


def test_the_small_profile_fits_two_cores_and_four_gigabytes():
    """Rule: at most 1.2 cores and 2 GiB are asked for; the rest is k3s's, the system's and a reserve."""
    rows = list(requests("small"))
    assert sum(cpu for _, cpu, _ in rows) <= CORES * 1000
    assert sum(memory for _, _, memory in rows) <= MEBIBYTES


@pytest.mark.parametrize("topology", ["Compact", "PerService"])
def test_an_account_fits_in_either_topology(topology):
    """Rule: whoever wants a process a service has room for one such account too."""
    rest = [row for row in requests("small") if "ta-" not in row[0]]
    account = [
        each["resources"]["requests"]
        for one in accounts.children("small", topology=topology)
        if one["kind"] == "Deployment"
        for each in one["spec"]["template"]["spec"]["containers"]
    ]
    assert sum(row[1] for row in rest) + sum(millicores(one["cpu"]) for one in account) <= 1200
    assert sum(row[2] for row in rest) + sum(mebibytes(one["memory"]) for one in account) <= 2048


def test_an_init_container_never_asks_for_more_than_what_runs():
    """Rule: the gate does not make a pod harder to place."""
    for case in rendering.CASES:
        for _, pod in rendering.pods(case):
            for gate in pod["spec"].get("initContainers", []):
                (running,) = pod["spec"]["containers"]
                for unit, convert in (("cpu", millicores), ("memory", mebibytes)):
                    asked = convert(gate["resources"]["requests"][unit])
                    assert asked <= convert(running["resources"]["requests"][unit])


def test_the_documented_sizes_are_the_rendered_ones():
    """Rule: the table in docs/chart.md is what the chart asks for (UPDATE_GOLDEN=1 writes it)."""
    documentation.check("sizes", table("small"))


def test_the_documented_sums_are_those_of_each_profile():
    """Rule: the line of the profiles' table says what each asks for, rounded to a tenth."""
    told = []
    for case in ("small", "standard", "ha"):
        rows = list(requests(case))
        cores, memory = sum(row[1] for row in rows) / 1000, sum(row[2] for row in rows) / 1024
        told.append(f"{cores:.1f} cores, {memory:.1f} GiB")
    assert f"| {' | '.join(told)} |" in documentation.PAGE.read_text(encoding="utf-8")
