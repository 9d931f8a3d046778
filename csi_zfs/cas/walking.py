"""Reading a directory with all that is below it into a store."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field

from csi_zfs.cas.api import ChunkSink
from csi_zfs.cas.directories import DirectoryWriter
from csi_zfs.cas.file_attributes import (
    MOST_BYTES,
    list_attributes,
    path_of,
    store_attributes,
)
from csi_zfs.cas.file_reading import FileBytes, store_content
from csi_zfs.cas.file_status import entry_of, has_changed, names_in, open_file, status_of
from csi_zfs.cas.file_tree import MOST_LEVELS
from csi_zfs.cas.known_files import FileState
from csi_zfs.cas.tree_entries import Entry, EntryKind, encode_attributes
from csi_zfs.cas.tree_reports import Problem, ProblemKind, Told, TreeTotals
from csi_zfs.cas.tree_root import TreeRoot, write_root
from csi_zfs.domain.errors import UnavailableError

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# What no later file would escape either.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_SPECIAL = {
    stat.S_IFLNK: EntryKind.SYMLINK,
    stat.S_IFCHR: EntryKind.CHARACTER_DEVICE,
    stat.S_IFBLK: EntryKind.BLOCK_DEVICE,
    stat.S_IFIFO: EntryKind.FIFO,
}


class ReadingFailedError(UnavailableError):
    """The machine lacks what every file needs to be opened; raise its limits, then repeat."""


# The content of a file, if it is known already: its digest and whether that is a node.  Whoever
# answers holds the chunks in the store.
TakeOver = Callable[[FileState], tuple[bytes, bool] | None]


@dataclass(frozen=True, slots=True)
class StoredTree:
    """A tree that was read: its digest and what it holds."""

    digest: bytes
    totals: TreeTotals


@dataclass(slots=True)
class _OpenDirectory:
    """A directory that is being read: `path` ends with a slash, except at the top."""

    descriptor: int
    name: bytes
    path: bytes
    status: os.stat_result
    # The latest change of this or a directory above it, without the top.
    changed_ns: int
    attributes: tuple[bytes, bytes]
    # Each name with a NUL and a letter for its type: one sorts as the other.
    names: Iterator[bytes]
    writer: DirectoryWriter


@dataclass(slots=True)
class TreeWalk:
    """Reads a directory into a sink, its entries in the order of their names.

    What cannot be read, vanishes or changes meanwhile is told and never ends the walk; what the
    sink raises does.  Links are never followed.  Sockets are counted and left out.  A file that
    changes while it is read is kept as it was read.  With `one_file_system`, a directory where
    another one is mounted is kept without what is in it.  With an `executor`, chunks of large files
    are put in its threads; it must not be one that the sink itself needs.  One thread at a time.
    """

    sink: ChunkSink
    told: Told
    one_file_system: bool = False
    take_over: TakeOver | None = None
    executor: Executor | None = None
    totals: TreeTotals = field(default_factory=TreeTotals)
    _open: list[_OpenDirectory] = field(default_factory=list)
    # By device and inode of a file with more links to come: its first path, its entry, how many.
    _links: dict[tuple[int, int], tuple[bytes, Entry, int]] = field(default_factory=dict)

    def read(self, directory: int) -> StoredTree:
        """Read an open directory, which stays open.

        Raises `OSError` where the directory itself cannot be read, `ReadingFailedError` where the
        machine has no descriptors left.
        """
        try:
            top = self._read(directory)
        finally:
            while self._open:
                os.close(self._open.pop().descriptor)
        root = TreeRoot(self.totals.entries, self.totals.size_bytes, top)
        return StoredTree(write_root(self.sink, root), self.totals)

    def _read(self, directory: int) -> Entry:
        self._enter(directory, b".", b"", b"")
        while True:
            current = self._open[-1]
            item = next(current.names, None)
            if item is not None:
                self._take(current, item[:-2], item[-1:])
                continue
            entry = self._leave(current)
            if not self._open:
                return entry
            self.totals.directories += 1
            self._open[-1].writer.add(entry)

    def _take(self, parent: _OpenDirectory, name: bytes, letter: bytes) -> None:
        if letter == b"d":
            self._take_directory(parent, name)
            return
        entry = self._file(parent, name) if letter == b"f" else self._special(parent, name)
        if entry is not None:
            parent.writer.add(entry)

    def _take_directory(self, parent: _OpenDirectory, name: bytes) -> None:
        path = parent.path + name
        if len(self._open) >= MOST_LEVELS:
            detail = f"directories are read {MOST_LEVELS} levels deep"
            self._tell(path, ProblemKind.TOO_DEEP, detail)
            return
        try:
            self._enter(parent.descriptor, name, name, path + b"/")
        except OSError as exc:
            self._tell_error(path, exc)

    def _enter(self, parent: int, opened: bytes, name: bytes, path: bytes) -> None:
        descriptor = os.open(opened, _OPEN_DIRECTORY, dir_fd=parent)
        try:
            status = os.fstat(descriptor)
            attributes = self._attributes(descriptor, path.removesuffix(b"/"))
            is_other = bool(self._open) and status.st_dev != self._open[0].status.st_dev
            names = [] if is_other and self.one_file_system else names_in(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        changed_ns = max(self._open[-1].changed_ns, status.st_ctime_ns) if self._open else 0
        writer = DirectoryWriter(self.sink)
        self._open.append(
            _OpenDirectory(
                descriptor, name, path, status, changed_ns, attributes, iter(names), writer
            )
        )

    def _leave(self, current: _OpenDirectory) -> Entry:
        digest = current.writer.finish()
        status = status_of(current.descriptor)
        if status is None or status.st_mtime_ns != current.status.st_mtime_ns:
            detail = "entries came or went while the directory was read"
            self._tell(current.path.removesuffix(b"/"), ProblemKind.CHANGED, detail)
        self._open.pop()
        os.close(current.descriptor)
        kind, attributes = EntryKind.DIRECTORY, current.attributes
        return entry_of(current.name, kind, current.status, attributes, content=(0, digest, False))

    def _file(self, parent: _OpenDirectory, name: bytes) -> Entry | None:
        try:
            descriptor = open_file(parent.descriptor, name)
        except OSError as exc:
            self._tell_error(parent.path + name, exc)
            return None
        try:
            return self._opened_file(parent.path, name, descriptor)
        finally:
            os.close(descriptor)

    def _opened_file(self, directory: bytes, name: bytes, descriptor: int) -> Entry | None:
        status = status_of(descriptor)
        if status is None or not stat.S_ISREG(status.st_mode):
            self._tell(directory + name, ProblemKind.CHANGED, "it is no file any more")
            return None
        if status.st_nlink > 1 and (link := self._link(status, name)):
            return link
        content = self._content(directory + name, descriptor, status)
        if content is None:
            return None
        attributes = self._attributes(descriptor, directory + name)
        entry = entry_of(name, EntryKind.FILE, status, attributes, content=content)
        size = content[0]
        self.totals.files += 1
        self.totals.size_bytes += size
        return self._first_of(status, directory, entry)

    def _content(
        self, path: bytes, descriptor: int, status: os.stat_result
    ) -> tuple[int, bytes, bool] | None:
        if self.take_over is not None:
            changed_ns = max(self._open[-1].changed_ns, status.st_ctime_ns)
            state = FileState(path, status.st_size, status.st_mtime_ns, changed_ns)
            known = self.take_over(state)
            if known is not None:
                return status.st_size, *known
        data = FileBytes(descriptor, status.st_size)
        digest, is_node = store_content(self.sink, data, status.st_size, self.executor)
        self.totals.read_bytes += data.read_bytes
        if data.error is not None:
            self._tell_error(path, data.error)
            return None
        if has_changed(status, descriptor) or data.length != status.st_size:
            self._tell(path, ProblemKind.CHANGED, "it changed while it was read")
        return data.length, digest, is_node

    def _special(self, parent: _OpenDirectory, name: bytes) -> Entry | None:
        path = parent.path + name
        try:
            status = os.stat(name, dir_fd=parent.descriptor, follow_symlinks=False)
            kind = _SPECIAL.get(stat.S_IFMT(status.st_mode))
            is_link = kind is EntryKind.SYMLINK
            target = os.readlink(name, dir_fd=parent.descriptor) if is_link else b""
            attributes = self._attributes(path_of(parent.descriptor, name), path)
        except OSError as exc:
            self._tell_error(path, exc)
            return None
        if kind is None:
            self._leave_out(path, status)
            return None
        if status.st_nlink > 1 and (link := self._link(status, name)):
            return link
        entry = entry_of(name, kind, status, attributes)._replace(target=target)
        if kind in {EntryKind.CHARACTER_DEVICE, EntryKind.BLOCK_DEVICE}:
            device = os.major(status.st_rdev) << 32 | os.minor(status.st_rdev)
            entry = entry._replace(size=device)
        self.totals.others += 1
        return self._first_of(status, parent.path, entry)

    def _leave_out(self, path: bytes, status: os.stat_result) -> None:
        if stat.S_ISSOCK(status.st_mode):
            self.totals.sockets += 1
        else:
            self._tell(path, ProblemKind.CHANGED, "it is of another type than it was")

    def _link(self, status: os.stat_result, name: bytes) -> Entry | None:
        known = self._links.pop((status.st_dev, status.st_ino), None)
        if known is None:
            return None
        path, entry, more = known
        if more > 1:
            self._links[status.st_dev, status.st_ino] = path, entry, more - 1
        self.totals.links += 1
        return entry._replace(name=name, link_to=path)

    def _first_of(self, status: os.stat_result, directory: bytes, entry: Entry) -> Entry:
        more = status.st_nlink - 1
        if more > 0:
            self._links[status.st_dev, status.st_ino] = directory + entry.name, entry, more
        return entry

    def _attributes(self, target: int | bytes, path: bytes) -> tuple[bytes, bytes]:
        attributes = []
        try:
            attributes = list_attributes(target)
        except OSError as exc:
            detail = f"its extended attributes cannot be read: {exc.strerror}"
            self._tell(path, ProblemKind.METADATA, detail)
        if not attributes:
            return b"", b""
        if len(encode_attributes(attributes)) > MOST_BYTES:
            self._tell(path, ProblemKind.METADATA, "it has too many extended attributes")
            attributes = []
        return store_attributes(self.sink, attributes)

    def _tell_error(self, path: bytes, exc: OSError) -> None:
        if exc.errno in _EXHAUSTED:
            raise ReadingFailedError(f"files cannot be opened any more: {exc.strerror}") from exc
        vanished = isinstance(exc, FileNotFoundError)
        kind = ProblemKind.VANISHED if vanished else ProblemKind.UNREADABLE
        self._tell(path, kind, exc.strerror or str(exc))

    def _tell(self, path: bytes, kind: ProblemKind, detail: str) -> None:
        self.totals.problems += 1
        self.told(Problem(path, kind, detail))
