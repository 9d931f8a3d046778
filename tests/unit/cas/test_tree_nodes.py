"""Nodes of trees of files as bytes: by their table, and those that no writer makes."""

import struct
import tracemalloc

import pytest

from csi_zfs.cas.api import ZERO_DIGEST, BlobKind, StoreCorruptError, UnknownFormatError
from csi_zfs.cas.directories import DirectoryWriter, find_entry, read_directory
from csi_zfs.cas.file_content import read_content
from csi_zfs.cas.tree_entries import Entry, EntryKind
from csi_zfs.cas.tree_nodes import (
    Node,
    NodeType,
    decode_extents,
    decode_node,
    decode_references,
    encode_extent,
    encode_node,
    encode_reference,
)
from tests.support.file_trees import directory_entry, file_entry, put_directory
from tests.support.memory_chunks import MemoryChunks

_A, _B = b"a" * 32, b"b" * 32


def node_of(body: bytes, **fields: int) -> bytes:
    """A node made by hand from the table of the format."""
    parts = {"version": 1, "type": 2, "level": 0, "reserved": 0, "count": 1} | fields
    return b"CZFT" + struct.pack("<BBBBI", *parts.values()) + body


def test_node_has_the_bytes_of_its_table() -> None:
    node = Node(NodeType.CONTENT, 7, 300, b"records")
    assert encode_node(node) == node_of(b"records", type=3, level=7, count=300)
    assert decode_node(encode_node(node)) == node


def test_records_have_the_bytes_of_their_table() -> None:
    assert encode_extent(300, _A) == struct.pack("<Q", 300) + _A
    assert encode_reference(b"name", _A) == struct.pack("<H", 4) + _A + b"name"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "begin"),
        (b"CZFT", "begin"),
        (node_of(b""), "begin"),
        (b"X" + node_of(b"body")[1:], "begin"),
        (node_of(b"body", level=32), "level 32"),
        (node_of(b"body", count=0), "0 records"),
    ],
)
def test_node_that_no_writer_makes_is_corrupt(data: bytes, words: str) -> None:
    with pytest.raises(StoreCorruptError, match=words):
        decode_node(data)


@pytest.mark.parametrize("fields", [{"version": 2}, {"type": 0}, {"type": 5}, {"reserved": 1}])
def test_node_of_a_later_version_is_refused_by_name(fields: dict[str, int]) -> None:
    with pytest.raises(UnknownFormatError, match="this program knows version 1"):
        decode_node(node_of(b"body", **fields))


@pytest.mark.parametrize(
    ("count", "body"),
    [
        (2, encode_extent(5, _A)),
        (1, encode_extent(5, _A) + b"x"),
        (1, encode_extent(0, _A)),
        (2**32 - 1, encode_extent(5, _A)),
    ],
)
def test_content_that_no_writer_makes_is_corrupt(count: int, body: bytes) -> None:
    with pytest.raises(StoreCorruptError, match="content node"):
        decode_extents(Node(NodeType.CONTENT, 0, count, body))


def test_hole_above_level_0_is_corrupt() -> None:
    with pytest.raises(StoreCorruptError, match="without digest"):
        decode_extents(Node(NodeType.CONTENT, 1, 1, encode_extent(5, ZERO_DIGEST)))


@pytest.mark.parametrize(
    ("count", "body", "words"),
    [
        (2, encode_reference(b"a", _A), "within a reference"),
        (2**32 - 1, encode_reference(b"a", _A), "within a reference"),
        (1, encode_reference(b"a", _A) + b"x", "length is not"),
        (1, encode_reference(b"abc", _A)[:-1], "length is not"),
        (1, encode_reference(b"", _A), "out of order"),
        (1, encode_reference(b"a", ZERO_DIGEST), "out of order"),
        (2, encode_reference(b"b", _A) + encode_reference(b"a", _B), "out of order"),
        (2, encode_reference(b"a", _A) + encode_reference(b"a", _B), "out of order"),
    ],
)
def test_references_that_no_writer_makes_are_corrupt(count: int, body: bytes, words: str) -> None:
    with pytest.raises(StoreCorruptError, match=words):
        decode_references(Node(NodeType.DIRECTORY, 1, count, body))


def put_upper(chunks: MemoryChunks, *references: tuple[bytes, bytes], level: int = 1) -> bytes:
    body = b"".join(encode_reference(name, digest) for name, digest in references)
    node = Node(NodeType.DIRECTORY, level, len(references), body)
    return chunks.put(encode_node(node), BlobKind.TREE)


def test_directory_whose_names_fall_between_its_nodes_is_corrupt() -> None:
    chunks = MemoryChunks()
    one = put_directory(chunks, file_entry(b"a"), file_entry(b"z"))
    two = put_directory(chunks, file_entry(b"c"))
    with pytest.raises(StoreCorruptError, match="'c' after b'z'"):
        list(read_directory(chunks, put_upper(chunks, (b"a", one), (b"c", two))))


def test_directory_whose_reference_names_another_entry_is_corrupt() -> None:
    chunks = MemoryChunks()
    leaf = put_directory(chunks, file_entry(b"b"))
    with pytest.raises(StoreCorruptError, match="begins with another name"):
        list(read_directory(chunks, put_upper(chunks, (b"a", leaf))))


def test_directory_with_a_node_of_another_level_or_type_is_corrupt() -> None:
    chunks = MemoryChunks()
    leaf = put_directory(chunks, file_entry(b"a"))
    content = chunks.put(
        encode_node(Node(NodeType.CONTENT, 0, 1, encode_extent(5, _A))), BlobKind.TREE
    )
    for hostile in (
        put_upper(chunks, (b"a", leaf), level=2),
        put_upper(chunks, (b"a", put_upper(chunks, (b"a", leaf)))),
        put_upper(chunks, (b"a", content)),
        content,
    ):
        with pytest.raises(StoreCorruptError, match=r"not DIRECTORY|is CONTENT"):
            list(read_directory(chunks, hostile))
        with pytest.raises(StoreCorruptError, match="not DIRECTORY"):
            find_entry(chunks, hostile, b"a")


@pytest.mark.parametrize("said", [9, 11])
def test_content_that_is_not_as_long_as_said_is_corrupt(said: int) -> None:
    chunks = MemoryChunks()
    chunk = chunks.put(b"0123456789", BlobKind.DATA)
    node = Node(NodeType.CONTENT, 0, 1, encode_extent(10, chunk))
    digest = chunks.put(encode_node(node), BlobKind.TREE)
    large = file_entry(b"x", digest, said)._replace(has_content_node=True)
    with pytest.raises(StoreCorruptError, match="covers 10 bytes"):
        list(read_content(chunks, large))
    with pytest.raises(StoreCorruptError, match="has 10 bytes"):
        list(read_content(chunks, file_entry(b"x", chunk, said)))


def test_nodes_are_cut_where_they_were_when_the_format_was_made() -> None:
    """By names, and above by digests: another rule would store every large directory anew."""
    chunks = MemoryChunks()
    write_directory(chunks, [b"%06d" % number for number in range(120_000)])
    nodes = [decode_node(chunks.stored[place]) for place in chunks.puts]
    counts = [[node.record_count for node in nodes if node.level == level] for level in range(3)]
    assert counts[0][:8] == [58, 431, 37, 254, 173, 216, 131, 35]
    assert len(counts[0]) == 459
    assert counts[1:] == [[92, 56, 311], [3]]


def test_node_of_long_entries_is_not_long() -> None:
    chunks = MemoryChunks()
    writer = DirectoryWriter(chunks)
    for number in range(300):
        link = Entry(b"%03d" % number, EntryKind.SYMLINK, 0o777, 0, 0, 0, target=b"x" * 4000)
        writer.add(link)
    digest = writer.finish()
    assert len(list(read_directory(chunks, digest))) == 300
    assert max(len(data) for data in chunks.stored.values()) <= 512 * 1024 + 12
    assert len(chunks.puts) == 5


@pytest.mark.slow
def test_directory_of_30_000_entries_needs_little_memory() -> None:
    """I15: one node of each level is held where it is written, and where it is read."""

    class Forgetful(MemoryChunks):
        def put(self, data: bytes | bytearray | memoryview, kind: BlobKind) -> bytes:
            digest = super().put(data, kind)
            self.stored.clear()
            self.puts.clear()
            return digest

    names = [b"%06d" % number for number in range(30_000)]
    chunks = MemoryChunks()
    digest = write_directory(chunks, names)
    assert chunks.plain_bytes(BlobKind.TREE) > 2_000_000
    tracemalloc.start()
    assert write_directory(Forgetful(), names) == digest
    write_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    tracemalloc.start()
    assert sum(1 for _ in read_directory(chunks, digest)) == len(names)
    read_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert write_peak < 500_000
    assert read_peak < 1_000_000


def write_directory(chunks: MemoryChunks, names: list[bytes]) -> bytes:
    writer = DirectoryWriter(chunks)
    for name in names:
        writer.add(directory_entry(name, _A))
    return writer.finish()
