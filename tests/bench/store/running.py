"""Programs, with what they took: seconds on the wall, seconds of processors, memory."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


class ProgramFailedError(Exception):
    """A program ended with another status than 0."""


@dataclass(frozen=True, slots=True)
class Took:
    """What one run of a program took."""

    wall_s: float
    cpu_s: float
    rss_bytes: int

    def __str__(self) -> str:
        return f"{self.wall_s:.2f} s ({self.cpu_s:.2f})"


def run(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> tuple[Took, str]:
    """Run a program to its end; returns what it took and what it printed.

    Raises `ProgramFailedError`.
    """
    begin = time.monotonic()
    process = subprocess.Popen(
        [str(word) for word in command],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ProgramFailedError(f"{command[0]} ended with {process.returncode}: {said}")
    took = Took(time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
    return took, said
