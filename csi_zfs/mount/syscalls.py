"""The kernel's mount interface by descriptors (Linux 5.12), which Python does not wrap.

A mount is made detached, checked, and only then put in its place: nobody sees a wrong or half-made
one, and what is meant by a path cannot change between a check and its use.  Every call raises plain
`OSError`; the caller knows what it means.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The same on every architecture since Linux 4.20 (asm-generic/unistd.h).
_OPEN_TREE = 428
_MOVE_MOUNT = 429
_FSOPEN = 430
_FSCONFIG = 431
_FSMOUNT = 432
_MOUNT_SETATTR = 442

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_OPEN_TREE_CLONE = 1
_FLAGS_CLOEXEC = 1
_MOVE_EMPTY_PATHS = 0x04 | 0x40
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6
_UMOUNT_NOFOLLOW = 8
_FALLOC_KEEP_SIZE = 1
_FALLOC_PUNCH_HOLE = 2
_FALLOC_ZERO_RANGE = 16
_MESSAGE_BYTES = 1000

MOUNT_ATTR_RDONLY = 0x01

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


@contextmanager
def closing_descriptor(descriptor: int) -> Iterator[int]:
    """Close `descriptor` at the end of a `with` block; a detached mount of it is dissolved."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_filesystem(fs_type: str) -> int:
    """Begin to make a mount of a file system; ENODEV where the kernel does not know the type."""
    return _syscall(_FSOPEN, fs_type.encode(), _FLAGS_CLOEXEC)


def set_option(context: int, name: str, value: str | None = None) -> None:
    """Give the file system to be mounted an option, `name` or `name=value`."""
    command = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
    _syscall(
        _FSCONFIG, context, command, name.encode(), None if value is None else os.fsencode(value), 0
    )


def create_superblock(context: int) -> None:
    """Let the file system read its device, and recover its log."""
    _syscall(_FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0)


def create_mount(context: int, attributes: int) -> int:
    """A detached mount of the created superblock, with `MOUNT_ATTR_*` bits."""
    return _syscall(_FSMOUNT, context, _FLAGS_CLOEXEC, attributes)


def messages_of(context: int) -> str:
    """What the kernel says, for people, about the calls on `context` so far."""
    lines = []
    while True:
        try:
            lines.append(os.read(context, _MESSAGE_BYTES).decode(errors="replace").strip())
        except OSError:  # ENODATA: the last one was read
            return "; ".join(lines)


def clone_mount(descriptor: int) -> int:
    """A bind mount of what `descriptor` (O_PATH will do) refers to, before it has a place."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_EMPTY_PATH
    return _syscall(_OPEN_TREE, descriptor, b"", flags)


def place_mount(mount: int, target: int) -> None:
    """Put a detached mount on top of what `target` (O_PATH will do) refers to."""
    _syscall(_MOVE_MOUNT, mount, b"", target, b"", _MOVE_EMPTY_PATHS)


def set_mount_attributes(mount: int, *, to_set: int = 0, to_clear: int = 0) -> None:
    """Change `MOUNT_ATTR_*` bits of one mount at once; EBUSY where files are open for writing."""
    attributes = _MountAttr(attr_set=to_set, attr_clr=to_clear)
    _syscall(
        _MOUNT_SETATTR,
        mount,
        b"",
        _AT_EMPTY_PATH,
        ctypes.byref(attributes),
        ctypes.sizeof(attributes),
    )


def unmount(directory: int, name: str) -> None:
    """Unmount what is on top at `name` in an open directory.

    EINVAL where nothing is mounted, EBUSY while it is in use.  The name is looked up from the
    descriptor of its directory: one of the mount itself would keep it busy.
    """
    path = Path(f"/proc/self/fd/{directory}", name)
    _checked(_libc.umount2(os.fsencode(path), _UMOUNT_NOFOLLOW))


def sync_filesystem(descriptor: int) -> None:
    """Write all of a file system's dirty data to its device."""
    _checked(_libc.syncfs(descriptor))


def punch_hole(descriptor: int, size_bytes: int) -> None:
    """Make the first bytes of a device read as zeros, and give back what holds them.

    EOPNOTSUPP where the device does not give back.
    """
    _fallocate(descriptor, _FALLOC_PUNCH_HOLE, size_bytes)


def zero_range(descriptor: int, size_bytes: int) -> None:
    """Make the first bytes of a device read as zeros, and keep what holds them."""
    _fallocate(descriptor, _FALLOC_ZERO_RANGE, size_bytes)


def _fallocate(descriptor: int, mode: int, size_bytes: int) -> None:
    flags = mode | _FALLOC_KEEP_SIZE
    _checked(_libc.fallocate(descriptor, flags, ctypes.c_int64(0), ctypes.c_int64(size_bytes)))


def _syscall(number: int, *arguments: object) -> int:
    # As C's `long`, so that the kernel finds no garbage in the upper half of a register.
    longs = [
        ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments
    ]
    return _checked(_libc.syscall(ctypes.c_long(number), *longs))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
