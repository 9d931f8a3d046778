from pathlib import Path

from e2e.vm.results import Counts
from e2e.vm.suites import SUITES, Outcome, summary

CHECKOUT = Path(__file__).parents[3]


def test_summary_has_a_line_per_suite_and_ends_with_the_count() -> None:
    well = Outcome("platform", 0, Counts(9, 0, 1), 31.2)
    badly = Outcome("contract", 1, Counts(5, 2, 0), 60.0)
    assert summary([well, badly]).splitlines() == [
        "=== real OpenZFS",
        "passed   platform: 9 passed, 0 failed, 1 skipped (31 s)",
        "FAILED   contract: 5 passed, 2 failed, 0 skipped (60 s)",
        "1 passed, 1 failed",
    ]


def test_every_suite_names_a_path_that_exists() -> None:
    assert SUITES
    assert all((CHECKOUT / arguments[0]).exists() for arguments in SUITES.values())
