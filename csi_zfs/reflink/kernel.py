"""What only the kernel can tell about a file: who has it open, and in how many pieces it lies."""

import errno
import fcntl
import os
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.datasets.api import DatasetBusyError
from csi_zfs.reflink.sealed import MAX_BYTES
from csi_zfs.system.clock import Clock
from csi_zfs.system.opening import open_below, opened

_FS_IOC_FIEMAP = 0xC020660B
_FIEMAP = struct.Struct("=QQLLLL")
_FIEMAP_EXTENT = struct.Struct("=QQQ16xL12x")
_FLAGS_WORD = 10
_FIEMAP_FLAG_SYNC = 0x01
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


@dataclass(frozen=True, slots=True)
class ExtentPage:
    """Some extents of a file, as the kernel wrote them down: every one that touches a range.

    Attributes:
        raw: their records; equal bytes are equal extents.
        begin: where the range begins.
        end: where it ends; what no extent covers before that is a hole.
    """

    raw: bytes
    begin: int
    end: int

    def rows(self) -> Iterator[tuple[int, int, int, int]]:
        """Logical and physical offset, length and flags of each extent; they may stick out."""
        return _FIEMAP_EXTENT.iter_unpack(self.raw)

    def flags(self) -> frozenset[int]:
        """All the flags that any of them has."""
        words = memoryview(self.raw).cast("I")
        return frozenset(words[_FLAGS_WORD :: _FIEMAP_EXTENT.size // words.itemsize])


def extent_page(descriptor: int, begin: int, end: int, *, most: int) -> ExtentPage:
    """The first extents of an open file from `begin` on, at most `most`; ends at `end` at last.

    What was written before is on its blocks first.  Raises `OSError`.
    """
    request = bytearray(_FIEMAP.size + most * _FIEMAP_EXTENT.size)
    _FIEMAP.pack_into(request, 0, begin, end - begin, _FIEMAP_FLAG_SYNC, 0, most, 0)
    fcntl.ioctl(descriptor, _FS_IOC_FIEMAP, request)
    count = _FIEMAP.unpack_from(request)[3]
    raw = bytes(request[_FIEMAP.size : _FIEMAP.size + count * _FIEMAP_EXTENT.size])
    if count == most:
        logical, _, length, _ = _FIEMAP_EXTENT.unpack_from(raw, len(raw) - _FIEMAP_EXTENT.size)
        if logical + length <= begin:
            raise OSError(errno.EIO, "the file system tells of extents in no order")
        end = min(end, logical + length)
    return ExtentPage(raw, begin, end)


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
