"""The root of a tree of files: how much there is, and the uppermost directory."""

import struct
from dataclasses import dataclass

from csi_zfs.cas.api import BlobKind, ChunkSink, ChunkSource, StoreCorruptError
from csi_zfs.cas.tree_entries import Entry, decode_top, encode_entry
from csi_zfs.cas.tree_nodes import Node, NodeType, encode_node, expect

_COUNTS = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class TreeRoot:
    """What a tree of files holds: `size_bytes` is that of all files, each hard link once."""

    entry_count: int
    size_bytes: int
    top: Entry


def write_root(sink: ChunkSink, root: TreeRoot) -> bytes:
    """Put a root; returns the digest of the tree."""
    body = _COUNTS.pack(root.entry_count, root.size_bytes) + encode_entry(root.top)
    return sink.put(encode_node(Node(NodeType.ROOT, 0, 1, body)), BlobKind.TREE)


def read_root(source: ChunkSource, digest: bytes) -> TreeRoot:
    """The root of the tree with this digest.  Raises `StoreCorruptError`, `UnknownFormatError`."""
    return decode_root(expect(source.get(digest, BlobKind.TREE), NodeType.ROOT, 0))


def decode_root(node: Node) -> TreeRoot:
    """A root from its node."""
    if node.record_count != 1 or len(node.body) < _COUNTS.size:
        raise StoreCorruptError("the root of a tree of files is cut off")
    entry_count, size_bytes = _COUNTS.unpack_from(node.body)
    return TreeRoot(entry_count, size_bytes, decode_top(node.body[_COUNTS.size :]))
