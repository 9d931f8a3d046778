"""The ioctls of loop devices (<linux/loop.h>), on open descriptors; all raise plain `OSError`."""

import fcntl
import os
import struct
from pathlib import Path
from typing import NamedTuple

_LOOP_CLR_FD = 0x4C01
_LOOP_SET_STATUS64 = 0x4C04
_LOOP_GET_STATUS64 = 0x4C05
_LOOP_SET_CAPACITY = 0x4C07
_LOOP_CONFIGURE = 0x4C0A
_LOOP_CTL_GET_FREE = 0x4C82
_LO_FLAGS_AUTOCLEAR = 4
_LO_FLAGS_DIRECT_IO = 16

_INFO = struct.Struct("=5Q4I64s64s32s2Q")  # struct loop_info64
_DEVICE, _INODE, _FLAGS = 0, 1, 8
_CONFIG_HEAD = struct.Struct("=2I")  # struct loop_config: this, a loop_info64, and a reserve
_CONFIG_RESERVE = bytes(64)

# Left to itself, the kernel takes 512 or 4096 by what the backing file allows, and an XFS that was
# made over the one does not mount over the other.
_BLOCK_BYTES = 4096


class FileIdentity(NamedTuple):
    """What a file is, whatever it is called."""

    device: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "FileIdentity":
        """The identity of the file with this status."""
        return cls(status.st_dev, status.st_ino)


def free_index(control: int) -> int:
    """The number of a device that is free now, made if there is none (`control`: loop-control)."""
    return fcntl.ioctl(control, _LOOP_CTL_GET_FREE)


def configure(descriptor: int, backing: int, name: Path) -> None:
    """Let a free device serve an open file, past the page cache where its file system can.

    The device keeps `backing` open, and outlives this process.  EBUSY if it is not free any more.
    """
    flags = _LO_FLAGS_DIRECT_IO
    info = _INFO.pack(0, 0, 0, 0, 0, 0, 0, 0, flags, os.fsencode(name)[:63], b"", b"", 0, 0)
    head = _CONFIG_HEAD.pack(backing, _BLOCK_BYTES)
    fcntl.ioctl(descriptor, _LOOP_CONFIGURE, head + info + _CONFIG_RESERVE)


def served_file(descriptor: int) -> FileIdentity:
    """The file that a device serves; ENXIO where it serves none."""
    info = _status(descriptor)
    return FileIdentity(info[_DEVICE], info[_INODE])


def adopt_file_size(descriptor: int) -> None:
    """Make the device as large as its file has become."""
    fcntl.ioctl(descriptor, _LOOP_SET_CAPACITY, 0)


def clear(descriptor: int) -> None:
    """Let go of the file; with other openings left, only mark the device to go with the last."""
    fcntl.ioctl(descriptor, _LOOP_CLR_FD, 0)


def keep(descriptor: int) -> None:
    """Take the mark of `clear` away."""
    info = _status(descriptor)
    if info[_FLAGS] & _LO_FLAGS_AUTOCLEAR:
        info[_FLAGS] &= ~_LO_FLAGS_AUTOCLEAR
        fcntl.ioctl(descriptor, _LOOP_SET_STATUS64, _INFO.pack(*info))


def _status(descriptor: int) -> list[int]:
    return list(_INFO.unpack(fcntl.ioctl(descriptor, _LOOP_GET_STATUS64, bytes(_INFO.size))))
