"""The nodes that trees of files are made of, as bytes: docs/reference/formats.md has them.

A node is a prefix (magic, version, type, level, number of records) and records of that type: a
root, the entries of a directory, the chunks of a file, extended attributes; above level 0 those of
directories and contents are references to nodes.

Directories and contents are sequences of records cut into nodes, and the references to these nodes
are cut again until there is one.  A node ends after a record at which it has 32 records or more and
the CRC-32 of the record's key has a low byte of 0; with 1024 records; and before a record with
which it would have more than 512 KiB of them.  The key of an entry is its name, that of any other
record its digest.
"""

import enum
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from csi_zfs.cas.api import (
    DIGEST_BYTES,
    ZERO_DIGEST,
    BlobKind,
    ChunkSink,
    StoreCorruptError,
    UnknownFormatError,
)

_MAGIC = b"CZFT"
_VERSION = 1
_HIGHEST_LEVEL = 31
_PREFIX = struct.Struct("<4sBBBBI")
_EXTENT = struct.Struct(f"<Q{DIGEST_BYTES}s")
_REFERENCE = struct.Struct(f"<H{DIGEST_BYTES}s")

_FEWEST_RECORDS = 32
_MOST_RECORDS = 1024
_MOST_BYTES = 512 * 1024
_CUT_MASK = 0xFF


class NodeType(enum.IntEnum):
    """What a node's records are."""

    ROOT = 1
    DIRECTORY = 2
    CONTENT = 3
    ATTRIBUTES = 4


_TYPES = {int(type_): type_ for type_ in NodeType}


class Node(NamedTuple):
    """A node without its prefix."""

    type: NodeType
    level: int
    record_count: int
    body: bytes


def encode_node(node: Node) -> bytes:
    """The bytes of a node."""
    return _PREFIX.pack(_MAGIC, _VERSION, node.type, node.level, 0, node.record_count) + node.body


def decode_node(data: bytes) -> Node:
    """A node of any type; what its records are is not looked at.

    Raises `UnknownFormatError` for what a later version may have, else `StoreCorruptError`.
    """
    if len(data) <= _PREFIX.size or not data.startswith(_MAGIC):
        raise StoreCorruptError("a node of a tree of files does not begin like one")
    _, version, number, level, reserved, count = _PREFIX.unpack_from(data)
    if version != _VERSION or reserved or number not in _TYPES:
        raise UnknownFormatError(
            f"a node of a tree of files has version {version}, type {number}, reserved {reserved};"
            f" this program knows version {_VERSION}"
        )
    if level > _HIGHEST_LEVEL or not count:
        raise StoreCorruptError(f"a node of a tree of files has level {level}, {count} records")
    return Node(_TYPES[number], level, count, data[_PREFIX.size :])


def expect(data: bytes, type_: NodeType, level: int | None = None) -> Node:
    """A node of this type, and of this level where one is given."""
    node = decode_node(data)
    if node.type is not type_ or (level is not None and node.level != level):
        raise StoreCorruptError(
            f"a node of a tree of files is {node.type.name} of level {node.level},"
            f" not {type_.name} of level {level}"
        )
    return node


def encode_extent(length: int, digest: bytes) -> bytes:
    """A record of content."""
    return _EXTENT.pack(length, digest)


def decode_extents(node: Node) -> list[tuple[int, bytes]]:
    """The lengths and digests of a content node's records."""
    if len(node.body) != node.record_count * _EXTENT.size:
        raise StoreCorruptError("a content node's length is not that of its records")
    extents: list[tuple[int, bytes]] = list(_EXTENT.iter_unpack(node.body))
    if any(not length or (node.level and digest == ZERO_DIGEST) for length, digest in extents):
        raise StoreCorruptError("a content node has a record without length or without digest")
    return extents


def encode_reference(name: bytes, digest: bytes) -> bytes:
    """A record of a directory node above level 0."""
    return _REFERENCE.pack(len(name), digest) + name


def decode_references(node: Node) -> list[tuple[bytes, bytes]]:
    """The first names and digests of the nodes below a directory node; the names rise."""
    references, at, last = [], 0, b""
    for _ in range(node.record_count):
        if len(node.body) - at < _REFERENCE.size:
            raise StoreCorruptError("a directory node ends within a reference")
        length, digest = _REFERENCE.unpack_from(node.body, at)
        at += _REFERENCE.size + length
        name = node.body[at - length : at]
        if name <= last or digest == ZERO_DIGEST:
            raise StoreCorruptError("the references of a directory node are out of order")
        references.append((name, digest))
        last = name
    if at != len(node.body):
        raise StoreCorruptError("a directory node's length is not that of its references")
    return references


@dataclass(slots=True)
class _Level:
    """The node that is being filled on one level."""

    records: list[bytes] = field(default_factory=list)
    body_bytes: int = 0
    first: bytes = b""
    length: int = 0
    # Of the node that the last record refers to.
    below: bytes = ZERO_DIGEST


class NodeWriter:
    """Cuts a sequence of records into nodes, and their references likewise, up to one root.

    One node of each level is in memory.  One thread at a time.
    """

    def __init__(
        self, sink: ChunkSink, type_: NodeType, refer: Callable[[bytes, int, bytes], bytes]
    ) -> None:
        """`refer` makes the record for a node of its first key, its length and its digest."""
        self._sink = sink
        self._type = type_
        self._refer = refer
        self._levels: list[_Level] = []

    def add(self, record: bytes, key: bytes, length: int = 0) -> None:
        """Add a record of level 0."""
        self._add(0, record, key, key=key, length=length)

    def finish(self) -> bytes:
        """The digest of the root; that of zeros where there was no record."""
        number = 0
        while number < len(self._levels):
            level = self._levels[number]
            is_top = number + 1 == len(self._levels)
            if is_top and number and len(level.records) == 1:
                return level.below
            if level.records:
                self._close(number)
            number += 1
        return ZERO_DIGEST

    def _add(self, number: int, record: bytes, first: bytes, *, key: bytes, length: int) -> None:
        if number == len(self._levels):
            self._levels.append(_Level())
        level = self._levels[number]
        if level.body_bytes + len(record) > _MOST_BYTES and level.records:
            self._close(number)
        if not level.records:
            level.first = first
        level.records.append(record)
        level.body_bytes += len(record)
        level.length += length
        count = len(level.records)
        if count >= _FEWEST_RECORDS and (count == _MOST_RECORDS or not zlib.crc32(key) & _CUT_MASK):
            self._close(number)

    def _close(self, number: int) -> None:
        level = self._levels[number]
        node = Node(self._type, number, len(level.records), b"".join(level.records))
        digest = self._sink.put(encode_node(node), BlobKind.TREE)
        first, length = level.first, level.length
        level.records, level.body_bytes, level.length = [], 0, 0
        record = self._refer(first, length, digest)
        self._add(number + 1, record, first, key=digest, length=length)
        self._levels[number + 1].below = digest
