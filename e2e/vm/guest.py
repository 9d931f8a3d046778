"""A running guest: started, found again by other commands, and always ended.

Layout: `<cache>/guests/<name>/` holds what one boot writes, and goes with it.  The emulator itself
holds the lock there, so the kernel tells whether it runs, whatever became of who started it.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.vm.cache import locked
from e2e.vm.commands import search_environment, tail
from e2e.vm.errors import VmError
from e2e.vm.images import Images
from e2e.vm.progress import say, step
from e2e.vm.qemu import SPARE_DISK_BYTES, SPARE_DISKS, Machine, free_port, qemu_command
from e2e.vm.ssh import Shell, make_key
from tests.support.leftovers import remove_files
from tests.support.signals import undisturbed

_READY = b"csi-zfs-vm is ready"
_BOOT_LIMIT_S = 240.0
_ANSWER_LIMIT_S = 60.0
_END_LIMIT_S = 10.0
_POLL_S = 0.1
_PREFERRED = -15


class GuestFailedError(VmError):
    """A guest did not come up, died or does not answer; the text ends with its console."""


@dataclass(frozen=True, slots=True)
class Guest:
    """One boot of the machine."""

    machine: Machine
    pid: int

    @property
    def shell(self) -> Shell:
        """How it is reached."""
        return Shell(self.machine.port, self.machine.scratch)

    def is_running(self) -> bool:
        """Whether its emulator lives."""
        return is_held(self.machine.scratch)

    def failure(self, what: str) -> GuestFailedError:
        """An error that shows the end of what the guest and its emulator said."""
        logs = (self.machine.emulator_log, self.machine.console)
        said = "\n".join(tail(log) for log in logs)
        return GuestFailedError(f"the guest {what}; its console ends with\n{said}")

    def stop(self) -> None:
        """End it, if it runs, and remove what it wrote."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self.is_running():
                break
            with contextlib.suppress(ProcessLookupError):  # ended in this very moment
                os.kill(self.pid, number)
            _wait(lambda: not self.is_running(), _END_LIMIT_S)
        remove_files(self.machine.scratch)

    def save(self, path: Path) -> None:
        """Write down how it is found again."""
        machine = dataclasses.asdict(self.machine)
        path.write_text(json.dumps({"pid": self.pid, "machine": machine}, default=str, indent=1))


def load_guest(path: Path) -> Guest | None:
    """The guest that `save` wrote down there, if it still runs."""
    if not path.exists():
        return None
    saved = json.loads(path.read_text(encoding="utf-8"))
    machine = saved["machine"]
    images = Images(**{name: Path(value) for name, value in machine["images"].items()})
    scratch = Path(machine["scratch"])
    guest = Guest(Machine(images, scratch, machine["port"], machine["public_key"]), saved["pid"])
    return guest if guest.is_running() else None


def start_guest(images: Images, cache: Path, *, outlives_us: bool) -> Guest:
    """Boot a guest; it answers when this returns.

    Args:
        images: what it boots from.
        cache: where its scratch directory is made.
        outlives_us: it goes on when this process ends; otherwise it dies with it.

    Raises:
        GuestFailedError: it did not come up; nothing of it is left.
    """
    guests = cache / "guests"
    guests.mkdir(parents=True, exist_ok=True)
    with step("booting"):
        with locked(cache / "guests.lock", "another guest that is being started"):
            _remove_dead(guests)
            guest = _launch(images, Path(tempfile.mkdtemp(dir=guests)), outlives_us=outlives_us)
        try:
            await_ready(guest)
        except BaseException:
            with undisturbed():
                guest.stop()
            raise
    return guest


@contextmanager
def booted(images: Images, cache: Path) -> Iterator[Guest]:
    """A guest for the length of a `with` block, gone afterwards however the block ends."""
    guest = start_guest(images, cache, outlives_us=False)
    try:
        yield guest
    finally:
        with undisturbed():
            guest.stop()


@contextmanager
def preferred(guest: Guest) -> Iterator[None]:
    """Let the emulator run before others for the length of a `with` block; needs root.

    What is measured in the guest shall not depend on who else is at work on this machine.
    """
    _set_priority(guest, _PREFERRED)
    try:
        yield
    finally:
        _set_priority(guest, 0)


def _set_priority(guest: Guest, priority: int) -> None:
    for thread in Path(f"/proc/{guest.pid}/task").glob("*"):
        with contextlib.suppress(ProcessLookupError):  # it ended in this very moment
            os.setpriority(os.PRIO_PROCESS, int(thread.name), priority)


def _launch(images: Images, scratch: Path, *, outlives_us: bool) -> Guest:
    public_key = make_key(scratch / "key")
    machine = Machine(images, scratch, free_port(), public_key)
    make_spare_disks(machine)
    bound = () if outlives_us else ("setpriv", "--pdeathsig", "KILL", "--")
    with _lock_file(scratch).open("wb") as lock, machine.emulator_log.open("wb") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [*bound, *qemu_command(machine)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # What it writes over the image is a file that has no name any more.
            env=search_environment() | {"TMPDIR": str(scratch)},
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )
    return Guest(machine, process.pid)


def make_spare_disks(machine: Machine) -> None:
    """Make the empty disks of a machine that never booted."""
    for number in range(SPARE_DISKS):
        with machine.spare_disk(number).open("wb") as file:
            file.truncate(SPARE_DISK_BYTES)


def await_ready(guest: Guest) -> None:
    """Wait until a guest that was just launched answers.

    Raises:
        GuestFailedError: it ended or takes too long.
    """
    console = guest.machine.console

    def is_up() -> bool:
        if not guest.is_running():
            raise guest.failure("ended while it booted")
        return console.exists() and _READY in console.read_bytes()

    if not _wait(is_up, _BOOT_LIMIT_S):
        raise guest.failure(f"is not up after {_BOOT_LIMIT_S:g} s")
    if not _wait(guest.shell.answers, _ANSWER_LIMIT_S):
        raise guest.failure(f"is up but does not answer to ssh within {_ANSWER_LIMIT_S:g} s")
    guest.shell.keep_connection()


def _wait(is_so: Callable[[], bool], limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _remove_dead(guests: Path) -> None:
    """Remove what killed guests left."""
    for scratch in guests.iterdir():
        if not is_held(scratch):
            say(f"removing what is left of the guest {scratch.name}")
            remove_files(scratch)


def _lock_file(scratch: Path) -> Path:
    return scratch / "lock"


def is_held(scratch: Path) -> bool:
    """Whether an emulator holds the lock of this scratch directory."""
    try:
        with _lock_file(scratch).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
