"""What is on a disk into a store: a file or block device as an image, a directory as a tree."""

import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from csi_zfs.cas.api import BlobKind, ChunkSink, Manifest, ManifestKind, Root, Written
from csi_zfs.cas.extents import data_ranges, size_of
from csi_zfs.cas.file_tree import FileTree
from csi_zfs.cas.image_ingest import ImageUnreadableError, ingest_image
from csi_zfs.cas.keys import DEFAULT_DOMAIN
from csi_zfs.cas.known_files import FileState, KnownFiles
from csi_zfs.cas.store import Store
from csi_zfs.cas.tree_reports import Problem, TreeTotals
from csi_zfs.cas.walking import StoredTree, TreeWalk
from csi_zfs.domain.errors import InvalidRequestError, UnavailableError

_THREADS = (os.cpu_count() or 1) + 1
_READING = os.O_RDONLY | os.O_CLOEXEC

Progress = Callable[[int], None]


class NotStorableError(InvalidRequestError):
    """Only files, block devices and directories are stored."""


class SourceUnreadableError(UnavailableError):
    """What is to be stored cannot be opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What became of a source: its manifest, what was new, and what of a tree is not as it was."""

    manifest: Manifest
    written: Written
    totals: TreeTotals | None = None
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Source:
    """An open file, block device or directory, and about how much there is to read.

    Nobody knows how much that is before a directory was read.
    """

    path: Path
    descriptor: int
    kind: ManifestKind
    data_bytes: int | None


@contextmanager
def opened_source(path: Path) -> Iterator[Source]:
    """Open what is to be stored, for the length of a `with` block.

    Raises `NotStorableError`, `SourceUnreadableError`, `ImageUnreadableError`.
    """
    try:
        # A pipe must not block; the other kinds do not know the flag.
        descriptor = os.open(path, _READING | os.O_NONBLOCK)
    except OSError as exc:
        raise SourceUnreadableError(f"{path} cannot be read: {exc.strerror}") from exc
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            yield Source(path, descriptor, ManifestKind.TREE, None)
        elif stat.S_ISREG(mode) or stat.S_ISBLK(mode):
            data_bytes = _data_bytes(path, descriptor)
            yield Source(path, descriptor, ManifestKind.IMAGE, data_bytes)
        else:
            raise NotStorableError(f"{path} is no file, block device or directory")
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archiving:
    """How something is stored: under which labels, in which dedup domain.

    With `since`, an older manifest of the same directory that was made on this machine, files that
    surely did not change since are not read; its domain is that of the new one.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    domain: str = DEFAULT_DOMAIN
    one_file_system: bool = False
    since: Manifest | None = None

    def store(self, store: Store, source: Source, progress: Progress) -> Stored:
        """Store all of it; the manifest is there as a whole or not at all.

        `progress` is told of bytes that are done.  What is cut short leaves its chunks, which the
        next run finds.  Raises what reading and the store raise.
        """
        if source.kind is ManifestKind.TREE:
            return self._tree(store, source, progress)
        if self.since is not None:
            raise NotStorableError("an image is read whole: nothing says what changed of it")
        return self._image(store, source, progress)

    def _image(self, store: Store, source: Source, progress: Progress) -> Stored:
        chunk_bytes = store.header.chunk_bytes
        with store.session(self.domain) as session:

            def advance(count: int) -> None:
                session.beat()
                progress(count)

            tree, size_bytes = ingest_image(
                session, source.descriptor, chunk_bytes=chunk_bytes, progress=advance
            )
            root = Root(
                kind=ManifestKind.IMAGE,
                size_bytes=size_bytes,
                tree_digest=tree.digest,
                chunk_bytes=chunk_bytes,
                depth=tree.depth,
                labels=self.labels,
            )
            manifest = session.commit(root)
            return Stored(manifest=manifest, written=session.written)

    def _tree(self, store: Store, source: Source, progress: Progress) -> Stored:
        problems: list[Problem] = []
        since = self.since
        domain, base_id = (since.domain, since.manifest_id) if since else (self.domain, "")
        with (
            store.session(domain, base_id=base_id) as session,
            ThreadPoolExecutor(_THREADS, thread_name_prefix="archive") as executor,
        ):
            known = _known_files(store, since) if since else _nothing_known

            def take_over(state: FileState) -> tuple[bytes, bool] | None:
                session.beat()
                return known(state)

            walk = TreeWalk(
                _Counted(session, progress),
                problems.append,
                one_file_system=self.one_file_system,
                take_over=take_over,
                executor=executor,
            )
            tree = _read(walk, source)
            root = Root(
                kind=ManifestKind.TREE,
                size_bytes=tree.totals.size_bytes,
                tree_digest=tree.digest,
                parent_id=base_id,
                labels=self.labels,
            )
            manifest = session.commit(root)
            return Stored(
                manifest=manifest,
                written=session.written,
                totals=tree.totals,
                problems=problems,
            )


def _nothing_known(_state: FileState) -> None:
    """Of a directory that nothing older is known of."""


def _known_files(store: Store, since: Manifest) -> KnownFiles:
    """Raises `NotStorableError` where the older manifest is not that of a tree."""
    if since.root.kind is not ManifestKind.TREE:
        raise NotStorableError(f"manifest {since.manifest_id} is an image and no older directory")
    tree = FileTree(store.reader(since.domain), since.root.tree_digest)
    # When a session was begun, and so before anything was read.
    return KnownFiles(tree, since.created_ns, lambda digest, _: store.places.has(digest))


def _read(walk: TreeWalk, source: Source) -> StoredTree:
    try:
        return walk.read(source.descriptor)
    except OSError as exc:
        raise SourceUnreadableError(f"{source.path} cannot be read: {exc.strerror}") from exc


@dataclass(frozen=True, slots=True)
class _Counted:
    """A sink that tells of what is put into it, one thread at a time."""

    sink: ChunkSink
    progress: Progress
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, data: bytes | bytearray | memoryview, kind: BlobKind) -> bytes:
        digest = self.sink.put(data, kind)
        if kind is BlobKind.DATA:
            with self.lock:
                self.progress(len(data))
        return digest


def _data_bytes(path: Path, descriptor: int) -> int:
    try:
        size_bytes = size_of(descriptor)
        return sum(length for _, length in data_ranges(descriptor, size_bytes))
    except OSError as exc:
        raise ImageUnreadableError(f"{path} cannot be read: {exc.strerror}") from exc
