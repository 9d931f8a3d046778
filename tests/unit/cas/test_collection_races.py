"""Collectors, writers and a shared cache at the worst moments."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from csi_zfs.cas import collection, indexing
from csi_zfs.cas.api import (
    BlobKind,
    Manifest,
    ManifestKind,
    ManifestNotFoundError,
    ObjectChangedError,
    Root,
)
from csi_zfs.cas.collection import Collection, Options, Report
from csi_zfs.cas.epochs import advance, read_epoch
from csi_zfs.cas.image_tree import ImageTreeReader, image_tree_of
from csi_zfs.cas.image_writer import ImageTreeWriter
from csi_zfs.cas.indexes import INDEXES, parse_index
from csi_zfs.cas.indexing import compact_indexes
from csi_zfs.cas.packs import BLOB_HEADER_BYTES, pack_key, parse_pack_key
from csi_zfs.cas.places import Places
from csi_zfs.cas.records import SESSIONS, Phase
from csi_zfs.cas.sealing import ObjectKind
from csi_zfs.cas.sessions import Session, list_sessions
from csi_zfs.cas.store import Store, Surroundings, unlocked
from csi_zfs.cas.vault import Vault
from tests.support.clock import FakeClock
from tests.support.faulty_objects import FaultyObjects
from tests.support.memory_objects import MemoryObjects
from tests.support.points import once
from tests.support.stores import (
    CHUNK_BYTES,
    CREDENTIAL,
    MemoryHead,
    new_store,
    opened_store,
    put_image,
)


@pytest.fixture(name="storage")
def fixture_storage() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture(name="store")
def fixture_store(storage: MemoryObjects) -> Iterator[Store]:
    with new_store(storage) as store:
        yield store


def chunks(count: int) -> list[bytes]:
    return [os.urandom(CHUNK_BYTES) for _ in range(count)]


def collect(store: Store, *, live_share: float = 0.0) -> Report:
    return Collection(store, Options(live_share=live_share), lambda _words: None).run()


def content(storage: MemoryObjects, manifest: Manifest) -> list[bytes]:
    with opened_store(storage) as store:
        store.refresh()
        source = store.reader(manifest.domain)
        tree = ImageTreeReader(source, image_tree_of(manifest.root))
        return [source.get(digest, BlobKind.DATA) for _, digest in tree.chunks()]


def pack_ids(storage: MemoryObjects) -> frozenset[bytes]:
    return frozenset(pack for key in storage.kept if (pack := parse_pack_key(key)))


@contextmanager
def client(storage: MemoryObjects | FaultyObjects, places: Places) -> Iterator[Store]:
    header, store_key = unlocked(storage, CREDENTIAL)
    store = Store(storage, header, store_key, Surroundings(places, MemoryHead(), FakeClock()))
    try:
        yield store
    finally:
        store.executor.shutdown()


@pytest.mark.parametrize("when", range(1, 10))
def test_older_listing_of_another_client_of_the_cache_is_not_trusted(
    storage: MemoryObjects, store: Store, when: int
) -> None:
    """It brings back into the cache what was deleted since, even behind the begin of a session."""
    data = chunks(2)
    store.delete(put_image(store, data).manifest_id)
    places, reads = Places(None), [0]
    sessions: list[Session] = []

    def effects(point: str) -> None:
        reads[0] += point == "read:after"
        if (point, reads[0]) == ("read:after", when) and not sessions:
            collect(store)
            sessions.append(writer.begin())

    faulty = FaultyObjects(storage)
    with client(storage, places) as writer, client(faulty, places) as other:
        faulty._effects = effects
        other.refresh()
        session = sessions[0] if sessions else writer.begin()
        for chunk in data:
            session.put(chunk, BlobKind.DATA)
        # What is not there cannot be found.
        assert session.written.new_chunks == (2 if sessions else 0)
        session.abandon()
    places.close()


def committed(session: Session, data: list[bytes]) -> Manifest:
    writer = ImageTreeWriter(session, len(data))
    for index, chunk in enumerate(data):
        writer.put(index, session.put(chunk, BlobKind.DATA))
    tree = writer.finish()
    return session.commit(
        Root(
            kind=ManifestKind.IMAGE,
            size_bytes=len(data) * CHUNK_BYTES,
            tree_digest=tree.digest,
            chunk_bytes=CHUNK_BYTES,
            depth=tree.depth,
        )
    )


def test_clone_of_what_goes_while_packs_are_condemned_is_whole(
    storage: MemoryObjects, store: Store
) -> None:
    """The manifest needs what is condemned; the collector has to wait for the clone of it too."""
    data = chunks(2)
    store.delete(put_image(store, data).manifest_id)
    older = store.begin()
    advance(store.vault, read_epoch(store.vault), Phase.CONDEMNED, pack_ids(storage))
    source = committed(older, data)
    assert older.written.new_chunks == 0
    with store.session(base_id=source.manifest_id) as session:
        store.delete(source.manifest_id)
        assert collect(store).waits_for == [session.session_id]
        clone = session.commit(source.root)
    assert collect(store).deleted_packs == 0
    assert content(storage, clone) == data
    with pytest.raises(ManifestNotFoundError):
        store.begin(base_id=source.manifest_id)


def test_collection_goes_on_when_a_clone_begins_just_before_its_doom(
    storage: MemoryObjects, store: Store
) -> None:
    kept, gone = put_image(store, chunks(2)), put_image(store, chunks(2))
    store.delete(gone.manifest_id)
    clones: list[Manifest] = []

    def effects(point: str) -> None:
        if point == "replace:before" and read_epoch(store.vault).epoch.phase is Phase.CONDEMNED:
            clones[:] = clones or [store.clone(kept.manifest_id, {})]

    with opened_store(FaultyObjects(storage, effects=effects)) as collecting:
        assert collect(collecting).deleted_packs == 2
    assert len(clones) == 1
    assert len(content(storage, clones[0])) == 2
    assert read_epoch(store.vault).epoch.phase is Phase.IDLE


def test_doomed_set_of_a_faster_collector_is_not_replaced(
    storage: MemoryObjects, store: Store
) -> None:
    """A writer that did not know what is doomed would take packs for there that go."""
    for _ in range(2):
        store.delete(put_image(store, chunks(1)).manifest_id)
    read = read_epoch(store.vault)
    advance(store.vault, read, Phase.DOOMED, frozenset([min(pack_ids(storage))]))
    doomed = frozenset([os.urandom(16)])

    def effects(point: str) -> None:
        read = read_epoch(store.vault)
        if point.endswith(":after") and read.epoch.phase is Phase.IDLE:
            advance(store.vault, read, Phase.DOOMED, doomed)

    faulty = FaultyObjects(storage, effects=effects)
    with opened_store(faulty) as collecting, pytest.raises(ObjectChangedError):
        collect(collecting)
    assert read_epoch(store.vault).epoch.packs == doomed


def test_manifest_that_is_committed_while_the_roots_are_listed_is_no_alarm(
    storage: MemoryObjects, store: Store
) -> None:
    store.delete(put_image(store, chunks(1)).manifest_id)
    data = chunks(1)
    for when in range(1, 12):
        before, reads = store.manifests(), [0]
        found: list[Manifest] = []

        def effects(
            point: str, when: int = when, reads: list[int] = reads, found: list[Manifest] = found
        ) -> None:
            reads[0] += point == "read:after"
            if (point, reads[0]) == ("read:after", when) and not found:
                found.append(put_image(store, [*data, os.urandom(CHUNK_BYTES)]))

        faulty = FaultyObjects(storage)
        with opened_store(faulty) as collecting:
            faulty._effects = effects
            collect(collecting)
        assert len(store.manifests()) == len(before) + 1


def test_collector_without_a_cache_keeps_the_indexes(storage: MemoryObjects, store: Store) -> None:
    kept, gone = put_image(store, chunks(2)), put_image(store, chunks(2))
    before = pack_ids(storage)
    store.delete(gone.manifest_id)
    dead = frozenset(pack for pack in before if pack in store.vault.get(*index_of(gone))[0])
    advance(store.vault, read_epoch(store.vault), Phase.DOOMED, dead)
    with opened_store(storage) as fresh:
        collect(fresh)
    (index,) = [key for key in storage.kept if key.startswith(INDEXES)]
    named = {one.pack_id for one in parse_index(index, store.vault.get(ObjectKind.INDEX, index)[0])}
    assert named == pack_ids(storage) == before - dead
    assert len(content(storage, kept)) == 2


def index_of(manifest: Manifest) -> tuple[ObjectKind, str]:
    return ObjectKind.INDEX, INDEXES + manifest.manifest_id


def test_index_that_another_collector_removed_is_passed_over(
    storage: MemoryObjects, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = put_image(store, chunks(1))
    monkeypatch.setattr(indexing, "_MANY", 0)
    key = INDEXES + manifest.manifest_id

    def remove() -> None:
        storage.delete([key])

    # The first read lists the indexes.
    faulty = FaultyObjects(storage, effects=once("read:after", remove))
    compact_indexes(Vault(faulty, store.vault.sealer), store.places)
    assert not [key for key in storage.kept if key.startswith(INDEXES)]
    assert len(content(storage, manifest)) == 1


def test_damaged_chunk_of_a_pack_that_is_repacked_stays_and_is_marked(
    storage: MemoryObjects, store: Store
) -> None:
    """Its pack goes nowhere, and all the rest is collected."""
    data = chunks(10)
    gone, kept = put_image(store, data), put_image(store, data[4:6])
    store.delete(gone.manifest_id)
    digest = next(ImageTreeReader(store.reader(), image_tree_of(kept.root)).chunks())[1]
    (place,) = store.places.find(digest)
    key = pack_key(place.pack_id)
    damaged = bytearray(storage.kept[key].data)
    damaged[place.entry.offset + BLOB_HEADER_BYTES] ^= 1
    storage.kept[key].data = bytes(damaged)

    report = collect(store, live_share=0.5)

    assert report.repacked_packs == 1
    assert key in storage.kept
    assert store.places.find(digest) == []
    healed = put_image(store, data[4:6])
    assert collect(store, live_share=0.5).deleted_packs >= 1
    assert key not in storage.kept
    assert content(storage, kept) == content(storage, healed) == data[4:6]


def test_more_packs_than_an_epoch_names_go_in_several_cycles(
    storage: MemoryObjects, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "_MOST_PACKS", 2)
    for _ in range(3):
        store.delete(put_image(store, chunks(1)).manifest_id)
    assert collect(store).deleted_packs == 6
    assert not pack_ids(storage)


def test_session_that_begins_again_has_another_name(storage: MemoryObjects, store: Store) -> None:
    """A collector that fenced the first one may come late to remove it, behind the commit."""
    names: list[str] = []

    def condemn() -> None:
        names.extend(session_id for session_id, _, _ in list_sessions(store.vault))
        advance(store.vault, read_epoch(store.vault), Phase.CONDEMNED, frozenset())

    faulty = FaultyObjects(storage, effects=once("put_new:after", condemn))
    with opened_store(faulty) as writer:
        manifest = put_image(writer, data := chunks(1))
    (first,) = names
    storage.delete([SESSIONS + first])
    assert content(storage, manifest) == data


def test_manifest_that_is_deleted_while_it_is_looked_for_is_not_found(
    storage: MemoryObjects, store: Store
) -> None:
    """And not told as taken by somebody."""
    manifest = put_image(store, chunks(1))

    def delete() -> None:
        store.delete(manifest.manifest_id)

    # The journal is listed and its one entry is read before that.
    reads: list[str] = []

    def effects(point: str) -> None:
        reads.append(point)
        if reads.count("read:after") == 2 and point == "read:after":
            delete()

    faulty = FaultyObjects(storage)
    with opened_store(faulty) as looking:
        faulty._effects = effects
        with pytest.raises(ManifestNotFoundError):
            looking.manifest(manifest.manifest_id)
