"""An image's tree: its cost, its limits, and roots that make no sense."""

import tracemalloc
from dataclasses import replace

import pytest

from csi_zfs.cas.api import (
    ZERO_DIGEST,
    BlobKind,
    ChunkCorruptError,
    ManifestKind,
    Root,
    StoreCorruptError,
)
from csi_zfs.cas.image_nodes import FAN_OUT, depth_of
from csi_zfs.cas.image_tree import ImageTree, ImageTreeReader, image_tree_of
from csi_zfs.cas.image_writer import ImageTreeWriter
from tests.support.image_trees import change_image, diff_of, digest_of, read_image, write_image
from tests.support.memory_chunks import MemoryChunks

_KIB = 1024
_MIB = 1024 * _KIB


@pytest.mark.parametrize(
    ("chunk_count", "depth"),
    [(0, 0), (1, 1), (1024, 1), (1025, 2), (1024**2, 2), (1024**2 + 1, 3), (2**63, 7)],
)
def test_depth_is_the_smallest_that_covers_the_chunks(chunk_count: int, depth: int) -> None:
    assert depth_of(chunk_count) == depth


def test_change_of_one_chunk_reads_and_writes_one_node_of_each_level() -> None:
    chunks = MemoryChunks()
    content = {index: digest_of(index + 1) for index in range(1000)}
    tree = write_image(chunks, content, 1000)
    chunks.puts.clear()
    chunks.reads.clear()
    change_image(chunks, tree, {500: digest_of(5000)}, 1000)
    assert len(chunks.puts) == tree.depth
    assert len(chunks.reads) == tree.depth


def test_growth_without_data_writes_the_new_levels_alone() -> None:
    chunks = MemoryChunks()
    tree = write_image(chunks, {0: digest_of(1), 15: digest_of(2)}, 16)
    chunks.puts.clear()
    grown = change_image(chunks, tree, {}, 256)
    assert (len(chunks.puts), grown.depth, tree.depth) == (2, 4, 2)


def test_diff_reads_nodes_that_differ_alone() -> None:
    chunks = MemoryChunks()
    old = write_image(chunks, {index: digest_of(index + 1) for index in range(1000)}, 1000)
    new = change_image(chunks, old, {7: digest_of(9999)}, 1000)
    chunks.reads.clear()
    assert diff_of(chunks, old, new) == [(7, digest_of(8), digest_of(9999))]
    assert len(chunks.reads) == 2 * old.depth


def test_chunks_from_an_index_on_are_read_without_those_before() -> None:
    chunks = MemoryChunks()
    tree = write_image(chunks, {index: digest_of(index + 1) for index in range(1024)}, 1024)
    chunks.reads.clear()
    assert read_image(chunks, tree, 1023) == {1023: digest_of(1024)}
    assert len(chunks.reads) == tree.depth


def test_huge_image_with_two_chunks_costs_two_paths() -> None:
    chunks = MemoryChunks()
    content = {0: digest_of(1), 2**63 - 1: digest_of(2)}
    tree = write_image(chunks, content, 2**63, FAN_OUT)
    assert read_image(chunks, tree) == content
    assert read_image(chunks, tree, 1) == {2**63 - 1: digest_of(2)}
    assert len(chunks.stored) == 2 * 7 - 1
    small = change_image(chunks, tree, {}, 1)
    assert (small.depth, read_image(chunks, small)) == (1, {0: digest_of(1)})


def test_memory_does_not_grow_with_the_image() -> None:
    """I15: less than 8 MiB beside the nodes, for 6.4 MB of digests."""

    class Forgetful(MemoryChunks):
        def put(self, data: bytes | bytearray | memoryview, kind: BlobKind) -> bytes:
            digest = super().put(data, kind)
            self.stored.clear()
            return digest

    count = 200_000
    tracemalloc.start()
    writer = ImageTreeWriter(Forgetful(), count)
    for index in range(count):
        writer.put(index, digest_of(index + 1))
    tree = writer.finish()
    write_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    chunks = MemoryChunks()
    content = {index: digest_of(index + 1) for index in range(count)}
    assert write_image(chunks, content, count, FAN_OUT) == tree
    tracemalloc.start()
    found = sum(1 for _ in ImageTreeReader(chunks, tree).chunks())
    read_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == count
    assert write_peak < _MIB
    assert read_peak < 8 * _MIB


@pytest.mark.parametrize("index", [5, 4, 10, -1])
def test_chunk_out_of_order_or_beyond_the_image_is_refused(index: int) -> None:
    writer = ImageTreeWriter(MemoryChunks(), 10)
    writer.put(5, digest_of(1))
    with pytest.raises(ValueError, match="after 5 of 10"):
        writer.put(index, digest_of(2))


def test_short_digest_is_refused() -> None:
    with pytest.raises(ValueError, match="chunk 0"):
        ImageTreeWriter(MemoryChunks(), 10).put(0, b"short")


def test_damaged_node_is_told_unless_the_caller_salvages() -> None:
    chunks = MemoryChunks()
    content = {index: digest_of(index + 1) for index in range(64)}
    tree = write_image(chunks, content, 64)
    (leaf,) = {digest for digest, _ in chunks.puts[:1]}
    chunks.damaged = {leaf}
    with pytest.raises(ChunkCorruptError):
        read_image(chunks, tree)
    lost: list[tuple[int, int]] = []
    reader = ImageTreeReader(chunks, tree)
    found = dict(reader.chunks(lost=lambda first, count, _: lost.append((first, count))))
    assert lost == [(0, 4)]
    assert found == {index: digest for index, digest in content.items() if index >= 4}


def test_leaf_where_an_inner_node_belongs_is_corrupt_in_a_diff() -> None:
    """A digest that is the older root is no proof of equality where another level belongs."""
    chunks = MemoryChunks()
    leaf = write_image(chunks, {0: digest_of(1)}, 4)
    hostile = ImageTree(leaf.digest, 16, leaf.fan_out)
    with pytest.raises(StoreCorruptError, match="level 0, not 1"):
        diff_of(chunks, leaf, hostile)


_ROOT = Root(
    kind=ManifestKind.IMAGE,
    size_bytes=1025 * 65536 - 1,
    tree_digest=digest_of(1),
    chunk_bytes=65536,
    depth=2,
)


def test_root_record_names_its_tree() -> None:
    assert image_tree_of(_ROOT) == ImageTree(digest_of(1), 1025)


@pytest.mark.parametrize(
    "root",
    [
        replace(_ROOT, kind=ManifestKind.TREE),
        replace(_ROOT, chunk_bytes=0),
        replace(_ROOT, chunk_bytes=-1),
        replace(_ROOT, size_bytes=-1),
        replace(_ROOT, depth=1),
        replace(_ROOT, depth=255),
        replace(_ROOT, tree_digest=b""),
        replace(_ROOT, size_bytes=0, depth=0),
    ],
)
def test_root_record_that_makes_no_sense_is_corrupt(root: Root) -> None:
    with pytest.raises(StoreCorruptError, match="root record"):
        image_tree_of(root)


def test_empty_image_has_no_tree() -> None:
    empty = replace(_ROOT, size_bytes=0, depth=0, tree_digest=ZERO_DIGEST)
    chunks = MemoryChunks()
    assert read_image(chunks, image_tree_of(empty)) == {}
    assert write_image(chunks, {}, 0) == ImageTree(ZERO_DIGEST, 0, 4)
