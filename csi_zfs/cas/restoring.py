"""What is in a store back onto a disk: whole and synced before it has its name."""

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from csi_zfs.cas.api import BlobKind, ChunkSource, Manifest, ManifestKind
from csi_zfs.cas.extents import size_of
from csi_zfs.cas.file_tree import FileTree
from csi_zfs.cas.image_ingest import nothing_done
from csi_zfs.cas.image_restore import ImageRestore, Salvage
from csi_zfs.cas.store import Store
from csi_zfs.cas.targets import NewTarget, Target, UsedTarget, translated
from csi_zfs.cas.tree_reports import Problem, ProblemKind, TreeTotals
from csi_zfs.cas.unpacking import TreeUnpack
from csi_zfs.domain.errors import CsiZfsError, IncompatibleError, InUseError, InvalidRequestError
from csi_zfs.system.files import Files, sync_filesystem

Progress = Callable[[int], None]


class TargetExistsError(IncompatibleError):
    """There is something of the target's name already, which is not what was asked for."""


class TargetBusyError(InUseError):
    """The device is mounted, or somebody has it for itself."""


class NotATreeError(InvalidRequestError):
    """Only trees of files have paths."""


@dataclass(slots=True)
class Restored:
    """What could not be restored as it was: ranges of an image, paths of a tree."""

    lost: Salvage = field(default_factory=Salvage)
    problems: list[Problem] = field(default_factory=list)
    totals: TreeTotals | None = None

    @property
    def is_damaged(self) -> bool:
        """Whether something was left out because the store's copy of it is damaged."""
        is_tree = any(one.kind is ProblemKind.DAMAGED for one in self.problems)
        return is_tree or bool(self.lost.ranges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoring:
    """How a manifest is restored.

    With `is_in_place` an image goes onto a file or block device of its size, of which only what
    differs is written.  With `is_salvage` what is damaged is told and left out: of a new file it is
    zeros, in place it stays what it was.
    """

    is_in_place: bool = False
    is_salvage: bool = False
    path: bytes = b""

    def restore(
        self, store: Store, manifest: Manifest, target: Path, progress: Progress
    ) -> Restored:
        """Restore to `target`, durably.

        A new file gets its name when it is whole.  Raises `TargetExistsError`, `TargetBusyError`,
        `NotATreeError`, `CorruptionError` and what the target raises.
        """
        if manifest.root.kind is ManifestKind.TREE:
            return self._tree(store, manifest, target, progress)
        if self.path:
            raise NotATreeError(f"manifest {manifest.manifest_id} is an image: it has no paths")
        opened = _used(target, manifest) if self.is_in_place else _new(target, manifest)
        restored = Restored()
        with opened as onto:
            salvage = restored.lost if self.is_salvage else None
            reader = store.reader(manifest.domain)
            ImageRestore(reader, manifest.root, onto, salvage=salvage).run(progress)
            onto.sync()
        return restored

    def _tree(self, store: Store, manifest: Manifest, target: Path, progress: Progress) -> Restored:
        if self.is_in_place:
            raise NotATreeError("a tree of files goes into an empty directory, never in place")
        restored = Restored()
        tree = tree_of(store, manifest, progress)
        tree.find(self.path)
        unpack = TreeUnpack(
            tree, restored.problems.append, owners=os.geteuid() == 0, salvage=self.is_salvage
        )
        with _directory(target) as descriptor:
            restored.totals = unpack.restore(descriptor, self.path)
            with _translating(target):
                sync_filesystem(descriptor)
        return restored


@dataclass(frozen=True, slots=True)
class _Counted:
    """A source that tells of the content that was read from it."""

    source: ChunkSource
    progress: Progress

    def get(self, digest: bytes, kind: BlobKind) -> bytes:
        """See `ChunkSource`."""
        return self._told(self.source.get(digest, kind), kind)

    def get_many(self, digests: Sequence[bytes], kind: BlobKind) -> Iterator[bytes]:
        """See `ChunkSource`."""
        return (self._told(data, kind) for data in self.source.get_many(digests, kind))

    def _told(self, data: bytes, kind: BlobKind) -> bytes:
        if kind is BlobKind.DATA:
            self.progress(len(data))
        return data


def tree_of(store: Store, manifest: Manifest, progress: Progress = nothing_done) -> FileTree:
    """The tree of files of a manifest; `progress` is told of content that is read.

    Raises `NotATreeError`.
    """
    if manifest.root.kind is not ManifestKind.TREE:
        raise NotATreeError(f"manifest {manifest.manifest_id} is an image: it has no paths")
    source = _Counted(store.reader(manifest.domain), progress)
    return FileTree(source, manifest.root.tree_digest)


@contextmanager
def _new(path: Path, manifest: Manifest) -> Iterator[Target]:
    """A new file, which has its name after the block; where that raises, it is gone."""
    files = Files()
    with _translating(path):
        is_there = path.is_symlink() or path.exists()
    if is_there:
        raise TargetExistsError(
            f"{path} is there already: choose another name, or --in-place for a file or device of"
            f" {manifest.root.size_bytes} bytes"
        )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with _translating(path):
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield NewTarget(descriptor, manifest.root.size_bytes)
        with _translating(path):
            files.rename_new(temporary, path)
            files.sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


@contextmanager
def _used(path: Path, manifest: Manifest) -> Iterator[Target]:
    """A file or block device that is there."""
    with _translating(path):
        mode = path.stat().st_mode
        if not stat.S_ISBLK(mode) and not stat.S_ISREG(mode):
            raise TargetExistsError(f"{path} is no file and no block device")
        # Of a block device it is refused where that is mounted.
        alone = os.O_EXCL if stat.S_ISBLK(mode) else 0
        descriptor = os.open(path, os.O_RDWR | alone | os.O_CLOEXEC)
    try:
        with _translating(path):
            size_bytes = size_of(descriptor)
        if size_bytes != manifest.root.size_bytes:
            raise TargetExistsError(
                f"{path} has {size_bytes} bytes and the image {manifest.root.size_bytes}: in place"
                " they must be equal"
            )
        yield UsedTarget(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    """A directory to unpack into, made where it is missing."""
    with _translating(path):
        path.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _translating(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise _meaning(path, exc) from exc


def _meaning(path: Path, exc: OSError) -> CsiZfsError:
    match exc.errno:
        case errno.EBUSY:
            return TargetBusyError(f"{path} is in use: unmount it first")
        case errno.EEXIST | errno.ENOTDIR:
            return TargetExistsError(f"{path} cannot be made: {exc.strerror}")
        case _:
            return translated(OSError(exc.errno, f"{path}: {exc.strerror}"))
