"""The records of a stream of `zfs send`, one after the other, without their payloads.

A record is a header of 312 bytes and a payload.  The last 32 bytes of a header are the fletcher-4
sum of all before them, payloads too.  It is not checked here: in Python that takes longer than to
read the blocks themselves, and what is read here comes from the kernel of this machine.  So a whole
stream is known by its END, by nothing behind it, and by the GUID that every record carries.
"""

import enum
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from csi_zfs.domain.errors import CorruptionError, UnavailableError, UnsupportedError

HEADER_BYTES = 312
TO_THE_END = (1 << 64) - 1
MAGIC = 0x2F5BACBAC

_KIND = struct.Struct("<II")
_BODY = _KIND.size
_BEGIN = struct.Struct("<QQQIIQQ")
_END = struct.Struct("<32xQ")
_OBJECT = struct.Struct("<QI4xIIBBBBIQ")
_FREEOBJECTS = struct.Struct("<QQQ")
_WRITE = struct.Struct("<QI4xQQQBBB45xQ")
_FREE = struct.Struct("<QQQQ")
_SPILL = struct.Struct("<QQQBB6xQ")
_WRITE_EMBEDDED = struct.Struct("<QQQQBB6xII")
_OBJECT_RANGE = struct.Struct("<QQQ")

# The largest block, the largest bonus of a dnode, the most that fits into a block pointer; and
# room enough for what a BEGIN says of keys and holds.
_MOST_BLOCK_BYTES = 16 << 20
_MOST_BONUS_BYTES = 16 << 10
_MOST_EMBEDDED_BYTES = 112
_MOST_BEGIN_BYTES = 1 << 20
_SKIP_BYTES = 1 << 20

_SUBSTREAM = 1
_HEADER_TYPE_BITS = 2
_FEATURE_BITS = 30


class StreamCorruptError(CorruptionError):
    """The bytes are no stream, or not one that OpenZFS writes."""


class StreamTruncatedError(UnavailableError):
    """The stream ends before its end: what was read of it is not all."""


class StreamUnsupportedError(UnsupportedError):
    """The stream has something that is not known or not served here; the text names it."""


class Kind(enum.IntEnum):
    """What a record is, by the numbers of the format."""

    BEGIN = 0
    OBJECT = 1
    FREEOBJECTS = 2
    WRITE = 3
    FREE = 4
    END = 5
    WRITE_BYREF = 6
    SPILL = 7
    WRITE_EMBEDDED = 8
    OBJECT_RANGE = 9
    REDACT = 10


class Feature(enum.IntFlag):
    """What a stream may contain beyond the oldest ones."""

    DEDUP = 1 << 0
    DEDUP_PROPERTIES = 1 << 1
    SA_SPILL = 1 << 2
    EMBEDDED_DATA = 1 << 16
    LZ4 = 1 << 17
    LARGE_BLOCKS = 1 << 19
    RESUMING = 1 << 20
    REDACTED = 1 << 21
    COMPRESSED = 1 << 22
    LARGE_DNODE = 1 << 23
    RAW = 1 << 24
    ZSTD = 1 << 25
    HOLDS = 1 << 26


class ObjectSet(enum.IntEnum):
    """What a stream is of."""

    FILESYSTEM = 2
    ZVOL = 3


@dataclass(frozen=True, slots=True)
class Begin:
    """How a stream begins: `from_guid` is that of the older snapshot, 0 of a full stream."""

    features: int
    object_set: int
    to_guid: int
    from_guid: int


@dataclass(frozen=True, slots=True)
class Record:
    """A record that is neither the first nor the last.

    Attributes:
        kind: what it is.
        number: the object that it is about, or the first one.
        offset: where in the object; 0 where that says nothing.
        length: how many bytes of the object, or for FREEOBJECTS how many objects.
        object_type: of an OBJECT or a WRITE, by the format's numbers.
    """

    kind: Kind
    number: int
    offset: int = 0
    length: int = 0
    object_type: int = 0


class Source(Protocol):
    """Where the bytes come from."""

    def read(self, size: int, /) -> bytes:
        """So many bytes; fewer at the end only."""


def read_begin(source: Source) -> Begin:
    """Read the first record; raises `StreamCorruptError`, `StreamTruncatedError`.

    `StreamUnsupportedError` for a package of several streams, or one of the other byte order.
    """
    header = _read(source, HEADER_BYTES)
    kind, payload_bytes = _KIND.unpack_from(header)
    magic, version, _, object_set, _, to_guid, from_guid = _BEGIN.unpack_from(header, _BODY)
    if magic == int.from_bytes(MAGIC.to_bytes(8, "little"), "big"):
        raise StreamUnsupportedError("the stream has the byte order of another machine")
    if kind != Kind.BEGIN or magic != MAGIC:
        raise StreamCorruptError("this is no stream of `zfs send`")
    if version & ((1 << _HEADER_TYPE_BITS) - 1) != _SUBSTREAM:
        raise StreamUnsupportedError("this is a package of several streams")
    _skip(source, payload_bytes, most=_MOST_BEGIN_BYTES)
    features = version >> _HEADER_TYPE_BITS & ((1 << _FEATURE_BITS) - 1)
    return Begin(features, object_set, to_guid, from_guid)


def read_records(source: Source, begin: Begin) -> Iterator[Record]:
    """Read all between the first and the last record; ends only where the stream is whole.

    Raises `StreamCorruptError`, `StreamTruncatedError`, `StreamUnsupportedError`.
    """
    while True:
        header = _read(source, HEADER_BYTES)
        kind = _kind_of(header)
        if kind is Kind.END:
            _require_guid(_END.unpack_from(header, _BODY)[0], begin)
            if source.read(1):
                raise StreamCorruptError("there is something behind the end of the stream")
            return
        if kind not in _PARSERS:
            raise StreamUnsupportedError(f"the stream has a record of type {kind.name}")
        parsed = _PARSERS[kind](header)
        _require_guid(parsed.guid, begin)
        _skip(source, parsed.payload_bytes, most=parsed.most)
        yield parsed.record


def _kind_of(header: bytes) -> Kind:
    (number, _) = _KIND.unpack_from(header)
    try:
        return Kind(number)
    except ValueError:
        raise StreamUnsupportedError(f"the stream has a record of type {number}") from None


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A record, whose snapshot it is of, how long its payload is, and how long it may be."""

    record: Record
    guid: int
    payload_bytes: int = 0
    most: int = 0


def _object(header: bytes) -> _Parsed:
    number, type_, _, bonus, _, _, _, _, raw, guid = _OBJECT.unpack_from(header, _BODY)
    record = Record(Kind.OBJECT, number, object_type=type_)
    return _Parsed(record, guid, raw or _padded(bonus), _MOST_BONUS_BYTES)


def _freeobjects(header: bytes) -> _Parsed:
    first, count, guid = _FREEOBJECTS.unpack_from(header, _BODY)
    return _Parsed(Record(Kind.FREEOBJECTS, first, length=count), guid)


def _write(header: bytes) -> _Parsed:
    fields = _WRITE.unpack_from(header, _BODY)
    number, type_, offset, length, guid, _, _, compression, stored = fields
    record = Record(Kind.WRITE, number, offset, _block_bytes(length), type_)
    return _Parsed(record, guid, stored if compression else length, _MOST_BLOCK_BYTES)


def _free(header: bytes) -> _Parsed:
    number, offset, length, guid = _FREE.unpack_from(header, _BODY)
    return _Parsed(Record(Kind.FREE, number, offset, length), guid)


def _spill(header: bytes) -> _Parsed:
    number, length, guid, _, _, stored = _SPILL.unpack_from(header, _BODY)
    return _Parsed(Record(Kind.SPILL, number), guid, stored or length, _MOST_BLOCK_BYTES)


def _write_embedded(header: bytes) -> _Parsed:
    number, offset, length, guid, _, _, _, stored = _WRITE_EMBEDDED.unpack_from(header, _BODY)
    record = Record(Kind.WRITE_EMBEDDED, number, offset, _block_bytes(length))
    return _Parsed(record, guid, _padded(stored), _MOST_EMBEDDED_BYTES)


def _object_range(header: bytes) -> _Parsed:
    first, count, guid = _OBJECT_RANGE.unpack_from(header, _BODY)
    return _Parsed(Record(Kind.OBJECT_RANGE, first, length=count), guid)


_PARSERS: Mapping[Kind, Callable[[bytes], _Parsed]] = {
    Kind.OBJECT: _object,
    Kind.FREEOBJECTS: _freeobjects,
    Kind.WRITE: _write,
    Kind.FREE: _free,
    Kind.SPILL: _spill,
    Kind.WRITE_EMBEDDED: _write_embedded,
    Kind.OBJECT_RANGE: _object_range,
}


def _padded(length: int) -> int:
    return -(-length // 8) * 8


def _block_bytes(length: int) -> int:
    if not 0 < length <= _MOST_BLOCK_BYTES:
        raise StreamCorruptError(f"a block of {length} bytes is none of OpenZFS's")
    return length


def _require_guid(guid: int, begin: Begin) -> None:
    if guid != begin.to_guid:
        raise StreamCorruptError(f"a record is of snapshot {guid:x}, not of {begin.to_guid:x}")


def _skip(source: Source, count: int, *, most: int) -> None:
    if count > most:
        raise StreamCorruptError(f"a payload of {count} bytes is more than the format has")
    while count > 0:
        count -= len(_read(source, min(count, _SKIP_BYTES)))


def _read(source: Source, count: int) -> bytes:
    data = source.read(count)
    if len(data) < count:
        raise StreamTruncatedError("the stream was cut off: it has no end")
    return data
