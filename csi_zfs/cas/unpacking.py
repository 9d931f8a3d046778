"""Writing a tree of files, or a part of it, below an open directory.

Nothing is ever written through a link, over something that is there, or outside: names are checked
where nodes are decoded, every entry is made new by its name in an open directory, and a directory
is entered without following links.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from csi_zfs.cas.api import ZERO_DIGEST, BlobKind, StoreCorruptError
from csi_zfs.cas.file_attributes import load_attributes, path_of
from csi_zfs.cas.file_content import batches_of, check_length, read_extents
from csi_zfs.cas.file_tree import FileTree, Visit, join
from csi_zfs.cas.file_writing import (
    create_file,
    dress,
    forget_default_acl,
    make_special,
    open_deep,
    raise_if_fatal,
    write_content,
)
from csi_zfs.cas.tree_entries import DEVICES, Entry, EntryKind
from csi_zfs.cas.tree_reports import Problem, ProblemKind, Told, TreeTotals
from csi_zfs.domain.errors import CorruptionError, InUseError

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# In a file system that is otherwise empty.
_MADE_BY_MKFS = b"lost+found"


class DestinationNotEmptyError(InUseError):
    """A tree is only unpacked into an empty directory: nothing that is there is written over."""


@dataclass(slots=True)
class _OpenDirectory:
    """A directory that is being filled; its metadata comes last."""

    descriptor: int
    path: bytes
    entry: Entry


@dataclass(slots=True)
class TreeUnpack:
    """Writes a tree, or what is at one path of it, into an open directory.

    What the file system refuses is told, and the rest goes on; no room, or a file system that
    fails, raises `DestinationFullError`, `DestinationFailedError`.  With `owners` (for root) files
    get their owners and everything that goes with these.  Without `devices` device nodes are left
    out and told.  With `salvage` damaged chunks become holes and are told; else the first one
    raises.  Nothing is synced.  One thread at a time.
    """

    tree: FileTree
    told: Told
    owners: bool
    devices: bool = False
    salvage: bool = False
    totals: TreeTotals = field(default_factory=TreeTotals)
    # Of every path that is unpacked; it is not there at the destination.
    _prefix: bytes = b""
    _open: list[_OpenDirectory] = field(default_factory=list)
    # Where the file of hard links is whose first one is outside that path, or was left out.
    _moved: dict[bytes, bytes] = field(default_factory=dict)

    def restore(self, directory: int, path: bytes = b"") -> TreeTotals:
        """Write what is in the directory at `path`, or the file there, into an open directory.

        The directory stays open and gets the metadata of the one at `path`.  Raises
        `PathNotFoundError`, `DestinationNotEmptyError`, and what reading the tree raises.
        """
        entry = self.tree.find(path)
        self._prefix = join(path, b"") if path else b""
        visits = iter([Visit(1, path, entry)])
        if entry.is_directory:
            if set(os.listdir(directory)) - {os.fsdecode(_MADE_BY_MKFS)}:
                raise DestinationNotEmptyError("the directory to unpack into is not empty")
            forget_default_acl(directory)
            visits = self.tree.walk(path, lost=self._lost if self.salvage else None)
        self._open.append(_OpenDirectory(directory, path, entry))
        try:
            for batch in batches_of(visits, _length_of):
                self._restore_batch(batch)
            while len(self._open) > 1:
                self._leave()
            if entry.is_directory:
                self._dress(directory, path, entry)
        finally:
            for opened in self._open[1:]:
                os.close(opened.descriptor)
            self._open.clear()
        return self.totals

    def _restore_batch(self, batch: list[Visit]) -> None:
        plan = [(visit, self._link_of(visit)) for visit in batch]
        wanted = [
            visit.entry.content for visit, link in plan if not link and _is_small(visit.entry)
        ]
        chunks = self._chunks(wanted)
        for visit, link in plan:
            data = next(chunks) if not link and _is_small(visit.entry) else None
            self._restore(visit, link, data)

    def _chunks(self, digests: list[bytes]) -> Iterator[bytes | CorruptionError]:
        if self.salvage:
            return (self._chunk(digest) for digest in digests)
        return self.tree.source.get_many(digests, BlobKind.DATA)

    def _chunk(self, digest: bytes) -> bytes | CorruptionError:
        try:
            return self.tree.source.get(digest, BlobKind.DATA)
        except CorruptionError as exc:
            return exc

    def _restore(self, visit: Visit, link: bytes, data: bytes | CorruptionError | None) -> None:
        while len(self._open) > visit.level:
            self._leave()
        if len(self._open) < visit.level:
            return  # its directory could not be made, which was told
        parent, entry = self._open[-1].descriptor, visit.entry
        try:
            if link and self._link(parent, visit, link):
                return
            if entry.is_directory:
                self._enter(parent, visit)
            elif entry.kind is EntryKind.FILE:
                if link and _is_small(entry):
                    data = next(self._chunks([entry.content]))
                self._file(parent, visit, data)
            else:
                self._special(parent, visit)
        except OSError as exc:
            raise_if_fatal(exc)
            self._tell(visit.path, ProblemKind.LEFT_OUT, exc.strerror or str(exc))

    def _enter(self, parent: int, visit: Visit) -> None:
        try:
            os.mkdir(visit.entry.name, 0o700, dir_fd=parent)
        except FileExistsError:
            if visit.entry.name != _MADE_BY_MKFS or len(self._open) > 1:
                raise
        descriptor = os.open(visit.entry.name, _OPEN_DIRECTORY, dir_fd=parent)
        self._open.append(_OpenDirectory(descriptor, visit.path, visit.entry))
        self.totals.directories += 1

    def _leave(self) -> None:
        current = self._open.pop()
        try:
            self._dress(current.descriptor, current.path, current.entry)
        finally:
            os.close(current.descriptor)

    def _file(self, parent: int, visit: Visit, data: bytes | CorruptionError | None) -> None:
        entry = visit.entry
        descriptor = create_file(parent, entry.name)
        try:
            pieces = self._pieces(visit, data)
            self.totals.read_bytes += write_content(descriptor, entry.size, pieces)
            self._dress(descriptor, visit.path, entry)
        except OSError:
            os.unlink(entry.name, dir_fd=parent)
            raise
        finally:
            os.close(descriptor)
        self.totals.files += 1
        self.totals.size_bytes += entry.size
        if self.totals.size_bytes > self.tree.root.size_bytes:
            raise StoreCorruptError("a tree of files has more bytes in it than its root says")

    def _pieces(
        self, visit: Visit, small: bytes | CorruptionError | None
    ) -> Iterator[tuple[int, bytes]]:
        try:
            if isinstance(small, bytes):
                yield 0, check_length(small, visit.entry.size)
            elif small is not None:
                raise small
            else:
                yield from self._extents(visit)
        except CorruptionError as exc:
            if not self.salvage:
                raise
            self._tell(visit.path, ProblemKind.DAMAGED, f"from here on to its end: {exc}")

    def _extents(self, visit: Visit) -> Iterator[tuple[int, bytes]]:
        extents = read_extents(self.tree.source, visit.entry)
        for batch in batches_of(extents, lambda extent: extent[1]):
            chunks = self._chunks([digest for _, _, digest in batch])
            for (offset, length, _), data in zip(batch, chunks, strict=True):
                if isinstance(data, bytes):
                    yield offset, check_length(data, length)
                else:
                    detail = f"{length} bytes from {offset} on: {data}"
                    self._tell(visit.path, ProblemKind.DAMAGED, detail)

    def _special(self, parent: int, visit: Visit) -> None:
        entry = visit.entry
        if entry.kind in DEVICES and not self.devices:
            self._tell(visit.path, ProblemKind.LEFT_OUT, "device nodes were not asked for")
            return
        self.totals.others += 1
        if entry.kind is EntryKind.SYMLINK:
            os.symlink(entry.target, entry.name, dir_fd=parent)
            self._dress(path_of(parent, entry.name), visit.path, entry)
            return
        make_special(parent, entry)
        descriptor = os.open(entry.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            self._dress(b"/proc/self/fd/%d" % descriptor, visit.path, entry)
        finally:
            os.close(descriptor)

    def _link_of(self, visit: Visit) -> bytes:
        """The path below the destination of the file that this one is a link to, if it is one."""
        link_to = visit.entry.link_to
        if not link_to or (visit.entry.kind in DEVICES and not self.devices):
            return b""
        if link_to.startswith(self._prefix):
            return link_to.removeprefix(self._prefix)
        known = self._moved.get(link_to, b"")
        if not known:
            self._moved[link_to] = visit.path.removeprefix(self._prefix)
        return known

    def _link(self, parent: int, visit: Visit, link: bytes) -> bool:
        """Make a link; false where its file is not there, since then this is the first one."""
        directory, _, first = self._moved.get(visit.entry.link_to, link).rpartition(b"/")
        try:
            source = open_deep(self._open[0].descriptor, directory)
            try:
                name = visit.entry.name
                os.link(first, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
            finally:
                os.close(source)
        except FileNotFoundError:
            self._moved[visit.entry.link_to] = visit.path.removeprefix(self._prefix)
            return False
        self.totals.links += 1
        return True

    def _dress(self, target: int | bytes, path: bytes, entry: Entry) -> None:
        try:
            attributes = load_attributes(self.tree.source, entry)
        except CorruptionError as exc:
            if not self.salvage:
                raise
            self._tell(path, ProblemKind.DAMAGED, f"its extended attributes: {exc}")
            attributes = []
        for what, refusal in dress(target, entry, attributes, owners=self.owners):
            self._tell(path, ProblemKind.METADATA, f"{what}: {refusal.strerror}")

    def _lost(self, path: bytes, exc: CorruptionError) -> None:
        self._tell(path, ProblemKind.DAMAGED, f"the rest of the directory: {exc}")

    def _tell(self, path: bytes, kind: ProblemKind, detail: str) -> None:
        self.totals.problems += 1
        self.told(Problem(path, kind, detail))


def _is_small(entry: Entry) -> bool:
    is_chunk = entry.kind is EntryKind.FILE and not entry.has_content_node
    return is_chunk and entry.content != ZERO_DIGEST


def _length_of(visit: Visit) -> int:
    return visit.entry.size if _is_small(visit.entry) else 0
