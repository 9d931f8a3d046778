"""The suites that need real OpenZFS, all run in one guest."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.vm.guest import Guest
from e2e.vm.results import Counts, read_counts
from e2e.vm.run import Selection, run_pytest

# Every suite by its name, with the arguments of pytest.
SUITES: dict[str, tuple[str, ...]] = {
    "platform": ("e2e/zfs",),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a suite ended."""

    name: str
    status: int
    counts: Counts
    took_s: float

    def __str__(self) -> str:
        word = "passed" if self.status == 0 else "FAILED"
        return f"{word}   {self.name}: {self.counts} ({self.took_s:.0f} s)"


def run_suites(checkout: Path, guest: Guest, results: Path, *, limit_s: float) -> int:
    """Run every suite and print what became of each; returns 0 when all passed.

    Raises:
        VmError: the guest failed, or a suite left no report.
    """
    outcomes = [
        _outcome(checkout, guest, Selection(arguments, results / name, limit_s))
        for name, arguments in SUITES.items()
    ]
    print(summary(outcomes), flush=True)
    return int(any(outcome.status != 0 for outcome in outcomes))


def summary(outcomes: Sequence[Outcome]) -> str:
    """A line per suite, and the number of suites as the last line."""
    failed = sum(outcome.status != 0 for outcome in outcomes)
    lines = [str(outcome) for outcome in outcomes]
    return "\n".join(
        ["=== real OpenZFS", *lines, f"{len(outcomes) - failed} passed, {failed} failed"]
    )


def _outcome(checkout: Path, guest: Guest, selection: Selection) -> Outcome:
    begin = time.monotonic()
    status = run_pytest(checkout, guest, selection)
    counts = read_counts(selection.results)
    return Outcome(selection.results.name, status, counts, time.monotonic() - begin)
