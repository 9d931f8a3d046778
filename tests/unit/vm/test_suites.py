from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from e2e.vm import suites
from e2e.vm.errors import VmError
from e2e.vm.results import Counts
from e2e.vm.run import Selection
from e2e.vm.suites import SHORT_SUITES, SUITES, Outcome, run_suites, summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.vm.guest import Guest

CHECKOUT = Path(__file__).parents[3]
COUNTS = Counts(9, 0, 1)


class Boots:
    """Counts boots, and says in which one each suite ran."""

    def __init__(self, failing: frozenset[str] = frozenset()) -> None:
        self.ran: list[tuple[int, str]] = []
        self._failing = failing
        self._count = 0

    @contextmanager
    def boot(self) -> "Iterator[Guest]":
        self._count += 1
        yield cast("Guest", self._count)

    def run_pytest(self, _checkout: Path, guest: "Guest", selection: Selection) -> int:
        name = selection.results.name
        self.ran.append((cast("int", guest), name))
        if name in self._failing:
            raise VmError("the guest died")
        return 0


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(suites, "read_counts", lambda _results: COUNTS)
    return tmp_path


def test_summary_has_a_line_per_suite_and_ends_with_the_count() -> None:
    well = Outcome("platform", 0, COUNTS, 31.2)
    badly = Outcome("contract", 1, Counts(5, 2, 0), 60.0)
    not_at_all = Outcome("sanity", 1, None, 3.0, "the guest failed, see above")
    assert summary([well, badly, not_at_all]).splitlines() == [
        "=== real OpenZFS",
        "passed   platform: 9 passed, 0 failed, 1 skipped (31 s)",
        "FAILED   contract: 5 passed, 2 failed, 0 skipped (60 s)",
        "FAILED   sanity: the guest failed, see above (3 s)",
        "1 passed, 2 failed",
    ]


def test_every_suite_names_paths_that_exist() -> None:
    for suite in (*SUITES, *SHORT_SUITES):
        paths = [word.removeprefix("--ignore=") for word in suite.arguments if "/" in word]
        assert paths
        assert all((CHECKOUT / path).exists() for path in paths)


def test_suites_share_a_boot_unless_they_need_one_of_their_own(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boots = Boots()
    monkeypatch.setattr(suites, "run_pytest", boots.run_pytest)
    assert run_suites(CHECKOUT, boots.boot, results, limit_s=1) == 0
    shared = [suite.name for suite in SUITES if not suite.needs_own_boot]
    own = [suite.name for suite in SUITES if suite.needs_own_boot]
    assert boots.ran == [*((1, name) for name in shared), *enumerate(own, start=2)]


def test_guest_that_fails_costs_one_suite(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    boots = Boots(failing=frozenset({"contract"}))
    monkeypatch.setattr(suites, "run_pytest", boots.run_pytest)
    assert run_suites(CHECKOUT, boots.boot, results, limit_s=1) == 1
    assert [name for _, name in boots.ran] == [suite.name for suite in SUITES]
    assert (2, "sanity") in boots.ran
    assert "FAILED   contract: the guest failed" in capsys.readouterr().out
