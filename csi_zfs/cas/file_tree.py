"""Reading a tree of files in a store: one path, a directory, or everything in order."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from csi_zfs.cas.api import ChunkSource, StoreCorruptError
from csi_zfs.cas.directories import find_entry, read_directory
from csi_zfs.cas.file_content import read_content
from csi_zfs.cas.nodes_ahead import NodesAhead
from csi_zfs.cas.tree_entries import Entry, EntryKind
from csi_zfs.cas.tree_root import TreeRoot, read_root
from csi_zfs.domain.errors import CorruptionError, InvalidRequestError, NotFoundError

# One descriptor is open for each while a tree is read or unpacked; the longest path of the kernel
# has 2048 at most.
MOST_LEVELS = 512
_HOLE_BYTES = 1024 * 1024

# Told of a directory that cannot be read on: its path, and why.
LostDirectory = Callable[[bytes, CorruptionError], None]


class PathNotFoundError(NotFoundError):
    """There is nothing of this path in the tree."""


class NotAFileError(InvalidRequestError):
    """Only a file has content that can be printed."""


class Visit(NamedTuple):
    """An entry below a directory: the directory's own have level 1; `path` is from the top."""

    level: int
    path: bytes
    entry: Entry


class FileTree:
    """One tree in a store.  Thread-safe.

    Every method may raise what the source raises, and `StoreCorruptError` or `UnknownFormatError`
    where a node is not what a writer makes.
    """

    def __init__(self, source: ChunkSource, digest: bytes) -> None:
        self.source = source
        self.root: TreeRoot = read_root(source, digest)

    def find(self, path: bytes) -> Entry:
        """The entry of a path from the top, which is the empty path.

        Raises `PathNotFoundError`.  Links are not followed.
        """
        entry = self.root.top
        for name in path.split(b"/") if path else ():
            found = find_entry(self.source, entry.content, name) if entry.is_directory else None
            if found is None:
                raise PathNotFoundError(f"there is no {_text(path)} in the tree")
            entry = found
        return entry

    def entries(self, directory: Entry) -> Iterator[Entry]:
        """What is in a directory, in the order of the names."""
        return read_directory(self.source, directory.content)

    def walk(self, path: bytes = b"", *, lost: LostDirectory | None = None) -> Iterator[Visit]:
        """All below a directory: each entry, and after a directory what is in it.

        With `lost`, directories that cannot be read are told there and left out.
        """
        top = self.find(path)
        ahead = NodesAhead(self.source)
        below = [(path, ahead.entries(top.content))] if top.is_directory else []
        left = self.root.entry_count
        while below:
            directory, entries = below[-1]
            entry = _next(directory, entries, lost)
            if entry is None:
                below.pop()
                continue
            left -= 1
            if left < 0 or len(below) > MOST_LEVELS:
                raise StoreCorruptError("a tree of files has more in it than its root says")
            visit = Visit(len(below), join(directory, entry.name), entry)
            yield visit
            if entry.is_directory:
                below.append((visit.path, ahead.entries(entry.content)))

    def cat(self, path: bytes) -> Iterator[bytes]:
        """The bytes of a file in order.  Raises `PathNotFoundError`, `NotAFileError`."""
        entry = self.find(path)
        if entry.kind is not EntryKind.FILE:
            raise NotAFileError(f"{_text(path)} is a {entry.kind.name.lower()}, not a file")
        return self._bytes_of(entry)

    def _bytes_of(self, entry: Entry) -> Iterator[bytes]:
        at = 0
        for offset, data in read_content(self.source, entry):
            yield from _zeros(offset - at)
            yield data
            at = offset + len(data)
        yield from _zeros(entry.size - at)


def join(directory: bytes, name: bytes) -> bytes:
    """The path of a name in a directory."""
    return directory + b"/" + name if directory else name


def _next(directory: bytes, entries: Iterator[Entry], lost: LostDirectory | None) -> Entry | None:
    try:
        return next(entries, None)
    except CorruptionError as exc:
        if lost is None:
            raise
        lost(directory, exc)
        return None


def _zeros(length: int) -> Iterator[bytes]:
    for start in range(0, length, _HOLE_BYTES):
        yield bytes(min(_HOLE_BYTES, length - start))


def _text(path: bytes) -> str:
    return repr(path.decode(errors="backslashreplace"))
