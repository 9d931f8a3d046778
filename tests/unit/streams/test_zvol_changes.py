"""What a stream tells of a zvol's changes, and streams that tell nothing."""

import io
import struct
from collections.abc import Callable

import pytest

from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.domain.model import ChangedRange
from csi_zfs.domain.sizes import KIB, MIB
from csi_zfs.streams.records import (
    HEADER_BYTES,
    Kind,
    StreamCorruptError,
    StreamTruncatedError,
    StreamUnsupportedError,
)
from csi_zfs.streams.zvol_changes import zvol_changes
from tests.support.send_streams import FEATURES, FILESYSTEM, NEW_GUID, OLD_GUID, ZVOL, StreamWriter

BLOCK = 16 * KIB
SIZE_BYTES = 4 * MIB


def changes(stream: bytes, size_bytes: int = SIZE_BYTES) -> list[ChangedRange]:
    return list(zvol_changes(io.BytesIO(stream), size_bytes))


def begun(
    *,
    features: int = FEATURES,
    header_type: int = 1,
    object_set: int = ZVOL,
    from_guid: int = OLD_GUID,
) -> StreamWriter:
    stream = StreamWriter()
    stream.begin(
        features=features, header_type=header_type, object_set=object_set, from_guid=from_guid
    )
    return stream


def data(block: int, count: int = 1) -> ChangedRange:
    return ChangedRange(block * BLOCK, count * BLOCK, is_zero=False)


def zeros(block: int, count: int = 1) -> ChangedRange:
    return ChangedRange(block * BLOCK, count * BLOCK, is_zero=True)


def test_blocks_are_joined_and_other_objects_are_left_out() -> None:
    stream = StreamWriter()
    stream.begin(payload=b"an nvlist of keys".ljust(24, b"\0"))
    stream.free_objects(0, 1)
    stream.object_range(0, 32)
    stream.object(bonus=b"xy")
    stream.write(0, BLOCK, stored=512)
    stream.write(BLOCK, BLOCK)
    stream.write_embedded(2 * BLOCK, BLOCK)
    stream.free(3 * BLOCK, 2 * BLOCK)
    stream.write(9 * BLOCK, BLOCK)
    stream.object(2, type_=24, bonus=b"zap")
    stream.spill(2)
    stream.write(5 * BLOCK, 512, number=2)
    stream.free(0, number=2)
    stream.free_objects(3, 61)
    assert changes(stream.end()) == [data(0, 3), zeros(3, 2), data(9)]


def test_free_behind_the_last_block_comes_first_and_is_told_last() -> None:
    stream = begun()
    stream.free(8 * BLOCK)
    stream.write(BLOCK, BLOCK)
    stream.free(7 * BLOCK, 4 * BLOCK)
    assert changes(stream.end()) == [data(1), zeros(7, SIZE_BYTES // BLOCK - 7)]


def test_ranges_end_with_the_zvol() -> None:
    stream = begun()
    stream.write(BLOCK, BLOCK)
    stream.write(9 * BLOCK, BLOCK)
    stream.free(20 * BLOCK)
    assert changes(stream.end(), size_bytes=BLOCK + 512) == [
        ChangedRange(BLOCK, 512, is_zero=False)
    ]


def test_stream_without_changes_has_no_ranges() -> None:
    assert changes(begun().end()) == []


def test_stream_that_is_cut_off_anywhere_is_truncated() -> None:
    """Never a short list: every length but the whole one raises."""
    stream = begun()
    stream.object(bonus=b"12345")
    stream.write(0, 512)
    stream.free(BLOCK, BLOCK)
    whole = stream.end()
    assert changes(whole) == [ChangedRange(0, 512, is_zero=False), zeros(1)]
    for length in [*range(0, len(whole), 7), len(whole) - 1]:
        with pytest.raises(StreamTruncatedError):
            changes(whole[:length])


def test_something_behind_the_end_is_corrupt() -> None:
    with pytest.raises(StreamCorruptError, match="behind the end"):
        changes(begun().end() + b"x")


def test_record_that_is_lost_whole_is_found_where_its_payload_is_not_one() -> None:
    """A stream from which bytes are missing has something else where a header should be."""
    stream = begun()
    stream.write(0, BLOCK)
    stream.write(BLOCK, BLOCK)
    parts = [*stream.parts]
    stream.end()
    broken = b"".join([*parts[:1], *parts[2:], *stream.parts[len(parts) :]])
    with pytest.raises((StreamCorruptError, StreamUnsupportedError)):
        changes(broken)


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (1 << 0, "DEDUP"),
        (1 << 20, "RESUMING"),
        (1 << 21, "REDACTED"),
        (1 << 26 | 1 << 22, "HOLDS"),
        (1 << 29, "number 29"),
        (1 << 3 | 1 << 20, "number 3, RESUMING"),
    ],
)
def test_feature_that_is_not_served_is_refused_by_name(bits: int, words: str) -> None:
    with pytest.raises(StreamUnsupportedError, match=f": {words}$"):
        changes(begun(features=bits).end())


@pytest.mark.parametrize(
    ("begin", "error", "words"),
    [
        ({"object_set": FILESYSTEM}, StreamUnsupportedError, "not the stream of a zvol"),
        ({"from_guid": 0}, StreamUnsupportedError, "full stream"),
        ({"header_type": 2}, StreamUnsupportedError, "package"),
    ],
)
def test_stream_of_another_kind_is_refused(
    begin: dict[str, int], error: type[CsiZfsError], words: str
) -> None:
    with pytest.raises(error, match=words):
        changes(begun(**begin).end())


def test_stream_of_the_other_byte_order_is_refused_by_name() -> None:
    header = struct.pack(">IIQ", 0, 0, 0x2F5BACBAC).ljust(HEADER_BYTES, b"\0")
    with pytest.raises(StreamUnsupportedError, match="byte order"):
        changes(header)


@pytest.mark.parametrize("header", [b"\0", b"PK\x03\x04", b"\xff"])
def test_what_is_no_stream_is_corrupt(header: bytes) -> None:
    with pytest.raises(StreamCorruptError, match="no stream"):
        changes(header.ljust(HEADER_BYTES, b"\0"))


def raw_record(kind: int, body: bytes) -> Callable[[StreamWriter], None]:
    return lambda stream: stream.record(kind, body)


def write_body(length: int, *, compression: int = 0, stored: int = 0) -> bytes:
    fields = (1, 23, 0, length, NEW_GUID, 7, 0, compression, stored)
    return struct.pack("<QI4xQQQBBB45xQ", *fields)


HUGE = (1 << 64) - 1
HOSTILE: dict[str, tuple[Callable[[StreamWriter], None], str]] = {
    "block": (raw_record(Kind.WRITE, write_body(HUGE)), "block of"),
    "block of none": (raw_record(Kind.WRITE, write_body(0)), "block of"),
    "compressed": (
        raw_record(Kind.WRITE, write_body(BLOCK, compression=15, stored=HUGE)),
        "payload of",
    ),
    "bonus": (
        raw_record(
            Kind.OBJECT,
            struct.pack("<QIIIIBBBBIQ", 1, 23, 0, 0, 0, 0, 0, 0, 0, (1 << 32) - 1, NEW_GUID),
        ),
        "payload of",
    ),
    "spill": (
        raw_record(Kind.SPILL, struct.pack("<QQQBB6xQ", 2, HUGE, NEW_GUID, 0, 0, 0)),
        "payload of",
    ),
    "embedded": (
        raw_record(
            Kind.WRITE_EMBEDDED,
            struct.pack("<QQQQBB6xII", 1, 0, BLOCK, NEW_GUID, 3, 0, 0, (1 << 32) - 1),
        ),
        "payload of",
    ),
    "other snapshot": (
        raw_record(Kind.FREE, struct.pack("<QQQQ", 1, 0, BLOCK, OLD_GUID)),
        "is of snapshot",
    ),
    "data freed": (lambda stream: stream.free_objects(0, HUGE), "as a whole"),
    "other type": (lambda stream: stream.object(type_=21), "is of type 21"),
}


@pytest.mark.parametrize(("add", "words"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_record_is_corrupt_and_reads_nothing_more(
    add: Callable[[StreamWriter], None], words: str
) -> None:
    stream = begun()
    add(stream)
    source = io.BytesIO(stream.end() + bytes(8 * MIB))
    with pytest.raises(StreamCorruptError, match=words):
        list(zvol_changes(source, SIZE_BYTES))
    assert source.tell() <= 4 * HEADER_BYTES


@pytest.mark.parametrize("kind", [Kind.WRITE_BYREF, Kind.REDACT, Kind.BEGIN, 11, 1 << 31])
def test_record_of_another_type_is_refused_by_name(kind: int) -> None:
    stream = begun()
    stream.record(kind, bytes(64))
    words = Kind(kind).name if kind in set(Kind) else str(kind)
    with pytest.raises(StreamUnsupportedError, match=f"of type {words}$"):
        changes(stream.end())


def test_end_of_another_snapshot_is_corrupt() -> None:
    with pytest.raises(StreamCorruptError, match="is of snapshot"):
        changes(begun().end(OLD_GUID))


def backwards(stream: StreamWriter) -> None:
    stream.write(BLOCK, BLOCK)
    stream.write(0, BLOCK)


def behind_the_last(stream: StreamWriter) -> None:
    stream.free(4 * BLOCK)
    stream.write(4 * BLOCK, BLOCK)


def freed_again(stream: StreamWriter) -> None:
    stream.write(4 * BLOCK, BLOCK)
    stream.free(2 * BLOCK)


@pytest.mark.parametrize("add", [backwards, behind_the_last, freed_again])
def test_blocks_out_of_order_are_corrupt(add: Callable[[StreamWriter], None]) -> None:
    """So a later record never contradicts what was told of an earlier one."""
    stream = begun()
    add(stream)
    with pytest.raises(StreamCorruptError, match="not in order"):
        changes(stream.end())
