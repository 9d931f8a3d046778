from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from e2e.cluster import suites
from e2e.cluster.cluster import Cluster
from e2e.cluster.errors import CommandFailedError, StartFailedError
from e2e.cluster.run import Selection, pytest_command, streamed
from e2e.cluster.suites import SHORT_SUITES, SUITES, Suite, run_suites
from e2e.vm.results import Counts

CHECKOUT = Path(__file__).parents[3]
CHOSEN = (Suite("nodes", ("a",)), Suite("life", ("b",)))


class FakeCluster:
    """A cluster of which a node may stay away once it has ended."""

    def __init__(self, *, comes_back: bool = True) -> None:
        self.comes_back = comes_back

    def revive(self) -> None:
        if not self.comes_back:
            raise StartFailedError("zfs1 does not become a node")


@contextmanager
def started() -> Iterator[Cluster]:
    yield cast("Cluster", FakeCluster())


@contextmanager
def broken() -> Iterator[Cluster]:
    yield cast("Cluster", FakeCluster(comes_back=False))


@contextmanager
def not_started() -> Iterator[Cluster]:
    yield from ()
    raise StartFailedError("etcd has ended")


@pytest.fixture(autouse=True)
def _reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "read_counts", lambda _results: Counts(3, 0, 1))


def test_every_suite_names_paths_that_exist_and_is_shown_by_ci() -> None:
    for suite in (*SUITES, *SHORT_SUITES):
        paths = [word for word in suite.arguments if "/" in word]
        assert paths
        assert all((CHECKOUT / path).exists() for path in paths)
        assert suite.name.isalpha()
        assert suite.name.islower()


def test_every_module_of_tests_is_in_a_suite() -> None:
    modules = sorted((CHECKOUT / "e2e" / "cluster" / "tests").glob("test_*.py"))
    named = sorted(word for suite in SUITES for word in suite.arguments)
    assert named == [str(path.relative_to(CHECKOUT)) for path in modules]


def test_suites_that_pass_are_a_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suites, "run_pytest", lambda _checkout, _selection: 0)
    assert run_suites(CHECKOUT, started, tmp_path, limit_s=1, chosen=CHOSEN) == 0
    assert capsys.readouterr().out.splitlines() == [
        "=== a real cluster",
        "passed   nodes: 3 passed, 0 failed, 1 skipped (0 s)",
        "passed   life: 3 passed, 0 failed, 1 skipped (0 s)",
        "2 passed, 0 failed",
    ]


def test_suite_that_fails_is_a_failure_and_the_next_one_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_checkout: Path, selection: Selection) -> int:
        if selection.results.name == "nodes":
            raise CommandFailedError("the tests did not end within 1 s")
        return 0

    monkeypatch.setattr(suites, "run_pytest", run)
    assert run_suites(CHECKOUT, started, tmp_path, limit_s=1, chosen=CHOSEN) == 1
    printed = capsys.readouterr().out
    assert "FAILED   nodes: the run failed, see above" in printed
    assert "passed   life: 3 passed" in printed


def test_cluster_that_does_not_come_up_fails_every_suite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_suites(CHECKOUT, not_started, tmp_path, limit_s=1, chosen=CHOSEN) == 1
    printed = capsys.readouterr().out
    assert "etcd has ended" in printed
    assert printed.count("the cluster did not come up") == len(CHOSEN)
    assert printed.endswith("0 passed, 2 failed\n")


def test_node_that_does_not_come_back_fails_every_suite_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suites, "run_pytest", lambda _checkout, _selection: 0)
    assert run_suites(CHECKOUT, broken, tmp_path, limit_s=1, chosen=CHOSEN) == 1
    printed = capsys.readouterr().out
    assert "zfs1 does not become a node" in printed
    assert printed.count("was not whole again") == len(CHOSEN)


def test_run_leaves_its_report_and_the_logs_in_one_directory(tmp_path: Path) -> None:
    command = pytest_command(Selection(("e2e/cluster/tests", "-x"), tmp_path))
    assert f"--junit-xml={tmp_path}/junit.xml" in command
    assert f"--results={tmp_path}" in command
    assert command[-2:] == ["e2e/cluster/tests", "-x"]


def test_command_is_passed_on_and_kept_with_its_status(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "output").open("wb") as output:
        status = streamed(["sh", "-c", "echo words; exit 3"], tmp_path, output, limit_s=30)
    assert status == 3
    assert (tmp_path / "output").read_text() == capfd.readouterr().out == "words\n"


def test_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with (
        (tmp_path / "output").open("wb") as output,
        pytest.raises(CommandFailedError, match="did not end within"),
    ):
        streamed(["sleep", "60"], tmp_path, output, limit_s=0.1)
