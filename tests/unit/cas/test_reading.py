"""Chunks out of packs that are damaged, gone, or somewhere else by now."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import zstandard

from csi_zfs.cas.api import (
    BlobKind,
    ChunkCorruptError,
    ChunkNotFoundError,
    StorageUnavailableError,
)
from csi_zfs.cas.compression import Codec
from csi_zfs.cas.loading import MARKS, encode_marks
from csi_zfs.cas.packs import StoredChunk, pack_key
from csi_zfs.cas.records import SESSIONS
from csi_zfs.cas.sealing import ObjectKind
from csi_zfs.cas.store import Store
from csi_zfs.system.digest import keyed_digest
from tests.support.clock import FakeClock
from tests.support.faulty_objects import Fault, FaultyObjects
from tests.support.memory_objects import Kept, MemoryObjects
from tests.support.stores import new_store, opened_store, put_image

DATA = BlobKind.DATA
ONE, OTHER = os.urandom(5000), b"compressible" * 500


def put(store: Store, *chunks: bytes) -> list[bytes]:
    """Put chunks in a session that leaves them."""
    with store.session() as session:
        digests = [session.put(chunk, DATA) for chunk in chunks]
        session.keep()
    return digests


def put_twice(storage: MemoryObjects, chunk: bytes) -> tuple[bytes, list[str]]:
    """A chunk in two packs, as two writers at once leave it; returns their keys too."""
    with opened_store(storage) as first, opened_store(storage) as second:
        sessions = [first.begin(), second.begin()]
        (digest,) = {session.put(chunk, DATA) for session in sessions}
        for session in sessions:
            session.keep()
        second.refresh()
        return digest, [pack_key(place.pack_id) for place in second.places.find(digest)]


def flip(storage: MemoryObjects, key: str, at: int = 120) -> None:
    data = bytearray(storage.kept[key].data)
    data[at] ^= 1
    storage.kept[key] = Kept(bytes(data), 0.0)


@contextmanager
def refreshed(storage: MemoryObjects) -> Iterator[Store]:
    with opened_store(storage) as store:
        store.refresh()
        yield store


def made() -> MemoryObjects:
    storage = MemoryObjects()
    with new_store(storage):
        return storage


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("is_gone", [False, True])
def test_chunk_in_two_packs_is_read_from_the_one_that_is_whole(
    number: int, *, is_gone: bool
) -> None:
    storage = made()
    digest, keys = put_twice(storage, ONE)
    assert len(keys) == 2
    with refreshed(storage) as store:
        if is_gone:
            del storage.kept[keys[number]]
        else:
            flip(storage, keys[number])
        assert store.reader().get(digest, DATA) == ONE
        assert list(store.reader().get_many([digest, digest], DATA)) == [ONE, ONE]
        flip(storage, keys[1 - number])
        with pytest.raises(ChunkCorruptError, match=digest.hex()):
            store.reader().get(digest, DATA)
        with pytest.raises(ChunkCorruptError, match=digest.hex()):
            list(store.reader().get_many([digest], DATA))


def test_damaged_chunk_is_never_returned_and_never_said_to_be_absent() -> None:
    storage = made()
    with opened_store(storage) as store:
        one, other = put(store, ONE, OTHER)
        (place,) = store.places.find(one)
        flip(storage, pack_key(place.pack_id), place.entry.offset + 100)
        reader = store.reader()
        with pytest.raises(ChunkCorruptError, match=one.hex()):
            reader.get(one, DATA)
        assert list(reader.get_many([other], DATA)) == [OTHER]
        with pytest.raises(ChunkNotFoundError, match="in no pack"):
            reader.get(bytes(32), DATA)


def test_chunk_of_another_kind_or_domain_is_not_returned() -> None:
    with new_store(MemoryObjects()) as store:
        (digest,) = put(store, ONE)
        with pytest.raises(ChunkCorruptError, match="not the one of its digest"):
            store.reader().get(digest, BlobKind.TREE)
        with pytest.raises(ChunkCorruptError, match="not the one of its digest"):
            store.reader("another").get(digest, DATA)


def test_chunk_that_is_known_to_be_bad_counts_as_absent_and_is_healed_by_the_next_put() -> None:
    storage = made()
    with opened_store(storage) as store:
        (digest,) = put(store, ONE)
        (place,) = store.places.find(digest)
        flip(storage, pack_key(place.pack_id))
        marks = encode_marks([(digest, place.pack_id)])
        store.vault.put_new(ObjectKind.MARKS, MARKS + "0" * 32, marks)
    with refreshed(storage) as store:
        assert not store.places.has(digest)
        with pytest.raises(ChunkNotFoundError):
            store.reader().get(digest, DATA)
        assert put(store, ONE) == [digest]
        assert store.reader().get(digest, DATA) == ONE


def test_chunk_that_another_client_wrote_or_moved_since_is_found() -> None:
    """A restore goes on while packs are collected and repacked; that is no damage."""
    storage = made()
    clock = FakeClock()
    with opened_store(storage, clock=clock) as reading, opened_store(storage) as writing:
        (digest,) = put(writing, ONE)
        assert reading.reader().get(digest, DATA) == ONE
        (place,) = writing.places.find(digest)
        with writing.session() as session:
            reader = writing.reader()
            (run,) = reader.runs([digest])
            for chunk in reader.read_stored(run):
                session.copy(chunk)
            session.keep()
        storage.delete([pack_key(place.pack_id)])
        clock.advance(120)
        assert reading.reader().get(digest, DATA) == ONE


def test_many_chunks_that_are_gone_ask_for_news_some_times_only() -> None:
    storage = made()
    lists: list[str] = []

    class Listing(MemoryObjects):
        def list(self, prefix: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
            lists.append(prefix)
            return super().list(prefix)

    listing, clock = Listing(), FakeClock()
    listing.kept = storage.kept
    with opened_store(listing, clock=clock) as store, opened_store(storage) as writing:
        reader = store.reader()

        def miss_many() -> None:
            for number in range(20):
                with pytest.raises(ChunkNotFoundError):
                    reader.get(bytes([number]) * 32, DATA)

        miss_many()
        assert lists.count("packs/") == 8
        clock.advance(61)
        miss_many()
        assert lists.count("packs/") == 9
        clock.advance(61)
        (digest,) = put(writing, ONE)
        assert reader.get(digest, DATA) == ONE
        miss_many()
        assert lists.count("packs/") == 10 + 8


def test_storage_that_does_not_answer_is_no_damage() -> None:
    storage = made()
    with opened_store(storage) as store:
        (digest,) = put(store, ONE)
    reads: list[Fault] = []
    faulty = FaultyObjects(storage, reads=iter(lambda: (reads or [Fault.OK])[0], None))
    with opened_store(faulty) as store:
        store.refresh()
        reads.append(Fault.BUSY)
        for read in (
            store.reader().get,
            lambda *args: list(store.reader().get_many([args[0]], DATA)),
        ):
            with pytest.raises(StorageUnavailableError):
                read(digest, DATA)


def test_neighbours_are_read_at_once_and_far_ones_are_not() -> None:
    storage = made()
    ranges: list[int] = []

    class Counting(MemoryObjects):
        def get_ranges(self, key: str, asked: Sequence[tuple[int, int]]) -> list[bytes]:
            ranges.extend(length for _, length in asked)
            return super().get_ranges(key, asked)

    counting = Counting()
    counting.kept = storage.kept
    chunks = [os.urandom(200_000) for _ in range(45)]
    with opened_store(counting) as store:
        digests = put(store, *chunks)
        ranges.clear()
        assert list(store.reader().get_many(digests, DATA)) == chunks
        assert 3 <= len(ranges) <= 4
        assert max(ranges) <= 4 << 20
        ranges.clear()
        wanted = [digests[0], digests[1], digests[3], digests[20], b"x" * 32]
        runs = store.reader().runs(wanted)
        assert [len(run) for run in runs] == [3, 1]
        assert ranges == []


def test_chunk_whose_author_lied_about_it_takes_no_memory_and_is_refused() -> None:
    """By somebody with the key: a frame of 100 MB said to be of 60,000 bytes, a wrong digest."""
    bomb = zstandard.compress(bytes(100 << 20))
    with new_store(MemoryObjects()) as store:
        with store.session() as session:
            for digest, stored in ((b"b" * 32, bomb), (b"d" * 32, bytes(60_000))):
                codec = Codec.ZSTD if stored is bomb else Codec.RAW
                session.copy(StoredChunk(digest, DATA, bytes(8), 60_000, codec, stored))
            session.keep()
        with pytest.raises(ChunkCorruptError, match="cannot be unpacked"):
            store.reader().get(b"b" * 32, DATA)
        with pytest.raises(ChunkCorruptError, match="not the one of its digest"):
            store.reader().get(b"d" * 32, DATA)
        assert keyed_digest(b"k" * 32, bytes(60_000)) != b"d" * 32


def test_manifest_of_this_moment_is_read_without_a_refresh() -> None:
    storage = made()
    with opened_store(storage) as reading, opened_store(storage) as writing:
        reading.refresh()
        manifest = put_image(writing, [os.urandom(65536)])
        assert SESSIONS + manifest.manifest_id in storage.kept
        (found,) = reading.manifests()
        assert reading.reader().get(found.root.tree_digest, BlobKind.TREE)


def test_chunks_of_several_packs_are_read_pack_by_pack_and_a_pack_that_went_is_told() -> None:
    storage = made()
    with opened_store(storage) as store:
        (one,), (other,) = put(store, ONE), put(store, OTHER)
        reader = store.reader()
        assert sorted(len(run) for run in reader.runs([one, other])) == [1, 1]
        assert list(reader.get_many([one, other], DATA)) == [ONE, OTHER]
        (place,) = store.places.find(one)
        storage.delete([pack_key(place.pack_id)])
        chunks = reader.get_many([other, one], DATA)
        assert next(chunks) == OTHER
        with pytest.raises(ChunkNotFoundError, match=one.hex()):
            next(chunks)


def test_places_that_were_checked_come_last() -> None:
    with new_store(MemoryObjects()) as store:
        (one,), (other,) = put(store, ONE), put(store, OTHER)
        first, second = store.places.least_recently_checked()
        store.places.set_checked(first, 5)
        assert store.places.least_recently_checked() == [second, first]
        found = {
            digest for pack_id in (first, second) for digest in store.places.chunks_in(pack_id)
        }
        assert found == {one, other}
