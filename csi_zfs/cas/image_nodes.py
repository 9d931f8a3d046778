"""One node of an image's tree as bytes, and how many levels an image needs.

A tree of fan-out 1024 over the digests of an image's chunks, in their order.  A node of level 0 has
the digests of up to 1024 consecutive chunks; one of level n those of up to 1024 consecutive nodes
of level n - 1.  The depth is the smallest number of levels that covers all chunks of the image;
the root has level depth - 1.  docs/reference/formats.md has the bytes.

The last digest of a node is not zero: zeros at its end are left out, and a node of zeros alone is
not stored; 32 zero bytes stand for it, in the root record too.  So the bytes of a node are a pure
function of what is below it.
"""

import struct

from csi_zfs.cas.api import DIGEST_BYTES, StoreCorruptError, UnknownFormatError

FAN_OUT = 1024
_MAGIC = b"CZIT"
_VERSION = 1
_PREFIX = struct.Struct("<4sBBH")


def depth_of(chunk_count: int, fan_out: int = FAN_OUT) -> int:
    """The number of levels of a tree over so many chunks."""
    depth = 0
    while chunk_count > 0 and (not depth or fan_out**depth < chunk_count):
        depth += 1
    return depth


def encode_node(level: int, digests: bytes | bytearray) -> bytes:
    """The bytes of a node of these digests, one after the other; none where all are zeros."""
    count = -(-len(digests.rstrip(b"\0")) // DIGEST_BYTES)
    if not count:
        return b""
    return _PREFIX.pack(_MAGIC, _VERSION, level, count) + digests[: count * DIGEST_BYTES]


def decode_node(data: bytes, level: int, most: int) -> bytes:
    """The digests of a node of this level that may have at most so many.

    Raises `UnknownFormatError` for a version of the future, `StoreCorruptError` for whatever else
    no writer makes.
    """
    if len(data) < _PREFIX.size or not data.startswith(_MAGIC):
        raise StoreCorruptError("a node of an image's tree does not begin like one")
    _, version, found_level, count = _PREFIX.unpack_from(data)
    if version != _VERSION:
        raise UnknownFormatError(
            f"a node of an image's tree has version {version}; this program knows {_VERSION}"
        )
    if found_level != level:
        raise StoreCorruptError(f"a node of an image's tree has level {found_level}, not {level}")
    if not 0 < count <= most:
        raise StoreCorruptError(f"a node of an image's tree has {count} digests, of {most} at most")
    if len(data) != _PREFIX.size + count * DIGEST_BYTES:
        raise StoreCorruptError(f"a node of {count} digests has {len(data)} bytes")
    if not any(data[-DIGEST_BYTES:]):
        raise StoreCorruptError("a node of an image's tree ends in zeros")
    return data[_PREFIX.size :]
