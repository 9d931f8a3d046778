"""A chunk store against a plain dictionary: images put, changed, cloned, deleted, read again."""

from collections.abc import Callable
from contextlib import ExitStack

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from csi_zfs.cas.api import (
    BlobKind,
    Manifest,
    ManifestNotFoundError,
    ObjectStorage,
    Root,
    StorageUnavailableError,
)
from csi_zfs.cas.image_diff import diff_images
from csi_zfs.cas.image_tree import ImageTreeReader, image_tree_of
from csi_zfs.cas.store import Store, make_store
from tests.support.clock import FakeClock
from tests.support.faulty_objects import Fault, FaultyObjects
from tests.support.stores import CHUNK_BYTES, CREDENTIAL, MemoryHead, opened_store, put_image

Image = tuple[int, ...]
# A chunk is named by a number; 0 is zeros.  Few, so that images have some in common.
IMAGES = st.lists(st.integers(0, 6), max_size=12).map(tuple)
FAULTS = st.lists(
    st.sampled_from([Fault.OK, Fault.OK, Fault.BUSY, Fault.LOST, Fault.TWICE, Fault.LATE]),
    max_size=8,
)


def chunk(number: int) -> bytes:
    """The chunk of a number: half of them can be compressed."""
    if not number:
        return b""
    return bytes([number]) * CHUNK_BYTES if number % 2 else bytes([number, 1]) * (CHUNK_BYTES // 2)


def is_answered(call: Callable[[], object]) -> bool:
    """Do something; whether there was an answer."""
    try:
        call()
    except StorageUnavailableError:
        return False
    return True


class StoreMachine(RuleBasedStateMachine):
    """Every call is repeated until it was answered; a call without an answer may have been done."""

    def __init__(self, storage: ObjectStorage) -> None:
        """Begin with an empty store."""
        super().__init__()
        self.storage = storage
        self.faulty: ObjectStorage = storage
        self.memory = MemoryHead()
        self.model: dict[str, Image] = {}
        self.deleted: list[str] = []
        self.roots: dict[Image, Root] = {}
        self.resources = ExitStack()
        make_store(storage, CREDENTIAL, FakeClock(), chunk_bytes=CHUNK_BYTES)
        self.store = self.opened()

    def teardown(self) -> None:
        """Let go of the client."""
        self.resources.close()

    def opened(self) -> Store:
        """A new client, which remembers what the one before has seen."""
        self.resources.close()
        return self.resources.enter_context(opened_store(self.storage, memory=self.memory))

    def client(self, faults: list[Fault]) -> Store:
        """A client whose first writes have these faults."""
        return self.resources.enter_context(
            opened_store(FaultyObjects(self.storage, writes=faults), memory=self.memory)
        )

    @rule(image=IMAGES, faults=FAULTS)
    def put(self, image: Image, faults: list[Fault]) -> None:
        """Put an image: I3, I6."""
        packs = self.packs()
        is_known = image in self.roots
        store = self.client(faults)
        while True:
            try:
                manifest = put_image(store, [chunk(number) for number in image], of="put")
                break
            except StorageUnavailableError:
                self.adopt(image)
        self.model[manifest.manifest_id] = image
        root = self.roots.setdefault(image, manifest.root)
        assert manifest.root.tree_digest == root.tree_digest
        assert not is_known or self.packs() == packs

    @precondition(lambda self: self.model)
    @rule(choice=st.data(), faults=FAULTS)
    def clone(self, choice: st.DataObject, faults: list[Fault]) -> None:
        """Clone an image."""
        source = self.drawn(choice, list(self.model))
        packs = self.packs()
        store = self.client(faults)
        while True:
            try:
                manifest = store.clone(source, {"of": source})
                break
            except StorageUnavailableError:
                self.adopt(self.model[source])
        self.model[manifest.manifest_id] = self.model[source]
        assert self.packs() == packs

    @precondition(lambda self: self.model)
    @rule(choice=st.data(), faults=FAULTS)
    def delete(self, choice: st.DataObject, faults: list[Fault]) -> None:
        """Delete an image: I14, the others stay."""
        manifest_id = self.drawn(choice, list(self.model))
        store = self.client(faults)
        for _ in range(2):
            while not is_answered(lambda: store.delete(manifest_id)):
                pass
        del self.model[manifest_id]
        self.deleted.append(manifest_id)

    @precondition(lambda self: self.deleted)
    @rule(choice=st.data())
    def look_for_what_was_deleted(self, choice: st.DataObject) -> None:
        """It is not there, and clones of it cannot be made."""
        manifest_id = self.drawn(choice, self.deleted)
        for look in (self.store.manifest, lambda it: self.store.clone(it, {})):
            try:
                look(manifest_id)
            except ManifestNotFoundError:
                continue
            raise AssertionError(manifest_id)

    @rule()
    def reopen(self) -> None:
        """Another client, with a cache of its own."""
        self.store = self.opened()

    @precondition(lambda self: self.model)
    @rule(choice=st.data())
    def read(self, choice: st.DataObject) -> None:
        """Read an image back: I1, I2, I7."""
        manifest_id = self.drawn(choice, list(self.model))
        manifest = self.store.manifest(manifest_id)
        assert self.content(manifest) == self.model[manifest_id]

    @precondition(lambda self: self.model)
    @rule(choice=st.data())
    def compare(self, choice: st.DataObject) -> None:
        """I5: the difference of two images is what differs, and makes one of the other."""
        one, other = (self.drawn(choice, list(self.model)) for _ in range(2))
        trees = [
            ImageTreeReader(self.store.reader(), image_tree_of(self.store.manifest(it).root))
            for it in (one, other)
        ]
        found = {index: (a, b) for index, a, b in diff_images(*trees)}
        first, second = dict(trees[0].chunks()), dict(trees[1].chunks())
        zero = bytes(32)
        assert found == {
            index: (first.get(index, zero), second.get(index, zero))
            for index in first.keys() | second.keys()
            if first.get(index) != second.get(index)
        }

    @invariant()
    def manifests_are_those_of_the_model(self) -> None:
        """In the order in which they were made, or by name where that is the same moment."""
        assert {one.manifest_id for one in self.store.manifests()} == self.model.keys()

    def drawn(self, choice: st.DataObject, manifest_ids: list[str]) -> str:
        """One of them, by its number: names are random."""
        return manifest_ids[choice.draw(st.integers(0, len(manifest_ids) - 1))]

    def adopt(self, image: Image) -> None:
        """What a call without an answer has made: nothing, or all of it."""
        for manifest in self.store.manifests():
            if manifest.manifest_id not in self.model:
                assert self.content(manifest) == image
                self.model[manifest.manifest_id] = image

    def content(self, manifest: Manifest) -> Image:
        """What an image holds, by number."""
        source, tree = self.store.reader(), image_tree_of(manifest.root)
        found = [0] * tree.chunk_count
        for index, digest in ImageTreeReader(source, tree).chunks():
            data = source.get(digest, BlobKind.DATA)
            found[index] = data[0]
            assert data == chunk(data[0])
        return tuple(found)

    def packs(self) -> set[str]:
        """The keys of all packs."""
        return {info.key for info in self.storage.list("packs/")}
