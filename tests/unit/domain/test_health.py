"""Levels of a machine and its services."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain import health
from recio.domain.health import CpuTicks, Level, MachineSample, ProbeResult


@pytest.mark.parametrize(
    ("threshold", "warning", "critical"),
    [
        (health.CPU_PERMILLE, 800, 950),
        (health.MEMORY_PERMILLE, 850, 950),
        (health.DISK_PERMILLE, 800, 900),
        (health.LATENCY_MS, 100, 500),
    ],
)
def test_a_level_begins_at_its_threshold(threshold, warning, critical):
    """80/95, 85/95, 80/90 percent and 100/500 ms: the bound itself belongs to the harder level."""
    assert threshold.level(warning - 1) is Level.OK
    assert threshold.level(warning) is Level.WARNING
    assert threshold.level(critical - 1) is Level.WARNING
    assert threshold.level(critical) is Level.CRITICAL


def test_what_was_not_measured_is_unknown():
    """No number is made up for what the machine does not say."""
    nothing = MachineSample(
        cpu=None,
        memory_total_bytes=None,
        memory_available_bytes=None,
        disk_total_bytes=None,
        disk_available_bytes=None,
    )
    found = health.machine_health(nothing, nothing)
    assert found.level is Level.UNKNOWN
    assert (found.cpu_permille, found.memory_permille, found.disk_permille) == (None, None, None)
    assert health.CPU_PERMILLE.level(None) is Level.UNKNOWN


def sample(busy, total, *, memory=500, disk=500):
    """Return a sample with available memory and disk of 1000 each."""
    return MachineSample(
        cpu=CpuTicks(total=total, busy=busy),
        memory_total_bytes=1000,
        memory_available_bytes=memory,
        disk_total_bytes=1000,
        disk_available_bytes=disk,
    )


def test_the_worst_measure_decides_and_is_named():
    """A full disk is critical though CPU and memory are well."""
    found = health.machine_health(sample(100, 1000), sample(150, 1100, disk=50))
    assert found.cpu_permille == 500
    assert found.level is Level.CRITICAL
    assert found.reason == "disk critical: 90 % or more in use"


def test_the_first_sample_has_no_cpu_share():
    """CPU is a difference of two samples; before that it is unknown and decides nothing."""
    found = health.machine_health(None, sample(100, 1000))
    assert found.cpu_permille is None
    assert found.level is Level.OK


def test_a_counter_that_restarted_gives_no_share():
    """A counter below its last value tells nothing of the time between."""
    assert health.cpu_permille(CpuTicks(1000, 100), CpuTicks(10, 5)) is None
    assert health.cpu_permille(CpuTicks(1000, 100), CpuTicks(1100, 50)) is None
    assert health.process_cpu_permille(10, 5, elapsed_us=100) is None
    assert health.process_cpu_permille(None, 5, elapsed_us=100) is None
    assert health.process_cpu_permille(5, 10, elapsed_us=0) is None


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_a_used_share_is_a_share(total, available):
    """Whatever is reported, the share lies between nothing and everything, or is unknown."""
    share = health.used_permille(total, available)
    assert share is None if total == 0 else 0 <= share <= 1000


@pytest.mark.parametrize(
    ("is_ready", "latency_ms", "level", "reason"),
    [
        (True, 3, Level.OK, ""),
        (True, 100, Level.WARNING, "answers in 100 ms or more"),
        (True, 900, Level.CRITICAL, "answers in 500 ms or more"),
        (False, 3, Level.CRITICAL, "prices are old"),
        (False, None, Level.CRITICAL, "prices are old"),
    ],
)
def test_a_service_is_judged_by_readiness_then_latency(is_ready, latency_ms, level, reason):
    """A running process that cannot do its job is not healthy."""
    result = ProbeResult(is_ready=is_ready, reason="prices are old", latency_ms=latency_ms)
    assert health.service_level(result) == (level, reason)


def test_an_unready_service_without_a_reason_says_so():
    """A person always reads something."""
    result = ProbeResult(is_ready=False, reason="", latency_ms=1)
    assert health.service_level(result)[1] == "is not ready and does not say why"
