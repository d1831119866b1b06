"""What the small profile asks for and what it uses: it must fit 2 cores and 4 GB beside k3s."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.cluster.machine import control_group_roots

MEBI = 2**20
NODE_MILLICORES = 2_000
FREE_MEBIBYTES = 2_700
"""Of 4 GB: what the system (300 MB) and k3s (800 MB) leave, and a margin for caches."""


def test_the_small_profile_fits_its_machine(system, new_account):
    """Requests of a release with one account, against the machine; use of each pod in a table."""
    trader = new_account("footprint")
    trader.until_ready()
    system.until_all_ready()
    rows = [row(pod) for pod in system.kubectl.list("pods") if pod["status"]["phase"] == "Running"]
    rows.sort(key=lambda one: one["pod"])
    total = {name: sum(one[name] or 0 for one in rows) for name in rows[0] if name != "pod"}
    system.figures.tables["Small profile with one Compact account, at rest"] = [
        *rows,
        {"pod": "in all", **total},
    ]
    assert total["requested millicores"] <= NODE_MILLICORES
    assert total["requested MiB"] <= FREE_MEBIBYTES
    assert all(one["used MiB"] <= one["limit MiB"] for one in rows if one["limit MiB"])


def row(pod):
    """Return what a pod asks for and uses."""
    containers = pod["spec"]["containers"]
    resources = [one.get("resources", {}) for one in containers]
    limits = [mebibytes(one.get("limits", {}).get("memory", "0")) for one in resources]
    requests = [one.get("requests", {}) for one in resources]
    return {
        "pod": pod["metadata"]["name"],
        "used MiB": used_bytes(pod["metadata"]["uid"]) // MEBI,
        "requested MiB": sum(mebibytes(one.get("memory", "0")) for one in requests),
        "limit MiB": sum(limits) if all(limits) else 0,
        "requested millicores": sum(millicores(one.get("cpu", "0")) for one in requests),
    }


def used_bytes(uid: str) -> int:
    """Return a pod's memory that cannot be given back: without what the kernel may drop."""
    for root in control_group_roots():
        for folder in root.glob(f"recio*/**/pod{uid}"):
            if (folder / "memory.stat").exists():
                return _working_set(folder)
    return 0


def _working_set(folder: Path) -> int:
    stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    usage = folder / "memory.current"
    if not usage.exists():
        usage = folder / "memory.usage_in_bytes"
    reclaimable = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    return int(usage.read_text()) - reclaimable


def mebibytes(quantity: str) -> int:
    """Return a quantity of memory in MiB."""
    units = {"Gi": 1024, "Mi": 1, "Ki": 1 / 1024}
    for unit, factor in units.items():
        if quantity.endswith(unit):
            return int(float(quantity.removesuffix(unit)) * factor)
    return int(quantity) // MEBI


def millicores(quantity: str) -> int:
    """Return a quantity of processor in thousandths."""
    if quantity.endswith("m"):
        return int(quantity.removesuffix("m"))
    return int(float(quantity) * 1000)
