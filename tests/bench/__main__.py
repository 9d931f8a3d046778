"""`make bench`: measures the real driver and prints the figures as ratios; it fails on none."""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc

from tests.bench import calls, extents, footprint, host_path, rendering, scale
from tests.bench.figures import Section
from tests.bench.workbench import FULL, QUICK, Workbench
from tests.support.leftovers import scratch_directory
from tests.support.machine import why_no_root_tier

_PRIORITY = -15
# In the order in which they run: the last one starts the driver again.
SECTIONS: dict[str, Callable[[Workbench], Section]] = {
    "calls": calls.measure,
    "host-path": host_path.measure,
    "mock": scale.measure,
    "extents": extents.measure,
    "footprint": footprint.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the sections asked for; returns the exit status."""
    asked = _parsed(arguments)
    if (reason := why_no_root_tier()) is not None:
        print(f"make bench {reason}", file=sys.stderr)
        return 1
    # Its children inherit it: what is measured shall not depend on who else is at work here.
    os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    machine = _machine()
    print(f"{machine}\n", flush=True)
    found: list[Section] = []
    with (
        scratch_directory("csi-zfs-bench-") as root,
        Workbench(root, QUICK if asked.quick else FULL) as bench,
    ):
        found.extend(_measured(name, bench) for name in SECTIONS if name in asked.only)
    if asked.markdown:
        page = rendering.page(found, machine=machine, command=_command(asked))
        before = asked.markdown.read_text(encoding="utf-8") if asked.markdown.exists() else ""
        text = rendering.with_others(page, before)
        asked.markdown.write_text(text, encoding="utf-8")
    return 0


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="leave others out"
    )
    parser.add_argument("--quick", action="store_true", help="measure less: under a minute")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page there too")
    return parser.parse_args(arguments)


def _measured(name: str, bench: Workbench) -> Section:
    begin = time.monotonic()
    section = SECTIONS[name](bench)
    print(rendering.to_text(section))
    print(f"({name}: {time.monotonic() - begin:.0f} s)\n", flush=True)
    return section


def _machine() -> str:
    linux = ".".join(platform.release().split(".")[:2])
    return (
        f"{os.cpu_count()} cores, Linux {linux}, Python {platform.python_version()},"
        f" grpcio {grpc.__version__}, with a load of {os.getloadavg()[0]:.1f} from others"
    )


def _command(asked: argparse.Namespace) -> str:
    if list(asked.only) == list(SECTIONS) and not asked.quick:
        return "make bench"
    options = ["--only", *asked.only, *(["--quick"] if asked.quick else [])]
    return " ".join(["python -m tests.bench", *options])


if __name__ == "__main__":
    sys.exit(main())
