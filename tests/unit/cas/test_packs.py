"""Packs and indexes byte by byte: whoever changes one, or lies with the key, is found."""

import os
import struct
from dataclasses import replace

import pytest

from csi_zfs.cas.api import BlobKind, StoreCorruptError, UnknownFormatError
from csi_zfs.cas.compression import Codec
from csi_zfs.cas.crypto import TAG_BYTES
from csi_zfs.cas.indexes import PackContent, encode_index, parse_index
from csi_zfs.cas.keys import StoreKey
from csi_zfs.cas.loading import read_content
from csi_zfs.cas.packs import (
    BLOB_HEADER_BYTES,
    ENTRY_BYTES,
    MAX_PACK_BYTES,
    TRAILER_BYTES,
    Entry,
    OpenPack,
    PackCipher,
    StoredChunk,
    pack_key,
    parse_entries,
    parse_pack_key,
)
from csi_zfs.cas.sealing import PREFIX_BYTES, Sealer
from csi_zfs.cas.vault import Vault
from tests.support.memory_objects import Kept, MemoryObjects

KEY, STORE_ID, PACK_ID, SALT = StoreKey.generate(), bytes(16), os.urandom(16), os.urandom(32)
CIPHER = PackCipher(KEY, STORE_ID, PACK_ID, SALT)
PACK = pack_key(PACK_ID)


def chunk_of(data: bytes, kind: BlobKind = BlobKind.DATA) -> StoredChunk:
    return StoredChunk(os.urandom(32), kind, b"a domain", len(data), Codec.RAW, data)


def pack_with(*chunks: StoredChunk) -> tuple[bytes, list[Entry]]:
    pack = OpenPack(CIPHER, bytearray(1 << 16))
    for chunk in chunks:
        assert pack.has_room_for(len(chunk.stored))
        pack.fill(pack.reserve(chunk), chunk)
    return bytes(pack.finish()), list(pack.entries)


def content_of(data: bytes, size_bytes: int | None = None) -> PackContent:
    storage = MemoryObjects()
    storage.kept[PACK] = Kept(data, 0.0)
    size = len(data) if size_bytes is None else size_bytes
    return read_content(Vault(storage, Sealer(KEY, STORE_ID)), PACK_ID, PACK, size)


def test_pack_says_what_it_has_and_every_blob_what_it_is() -> None:
    chunks = [chunk_of(b"one"), chunk_of(b"two" * 100, BlobKind.TREE)]
    data, entries = pack_with(*chunks)
    content = content_of(data)
    assert (content.pack_id, content.salt, content.count) == (PACK_ID, SALT, 2)
    assert parse_entries(content.entries, PACK) == entries
    for entry, chunk in zip(entries, chunks, strict=True):
        blob = data[entry.offset : entry.offset + entry.blob_bytes]
        assert CIPHER.open_blob(entry, blob) == (chunk.stored, b"a domain")


def test_pack_of_very_many_chunks_is_read_by_its_footer() -> None:
    """The footer is longer than what is read at first."""
    pack = OpenPack(CIPHER, bytearray(1 << 20))
    for number in range(2000):
        chunk = chunk_of(bytes([number % 251, 1]))
        pack.fill(pack.reserve(chunk), chunk)
    assert content_of(bytes(pack.finish())).count == 2000


def test_full_pack_has_no_room_and_still_ends_within_its_buffer() -> None:
    buffer = bytearray(10_000)
    pack = OpenPack(CIPHER, buffer)
    while pack.has_room_for(100):
        chunk = chunk_of(os.urandom(100))
        pack.fill(pack.reserve(chunk), chunk)
    data = bytes(pack.finish())
    assert 9_500 < len(data) <= 10_000
    assert content_of(data).count == len(pack.entries)


def test_no_bit_of_a_pack_can_change_unseen() -> None:
    """I12: by the footer or, for the blobs, when they are read."""
    data, (entry,) = pack_with(chunk_of(b"one"))
    begin, end = entry.offset, entry.offset + entry.blob_bytes
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        if begin <= bit // 8 < end:
            with pytest.raises(StoreCorruptError):
                CIPHER.open_blob(entry, bytes(damaged[begin:end]))
        else:
            with pytest.raises((StoreCorruptError, UnknownFormatError), match=PACK):
                content_of(bytes(damaged))


def test_pack_of_another_length_than_listed_is_told() -> None:
    data, _ = pack_with(chunk_of(b"one"))
    for length in range(len(data)):
        with pytest.raises(StoreCorruptError, match=PACK):
            content_of(data[:length])
        with pytest.raises(StoreCorruptError, match=PACK):
            content_of(data[:length], len(data))
    for size_bytes in (0, MAX_PACK_BYTES + 1):
        with pytest.raises(StoreCorruptError, match=f"{size_bytes} bytes"):
            content_of(data, size_bytes)


def test_blobs_cannot_change_places() -> None:
    """I13."""
    data, (first, second) = pack_with(chunk_of(b"one"), chunk_of(b"two"))
    blobs = [data[one.offset : one.offset + one.blob_bytes] for one in (first, second)]
    with pytest.raises(StoreCorruptError, match="another blob"):
        CIPHER.open_blob(first, blobs[1])
    moved = replace(second, offset=first.offset)
    CIPHER.open_blob(moved, blobs[1])
    for lie in (
        replace(first, digest=bytes(32)),
        replace(first, plain_bytes=4),
        replace(first, kind=BlobKind.TREE),
        replace(first, codec=Codec.ZSTD),
        replace(first, sealed_bytes=18),
    ):
        with pytest.raises(StoreCorruptError, match="another blob"):
            CIPHER.open_blob(lie, blobs[0])
    other = PackCipher(KEY, STORE_ID, os.urandom(16), SALT)
    with pytest.raises(StoreCorruptError, match="not what was written"):
        other.open_blob(first, blobs[0])
    for end in range(len(blobs[0])):
        with pytest.raises(StoreCorruptError):
            CIPHER.open_blob(first, blobs[0][:end])


@pytest.mark.parametrize(
    "change",
    [
        {"offset": 0},
        {"offset": MAX_PACK_BYTES},
        {"offset": 0xFFFFFFFF},
        {"sealed_bytes": TAG_BYTES},
        {"sealed_bytes": 0xFFFFFFFF},
        {"plain_bytes": 0},
        {"plain_bytes": 0xFFFFFFFF},
        {"plain_bytes": (4 << 20) + 1},
        {"kind": 9},
        {"codec": 9},
    ],
    ids=str,
)
def test_footer_that_lies_is_refused(change: dict[str, int]) -> None:
    """By somebody with the key: no entry makes a reader take much memory."""
    entry = Entry(bytes(32), PREFIX_BYTES, 100, 100 + TAG_BYTES, BlobKind.DATA, Codec.RAW)
    lie = replace(entry, **change)  # type: ignore[arg-type]
    with pytest.raises(StoreCorruptError, match="cannot be"):
        parse_entries(entry.encode() + lie.encode(), PACK)
    assert parse_entries(entry.encode(), PACK) == [entry]
    with pytest.raises(StoreCorruptError, match="cannot be"):
        parse_entries(entry.encode()[:-1] + b"\1", PACK)
    with pytest.raises(StoreCorruptError, match="too early"):
        parse_entries(entry.encode()[:-1], PACK)


@pytest.mark.parametrize(
    "trailer",
    [
        struct.pack("<4sIII", b"pack", 0xFFFFFFFF, 0xFFFFFFFF, 0),
        struct.pack("<4sIII", b"pack", 1000, 1000 * ENTRY_BYTES + TAG_BYTES, 0),
        struct.pack("<4sIII", b"pack", 1, ENTRY_BYTES + TAG_BYTES, 1),
        struct.pack("<4sIII", b"kcap", 1, ENTRY_BYTES + TAG_BYTES, 0),
    ],
)
def test_trailer_that_lies_is_refused(trailer: bytes) -> None:
    data, _ = pack_with(chunk_of(b"one"))
    with pytest.raises(StoreCorruptError, match=PACK):
        content_of(data[:-TRAILER_BYTES] + trailer)


def test_names_of_packs() -> None:
    assert parse_pack_key(PACK) == PACK_ID
    name = PACK_ID.hex()
    for other in (f"packs/{name}", f"packs/zz/{name}", f"packs/{name[:2]}/{name.upper()}x", ""):
        assert parse_pack_key(other) is None
    assert parse_pack_key(f"packs/{name[:2]}/{name[:-2]}") is None


def test_index_is_what_was_written_and_says_where_it_ends() -> None:
    contents = [
        PackContent(os.urandom(16), os.urandom(32), 5, bytes(ENTRY_BYTES * n)) for n in (2, 0, 1)
    ]
    payload = encode_index(contents)
    assert list(parse_index("indexes/a", payload)) == contents
    whole = {0, *(len(encode_index(contents[:n])) for n in range(4))}
    for length in set(range(len(payload))) - whole:
        with pytest.raises(StoreCorruptError, match="indexes/a"):
            list(parse_index("indexes/a", payload[:length]))
    assert BLOB_HEADER_BYTES == 60
