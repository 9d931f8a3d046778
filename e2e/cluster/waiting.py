"""Waiting for what cannot be watched: a program that comes up."""

import time
from collections.abc import Callable
from pathlib import Path

from e2e.cluster.errors import StartFailedError
from e2e.cluster.processes import Process
from e2e.vm.commands import tail

_POLL_S = 0.1


def wait_until(is_so: Callable[[], bool], what: str, *, limit_s: float) -> None:
    """Wait until it is so.

    Raises:
        StartFailedError: it is not after `limit_s`.
    """
    deadline = time.monotonic() + limit_s
    while not is_so():
        if time.monotonic() > deadline:
            raise StartFailedError(f"{what} is not so after {limit_s:g} s")
        time.sleep(_POLL_S)


def require_running(process: Process, log: Path) -> None:
    """Raise `StartFailedError`, with the end of its log, when the process has ended."""
    if not process.is_running():
        raise StartFailedError(f"{process.name} has ended; its log ends with\n{tail(log)}")
