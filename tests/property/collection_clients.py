"""Clients of one store that write, clone, delete and collect, and die at any effect."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from csi_zfs.cas.api import (
    BlobKind,
    CollectionFailedError,
    Manifest,
    ManifestKind,
    ManifestNotFoundError,
    ObjectChangedError,
    Root,
    SessionFencedError,
    StorageUnavailableError,
)
from csi_zfs.cas.collection import Collection, Options
from csi_zfs.cas.image_tree import ImageTree, ImageTreeReader, image_tree_of
from csi_zfs.cas.image_writer import ImageTreeWriter
from csi_zfs.cas.places import Places
from csi_zfs.cas.sessions import LEASE_S, Session
from csi_zfs.cas.store import Store, Surroundings, make_store, unlocked
from tests.property.scheduling import InlineExecutor, Scheduler
from tests.support.clock import FakeClock
from tests.support.faulty_objects import Fault, FaultyObjects
from tests.support.memory_objects import MemoryObjects
from tests.support.stores import CHUNK_BYTES, CREDENTIAL, MemoryHead

# What a client may hear of others that are at work, or of a storage that does not answer.
_EXPECTED = (
    StorageUnavailableError,
    SessionFencedError,
    ObjectChangedError,
    ManifestNotFoundError,
    CollectionFailedError,
)
# Few, so that writers find much of what nobody needs any more.
_CONTENTS = [b"chunk %d" % number for number in range(2)]
_FAULTS = [Fault.BUSY, Fault.LOST, Fault.TWICE, Fault.LATE]
_ATTEMPTS = 4
# What was read before may be no more true when the write arrives.
_DELICATE = ("put_new:before", "replace:before")


class DeathError(BaseException):
    """The client ends here: nothing that it does from now on has an effect."""


@dataclass
class Scene:
    """The storage, the clock, and what has to be in the store at the end."""

    rng: random.Random
    clock: FakeClock = field(default_factory=FakeClock)
    storage: MemoryObjects = field(default_factory=MemoryObjects)
    # Some clients share it, as processes of one machine do.
    cache: Places = field(default_factory=lambda: Places(None))
    kept: dict[str, list[bytes]] = field(default_factory=dict)
    roots: dict[str, Manifest] = field(default_factory=dict)

    def play(self, actions: int) -> None:
        """Let the clients work, until each has done so many things."""
        make_store(self.storage, CREDENTIAL, self.clock, chunk_bytes=CHUNK_BYTES)
        scheduler = Scheduler(self.rng)
        clients = [
            Client(self, scheduler, f"client {number}", collects=number % 2 == 0)
            for number in range(self.rng.choice([2, 3, 4]))
        ]
        scheduler.run({one.name: lambda one=one: one.work(actions) for one in clients})  # type: ignore[misc]

    @contextmanager
    def opened(self, storage: MemoryObjects | FaultyObjects, places: Places) -> Iterator[Store]:
        """The store, as one client sees it."""
        header, store_key = unlocked(self.storage, CREDENTIAL)
        store = Store(storage, header, store_key, Surroundings(places, MemoryHead(), self.clock))
        store.executor.shutdown()
        store.executor = InlineExecutor()  # type: ignore[assignment]
        yield store

    def require_whole(self, store: Store) -> None:
        """Every manifest reads back, and those that were kept are there."""
        store.refresh()
        found = {one.manifest_id: content(store, one) for one in store.manifests()}
        for manifest_id, chunks in self.kept.items():
            assert found.get(manifest_id) == chunks, f"manifest {manifest_id} is lost"


def content(store: Store, manifest: Manifest) -> list[bytes]:
    """The chunks of an image."""
    source = store.reader(manifest.domain)
    tree = ImageTreeReader(source, image_tree_of(manifest.root))
    return [source.get(digest, BlobKind.DATA) for _, digest in tree.chunks()]


class Client:
    """One client, and the next one after each death."""

    def __init__(self, scene: Scene, scheduler: Scheduler, name: str, *, collects: bool) -> None:
        self.name = name
        self._collects = collects
        self._scene = scene
        self._scheduler = scheduler
        self._rng = scene.rng
        self._is_dead = False

    def work(self, actions: int) -> None:
        """Do so many things, each whatever the seed says."""
        things: list[Callable[[Store], None]] = [self._store, self._take_over, self._delete]
        if self._collects:
            things = [self._collect]
        while actions:
            self._is_dead = False
            faulty = FaultyObjects(
                self._scene.storage,
                writes=self._faults(),
                reads=self._faults(),
                effects=self._reached,
            )
            shared = self._rng.random() < 0.5
            places = self._scene.cache if shared else Places(None)
            with suppress(DeathError), self._scene.opened(faulty, places) as store:
                while actions:
                    actions -= 1
                    with suppress(*_EXPECTED):
                        self._rng.choice(things)(store)

    def _faults(self) -> Iterator[Fault]:
        while True:
            yield self._rng.choice(_FAULTS) if self._rng.random() < 0.004 else Fault.OK

    def _reached(self, point: str) -> None:
        if self._is_dead or self._rng.random() < 0.001:
            self._is_dead = True
            raise DeathError
        self._scheduler.reached(self.name, is_delicate=point in _DELICATE)
        if self._rng.random() < 0.01:
            self._scene.clock.advance(self._rng.choice([LEASE_S / 4, LEASE_S + 1]))

    def _store(self, store: Store) -> None:
        chunks = self._rng.sample(_CONTENTS, self._rng.randint(1, 2))
        with store.session() as session:
            writer = ImageTreeWriter(session, len(chunks))
            for index, chunk in enumerate(chunks):
                writer.put(index, session.put(chunk, BlobKind.DATA))
            self._commit(session, writer.finish(), chunks)

    def _take_over(self, store: Store) -> None:
        """As an incremental backup does, or with nothing changed a clone."""
        if not self._scene.kept:
            return
        base_id = self._rng.choice(sorted(self._scene.kept))
        base, chunks = self._scene.roots[base_id], list(self._scene.kept[base_id])
        with store.session(base_id=base_id) as session:
            tree = ImageTreeReader(store.reader(), image_tree_of(base.root))
            writer = ImageTreeWriter(session, len(chunks), base=tree)
            if self._rng.random() < 0.5:
                chunks[0] = self._rng.choice(_CONTENTS)
                writer.put(0, session.put(chunks[0], BlobKind.DATA))
            self._commit(session, writer.finish(), chunks)

    def _commit(self, session: Session, tree: ImageTree, chunks: list[bytes]) -> None:
        root = Root(
            kind=ManifestKind.IMAGE,
            size_bytes=len(chunks) * CHUNK_BYTES,
            tree_digest=tree.digest,
            chunk_bytes=CHUNK_BYTES,
            depth=tree.depth,
        )
        for _ in range(_ATTEMPTS):
            with suppress(StorageUnavailableError):
                manifest = session.commit(root)
                self._scene.roots[manifest.manifest_id] = manifest
                self._scene.kept[manifest.manifest_id] = chunks
                return

    def _delete(self, store: Store) -> None:
        if self._scene.kept:
            manifest_id = self._rng.choice(sorted(self._scene.kept))
            # From here on it may be there or not.
            del self._scene.kept[manifest_id]
            store.delete(manifest_id)

    def _collect(self, store: Store) -> None:
        live_share = self._rng.choice([0.0, 0.5, 0.9])
        Collection(store, Options(live_share=live_share), lambda _words: None).run()
