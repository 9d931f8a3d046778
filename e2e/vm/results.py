"""What a run of pytest leaves on this machine: its output, its report, the kernel's messages."""

import io
import subprocess
import tarfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from e2e.vm.errors import VmError
from e2e.vm.guest import Guest

RESULTS_IN_GUEST = "/run/results"
JUNIT = "junit.xml"
_LIMIT_S = 120.0
_PACK = f"cd {RESULTS_IN_GUEST} && dmesg >dmesg.txt && tar --create ."


class NoReportError(VmError):
    """A run of pytest ended without a report."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tests did what."""

    passed: int
    failed: int
    skipped: int

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def fetch_results(guest: Guest, target: Path) -> None:
    """Bring the results of the last run out of the guest.

    Raises:
        GuestFailedError: the guest does not give them.
    """
    target.mkdir(parents=True, exist_ok=True)
    try:
        packed = subprocess.run(
            guest.shell.script(_PACK),
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_LIMIT_S,
        )
    except subprocess.SubprocessError as exc:
        raise guest.failure(f"does not give the results ({exc})") from exc
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as tar:
        tar.extractall(target, filter="data")


def read_counts(directory: Path) -> Counts:
    """The counts of the run whose results are there.

    Raises:
        NoReportError: pytest did not come so far as to write its report.
    """
    path = directory / JUNIT
    if not path.exists():
        raise NoReportError(f"pytest left no report: see {directory}")
    return parse_counts(path.read_text(encoding="utf-8"))


def parse_counts(report: str) -> Counts:
    """The counts of a JUnit report; a test with an error has failed."""
    total = failed = skipped = 0
    for suite in ET.fromstring(report).iter("testsuite"):
        total += int(suite.attrib["tests"])
        failed += int(suite.attrib["failures"]) + int(suite.attrib["errors"])
        skipped += int(suite.attrib["skipped"])
    return Counts(passed=max(total - failed - skipped, 0), failed=failed, skipped=skipped)
