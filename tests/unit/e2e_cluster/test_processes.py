"""Processes by pid and start time."""

import os

import pytest
from tests.e2e.cluster import machine, processes
from tests.e2e.cluster.processes import Process
from tests.e2e.cluster.shell import CommandFailed, run


@pytest.fixture
def sleeper(tmp_path):
    """A process that would sleep for long."""
    started = processes.start(["sleep", "600"], tmp_path / "log", dies_with_us=True)
    yield started
    started.kill()


def test_a_process_is_found_again_by_its_file(sleeper, tmp_path):
    """The next command knows what the last one started."""
    sleeper.save(tmp_path / "pid")
    assert processes.load(tmp_path / "pid") == sleeper
    sleeper.stop()
    assert processes.load(tmp_path / "pid") is None


def test_a_pid_that_is_somebody_else_s_now_is_left_alone(sleeper):
    """The kernel gives pids again; with the start time nobody else is ended."""
    other = Process(sleeper.pid, sleeper.start_ticks - 1)
    assert not other.is_alive()
    other.kill()
    assert sleeper.is_alive()


def test_we_are_alive():
    """A process knows itself by the same two numbers."""
    assert processes.find(os.getpid()).is_alive()


@pytest.mark.parametrize("text", ["", "1", "one two", "4194305 1\n"])
def test_a_file_that_says_nothing_is_no_process(tmp_path, text):
    """A half-written file, or a pid beyond the kernel's, is as good as none."""
    (tmp_path / "pid").write_text(text)
    assert processes.load(tmp_path / "pid") is None
    assert processes.load(tmp_path / "missing") is None


def test_a_command_that_fails_tells_its_last_words():
    """The reason stands in the message."""
    with pytest.raises(CommandFailed, match=r"ended with 3:\nno such thing"):
        run(["sh", "-c", "echo no such thing >&2; exit 3"])


def test_a_command_that_is_missing_is_told():
    """With the way to mend it."""
    with pytest.raises(CommandFailed, match="is not installed"):
        run(["no-such-program-of-ours"])


def test_standard_input_is_a_text_or_a_file(tmp_path):
    """Archives go through as bytes."""
    (tmp_path / "file").write_text("from a file")
    assert run(["cat"], given="from a text") == "from a text"
    assert run(["cat"], source=tmp_path / "file") == "from a file"
    assert run(["cat"]) == ""


def test_control_groups_are_removed_deepest_first(tmp_path, monkeypatch):
    """Whatever depth a crashed run left."""
    monkeypatch.setattr(machine, "CONTROL_GROUPS", tmp_path)
    (tmp_path / "memory" / "recio-x" / "pods" / "a").mkdir(parents=True)
    (tmp_path / "memory" / "cgroup.procs").touch()
    machine.remove_control_groups("recio-x")
    machine.remove_control_groups("recio-x")
    assert not (tmp_path / "memory" / "recio-x").exists()
    assert (tmp_path / "memory").exists()


def test_a_state_folder_that_the_machine_hides_is_refused():
    """Its own mounts would cover it; the message says what to set."""
    if os.geteuid() != 0:
        pytest.skip("only root gets as far")
    made = machine.Machine(machine.Path("/var/lib/somebody/recio"))
    with pytest.raises(CommandFailed, match="set XDG_CACHE_HOME"):
        made.start(machine.Path("/reaper"))


def test_without_a_machine_nothing_is_entered(tmp_path):
    """The message says how to get one."""
    with pytest.raises(machine.NoMachine, match="cluster up"):
        machine.Machine(tmp_path).connected(["true"])
    machine.Machine(tmp_path / "never").remove()
