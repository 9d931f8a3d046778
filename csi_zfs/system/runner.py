"""The one door to child processes.

A child gets an argument list (no shell), `LC_ALL=C`, no standard input, no inherited descriptors, a
process group of its own and a deadline.  One that stays beside the driver (`Companion`) gets a
socket and no deadline.  `preexec_fn` is never used: CPython then starts the child by vfork, which
runs none of gRPC's fork handlers, so that many calls can start children at once without a deadlock
(tests/unit/system/test_runner.py).
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from csi_zfs.domain.errors import OutcomeUnknownError, UnavailableError

DEFAULT_TIMEOUT_S = 60.0
_KILL_TIMEOUT_S = 5.0
_ENVIRONMENT = {
    "LC_ALL": "C",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}
_ERROR_TEXT_BYTES = 2000


class CommandFailedError(UnavailableError):
    """A command ended with a status that its caller does not expect.

    Callers translate it by the status alone.
    """

    def __init__(self, argv: Sequence[str], status: int, error_text: str) -> None:
        """Keep the status for the caller, and what the command printed for people."""
        super().__init__(
            f"{argv[0]} ended with status {status}: {error_text.strip() or 'no message'}"
        )
        self.status = status


class CommandTimeoutError(OutcomeUnknownError):
    """A command was killed at its deadline and may have taken effect."""


class CommandMissingError(UnavailableError):
    """A program that the driver needs is not installed."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended and what it printed."""

    status: int
    output: str
    error_text: str


class Runner(Protocol):
    """Runs commands."""

    def run(
        self, argv: Sequence[str], *, timeout_s: float | None = None, expected: Sequence[int] = (0,)
    ) -> CommandResult:
        """Run one command to its end.

        Raises:
            CommandFailedError: its exit status is not in `expected`.
            CommandTimeoutError: it did not end in time; its whole process group was killed.
            CommandMissingError: there is no such program.
        """


class SystemRunner:
    """Runs commands of this machine.  Thread-safe."""

    def __init__(self, *, default_timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Give commands `default_timeout_s` where their caller says nothing else."""
        self._default_timeout_s = default_timeout_s

    def run(
        self, argv: Sequence[str], *, timeout_s: float | None = None, expected: Sequence[int] = (0,)
    ) -> CommandResult:
        """See `Runner`."""
        child = _start(argv)
        timeout_s = self._default_timeout_s if timeout_s is None else timeout_s
        try:
            output, error_text = child.communicate(timeout=timeout_s)
        except BaseException as exc:
            _kill(child)
            if isinstance(exc, subprocess.TimeoutExpired):
                msg = f"{argv[0]} did not end within {timeout_s:g} s and was killed"
                raise CommandTimeoutError(msg) from exc
            raise
        result = CommandResult(
            child.returncode, output.decode(errors="replace"), error_text.decode(errors="replace")
        )
        if result.status not in expected:
            raise CommandFailedError(argv, result.status, result.error_text[:_ERROR_TEXT_BYTES])
        return result


class Companion:
    """A child that stays beside the driver, at the other end of a socket.

    What it prints on its standard error goes to the driver's.
    """

    def __init__(self, argv: Sequence[str], *, descriptors: Sequence[int]) -> None:
        """Start it; it inherits these descriptors, under the same numbers, and no others.

        Raises:
            CommandMissingError: there is no such program.
        """
        self._process = _opened(argv, stdout=subprocess.DEVNULL, pass_fds=descriptors)

    @property
    def pid(self) -> int:
        """Its process id, also the id of its group."""
        return self._process.pid

    def end(self) -> None:
        """Kill it with its group and wait for a moment; the kernel may not let go of it yet."""
        if self._process.poll() is None:
            _kill(self._process)


def _start(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    return _opened(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _opened(
    argv: Sequence[str], *, stdout: int, stderr: int | None = None, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=_ENVIRONMENT,
            process_group=0,
            pass_fds=pass_fds,
        )
    except FileNotFoundError as exc:
        msg = f"{argv[0]} is not installed on this machine"
        raise CommandMissingError(msg) from exc


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill the child's whole group; one that the kernel does not let go of is not waited for."""
    with contextlib.suppress(ProcessLookupError):  # it ended by itself in this very moment
        os.killpg(child.pid, signal.SIGKILL)
    try:
        child.communicate(timeout=_KILL_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        for pipe in filter(None, (child.stdout, child.stderr)):
            pipe.close()
        child.poll()  # reaps it where only a descendant that left the group lives on
