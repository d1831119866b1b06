"""What the operator measures, under ``recio_operator_*``."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

SECONDS_BUCKETS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class OperatorMetrics:
    """The operator's metrics in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.reconciles = Counter(
            "recio_operator_reconciles_total",
            "Reconciles by kind of object and result (ok, later, failed, crashed).",
            ["kind", "result"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "recio_operator_reconcile_seconds",
            "How long a reconcile took.",
            ["kind"],
            buckets=SECONDS_BUCKETS,
            registry=self.registry,
        )
        self.depth = self._gauge("recio_operator_queue_depth", "Objects that wait for a worker.")
        self.writes = Counter(
            "recio_operator_api_writes_total",
            "Requests to the API server that change something.",
            registry=self.registry,
        )
        self.accounts = Gauge(
            "recio_operator_accounts",
            "Accounts by mode and whether they are Ready.",
            ["mode", "ready"],
            registry=self.registry,
        )
        self.books_age = self._gauge(
            "recio_operator_books_age_seconds", "Since when the database has told nothing."
        )
        self.watch_restarts = self._gauge(
            "recio_operator_watch_restarts", "How often watching had to be started again."
        )

    def _gauge(self, name: str, about: str) -> Gauge:
        return Gauge(name, about, registry=self.registry)
