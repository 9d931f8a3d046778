"""What a tree of files refers to, for a collector: each node once."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from csi_zfs.cas.api import ZERO_DIGEST, BlobKind, ChunkSource
from csi_zfs.cas.tree_entries import Entry, EntryKind, decode_entries
from csi_zfs.cas.tree_nodes import NodeType, decode_extents, decode_node, decode_references
from csi_zfs.cas.tree_root import decode_root

# Nodes that are asked for at once.
_BATCH = 64


class MarkedNode(NamedTuple):
    """A node of a tree of files, and the chunks of content that it refers to itself."""

    digest: bytes
    chunks: list[bytes]


def file_tree_nodes(
    source: ChunkSource, digest: bytes, is_new: Callable[[bytes], bool]
) -> Iterator[MarkedNode]:
    """Each node of a tree of which `is_new` says that it was not seen before.

    `is_new` is asked once for every reference; what is below a node that was seen is not read.
    Raises what the source raises, `StoreCorruptError`, `UnknownFormatError`.
    """
    pending = [digest] if is_new(digest) else []
    while pending:
        batch = pending[-_BATCH:]
        del pending[-_BATCH:]
        for node, data in zip(batch, source.get_many(batch, BlobKind.TREE), strict=True):
            nodes, chunks = references_of(data)
            yield MarkedNode(node, chunks)
            pending.extend(below for below in nodes if is_new(below))


def references_of(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """The digests of nodes and of chunks of content in the bytes of any node."""
    node = decode_node(data)
    match node.type:
        case NodeType.ROOT:
            return _references_in([decode_root(node).top])
        case NodeType.DIRECTORY if node.level:
            return [digest for _, digest in decode_references(node)], []
        case NodeType.DIRECTORY:
            return _references_in(decode_entries(node.body, node.record_count))
        case NodeType.CONTENT:
            digests = [digest for _, digest in decode_extents(node) if digest != ZERO_DIGEST]
            return (digests, []) if node.level else ([], digests)
        case NodeType.ATTRIBUTES:
            return [], []


def _references_in(entries: list[Entry]) -> tuple[list[bytes], list[bytes]]:
    nodes, chunks = [], []
    for entry in entries:
        if entry.attributes_digest:
            nodes.append(entry.attributes_digest)
        if entry.content == ZERO_DIGEST:
            continue
        if entry.kind is EntryKind.FILE and not entry.has_content_node:
            chunks.append(entry.content)
        else:
            nodes.append(entry.content)
    return nodes, chunks
