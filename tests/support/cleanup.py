"""Leaves nothing behind: neither mounts below a directory, nor loop devices of its files.

For tests that make real mounts.  It shares no code with what they test, except the pure parser of
mountinfo.
"""

import contextlib
import ctypes
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.mount.mountinfo import MountEntry, load_mountinfo

_FITHAW = 0xC0045878
_LOOP_CLR_FD = 0x4C01
_MNT_DETACH = 2
_UMOUNT_NOFOLLOW = 8
_POLLS = 100
_POLL_S = 0.02
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def nothing_left_below(path: Path) -> Iterator[Path]:
    """Give `path` to a `with` block and clean up behind it, however it ends."""
    try:
        yield path
    finally:
        force_unmount_below(path)


def force_unmount_below(path: Path) -> None:
    """Thaw and unmount what is at or below `path`, then detach the loop devices of its files."""
    loops = loop_devices_below(path)
    numbers = {
        (os.major(device.stat().st_rdev), os.minor(device.stat().st_rdev)) for device in loops
    }
    for entry in reversed(load_mountinfo()):
        if _is_below(entry, path) or entry.number in numbers:
            _thaw(entry.mount_point)
            _libc.umount2(os.fsencode(entry.mount_point), _MNT_DETACH | _UMOUNT_NOFOLLOW)
    for device in loops:
        _detach(device)
    _wait_until_detached(path)


def mounts_below(path: Path) -> list[str]:
    """The mount points at or below `path`: a test ends with none."""
    return [entry.mount_point for entry in load_mountinfo() if _is_below(entry, path)]


def loop_devices_below(path: Path) -> list[Path]:
    """The loop devices whose file lies or, if deleted, lay below `path`: a test ends with none."""
    found = []
    for backing_file in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # ENOENT or ENODEV: detached in this very moment
            if backing_file.read_text().startswith(f"{path.resolve()}/"):
                found.append(Path("/dev") / backing_file.parts[-3])
    return found


def _wait_until_detached(path: Path) -> None:
    """Whoever looks at all loop devices keeps one open for a moment: it goes right afterwards."""
    for _ in range(_POLLS):
        if not loop_devices_below(path):
            return
        threading.Event().wait(_POLL_S)


def _is_below(entry: MountEntry, path: Path) -> bool:
    return Path(entry.mount_point).is_relative_to(path.resolve())


def _thaw(mount_point: str) -> None:
    with contextlib.suppress(
        OSError
    ):  # not frozen, not a directory, or already dead: nothing to thaw
        descriptor = os.open(mount_point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _FITHAW, 0)
        finally:
            os.close(descriptor)


def _detach(device: Path) -> None:
    with contextlib.suppress(OSError):  # the last unmount has let it go already
        descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _LOOP_CLR_FD, 0)
        finally:
            os.close(descriptor)
