"""The rules of the collector, one by one; all interleavings of a model: test_collection_model."""

import os
from collections.abc import Iterator

import pytest

from csi_zfs.cas import sessions
from csi_zfs.cas.api import (
    BlobKind,
    ChunkNotFoundError,
    CollectionFailedError,
    Manifest,
    ObjectChangedError,
    SessionFencedError,
)
from csi_zfs.cas.collection import Collection, Options, Report
from csi_zfs.cas.epochs import advance, read_epoch
from csi_zfs.cas.image_tree import ImageTreeReader, image_tree_of
from csi_zfs.cas.packs import parse_pack_key
from csi_zfs.cas.records import Phase
from csi_zfs.cas.sealing import ObjectKind
from csi_zfs.cas.store import Store
from tests.support.clock import FakeClock
from tests.support.memory_objects import MemoryObjects
from tests.support.stores import CHUNK_BYTES, new_store, opened_store, put_image

NOTHING_MORE = Report()


@pytest.fixture(name="storage")
def fixture_storage() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture(name="clock")
def fixture_clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(name="store")
def fixture_store(storage: MemoryObjects, clock: FakeClock) -> Iterator[Store]:
    with new_store(storage, clock=clock) as store:
        yield store


def chunks(count: int) -> list[bytes]:
    return [os.urandom(CHUNK_BYTES) for _ in range(count)]


def collect(store: Store, *, live_share: float = 0.0, patience_s: float = 0.0) -> Report:
    options = Options(live_share=live_share, patience_s=patience_s)
    return Collection(store, options, lambda _words: None).run()


def packs(storage: MemoryObjects) -> list[str]:
    return [key for key in sorted(storage.kept) if key.startswith("packs/")]


def content(store: Store, manifest: Manifest) -> list[bytes]:
    source = store.reader(manifest.domain)
    tree = ImageTreeReader(source, image_tree_of(manifest.root))
    return [source.get(digest, BlobKind.DATA) for _, digest in tree.chunks()]


def test_what_no_manifest_needs_goes_and_all_else_stays(
    storage: MemoryObjects, store: Store
) -> None:
    """I9."""
    one, other = chunks(3), chunks(3)
    gone, kept = put_image(store, one), put_image(store, other)
    before = packs(storage)
    store.delete(gone.manifest_id)

    report = collect(store)

    assert report.deleted_packs == len(before) - len(packs(storage)) == 2
    assert report.deleted_bytes > 3 * CHUNK_BYTES
    assert content(store, kept) == other
    assert collect(store) == NOTHING_MORE
    assert read_epoch(store.vault).epoch.phase is Phase.IDLE
    with opened_store(storage) as other_client:
        other_client.refresh()
        assert content(other_client, kept) == other


def test_quiet_store_is_empty_at_the_end(storage: MemoryObjects, store: Store) -> None:
    """I9."""
    manifests = [put_image(store, chunks(2)) for _ in range(3)]
    for manifest in manifests:
        store.delete(manifest.manifest_id)
    collect(store)
    assert packs(storage) == []
    assert not [key for key in storage.kept if key.startswith(("indexes/", "sessions/"))]


def test_chunk_of_two_manifests_stays_until_the_second_goes(store: Store) -> None:
    """I14."""
    data = chunks(2)
    first, second = put_image(store, data), put_image(store, data)
    store.delete(first.manifest_id)
    assert collect(store) == NOTHING_MORE
    assert content(store, second) == data


def test_mostly_dead_pack_is_repacked(storage: MemoryObjects, store: Store) -> None:
    data = chunks(10)
    gone, kept = put_image(store, data), put_image(store, data[4:6])
    store.delete(gone.manifest_id)
    size = sum(len(storage.kept[key].data) for key in packs(storage))

    report = collect(store, live_share=0.5)

    assert report.repacked_packs == 1
    assert sum(len(storage.kept[key].data) for key in packs(storage)) < size / 3
    assert content(store, kept) == data[4:6]
    with opened_store(storage) as other_client:
        other_client.refresh()
        assert content(other_client, kept) == data[4:6]
    assert collect(store, live_share=0.5) == NOTHING_MORE


def test_writer_that_is_under_way_keeps_what_it_found(store: Store) -> None:
    """What it deduplicated against is condemned; the collection waits for it, and spares that."""
    data = chunks(2)
    store.delete(put_image(store, data).manifest_id)
    session = store.begin()
    for chunk in data:
        session.put(chunk, BlobKind.DATA)
    assert session.written.new_chunks == 0

    report = collect(store)
    assert report.waits_for == [session.session_id]
    assert report.deleted_packs == 0
    session.abandon()

    manifest = put_image(store, data)
    assert collect(store).deleted_packs == 2
    assert content(store, manifest) == data


def test_writer_that_commits_while_the_collection_waits_loses_nothing(
    storage: MemoryObjects, clock: FakeClock, store: Store
) -> None:
    data = chunks(2)
    store.delete(put_image(store, data).manifest_id)
    with opened_store(storage, clock=clock) as writer:
        session = writer.begin()
        assert collect(store).waits_for == [session.session_id]
        for chunk in data:
            session.put(chunk, BlobKind.DATA)
        assert session.written.new_chunks == 0
        session.abandon()
        manifest = put_image(writer, data)
    collect(store)
    assert content(store, manifest) == data


def test_writer_that_begins_behind_the_condemnation_does_without(
    storage: MemoryObjects, store: Store
) -> None:
    data = chunks(2)
    store.delete(put_image(store, data).manifest_id)
    pack_ids = frozenset(pack for key in packs(storage) if (pack := parse_pack_key(key)))
    advance(store.vault, read_epoch(store.vault), Phase.CONDEMNED, pack_ids)

    with opened_store(storage) as writer:
        manifest = put_image(writer, data)

    assert collect(store).deleted_packs == len(pack_ids)
    assert content(store, manifest) == data


def test_dead_writer_is_fenced_and_cannot_commit(
    storage: MemoryObjects, clock: FakeClock, store: Store
) -> None:
    """I10."""
    data = chunks(2)
    gone = put_image(store, data)
    session = store.begin()
    digest = session.put(data[0], BlobKind.DATA)
    store.delete(gone.manifest_id)
    clock.advance(sessions.LEASE_S + 1)

    report = collect(store)

    assert (report.fenced_sessions, report.deleted_packs) == (1, 2)
    with pytest.raises(SessionFencedError):
        session.commit(gone.root)
    assert store.manifests() == []
    with pytest.raises(ChunkNotFoundError):
        store.reader().get(digest, BlobKind.DATA)
    assert packs(storage) == []


def test_collection_waits_as_long_as_it_is_told(clock: FakeClock, store: Store) -> None:
    store.delete(put_image(store, chunks(1)).manifest_id)
    session = store.begin()
    report = collect(store, patience_s=sessions.LEASE_S * 2)
    assert (report.fenced_sessions, report.deleted_packs) == (1, 2)
    assert clock.monotonic_s() > sessions.LEASE_S
    with pytest.raises(SessionFencedError):
        session.commit(put_image(store, chunks(1)).root)


@pytest.mark.parametrize("phase", [Phase.CONDEMNED, Phase.DOOMED])
def test_next_collector_finishes_what_was_left(
    storage: MemoryObjects, store: Store, phase: Phase
) -> None:
    gone, kept = put_image(store, chunks(2)), put_image(store, data := chunks(2))
    dead = packs(storage)
    store.delete(gone.manifest_id)
    session_packs = {key for key in dead if key not in _packs_of(storage, store, kept)}
    ids = frozenset(pack for key in session_packs if (pack := parse_pack_key(key)))
    advance(store.vault, read_epoch(store.vault), phase, ids)
    assert collect(store).deleted_packs == 2
    assert content(store, kept) == data


def _packs_of(storage: MemoryObjects, store: Store, manifest: Manifest) -> set[str]:
    named = store.vault.get(*_index(manifest))[0]
    return {key for key in packs(storage) if bytes.fromhex(key[-32:]) in named}


def _index(manifest: Manifest) -> tuple[ObjectKind, str]:
    return ObjectKind.INDEX, f"indexes/{manifest.manifest_id}"


def test_node_that_cannot_be_read_ends_the_collection(storage: MemoryObjects, store: Store) -> None:
    gone, kept = put_image(store, chunks(2)), put_image(store, chunks(2))
    store.delete(gone.manifest_id)
    for key in _packs_of(storage, store, kept):
        data = bytearray(storage.kept[key].data)
        data[120] ^= 1
        storage.kept[key].data = bytes(data)
    before = packs(storage)
    with pytest.raises(CollectionFailedError, match=kept.manifest_id):
        collect(store)
    assert packs(storage) == before


def test_manifest_that_somebody_removed_ends_the_collection(
    storage: MemoryObjects, store: Store
) -> None:
    manifest = put_image(store, chunks(2))
    del storage.kept[f"sessions/{manifest.manifest_id}"]
    before = packs(storage)
    with pytest.raises(CollectionFailedError, match=manifest.manifest_id):
        collect(store)
    assert packs(storage) == before


def test_second_collector_that_was_slower_stops(storage: MemoryObjects, store: Store) -> None:
    manifest = put_image(store, chunks(2))
    store.delete(manifest.manifest_id)
    with opened_store(storage) as slow:
        read = read_epoch(slow.vault)
        collect(store)
        with pytest.raises(ObjectChangedError):
            advance(slow.vault, read, Phase.CONDEMNED, frozenset())


def test_many_indexes_become_few(storage: MemoryObjects, store: Store) -> None:
    manifests = [put_image(store, chunks(1)) for _ in range(20)]
    store.delete(manifests.pop().manifest_id)
    collect(store)
    assert len([key for key in storage.kept if key.startswith("indexes/")]) == 1
    with opened_store(storage) as other_client:
        other_client.refresh()
        assert all(len(content(other_client, manifest)) == 1 for manifest in manifests)
