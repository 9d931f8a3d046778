"""What is mounted where, in the driver's terms.  Never touches a mounted ext4 or xfs."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from csi_zfs.mount.api import Device, Mounted
from csi_zfs.mount.block import number_of
from csi_zfs.mount.mountinfo import MountEntry, load_mountinfo

# Where device nodes live: bound to a file, such a mount shows one node instead of a directory.
NODE_FILESYSTEMS = {"devtmpfs", "tmpfs"}
_SYSFS = Path("/sys/dev/block")
_SECTOR_BYTES = 512
_GONE = {errno.ENOENT, errno.ENODEV}


def mounted_from(entry: MountEntry, target: Path) -> Mounted:
    """The mount at a target as the driver sees it; a bound device that is gone is read-only."""
    number = bound_device(entry)
    if number is not None:
        return Mounted(target, number, "", _is_read_only(number), is_block=True)
    return Mounted(
        target,
        entry.number,
        entry.fs_type,
        entry.is_read_only,
        dataset_name=entry.dataset_name,
    )


def bound_device(entry: MountEntry) -> tuple[int, int] | None:
    """The number of the block device that is bound to a file here, or None."""
    if entry.fs_type not in NODE_FILESYSTEMS or entry.root == "/":
        return None
    with suppress(OSError):  # hidden below another mount, or unmounted in this moment
        status = os.lstat(entry.mount_point)
        if stat.S_ISBLK(status.st_mode):
            return number_of(status.st_rdev)
    return None


def paths_of(device: Device) -> list[Path]:
    """Where the device or its file system is mounted or bound."""
    return [
        Path(entry.mount_point)
        for entry in load_mountinfo()
        if device.number in (entry.number, bound_device(entry))
    ]


def device_size(number: tuple[int, int]) -> int:
    """The size of a block device in bytes."""
    return int(_attribute(number, "size")) * _SECTOR_BYTES


def _is_read_only(number: tuple[int, int]) -> bool:
    try:
        return _attribute(number, "ro") == "1"
    except OSError as exc:
        if exc.errno not in _GONE:
            raise
        return True  # nobody can write to it, and who has it bound must be able to let go of it


def _attribute(number: tuple[int, int], name: str) -> str:
    major, minor = number
    return (_SYSFS / f"{major}:{minor}" / name).read_text("ascii").strip()
