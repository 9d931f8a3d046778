import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from e2e.cluster.bench.metrics import CREATE_SNAPSHOT, CREATE_VOLUME, Calls, parse_calls
from e2e.cluster.bench.unthrottled import unthrottled
from e2e.cluster.bench.watching import arrival_of, timed_lines
from e2e.cluster.cluster import Cluster
from e2e.cluster.control_plane import CONTROLLER_MANAGER, SNAPSHOT_CONTROLLER, ControlPlane
from e2e.cluster.errors import CommandFailedError
from e2e.cluster.layout import Layout
from e2e.cluster.processes import Processes
from tests.unit.e2e.test_plan import PLAN

_CONTROLLERS = (CONTROLLER_MANAGER, SNAPSHOT_CONTROLLER)
_NAME = "csi_sidecar_operations_seconds"
_METRICS = f"""\
# HELP {_NAME} [ALPHA] Container Storage Interface operation duration
# TYPE {_NAME} histogram
{_NAME}_bucket{{grpc_status_code="OK",method_name="/csi.v1.Controller/CreateVolume",le="0.1"}} 1
{_NAME}_bucket{{grpc_status_code="OK",method_name="/csi.v1.Controller/CreateVolume",le="+Inf"}} 4
{_NAME}_sum{{grpc_status_code="OK",method_name="/csi.v1.Controller/CreateVolume"}} 2.0
{_NAME}_count{{grpc_status_code="OK",method_name="/csi.v1.Controller/CreateVolume"}} 4
{_NAME}_sum{{grpc_status_code="Aborted",method_name="/csi.v1.Controller/CreateVolume"}} 60.0
{_NAME}_count{{grpc_status_code="Aborted",method_name="/csi.v1.Controller/CreateVolume"}} 1
"""


def lines_of(*blocks: bytes) -> Sequence[str]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        with os.fdopen(writing, "wb", buffering=0) as file:
            for block in blocks:
                file.write(block)
        return [line for _, line in timed_lines(pipe, limit_s=5)]


def test_calls_are_those_that_succeeded_of_one_method() -> None:
    assert parse_calls(_METRICS, CREATE_VOLUME) == Calls(4, 2.0)
    assert parse_calls(_METRICS, CREATE_SNAPSHOT) == Calls()
    assert (Calls(4, 2.0) - Calls(2, 0.5) + Calls(1, 0.3)).mean_s == pytest.approx(0.6)


def test_arrival_is_that_of_the_last_name_and_reads_no_further() -> None:
    lines = iter([(1.0, "a "), (2.0, "other Bound"), (3.0, "b Bound"), (4.0, "a Bound"), (5.0, "")])
    assert arrival_of(lines, ["a", "b"], "Bound") == 4.0
    assert next(lines) == (5.0, "")


def test_watch_that_ends_early_names_who_is_missing() -> None:
    lines = iter([(1.0, "a Bound"), (2.0, "b Pending")])
    with pytest.raises(CommandFailedError, match="before b"):
        arrival_of(lines, ["a", "b"], "Bound")


def test_lines_that_come_in_pieces_are_whole() -> None:
    assert lines_of(b"a Bo", b"und\nb Bound\nc", b" x\n") == ["a Bound", "b Bound", "c x"]


def test_silence_ends() -> None:
    reading, writing = os.pipe()
    with (
        os.fdopen(reading, "rb") as pipe,
        os.fdopen(writing, "wb"),
        pytest.raises(CommandFailedError, match=r"after 0\.05 s"),
    ):
        next(timed_lines(pipe, limit_s=0.05))


@pytest.fixture(name="cluster")
def fixture_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster whose controllers run, and do nothing."""
    cluster = Cluster(Layout(tmp_path / "cluster"), PLAN)
    cluster.layout.prepare()
    cluster.layout.programs.mkdir()
    os.mkfifo(never := tmp_path / "never")
    for name in _CONTROLLERS:
        program = Path(cluster.layout.program(name))
        program.write_text(f"#!/bin/sh\nread -r _ <{never}\n")
        program.chmod(0o755)
    ControlPlane(cluster.layout, PLAN).start(*_CONTROLLERS)
    yield cluster
    for process in Processes(cluster.layout.processes).all():
        process.kill()


def flags_of(cluster: Cluster) -> set[str]:
    """The flags that both controllers have, which run."""
    found = [Processes(cluster.layout.processes).find(name) for name in _CONTROLLERS]
    running = [process for process in found if process is not None and process.is_running()]
    assert len(running) == len(_CONTROLLERS)
    words = [Path(f"/proc/{one.pid}/cmdline").read_text().split("\0") for one in running]
    return {word for word in set.intersection(*map(set, words)) if word.startswith("--")}


def test_controllers_are_without_limits_for_so_long_only(cluster: Cluster) -> None:
    before = flags_of(cluster)
    with unthrottled(cluster):
        assert flags_of(cluster) - before == {"--kube-api-qps=1000", "--kube-api-burst=1000"}
    assert flags_of(cluster) == before
