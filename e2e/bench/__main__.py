"""Measures the driver on real OpenZFS and prints a section; runs in the guest, fails on no figure.

`make bench-zfs` does all of it, from the machine outside.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from e2e.bench import changing, groups, listing, making
from e2e.bench.stand import FULL, QUICK, Stand, built_stand
from e2e.bench.words import section_of
from tests.bench import rendering
from tests.bench.figures import Section
from tests.support.leftovers import scratch_directory

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m e2e.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure less")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the section there too")
    asked = parser.parse_args(arguments)
    with (
        scratch_directory("bench-zfs-") as root,
        built_stand(root, QUICK if asked.quick else FULL) as stand,
    ):
        section = _measured(stand)
    print(rendering.to_text(section))
    if asked.markdown:
        asked.markdown.write_text(rendering.to_markdown(section), encoding="utf-8")
    return 0


def _measured(stand: Stand) -> Section:
    made = _timed("making and deleting", making.measure, stand)
    table, grouped = _timed("groups", groups.measure, stand)
    changed = _timed("changing", changing.measure, stand)
    listed = _timed("listing", listing.measure, stand)
    return section_of(
        tables=[*made.tables(), table], figures=[*made.figures(), grouped, *changed, *listed]
    )


def _timed(what: str, measure: Callable[[Stand], T], stand: Stand) -> T:
    begin = time.monotonic()
    measured = measure(stand)
    print(f"({what}: {time.monotonic() - begin:.0f} s)", flush=True)
    return measured


if __name__ == "__main__":
    sys.exit(main())
