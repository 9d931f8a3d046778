"""A small store with one of everything that a store can hold, always the same bytes.

Made once for each version of the formats and kept, as `tests/data/store-1`, so that the code of
later versions is held to reading it.  For the next one, in the root of the repository::

    python -m tests.support.store_specimen tests/data/store-2
"""

import os
import socket
import sys
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from blake3 import blake3

from csi_zfs.cas.api import BlobKind, Manifest, ManifestKind, ObjectStorage, Root
from csi_zfs.cas.directories import DirectoryWriter
from csi_zfs.cas.epochs import advance, read_epoch
from csi_zfs.cas.file_attributes import Attributes, store_attributes
from csi_zfs.cas.file_content import ContentWriter
from csi_zfs.cas.image_writer import ImageTreeWriter
from csi_zfs.cas.keys import StoreKey
from csi_zfs.cas.places import Places
from csi_zfs.cas.records import Phase
from csi_zfs.cas.sessions import Session, fence, read_session
from csi_zfs.cas.slots import SLOTS, Credential, NewSlot, SlotKind
from csi_zfs.cas.store import Store, Surroundings, make_store, unlocked
from csi_zfs.cas.tree_entries import Entry, EntryKind
from csi_zfs.cas.tree_root import TreeRoot, write_root
from csi_zfs.cas.verification import BadChunk, mark_bad
from csi_zfs.system.digest import keyed_digest
from tests.support.clock import FakeClock
from tests.support.memory_objects import MemoryObjects
from tests.support.stores import CREDENTIAL, MemoryHead

KEPT = sorted((Path(__file__).parents[1] / "data").glob("store-*"))
PASSPHRASE = Credential(SlotKind.PASSPHRASE, b"a passphrase of the specimen")
CHUNK_BYTES = 64 << 10
# Two levels: one chunk in the first node of level 0, a short one in the second.
IMAGE = {0: b"the first chunk. ".ljust(CHUNK_BYTES, b"."), 1024: b"the last one"}
IMAGE_BYTES = 1024 * CHUNK_BYTES + len(IMAGE[1024])
IMAGE_LABELS = {"name": "disk", "text": 'a "word"\n\x7f\u00e9\U0001f4be'}
LOST = b"what only a deleted manifest has"
TREE_DOMAIN = "trees"
MODE, UID, GID = 0o4751, 1000, 2000
MTIME_NS = -1_500_000_000
SMALL = bytes(blake3(b"what does not compress").digest(200))
SHORT_ATTRIBUTES: Attributes = [(b"user.a", b"1"), (b"user.b", b"")]
LONG_ATTRIBUTES: Attributes = [(b"user.long", b"v" * 2000)]

TOP_NAMES = [
    b"block",
    b"character",
    b"empty",
    b"fifo",
    b"large",
    b"link",
    b"many",
    b"small",
    b"the same",
    b"zeros",
]

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class _AtOnce(Executor):
    """Runs what it is given before it returns: threads would end in another order each time."""

    def submit(
        self,
        fn: Callable[_Parameters, _Result],
        /,
        *args: _Parameters.args,
        **kwargs: _Parameters.kwargs,
    ) -> Future[_Result]:
        future: Future[_Result] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@dataclass(slots=True)
class _FixedRandom:
    """The same bytes each time, for `os.urandom`."""

    at: int = 0

    def __call__(self, size: int, /) -> bytes:
        self.at += size
        return bytes(blake3(b"csi-zfs specimen").digest(size, seek=self.at - size))


@dataclass(slots=True)
class Specimen:
    """What is in the store besides this module's constants."""

    image: Manifest
    tree: Manifest
    deleted_id: str
    open_id: str
    aborted_id: str
    lost_digest: bytes
    lost_packs: set[bytes] = field(default_factory=set)


def large_file(key: bytes) -> list[bytes]:
    """A file in pieces of 64 KiB, each a chunk or zeros, whose content has two levels of nodes.

    Where a node ends depends on digests, so on the key of the domain's chunks.
    """
    piece, zeros = b"piece".ljust(CHUNK_BYTES, b"-"), bytes(CHUNK_BYTES)
    candidates = (b"%d" % number * (CHUNK_BYTES // 4) for number in range(1000, 10000))
    last = next(one for one in candidates if not zlib.crc32(keyed_digest(key, one)) & 0xFF)
    return [piece, zeros] * 16 + [last, zeros, b"the end"]


def many_names() -> list[bytes]:
    """Names that need two nodes: the first one ends at a name whose CRC-32 says so."""
    names = [b"n%03d" % number for number in range(31)]
    last = next(name for name in (b"o%05d" % n for n in range(9999)) if not zlib.crc32(name) & 0xFF)
    return [*names, last, b"p"]


def make_specimen(storage: ObjectStorage) -> Specimen:
    """Make the store; its content is the same each time, its bytes where `fixed` holds."""
    clock = FakeClock()
    make_store(storage, CREDENTIAL, clock, chunk_bytes=CHUNK_BYTES)
    header, store_key = unlocked(storage, CREDENTIAL)
    slot_id = os.urandom(16).hex()
    slot = NewSlot(slot_id=slot_id, store_id=header.store_id, label="p", created_ns=1, cost=16)
    storage.put_new(SLOTS + slot_id, slot.encode(store_key, PASSPHRASE))
    store = Store(storage, header, store_key, Surroundings(Places(None), MemoryHead(), clock))
    store.executor.shutdown()
    store.executor = _AtOnce()  # type: ignore[assignment]
    try:
        return _filled(store, store_key)
    finally:
        store.close()


def _filled(store: Store, store_key: StoreKey) -> Specimen:
    with store.session() as session:
        image = session.commit(put_image(session))
    with store.session(TREE_DOMAIN) as session:
        tree = session.commit(put_tree(session, store_key.chunk_key(TREE_DOMAIN, BlobKind.DATA)))
    before = store.places.packs().keys()
    with store.session() as session:
        lost_digest = session.put(LOST, BlobKind.DATA)
        writer = ImageTreeWriter(session, 1)
        writer.put(0, lost_digest)
        root = Root(
            kind=ManifestKind.IMAGE,
            size_bytes=len(LOST),
            tree_digest=writer.finish().digest,
            chunk_bytes=CHUNK_BYTES,
            depth=1,
        )
        deleted = session.commit(root)
    store.delete(deleted.manifest_id)
    (place,) = store.places.find(lost_digest)
    mark_bad(store, [BadChunk(lost_digest, place.pack_id, "")])
    aborted, opened = store.begin(), store.begin()
    fence(store.vault, aborted.session_id, *read_session(store.vault, aborted.session_id))
    lost_packs = set(store.places.packs().keys() - before)
    advance(store.vault, read_epoch(store.vault), Phase.CONDEMNED, frozenset(lost_packs))
    return Specimen(
        image=image,
        tree=tree,
        deleted_id=deleted.manifest_id,
        open_id=opened.session_id,
        aborted_id=aborted.session_id,
        lost_digest=lost_digest,
        lost_packs=lost_packs,
    )


def put_image(session: Session) -> Root:
    """Put the image; returns what is to be committed."""
    writer = ImageTreeWriter(session, 1025)
    for index, chunk in IMAGE.items():
        writer.put(index, session.put(chunk, BlobKind.DATA))
    tree = writer.finish()
    return Root(
        kind=ManifestKind.IMAGE,
        size_bytes=IMAGE_BYTES,
        tree_digest=tree.digest,
        chunk_bytes=CHUNK_BYTES,
        depth=tree.depth,
        labels=IMAGE_LABELS,
        zfs_guid="1234567890123456789",
        zfs_createtxg=77,
    )


def put_tree(session: Session, key: bytes) -> Root:
    """Put the tree of files; `key` is that of the chunks of its domain."""
    large = large_file(key)
    content = ContentWriter(session)
    for piece in large:
        content.add(piece)
    many = DirectoryWriter(session)
    for name in many_names():
        many.add(_entry(name, EntryKind.FILE))
    short, _ = store_attributes(session, SHORT_ATTRIBUTES)
    _, long = store_attributes(session, LONG_ATTRIBUTES)
    small = _entry(b"small", EntryKind.FILE)._replace(
        size=len(SMALL), content=session.put(SMALL, BlobKind.DATA), attributes=short
    )
    entries = [
        _entry(b"block", EntryKind.BLOCK_DEVICE)._replace(size=8 << 32 | 1),
        _entry(b"character", EntryKind.CHARACTER_DEVICE)._replace(size=1 << 32 | 3),
        _entry(b"empty", EntryKind.DIRECTORY)._replace(attributes_digest=long),
        _entry(b"fifo", EntryKind.FIFO),
        _entry(b"large", EntryKind.FILE)._replace(
            size=sum(map(len, large)), content=content.finish(), has_content_node=True
        ),
        _entry(b"link", EntryKind.SYMLINK)._replace(target=b"small"),
        _entry(b"many", EntryKind.DIRECTORY)._replace(content=many.finish()),
        small,
        small._replace(name=b"the same", link_to=b"small"),
        _entry(b"zeros", EntryKind.FILE)._replace(size=CHUNK_BYTES),
    ]
    directory = DirectoryWriter(session)
    for entry in entries:
        directory.add(entry)
    top = _entry(b"", EntryKind.DIRECTORY)._replace(content=directory.finish())
    size_bytes = sum(map(len, large)) + len(SMALL) + CHUNK_BYTES
    root = TreeRoot(len(entries) + len(many_names()), size_bytes, top)
    digest = write_root(session, root)
    return Root(kind=ManifestKind.TREE, size_bytes=size_bytes, tree_digest=digest)


def _entry(name: bytes, kind: EntryKind) -> Entry:
    return Entry(name, kind, MODE, UID, GID, MTIME_NS)


@contextmanager
def fixed() -> Iterator[None]:
    """Nothing of the machine or of chance is in what is made in a `with` block."""
    were = os.urandom, os.getpid, socket.gethostname
    os.urandom = _FixedRandom()
    os.getpid, socket.gethostname = (lambda: 1), (lambda: "machine")
    try:
        yield
    finally:
        os.urandom, os.getpid, socket.gethostname = were


def read_specimen(directory: Path) -> MemoryObjects:
    """The objects of a specimen that was kept."""
    storage = MemoryObjects()
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            storage.put(path.relative_to(directory).as_posix(), path.read_bytes())
    return storage


def keep_specimen(directory: Path) -> None:
    """Make the specimen and keep it in a new directory."""
    storage = MemoryObjects()
    with fixed():
        make_specimen(storage)
    for key, kept in storage.kept.items():
        path = directory / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(kept.data)


if __name__ == "__main__":
    keep_specimen(Path(sys.argv[1]))
