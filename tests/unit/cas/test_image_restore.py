"""Images out of the store: to new files, over what is there, and as far as they are whole."""

import errno
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from csi_zfs.cas import image_restore, targets
from csi_zfs.cas.api import (
    BlobKind,
    ChunkCorruptError,
    Manifest,
    ManifestKind,
    Root,
    StoreCorruptError,
)
from csi_zfs.cas.image_ingest import ingest_image
from csi_zfs.cas.image_restore import ImageRestore, Salvage
from csi_zfs.cas.packs import pack_key
from csi_zfs.cas.store import Store
from csi_zfs.cas.targets import (
    NewTarget,
    Target,
    TargetFullError,
    TargetUnavailableError,
    UsedTarget,
    sync,
    translated,
)
from tests.support.memory_objects import Kept, MemoryObjects
from tests.support.reflink import attached
from tests.support.sparse_files import change_image, make_image, open_image, write_image
from tests.support.stores import CHUNK_BYTES as CHUNK
from tests.support.stores import new_store, opened_store

SIZE = 50 * CHUNK + 700
EXTENTS = [(0, 3 * CHUNK), (7 * CHUNK + 5, 100), (30 * CHUNK, 10 * CHUNK), (50 * CHUNK, 700)]


@pytest.fixture
def storage() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def store(storage: MemoryObjects) -> Iterator[Store]:
    with new_store(storage) as store:
        yield store


def put(store: Store, path: Path) -> Manifest:
    with store.session() as session, open_image(path) as descriptor:
        tree, size_bytes = ingest_image(session, descriptor, chunk_bytes=CHUNK)
        return session.commit(
            Root(
                kind=ManifestKind.IMAGE,
                size_bytes=size_bytes,
                tree_digest=tree.digest,
                chunk_bytes=CHUNK,
                depth=tree.depth,
            )
        )


def restore(
    store: Store, manifest: Manifest, target: Target, salvage: Salvage | None = None
) -> int:
    done: list[int] = []
    ImageRestore(store.reader(), manifest.root, target, salvage=salvage).run(done.append)
    target.sync()
    return sum(done)


def flip(storage: MemoryObjects, store: Store, digest: bytes) -> None:
    (place,) = store.places.find(digest)
    key = pack_key(place.pack_id)
    data = bytearray(storage.kept[key].data)
    data[place.entry.offset + place.entry.blob_bytes - 1] ^= 1
    storage.kept[key] = Kept(bytes(data), 0.0)


def digest_at(store: Store, manifest: Manifest, index: int) -> bytes:
    restored = ImageRestore(store.reader(), manifest.root, UsedTarget(-1))
    return dict(restored._tree.chunks())[index]


def test_new_image_is_equal_and_as_sparse(store: Store, tmp_path: Path) -> None:
    """I2."""
    data = write_image(tmp_path / "image", SIZE, EXTENTS)
    manifest = put(store, tmp_path / "image")
    with open_image(tmp_path / "restored") as descriptor:
        done = restore(store, manifest, NewTarget(descriptor, SIZE))
        assert os.fstat(descriptor).st_blocks * 512 <= done + CHUNK
    assert (tmp_path / "restored").read_bytes() == data
    assert done == 14 * CHUNK + 700


def test_empty_image_is_restored(store: Store, tmp_path: Path) -> None:
    (tmp_path / "image").touch()
    manifest = put(store, tmp_path / "image")
    with open_image(tmp_path / "restored") as descriptor:
        assert restore(store, manifest, NewTarget(descriptor, 0)) == 0


@pytest.mark.parametrize("can_punch", [True, False])
def test_only_what_differs_is_written_over_an_older_image(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, can_punch: bool
) -> None:
    data = write_image(tmp_path / "image", SIZE, EXTENTS)
    manifest = put(store, tmp_path / "image")
    old = tmp_path / "old"
    write_image(old, SIZE, EXTENTS)
    written: list[int] = []
    really_write = targets.write_at

    def counting(descriptor: int, offset: int, chunk: bytes) -> None:
        written.append(offset // CHUNK)
        really_write(descriptor, offset, chunk)

    monkeypatch.setattr(targets, "write_at", counting)
    if not can_punch:
        monkeypatch.setattr(targets, "_punched", lambda *_: errno.EOPNOTSUPP)
    with open_image(old) as descriptor:
        change_image(descriptor, [(31 * CHUNK, 5), (20 * CHUNK, CHUNK)], random.Random(9))
        restore(store, manifest, UsedTarget(descriptor))
    assert old.read_bytes() == data
    assert 31 in written
    assert set(written) <= ({31} if can_punch else {31, *range(8, 30)})


def test_device_that_takes_whole_sectors_gets_its_zeros(tmp_path: Path) -> None:
    """EINVAL is about this hole alone; later ones are made."""
    path = tmp_path / "old"
    write_image(path, 8 * CHUNK, [(0, 8 * CHUNK)])
    with open_image(path) as descriptor, pytest.MonkeyPatch.context() as patched:
        target = UsedTarget(descriptor)
        patched.setattr(targets, "_punched", lambda *_: errno.EINVAL)
        target.clear(CHUNK, 100)
        patched.undo()
        target.clear(4 * CHUNK, 4 * CHUNK)
        assert os.fstat(descriptor).st_blocks * 512 <= 5 * CHUNK
    data = path.read_bytes()
    assert not any(data[CHUNK : CHUNK + 100])
    assert any(data[CHUNK + 100 : 2 * CHUNK])
    assert not any(data[4 * CHUNK :])


def test_hole_that_a_signal_interrupts_is_made_again(tmp_path: Path) -> None:
    answers = [0, errno.EINTR, errno.EINTR]
    with open_image(tmp_path / "old") as descriptor, pytest.MonkeyPatch.context() as patched:
        patched.setattr(targets, "_punched", lambda *_: answers.pop())
        UsedTarget(descriptor).clear(0, 100)
    assert not answers


def test_target_that_refuses_says_so(tmp_path: Path) -> None:
    with open_image(tmp_path / "old") as descriptor:
        os.ftruncate(descriptor, CHUNK)
        with pytest.raises(TargetUnavailableError, match="not empty"):
            NewTarget(descriptor, CHUNK)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(targets, "_punched", lambda *_: errno.ENOSPC)
            with pytest.raises(TargetFullError):
                UsedTarget(descriptor).clear(0, CHUNK)
    with pytest.raises(TargetUnavailableError):
        UsedTarget(descriptor).write(0, b"x")
    with pytest.raises(TargetUnavailableError):
        UsedTarget(descriptor).clear(0, 1)
    with pytest.raises(TargetUnavailableError):
        sync(descriptor)
    with pytest.raises(TargetUnavailableError):
        NewTarget(descriptor, 1)
    assert isinstance(translated(OSError(errno.EDQUOT, "quota")), TargetFullError)


@pytest.mark.parametrize("is_new", [True, False])
def test_salvage_writes_what_is_good_and_names_exactly_what_is_not(
    storage: MemoryObjects, store: Store, tmp_path: Path, *, is_new: bool
) -> None:
    data = write_image(tmp_path / "image", SIZE, EXTENTS)
    manifest = put(store, tmp_path / "image")
    for index in (2, 33, 34, 50):
        flip(storage, store, digest_at(store, manifest, index))
    path = tmp_path / "restored"
    old = b"" if is_new else write_image(path, SIZE, [(0, SIZE)], seed=5)
    salvage = Salvage()
    with open_image(path) as descriptor:
        target = NewTarget(descriptor, SIZE) if is_new else UsedTarget(descriptor)
        with pytest.raises(ChunkCorruptError, match=r"\d+ bytes at \d+ are damaged"):
            restore(store, manifest, target)
        restore(store, manifest, UsedTarget(descriptor), salvage)
    assert salvage.ranges == [(2 * CHUNK, CHUNK), (33 * CHUNK, 2 * CHUNK), (50 * CHUNK, 700)]
    assert "damaged" in salvage.reason
    expected = bytearray(data)
    for offset, length in salvage.ranges:
        expected[offset : offset + length] = (old or bytes(SIZE))[offset : offset + length]
    assert path.read_bytes() == expected


def test_salvage_leaves_alone_what_is_below_a_lost_node(
    storage: MemoryObjects, store: Store, tmp_path: Path
) -> None:
    """Whether it was zeros nobody knows."""
    size_bytes = 3000 * CHUNK
    write_image(
        tmp_path / "image", size_bytes, [(5 * CHUNK, 9), (1500 * CHUNK, 9), (2999 * CHUNK, 9)]
    )
    manifest = put(store, tmp_path / "image")
    (root,) = store.reader().get_many([manifest.root.tree_digest], BlobKind.TREE)
    flip(storage, store, root[8 + 32 : 8 + 64])
    path, salvage = tmp_path / "restored", Salvage()
    make_image(path, size_bytes, [(1100 * CHUNK, 100), (2100 * CHUNK, 100), (0, 100)], seed=5)
    with open_image(path) as descriptor:
        restore(store, manifest, UsedTarget(descriptor), salvage)
        assert salvage.ranges == [(1024 * CHUNK, 1024 * CHUNK)]
        assert any(os.pread(descriptor, 100, 1100 * CHUNK))
        assert not any(os.pread(descriptor, 100, 2100 * CHUNK))
        assert not any(os.pread(descriptor, 100, 0))
        assert any(os.pread(descriptor, 9, 2999 * CHUNK))
    flip(storage, store, manifest.root.tree_digest)
    salvage = Salvage()
    with open_image(path) as descriptor:
        restore(store, manifest, UsedTarget(descriptor), salvage)
        assert salvage.ranges == [(0, size_bytes)]
        assert any(os.pread(descriptor, 100, 1100 * CHUNK))


def test_chunk_of_another_length_than_its_place_is_damage(store: Store, tmp_path: Path) -> None:
    """By somebody with the key, who writes a tree of his own."""
    write_image(tmp_path / "image", 2 * CHUNK, [(0, 2 * CHUNK)])
    manifest = put(store, tmp_path / "image")
    wrong = Manifest(
        manifest_id=manifest.manifest_id,
        domain=manifest.domain,
        created_ns=0,
        root=Root(
            kind=ManifestKind.IMAGE,
            size_bytes=2 * CHUNK - 1,
            tree_digest=manifest.root.tree_digest,
            chunk_bytes=CHUNK,
            depth=1,
        ),
    )
    salvage = Salvage()
    with open_image(tmp_path / "restored") as descriptor:
        restore(store, wrong, NewTarget(descriptor, 2 * CHUNK - 1), salvage)
    assert salvage.ranges == [(CHUNK, CHUNK - 1)]


def test_tree_of_files_is_no_image(store: Store) -> None:
    root = Root(kind=ManifestKind.TREE, size_bytes=0, tree_digest=bytes(32))
    with pytest.raises(StoreCorruptError, match="image"):
        ImageRestore(store.reader(), root, UsedTarget(-1))


def test_equal_chunks_are_read_once(
    storage: MemoryObjects, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And in windows, so that memory is bounded whatever the image's size."""
    monkeypatch.setattr(image_restore, "_WINDOW_BYTES", 4 * CHUNK)
    chunk = os.urandom(CHUNK)
    (tmp_path / "image").write_bytes(chunk * 10 + os.urandom(CHUNK) + chunk)
    manifest = put(store, tmp_path / "image")
    with open_image(tmp_path / "restored") as descriptor:
        restore(store, manifest, NewTarget(descriptor, 12 * CHUNK))
    assert (tmp_path / "restored").read_bytes() == (tmp_path / "image").read_bytes()
    assert len([key for key in storage.kept if key.startswith("packs/")]) == 2


def test_client_that_knows_no_place_of_the_chunks_asks_and_then_says_what_is_gone(
    storage: MemoryObjects, store: Store, tmp_path: Path
) -> None:
    data = write_image(tmp_path / "image", SIZE, EXTENTS)
    manifest = put(store, tmp_path / "image")
    with opened_store(storage) as other, open_image(tmp_path / "restored") as descriptor:
        restore(other, manifest, NewTarget(descriptor, SIZE))
    assert (tmp_path / "restored").read_bytes() == data
    (place,) = store.places.find(digest_at(store, manifest, 0))
    storage.delete([pack_key(place.pack_id)])
    salvage = Salvage()
    with opened_store(storage) as other, open_image(tmp_path / "salvaged") as descriptor:
        restore(other, manifest, NewTarget(descriptor, SIZE), salvage)
    assert len(salvage.ranges) == 4
    assert "in no pack" in salvage.reason


@pytest.mark.root
def test_block_device_is_restored_over_what_it_held(store: Store, tmp_path: Path) -> None:
    size_bytes = 40 * CHUNK + 512
    data = write_image(tmp_path / "image", size_bytes, [(CHUNK, 10), (20 * CHUNK, 512)])
    manifest = put(store, tmp_path / "image")
    write_image(tmp_path / "disk", size_bytes, [(0, size_bytes)], seed=5)
    with attached(tmp_path / "disk") as device, open_image(Path(device)) as descriptor:
        restore(store, manifest, UsedTarget(descriptor))
    assert (tmp_path / "disk").read_bytes() == data
