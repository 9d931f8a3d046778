"""The section's words, and its place in docs/performance.md."""

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench.figures import Figure, Section, Table
from tests.bench.rendering import OPENZFS_TITLE, with_section

_PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
_MODULE_VERSION = Path("/sys/module/zfs/version")


def section_of(tables: Sequence[Table], figures: Sequence[Figure]) -> Section:
    """The section of one run, on this machine."""
    linux, openzfs = platform.release(), _MODULE_VERSION.read_text().strip()
    return Section(
        title=OPENZFS_TITLE,
        note=(
            f"Measured by `make bench-zfs` on OpenZFS {openzfs}, Linux {linux}, in a virtual"
            " machine without acceleration, so milliseconds say nothing. One client. Every call"
            " takes at least what Probe does, which asks OpenZFS nothing. All ways take turns in"
            " one zpool. The library's calls are made in one process, with a record as long as"
            " the driver's; the commands set the same record."
        ),
        tables=tables,
        figures=figures,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Put a section that a run has left into the page; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m e2e.bench.words", description=main.__doc__)
    parser.add_argument("section", type=Path)
    asked = parser.parse_args(arguments)
    page = _PAGE.read_text(encoding="utf-8")
    section = asked.section.read_text(encoding="utf-8")
    _PAGE.write_text(with_section(page, section), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
