"""Which chunks of a file or block device hold data, by what the file system knows of it."""

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterable, Iterator

_BLKGETSIZE64 = 0x80081272
_UINT64 = struct.Struct("=Q")


def size_of(descriptor: int) -> int:
    """The bytes of an open file or block device; raises `OSError`."""
    status = os.fstat(descriptor)
    if not stat.S_ISBLK(status.st_mode):
        return status.st_size
    answer = bytearray(_UINT64.size)
    fcntl.ioctl(descriptor, _BLKGETSIZE64, answer)
    (size_bytes,) = _UINT64.unpack(answer)
    return int(size_bytes)


def data_ranges(descriptor: int, size_bytes: int, *, start: int = 0) -> Iterator[tuple[int, int]]:
    """The parts from `start` on that are no holes, as offset and length.

    One part, where nobody knows of holes.
    """
    at = start
    while at < size_bytes:
        try:
            begin = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError as exc:
            if exc.errno == errno.ENXIO:
                return
            if exc.errno != errno.EINVAL:
                raise
            yield at, size_bytes - at
            return
        end = min(os.lseek(descriptor, begin, os.SEEK_HOLE), size_bytes)
        if begin >= size_bytes:
            return
        yield begin, end - begin
        at = end


def chunk_runs(
    ranges: Iterable[tuple[int, int]], *, chunk_bytes: int, size_bytes: int, most: int
) -> Iterator[range]:
    """The indexes of the chunks that ranges touch, each once, in runs of at most `most`.

    The ranges rise; they may touch or overlap, and what lies behind the end counts for nothing.
    """
    done = 0
    for offset, length in ranges:
        end = min(offset + length, size_bytes)
        first, behind = max(offset // chunk_bytes, done), -(-end // chunk_bytes)
        for begin in range(first, behind, most):
            yield range(begin, min(begin + most, behind))
        done = max(done, behind)
