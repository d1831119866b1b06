"""Metrics of a process: one registry, every series labelled with service and account.

Names are ``recio_<thing>_<unit>`` in full words, counters end in ``_total``. Services of one
process share families and never see each other's series. ``process_*`` (CPU, memory, files) are the whole
process's and carry no labels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from recio.domain.errors import Broken

LATENCY_BUCKETS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_NAME: Final = re.compile(r"recio_[a-z0-9]+(_[a-z0-9]+)+", re.ASCII)
_OWN: Final = ("service", "account")


class CounterMetric:
    """A number that only rises."""

    def __init__(self, family: Counter, own: tuple[str, str]) -> None:
        self._family = family
        self._own = own
        self._series: dict[tuple[str, ...], Counter] = {}

    def inc(self, amount: float = 1, *labels: str) -> None:
        """Raise the series of these label values."""
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = self._family.labels(*self._own, *labels)
        series.inc(amount)


class GaugeMetric:
    """A number that goes up and down."""

    def __init__(self, family: Gauge, own: tuple[str, str]) -> None:
        self._family = family
        self._own = own

    def set(self, value: float, *labels: str) -> None:
        """Set the series of these label values."""
        self._family.labels(*self._own, *labels).set(value)


class HistogramMetric:
    """How often a measure fell into each bucket."""

    def __init__(self, family: Histogram, own: tuple[str, str]) -> None:
        self._family = family
        self._own = own

    def observe(self, value: float, *labels: str) -> None:
        """Count one measure in the series of these label values."""
        self._family.labels(*self._own, *labels).observe(value)


class ProcessMetrics:
    """The registry of a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # CPU time and resident memory under their usual names: what system_monitor reads.
        ProcessCollector(registry=self.registry)
        self._families: dict[str, tuple[type[Any], tuple[str, ...], Any]] = {}

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def family(
        self, kind: type[Any], name: str, about: str, labels: Sequence[str], **options: object
    ) -> Any:  # noqa: ANN401 (one of three classes of prometheus_client)
        """Return the family of that name, made at its first use.

        Raises:
            Broken: the name breaks the rule, or is in use with another type or other labels.
        """
        if _NAME.fullmatch(name) is None or (kind is Counter) != name.endswith("_total"):
            raise Broken(f"expected recio_<thing>_<unit>, counters with _total, received {name!r}")
        known = self._families.get(name)
        if known is None:
            made = kind(name, about, (*_OWN, *labels), registry=self.registry, **options)
            known = self._families[name] = (kind, tuple(labels), made)
        if known[:2] != (kind, tuple(labels)):
            raise Broken(f"the metric {name} exists with another type or other labels")
        return known[2]


class Metrics:
    """What one service of a process measures."""

    def __init__(self, process: ProcessMetrics, *, service: str, account: str | None) -> None:
        self._process = process
        self._own = (service, account or "")

    def counter(self, name: str, about: str, *labels: str) -> CounterMetric:
        """Return the counter ``name``; ``labels`` are the names of its labels."""
        return CounterMetric(self._process.family(Counter, name, about, labels), self._own)

    def gauge(self, name: str, about: str, *labels: str) -> GaugeMetric:
        """Return the gauge ``name``."""
        return GaugeMetric(self._process.family(Gauge, name, about, labels), self._own)

    def histogram(
        self, name: str, about: str, *labels: str, buckets: Sequence[float] = LATENCY_BUCKETS_S
    ) -> HistogramMetric:
        """Return the histogram ``name``; its buckets are upper bounds, ascending."""
        family = self._process.family(Histogram, name, about, labels, buckets=buckets)
        return HistogramMetric(family, self._own)
