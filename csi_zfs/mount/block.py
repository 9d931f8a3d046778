"""Block devices, opened by identity: a path under /dev alone proves nothing (rules.md A7).

Every function raises plain `OSError` for what the kernel refuses; linux.py gives it its meaning.
"""

import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from csi_zfs.domain.model import DeviceNode
from csi_zfs.mount.api import Device, DeviceUnavailableError
from csi_zfs.system.clock import Clock

_BLKGETSIZE64 = 0x80081272
_BLKROSET = 0x125D
_BLKROGET = 0x125E
_SIZE = struct.Struct("=Q")
_SWITCH = struct.Struct("=i")

# udev makes the links of /dev/zvol some time after the device.
_NODE_WAIT_S = 10.0
_NODE_POLL_S = 0.1


def number_of(device_number: int) -> tuple[int, int]:
    """The major and the minor number in a `st_dev` or `st_rdev`."""
    return os.major(device_number), os.minor(device_number)


@contextmanager
def opened_node(path: Path, flags: int) -> Iterator[int]:
    """A descriptor of a device node for the length of a `with` block; never blocks on a FIFO."""
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def identify(path: Path) -> Device:
    """The block device to which a path leads; raises `DeviceUnavailableError` for other files."""
    node = path.resolve()
    with opened_node(node, os.O_RDONLY) as descriptor:
        return _describe(descriptor, node)


def wait_for_device(node: DeviceNode, clock: Clock) -> Device:
    """The device of a node, once its path can be opened and shows a device of the right size.

    Raises `DeviceUnavailableError` after ten seconds.
    """
    deadline_s = clock.monotonic_s() + _NODE_WAIT_S
    while True:
        try:
            return require_size(identify(node.path), node.size_bytes)
        except (OSError, DeviceUnavailableError) as exc:
            if clock.monotonic_s() >= deadline_s:
                raise DeviceUnavailableError(f"{exc} (waited {_NODE_WAIT_S:g} s)") from exc
        clock.wait(_NODE_POLL_S)


def require_size(device: Device, size_bytes: int) -> Device:
    """The same device; raises `DeviceUnavailableError` if it is not of exactly this size."""
    if device.size_bytes != size_bytes:
        msg = f"{device.path} has {device.size_bytes} bytes instead of {size_bytes}"
        raise DeviceUnavailableError(msg)
    return device


@contextmanager
def opened_device(device: Device, flags: int) -> Iterator[int]:
    """A descriptor of exactly this device for the length of a `with` block.

    While it is open, the number of the device cannot pass to another one.  With O_EXCL, a device
    that is mounted or held by another O_EXCL raises EBUSY.  Raises `DeviceUnavailableError` if the
    path leads to another device than it did.
    """
    with opened_node(device.path, flags) as descriptor:
        found = _describe(descriptor, device.path)
        if found.number != device.number:
            msg = f"{device.path} is now device {found.number}, not {device.number}"
            raise DeviceUnavailableError(msg)
        require_size(found, device.size_bytes)
        yield descriptor


def require_unclaimed(device: Device) -> None:
    """Raise EBUSY if the device is mounted, or somebody else has it for their own."""
    with opened_device(device, os.O_RDONLY | os.O_EXCL):
        pass


def with_read_only(device: Device, *, is_read_only: bool) -> Device:
    """The device in the wanted state; EBUSY for making a mounted one read-only."""
    if device.is_read_only == is_read_only:
        return device
    with opened_device(device, os.O_RDONLY | (os.O_EXCL if is_read_only else 0)) as descriptor:
        set_read_only(descriptor, is_read_only=is_read_only)
    return replace(device, is_read_only=is_read_only)


def is_read_only(descriptor: int) -> bool:
    """Whether the kernel refuses writes to an open device."""
    (state,) = _SWITCH.unpack(fcntl.ioctl(descriptor, _BLKROGET, bytes(_SWITCH.size)))
    return bool(state)


def set_read_only(descriptor: int, *, is_read_only: bool) -> None:
    """Let the kernel take or refuse writes to an open device, also through later openings."""
    fcntl.ioctl(descriptor, _BLKROSET, _SWITCH.pack(is_read_only))


def _describe(descriptor: int, path: Path) -> Device:
    status = os.fstat(descriptor)
    if not stat.S_ISBLK(status.st_mode):
        raise DeviceUnavailableError(f"{path} is not a block device")
    (size_bytes,) = _SIZE.unpack(fcntl.ioctl(descriptor, _BLKGETSIZE64, bytes(_SIZE.size)))
    number = number_of(status.st_rdev)
    return Device(path, number, size_bytes, is_read_only=is_read_only(descriptor))
