"""Who uses a mount or a device: the words of a "busy" error (rules.md B4).

Looks at the kernel's own tables only, never at the mounted file systems, and for a bounded time.
"""

import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from csi_zfs.mount.api import Device
from csi_zfs.mount.block import number_of
from csi_zfs.mount.mountinfo import MountEntry, entries_below, load_mountinfo
from csi_zfs.system.clock import Clock

PROC = Path("/proc")
_LIMIT_S = 1.0
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Holders:
    """Finds holders among the processes in `proc`: those of its own process namespace."""

    clock: Clock
    proc: Path = PROC

    def of_mount(self, mount: MountEntry) -> str:
        """Mounts below this one, and processes with a file or their directory on it."""
        entries = load_mountinfo(self.proc / "self" / "mountinfo")
        below = (
            f"the mount {entry.mount_point}" for entry in entries_below(entries, mount.mount_point)
        )
        return self._words(chain(below, self._processes(lambda process: _is_on(process, mount))))

    def of_device(self, device: Device) -> str:
        """Where any mount namespace shows the device mounted, and processes that have it open."""
        return self._words(
            chain(
                self._mounts(lambda entry: entry.number == device.number),
                self._processes(lambda process: _has_open(process, device)),
            )
        )

    def mounts_of_dataset(self, dataset_name: str) -> str:
        """Where any mount namespace shows a native file system mounted; empty for nowhere."""
        mounts = self._mounts(lambda entry: entry.dataset_name == dataset_name)
        return ", ".join(islice(mounts, _NAMED))

    def _words(self, names: Iterator[str]) -> str:
        return ", ".join(islice(names, _NAMED)) or "a holder that is not visible from here"

    def _processes(self, is_holder: Callable[[Path], bool]) -> Iterator[str]:
        for process in self._all_processes():
            with suppress(OSError):  # it ended in this moment
                if is_holder(process):
                    yield _words_for(process)

    def _mounts(self, is_wanted: Callable[[MountEntry], bool]) -> Iterator[str]:
        seen = set()
        for process in self._all_processes():
            with suppress(OSError):  # it ended in this moment
                namespace = (process / "ns" / "mnt").readlink()
                if namespace in seen:
                    continue
                seen.add(namespace)
                for entry in load_mountinfo(process / "mountinfo"):
                    if is_wanted(entry):
                        yield f"mounted at {entry.mount_point} (as {_words_for(process)} sees it)"

    def _all_processes(self) -> Iterator[Path]:
        deadline_s = self.clock.monotonic_s() + _LIMIT_S
        for process in self.proc.iterdir():
            if self.clock.monotonic_s() >= deadline_s:
                return
            if process.name.isdecimal():
                yield process


def _words_for(process: Path) -> str:
    name = (process / "comm").read_text(errors="replace").strip()
    return f"process {process.name} ({name})"


def _is_on(process: Path, mount: MountEntry) -> bool:
    """Whether the process has its directory or an open file on the mount."""
    directory = str((process / "cwd").readlink())
    if f"{directory}/".startswith(f"{mount.mount_point}/"):
        return True
    return any(_mount_id(info) == mount.mount_id for info in (process / "fdinfo").iterdir())


def _mount_id(info: Path) -> int | None:
    with suppress(OSError):  # it was closed in this moment
        for line in info.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "mnt_id":
                return int(value)
    return None


def _has_open(process: Path, device: Device) -> bool:
    return any(number_behind(link) == device.number for link in (process / "fd").iterdir())


def number_behind(link: Path) -> tuple[int, int] | None:
    """The block device to which a link of /proc/<pid>/fd leads; None if that is not below /dev."""
    with suppress(OSError):  # it was closed in this moment
        # Only /dev is sure to answer: another open file may lie on a server that is dead.
        if link.readlink().is_relative_to("/dev"):
            status = link.stat()
            return number_of(status.st_rdev) if stat.S_ISBLK(status.st_mode) else None
    return None
