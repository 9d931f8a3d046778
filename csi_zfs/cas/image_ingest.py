"""Images into the store: read in parallel, zeros left out, each chunk put once."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from csi_zfs.cas.api import ZERO_DIGEST, BlobKind, ChunkSink
from csi_zfs.cas.extents import chunk_runs, data_ranges, size_of
from csi_zfs.cas.image_tree import ImageTree, ImageTreeReader
from csi_zfs.cas.image_writer import ImageTreeWriter
from csi_zfs.cas.pipeline import in_order
from csi_zfs.domain.errors import InUseError, UnavailableError

# One read brings so much: enough for the kernel, little for the memory.
_READ_BYTES = 4 << 20
# Compressing and sealing take the processors; what waits for the disk is few.
_THREADS = (os.cpu_count() or 1) + 1

Progress = Callable[[int], None]


class ImageChangedError(InUseError):
    """The image changed its size while it was read: nobody may write it meanwhile."""


class ImageUnreadableError(UnavailableError):
    """The image cannot be read; the text says where."""


@dataclass(frozen=True, slots=True)
class Base:
    """An older image in the store, and the ranges (offset, length) in which this one may differ.

    They must name every difference within the older size: the rest is taken over unread.
    """

    tree: ImageTreeReader
    size_bytes: int
    changed: Iterable[tuple[int, int]]


def nothing_done(_bytes: int) -> None:
    """For callers whom progress does not concern."""


def ingest_image(
    sink: ChunkSink,
    descriptor: int,
    *,
    chunk_bytes: int,
    base: Base | None = None,
    progress: Progress = nothing_done,
) -> tuple[ImageTree, int]:
    """Put an open file or block device; returns its tree and its size in bytes.

    Nobody may write it meanwhile.  `progress` is told of bytes that are done.  Raises
    `ImageChangedError`, `ImageUnreadableError` and what the sink raises.
    """
    with _reading():
        size_bytes = size_of(descriptor)
    reader = _Reader(sink, descriptor, chunk_bytes=chunk_bytes, size_bytes=size_bytes)
    count = -(-size_bytes // chunk_bytes)
    writer = ImageTreeWriter(sink, count, base=base.tree if base else None)
    ranges = _data_ranges(descriptor, size_bytes)
    if base:
        begin = _first_of_ends(base.size_bytes, size_bytes, chunk_bytes)
        beyond = _data_ranges(descriptor, size_bytes, start=begin) if begin < size_bytes else ()
        ranges = iter(sorted([*base.changed, (begin, chunk_bytes), *beyond]))
    runs = chunk_runs(
        ranges,
        chunk_bytes=chunk_bytes,
        size_bytes=size_bytes,
        most=max(_READ_BYTES // chunk_bytes, 1),
    )
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="ingest") as executor:
        for run, digests in in_order(executor, reader.put, runs, at_once=4 * _THREADS):
            for index, digest in zip(run, digests, strict=True):
                if base or digest != ZERO_DIGEST:
                    writer.put(index, digest)
            progress(len(run) * chunk_bytes)
    with _reading():
        is_as_long = size_of(descriptor) == size_bytes
    if not is_as_long:
        raise ImageChangedError(f"the image had {size_bytes} bytes and has another size now")
    return writer.finish(), size_bytes


class _Reader:
    """Reads runs of chunks and puts them; each thread has buffers of its own."""

    def __init__(
        self, sink: ChunkSink, descriptor: int, *, chunk_bytes: int, size_bytes: int
    ) -> None:
        self._sink = sink
        self._descriptor = descriptor
        self._chunk_bytes = chunk_bytes
        self._size_bytes = size_bytes
        self._zeros = bytes(chunk_bytes)
        self._local = threading.local()

    def put(self, run: range) -> tuple[range, list[bytes]]:
        """Read and put these chunks; returns them with their digests."""
        buffers = self._buffers(len(run))
        offset = run.start * self._chunk_bytes
        short = min(run.stop * self._chunk_bytes, self._size_bytes) - offset
        last_bytes = short - (len(run) - 1) * self._chunk_bytes
        if last_bytes != self._chunk_bytes:
            buffers[-1] = bytearray(last_bytes)
        self._read(buffers, offset, short)
        return run, [self._digest(buffer) for buffer in buffers]

    def _read(self, buffers: list[bytearray], offset: int, length: int) -> None:
        with _reading(f"{length} bytes at {offset} of "):
            got = os.preadv(self._descriptor, buffers, offset)
        if got != length:
            raise ImageChangedError(f"the image ends at {offset + got}, within {self._size_bytes}")

    def _digest(self, chunk: bytearray) -> bytes:
        # Comparing whole byte arrays is as fast as memory is; views are compared one by one.
        if chunk == self._zeros or (len(chunk) < self._chunk_bytes and not any(chunk)):
            return ZERO_DIGEST
        return self._sink.put(chunk, BlobKind.DATA)

    def _buffers(self, count: int) -> list[bytearray]:
        mine: list[bytearray] | None = getattr(self._local, "buffers", None)
        if mine is None or len(mine) < count:
            mine = [bytearray(self._chunk_bytes) for _ in range(count)]
            self._local.buffers = mine
        return mine[:count]


def _first_of_ends(old_bytes: int, new_bytes: int, chunk_bytes: int) -> int:
    """From where on another size makes another image: the last chunk gets longer or shorter."""
    end = min(old_bytes, new_bytes)
    return new_bytes if old_bytes == new_bytes else end - end % chunk_bytes


def _data_ranges(descriptor: int, size_bytes: int, *, start: int = 0) -> Iterator[tuple[int, int]]:
    with _reading():
        yield from data_ranges(descriptor, size_bytes, start=start)


@contextmanager
def _reading(what: str = "") -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise ImageUnreadableError(f"{what}the image cannot be read: {exc.strerror}") from exc
