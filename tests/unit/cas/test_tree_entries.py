"""Entries of directories as bytes: by their table, and those that no writer makes."""

import struct

import pytest

from csi_zfs.cas.api import ZERO_DIGEST, StoreCorruptError, UnknownFormatError
from csi_zfs.cas.tree_entries import (
    Entry,
    EntryKind,
    decode_attributes,
    decode_entries,
    decode_top,
    encode_attributes,
    encode_entry,
    is_path,
)
from tests.support.file_trees import directory_entry, file_entry

_A, _B = b"a" * 32, b"b" * 32
_ATTRIBUTES = encode_attributes([(b"user.x", b"1")])

_FILE = file_entry(b"name", _A, 5)._replace(
    mode=0o4755, uid=7, gid=8, mtime_ns=-1, attributes_digest=_B, link_to=b"d/first"
)
_SYMLINK = Entry(b"s", EntryKind.SYMLINK, 0o777, 0, 0, 5 * 10**9 + 6, target=b"../away")
_DEVICE = Entry(b"t", EntryKind.BLOCK_DEVICE, 0o600, 0, 0, 0, 8 << 32 | 1)


def test_entry_has_the_bytes_of_its_table() -> None:
    head = struct.pack("<BBHIIqIQHHHI", 1, 2, 0o4755, 7, 8, -1, 999_999_999, 5, 4, 0, 0, 7)
    body = head + b"name" + b"d/first" + _A + _B
    assert encode_entry(_FILE) == struct.pack("<I", len(body) + 4) + body


@pytest.mark.parametrize(
    "entry",
    [
        _FILE,
        _SYMLINK,
        _DEVICE,
        directory_entry(b"d", _A),
        directory_entry(b"\xff\n", ZERO_DIGEST)._replace(attributes=_ATTRIBUTES),
        file_entry(b"large", _A, 2**63 - 1)._replace(has_content_node=True),
        Entry(b"p", EntryKind.FIFO, 0o7777, 2**32 - 2, 0, (2**63 - 1) * 10**9),
    ],
)
def test_entry_is_read_as_it_was_written(entry: Entry) -> None:
    assert decode_entries(encode_entry(entry), 1) == [entry]


@pytest.mark.parametrize(
    "name", [b"", b".", b"..", b"/", b"a/b", b"../x", b"/etc", b"a\0b", b"x" * 1025]
)
def test_name_that_leads_elsewhere_is_corrupt(name: bytes) -> None:
    with pytest.raises(StoreCorruptError):
        decode_entries(encode_entry(file_entry(name)), 1)


@pytest.mark.parametrize("names", [(b"a", b"a"), (b"b", b"a"), (b"ab", b"a")])
def test_names_that_do_not_rise_are_corrupt(names: tuple[bytes, bytes]) -> None:
    body = b"".join(encode_entry(file_entry(name)) for name in names)
    with pytest.raises(StoreCorruptError, match="after"):
        decode_entries(body, 2)


@pytest.mark.parametrize(
    "entry",
    [
        _FILE._replace(mode=0o10000),
        _FILE._replace(uid=2**32 - 1),
        _FILE._replace(gid=2**32 - 1),
        _FILE._replace(size=2**63),
        _FILE._replace(target=b"x"),
        _FILE._replace(attributes=_ATTRIBUTES),
        _FILE._replace(link_to=b"../outside"),
        _FILE._replace(link_to=b"/etc/passwd"),
        _FILE._replace(link_to=b"a//b"),
        _FILE._replace(link_to=b"a/./b"),
        _FILE._replace(link_to=b"a\0b"),
        _FILE._replace(content=ZERO_DIGEST, has_content_node=True),
        _SYMLINK._replace(target=b""),
        _SYMLINK._replace(target=b"a\0b"),
        _SYMLINK._replace(size=1),
        _DEVICE._replace(has_content_node=True),
        directory_entry(b"d", _A)._replace(size=1),
        directory_entry(b"d", _A)._replace(link_to=b"e"),
        directory_entry(b"d", _A)._replace(has_content_node=True),
    ],
)
def test_entry_that_contradicts_itself_is_corrupt(entry: Entry) -> None:
    with pytest.raises(StoreCorruptError, match="contradicts itself"):
        decode_entries(encode_entry(entry), 1)


@pytest.mark.parametrize("place", range(len(encode_entry(_FILE))))
def test_entry_that_is_cut_off_is_corrupt(place: int) -> None:
    with pytest.raises(StoreCorruptError):
        decode_entries(encode_entry(_FILE)[:place], 1)


@pytest.mark.parametrize("count", [0, 2, 2**32 - 1])
def test_count_that_is_not_that_of_the_entries_is_corrupt(count: int) -> None:
    with pytest.raises(StoreCorruptError):
        decode_entries(encode_entry(_FILE), count)


@pytest.mark.parametrize(
    ("offset", "value"), [(0, b"\xff\xff\xff\xff"), (24, b"\xff\xff\xff\xff"), (42, b"\xff" * 4)]
)
def test_lengths_that_are_not_those_of_the_parts_are_corrupt(offset: int, value: bytes) -> None:
    data = bytearray(encode_entry(_FILE))
    data[offset : offset + 4] = value
    with pytest.raises(StoreCorruptError, match="length"):
        decode_entries(bytes(data), 1)


@pytest.mark.parametrize(("offset", "value"), [(4, 0), (4, 7), (5, 4), (5, 0x80)])
def test_kind_or_flag_of_a_later_version_is_refused_by_name(offset: int, value: int) -> None:
    data = bytearray(encode_entry(_FILE))
    data[offset] = value
    with pytest.raises(UnknownFormatError, match="kind"):
        decode_entries(bytes(data), 1)


@pytest.mark.parametrize(
    "body",
    [
        encode_entry(directory_entry(b"named", _A)),
        encode_entry(file_entry(b"")),
        encode_entry(directory_entry(b"", _A)) + b"x",
        b"",
    ],
)
def test_top_that_is_no_directory_without_a_name_is_corrupt(body: bytes) -> None:
    with pytest.raises(StoreCorruptError):
        decode_top(body)


def test_attributes_are_sorted_records() -> None:
    body = encode_attributes([(b"user.b", b""), (b"user.a", b"12")])
    assert body == b"\6\0\2\0\0\0user.a12" + b"\6\0\0\0\0\0user.b"
    assert decode_attributes(body) == [(b"user.a", b"12"), (b"user.b", b"")]


@pytest.mark.parametrize(
    "body",
    [
        b"\6\0\2\0\0",
        b"\6\0\2\0\0\0user.a1",
        b"\6\0\xff\xff\xff\xffuser.a1",
        b"\0\0\0\0\0\0",
        b"\3\0\0\0\0\0a\0b",
        b"\1\0\0\0\0\0b\1\0\0\0\0\0a",
        b"\1\0\0\0\0\0a\1\0\0\0\0\0a",
    ],
)
def test_attributes_that_no_writer_makes_are_corrupt(body: bytes) -> None:
    with pytest.raises(StoreCorruptError, match="attribute"):
        decode_attributes(body)


def test_path_leads_down_alone() -> None:
    assert is_path(b"a/b/...")
    assert not any(is_path(path) for path in (b"", b"/a", b"a/", b"a/../b", b".", b"a\0"))
