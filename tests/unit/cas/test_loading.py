"""The cache is brought up to what the storage has, whatever is damaged there."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from csi_zfs.cas.api import BlobKind, StorageUnavailableError
from csi_zfs.cas.loading import MARKS
from csi_zfs.cas.packs import parse_pack_key
from csi_zfs.cas.places import Places
from csi_zfs.cas.sealing import ObjectKind
from csi_zfs.cas.store import Store
from tests.support.faulty_objects import FaultyObjects, faults
from tests.support.memory_objects import Kept, MemoryObjects
from tests.support.points import once
from tests.support.stores import new_store, opened_store

DATA = BlobKind.DATA
ONE, OTHER = os.urandom(5000), os.urandom(5000)
TOLD = pytest.mark.expected_logs("is passed over")


def keys(storage: MemoryObjects, prefix: str) -> list[str]:
    return sorted(key for key in storage.kept if key.startswith(prefix))


def stored(storage: MemoryObjects, *chunks: bytes) -> list[bytes]:
    """Each chunk in a pack and an index of its own."""
    with opened_store(storage) as store:
        return [put(store, chunk) for chunk in chunks]


def put(store: Store, chunk: bytes) -> bytes:
    with store.session() as session:
        digest = session.put(chunk, DATA)
        session.keep()
    return digest


@pytest.fixture
def storage() -> MemoryObjects:
    storage = MemoryObjects()
    with new_store(storage):
        return storage


def test_packs_without_an_index_are_read_themselves(storage: MemoryObjects) -> None:
    """I11: the index rebuilt from packs is the index."""
    stored(storage, ONE, OTHER)
    with opened_store(storage) as store:
        store.refresh()
        by_index = dict(store.places.of_each())
    storage.delete(keys(storage, "indexes/"))
    with opened_store(storage) as store:
        store.refresh()
        assert dict(store.places.of_each()) == by_index
        assert store.places.objects() == set()


@TOLD
@pytest.mark.parametrize("data", [b"", b"CSIZFSI\1", b"CSIZFSI\2" + bytes(60)])
def test_damaged_index_is_told_and_the_footers_are_read(
    storage: MemoryObjects, data: bytes, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    one, other = stored(storage, ONE, OTHER)
    index = keys(storage, "indexes/")[0]
    storage.kept[index] = Kept(data, 0.0)
    with opened_store(storage) as store, closing(Places(tmp_path / "cache")) as places:
        store.places = places
        store.refresh()
        assert index in caplog.text
        assert store.reader().get(one, DATA) == ONE
        assert store.reader().get(other, DATA) == OTHER
        # It is no fault of the cache.
        assert (tmp_path / "cache").exists()


@TOLD
def test_index_whose_author_lied_changes_nothing(storage: MemoryObjects) -> None:
    (one,) = stored(storage, ONE)
    (index,) = keys(storage, "indexes/")
    with opened_store(storage) as store:
        storage.delete([index])
        store.vault.put_new(ObjectKind.INDEX, index, b"x" * 57)
    with opened_store(storage) as store:
        store.refresh()
        assert store.reader().get(one, DATA) == ONE


@TOLD
@pytest.mark.parametrize("length", [0, 50, -1])
def test_pack_that_was_cut_off_is_told_and_its_chunks_are_stored_again(
    storage: MemoryObjects, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Though the client had read the pack before it was cut off."""
    with opened_store(storage) as store:
        digest = put(store, ONE)
        (pack,) = keys(storage, "packs/")
        storage.kept[pack] = Kept(storage.kept[pack].data[:length], 0.0)
        store.refresh()
        assert pack in caplog.text
        assert not store.places.has(digest)
        assert put(store, ONE) == digest
        assert store.reader().get(digest, DATA) == ONE


@TOLD
def test_damaged_marks_are_told_and_the_others_count(
    storage: MemoryObjects, caplog: pytest.LogCaptureFixture
) -> None:
    (one,) = stored(storage, ONE)
    (pack,) = keys(storage, "packs/")
    pack_id = parse_pack_key(pack)
    assert pack_id is not None
    with opened_store(storage) as store:
        store.vault.put_new(ObjectKind.MARKS, MARKS + "1" * 32, b"too short")
        store.vault.put_new(ObjectKind.MARKS, MARKS + "2" * 32, one + pack_id)
        store.refresh()
        assert not store.places.has(one)
        assert MARKS + "1" * 32 in caplog.text
        assert store.places.objects() >= {MARKS + "2" * 32}
        storage.delete(keys(storage, MARKS))
        store.refresh()
        assert not store.places.objects() & {MARKS + "2" * 32}


def test_objects_with_other_names_are_left_alone(storage: MemoryObjects) -> None:
    for key in ("packs/readme", "packs/00/" + "f" * 32, "packs/ff/" + "f" * 30):
        storage.kept[key] = Kept(b"hello", 0.0)
    with opened_store(storage) as store:
        store.refresh()
        assert store.places.packs() == {}


def test_what_goes_while_it_is_read_is_no_damage(storage: MemoryObjects) -> None:
    one, other = stored(storage, ONE, OTHER)
    storage.delete(keys(storage, "indexes/"))

    def remove() -> None:
        storage.delete([keys(storage, "packs/")[0]])

    reads = iter(range(100))

    def effects(point: str) -> None:
        # Behind the header, the slots, the slot, and the three listings.
        if point == "read:after" and next(reads) == 5:
            remove()

    with opened_store(FaultyObjects(storage, effects=effects)) as store:
        store.refresh()
        assert [store.places.has(digest) for digest in (one, other)].count(True) == 1
        assert len(store.places.packs()) == 1


def test_pack_that_goes_is_forgotten_and_one_that_comes_is_read(storage: MemoryObjects) -> None:
    one, other = stored(storage, ONE, OTHER)
    with opened_store(storage) as store:
        store.refresh()
        kept = dict(storage.kept)
        storage.delete(keys(storage, "packs/"))
        store.refresh()
        assert store.places.packs() == {}
        storage.kept = kept
        store.refresh()
        assert store.reader().get(one, DATA) == ONE
        assert store.reader().get(other, DATA) == OTHER


def test_storage_that_does_not_answer_leaves_the_cache_as_far_as_it_came(
    storage: MemoryObjects,
) -> None:
    one, other = stored(storage, ONE, OTHER)
    for number in range(3, 8):
        faulty = FaultyObjects(storage, reads=faults("ok " * number + "busy"))
        with opened_store(faulty) as store:
            with pytest.raises(StorageUnavailableError):
                store.refresh()
            store.refresh()
            assert store.reader().get(one, DATA) == ONE
            assert store.reader().get(other, DATA) == OTHER


def test_cache_shared_by_two_clients_of_which_one_writes(
    storage: MemoryObjects, tmp_path: Path
) -> None:
    """One lists the packs, the other adds one, and the first forgets what it did not see."""
    with (
        opened_store(storage) as writing,
        closing(Places(tmp_path / "cache")) as first,
        closing(Places(tmp_path / "cache")) as second,
    ):
        writing.places = first
        digests: list[bytes] = []
        effects = once("read:after", lambda: digests.append(put(writing, ONE)))
        with opened_store(storage) as listing:
            listing.places = second
            listing.vault = type(listing.vault)(
                FaultyObjects(storage, effects=effects), listing.vault.sealer
            )
            listing.refresh()
        assert writing.reader().get(digests[0], DATA) == ONE
        writing.refresh()
        assert writing.places.has(digests[0])
