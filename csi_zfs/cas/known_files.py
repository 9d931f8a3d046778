"""Files of an older tree that need not be read again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from csi_zfs.cas.api import BlobKind
from csi_zfs.cas.file_content import read_extents
from csi_zfs.cas.file_tree import FileTree, join
from csi_zfs.cas.nodes_ahead import NodesAhead
from csi_zfs.cas.tree_entries import Entry, EntryKind
from csi_zfs.domain.errors import CorruptionError

# Clocks of files move in ticks, and remote ones differ a little from ours.
_MARGIN_NS = 2_000_000_000

# Whether a store has a chunk that is not known to be damaged.
Has = Callable[[bytes, BlobKind], bool]


class FileState(NamedTuple):
    """What the kernel says of a file.

    `changed_ns` is the latest change of the inode, or of that of any directory on the way from the
    top, which a directory that was moved into this place has as well.
    """

    path: bytes
    size: int
    mtime_ns: int
    changed_ns: int


@dataclass(slots=True)
class _Place:
    """A directory of the older tree and how far its entries were looked through."""

    path: bytes
    entries: Iterator[Entry]
    entry: Entry | None

    def find(self, name: bytes) -> Entry | None:
        """The entry of a name above every one that was asked for before, or the same again."""
        while self.entry is not None and self.entry.name < name:
            self.entry = next(self.entries, None)
        found = self.entry is not None and self.entry.name == name
        return self.entry if found else None


class KnownFiles:
    """Says for a walk what the content of files is that an older tree of the directory has.

    A file counts as unchanged where path, length and time of modification are the same, and neither
    it nor a directory above it changed since the older tree was begun to be read (`begun_ns`, by
    the clock of the file system).  That is as sure as this clock, which nobody may have set back.
    And the store has to have its chunks, by what `has` says of each: one that is known to be
    damaged is read again, which heals it.  Each entry of the older tree is looked at once, since a
    walk asks in its order.
    """

    def __init__(self, tree: FileTree, begun_ns: int, has: Has) -> None:
        self._source = tree.source
        self._ahead = NodesAhead(tree.source)
        self._has = has
        self._before_ns = begun_ns - _MARGIN_NS
        self._places = [self._place(b"", tree.root.top)]

    def __call__(self, state: FileState) -> tuple[bytes, bool] | None:
        """The content of a file and whether it is a node, if it is known."""
        if state.changed_ns >= self._before_ns:
            return None
        try:
            entry = self._find(state.path)
        except CorruptionError:
            # Of an older tree that is damaged the rest is read again, which heals it.
            self._places = [_Place(b"", iter(()), None)]
            return None
        if entry is None or not _is_same(entry, state) or not self._is_stored(entry):
            return None
        return entry.content, entry.has_content_node

    def _is_stored(self, entry: Entry) -> bool:
        try:
            extents = read_extents(self._source, entry)
            return all(self._has(digest, BlobKind.DATA) for _, _, digest in extents)
        except CorruptionError:
            return False

    def _find(self, path: bytes) -> Entry | None:
        directory, _, name = path.rpartition(b"/")
        while not _is_within(directory, self._places[-1].path):
            self._places.pop()
        place = self._places[-1]
        for part in directory.removeprefix(place.path).split(b"/"):
            if part:
                entry = place.find(part)
                if entry is None or not entry.is_directory:
                    return None
                place = self._place(join(place.path, part), entry)
                self._places.append(place)
        return place.find(name)

    def _place(self, path: bytes, directory: Entry) -> _Place:
        entries = self._ahead.entries(directory.content)
        return _Place(path, entries, next(entries, None))


def _is_same(entry: Entry, state: FileState) -> bool:
    same = (entry.size, entry.mtime_ns) == (state.size, state.mtime_ns)
    return same and entry.kind is EntryKind.FILE


def _is_within(directory: bytes, top: bytes) -> bool:
    return not top or directory == top or directory.startswith(join(top, b""))
