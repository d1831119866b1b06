"""Metrics: names by rule, one registry, series by service."""

from __future__ import annotations

import pytest

from recio.domain.errors import Broken
from recio.runtime.metrics import Metrics, ProcessMetrics


def test_services_of_one_process_share_families_and_not_series():
    """The same name from two services are two series."""
    process = ProcessMetrics()
    for service, amount in (("trade_executor", 1), ("trade_manager", 2)):
        counter = Metrics(process, service=service, account="paper").counter(
            "recio_orders_total", "Orders.", "result"
        )
        counter.inc(amount, "sent")
    text = process.text().decode()
    assert 'recio_orders_total{account="paper",result="sent",service="trade_executor"} 1.0' in text
    assert 'recio_orders_total{account="paper",result="sent",service="trade_manager"} 2.0' in text


def test_all_kinds_are_in_the_text():
    """Gauges and histograms beside counters; a service without an account has an empty label."""
    process = ProcessMetrics()
    metrics = Metrics(process, service="main_app", account=None)
    metrics.gauge("recio_browsers_connected", "Browsers.").set(3)
    metrics.histogram("recio_send_seconds", "Time.", buckets=(1, 2)).observe(1.5)
    text = process.text().decode()
    assert 'recio_browsers_connected{account="",service="main_app"} 3.0' in text
    assert 'recio_send_seconds_bucket{account="",le="2.0",service="main_app"} 1.0' in text


@pytest.mark.parametrize("name", ["orders_total", "recio_orders", "recio_Orders_total", "recio_"])
def test_a_counter_is_named_by_the_rule(name):
    """recio_<thing>_<unit>_total, in full words."""
    with pytest.raises(Broken):
        Metrics(ProcessMetrics(), service="x", account=None).counter(name, "…")


def test_one_name_is_one_metric():
    """A name cannot be a counter here and something else there."""
    process = ProcessMetrics()
    metrics = Metrics(process, service="x", account=None)
    metrics.counter("recio_orders_total", "Orders.")
    with pytest.raises(Broken, match="recio_orders_total"):
        metrics.counter("recio_orders_total", "Orders.", "result")
