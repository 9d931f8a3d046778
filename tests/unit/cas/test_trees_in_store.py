"""Trees of files in a real store: dedup, damage, deletion and collection."""

import os
import random
from pathlib import Path

import pytest

from csi_zfs.cas.api import BlobKind, Manifest, ManifestKind, Root, Written
from csi_zfs.cas.collection import Collection, Options
from csi_zfs.cas.file_tree import FileTree
from csi_zfs.cas.store import Store
from csi_zfs.cas.unpacking import TreeUnpack
from csi_zfs.cas.walking import TreeWalk
from tests.support.file_trees import IS_ROOT, look, opened, refuse
from tests.support.memory_objects import MemoryObjects
from tests.support.stores import new_store, opened_store


def put_tree(store: Store, directory: Path) -> tuple[Manifest, Written]:
    with store.session() as session, opened(directory) as descriptor:
        tree = TreeWalk(session, refuse).read(descriptor)
        root = Root(
            kind=ManifestKind.TREE,
            size_bytes=tree.totals.size_bytes,
            tree_digest=tree.digest,
        )
        return session.commit(root), session.written


def restore(store: Store, manifest: Manifest, directory: Path) -> None:
    directory.mkdir()
    tree = FileTree(store.reader(), manifest.root.tree_digest)
    with opened(directory) as descriptor:
        TreeUnpack(tree, refuse, owners=IS_ROOT).restore(descriptor)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    path = tmp_path / "origin"
    (path / "many").mkdir(parents=True)
    for number in range(700):
        (path / "many" / f"{number:04d}").write_text(f"content of {number}")
    (path / "large").write_bytes(random.Random(1).randbytes(3_000_000) + bytes(500_000))
    (path / "link").hardlink_to(path / "large")
    os.setxattr(path, "user.long", b"x" * 2000)
    return path


def test_tree_is_restored_by_another_client(origin: Path, tmp_path: Path) -> None:
    """I1, I2."""
    storage = MemoryObjects()
    with new_store(storage) as store:
        manifest, written = put_tree(store, origin)
    assert written.new_chunks == written.chunks
    with opened_store(storage) as store:
        store.refresh()
        restore(store, store.manifest(manifest.manifest_id), tmp_path / "copy")
    assert look(tmp_path / "copy") == look(origin)


def test_second_tree_stores_what_is_new_in_it(origin: Path) -> None:
    """I6."""
    with new_store(MemoryObjects()) as store:
        first, _ = put_tree(store, origin)
        again, nothing = put_tree(store, origin)
        (origin / "many" / "0350").write_text("another content")
        _, little = put_tree(store, origin)
    assert again.root.tree_digest == first.root.tree_digest
    assert nothing.new_chunks == 0
    assert 0 < little.new_chunks <= 6
    assert little.new_plain_bytes < 150_000


def test_deleted_tree_is_collected_and_leaves_its_sibling_whole(
    origin: Path, tmp_path: Path
) -> None:
    """I9, I14: nodes of every kind count as needed, and so does what they share."""
    storage = MemoryObjects()
    with new_store(storage) as store:
        kept, _ = put_tree(store, origin)
        before = look(origin)
        (origin / "large").write_bytes(random.Random(2).randbytes(3_000_000))
        os.setxattr(origin, "user.long", b"y" * 2000)
        gone, _ = put_tree(store, origin)
        store.delete(gone.manifest_id)
        report = Collection(store, Options(live_share=0.0, patience_s=0.0), lambda _: None).run()
        assert report.deleted_packs > 0
        store.refresh()
        restore(store, kept, tmp_path / "copy")
    assert look(tmp_path / "copy") == before


def test_content_and_nodes_are_in_packs_of_their_own(origin: Path) -> None:
    with new_store(MemoryObjects()) as store:
        manifest, _ = put_tree(store, origin)
        source = store.reader()
        assert FileTree(source, manifest.root.tree_digest).root.entry_count == 703
        places = store.places
        nodes = {place.pack_id for place in places.find(manifest.root.tree_digest)}
        entry = FileTree(source, manifest.root.tree_digest).find(b"many/0000")
        assert nodes.isdisjoint(place.pack_id for place in places.find(entry.content))
        assert source.get(entry.content, BlobKind.DATA) == b"content of 0"
