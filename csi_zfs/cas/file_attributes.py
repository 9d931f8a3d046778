"""Extended attributes: read, stored, loaded and set.  Access control lists are among them."""

import errno
import os

from csi_zfs.cas.api import BlobKind, ChunkSink, ChunkSource, StoreCorruptError
from csi_zfs.cas.tree_entries import Entry, decode_attributes, encode_attributes
from csi_zfs.cas.tree_nodes import Node, NodeType, encode_node, expect

# More than this is in a node of its own, which equal files share.
_MOST_IN_ENTRY = 1024
# As long as the longest chunk of any store.
MOST_BYTES = 4 * 1024 * 1024 - 64
_NOT_SUPPORTED = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP})

Attributes = list[tuple[bytes, bytes]]


def path_of(directory: int, name: bytes) -> bytes:
    """A path to an entry of an open directory, for calls that take no descriptor of one."""
    return b"/proc/self/fd/%d/%s" % (directory, name)


def list_attributes(target: int | bytes) -> Attributes:
    """The extended attributes of an open file, or of a path without following a link there.

    Raises `OSError`; a file system that has none is no error.
    """
    follow = isinstance(target, int)
    try:
        names = os.listxattr(target, follow_symlinks=follow)
    except OSError as exc:
        if exc.errno in _NOT_SUPPORTED:
            return []
        raise
    attributes = []
    for name in names:
        value = os.getxattr(target, name, follow_symlinks=follow)
        attributes.append((os.fsencode(name), value))
    return attributes


def store_attributes(sink: ChunkSink, attributes: Attributes) -> tuple[bytes, bytes]:
    """What an entry has of attributes: their records, or the digest of the node with them."""
    if not attributes:
        return b"", b""
    body = encode_attributes(attributes)
    if len(body) <= _MOST_IN_ENTRY:
        return body, b""
    node = Node(NodeType.ATTRIBUTES, 0, len(attributes), body)
    return b"", sink.put(encode_node(node), BlobKind.TREE)


def load_attributes(source: ChunkSource, entry: Entry) -> Attributes:
    """The attributes of an entry.  Raises `StoreCorruptError`."""
    if not entry.attributes_digest:
        return decode_attributes(entry.attributes)
    node = expect(source.get(entry.attributes_digest, BlobKind.TREE), NodeType.ATTRIBUTES, 0)
    attributes = decode_attributes(node.body)
    if len(attributes) != node.record_count:
        raise StoreCorruptError("a node of attributes has more or fewer than it says")
    return attributes
