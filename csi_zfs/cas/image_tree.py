"""Reading an image's tree: its chunks in their order, its nodes, what differs from another one."""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from csi_zfs.cas.api import (
    DIGEST_BYTES,
    ZERO_DIGEST,
    BlobKind,
    ChunkSource,
    ManifestKind,
    Root,
    StoreCorruptError,
)
from csi_zfs.cas.image_nodes import FAN_OUT, decode_node, depth_of
from csi_zfs.domain.errors import CorruptionError

# Nodes that are asked for at once: 2 MiB of a full tree.
_BATCH = 64
_DIGEST = struct.Struct(f"{DIGEST_BYTES}s")

# Where a node is: the index of the first chunk below it, and its digest.
_Place = tuple[int, bytes]
# Told of a node that cannot be read: its first chunk, how many are below it, and why.
Lost = Callable[[int, int, CorruptionError], None]


@dataclass(frozen=True, slots=True)
class ImageTree:
    """What names a tree: the digest of its root and the number of chunks of the image."""

    digest: bytes
    chunk_count: int
    # 1024 in every store; the tests have deep trees of few chunks.
    fan_out: int = FAN_OUT

    @property
    def depth(self) -> int:
        """The number of levels."""
        return depth_of(self.chunk_count, self.fan_out)


@dataclass(frozen=True, slots=True)
class ImageNode:
    """A node and the digests that it holds, one after the other: chunks' at level 0."""

    digest: bytes
    level: int
    digests: bytes


def image_tree_of(root: Root) -> ImageTree:
    """The tree of an image's root record.  Raises `StoreCorruptError` where it makes no sense."""
    if root.kind is not ManifestKind.IMAGE or root.chunk_bytes <= 0 or root.size_bytes < 0:
        raise StoreCorruptError("the root record is not that of an image")
    tree = ImageTree(root.tree_digest, -(-root.size_bytes // root.chunk_bytes))
    if root.depth != tree.depth or len(tree.digest) != DIGEST_BYTES:
        raise StoreCorruptError(
            f"the root record says depth {root.depth}, {root.size_bytes} bytes need {tree.depth}"
        )
    if not tree.depth and tree.digest != ZERO_DIGEST:
        raise StoreCorruptError("the root record of an empty image has a tree")
    return tree


def split_digests(digests: bytes) -> Iterator[tuple[bytes]]:
    """Digests that stand one after the other, each in a tuple of its own."""
    return _DIGEST.iter_unpack(digests)


class ImageTreeReader:
    """Reads one tree, some nodes at a time, whatever its size.  Thread-safe.

    Every method may raise what the source raises, and `StoreCorruptError` or `UnknownFormatError`
    where a node is not what a writer makes.
    """

    def __init__(self, source: ChunkSource, tree: ImageTree) -> None:
        self.tree = tree
        self._source = source

    def chunks(self, start: int = 0, *, lost: Lost | None = None) -> Iterator[tuple[int, bytes]]:
        """The index and digest of each chunk that is not zeros, in order, from `start` on.

        With `lost`, nodes that cannot be read are told there and left out.
        """
        for first, digests in self._leaves(start, lost):
            skipped = max(start - first, 0)
            rest = split_digests(digests[skipped * DIGEST_BYTES :])
            for index, (digest,) in enumerate(rest, first + skipped):
                if digest != ZERO_DIGEST:
                    yield index, digest

    def nodes(self, is_new: Callable[[bytes], bool]) -> Iterator[ImageNode]:
        """Each node, before those below it, of which `is_new` says that it was not seen before.

        `is_new` is asked once for every reference; what is below a node that was seen is not read.
        """
        if self.tree.digest != ZERO_DIGEST and is_new(self.tree.digest):
            yield from self._nodes([(0, self.tree.digest)], self.tree.depth - 1, is_new)

    def load(self, digest: bytes, level: int, first: int) -> bytes:
        """The digests in the node of this level whose first chunk is `first`."""
        return self._decode(self._source.get(digest, BlobKind.TREE), level, first)

    def load_many(self, places: Sequence[_Place], level: int) -> list[bytes]:
        """The digests in several nodes of one level; those of zeros have none."""
        wanted = [place for place in places if place[1] != ZERO_DIGEST]
        found = dict(self._read(wanted, level, None))
        return [found.get(first, b"") for first, _ in places]

    def _leaves(self, start: int, lost: Lost | None) -> Iterator[tuple[int, bytes]]:
        root = self.tree.digest
        if root == ZERO_DIGEST or start >= self.tree.chunk_count:
            return
        yield from self._leaves_below([(0, root)], self.tree.depth - 1, start, lost)

    def _leaves_below(
        self, places: Sequence[_Place], level: int, start: int, lost: Lost | None
    ) -> Iterator[tuple[int, bytes]]:
        span = self.tree.fan_out**level
        for batch in batches(places):
            for first, digests in self._read(batch, level, lost):
                if not level:
                    yield first, digests
                    continue
                below = [
                    place for place in children(first, span, digests) if place[0] + span > start
                ]
                yield from self._leaves_below(below, level - 1, start, lost)

    def _nodes(
        self, places: Sequence[_Place], level: int, is_new: Callable[[bytes], bool]
    ) -> Iterator[ImageNode]:
        span = self.tree.fan_out**level
        for batch in batches(places):
            for (_, digest), (first, digests) in zip(
                batch, self._read(batch, level, None), strict=True
            ):
                yield ImageNode(digest, level, digests)
                if level:
                    below = [place for place in children(first, span, digests) if is_new(place[1])]
                    yield from self._nodes(below, level - 1, is_new)

    def _read(
        self, places: Sequence[_Place], level: int, lost: Lost | None
    ) -> Iterator[tuple[int, bytes]]:
        done = 0
        try:
            found = self._source.get_many([digest for _, digest in places], BlobKind.TREE)
            for (first, _), data in zip(places, found, strict=True):
                yield first, self._decode(data, level, first)
                done += 1
        except CorruptionError:
            if lost is None:
                raise
            yield from self._read_singly(places[done:], level, lost)

    def _read_singly(
        self, places: Sequence[_Place], level: int, lost: Lost
    ) -> Iterator[tuple[int, bytes]]:
        for first, digest in places:
            try:
                digests = self.load(digest, level, first)
            except CorruptionError as exc:
                below = self.tree.fan_out ** (level + 1)
                lost(first, min(below, self.tree.chunk_count - first), exc)
            else:
                yield first, digests

    def _decode(self, data: bytes, level: int, first: int) -> bytes:
        room = -(-(self.tree.chunk_count - first) // self.tree.fan_out**level)
        return decode_node(data, level, min(room, self.tree.fan_out))


def batches(places: Sequence[_Place]) -> Iterator[Sequence[_Place]]:
    """Few enough places at a time to hold what they name."""
    return (places[start : start + _BATCH] for start in range(0, len(places), _BATCH))


def children(first: int, span: int, digests: bytes) -> Iterator[_Place]:
    """Where the nodes below one are that begins at `first`; each covers `span` chunks."""
    for slot, (digest,) in enumerate(split_digests(digests)):
        if digest != ZERO_DIGEST:
            yield first + slot * span, digest
