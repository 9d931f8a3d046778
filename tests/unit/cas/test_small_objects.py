"""What everything else is sealed, compressed and written down with."""

import os

import pytest
import zstandard

from csi_zfs.cas import documents, records
from csi_zfs.cas.api import StoreCorruptError, UnknownFormatError
from csi_zfs.cas.compression import Codec, DecompressionError, compressed, decompressed
from csi_zfs.cas.crypto import TAG_BYTES, AuthenticationError, Cipher
from csi_zfs.cas.epochs import make_epoch, read_epoch
from csi_zfs.cas.keys import StoreKey
from csi_zfs.cas.records import Epoch, Phase, SessionRecord, SessionState
from csi_zfs.cas.sealing import ObjectKind, Sealer
from csi_zfs.cas.vault import Vault
from csi_zfs.domain.errors import InvalidRequestError
from tests.support.memory_objects import MemoryObjects

SEALER = Sealer(StoreKey.generate(), os.urandom(16))


def test_sealed_message_opens_with_its_counter_and_its_companions_only() -> None:
    cipher = Cipher(os.urandom(32))
    sealed = cipher.seal(7, b"plain", b"with")
    into = bytearray(len(sealed))
    cipher.seal_into(7, b"plain", b"with", memoryview(into))
    assert bytes(into) == sealed
    assert len(sealed) == len(b"plain") + TAG_BYTES
    assert cipher.open(7, sealed, b"with") == b"plain"
    for counter, data, companion in (
        (8, sealed, b"with"),
        (7, sealed, b"without"),
        (7, sealed[:-1], b"with"),
        (7, b"", b"with"),
        (7, sealed[:TAG_BYTES], b"with"),
    ):
        with pytest.raises(AuthenticationError):
            cipher.open(counter, data, companion)


def test_chunk_is_compressed_where_that_is_worth_it() -> None:
    for data, codec in ((b"a" * 5000, Codec.ZSTD), (os.urandom(5000), Codec.RAW)):
        for form in (data, bytearray(data), memoryview(data)):
            found, stored = compressed(form)
            assert found is codec
            assert decompressed(found, stored, len(data)) == data


@pytest.mark.parametrize("stated", [99_999, 100_001, 0])
def test_other_length_than_the_promised_one_is_refused(stated: int) -> None:
    with pytest.raises(DecompressionError):
        decompressed(Codec.ZSTD, zstandard.compress(bytes(100_000)), stated)
    with pytest.raises(DecompressionError):
        decompressed(Codec.RAW, bytes(100_000), stated)


@pytest.mark.parametrize("stored", [b"", b"no frame", zstandard.compress(b"x" * 99)[:-2]])
def test_bytes_that_are_no_frame_are_refused(stored: bytes) -> None:
    with pytest.raises(DecompressionError):
        decompressed(Codec.ZSTD, stored, 99)


def test_frame_that_unpacks_to_more_than_it_states_takes_no_more_memory() -> None:
    """The header is made to lie, and so does one that states nothing."""
    honest = zstandard.ZstdCompressor(write_checksum=False).compress(bytes(50 << 20))
    small = zstandard.ZstdCompressor(write_checksum=False).compress(bytes(60_000))
    with pytest.raises(DecompressionError):
        decompressed(Codec.ZSTD, honest, 60_000)
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(50 << 20))
    with pytest.raises(DecompressionError):
        decompressed(Codec.ZSTD, silent, 60_000)
    # A header of 60,000 bytes before the blocks of 50 MiB; both are of one segment or have windows.
    header_bytes = zstandard.frame_header_size(small)
    lying = small[:header_bytes] + honest[zstandard.frame_header_size(honest) :]
    with pytest.raises(DecompressionError):
        decompressed(Codec.ZSTD, lying, 60_000)


def test_object_opens_under_its_own_key_in_its_own_store_only() -> None:
    sealed = SEALER.seal(ObjectKind.INDEX, "indexes/a", b"payload")
    assert sealed != SEALER.seal(ObjectKind.INDEX, "indexes/a", b"payload")
    assert SEALER.open(ObjectKind.INDEX, "indexes/a", sealed) == b"payload"
    others = [
        (SEALER, ObjectKind.INDEX, "indexes/b"),
        (SEALER, ObjectKind.MARKS, "indexes/a"),
        (Sealer(SEALER.store_key, os.urandom(16)), ObjectKind.INDEX, "indexes/a"),
        (Sealer(StoreKey.generate(), SEALER.store_id), ObjectKind.INDEX, "indexes/a"),
    ]
    for sealer, kind, key in others:
        with pytest.raises(StoreCorruptError, match=key):
            sealer.open(kind, key, sealed)


def test_object_that_is_cut_or_of_another_version_is_refused() -> None:
    sealed = SEALER.seal(ObjectKind.INDEX, "indexes/a", b"payload")
    for length in range(len(sealed)):
        with pytest.raises(StoreCorruptError, match="indexes/a"):
            SEALER.open(ObjectKind.INDEX, "indexes/a", sealed[:length])
    with pytest.raises(UnknownFormatError, match="version 2"):
        SEALER.open(ObjectKind.INDEX, "indexes/a", sealed[:7] + b"\2" + sealed[8:])
    with pytest.raises(StoreCorruptError, match="no version 0"):
        SEALER.open(ObjectKind.INDEX, "indexes/a", sealed[:7] + b"\0" + sealed[8:])


def test_document_too_long_to_be_read_again_is_not_written() -> None:
    """An epoch of so many packs would keep every session from beginning."""
    packs = frozenset(os.urandom(16) for _ in range(40_000))
    with pytest.raises(InvalidRequestError, match="packs"):
        records.encode_epoch(Epoch(1, Phase.CONDEMNED, packs))
    with pytest.raises(InvalidRequestError):
        documents.encode({"a": "x" * documents.MAX_DOCUMENT_BYTES})


def test_epoch_is_what_was_written() -> None:
    epoch = Epoch(5, Phase.DOOMED, frozenset(os.urandom(16) for _ in range(3)))
    payload = records.encode_epoch(epoch)
    assert records.parse_epoch(payload) == epoch
    for old, new in ((b"doomed", b"doubts"), (b'"number":5', b'"number":-5')):
        with pytest.raises(StoreCorruptError, match="epoch"):
            records.parse_epoch(payload.replace(old, new))


def test_epoch_is_made_once() -> None:
    vault = Vault(MemoryObjects(), SEALER)
    with pytest.raises(StoreCorruptError, match="missing"):
        read_epoch(vault)
    make_epoch(vault)
    read = read_epoch(vault)
    make_epoch(vault)
    assert read_epoch(vault) == read


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"open"', b'"ajar"'),
        (b'"root":{}', b'"root":{"a":1}'),
        (b'"root":{}', b'"root":[]'),
        (b'"open"', b'"committed"'),
        (b'"epoch":1', b'"epoch":01'),
        (b'"epoch":1', b'"epoch":1.0'),
        (b'"epoch":1', b'"epoch": 1'),
        (b'"format":1', b'"format":-1'),
    ],
)
def test_session_that_no_writer_writes_is_refused(old: bytes, new: bytes) -> None:
    record = SessionRecord(
        state=SessionState.OPEN, epoch=1, domain="d", created_ns=1, beat_ns=1, owner="o"
    )
    payload = records.encode_session(record)
    assert records.parse_session("sessions/a", payload) == record
    with pytest.raises(StoreCorruptError, match="sessions/a"):
        records.parse_session("sessions/a", payload.replace(old, new))
