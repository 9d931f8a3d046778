"""Chunk stores for tests: on any object storage, with everything beside it in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from csi_zfs.cas.api import BlobKind, Manifest, ManifestKind, ObjectStorage, Root
from csi_zfs.cas.image_writer import ImageTreeWriter
from csi_zfs.cas.journal import Head
from csi_zfs.cas.places import Places
from csi_zfs.cas.slots import Credential, SlotKind
from csi_zfs.cas.store import Store, Surroundings, make_store, unlocked
from csi_zfs.system.clock import Clock
from tests.support.clock import FakeClock

CHUNK_BYTES = 64 << 10
# Stretching a passphrase takes long on purpose: tests open stores by a key.
CREDENTIAL = Credential(SlotKind.KEY, b"a key of a store, 32 bytes long.")


@dataclass(slots=True)
class MemoryHead:
    """What a client remembers of a journal."""

    head: Head = field(default_factory=Head)

    def load(self) -> Head:
        """See `HeadMemory`."""
        return self.head

    def save(self, head: Head) -> None:
        """See `HeadMemory`."""
        self.head = head


@contextmanager
def opened_store(
    storage: ObjectStorage, *, clock: Clock | None = None, memory: MemoryHead | None = None
) -> Iterator[Store]:
    """The store in a storage, for the length of a `with` block."""
    header, store_key = unlocked(storage, CREDENTIAL)
    surroundings = Surroundings(Places(None), memory or MemoryHead(), clock or FakeClock())
    store = Store(storage, header, store_key, surroundings)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def new_store(storage: ObjectStorage, *, clock: Clock | None = None) -> Iterator[Store]:
    """A store that is made in a storage, for the length of a `with` block."""
    make_store(storage, CREDENTIAL, clock or FakeClock(), chunk_bytes=CHUNK_BYTES)
    with opened_store(storage, clock=clock) as store:
        yield store


def put_image(store: Store, chunks: list[bytes], **labels: str) -> Manifest:
    """Put an image of whole chunks; an empty one is zeros."""
    with store.session() as session:
        writer = ImageTreeWriter(session, len(chunks))
        for index, chunk in enumerate(chunks):
            if chunk:
                writer.put(index, session.put(chunk, BlobKind.DATA))
        tree = writer.finish()
        return session.commit(
            Root(
                kind=ManifestKind.IMAGE,
                size_bytes=len(chunks) * CHUNK_BYTES,
                tree_digest=tree.digest,
                chunk_bytes=CHUNK_BYTES,
                depth=tree.depth,
                labels=labels,
            )
        )
