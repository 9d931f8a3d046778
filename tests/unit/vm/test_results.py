from pathlib import Path

import pytest

from e2e.vm.results import Counts, NoReportError, parse_counts, read_counts

REPORT = """<?xml version="1.0"?><testsuites>
<testsuite name="pytest" errors="1" failures="2" skipped="3" tests="10" time="1"></testsuite>
</testsuites>"""


def test_counts_take_an_error_for_a_failure() -> None:
    assert parse_counts(REPORT) == Counts(passed=4, failed=3, skipped=3)


def test_counts_read_as_the_line_of_a_test_runner() -> None:
    assert str(Counts(passed=4, failed=3, skipped=2)) == "4 passed, 3 failed, 2 skipped"


def test_run_without_a_report_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoReportError, match="no report"):
        read_counts(tmp_path)


def test_report_is_read_from_its_directory(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(REPORT)
    assert read_counts(tmp_path).passed == 4
