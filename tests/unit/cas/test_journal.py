"""The chain of commits and deletes, and the manifests that it vouches for."""

import os
from collections.abc import Callable

import pytest

from csi_zfs.cas import documents
from csi_zfs.cas.api import (
    BlobKind,
    ManifestNotFoundError,
    ObjectInfo,
    StorageUnavailableError,
    StoreCorruptError,
)
from csi_zfs.cas.journal import JOURNAL, Head
from csi_zfs.cas.records import SESSIONS
from csi_zfs.cas.sealing import ObjectKind
from csi_zfs.cas.store import Store
from csi_zfs.domain.errors import InvalidRequestError
from tests.support.faulty_objects import FaultyObjects, faults
from tests.support.memory_objects import Kept, MemoryObjects
from tests.support.points import once
from tests.support.stores import CHUNK_BYTES, MemoryHead, new_store, opened_store, put_image

ONE, OTHER = (os.urandom(CHUNK_BYTES) for _ in range(2))


def entry(number: int) -> str:
    return f"{JOURNAL}{number:016d}"


def with_manifests(count: int) -> tuple[MemoryObjects, list[str]]:
    storage = MemoryObjects()
    with new_store(storage) as store:
        return storage, [put_image(store, [ONE]).manifest_id for _ in range(count)]


def every_look(store: Store, manifest_id: str) -> list[Callable[[], object]]:
    return [store.manifests, lambda: store.manifest(manifest_id), lambda: store.delete("0" * 32)]


@pytest.mark.parametrize("number", [1, 2])
def test_missing_entry_is_told(number: int) -> None:
    storage, ids = with_manifests(3)
    del storage.kept[entry(number)]
    with opened_store(storage) as store:
        for look in every_look(store, ids[0]):
            with pytest.raises(StoreCorruptError, match=f"{entry(number)} is missing"):
                look()


def test_last_entries_that_are_gone_are_told_to_whom_has_seen_them() -> None:
    storage, ids = with_manifests(3)
    memory = MemoryHead()
    with opened_store(storage, memory=memory) as store:
        assert len(store.manifests()) == 3
    assert memory.head.number == 3
    del storage.kept[entry(3)]
    with opened_store(storage, memory=memory) as store:
        for look in every_look(store, ids[0]):
            with pytest.raises(StoreCorruptError, match="older than it was"):
                look()
    assert memory.head.number == 3


def test_older_copy_of_the_whole_store_is_told_to_whom_has_seen_more() -> None:
    storage, _ = with_manifests(1)
    copy = dict(storage.kept)
    memory = MemoryHead()
    with opened_store(storage, memory=memory) as store:
        put_image(store, [OTHER])
    storage.kept = dict(copy)
    with opened_store(storage, memory=memory) as store:
        with pytest.raises(StoreCorruptError, match="older than it was"):
            store.manifests()
        with pytest.raises(StoreCorruptError, match="older than it was"):
            put_image(store, [ONE])
    # Who has seen nothing cannot know; the documentation says so.
    with opened_store(storage) as store:
        assert len(store.manifests()) == 1


def test_older_copy_that_went_on_another_way_is_told() -> None:
    storage, _ = with_manifests(1)
    copy = dict(storage.kept)
    memory = MemoryHead()
    with opened_store(storage, memory=memory) as store:
        put_image(store, [OTHER])
    storage.kept = dict(copy)
    with opened_store(storage) as other:
        put_image(other, [ONE, ONE])
        put_image(other, [ONE, OTHER])
    with (
        opened_store(storage, memory=memory) as store,
        pytest.raises(StoreCorruptError, match="another one than was seen before"),
    ):
        store.manifests()


def test_chains_of_two_histories_do_not_join() -> None:
    storage, _ = with_manifests(1)
    copy = dict(storage.kept)
    with opened_store(storage) as store:
        put_image(store, [OTHER])
        put_image(store, [OTHER])
    third = storage.kept[entry(3)]
    storage.kept = dict(copy)
    with opened_store(storage) as store:
        put_image(store, [ONE, ONE])
        storage.kept[entry(3)] = third
        with pytest.raises(StoreCorruptError, match="does not follow"):
            store.manifests()


@pytest.mark.parametrize("name", ["1", "x" * 16, "0000000000000001x", "\u0660" * 16])
def test_strange_name_in_the_journal_is_told(name: str) -> None:
    storage, _ = with_manifests(1)
    storage.kept[JOURNAL + name] = Kept(b"", 0.0)
    with opened_store(storage) as store, pytest.raises(StoreCorruptError, match="no name"):
        store.manifests()


def test_entry_of_a_strange_action_is_told() -> None:
    storage, _ = with_manifests(1)
    with opened_store(storage) as store:
        journal = store.journal()
        journal.refresh()
        fields = {
            "action": "rename",
            "manifest_id": "0" * 32,
            "root_digest": "",
            "previous": journal.head.digest,
        }
        store.vault.put_new(ObjectKind.JOURNAL, entry(2), documents.encode(fields))
        with pytest.raises(StoreCorruptError, match="its action"):
            store.manifests()


def test_listing_that_misses_an_entry_of_this_moment_is_no_damage() -> None:
    """Somebody wrote two entries while the directory was read: the second alone was seen."""
    storage, _ = with_manifests(2)

    class Hasty(MemoryObjects):
        def list(self, prefix: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
            found: list[ObjectInfo] = list(super().list(prefix))
            return iter([one for one in found if one.key != entry(1)])

    hasty = Hasty()
    hasty.kept = storage.kept
    with opened_store(hasty) as store:
        assert len(store.manifests()) == 2


def test_two_clients_commit_at_once_one_behind_the_other() -> None:
    storage, _ = with_manifests(1)
    with opened_store(storage) as other:
        effects = once("replace:after", lambda: put_image(other, [OTHER]))
        with opened_store(FaultyObjects(storage, effects=effects)) as store:
            put_image(store, [ONE])
        assert len(other.manifests()) == 3
        journal = other.journal()
        journal.refresh()
        assert journal.head.number == 3
        assert len(journal.live) == 3


def test_entry_that_somebody_else_made_first_is_gone_on_behind() -> None:
    storage, _ = with_manifests(1)
    with opened_store(storage) as store:
        slow, fast = store.journal(), store.journal()
        slow.refresh()
        # It lists before the other one writes.
        faulty = FaultyObjects(
            storage, effects=once("put_new:before", lambda: fast.commit("b" * 32, "1"))
        )
        slow.vault = type(slow.vault)(faulty, slow.vault.sealer)
        slow.commit("a" * 32, "2")
        assert slow.head.number == 3
        slow.commit("a" * 32, "2")
        slow.delete("a" * 32)
        slow.delete("a" * 32)
        slow.commit("a" * 32, "2")
        assert slow.head.number == 4
        fast.refresh()
        assert (fast.live, fast.deleted) == (slow.live, slow.deleted)
        assert fast.live.keys() >= {"b" * 32}


def test_head_is_saved_when_there_is_something_new_only() -> None:
    storage, _ = with_manifests(2)
    saved: list[Head] = []

    class Counting(MemoryHead):
        def save(self, head: Head) -> None:
            saved.append(head)
            super().save(head)

    memory = Counting()
    with opened_store(storage, memory=memory) as store:
        store.manifests()
        store.manifests()
    assert [head.number for head in saved] == [2]


def test_session_that_was_removed_is_told_and_can_be_deleted() -> None:
    storage, ids = with_manifests(2)
    del storage.kept[SESSIONS + ids[0]]
    with opened_store(storage) as store:
        for look in (store.manifests, lambda: store.manifest(ids[0])):
            with pytest.raises(StoreCorruptError, match=f"manifest {ids[0]}.*is gone"):
                look()
        assert store.manifest(ids[1]).manifest_id == ids[1]
        store.delete(ids[0])
        assert [one.manifest_id for one in store.manifests()] == [ids[1]]


def test_session_that_is_damaged_is_told_and_can_be_deleted() -> None:
    """Otherwise nobody could ever list or collect the store again."""
    storage, ids = with_manifests(2)
    storage.kept[SESSIONS + ids[0]] = Kept(b"CSIZFS", 0.0)
    with opened_store(storage) as store:
        for look in (store.manifests, lambda: store.manifest(ids[0])):
            with pytest.raises(StoreCorruptError, match=ids[0]):
                look()
        store.delete(ids[0])
        assert [one.manifest_id for one in store.manifests()] == [ids[1]]


def test_deleted_session_that_is_put_back_stays_deleted() -> None:
    storage, ids = with_manifests(2)
    old = storage.kept[SESSIONS + ids[0]]
    with opened_store(storage) as store:
        store.delete(ids[0])
        storage.kept[SESSIONS + ids[0]] = old
        assert [one.manifest_id for one in store.manifests()] == [ids[1]]
        with pytest.raises(ManifestNotFoundError):
            store.manifest(ids[0])
        store.delete(ids[0])
        assert SESSIONS + ids[0] not in storage.kept


def test_swapped_sessions_are_told() -> None:
    storage, ids = with_manifests(2)
    first, second = (SESSIONS + one for one in ids)
    storage.kept[first], storage.kept[second] = storage.kept[second], storage.kept[first]
    with opened_store(storage) as store:
        for look in every_look(store, ids[0])[:2]:
            with pytest.raises(StoreCorruptError, match="not what was written"):
                look()


def test_session_put_back_to_its_open_state_is_told() -> None:
    """I12: neither "not found", nor an answer without the manifest."""
    storage = MemoryObjects()
    states: list[tuple[str, Kept]] = []
    with new_store(storage) as store:
        session = store.begin()
        states.append((SESSIONS + session.session_id, storage.kept[SESSIONS + session.session_id]))
        session.abandon()

    def keep() -> None:
        states[:] = [(key, kept) for key, kept in storage.kept.items() if key.startswith(SESSIONS)]

    effects = once("replace:before", keep)
    with opened_store(FaultyObjects(storage, effects=effects)) as store:
        manifest = put_image(store, [ONE])
    ((key, kept),) = states
    assert key == SESSIONS + manifest.manifest_id
    storage.kept[key] = kept
    with opened_store(storage) as store:
        with pytest.raises(StoreCorruptError, match=manifest.manifest_id):
            store.manifests()
        with pytest.raises(StoreCorruptError, match=manifest.manifest_id):
            store.manifest(manifest.manifest_id)


def test_manifest_of_another_root_than_the_journal_knows_is_told() -> None:
    """By somebody with the key: a session may be replaced, the journal is a chain."""
    storage, ids = with_manifests(1)
    storage.kept = {k: v for k, v in storage.kept.items() if not k.startswith(JOURNAL)}
    with opened_store(storage) as store:
        store.journal().commit(ids[0], "another digest")
        for look in every_look(store, ids[0])[:2]:
            with pytest.raises(StoreCorruptError, match="not the one that was committed"):
                look()


def test_commit_that_its_writer_had_no_time_to_enter_is_entered_by_who_finds_it() -> None:
    for look in range(2):
        storage, _ = with_manifests(0)
        faulty = FaultyObjects(storage, writes=faults("ok ok ok ok ok busy"))
        with opened_store(faulty) as store, pytest.raises(StorageUnavailableError):
            put_image(store, [ONE])
        assert entry(1) not in storage.kept
        (key,) = (key for key in storage.kept if key.startswith(SESSIONS))
        with opened_store(storage) as store:
            every_look(store, key.removeprefix(SESSIONS))[look]()
            assert entry(1) in storage.kept
            journal = store.journal()
            journal.refresh()
            assert list(journal.live) == [key.removeprefix(SESSIONS)]


def test_manifest_that_is_deleted_while_all_are_listed_is_no_damage() -> None:
    storage, ids = with_manifests(3)
    with opened_store(storage) as other:
        reads = iter(range(100))

        def effects(point: str) -> None:
            # Behind the header, slots, slot and the journal's four: the list of the sessions.
            if point == "read:before" and next(reads) == 8:
                other.delete(sorted(ids)[1])

        with opened_store(FaultyObjects(storage, effects=effects)) as store:
            found = {one.manifest_id for one in store.manifests()}
        assert found == set(ids) - {sorted(ids)[1]}


def test_id_that_is_none_names_no_manifest() -> None:
    storage, _ = with_manifests(1)
    with opened_store(storage) as store:
        for manifest_id in ("", "../store", "A" * 32, "a/b", "x" * 300):
            for look in (store.manifest, store.delete):
                with pytest.raises((ManifestNotFoundError, InvalidRequestError)):
                    look(manifest_id)


def test_clone_whose_source_is_deleted_before_it_looks_is_not_made() -> None:
    storage, ids = with_manifests(1)
    with opened_store(storage) as other:
        source = put_image(other, [OTHER]).manifest_id
        effects = once("put_new:after", lambda: other.delete(source))
        with (
            opened_store(FaultyObjects(storage, effects=effects)) as store,
            pytest.raises(ManifestNotFoundError),
        ):
            store.clone(source, {})
        assert [one.manifest_id for one in other.manifests()] == ids


def test_clone_whose_source_is_deleted_later_is_whole() -> None:
    """I14: its session keeps the chunks from every collection, which is tested with those."""
    storage, ids = with_manifests(1)
    with opened_store(storage) as other:
        source = put_image(other, [OTHER]).manifest_id
        effects = once("replace:before", lambda: other.delete(source))
        with opened_store(FaultyObjects(storage, effects=effects)) as store:
            clone = store.clone(source, {})
            assert store.reader().get(clone.root.tree_digest, BlobKind.TREE)
        assert {one.manifest_id for one in other.manifests()} == {*ids, clone.manifest_id}
