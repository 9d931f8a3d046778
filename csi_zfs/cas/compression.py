"""Zstandard, for one chunk at a time."""

import enum
import threading

import zstandard

# Below this saving a chunk is stored as it is: reading it is then cheaper than the room it costs.
_WORTH = 0.97
_LEVEL = 1


class Codec(enum.IntEnum):
    """How the bytes of a chunk are stored."""

    RAW = 0
    ZSTD = 1


class DecompressionError(Exception):
    """The bytes are not the promised number of compressed bytes.  Never leaves this package."""


class _Contexts(threading.local):
    """A context is made once for each thread: making one costs more than compressing a chunk."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_contexts = _Contexts()


def compressed(data: bytes | bytearray | memoryview) -> tuple[Codec, bytes]:
    """The bytes to store for `data`, and how they are stored."""
    smaller = _contexts.compressor.compress(data)
    if len(smaller) <= len(data) * _WORTH:
        return Codec.ZSTD, smaller
    return Codec.RAW, bytes(data)


def decompressed(codec: Codec, stored: bytes, plain_bytes: int) -> bytes:
    """The chunk again.

    Takes no more memory than `plain_bytes`, whatever the stored bytes say.  Raises
    `DecompressionError` where they are not a chunk of exactly that length.
    """
    plain = stored if codec is Codec.RAW else _unpacked(stored, plain_bytes)
    if len(plain) != plain_bytes:
        raise DecompressionError
    return plain


def _unpacked(stored: bytes, plain_bytes: int) -> bytes:
    try:
        # The decompressor allocates what the frame states, before it has read the frame.
        if zstandard.frame_content_size(stored) != plain_bytes:
            raise DecompressionError
        return _contexts.decompressor.decompress(stored, max_output_size=plain_bytes)
    except zstandard.ZstdError as exc:
        raise DecompressionError from exc
