"""Reading the bytes of one open file into chunks."""

import errno
import os
from collections.abc import Iterator
from concurrent.futures import Executor

from csi_zfs.cas.api import ZERO_DIGEST, BlobKind, ChunkSink
from csi_zfs.cas.cutting import LARGEST_BYTES
from csi_zfs.cas.file_content import ZERO_BLOCK_BYTES, ContentWriter, is_zeros

_BLOCK_BYTES = 4 * 1024 * 1024


class FileBytes:
    """The bytes of an open file up to a length, read once and in order.

    `error` is what ended the reading early: it is kept apart from what a sink raises meanwhile.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self.read_bytes = 0
        self.length = 0
        self.error: OSError | None = None

    def whole(self) -> bytes:
        """All bytes of a small file."""
        data = b""
        try:
            data = self._read(0, self._size)
        except OSError as exc:
            self.error = exc
        self.length = self.read_bytes = len(data)
        return data

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """Zeros to skip, then bytes that come after them; both may be none."""
        try:
            while self.length < self._size:
                zeros = self._hole()
                start = self.length + zeros
                data = self._read(start, min(_BLOCK_BYTES, self._size - start))
                self.length = start + len(data)
                self.read_bytes += len(data)
                yield zeros, data
                if len(data) < _BLOCK_BYTES:
                    break
        except OSError as exc:
            self.error = exc

    def _hole(self) -> int:
        """How many whole blocks of zeros begin here that need not be read."""
        try:
            start = os.lseek(self._descriptor, self.length, os.SEEK_DATA)
        except OSError as exc:
            if exc.errno == errno.ENXIO:
                start = os.lseek(self._descriptor, 0, os.SEEK_END)
            elif exc.errno == errno.EINVAL:  # a file system that knows no holes
                start = self.length
            else:
                raise
        start = min(start, self._size)
        if start < self._size:
            start -= start % ZERO_BLOCK_BYTES
        return max(start - self.length, 0)

    def _read(self, start: int, wanted: int) -> bytes:
        data = os.pread(self._descriptor, wanted, start)
        while len(data) < wanted:
            more = os.pread(self._descriptor, wanted - len(data), start + len(data))
            if not more:
                break
            data += more
        return data


def store_content(
    sink: ChunkSink, data: FileBytes, size: int, executor: Executor | None = None
) -> tuple[bytes, bool]:
    """Put what a file holds; returns the digest of its content and whether that is a node.

    With an executor, some chunks of a large file are put at once (see `ContentWriter`).  What comes
    back is worth nothing where `data.error` is set afterwards.
    """
    if size <= LARGEST_BYTES:
        whole = data.whole()
        return (ZERO_DIGEST if is_zeros(whole) else sink.put(whole, BlobKind.DATA)), False
    writer = ContentWriter(sink, executor)
    for zeros, block in data.pieces():
        if zeros:
            writer.add_zeros(zeros)
        if block:
            writer.add(block)
    digest = writer.finish()
    return digest, digest != ZERO_DIGEST
