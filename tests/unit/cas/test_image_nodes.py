"""Nodes of an image's tree as bytes: by their table, and those that no writer makes."""

import struct

import pytest

from csi_zfs.cas.api import BlobKind, StoreCorruptError, UnknownFormatError
from csi_zfs.cas.image_nodes import decode_node, encode_node
from csi_zfs.cas.image_tree import ImageTree, ImageTreeReader
from tests.support.image_trees import digest_of
from tests.support.memory_chunks import MemoryChunks

_A, _B, _ZERO = digest_of(1), digest_of(2), bytes(32)


def node(
    digests: bytes, *, magic: bytes = b"CZIT", version: int = 1, level: int = 0, count: int = -1
) -> bytes:
    """A node made by hand from the table of the format."""
    number = len(digests) // 32 if count < 0 else count
    return magic + struct.pack("<BBH", version, level, number) + digests


def test_node_has_the_bytes_of_its_table() -> None:
    assert encode_node(3, _A + _ZERO + _B + _ZERO) == node(_A + _ZERO + _B, level=3)
    assert decode_node(node(_A + _ZERO + _B, level=3), 3, 3) == _A + _ZERO + _B


def test_node_of_zeros_is_none() -> None:
    assert encode_node(0, _ZERO * 4) == b""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "begin"),
        (b"CZIT\1\0\1", "begin"),
        (node(_A, magic=b"CZIX"), "begin"),
        (node(_A, level=1), "level 1, not 0"),
        (node(b""), "0 digests"),
        (node(_A * 5), "5 digests, of 4"),
        (node(_A, count=2), "has 40 bytes"),
        (node(_A + _B, count=1), "has 72 bytes"),
        (node(_A + b"x", count=1), "has 41 bytes"),
        (node(_A + _ZERO), "ends in zeros"),
        (node(_ZERO), "ends in zeros"),
    ],
)
def test_node_that_no_writer_makes_is_corrupt(data: bytes, words: str) -> None:
    with pytest.raises(StoreCorruptError, match=words):
        decode_node(data, 0, 4)


def test_node_of_a_later_version_is_refused_by_name() -> None:
    with pytest.raises(UnknownFormatError, match="version 2"):
        decode_node(node(_A, version=2), 0, 4)


@pytest.mark.parametrize("chunk_count", [1, 4, 5, 17])
def test_node_with_more_chunks_than_the_image_is_corrupt(chunk_count: int) -> None:
    """At the right edge of every level, where a node has room for more than the image has."""
    chunks = MemoryChunks()
    whole = ImageTree(_A, chunk_count, 4)
    room = -(-chunk_count // 4 ** (whole.depth - 1))
    digest = chunks.put(node(_A * (room + 1), level=whole.depth - 1), BlobKind.TREE)
    with pytest.raises(StoreCorruptError, match=f"{room + 1} digests, of {room} at most"):
        list(ImageTreeReader(chunks, ImageTree(digest, chunk_count, 4)).chunks())
