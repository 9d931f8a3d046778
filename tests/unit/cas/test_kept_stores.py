"""Stores that were kept when their format was made: today's code reads them, and makes them so."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from csi_zfs.cas.api import BlobKind, ManifestKind
from csi_zfs.cas.checking import Check
from csi_zfs.cas.collection import Collection, Options
from csi_zfs.cas.file_attributes import load_attributes
from csi_zfs.cas.file_tree import FileTree
from csi_zfs.cas.image_tree import ImageTreeReader, image_tree_of
from csi_zfs.cas.places import Places
from csi_zfs.cas.sealing import ObjectKind
from csi_zfs.cas.sessions import LEASE_S
from csi_zfs.cas.slots import Credential
from csi_zfs.cas.store import Store, Surroundings, unlocked
from csi_zfs.cas.tree_entries import EntryKind
from tests.support.clock import FakeClock
from tests.support.memory_objects import MemoryObjects
from tests.support.store_specimen import (
    CHUNK_BYTES,
    GID,
    IMAGE,
    IMAGE_BYTES,
    IMAGE_LABELS,
    KEPT,
    LONG_ATTRIBUTES,
    MODE,
    MTIME_NS,
    PASSPHRASE,
    SHORT_ATTRIBUTES,
    SMALL,
    TOP_NAMES,
    TREE_DOMAIN,
    UID,
    large_file,
    many_names,
    put_image,
    put_tree,
    read_specimen,
)
from tests.support.stores import CREDENTIAL, MemoryHead


@pytest.fixture(params=KEPT, ids=lambda path: path.name)
def kept_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    with opened(read_specimen(request.param), CREDENTIAL) as store:
        yield store


@contextmanager
def opened(storage: MemoryObjects, credential: Credential) -> Iterator[Store]:
    header, store_key = unlocked(storage, credential)
    clock = FakeClock()
    clock.advance(LEASE_S + 1)
    surroundings = Surroundings(Places(None), MemoryHead(), clock)
    with closing(Store(storage, header, store_key, surroundings)) as store:
        store.refresh()
        yield store


def image_of(store: Store) -> dict[int, bytes]:
    (image,) = [one for one in store.manifests() if one.root.kind is ManifestKind.IMAGE]
    assert (image.root.size_bytes, image.root.labels) == (IMAGE_BYTES, IMAGE_LABELS)
    source = store.reader(image.domain)
    chunks = ImageTreeReader(source, image_tree_of(image.root)).chunks()
    return {index: source.get(digest, BlobKind.DATA) for index, digest in chunks}


def tree_of(store: Store) -> FileTree:
    (tree,) = [one for one in store.manifests() if one.root.kind is ManifestKind.TREE]
    return FileTree(store.reader(tree.domain), tree.root.tree_digest)


def test_there_is_a_specimen() -> None:
    assert [path.name for path in KEPT] == ["store-1"]


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.name)
@pytest.mark.parametrize("credential", [CREDENTIAL, PASSPHRASE], ids=lambda one: str(one.kind))
def test_code_opens_a_kept_store_by_each_of_its_slots(kept: Path, credential: Credential) -> None:
    with opened(read_specimen(kept), credential) as store:
        assert store.header.chunk_bytes == CHUNK_BYTES
        assert image_of(store) == IMAGE


def test_code_reads_a_kept_tree_of_files(kept_store: Store) -> None:
    tree = tree_of(kept_store)
    found = {visit.path: visit.entry for visit in tree.walk()}
    many = [b"many/" + name for name in many_names()]
    assert list(found) == [*TOP_NAMES[:7], *many, *TOP_NAMES[7:]]
    assert {(one.mode, one.uid, one.gid, one.mtime_ns) for one in found.values()} == {
        (MODE, UID, GID, MTIME_NS)
    }
    large = large_file(kept_store._store_key.chunk_key(TREE_DOMAIN, BlobKind.DATA))
    assert b"".join(tree.cat(b"large")) == b"".join(large)
    assert b"".join(tree.cat(b"the same")) == SMALL
    assert found[b"the same"].link_to == found[b"link"].target == b"small"
    assert found[b"block"].kind is EntryKind.BLOCK_DEVICE
    assert load_attributes(tree.source, found[b"small"]) == SHORT_ATTRIBUTES
    assert load_attributes(tree.source, found[b"empty"]) == LONG_ATTRIBUTES


def test_code_finds_nothing_wrong_with_a_kept_store(kept_store: Store) -> None:
    report = Check(kept_store).run(lambda _: None)
    assert (report.findings, report.manifests) == ([], 2)


def test_code_finishes_the_collection_that_a_kept_store_is_in(kept_store: Store) -> None:
    report = Collection(kept_store, Options(), lambda _: None).run()
    assert (report.deleted_packs, report.fenced_sessions) == (2, 1)
    assert image_of(kept_store) == IMAGE


def test_code_finds_all_in_a_kept_store_that_it_puts_again(kept_store: Store) -> None:
    """Digests, nodes and cuts are what they were: else every store would be written anew."""
    key = kept_store._store_key.chunk_key(TREE_DOMAIN, BlobKind.DATA)
    with kept_store.session() as images, kept_store.session(TREE_DOMAIN) as trees:
        roots = [put_image(images), put_tree(trees, key)]
        kept = {one.root.kind: one.root for one in kept_store.manifests()}
        assert roots == [kept[ManifestKind.IMAGE], kept[ManifestKind.TREE]]
        assert images.written.new_chunks == trees.written.new_chunks == 0
        assert trees.written.chunks > 10


_PLACES = ["store", "slots", "packs", "indexes", "sessions", "journal", "collector", "marks"]


def first_below(store: Store, place: str) -> tuple[MemoryObjects, str]:
    storage = store.vault.storage
    assert isinstance(storage, MemoryObjects)
    return storage, min(key for key in storage.kept if key.split("/")[0] == place)


def findings_of(store: Store, key: str) -> list[str]:
    return [one.what for one in Check(store).run(lambda _: None).findings if one.where == key]


@pytest.mark.parametrize("place", _PLACES)
def test_object_of_the_next_version_is_refused_by_name(kept_store: Store, place: str) -> None:
    storage, key = first_below(kept_store, place)
    kept = storage.kept[key]
    if kept.data.startswith(b"CSIZFS"):
        kept.data = kept.data[:7] + b"\2" + kept.data[8:]
        words = f"{key} has version 2 of its format"
    else:
        kept.data = kept.data.replace(b'"format":1', b'"format":2')
        words = f"{key} has format 2"

    where = "journal/" if place == "journal" else key
    assert any(words in what for what in findings_of(kept_store, where))


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("sessions", ObjectKind.SESSION),
        ("journal", ObjectKind.JOURNAL),
        ("collector", ObjectKind.EPOCH),
    ],
)
def test_sealed_document_of_the_next_format_is_refused_by_name(
    kept_store: Store, place: str, kind: ObjectKind
) -> None:
    storage, key = first_below(kept_store, place)
    sealer = kept_store.vault.sealer
    payload = sealer.open(kind, key, storage.kept[key].data)
    later = payload.replace(b'"format":1', b'"format":2')
    storage.kept[key].data = sealer.seal(kind, key, later)

    where = "journal/" if place == "journal" else key
    assert any(f"{key} has format 2" in what for what in findings_of(kept_store, where))
