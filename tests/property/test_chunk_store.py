"""I1 to I7 and I14 of the chunk store, in any sequence, while answers get lost."""

import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from csi_zfs.cas.api import BlobKind, Manifest, ManifestKind, ObjectStorage, Root
from csi_zfs.cas.image_ingest import Base, ingest_image
from csi_zfs.cas.image_restore import ImageRestore, Salvage
from csi_zfs.cas.image_tree import ImageTreeReader, image_tree_of
from csi_zfs.cas.objects.local import LocalObjects
from csi_zfs.cas.objects.local_root import make_local_storage
from csi_zfs.cas.packs import pack_key
from csi_zfs.cas.store import Store
from csi_zfs.cas.targets import NewTarget, UsedTarget
from tests.property.store_machine import StoreMachine
from tests.support.memory_objects import Kept, MemoryObjects
from tests.support.power_cut import HurriedFiles
from tests.support.sparse_files import change_image, open_image, write_image
from tests.support.stores import CHUNK_BYTES as CHUNK
from tests.support.stores import new_store

# Sizes and offsets around the ends of chunks, and anywhere.
SIZES = st.one_of(
    st.integers(0, 20 * CHUNK),
    st.builds(lambda n, d: max(n * CHUNK + d, 0), st.integers(0, 20), st.integers(-2, 2)),
)
EXTENTS = st.lists(st.tuples(SIZES, st.integers(1, 3 * CHUNK)), max_size=5)


def machine_on(make: Callable[[], ObjectStorage]) -> type[StoreMachine]:
    class Machine(StoreMachine):
        def __init__(self) -> None:
            super().__init__(make())

    return Machine


@pytest.mark.slow
def test_store_in_any_sequence_equals_its_model() -> None:
    run_state_machine_as_test(
        machine_on(MemoryObjects), settings=settings(stateful_step_count=20, max_examples=25)
    )


@pytest.mark.slow
def test_store_in_a_directory_in_any_sequence_equals_its_model(tmp_path: Path) -> None:
    def local_objects() -> ObjectStorage:
        root = Path(tempfile.mkdtemp(dir=tmp_path))
        make_local_storage(root, HurriedFiles())
        return LocalObjects(root, HurriedFiles())

    run_state_machine_as_test(
        machine_on(local_objects), settings=settings(stateful_step_count=15, max_examples=10)
    )


@pytest.mark.deep
def test_store_in_very_many_sequences_equals_its_model() -> None:
    run_state_machine_as_test(
        machine_on(MemoryObjects), settings=settings(stateful_step_count=40, max_examples=1000)
    )


def put(store: Store, path: Path, base: Base | None = None) -> Manifest:
    with store.session() as session, open_image(path) as descriptor:
        tree, size_bytes = ingest_image(session, descriptor, chunk_bytes=CHUNK, base=base)
        root = Root(
            kind=ManifestKind.IMAGE,
            size_bytes=size_bytes,
            tree_digest=tree.digest,
            chunk_bytes=CHUNK,
            depth=tree.depth,
        )
        return session.commit(root)


@pytest.mark.slow
@settings(max_examples=40)
@given(sizes=st.tuples(SIZES, SIZES), data=EXTENTS, changed=EXTENTS, zeroed=EXTENTS)
def test_image_with_its_changes_is_put_and_restored_as_it_was(
    sizes: tuple[int, int],
    data: list[tuple[int, int]],
    changed: list[tuple[int, int]],
    zeroed: list[tuple[int, int]],
) -> None:
    """I2, I4, I6, over sparse files: to a new file, and in place over the older image."""
    with tempfile.TemporaryDirectory() as directory, new_store(MemoryObjects()) as store:
        path, restored = Path(directory, "image"), Path(directory, "restored")
        old_bytes, new_bytes = sizes
        before = write_image(path, old_bytes, data)
        old = put(store, path)
        with open_image(restored) as descriptor:
            ImageRestore(store.reader(), old.root, NewTarget(descriptor, old_bytes)).run(ignore)
        assert restored.read_bytes() == before
        with open_image(path) as descriptor:
            os.ftruncate(descriptor, new_bytes)
            change_image(descriptor, changed, random.Random(7))
            for offset, length in zeroed:
                here = max(min(length, new_bytes - offset), 0)
                os.pwrite(descriptor, bytes(here), offset)
        tree = ImageTreeReader(store.reader(), image_tree_of(old.root))
        new = put(store, path, Base(tree, old_bytes, [*changed, *zeroed]))
        packs = set(store.places.packs())
        assert put(store, path).root == new.root
        assert set(store.places.packs()) == packs
        with open_image(restored) as descriptor:
            os.ftruncate(descriptor, new_bytes)
            ImageRestore(store.reader(), new.root, UsedTarget(descriptor)).run(ignore)
        assert restored.read_bytes() == path.read_bytes()


@pytest.mark.slow
@settings(max_examples=30)
@given(size_bytes=SIZES, data=EXTENTS, chance=st.randoms(use_true_random=False))
def test_salvage_names_exactly_what_is_damaged_and_restores_the_rest(
    size_bytes: int, data: list[tuple[int, int]], chance: random.Random
) -> None:
    storage = MemoryObjects()
    with tempfile.TemporaryDirectory() as directory, new_store(storage) as store:
        path, restored = Path(directory, "image"), Path(directory, "restored")
        content = write_image(path, size_bytes, data, seed=3)
        manifest = put(store, path)
        tree = ImageTreeReader(store.reader(), image_tree_of(manifest.root))
        chunks = dict(tree.chunks())
        lost = {index for index in chunks if chance.random() < 0.4}
        for digest in {chunks[index] for index in lost}:
            damage(storage, store, digest)
        salvage = Salvage()
        with open_image(restored) as descriptor:
            target = NewTarget(descriptor, size_bytes)
            ImageRestore(store.reader(), manifest.root, target, salvage=salvage).run(ignore)
        named = {
            at // CHUNK
            for offset, length in salvage.ranges
            for at in range(offset, offset + length, CHUNK)
        }
        assert named == lost
        expected = bytearray(content)
        for offset, length in salvage.ranges:
            expected[offset : offset + length] = bytes(length)
        assert restored.read_bytes() == expected
        assert bool(salvage.reason) == bool(lost)


def damage(storage: MemoryObjects, store: Store, digest: bytes) -> None:
    (place,) = store.places.find(digest)
    key = pack_key(place.pack_id)
    data = bytearray(storage.kept[key].data)
    data[place.entry.offset + place.entry.blob_bytes - 1] ^= 1
    storage.kept[key] = Kept(bytes(data), 0.0)
    assert place.entry.kind is BlobKind.DATA


def ignore(_bytes: int) -> None:
    """Progress is of no concern here."""
