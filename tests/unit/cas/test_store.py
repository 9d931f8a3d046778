import os

import pytest

from csi_zfs.cas.api import (
    BlobKind,
    ManifestNotFoundError,
    StoreExistsError,
    StoreNotFoundError,
    WrongKeyError,
)
from csi_zfs.cas.image_tree import ImageTreeReader, image_tree_of
from csi_zfs.cas.slots import Credential, SlotKind
from csi_zfs.cas.store import make_store, unlocked
from tests.support.clock import FakeClock
from tests.support.memory_objects import MemoryObjects
from tests.support.stores import CHUNK_BYTES, CREDENTIAL, new_store, opened_store, put_image

ONE, OTHER = (os.urandom(CHUNK_BYTES) for _ in range(2))


def test_image_is_read_back_by_another_client() -> None:
    storage = MemoryObjects()
    with new_store(storage) as store:
        manifest = put_image(store, [ONE, b"", OTHER, ONE], name="first")
    with opened_store(storage) as store:
        store.refresh()
        (found,) = store.manifests()
        assert found == manifest == store.manifest(manifest.manifest_id)
        source = store.reader()
        chunks = dict(ImageTreeReader(source, image_tree_of(found.root)).chunks())
        assert sorted(chunks) == [0, 2, 3]
        assert list(source.get_many(list(chunks.values()), BlobKind.DATA)) == [ONE, OTHER, ONE]


def test_same_image_again_adds_no_pack() -> None:
    """I3, I6."""
    storage = MemoryObjects()
    with new_store(storage) as store:
        first = put_image(store, [ONE, OTHER])
        packs = [info.key for info in storage.list("packs/")]
        again = put_image(store, [ONE, OTHER])
        assert [info.key for info in storage.list("packs/")] == packs
        assert again.root == first.root


def test_clone_takes_one_object_and_outlives_its_source() -> None:
    """I14."""
    storage = MemoryObjects()
    with new_store(storage) as store:
        first = put_image(store, [ONE])
        clone = store.clone(first.manifest_id, {"of": "first"})
        assert clone.root.tree_digest == first.root.tree_digest
        assert clone.root.labels == {"of": "first"}
        store.delete(first.manifest_id)
        store.delete(first.manifest_id)
        assert store.manifests() == [clone]
        with pytest.raises(ManifestNotFoundError):
            store.manifest(first.manifest_id)
        with pytest.raises(ManifestNotFoundError):
            store.delete("0" * 32)


def test_store_is_made_once_and_opens_with_its_key_only() -> None:
    storage = MemoryObjects()
    with pytest.raises(StoreNotFoundError):
        unlocked(storage, CREDENTIAL)
    make_store(storage, CREDENTIAL, FakeClock(), chunk_bytes=CHUNK_BYTES)
    before = dict(storage.kept)
    with pytest.raises(StoreExistsError):
        make_store(storage, CREDENTIAL, FakeClock(), chunk_bytes=CHUNK_BYTES)
    with pytest.raises(WrongKeyError):
        unlocked(storage, Credential(SlotKind.KEY, b"x" * 32))
    with pytest.raises(WrongKeyError):
        unlocked(storage, Credential(SlotKind.PASSPHRASE, b"x" * 32))
    assert storage.kept == before
