"""The list of all targets: what is not in it, is not fuzzed."""

from tests.fuzz import (
    history,
    journal_files,
    kalshi_rest,
    kalshi_stream,
    ours,
    people,
    price_feeds,
    research_models,
    research_sweep,
    research_tapes,
    simulator,
)
from tests.fuzz.targets import Target

TARGETS: tuple[Target, ...] = (
    *kalshi_rest.TARGETS,
    *kalshi_stream.TARGETS,
    *price_feeds.TARGETS,
    *ours.TARGETS,
    *history.TARGETS,
    *journal_files.TARGETS,
    *people.TARGETS,
    *research_models.TARGETS,
    *research_sweep.TARGETS,
    *research_tapes.TARGETS,
    *simulator.TARGETS,
)

NOT_FROM_OUTSIDE = {
    "services/recio/exchange_simulator/store.py": "rows that only the simulator writes",
    "services/recio/exchange_simulator/store_read.py": "rows that only the simulator writes",
    "services/recio/exchange_simulator/standalone.py": "the answer of the simulator to itself",
    "services/recio/data/__init__.py": "files of the package, held by checksum",
    "services/recio/data/frames.py": "files of the package, held by checksum",
    "services/recio/data/minutes.py": "files of the package, held by checksum",
    "services/recio/data/seconds.py": "files of the package, held by checksum",
    "services/recio/adapters/postgres/status.py": "the document that the gate has parsed",
    "services/recio/runtime/local/fast.py": "the answer of the simulator in the same process",
    "services/recio/runtime/local/keys.py": "the answer of the simulator that it has started",
    "services/recio/cli_simulate.py": "the plan that the same command has written",
    "services/recio/domain/volatility_model.py": "files of the package, held by checksum",
    "services/recio/adapters/postgres/disputes.py": "rows that only the account's services write",
    "services/recio/apps/kalshi_account_sync/checking.py": "rows that have been decoded before",
    "services/recio/simulation/": "what a simulation writes and reads itself",
    "operator/recio_operator/release.py": "the file that our chart renders",
    "operator/recio_operator/cluster_cache.py": "its own encoding, kept in memory",
}
"""Modules (or folders) that decode only what the same release has written, and why that is so."""
