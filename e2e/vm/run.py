"""One run in a guest, of pytest or a module: streamed, bounded in time, results at its end."""

import os
import select
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from e2e.vm.cache import locked
from e2e.vm.guest import Guest
from e2e.vm.progress import step
from e2e.vm.results import JUNIT, RESULTS_IN_GUEST, fetch_results
from e2e.vm.ssh import LOST
from e2e.vm.sync import CHECKOUT_IN_GUEST, sync

DEFAULT_LIMIT_S = 3600.0
OUTPUT = "output.log"
_BLOCK_BYTES = 65536
_PYTHON_IN_GUEST = "/opt/csi-zfs/venv/bin/python"
_PID_IN_GUEST = "/run/python.pid"


@dataclass(frozen=True, slots=True)
class Selection:
    """What is run, and where its results go."""

    arguments: tuple[str, ...]
    results: Path
    limit_s: float = DEFAULT_LIMIT_S


def run_pytest(checkout: Path, guest: Guest, selection: Selection) -> int:
    """Copy the working tree into the guest and run pytest there; returns pytest's status.

    One run at a time uses a guest.  Its output, its JUnit report, the kernel's messages and the
    console are in the results directory afterwards, whose old content of these names is replaced.

    Raises:
        GuestFailedError: the guest died, does not answer or took longer than the limit.
    """
    (selection.results / JUNIT).unlink(missing_ok=True)
    return _run(checkout, guest, selection, script=pytest_script(selection.arguments))


def run_module(checkout: Path, guest: Guest, selection: Selection) -> int:
    """Run a module, the first of the arguments, with the others; else as `run_pytest`.

    What it leaves in `RESULTS_IN_GUEST` is in the results directory afterwards.
    """
    return _run(checkout, guest, selection, script=module_script(selection.arguments))


def _run(checkout: Path, guest: Guest, selection: Selection, *, script: str) -> int:
    with locked(guest.machine.scratch / "run.lock", "another run in this guest"):
        with step("copying the working tree"):
            sync(checkout, guest)
        selection.results.mkdir(parents=True, exist_ok=True)
        command = guest.shell.script(script)
        try:
            with (selection.results / OUTPUT).open("wb") as output:
                status = streamed(command, guest, output, limit_s=selection.limit_s)
            if status == LOST:
                raise guest.failure("was lost in the middle of the run")
            fetch_results(guest, selection.results)
        finally:
            shutil.copy(guest.machine.console, selection.results)
    return status


def pytest_script(arguments: Sequence[str]) -> str:
    """The script that runs pytest in the guest, after ending a run that a killed one left."""
    color = "yes" if sys.stdout.isatty() else "no"
    report = f"--junit-xml={RESULTS_IN_GUEST}/{JUNIT}"
    return module_script(["pytest", report, f"--color={color}", *arguments])


def module_script(words: Sequence[str]) -> str:
    """The script that runs a module in the guest, after ending a run that a killed one left."""
    return f"""
if [ -e {_PID_IN_GUEST} ]; then kill -KILL -- "-$(cat {_PID_IN_GUEST})" 2>/run/kill.log || true; fi
echo $$ >{_PID_IN_GUEST}
rm -rf {RESULTS_IN_GUEST}
mkdir -p {RESULTS_IN_GUEST}
cd {CHECKOUT_IN_GUEST}
status=0
{shlex.join([_PYTHON_IN_GUEST, "-m", *words])} || status=$?
rm {_PID_IN_GUEST}
exit $status
"""


def streamed(command: Sequence[str], guest: Guest, output: BinaryIO, *, limit_s: float) -> int:
    """Run a command and pass on what it says, also into a file; returns its status."""
    deadline = time.monotonic() + limit_s
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        try:
            while True:
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not select.select([process.stdout], [], [], left_s)[0]:
                    raise guest.failure(f"did not end within {limit_s:g} s")
                if not (block := os.read(process.stdout.fileno(), _BLOCK_BYTES)):
                    return process.wait()
                output.write(block)
                sys.stdout.buffer.write(block)
                sys.stdout.flush()
        finally:
            process.kill()
