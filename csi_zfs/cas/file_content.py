"""The content of one file: cut into chunks, and read back."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

from csi_zfs.cas.api import (
    ZERO_DIGEST,
    BlobKind,
    ChunkSink,
    ChunkSource,
    StoreCorruptError,
)
from csi_zfs.cas.cutting import LARGEST_BYTES, cut
from csi_zfs.cas.tree_entries import Entry
from csi_zfs.cas.tree_nodes import (
    Node,
    NodeType,
    NodeWriter,
    decode_extents,
    decode_node,
    encode_extent,
    expect,
)

# Zeros are found in aligned blocks of this length, so that content alone decides about holes.
ZERO_BLOCK_BYTES = 64 * 1024
# Cut at once: the longer, the less is cut twice.
_WINDOW_BYTES = 8 * LARGEST_BYTES
_ZEROS = bytes(ZERO_BLOCK_BYTES)
# Chunks that are being put while more are cut.
_AT_ONCE = 8
# What is asked for at once: so many chunks, of so many bytes together.
_BATCH = 256
_BATCH_BYTES = 16 * 1024 * 1024

_Item = TypeVar("_Item")


class ContentWriter:
    """Takes the bytes of one large file in order and puts its chunks and nodes.

    With an executor, some chunks are put at once; it must not be one that the sink itself needs.
    One thread at a time.
    """

    def __init__(self, sink: ChunkSink, executor: Executor | None = None) -> None:
        self._sink = sink
        self._executor = executor
        # Records in their order: their length, and their digest or who will know it.
        self._records: deque[tuple[int, bytes | Future[bytes]]] = deque()
        self._nodes = NodeWriter(
            sink,
            NodeType.CONTENT,
            lambda _key, length, digest: encode_extent(length, digest),
        )
        self._window: list[bytes] = []
        self._window_bytes = 0
        self._zeros = 0
        self._has_data = False

    def add(self, data: bytes) -> None:
        """Append bytes; they begin at a multiple of `ZERO_BLOCK_BYTES`."""
        for is_zero, start, end in _runs(data):
            if is_zero:
                self.add_zeros(end - start)
            else:
                self._add_data(data[start:end])

    def add_zeros(self, length: int) -> None:
        """Append zeros."""
        self._cut(is_whole=True)
        self._zeros += length

    def finish(self) -> bytes:
        """The digest of the content's root; that of zeros where there is nothing else."""
        self._cut(is_whole=True)
        if not self._has_data:
            return ZERO_DIGEST
        self._end_zeros()
        self._settle(0)
        return self._nodes.finish()

    def _add_data(self, data: bytes) -> None:
        self._end_zeros()
        self._has_data = True
        self._window.append(data)
        self._window_bytes += len(data)
        if self._window_bytes >= _WINDOW_BYTES:
            self._cut(is_whole=False)

    def _end_zeros(self) -> None:
        if self._zeros:
            self._records.append((self._zeros, ZERO_DIGEST))
            self._zeros = 0

    def _cut(self, *, is_whole: bool) -> None:
        window, end = b"".join(self._window), 0
        view = memoryview(window)
        for start, length in cut(window, is_whole=is_whole):
            end = start + length
            self._records.append((length, self._put(view[start:end])))
            self._settle(_AT_ONCE)
        self._window = [window[end:]]
        self._window_bytes = len(window) - end

    def _put(self, chunk: memoryview) -> bytes | Future[bytes]:
        if self._executor is None:
            return self._sink.put(chunk, BlobKind.DATA)
        return self._executor.submit(self._sink.put, chunk, BlobKind.DATA)

    def _settle(self, left: int) -> None:
        """Add records to the nodes until so many are left."""
        while len(self._records) > left:
            length, digest = self._records.popleft()
            if isinstance(digest, Future):
                digest = digest.result()
            self._nodes.add(encode_extent(length, digest), digest, length)


def _runs(data: bytes) -> Iterator[tuple[bool, int, int]]:
    """Runs of blocks of zeros, and of others."""
    run_start, run_is_zero = 0, False
    for start in range(0, len(data), ZERO_BLOCK_BYTES):
        is_zero = data.startswith(_ZEROS[: len(data) - start], start)
        if is_zero != run_is_zero:
            if start:
                yield run_is_zero, run_start, start
            run_start, run_is_zero = start, is_zero
    yield run_is_zero, run_start, len(data)


def read_extents(source: ChunkSource, entry: Entry) -> Iterator[tuple[int, int, bytes]]:
    """Offset, length and digest of each chunk of a file; holes are left out.

    Raises `StoreCorruptError` where the lengths are not those that the nodes above say.
    """
    if entry.content == ZERO_DIGEST:
        return
    if not entry.has_content_node:
        yield 0, entry.size, entry.content
        return
    node = decode_node(source.get(entry.content, BlobKind.TREE))
    yield from _extents_in(source, node, 0, entry.size)


def read_content(source: ChunkSource, entry: Entry) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of each chunk of a file; holes are left out."""
    for batch in batches_of(read_extents(source, entry), lambda extent: extent[1]):
        found = source.get_many([digest for _, _, digest in batch], BlobKind.DATA)
        for (offset, length, _), data in zip(batch, found, strict=True):
            yield offset, check_length(data, length)


def batches_of(items: Iterable[_Item], length_of: Callable[[_Item], int]) -> Iterator[list[_Item]]:
    """So many items at a time as may be asked for at once, by number and by length."""
    batch: list[_Item] = []
    length = 0
    for item in items:
        batch.append(item)
        length += length_of(item)
        if len(batch) == _BATCH or length >= _BATCH_BYTES:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def check_length(data: bytes, length: int) -> bytes:
    """The chunk itself, of this length.  Raises `StoreCorruptError`."""
    if len(data) != length:
        raise StoreCorruptError(f"a chunk of a file has {len(data)} bytes, not {length}")
    return data


def _extents_in(
    source: ChunkSource, node: Node, start: int, length: int
) -> Iterator[tuple[int, int, bytes]]:
    if node.type is not NodeType.CONTENT:
        raise StoreCorruptError(f"a node of a file's content is {node.type.name}")
    extents, at = decode_extents(node), start
    covered = sum(part for part, _ in extents)
    if covered != length:
        raise StoreCorruptError(f"a content node covers {covered} bytes, not {length}")
    for part, digest in extents:
        if node.level:
            below = expect(source.get(digest, BlobKind.TREE), NodeType.CONTENT, node.level - 1)
            yield from _extents_in(source, below, at, part)
        elif digest != ZERO_DIGEST:
            yield at, part, digest
        at += part


def is_zeros(data: bytes) -> bool:
    """Whether there are only zeros; quick where the first byte is another."""
    return not data.lstrip(b"\0")
