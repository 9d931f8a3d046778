"""Streams as `zfs send` writes them, made of records that a test names: sums and all."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from csi_zfs.streams.records import HEADER_BYTES, MAGIC, TO_THE_END, Kind

_SUM_AT = HEADER_BYTES - 32
_WORDS = (1 << 64) - 1
ZVOL, FILESYSTEM = 3, 2
ZVOL_TYPE = 23
OLD_GUID, NEW_GUID = 0x0123456789ABCDEF, 0xFEDCBA9876543210
# What OpenZFS says of a zvol that is sent raw, in large and compressed blocks.
FEATURES = 1 << 2 | 1 << 16 | 1 << 17 | 1 << 19 | 1 << 22 | 1 << 24


@dataclass(slots=True)
class StreamWriter:
    """Writes one stream, record by record; `parts` has each header and each payload."""

    parts: list[bytes] = field(default_factory=list)
    _sum: tuple[int, int, int, int] = (0, 0, 0, 0)

    def begin(
        self,
        *,
        features: int = FEATURES,
        header_type: int = 1,
        object_set: int = ZVOL,
        from_guid: int = OLD_GUID,
        payload: bytes = b"",
    ) -> None:
        """The first record."""
        version = features << 2 | header_type
        body = struct.pack("<QQQIIQQ", MAGIC, version, 1, object_set, 4, NEW_GUID, from_guid)
        self.record(Kind.BEGIN, body, payload)

    def object(self, number: int = 1, *, type_: int = ZVOL_TYPE, bonus: bytes = b"") -> None:
        """An object's header."""
        body = struct.pack(
            "<QIIIIBBBBIQ", number, type_, 0, 16384, len(bonus), 0, 2, 1, 0, 0, NEW_GUID
        )
        self.record(Kind.OBJECT, body, bonus + bytes(-len(bonus) % 8))

    def free_objects(self, first: int, count: int) -> None:
        """Objects that are not there any more."""
        self.record(Kind.FREEOBJECTS, struct.pack("<QQQ", first, count, NEW_GUID))

    def write(
        self, offset: int, length: int, *, number: int = 1, stored: int | None = None
    ) -> None:
        """A block; `stored`: it is compressed to so many bytes."""
        size = length if stored is None else stored
        compression = 0 if stored is None else 15
        fields = (number, ZVOL_TYPE, offset, length, NEW_GUID, 7, 0, compression, size)
        body = struct.pack("<QI4xQQQBBB45xQ", *fields)
        self.record(Kind.WRITE, body, b"\x5a" * size)

    def write_embedded(self, offset: int, length: int, *, stored: int = 50) -> None:
        """A block that is so small that it lies in its pointer."""
        body = struct.pack("<QQQQBB6xII", 1, offset, length, NEW_GUID, 3, 0, length, stored)
        self.record(Kind.WRITE_EMBEDDED, body, bytes(-(-stored // 8) * 8))

    def free(self, offset: int, length: int = TO_THE_END, *, number: int = 1) -> None:
        """A hole."""
        self.record(Kind.FREE, struct.pack("<QQQQ", number, offset, length, NEW_GUID))

    def spill(self, number: int, *, stored: int = 512) -> None:
        """What does not fit into an object's header."""
        body = struct.pack("<QQQBB6xQ", number, stored, NEW_GUID, 0, 0, 0)
        self.record(Kind.SPILL, body, bytes(stored))

    def object_range(self, first: int, count: int) -> None:
        """A block of objects in a raw stream."""
        self.record(Kind.OBJECT_RANGE, struct.pack("<QQQ", first, count, NEW_GUID))

    def end(self, guid: int = NEW_GUID) -> bytes:
        """The last record, with the sum of all before it; returns the whole stream."""
        self.record(Kind.END, struct.pack("<4QQ", *self._sum, guid))
        return b"".join(self.parts)

    def record(self, kind: int, body: bytes, payload: bytes = b"") -> None:
        """Any record."""
        length = len(payload) if kind == Kind.BEGIN else 0
        header = (struct.pack("<II", kind, length) + body).ljust(_SUM_AT, b"\0")
        self._add(header)
        stored = struct.pack("<4Q", *(self._sum if kind != Kind.BEGIN else (0, 0, 0, 0)))
        self._add(stored)
        self._add(payload)
        self.parts.append(header + stored)
        if payload:
            self.parts.append(payload)

    def _add(self, data: bytes) -> None:
        a, b, c, d = self._sum
        for (word,) in struct.iter_unpack("<I", data):
            a += word
            b += a
            c += b
            d += c
        self._sum = (a & _WORDS, b & _WORDS, c & _WORDS, d & _WORDS)


def increment_stream(
    blocks: Iterable[tuple[int, bool]], *, block_bytes: int, last_block: int
) -> bytes:
    """The increment of a zvol: each changed block and whether it holds data, as OpenZFS has them.

    It frees what is behind the last block first, and the properties of the zvol come last.
    """
    stream = StreamWriter()
    stream.begin()
    stream.free_objects(0, 1)
    stream.object()
    stream.free((last_block + 1) * block_bytes)
    for number, is_data in blocks:
        if is_data:
            stream.write(number * block_bytes, block_bytes, stored=512)
        else:
            stream.free(number * block_bytes, block_bytes)
    stream.object(2, type_=24)
    stream.write(0, 512, number=2)
    stream.free(512, number=2)
    stream.free_objects(3, 61)
    return stream.end()
