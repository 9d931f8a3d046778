"""Letting a file system fill its device.

By the ioctls that resize2fs and xfs_growfs use themselves: they work on a descriptor, so that no
path and no table of mounts stands between, and they say by number what is wrong.
"""

import fcntl
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.domain.sizes import MIB
from csi_zfs.mount.api import (
    Device,
    FilesystemDamagedError,
    GrowthForbiddenError,
)
from csi_zfs.mount.block import opened_device
from csi_zfs.mount.detached import second_mount
from csi_zfs.mount.syscalls import closing_descriptor
from csi_zfs.system.runner import CommandFailedError, Runner

_EXT4_IOC_RESIZE_FS = 0x40086610
_EXT4_BLOCKS = struct.Struct("=Q")
_EXT4_SUPERBLOCK_OFFSET = 1024
# The lower half of the number of blocks, the logarithm of the block size, the upper half.
_EXT4_SUPERBLOCK = struct.Struct("<4xI16xI308xI")

_XFS_IOC_FSGEOMETRY_V1 = 0x80705864
_XFS_IOC_FSGROWFSDATA = 0x4010586E
# The block size, the share of inodes in per cent, the number of blocks.
_XFS_GEOMETRY = struct.Struct("=I24xIQ72x")
_XFS_GROWTH = struct.Struct("=QI4x")

# An end of the device that is too small for a group of its own stays unused.
_LEAST_GROUP_BYTES = 16 * MIB

_CAP_SYS_RESOURCE = 24
_E2FSCK_CLEAN = (0, 1, 2)
_E2FSCK_UNCORRECTED = 4
_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Growth:
    """Grows file systems, mounted ones where the kernel lets it.

    Methods raise plain `OSError` for what the kernel refuses; linux.py gives it its meaning.
    """

    runner: Runner
    process_status: Path = Path("/proc/thread-self/status")

    def grow(self, mount: int, device: Device, fs_type: str) -> None:
        """Grow a mounted file system, known by a descriptor (O_PATH will do), and read it back.

        Raises:
            GrowthForbiddenError: this process may not grow a mounted ext4.
            FilesystemDamagedError: the file system has recorded errors, or did not grow.
        """
        # A mount of our own: the one that is known by the descriptor may be read-only.
        with (
            second_mount(mount, is_read_only=False) as writable,
            closing_descriptor(
                os.open(".", os.O_RDONLY | os.O_CLOEXEC, dir_fd=writable)
            ) as directory,
        ):
            if fs_type == "xfs":
                size_bytes = _grow_xfs(directory, device)
            else:
                size_bytes = self._grow_ext4(directory, device)
        if device.size_bytes - size_bytes >= _LEAST_GROUP_BYTES:
            msg = f"{fs_type} on {device.path} has only {size_bytes} bytes after it was grown"
            raise FilesystemDamagedError(msg)

    def grow_unmounted_ext4(self, device: Device) -> None:
        """Grow an ext4 that is mounted nowhere, checked first; no-op where there is none to grow.

        Raises `FilesystemDamagedError` if the check finds what it cannot repair safely.
        """
        if _Ext4.read(device).can_grow_on(device):
            self._check(device)
            self.runner.run(("resize2fs", str(device.path)), timeout_s=_TIMEOUT_S)

    def may_grow_mounted_ext4(self) -> bool:
        """Whether this process has CAP_SYS_RESOURCE: some containers withhold it."""
        status = self.process_status.read_text("ascii", "replace")
        [capabilities] = re.findall(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
        return bool(int(capabilities, 16) >> _CAP_SYS_RESOURCE & 1)

    def _grow_ext4(self, directory: int, device: Device) -> int:
        ext4 = _Ext4.read(device)
        if ext4.can_grow_on(device):
            blocks = _EXT4_BLOCKS.pack(device.size_bytes // ext4.block_bytes)
            try:
                fcntl.ioctl(directory, _EXT4_IOC_RESIZE_FS, blocks)
            except PermissionError as exc:
                raise self._forbidden(device) from exc
        return _Ext4.read(device).size_bytes

    def _forbidden(self, device: Device) -> CsiZfsError:
        if self.may_grow_mounted_ext4():
            return FilesystemDamagedError(f"ext4 on {device.path} has recorded errors: run e2fsck")
        return GrowthForbiddenError(
            f"ext4 on {device.path} does not grow while it is mounted: the driver lacks"
            " CAP_SYS_RESOURCE; unstage the volume, and the next stage grows it"
        )

    def _check(self, device: Device) -> None:
        argv = ("e2fsck", "-f", "-p", str(device.path))
        try:
            self.runner.run(argv, timeout_s=_TIMEOUT_S, expected=_E2FSCK_CLEAN)
        except CommandFailedError as exc:
            if exc.status & _E2FSCK_UNCORRECTED:
                raise FilesystemDamagedError(str(exc)) from exc
            raise


def _grow_xfs(directory: int, device: Device) -> int:
    block_bytes, inode_share_percent, blocks = _xfs_geometry(directory)
    wanted_blocks = device.size_bytes // block_bytes
    if blocks < wanted_blocks:
        growth = _XFS_GROWTH.pack(wanted_blocks, inode_share_percent)
        fcntl.ioctl(directory, _XFS_IOC_FSGROWFSDATA, growth)
        blocks = _xfs_geometry(directory)[2]
    return blocks * block_bytes


def _xfs_geometry(directory: int) -> tuple[int, int, int]:
    """The block size in bytes, the share of inodes in per cent, and the number of blocks."""
    geometry = fcntl.ioctl(directory, _XFS_IOC_FSGEOMETRY_V1, bytes(_XFS_GEOMETRY.size))
    block_bytes, inode_share_percent, blocks = _XFS_GEOMETRY.unpack(geometry)
    return block_bytes, inode_share_percent, blocks


class _Ext4(NamedTuple):
    """The sizes in an ext4 superblock; `size_bytes` is 0 where there is none."""

    size_bytes: int
    block_bytes: int

    @classmethod
    def read(cls, device: Device) -> Self:
        """Read it from the device: the kernel's interface tells neither size."""
        with opened_device(device, os.O_RDONLY) as descriptor:
            superblock = os.pread(descriptor, _EXT4_SUPERBLOCK.size, _EXT4_SUPERBLOCK_OFFSET)
        low, log_block_size, high = _EXT4_SUPERBLOCK.unpack(superblock)
        block_bytes = 1024 << log_block_size
        return cls((high << 32 | low) * block_bytes, block_bytes)

    def can_grow_on(self, device: Device) -> bool:
        """Whether the device has room behind an ext4: for its last group, or for one more."""
        group_bytes = 8 * self.block_bytes**2
        is_group_full = self.size_bytes % group_bytes == 0
        least_bytes = _LEAST_GROUP_BYTES if is_group_full else self.block_bytes
        return 0 < self.size_bytes <= device.size_bytes - least_bytes
