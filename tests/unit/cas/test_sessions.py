import os
from dataclasses import replace
from types import MappingProxyType

import pytest

from csi_zfs.cas.api import (
    BlobKind,
    ManifestKind,
    ManifestNotFoundError,
    Root,
    SessionFencedError,
    StorageUnavailableError,
)
from csi_zfs.cas.epochs import advance, read_epoch
from csi_zfs.cas.records import SESSIONS, Phase, SessionState
from csi_zfs.cas.sessions import LEASE_S, fence, is_lapsed, list_sessions, read_session
from csi_zfs.domain.errors import InvalidRequestError
from tests.support.clock import FakeClock
from tests.support.faulty_objects import FaultyObjects, faults
from tests.support.memory_objects import MemoryObjects
from tests.support.points import once, raising
from tests.support.stores import CHUNK_BYTES, new_store, opened_store, put_image

ONE = os.urandom(CHUNK_BYTES)


def root_of(digest: bytes, **labels: str) -> Root:
    return Root(
        kind=ManifestKind.IMAGE,
        size_bytes=CHUNK_BYTES,
        tree_digest=digest,
        chunk_bytes=CHUNK_BYTES,
        depth=1,
        labels=labels,
    )


@pytest.mark.parametrize("answer", ["busy", "lost"])
def test_commit_whose_journal_gave_no_answer_is_there_or_not_and_the_store_is_whole(
    answer: str,
) -> None:
    """I16.  The manifest is not taken back: the journal may know it already."""
    storage = MemoryObjects()
    with new_store(storage):
        pass
    # The session, two packs, the index and the manifest come first.
    faulty = FaultyObjects(storage, writes=faults("ok ok ok ok ok " + answer))
    with opened_store(faulty) as store, pytest.raises(StorageUnavailableError):
        put_image(store, [ONE])
    assert any(key.startswith("journal/") for key in storage.kept) == (answer == "lost")
    with opened_store(storage) as store:
        (manifest,) = store.manifests()
        assert store.manifest(manifest.manifest_id) == manifest


def test_commit_without_an_answer_can_be_repeated() -> None:
    storage = MemoryObjects()
    with new_store(storage):
        pass
    for number in range(3, 6):
        faulty = FaultyObjects(storage, writes=faults("ok " * number + "lost"))
        with opened_store(faulty) as store, store.session() as session:
            session.put(ONE + bytes([number]), BlobKind.DATA)
            digest = session.put(b"node %d" % number, BlobKind.TREE)
            root = root_of(digest)
            with pytest.raises(StorageUnavailableError):
                session.commit(root)
            manifest = session.commit(root)
            assert manifest.manifest_id in {one.manifest_id for one in store.manifests()}
    with opened_store(storage) as store:
        assert len(store.manifests()) == 3


def test_fenced_session_commits_nothing() -> None:
    """I10."""
    storage = MemoryObjects()
    with new_store(storage) as store:
        session = store.begin()
        digest = session.put(ONE, BlobKind.TREE)
        record, tag = read_session(store.vault, session.session_id)
        assert fence(store.vault, session.session_id, record, tag)
        open_again = replace(record, beat_ns=record.beat_ns + 1)
        assert not fence(store.vault, session.session_id, open_again, "another tag")
        with pytest.raises(SessionFencedError, match="begin again"):
            session.commit(root_of(digest))
        session.abandon()
        assert store.manifests() == []
        with pytest.raises(ManifestNotFoundError):
            store.manifest(session.session_id)
        again = put_image(store, [ONE])
        assert store.manifests() == [again]


def test_fenced_session_hears_of_it_at_a_put() -> None:
    clock = FakeClock()
    with new_store(MemoryObjects(), clock=clock) as store, store.session() as session:
        record, tag = read_session(store.vault, session.session_id)
        clock.advance(LEASE_S + 1)
        assert is_lapsed(record, clock.now_ns())
        assert fence(store.vault, session.session_id, record, tag)
        with pytest.raises(SessionFencedError):
            session.put(ONE, BlobKind.DATA)


def test_session_that_finds_everything_in_the_store_gives_signs_of_life() -> None:
    """It uploads no pack for hours, and must not be taken for dead."""
    clock = FakeClock()
    with new_store(MemoryObjects(), clock=clock) as store:
        put_image(store, [ONE])
        with store.session() as session:
            for _ in range(10):
                clock.advance(LEASE_S / 2)
                session.put(ONE, BlobKind.DATA)
                record, _ = read_session(store.vault, session.session_id)
                assert not is_lapsed(record, clock.now_ns())


def test_session_that_began_while_the_epoch_changed_begins_again() -> None:
    storage = MemoryObjects()
    with new_store(storage) as plain:
        vault = plain.vault
    condemned = frozenset([os.urandom(16)])

    def condemn() -> None:
        advance(vault, read_epoch(vault), Phase.CONDEMNED, condemned)

    faulty = FaultyObjects(storage, effects=once("put_new:after", condemn))
    with opened_store(faulty) as store, store.session() as session:
        ((session_id, record, _),) = list_sessions(vault)
        assert (session_id, record.epoch) == (session.session_id, 1)


@pytest.mark.parametrize("reads", ["ok " * 5 + "busy", "ok " * 6 + "busy"])
def test_session_whose_begin_fails_later_is_taken_back(reads: str) -> None:
    """Behind header, slot, journal and epoch: the epoch again, and the listing of the packs."""
    storage = MemoryObjects()
    with new_store(storage):
        pass
    faulty = FaultyObjects(storage, reads=faults(reads))
    with opened_store(faulty) as store, pytest.raises(StorageUnavailableError):
        store.begin()
    assert not [key for key in storage.kept if key.startswith(SESSIONS)]


def test_kept_session_leaves_its_chunks_and_no_manifest() -> None:
    storage = MemoryObjects()
    with new_store(storage) as store:
        with store.session() as session:
            digest = session.put(ONE, BlobKind.DATA)
            session.keep()
        assert list(list_sessions(store.vault)) == []
        assert store.reader().get(digest, BlobKind.DATA) == ONE
        assert session.written.new_chunks == 1


def test_abandoned_session_is_gone() -> None:
    storage = MemoryObjects()
    with new_store(storage) as store:
        session = store.begin()
        session.put(ONE, BlobKind.DATA)
        session.abandon()
        assert not [key for key in storage.kept if key.startswith(SESSIONS)]


def test_session_that_goes_while_they_are_listed_is_left_out() -> None:
    storage = MemoryObjects()
    with new_store(storage) as plain:
        first, second = put_image(plain, [ONE]), put_image(plain, [ONE])

    def remove() -> None:
        storage.delete([SESSIONS + max(first.manifest_id, second.manifest_id)])

    faulty = FaultyObjects(storage)
    with opened_store(faulty) as store:
        faulty = FaultyObjects(storage, effects=once("read:after", remove))
        found = [one for one, _, _ in list_sessions(type(store.vault)(faulty, store.vault.sealer))]
        assert found == [min(first.manifest_id, second.manifest_id)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": {"note": "x" * (1 << 20)}},
        {"labels": {"number": 5}},
        {"labels": {5: "a number"}},
        {"size_bytes": -1},
        {"size_bytes": 1 << 63},
        {"tree_digest": b"short"},
        {"zfs_createtxg": -1},
    ],
    ids=lambda it: next(iter(it)),
)
def test_root_that_could_not_be_read_again_is_not_committed(wrong: dict[str, object]) -> None:
    """One such manifest would keep the whole store from being listed and collected."""
    fields = {"kind": ManifestKind.IMAGE, "size_bytes": 0, "tree_digest": bytes(32)} | wrong
    with new_store(MemoryObjects()) as store:
        with pytest.raises(InvalidRequestError), store.session() as session:
            session.commit(Root(**fields))  # type: ignore[arg-type]
        assert store.manifests() == []


def test_labels_may_be_any_mapping() -> None:
    with new_store(MemoryObjects()) as store, store.session() as session:
        root = Root(
            kind=ManifestKind.IMAGE,
            size_bytes=0,
            tree_digest=bytes(32),
            chunk_bytes=CHUNK_BYTES,
            labels=MappingProxyType({"of": "\udc80 ü"}),
        )
        manifest = session.commit(root)
        (found,) = store.manifests()
        assert found.manifest_id == manifest.manifest_id
        assert dict(found.root.labels) == {"of": "\udc80 ü"}


def test_domain_has_a_name() -> None:
    with new_store(MemoryObjects()) as store:
        for name in ("", "x" * 65, "a\nb"):
            with pytest.raises(InvalidRequestError):
                store.begin(name)


def test_error_in_the_middle_of_a_session_abandons_it() -> None:
    storage = MemoryObjects()
    with new_store(storage):
        pass
    dying = FaultyObjects(storage, effects=once("put:before", raising(MemoryError())))
    with opened_store(dying) as store, pytest.raises(MemoryError):
        put_image(store, [ONE])
    states = {SessionState.OPEN, SessionState.ABORTED}
    with opened_store(storage) as store:
        assert not [one for one in list_sessions(store.vault) if one[1].state in states]
        assert store.manifests() == []
