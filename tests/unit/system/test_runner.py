"""The one door to child processes, with real ones."""

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from csi_zfs.domain.errors import OutcomeUnknownError, UnavailableError
from csi_zfs.system import runner as runner_module
from csi_zfs.system.runner import (
    CommandFailedError,
    CommandMissingError,
    CommandTimeoutError,
    SystemRunner,
)

SHORT_S = 0.3


@pytest.fixture
def runner() -> SystemRunner:
    return SystemRunner()


def is_running(pid: int) -> bool:
    """Whether the process still runs; one that only waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def pid_file(tmp_path: Path) -> Iterator[Path]:
    """Where a command under test notes a child of its own, which is killed at the end."""
    path = tmp_path / "pid"
    yield path
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int(path.read_text()), signal.SIGKILL)


def test_run_gives_status_and_both_outputs(runner: SystemRunner) -> None:
    result = runner.run(["sh", "-c", "echo out; echo err >&2"])
    assert (result.status, result.output, result.error_text) == (0, "out\n", "err\n")


def test_run_with_output_that_is_no_text_keeps_the_rest(runner: SystemRunner) -> None:
    assert runner.run(["printf", r"a\377b"]).output == "a\N{REPLACEMENT CHARACTER}b"


def test_run_with_unexpected_status_raises_with_status_and_words(runner: SystemRunner) -> None:
    with pytest.raises(CommandFailedError, match="sh ended with status 3: no such pool") as caught:
        runner.run(["sh", "-c", "echo no such pool >&2; exit 3"])
    assert caught.value.status == 3
    assert isinstance(caught.value, UnavailableError)


def test_run_that_fails_without_a_word_says_so(runner: SystemRunner) -> None:
    with pytest.raises(CommandFailedError, match="no message"):
        runner.run(["false"])


def test_run_with_expected_status_returns_it(runner: SystemRunner) -> None:
    assert runner.run(["sh", "-c", "exit 2"], expected=(0, 2)).status == 2


def test_run_keeps_only_the_beginning_of_a_long_complaint(runner: SystemRunner) -> None:
    with pytest.raises(CommandFailedError) as caught:
        runner.run(["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1"])
    assert len(str(caught.value)) < 3000


def test_run_of_a_missing_program_names_it(runner: SystemRunner) -> None:
    with pytest.raises(CommandMissingError, match="mkfs-nothing is not installed"):
        runner.run(["mkfs-nothing", "--help"])


def test_run_passes_arguments_through_no_shell(runner: SystemRunner) -> None:
    """rules.md C1."""
    assert runner.run(["echo", "$HOME", "; ls", "`id`", "*"]).output == "$HOME ; ls `id` *\n"


def test_run_gives_the_child_a_clean_environment(
    runner: SystemRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rules.md C4: nothing of the driver's environment reaches a command."""
    monkeypatch.setenv("CANARY_SECRET", "hunter2")
    lines = runner.run(["env"]).output.splitlines()
    assert "LC_ALL=C" in lines
    assert {line.partition("=")[0] for line in lines} <= {"LC_ALL", "PATH", "PWD", "_", "SHLVL"}


def test_run_gives_the_child_no_standard_input(runner: SystemRunner) -> None:
    assert runner.run(["cat"]).output == ""


def test_run_gives_the_child_a_process_group_of_its_own(runner: SystemRunner) -> None:
    pid, _name, _state, _parent, group, *_ = runner.run(["cat", "/proc/self/stat"]).output.split()
    assert group == pid
    assert int(group) != os.getpgrp()


def test_run_lets_the_child_inherit_no_descriptors(runner: SystemRunner, tmp_path: Path) -> None:
    """An inherited descriptor would keep a device or a lock open in a child that hangs."""
    with (tmp_path / "canary").open("w") as file:
        os.set_inheritable(file.fileno(), True)  # noqa: FBT003 - its only form
        assert "canary" not in runner.run(["ls", "-l", "/proc/self/fd"]).output


def test_run_starts_the_child_without_fork_handlers(runner: SystemRunner) -> None:
    """By vfork: the handlers that gRPC registers for a fork can deadlock its server."""
    calls: list[str] = []
    os.register_at_fork(before=lambda: calls.append("fork"))
    runner.run(["true"])
    assert calls == []


def test_deadline_kills_the_whole_process_group(runner: SystemRunner, pid_file: Path) -> None:
    script = f"sleep 1000 & echo $! >{pid_file}; wait"
    with pytest.raises(CommandTimeoutError, match=r"sh did not end within 0\.3 s") as caught:
        runner.run(["sh", "-c", script], timeout_s=SHORT_S)
    assert isinstance(caught.value, OutcomeUnknownError)
    assert not is_running(int(pid_file.read_text()))


def test_deadline_holds_though_a_child_cannot_be_reaped(
    runner: SystemRunner, pid_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child in an uninterruptible call (here: one that left the group) is left behind."""
    monkeypatch.setattr(runner_module, "_KILL_TIMEOUT_S", SHORT_S)
    script = f"setsid sh -c 'echo $$ >{pid_file}; exec sleep 1000' & wait"
    with pytest.raises(CommandTimeoutError):
        runner.run(["sh", "-c", script], timeout_s=SHORT_S)
    assert is_running(int(pid_file.read_text()))


def test_interrupt_kills_the_child_and_goes_on_up(
    runner: SystemRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids: list[int] = []

    def interrupted(child: subprocess.Popen[bytes], timeout: float) -> None:
        monkeypatch.undo()
        assert child.stdout is not None
        pids.append(int(child.stdout.readline()))
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runner.run(["sh", "-c", "echo $$; exec sleep 1000"])
    assert not is_running(pids[0])


def test_runs_from_many_threads_do_not_mix(runner: SystemRunner) -> None:
    with ThreadPoolExecutor(16) as threads:
        outputs = list(threads.map(lambda i: runner.run(["echo", str(i)]).output, range(64)))
    assert outputs == [f"{i}\n" for i in range(64)]
