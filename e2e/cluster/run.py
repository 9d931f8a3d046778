"""One run of pytest against the running cluster: streamed, bounded in time, with a report."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from e2e.cluster.errors import CommandFailedError
from e2e.vm.results import JUNIT

DEFAULT_LIMIT_S = 3600.0
OUTPUT = "output.log"
_BLOCK_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Selection:
    """What is run, and where its results go."""

    arguments: tuple[str, ...]
    results: Path
    limit_s: float = DEFAULT_LIMIT_S


def run_pytest(checkout: Path, selection: Selection) -> int:
    """Run pytest on a selection; returns its status.

    Its output and its JUnit report are in the results directory afterwards; of each test that
    failed, all logs of the cluster in a directory of its name.

    Raises:
        CommandFailedError: it took longer than the limit.
    """
    results = selection.results
    results.mkdir(parents=True, exist_ok=True)
    (results / JUNIT).unlink(missing_ok=True)
    with (results / OUTPUT).open("wb") as output:
        return streamed(pytest_command(selection), checkout, output, limit_s=selection.limit_s)


def pytest_command(selection: Selection) -> list[str]:
    """The command that runs pytest."""
    color = "yes" if sys.stdout.isatty() else "no"
    return [
        *(sys.executable, "-m", "pytest", f"--color={color}", f"--results={selection.results}"),
        *(f"--junit-xml={selection.results / JUNIT}", *selection.arguments),
    ]


def streamed(command: Sequence[str], directory: Path, output: BinaryIO, *, limit_s: float) -> int:
    """Run a command and pass on what it says, also into a file; returns its status."""
    deadline = time.monotonic() + limit_s
    with subprocess.Popen(
        command,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        try:
            while True:
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not select.select([process.stdout], [], [], left_s)[0]:
                    raise CommandFailedError(f"the tests did not end within {limit_s:g} s")
                if not (block := os.read(process.stdout.fileno(), _BLOCK_BYTES)):
                    return process.wait()
                output.write(block)
                sys.stdout.buffer.write(block)
                sys.stdout.flush()
        finally:
            process.kill()
