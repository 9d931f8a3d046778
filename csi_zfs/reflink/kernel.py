"""What only the kernel can tell about a file: who has it open, and in how many pieces it lies."""

import errno
import fcntl
import os
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.datasets.api import DatasetBusyError
from csi_zfs.reflink.sealed import MAX_BYTES
from csi_zfs.system.clock import Clock
from csi_zfs.system.opening import open_below, opened

_FS_IOC_FIEMAP = 0xC020660B
_FIEMAP = struct.Struct("=QQLLLL")
_WHOLE_FILE = (1 << 64) - 1
# A metrics scrape or udev opens a file for a moment; a loop device or a copy keeps it open.
_ATTEMPTS = 10
_PAUSE_S = 0.05
_DIRECTORY = os.O_PATH | os.O_DIRECTORY
# An ordinary open of a FIFO that somebody put there would wait for ever.
_FILE = os.O_RDONLY | os.O_NONBLOCK
_BLOCK_DEVICES = Path("/sys/block")


def read_small(base: Path, relative: str) -> bytes:
    """The content of a small file below a directory, through no symbolic link.

    Raises plain `OSError`s that name the whole path.  What is larger than any record of ours is cut
    off, and so fails its digest.
    """
    try:
        with opened(base, _DIRECTORY) as directory:
            file = open_below(directory, relative, _FILE)
        try:
            return os.read(file, min(os.fstat(file).st_size, MAX_BYTES) + 1)
        finally:
            os.close(file)
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror, f"{base}/{relative}") from exc


def extent_count(path: Path) -> int:
    """In how many extents the data of a file lies (FIEMAP)."""
    request = bytearray(_FIEMAP.pack(0, _WHOLE_FILE, 0, 0, 0, 0))
    with opened(path, os.O_RDONLY) as descriptor:
        fcntl.ioctl(descriptor, _FS_IOC_FIEMAP, request)
    mapped_extents: int = _FIEMAP.unpack(request)[3]
    return mapped_extents


@contextmanager
def held_alone(path: Path, clock: Clock) -> Iterator[None]:
    """Prove that nobody has a file open, and keep openers waiting for a `with` block.

    The kernel grants a write lease only while no other open file description exists; a loop device
    has one.  A missing file is open nowhere.  Raises `DatasetBusyError`, naming the holder if it is
    a loop device, after half a second of attempts (rules.md B4).
    """
    try:
        descriptor = _open_unleased(path, clock)
    except FileNotFoundError:
        yield
        return
    try:
        _take_lease(descriptor, path, clock)
        yield
    finally:
        os.close(descriptor)


def _open_unleased(path: Path, clock: Clock) -> int:
    # A child process of another thread has a copy of every descriptor until it starts its program,
    # and so keeps a lease alive that was given back.
    for _ in range(_ATTEMPTS):
        try:
            return os.open(path, _FILE | os.O_CLOEXEC | os.O_NOFOLLOW)
        except BlockingIOError:
            clock.wait(_PAUSE_S)
    raise DatasetBusyError(f"{path} is open: another call holds it alone")


def _take_lease(descriptor: int, path: Path, clock: Clock) -> None:
    # The kernel tells a lease's owner about an opener by a signal, and the default one kills.
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
    for _ in range(_ATTEMPTS):
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as exc:
            if exc.errno != errno.EAGAIN:
                raise
            clock.wait(_PAUSE_S)
        else:
            return
    raise DatasetBusyError(f"{path} is open: {_holder_of(path)} has it")


def _holder_of(path: Path) -> str:
    """Words for people about who has a file open."""
    for backing in _BLOCK_DEVICES.glob("loop*/loop/backing_file"):
        try:
            text = backing.read_text(encoding="utf-8", errors="replace").rstrip("\n")
        except OSError:  # it was detached in this very moment
            continue
        if text == str(path):
            return f"/dev/{backing.parents[1].name}"
    return "another process"
