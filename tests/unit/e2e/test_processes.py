import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.errors import StartFailedError
from e2e.cluster.processes import Process, Processes, child_of, parse_record

_LIMIT_S = 30.0


@pytest.fixture(name="processes")
def fixture_processes(tmp_path: Path) -> Iterator[Processes]:
    """Processes of this test alone, all ended afterwards."""
    directory = tmp_path / "processes"
    directory.mkdir()
    processes = Processes(directory)
    yield processes
    for process in processes.all():
        process.kill()


def start(processes: Processes, *command: str) -> Process:
    log = processes.directory.parent / "log"
    return processes.start("sleeper", command or ("sleep", "60"), log)


def test_process_is_recorded_when_it_has_started(processes: Processes) -> None:
    process = start(processes)
    assert process.is_running()
    assert processes.find("sleeper") == process
    assert processes.all() == [process]


def test_record_survives_what_the_process_becomes(processes: Processes) -> None:
    process = start(processes, "sh", "-c", "echo has begun; exec sleep 60")
    assert process.is_running()
    assert Path(f"/proc/{process.pid}/stat").exists()


def test_process_goes_on_without_whoever_started_it(processes: Processes) -> None:
    """It is nobody's child: a harness that is killed takes nothing along, and reaps nothing."""
    process = start(processes)
    stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    parent, session = int(stat[1]), int(stat[3])
    assert parent != os.getpid()
    assert session == process.pid


def test_killed_process_is_waited_for(processes: Processes) -> None:
    process = start(processes)
    assert not process.wait(0.0)
    process.kill()
    assert process.wait(_LIMIT_S)
    assert not process.is_running()


@pytest.mark.parametrize("change", [{"start_ticks": 1}, {"boot": "another boot"}])
def test_other_process_with_the_same_number_is_left_alone(
    processes: Processes, change: dict[str, object]
) -> None:
    process = start(processes)
    recycled = dataclasses.replace(process, **change)  # type: ignore[arg-type]
    assert not recycled.is_running()
    recycled.kill()
    recycled.kill_child()
    assert recycled.wait(0.0)
    assert process.is_running()


def test_number_that_nobody_has_is_ended(processes: Processes) -> None:
    gone = Process("gone", 2**22 + 1, 1, "boot")
    assert not gone.is_running()
    gone.kill()
    assert gone.wait(0.0)


def test_child_is_killed_and_its_parent_sees_it(processes: Processes) -> None:
    process = start(processes, "sh", "-c", "echo begun; sleep 60; exit 0")
    while child_of(process) is None:
        assert process.is_running()
    process.kill_child()
    assert process.wait(_LIMIT_S)
    assert child_of(process) is None


def test_process_that_runs_is_not_started_again(processes: Processes) -> None:
    """Its record would be lost, and nobody would ever end it."""
    process = start(processes)
    with pytest.raises(StartFailedError, match="runs already"):
        start(processes)
    assert processes.find("sleeper") == process


def test_output_goes_into_the_log(processes: Processes) -> None:
    process = start(processes, "sh", "-c", "echo words; echo more >&2")
    assert process.wait(_LIMIT_S)
    assert (processes.directory.parent / "log").read_text() == "words\nmore\n"


def test_process_that_cannot_be_recorded_does_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with pytest.raises(StartFailedError, match="could not be recorded"):
        Processes(tmp_path / "missing").start("touch", ["touch", str(marker)], tmp_path / "log")
    assert not marker.exists()


def test_record_is_parsed_as_it_was_written() -> None:
    assert parse_record("etcd", "12 345 6-7\n") == Process("etcd", 12, 345, "6-7")
