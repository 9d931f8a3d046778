"""The suites that need real OpenZFS, and the guests that they run in."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from e2e.vm.errors import VmError
from e2e.vm.guest import Guest
from e2e.vm.progress import say
from e2e.vm.results import Counts, read_counts
from e2e.vm.run import Selection, run_pytest

Boot = Callable[[], AbstractContextManager[Guest]]


@dataclass(frozen=True, slots=True)
class Suite:
    """A selection of tests; `needs_own_boot` where what it does to the kernel may outlive it."""

    name: str
    arguments: tuple[str, ...]
    needs_own_boot: bool = False


SUSPENDED = "e2e/zfs/test_suspended.py"
SANITY = "e2e/zfs/test_sanity.py"
# In the emulated machine a fifth of the orders of deletion has to do, and of file systems the
# modules where they differ from zvols.
_OF_ANY_KIND = "missing or availability or deferred or quiesced or concurrency or deletion_orders"
_CONTRACT = f"openzfs and not fake and not all_other and not (filesystems and ({_OF_ANY_KIND}))"
SUITES = (
    Suite("platform", ("e2e/zfs", f"--ignore={SUSPENDED}", f"--ignore={SANITY}")),
    Suite("contract", ("tests/contract", "-k", _CONTRACT)),
    Suite("sanity", (SANITY,)),
    Suite("suspended", (SUSPENDED,), needs_own_boot=True),
)
# What CI has the time for: what only the real kernel can tell, some orders of deletion of zvols,
# plain and encrypted, and csi-sanity.
_SHORT_PLATFORM = (
    *("test_platform", "test_lzc", "test_cut_short", "test_filesystems", "test_moving"),
    *("test_busy", "test_away", "test_zvol_links", "test_why"),
)
_SHORT_DRIVER = "whole_life or grown_and_changed or missing_wrong or copies_share_it"
_SHORT_CONTRACT = "openzfs and not fake and not all_other and not filesystems"
SHORT_SUITES = (
    Suite("platform", tuple(f"e2e/zfs/{name}.py" for name in _SHORT_PLATFORM)),
    Suite("driver", ("e2e/zfs/test_driver.py", "e2e/zfs/test_encryption.py", "-k", _SHORT_DRIVER)),
    Suite("calls", ("tests/contract/zfs_core", "-k", _SHORT_CONTRACT)),
    Suite(
        "deletes",
        (
            "tests/contract/datasets/test_deletion_orders.py",
            "tests/contract/datasets/test_encryption.py",
            *("-k", f"{_SHORT_CONTRACT} and not (order_leaves and not brief)"),
        ),
    ),
    Suite("sanity", (SANITY,)),
    Suite("suspended", (SUSPENDED,), needs_own_boot=True),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a suite ended; `words` say why it has no counts."""

    name: str
    status: int
    counts: Counts | None
    took_s: float
    words: str = ""

    def __str__(self) -> str:
        word = "passed" if self.status == 0 else "FAILED"
        return f"{word}   {self.name}: {self.counts or self.words} ({self.took_s:.0f} s)"


def run_suites(
    checkout: Path,
    boot: Boot,
    results: Path,
    *,
    limit_s: float,
    chosen: Sequence[Suite] = SUITES,
) -> int:
    """Run the suites and print what became of each; returns 0 when all passed.

    A guest that fails costs the suite that runs in it, and those after it get another one.
    """
    outcomes: list[Outcome] = []
    for suites in _boots(chosen):
        left = list(suites)
        while left:
            outcomes += _run_in_one_boot(checkout, boot, results, left=left, limit_s=limit_s)
    print(summary(outcomes), flush=True)
    return int(any(outcome.status != 0 for outcome in outcomes))


def summary(outcomes: Sequence[Outcome], title: str = "real OpenZFS") -> str:
    """A line per suite, and the number of suites as the last line."""
    failed = sum(outcome.status != 0 for outcome in outcomes)
    lines = [str(outcome) for outcome in outcomes]
    return "\n".join([f"=== {title}", *lines, f"{len(outcomes) - failed} passed, {failed} failed"])


def _boots(suites: Sequence[Suite]) -> Iterator[list[Suite]]:
    """The suites that share a guest, then each of those that do not."""
    yield [suite for suite in suites if not suite.needs_own_boot]
    yield from ([suite] for suite in suites if suite.needs_own_boot)


def _run_in_one_boot(
    checkout: Path, boot: Boot, results: Path, *, left: list[Suite], limit_s: float
) -> Iterator[Outcome]:
    """Run suites and take them off the list, until it is empty or the guest fails."""
    begin = time.monotonic()
    try:
        with boot() as guest:
            while left:
                suite = left[0]
                begin = time.monotonic()
                selection = Selection(suite.arguments, results / suite.name, limit_s)
                status = run_pytest(checkout, guest, selection)
                took_s = time.monotonic() - begin
                yield Outcome(suite.name, status, read_counts(selection.results), took_s)
                left.pop(0)
    except VmError as exc:
        say(str(exc))
        words = "the guest failed, see above"
        yield Outcome(left.pop(0).name, 1, None, time.monotonic() - begin, words)
