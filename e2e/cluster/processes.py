"""Processes that outlive the harness and are found again, never mistaken for somebody else's.

A process id comes back for another process one day.  So each is written down with the time at which
it started, by itself and before it becomes the program: whoever starts it may die at any moment.
It is signalled through a descriptor that means this process and no later one.
"""

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.errors import StartFailedError
from e2e.vm.commands import search_environment

_RECORD = Path(__file__).with_name("files") / "record"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_START_LIMIT_S = 30.0
_DEAD = frozenset("ZX")
_STATE_FIELD = 0
# The 22nd field of proc_pid_stat(5), counted from the third one.
_START_FIELD = 19


@dataclass(frozen=True, slots=True)
class Process:
    """A process that was started once: it may have ended since."""

    name: str
    pid: int
    start_ticks: int
    boot: str

    def is_running(self) -> bool:
        """Whether it lives; one that has ended and was not waited for does not."""
        fields = _stat(self.pid)
        return self._is_ours(fields) and fields[_STATE_FIELD] not in _DEAD

    def kill(self) -> None:
        """End it without a word, if it lives; returns at once."""
        with self._opened() as descriptor:
            if descriptor is not None:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)

    def kill_child(self) -> None:
        """End its child without a word, if it lives and has one; returns at once."""
        if not self.is_running() or (child := child_of(self)) is None:
            return
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(child)
            try:
                # Seen again after the descriptor was opened: nobody else has its number.
                if child_of(self) == child:
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            finally:
                os.close(descriptor)

    def wait(self, limit_s: float) -> bool:
        """Wait until it has ended; returns whether it has."""
        with self._opened() as descriptor:
            if descriptor is None:
                return True
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return bool(poll.poll(limit_s * 1000))

    @contextmanager
    def _opened(self) -> Iterator[int | None]:
        """A descriptor of the living process, or None when it has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            yield None
            return
        try:
            # Asked for after the descriptor was opened: it is of the process that is seen now.
            yield descriptor if self.is_running() else None
        finally:
            os.close(descriptor)

    def _is_ours(self, fields: Sequence[str]) -> bool:
        return (
            len(fields) > _START_FIELD
            and int(fields[_START_FIELD]) == self.start_ticks
            and _boot() == self.boot
        )


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes whose records lie in one directory."""

    directory: Path

    def start(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        """Start a program in a session of its own; it is recorded when this returns.

        Raises:
            StartFailedError: one of this name runs, or it could not be recorded; nothing begins.
        """
        before = self.find(name)
        if before is not None and before.is_running():
            raise StartFailedError(f"{name} runs already, as process {before.pid}")
        record = self.directory / name
        # setsid forks, so the program is nobody's child: the harness has no one to wait for.
        done = subprocess.run(
            ["setsid", "--fork", "bash", str(_RECORD), str(record), str(log), *command],
            check=False,
            capture_output=True,
            env=search_environment() | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=_START_LIMIT_S,
        )
        found = self.find(name)
        if done.stderr or found is None:
            raise StartFailedError(f"{name} could not be recorded: {done.stderr.strip()}")
        return found

    def find(self, name: str) -> Process | None:
        """The process that was started last under a name, whether it lives or not."""
        record = self.directory / name
        return parse_record(name, record.read_text()) if record.exists() else None

    def all(self) -> list[Process]:
        """Every process on record."""
        names = sorted(path.name for path in self.directory.glob("*") if path.suffix != ".new")
        return [found for name in names if (found := self.find(name)) is not None]


def parse_record(name: str, text: str) -> Process:
    """What `files/record` has written."""
    pid, start_ticks, boot = text.split()
    return Process(name, int(pid), int(start_ticks), boot)


def child_of(process: Process) -> int | None:
    """The process id of the first child, as this machine sees it."""
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(children.split()[0]) if children.split() else None


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def _boot() -> str:
    return _BOOT.read_text().strip()
