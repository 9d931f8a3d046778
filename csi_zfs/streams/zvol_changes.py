"""Where two snapshots of a zvol differ, from the incremental stream between them."""

from collections.abc import Iterator

from csi_zfs.domain.model import ChangedRange
from csi_zfs.streams.records import (
    TO_THE_END,
    Feature,
    Kind,
    ObjectSet,
    Record,
    Source,
    StreamCorruptError,
    StreamUnsupportedError,
    read_begin,
    read_records,
)

_DATA_OBJECT = 1
_ZVOL_TYPE = 23
_RANGES = frozenset({Kind.WRITE, Kind.WRITE_EMBEDDED, Kind.FREE})
# With others a stream is no list of what changed (resumed: its end alone; redacted), or has records
# that nobody writes any more (deduplicated).
_SERVED = (
    Feature.SA_SPILL
    | Feature.EMBEDDED_DATA
    | Feature.LZ4
    | Feature.LARGE_BLOCKS
    | Feature.COMPRESSED
    | Feature.LARGE_DNODE
    | Feature.RAW
    | Feature.ZSTD
)


def zvol_changes(source: Source, size_bytes: int) -> Iterator[ChangedRange]:
    """The blocks that an incremental stream writes or frees, within a size; in order, joined.

    Only when the last has come is it known that these are all.  A zvol's blocks have one size for
    all its life, so no block is sent for another reason than its change.

    Raises:
        StreamTruncatedError: the stream ends before its end.
        StreamCorruptError: it is none, or not in the order in which OpenZFS sends a zvol.
        StreamUnsupportedError: it is not one of these, or of a kind that is not known here.
    """
    begin = read_begin(source)
    if begin.object_set != ObjectSet.ZVOL:
        raise StreamUnsupportedError("this is not the stream of a zvol")
    if begin.from_guid == 0:
        raise StreamUnsupportedError("this is a full stream: it does not tell what changed")
    _require_served(begin.features)
    yield from _joined(_blocks(read_records(source, begin), size_bytes))


def _require_served(features: int) -> None:
    unknown = features & ~int(_SERVED)  # of the flags themselves `~` keeps those with a name
    if unknown:
        bits = [1 << bit for bit in range(unknown.bit_length()) if unknown >> bit & 1]
        words = ", ".join(Feature(bit).name or f"number {bit.bit_length() - 1}" for bit in bits)
        raise StreamUnsupportedError(f"the stream has features that are not served here: {words}")


def _blocks(records: Iterator[Record], size_bytes: int) -> Iterator[ChangedRange]:
    behind, tail = 0, size_bytes
    for record in records:
        _require_zvol(record)
        if record.number != _DATA_OBJECT or record.kind not in _RANGES:
            continue
        begin, end = record.offset, min(record.offset + record.length, size_bytes)
        if begin >= size_bytes:
            continue
        is_free = record.kind is Kind.FREE
        if is_free and record.length == TO_THE_END:
            # What is behind the last block is freed first, whether anything was there or not.
            tail = min(tail, begin)
            continue
        if is_free:  # one of many blocks may reach behind the last one
            end = min(end, tail)
        if begin < behind or end > tail:
            raise StreamCorruptError("the blocks of the zvol are not in order")
        behind = max(behind, end)
        if begin < end:
            yield ChangedRange(begin, end - begin, is_zero=is_free)
    if tail < behind:
        raise StreamCorruptError("the blocks of the zvol are not in order")
    if tail < size_bytes:
        yield ChangedRange(tail, size_bytes - tail, is_zero=True)


def _require_zvol(record: Record) -> None:
    is_typed = record.number == _DATA_OBJECT and record.kind in {Kind.OBJECT, Kind.WRITE}
    if is_typed and record.object_type != _ZVOL_TYPE:
        raise StreamCorruptError(f"the data of the zvol is of type {record.object_type}")
    if record.kind is Kind.FREEOBJECTS and 0 <= _DATA_OBJECT - record.number < record.length:
        raise StreamCorruptError("the stream frees the data of the zvol as a whole")


def _joined(ranges: Iterator[ChangedRange]) -> Iterator[ChangedRange]:
    last: ChangedRange | None = None
    for one in ranges:
        if last is not None:
            end = last.offset_bytes + last.length_bytes
            if one.offset_bytes == end and one.is_zero == last.is_zero:
                length_bytes = last.length_bytes + one.length_bytes
                last = ChangedRange(last.offset_bytes, length_bytes, one.is_zero)
                continue
            yield last
        last = one
    if last is not None:
        yield last
