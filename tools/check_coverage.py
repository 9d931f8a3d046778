"""Hold the floors of branch coverage: python -m tools.check_coverage REPORT.json."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tests.support import machine

FLOOR_PERCENT = 95
WHOLLY_COVERED = ("csi_zfs/domain/*.py", "csi_zfs/rpc/status.py", "csi_zfs/rpc/requests/*.py")


@dataclass(frozen=True, slots=True)
class Report:
    """What we read of coverage's JSON report: percentages of lines and branches together."""

    total_percent: float
    percent_of: dict[str, float]


def load_report(path: Path) -> Report:
    """Read coverage's JSON report."""
    report = json.loads(path.read_text(encoding="utf-8"))
    return Report(
        total_percent=report["totals"]["percent_covered"],
        percent_of={
            name: file["summary"]["percent_covered"] for name, file in report["files"].items()
        },
    )


def shortfalls_of_files(report: Report) -> list[str]:
    """Files that ought to be covered wholly and are not, and patterns that name no file."""
    found: list[str] = []
    for pattern in WHOLLY_COVERED:
        names = [name for name in report.percent_of if PurePosixPath(name).match(pattern)]
        if not names:
            found.append(f"{pattern}: not in the report")
        found.extend(
            f"{name}: {report.percent_of[name]:.2f} %, less than 100 %"
            for name in names
            if report.percent_of[name] < 100  # noqa: PLR2004 - all of it
        )
    return found


def main(path: Path) -> int:
    """Print every shortfall; the exit code says whether there is one."""
    report = load_report(path)
    found = shortfalls_of_files(report)
    # Without a real pool most of reflink/ and mount/ does not run: the floor is for whole runs.
    if why_not := machine.why_no_root_tier():
        print(f"coverage: {report.total_percent:.2f} %; no floor, the real pool {why_not}")
    elif report.total_percent < FLOOR_PERCENT:
        found.append(f"csi_zfs: {report.total_percent:.2f} %, less than {FLOOR_PERCENT} %")
    for words in found:
        print(f"coverage: {words}", file=sys.stderr)
    if not found:
        print(f"coverage: {report.total_percent:.2f} %, floors held")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
