"""Where an image is restored to: a new file, or what is there already and may hold other data."""

import ctypes
import errno
import os
from typing import Protocol

from csi_zfs.domain.errors import NoSpaceError, UnavailableError

_PUNCH_HOLE_KEEPING_SIZE = 0x03
_libc = ctypes.CDLL(None, use_errno=True)


class TargetFullError(NoSpaceError):
    """The target's file system has no room for the image."""


class TargetUnavailableError(UnavailableError):
    """The target cannot be read or written."""


class Target(Protocol):
    """Takes the parts of an image, each once, in any order and from any thread."""

    def write(self, offset: int, chunk: bytes) -> None:
        """Data at an offset."""

    def clear(self, offset: int, length: int) -> None:
        """Zeros at an offset."""

    def sync(self) -> None:
        """Make everything durable."""


class NewTarget:
    """An empty file that gets the image's size: what is not written is a hole."""

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        """Set the file's size; raises `TargetFullError`, `TargetUnavailableError`."""
        self._descriptor = descriptor
        try:
            if os.fstat(descriptor).st_size:
                raise TargetUnavailableError("the target is not empty: what it holds would remain")
            os.ftruncate(descriptor, size_bytes)
        except OSError as exc:
            raise translated(exc) from exc

    def write(self, offset: int, chunk: bytes) -> None:
        """See `Target`."""
        write_at(self._descriptor, offset, chunk)

    def clear(self, offset: int, length: int) -> None:
        """See `Target`: it is zeros."""

    def sync(self) -> None:
        """See `Target`."""
        sync(self._descriptor)


class UsedTarget:
    """A file or block device of the image's size: only what differs is written.

    So a clone keeps sharing what is equal, and a thin volume takes no room for zeros.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._can_punch = True

    def write(self, offset: int, chunk: bytes) -> None:
        """See `Target`."""
        if self._read(offset, len(chunk)) != chunk:
            write_at(self._descriptor, offset, chunk)

    def clear(self, offset: int, length: int) -> None:
        """See `Target`; written as zeros only where the system cannot make a hole."""
        if self._can_punch and self._is_punched(offset, length):
            return
        step = 1 << 20
        zeros = bytes(step)
        for at in range(offset, offset + length, step):
            self.write(at, zeros[: min(step, offset + length - at)])

    def sync(self) -> None:
        """See `Target`."""
        sync(self._descriptor)

    def _is_punched(self, offset: int, length: int) -> bool:
        number = errno.EINTR
        while number == errno.EINTR:
            number = _punched(self._descriptor, offset, length)
        if number in {errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV}:
            self._can_punch = False
        # A device takes whole sectors only, and an image may end within one.
        elif number not in {0, errno.EINVAL}:
            raise translated(OSError(number, os.strerror(number)))
        return number == 0

    def _read(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError:
            # What cannot be read is not equal; writing it may heal it.
            return b""


def _punched(descriptor: int, offset: int, length: int) -> int:
    """Make a hole; returns the errno, 0 where it is made."""
    result = _libc.fallocate(
        descriptor,
        _PUNCH_HOLE_KEEPING_SIZE,
        ctypes.c_longlong(offset),
        ctypes.c_longlong(length),
    )
    return 0 if result == 0 else ctypes.get_errno()


def write_at(descriptor: int, offset: int, data: bytes) -> None:
    """Write all of `data`; raises `TargetFullError`, `TargetUnavailableError`."""
    view = memoryview(data)
    try:
        while view:
            done = os.pwrite(descriptor, view, offset)
            view, offset = view[done:], offset + done
    except OSError as exc:
        raise translated(exc) from exc


def sync(descriptor: int) -> None:
    """Make durable what was written; raises `TargetFullError`, `TargetUnavailableError`."""
    try:
        os.fsync(descriptor)
    except OSError as exc:
        raise translated(exc) from exc


def translated(exc: OSError) -> NoSpaceError | UnavailableError:
    """The error for what the system said."""
    if exc.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return TargetFullError(f"the target takes no more: {exc.strerror}")
    return TargetUnavailableError(f"the target cannot be used: {exc.strerror}")
