"""Directories as nodes: written from entries in order, read in order, or searched for one name."""

from bisect import bisect_right
from collections.abc import Iterator

from csi_zfs.cas.api import ZERO_DIGEST, BlobKind, ChunkSink, ChunkSource, StoreCorruptError
from csi_zfs.cas.tree_entries import Entry, decode_entries, encode_entry
from csi_zfs.cas.tree_nodes import (
    Node,
    NodeType,
    NodeWriter,
    decode_node,
    decode_references,
    encode_reference,
    expect,
)

# Nodes that are asked for at once.
_BATCH = 16


class DirectoryWriter:
    """Takes the entries of one directory, their names rising, and puts its nodes.

    One thread at a time.
    """

    def __init__(self, sink: ChunkSink) -> None:
        self._nodes = NodeWriter(
            sink,
            NodeType.DIRECTORY,
            lambda name, _length, digest: encode_reference(name, digest),
        )
        self.finish = self._nodes.finish

    def add(self, entry: Entry) -> None:
        """Append an entry."""
        self._nodes.add(encode_entry(entry), entry.name)


def read_directory(source: ChunkSource, digest: bytes) -> Iterator[Entry]:
    """The entries of a directory in the order of their names, some nodes at a time.

    Raises `StoreCorruptError` where a name does not rise, even between nodes.
    """
    if digest == ZERO_DIGEST:
        return
    last = b""
    for entry in _entries_of(source, decode_node(source.get(digest, BlobKind.TREE)), b""):
        if entry.name <= last:
            raise StoreCorruptError(f"a directory has an entry {entry.name!r} after {last!r}")
        last = entry.name
        yield entry


def find_entry(source: ChunkSource, digest: bytes, name: bytes) -> Entry | None:
    """The entry of this name; one node of each level is read."""
    level = None
    while digest != ZERO_DIGEST:
        node = expect(source.get(digest, BlobKind.TREE), NodeType.DIRECTORY, level)
        if not node.level:
            entries = decode_entries(node.body, node.record_count)
            return next((entry for entry in entries if entry.name == name), None)
        references = decode_references(node)
        place = bisect_right(references, name, key=lambda reference: reference[0])
        digest = references[place - 1][1] if place else ZERO_DIGEST
        level = node.level - 1
    return None


def _entries_of(source: ChunkSource, node: Node, first: bytes) -> Iterator[Entry]:
    if node.type is not NodeType.DIRECTORY:
        raise StoreCorruptError(f"a node of a directory is {node.type.name}")
    if not node.level:
        entries = decode_entries(node.body, node.record_count)
        if first and entries[0].name != first:
            raise StoreCorruptError(f"a directory's node begins with another name than {first!r}")
        yield from entries
        return
    references = decode_references(node)
    for start in range(0, len(references), _BATCH):
        batch = references[start : start + _BATCH]
        found = source.get_many([digest for _, digest in batch], BlobKind.TREE)
        for (name, _), data in zip(batch, found, strict=True):
            below = expect(data, NodeType.DIRECTORY, node.level - 1)
            yield from _entries_of(source, below, name)
