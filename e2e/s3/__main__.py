"""`make e2e-s3`: the object storages against a real S3 server.

The control, a server that checks and then writes, is in memory (`tests/unit/cas`): the one that is
known, s3s-fs, takes five minutes and a compiler of Rust to build.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.s3.server import PROGRAM, ServerFailedError, running
from e2e.vm.errors import VmError
from e2e.vm.results import JUNIT, read_counts
from e2e.vm.suites import Outcome, summary
from tests.support.go_programs import CannotBuildError
from tests.support.machine import documented_without, in_ci, why_no_go
from tests.support.s3 import variables_of
from tests.support.signals import interrupt_once

_CHECKOUT = Path(__file__).parents[2]
_RESULTS = _CHECKOUT / "build" / "e2e-s3"
_LIMIT_S = 1800.0
_INTERRUPTED_STATUS = 130


@dataclass(frozen=True, slots=True)
class Suite:
    """A selection of tests."""

    name: str
    arguments: tuple[str, ...]


SUITES = (
    Suite("objects", ("tests/contract/objects", "-k", "s3")),
    Suite("server", ("e2e/s3",)),
)


def main() -> int:
    """Run the suites; returns the exit status."""
    interrupt_once()
    if (reason := why_no_go()) is not None:
        return _skip(reason)
    try:
        print(f"{PROGRAM.name} {PROGRAM.version}: making sure that it is built", flush=True)
        program = PROGRAM.ensure(os.environ)
        with running(program) as server:
            variables = variables_of(server.place())
            outcomes = [_outcome(suite, variables) for suite in SUITES]
    except (CannotBuildError, ServerFailedError) as exc:
        print(f"make e2e-s3: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make e2e-s3: interrupted", file=sys.stderr)
        return _INTERRUPTED_STATUS
    print(summary(outcomes, "a real S3 server"), flush=True)
    return int(any(outcome.status != 0 for outcome in outcomes))


def _skip(reason: str) -> int:
    """Say why nothing runs; in CI that is a failure, unless it is documented."""
    print(f"does not run: s3: {reason} -> install Go (https://go.dev/dl), then make e2e-s3")
    return int(in_ci(os.environ) and "go" not in documented_without(os.environ))


def _outcome(suite: Suite, variables: Mapping[str, str]) -> Outcome:
    begin = time.monotonic()
    results = _RESULTS / suite.name
    results.mkdir(parents=True, exist_ok=True)
    (results / JUNIT).unlink(missing_ok=True)
    report = f"--junit-xml={results / JUNIT}"
    try:
        status = subprocess.run(
            [sys.executable, "-m", "pytest", report, *suite.arguments],
            check=False,
            cwd=_CHECKOUT,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            timeout=_LIMIT_S,
        ).returncode
        counts, words = read_counts(results), ""
    except (subprocess.TimeoutExpired, VmError) as exc:
        status, counts, words = 1, None, str(exc)
    return Outcome(suite.name, status, counts, time.monotonic() - begin, words)


if __name__ == "__main__":
    sys.exit(main())
