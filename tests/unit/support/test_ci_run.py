"""`.ci/run` with a `make` of the test's own: what it asks for, what it skips, what it says."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[3] / ".ci" / "run"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory with nothing but `.ci/run`, and a `make` that does nothing and skips one test."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(RUN, tmp_path / ".ci")
    make = tmp_path / "bin" / "make"
    make.parent.mkdir()
    make.write_text("#!/bin/sh\necho made $2\necho 'skipped 1: needs CAP_SYS_RESOURCE'\n")
    make.chmod(0o755)
    return tmp_path


def run(checkout: Path, without: str) -> subprocess.CompletedProcess[str]:
    path = f"{checkout / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        [checkout / ".ci" / "run"],
        env={"PATH": path, "CSI_ZFS_CI_WITHOUT": without},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("without", ["rot", "root,og", "*", "root go"])
def test_ci_run_without_something_that_it_does_not_know_runs_nothing(
    checkout: Path, without: str
) -> None:
    """A misspelt word would else let a tier be tried, or be taken for one that has run."""
    result = run(checkout, without)
    assert result.returncode == 2
    assert result.stdout == ""
    assert "CSI_ZFS_CI_WITHOUT" in result.stderr
    assert "root, go" in result.stderr


@pytest.mark.parametrize(
    ("without", "skipped"),
    [("", []), ("root", ["root"]), ("go", ["go"]), (" root , go,", ["root"])],
)
def test_ci_run_skips_with_words_what_the_machine_is_documented_to_be_without(
    checkout: Path, without: str, skipped: list[str]
) -> None:
    result = run(checkout, without)
    assert result.returncode == 0, result.stderr
    for need in skipped:
        words = f"skipped  sanity: this machine is documented to be without {need}"
        assert words in result.stdout
    assert ("made sanity" in result.stdout) == (not skipped)


def test_ci_run_names_single_tests_that_were_skipped_in_its_summary(checkout: Path) -> None:
    """A test may need what not every machine has, without being a tier."""
    summary = run(checkout, "").stdout.partition("=== summary")[2]
    assert "skipped 1: needs CAP_SYS_RESOURCE" in summary


def test_ci_run_goes_on_after_a_tier_that_fails_and_fails_at_the_end(checkout: Path) -> None:
    (checkout / "bin" / "make").write_text('#!/bin/sh\necho made $2\n[ "$2" != lint ]\n')
    result = run(checkout, "")
    assert result.returncode == 1
    assert "FAILED   lint" in result.stdout
    assert "made sanity" in result.stdout
