"""Writing an image's tree, from nothing or as a change of an older one."""

from dataclasses import dataclass

from csi_zfs.cas.api import DIGEST_BYTES, ZERO_DIGEST, BlobKind, ChunkSink
from csi_zfs.cas.image_nodes import FAN_OUT, depth_of, encode_node
from csi_zfs.cas.image_tree import ImageTree, ImageTreeReader


@dataclass(slots=True)
class _OpenNode:
    """A node that is being filled: full length, zeros where nothing was put."""

    level: int
    first: int
    end: int
    digests: bytearray


class ImageTreeWriter:
    """Takes the digests of an image's chunks in their order and puts the nodes of its tree.

    Without `base`, what is not given is zeros.  With it, what is not given stays as it is there, as
    far as the new number of chunks goes, and only nodes above what is given or cut off are read and
    written; the root is the same as if everything had been given.

    One node of each level is in memory.  One thread at a time.
    """

    def __init__(
        self,
        sink: ChunkSink,
        chunk_count: int,
        *,
        base: ImageTreeReader | None = None,
        fan_out: int = FAN_OUT,
    ) -> None:
        """Begin; may raise what reading `base` raises, as the other methods may."""
        self._sink = sink
        self._count = chunk_count
        self._base = base
        self._fan_out = base.tree.fan_out if base else fan_out
        self._depth = depth_of(chunk_count, self._fan_out)
        self._root = ZERO_DIGEST
        # From the root's level down; the last one is the node of chunks that is filled now.
        self._open: list[_OpenNode] = []
        self._last = -1
        self._leaf_first = self._leaf_end = 0
        self._leaf = bytearray()
        if base and self._depth:
            self._take_over(base)

    def put(self, index: int, digest: bytes) -> None:
        """Set one chunk; `ZERO_DIGEST` says that it is zeros now.

        Raises `ValueError` unless the indexes rise and are within the image.
        """
        if not self._last < index < self._count or len(digest) != DIGEST_BYTES:
            raise ValueError(f"chunk {index} after {self._last} of {self._count}: {digest!r}")
        if index >= self._leaf_end:
            self._open_down_to(index)
        slot = (index - self._leaf_first) * DIGEST_BYTES
        self._leaf[slot : slot + DIGEST_BYTES] = digest
        self._last = index

    def finish(self) -> ImageTree:
        """Put the nodes that are still open; the writer is of no use afterwards."""
        if self._base and self._base.tree.chunk_count > self._count > 0:
            # What was cut off has to go from every node above the new end.
            self._open_down_to(self._count - 1)
        while self._open:
            self._close()
        return ImageTree(self._root, self._count, self._fan_out)

    def _take_over(self, base: ImageTreeReader) -> None:
        root, depth = base.tree.digest, base.tree.depth
        while depth > self._depth and root != ZERO_DIGEST:
            depth -= 1
            root = base.load(root, depth, 0)[:DIGEST_BYTES]
        if root == ZERO_DIGEST or depth == self._depth:
            self._root = root
            return
        for level in range(self._depth - 1, depth - 1, -1):
            self._open.append(self._opened(level, 0, b""))
        self._open[-1].digests[:DIGEST_BYTES] = root

    def _open_down_to(self, index: int) -> None:
        while self._open and index >= self._open[-1].end:
            self._close()
        level = self._open[-1].level if self._open else self._depth
        while level:
            level -= 1
            width = self._fan_out ** (level + 1)
            first = index - index % width
            self._open.append(self._opened(level, first, self._old_digests(level, first)))
        leaf = self._open[-1]
        self._leaf, self._leaf_first, self._leaf_end = leaf.digests, leaf.first, leaf.end

    def _old_digests(self, level: int, first: int) -> bytes:
        digest = self._root
        if self._open:
            slot = self._slot(first)
            digest = bytes(self._open[-1].digests[slot])
        if self._base is None or digest == ZERO_DIGEST:
            return b""
        return self._base.load(digest, level, first)

    def _opened(self, level: int, first: int, digests: bytes) -> _OpenNode:
        span = self._fan_out**level
        room = min(-(-(self._count - first) // span), self._fan_out) * DIGEST_BYTES
        kept = digests[:room]
        padded = bytearray(kept.ljust(self._fan_out * DIGEST_BYTES, b"\0"))
        return _OpenNode(level, first, first + span * self._fan_out, padded)

    def _close(self) -> None:
        node = self._open.pop()
        data = encode_node(node.level, node.digests)
        digest = self._sink.put(data, BlobKind.TREE) if data else ZERO_DIGEST
        if self._open:
            self._open[-1].digests[self._slot(node.first)] = digest
        else:
            self._root = digest

    def _slot(self, first: int) -> slice:
        """Where the lowest open node has the digest of the node below it that begins here."""
        parent = self._open[-1]
        start = (first - parent.first) // self._fan_out**parent.level * DIGEST_BYTES
        return slice(start, start + DIGEST_BYTES)
