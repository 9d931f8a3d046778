"""Images out of the store: neighbours in a pack read at once, every chunk checked, holes kept."""

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from csi_zfs.cas.api import BlobKind, ChunkCorruptError, Root
from csi_zfs.cas.image_tree import ImageTreeReader, image_tree_of
from csi_zfs.cas.pipeline import in_order
from csi_zfs.cas.reading import ChunkReader, Wanted
from csi_zfs.cas.targets import Target
from csi_zfs.domain.errors import CorruptionError

# Of so many chunks the neighbours in packs are sought: those of a pack, most of the time.
_WINDOW_BYTES = 64 << 20
_THREADS = (os.cpu_count() or 1) + 1

Progress = Callable[[int], None]
_Chunk = tuple[int, bytes]


@dataclass(slots=True)
class Salvage:
    """What could not be restored, and why the first of it could not.  Thread-safe."""

    reason: str = ""
    _parts: list[tuple[int, int]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, offset: int, length: int, why: CorruptionError) -> None:
        """Add a range."""
        with self._lock:
            self.reason = self.reason or str(why)
            self._parts.append((offset, length))

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The ranges as offset and length, in order; neighbours are one."""
        merged: list[tuple[int, int]] = []
        with self._lock:
            parts = sorted(self._parts)
        for offset, length in parts:
            if merged and sum(merged[-1]) == offset:
                merged[-1] = (merged[-1][0], merged[-1][1] + length)
            else:
                merged.append((offset, length))
        return merged


@dataclass(frozen=True, slots=True)
class _Job:
    """Neighbours in a pack, and where each of their chunks belongs; or chunks of no known place."""

    run: Sequence[Wanted]
    indexes: dict[bytes, list[int]]


class ImageRestore:
    """Restores one image."""

    def __init__(
        self, reader: ChunkReader, root: Root, target: Target, *, salvage: Salvage | None = None
    ) -> None:
        """Restore to `target`; with `salvage`, what is damaged is told there and left out.

        Raises `StoreCorruptError` where the root is not that of an image.
        """
        self._reader = reader
        self._root = root
        self._tree = ImageTreeReader(reader, image_tree_of(root))
        self._target = target
        self._salvage = salvage
        # Of nodes: (first, behind) of the chunks below those that were lost since the last chunk.
        self._lost_below: list[tuple[int, int]] = []

    def run(self, progress: Callable[[int], None]) -> None:
        """Write all of it; `progress` is told of bytes that are done.  Nothing is synced.

        Raises `CorruptionError`, naming the range, unless there is a salvage, and what the target
        raises.
        """
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="restore") as executor:
            for done in in_order(executor, self._write, self._jobs(), at_once=4 * _THREADS):
                progress(done)

    def _jobs(self) -> Iterator[_Job]:
        window = max(_WINDOW_BYTES // self._root.chunk_bytes, 1)
        chunks = self._clearing_gaps(self._tree.chunks(lost=self._lost if self._salvage else None))
        while batch := list(islice(chunks, window)):
            indexes: dict[bytes, list[int]] = defaultdict(list)
            for index, digest in batch:
                indexes[digest].append(index)
            runs = self._reader.runs(list(indexes))
            for run in runs:
                yield _Job(run, {one.digest: indexes.pop(one.digest) for one in run})
            if indexes:
                yield _Job((), indexes)

    def _clearing_gaps(self, chunks: Iterable[_Chunk]) -> Iterator[_Chunk]:
        """The same chunks; what lies between them is zeros and cleared, unless it is lost."""
        expected = 0
        for index, digest in chunks:
            self._clear(expected, index)
            expected = index + 1
            yield index, digest
        self._clear(expected, self._tree.tree.chunk_count)

    def _clear(self, first: int, behind: int) -> None:
        for lost_first, lost_behind in self._lost_below:
            self._clear_range(first, lost_first)
            first = lost_behind
        self._lost_below.clear()
        self._clear_range(first, behind)

    def _clear_range(self, first: int, behind: int) -> None:
        begin = first * self._root.chunk_bytes
        end = min(behind * self._root.chunk_bytes, self._root.size_bytes)
        if begin < end:
            self._target.clear(begin, end - begin)

    def _write(self, job: _Job) -> int:
        found = self._reader.read_run(job.run, BlobKind.DATA) if job.run else {}
        done = 0
        for digest, indexes in job.indexes.items():
            for index in indexes:
                done += self._write_one(index, digest, found)
        return done

    def _write_one(self, index: int, digest: bytes, found: dict[bytes, bytes]) -> int:
        offset = index * self._root.chunk_bytes
        length = min(self._root.chunk_bytes, self._root.size_bytes - offset)
        try:
            if digest not in found:
                found[digest] = self._reader.get(digest, BlobKind.DATA)
            if len(found[digest]) != length:
                raise ChunkCorruptError(f"chunk {digest.hex()} has not the length of its place")
        except CorruptionError as exc:
            self._lose(offset, length, exc)
        else:
            self._target.write(offset, found[digest])
        return length

    def _lost(self, first: int, count: int, why: CorruptionError) -> None:
        self._lost_below.append((first, first + count))
        offset = first * self._root.chunk_bytes
        end = min(offset + count * self._root.chunk_bytes, self._root.size_bytes)
        self._lose(offset, end - offset, why)

    def _lose(self, offset: int, length: int, why: CorruptionError) -> None:
        if self._salvage is None:
            raise ChunkCorruptError(f"{length} bytes at {offset} are damaged: {why}") from why
        self._salvage.add(offset, length, why)
