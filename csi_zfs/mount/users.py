"""Who uses the data of a volume on this machine, in whatever mount namespace: for people.

As holders.py it looks at the kernel's own tables only, /proc and /sys, and never at a mounted file
system.  In a container it sees the processes of its own process namespace.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from csi_zfs.domain.keepers import Process, Use, UseKind
from csi_zfs.domain.model import DataPath, DeviceNode, ImageFile, NativeFilesystem
from csi_zfs.mount.holders import number_behind
from csi_zfs.mount.mount_table import NODE_FILESYSTEMS
from csi_zfs.mount.mountinfo import MountEntry, load_mountinfo

_NAMED = 5
_UID = "[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}"
_POD = re.compile(rf"pod({_UID})")


@dataclass(frozen=True, slots=True)
class Users:
    """Finds the uses of data; `proc` and `sys` are where the kernel's tables are."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")

    def of(self, data: DataPath) -> tuple[Use, ...]:
        """The uses of a volume's data; of a snapshot's, where that is mounted, by its name."""
        match data:
            case NativeFilesystem():
                return tuple(self._mounts(lambda entry: _shows(entry, data.dataset_name)))
            case DeviceNode():
                return tuple(self._of_device(data.path.name))
            case ImageFile():
                return tuple(self._of_file(str(data.path)))

    def _of_file(self, path: str) -> Iterator[Use]:
        for name in self._loop_devices_on(path):
            yield Use(UseKind.DEVICE, f"/dev/{name}")
            yield from self._of_device(name)
        yield from self._opens(path, lambda link: str(link.readlink()) == path)

    def _of_device(self, name: str) -> Iterator[Use]:
        number = self._number_of(name)
        if number is None:
            return
        above = chain(self._mapped_above(name), self._loop_devices_on(f"/dev/{name}"))
        yield from (Use(UseKind.DEVICE, f"/dev/{device}") for device in above)
        yield from self._mounts(
            lambda entry: (
                entry.number == number
                or (entry.fs_type in NODE_FILESYSTEMS and entry.root == f"/{name}")
            )
        )
        yield from self._opens(f"/dev/{name}", lambda link: number_behind(link) == number)

    def _number_of(self, name: str) -> tuple[int, int] | None:
        with suppress(OSError):  # it went in this moment
            major, _, minor = (self.sys / "block" / name / "dev").read_text().strip().partition(":")
            return int(major), int(minor)
        return None

    def _mapped_above(self, name: str) -> Iterator[str]:
        """Devices that the device mapper, or another layer, has made of this one."""
        disk = self.sys / "block" / name
        for holder in sorted(chain(disk.glob("holders/*"), disk.glob(f"{name}*/holders/*"))):
            mapped = _text(self.sys / "block" / holder.name / "dm" / "name").strip()
            yield f"mapper/{mapped}" if mapped else holder.name

    def _loop_devices_on(self, path: str) -> Iterator[str]:
        for backing in sorted((self.sys / "block").glob("loop*/loop/backing_file")):
            with suppress(OSError):  # it was detached in this moment
                if backing.read_text().strip().removesuffix(" (deleted)") == path:
                    yield backing.parts[-3]

    def _mounts(self, is_wanted: Callable[[MountEntry], bool]) -> Iterator[Use]:
        for namespace, processes in sorted(self._namespaces().items()):
            for entry in _mounts_of(processes):
                if is_wanted(entry):
                    yield Use(
                        UseKind.MOUNT,
                        _printable(entry.mount_point),
                        tuple(map(_process_at, processes[:_NAMED])),
                        len(processes),
                        namespace,
                    )

    def _namespaces(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for process in self._all_processes():
            with suppress(OSError):  # it ended in this moment
                found.setdefault(str((process / "ns" / "mnt").readlink()), []).append(process)
        return found

    def _opens(self, what: str, is_wanted: Callable[[Path], bool]) -> Iterator[Use]:
        for process in self._all_processes():
            if any(_holds(link, is_wanted) for link in _entries(process / "fd")):
                yield Use(UseKind.OPEN, what, (_process_at(process),), 1)

    def _all_processes(self) -> list[Path]:
        found = [path for path in self.proc.iterdir() if path.name.isdecimal()]
        return sorted(found, key=lambda path: int(path.name))


def _shows(entry: MountEntry, name: str) -> bool:
    """Whether a mount is of this file system, or of a snapshot of it below `.zfs`."""
    shown = entry.dataset_name
    return shown == name or ("@" not in name and shown.partition("@")[0] == name)


def _mounts_of(processes: list[Path]) -> list[MountEntry]:
    """The mounts of a namespace, as the first of its processes that is still there sees them."""
    for process in processes:
        with suppress(OSError):
            return load_mountinfo(process / "mountinfo")
    return []


def _entries(directory: Path) -> list[Path]:
    with suppress(OSError):  # the process ended in this moment
        return list(directory.iterdir())
    return []


def _holds(link: Path, is_wanted: Callable[[Path], bool]) -> bool:
    with suppress(OSError):  # it was closed in this moment
        return is_wanted(link)
    return False


def _process_at(process: Path) -> Process:
    pod = _POD.search(_text(process / "cgroup"))
    pod_uid = pod[1].replace("_", "-") if pod else ""
    return Process(int(process.name), _printable(_text(process / "comm").strip()), pod_uid)


def _printable(text: str) -> str:
    """Without what a workload could do to a terminal by a name."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _text(path: Path) -> str:
    with suppress(OSError):  # the process ended in this moment
        return path.read_text(errors="replace")
    return ""
