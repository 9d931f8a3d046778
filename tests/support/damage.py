"""Damage to a small store, one at a time, and what a client makes of it."""

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from csi_zfs.cas.api import BlobKind, Manifest, StoreCorruptError
from csi_zfs.cas.image_tree import ImageTreeReader, image_tree_of
from csi_zfs.cas.loading import MARKS, encode_marks
from csi_zfs.cas.sealing import ObjectKind
from csi_zfs.cas.store import Store
from csi_zfs.domain.errors import CsiZfsError
from tests.support.faulty_objects import FaultyObjects
from tests.support.memory_objects import Kept, MemoryObjects
from tests.support.stores import CHUNK_BYTES, MemoryHead, new_store, opened_store, put_image

Objects = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Damage:
    """One damage: what it is called, and what objects are after it (None: gone).

    The first of them is the one that it is about.
    """

    name: str
    changes: Mapping[str, bytes | None]

    @property
    def key(self) -> str:
        """The object that it is about."""
        return next(iter(self.changes), "")


@dataclass(slots=True)
class SmallStore:
    """A store whose every object is small, with the states that its objects were in before."""

    objects: Objects = field(default_factory=dict)
    older: dict[str, list[bytes]] = field(default_factory=dict)
    content: dict[str, list[bytes]] = field(default_factory=dict)
    memory: MemoryHead = field(default_factory=MemoryHead)

    @classmethod
    def make(cls) -> "SmallStore":
        """Two images with a chunk in common, a clone, one that was deleted, and a mark."""
        made, storage = cls(), MemoryObjects()
        with new_store(storage):
            pass

        def note(_point: str) -> None:
            for key, kept in list(storage.kept.items()):
                states = made.older.setdefault(key, [])
                if kept.data not in states:
                    states.append(kept.data)

        with opened_store(FaultyObjects(storage, effects=note), memory=made.memory) as store:
            chunks = [_chunk(name) for name in ("one", "two", "three")]
            first = made._keep(put_image(store, chunks[:2]), chunks[:2])
            made._keep(put_image(store, [chunks[0], b"", chunks[2]]), [chunks[0], b"", chunks[2]])
            made._keep(store.clone(first.manifest_id, {"of": "first"}), chunks[:2])
            store.delete(put_image(store, [_chunk("four")]).manifest_id)
            marks = encode_marks([(b"d" * 32, b"p" * 16)])
            store.vault.put_new(ObjectKind.MARKS, MARKS + "0" * 32, marks)
        made.objects = {key: kept.data for key, kept in storage.kept.items()}
        return made

    def _keep(self, manifest: Manifest, chunks: list[bytes]) -> Manifest:
        self.content[manifest.manifest_id] = chunks
        return manifest

    def flips(self, every: int) -> Iterator[Damage]:
        """A bit of one byte in `every`, or all bits of every byte for 0, in each object."""
        chance = random.Random(every)
        for key, data in sorted(self.objects.items()):
            bits = range(8 * len(data))
            count = len(bits) // 8 // every if every else len(bits)
            for bit in chance.sample(bits, count):
                yield Damage(f"bit {bit} of {key}", {key: _flipped(data, bit)})

    def losses(self) -> Iterator[Damage]:
        """Each object removed, cut off in several places, and longer than it was."""
        for key, data in sorted(self.objects.items()):
            yield Damage(f"no {key}", {key: None})
            for length in sorted({0, 7, 40, len(data) // 2, len(data) - 1} - {len(data)}):
                yield Damage(f"{length} of {key}", {key: data[:length]})
            yield Damage(f"longer {key}", {key: data + b"\0"})

    def swaps(self) -> Iterator[Damage]:
        """Each object swapped with, and replaced by, the next one of its kind."""
        keys = sorted(self.objects)
        for one, other in itertools.pairwise(keys):
            if one.partition("/")[0] == other.partition("/")[0]:
                a, b = self.objects[one], self.objects[other]
                yield Damage(f"{one} <-> {other}", {one: b, other: a})
                yield Damage(f"{one} <- {other}", {one: b})

    def returns(self) -> Iterator[Damage]:
        """Each object put back to a state that it was in before."""
        for key, states in sorted(self.older.items()):
            for number, data in enumerate(states):
                if key in self.objects and data != self.objects[key]:
                    yield Damage(f"{key} as before ({number})", {key: data})

    def after(self, damage: Damage) -> MemoryObjects:
        """A storage with a copy of the store, after this damage."""
        objects = {**self.objects, **damage.changes}
        storage = MemoryObjects()
        storage.kept = {key: Kept(data, 0.0) for key, data in objects.items() if data is not None}
        return storage


def walk(
    storage: MemoryObjects, head: MemoryHead, content: Mapping[str, list[bytes]]
) -> Iterator[CsiZfsError]:
    """Open, list, read everything back and begin a session; yields each error on the way.

    Raises `AssertionError` where what comes back is not what was put.
    """
    try:
        with opened_store(storage, memory=MemoryHead(head.head)) as store:
            yield from _walked(store, content)
    except CsiZfsError as exc:
        yield exc


def _walked(store: Store, content: Mapping[str, list[bytes]]) -> Iterator[CsiZfsError]:
    store.refresh()
    try:
        assert {one.manifest_id for one in store.manifests()} == content.keys()
    except CsiZfsError as exc:
        yield exc
    for manifest_id, chunks in content.items():
        try:
            manifest = store.manifest(manifest_id)
            found = _read(store, manifest)
        except CsiZfsError as exc:
            yield exc
        else:
            assert found == chunks, manifest_id
    try:
        store.begin().abandon()
    except CsiZfsError as exc:
        yield exc


def _read(store: Store, manifest: Manifest) -> list[bytes]:
    source = store.reader()
    tree = image_tree_of(manifest.root)
    found = [b""] * tree.chunk_count
    for index, digest in ImageTreeReader(source, tree).chunks():
        found[index] = source.get(digest, BlobKind.DATA)
        if list(source.get_many([digest], BlobKind.DATA)) != [found[index]]:
            raise StoreCorruptError("two reads of a chunk differ")
    return found


def _chunk(text: str) -> bytes:
    """A chunk that takes few bytes in a pack, so that every one of them can be damaged."""
    return text.encode().ljust(CHUNK_BYTES, b".")


def _flipped(data: bytes, bit: int) -> bytes:
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)
