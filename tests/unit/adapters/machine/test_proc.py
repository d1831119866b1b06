"""What /proc says of the machine."""

import pytest

from recio.adapters.machine import proc
from recio.domain.health import CpuTicks

STAT = "cpu  100 5 50 800 40 3 2 0 7 0\ncpu0 100 5 50 800 40 3 2 0 7 0\nintr 5\n"
MEMINFO = "MemTotal:        4000 kB\nMemFree:          100 kB\nMemAvailable:    1000 kB\n"


@pytest.fixture
def fake_proc(tmp_path):
    """A /proc with known contents."""
    (tmp_path / "stat").write_text(STAT)
    (tmp_path / "meminfo").write_text(MEMINFO)
    return tmp_path


def test_ticks_and_kilobytes_are_read(fake_proc):
    """Idle and waiting for a disk are not busy; guest time is not counted twice."""
    found = proc.sample("/", fake_proc)
    assert found.cpu == CpuTicks(total=1000, busy=160)
    assert found.memory_total_bytes == 4_096_000
    assert found.memory_available_bytes == 1_024_000
    assert found.disk_total_bytes >= found.disk_available_bytes > 0


@pytest.mark.parametrize("text", ["", "cpu", "cpu 1 2", "cpu a b c d e f g h", "x 1 2 3 4 5 6 7 8"])
def test_a_file_that_reads_differently_gives_none(fake_proc, text):
    """Nothing is made of a line that is not understood."""
    (fake_proc / "stat").write_text(text)
    (fake_proc / "meminfo").write_text(text)
    found = proc.sample("/", fake_proc)
    assert found.cpu is None
    assert found.memory_total_bytes is None


def test_a_machine_without_proc_gives_none(tmp_path):
    """Another system than Linux, or a path that does not exist, is unknown."""
    found = proc.sample(str(tmp_path / "gone"), tmp_path / "gone")
    assert (found.cpu, found.memory_total_bytes, found.disk_total_bytes) == (None, None, None)


def test_this_machine_answers():
    """The real files are understood."""
    found = proc.sample("/")
    assert found.cpu is not None
    assert found.cpu.total > found.cpu.busy > 0
