import os

import pytest

from csi_zfs.cas.api import BlobKind
from csi_zfs.cas.checking import Check
from csi_zfs.cas.image_tree import ImageTreeReader, image_tree_of
from csi_zfs.cas.repair import RepairReport, rebuild_index
from csi_zfs.cas.store import Store
from tests.support.memory_objects import MemoryObjects
from tests.support.stores import CHUNK_BYTES, new_store, opened_store, put_image

DATA = [os.urandom(CHUNK_BYTES) for _ in range(3)]


def repaired(store: Store) -> RepairReport:
    return rebuild_index(store, lambda _words: None)


def keys(storage: MemoryObjects, prefix: str) -> list[str]:
    return sorted(key for key in storage.kept if key.startswith(prefix))


def read(store: Store) -> list[bytes]:
    (manifest,) = store.manifests()
    source = store.reader()
    tree = ImageTreeReader(source, image_tree_of(manifest.root))
    return [source.get(digest, BlobKind.DATA) for _, digest in tree.chunks()]


@pytest.mark.expected_logs
def test_index_is_made_anew_from_the_packs() -> None:
    """I11, with an index that is gone and one that is damaged."""
    storage = MemoryObjects()
    with new_store(storage) as store:
        put_image(store, DATA)
        for key in keys(storage, "indexes/"):
            storage.kept[key].data = storage.kept[key].data[:-1]
    with opened_store(storage) as store:
        assert Check(store).run(lambda _words: None).findings
        report = repaired(store)
        assert report == RepairReport(packs=2, removed_indexes=1)
        assert Check(store).run(lambda _words: None).findings == []
        assert read(store) == DATA
    for pack in keys(storage, "packs/"):
        data = bytearray(storage.kept[pack].data)
        data[-1] ^= 1  # the footers are of no use any more, and not needed
        storage.kept[pack].data = bytes(data)
    with opened_store(storage) as store:
        store.refresh()
        assert read(store) == DATA


def test_repeated_repair_changes_nothing_more() -> None:
    storage = MemoryObjects()
    with new_store(storage) as store:
        put_image(store, DATA)
        repaired(store)
        before = keys(storage, "packs/"), len(keys(storage, "indexes/"))
        repaired(store)
        assert (keys(storage, "packs/"), len(keys(storage, "indexes/"))) == before
        assert read(store) == DATA


@pytest.mark.expected_logs
def test_pack_that_cannot_be_read_is_told_and_stays() -> None:
    storage = MemoryObjects()
    with new_store(storage) as store:
        put_image(store, DATA)
        first = keys(storage, "packs/")[0]
        storage.kept[first].data = storage.kept[first].data[:-1]
        storage.put("packs/strange", b"")
        report = repaired(store)
        assert report.packs == 1
        assert len(report.unreadable) == 2
        assert any(first in words for words in report.unreadable)
        assert first in storage.kept
