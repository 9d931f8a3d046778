"""What differs between two trees of files, path by path."""

import enum
from collections.abc import Iterator
from typing import NamedTuple

from csi_zfs.cas.api import StoreCorruptError
from csi_zfs.cas.directory_diff import EntryPair, diff_directories
from csi_zfs.cas.file_tree import MOST_LEVELS, FileTree, join
from csi_zfs.cas.tree_entries import Entry


class ChangeKind(enum.StrEnum):
    """How a path differs; one whose content and metadata differ has `CONTENT`."""

    ADDED = "added"
    REMOVED = "removed"
    CONTENT = "content"
    METADATA = "metadata"


class TreeChange(NamedTuple):
    """A path that differs, and its entries before and after, where there are any."""

    path: bytes
    kind: ChangeKind
    old: Entry | None
    new: Entry | None


def diff_trees(old: FileTree, new: FileTree) -> Iterator[TreeChange]:
    """The paths that differ, in the order of a walk; what became of another type is removed first.

    Directories whose content is equal are not read.  Both trees must have digests of one domain.
    """
    yield from _changes(b"", (old.root.top, new.root.top))
    below = [(b"", _pairs_in(old, new, (old.root.top, new.root.top)))]
    while below:
        directory, pairs = below[-1]
        pair = next(pairs, None)
        if pair is None:
            below.pop()
            continue
        if len(below) > MOST_LEVELS:
            raise StoreCorruptError("a tree of files is too deep")
        path = join(directory, next(entry.name for entry in pair if entry is not None))
        yield from _changes(path, pair)
        below.append((path, _pairs_in(old, new, pair)))


def _changes(path: bytes, pair: EntryPair) -> Iterator[TreeChange]:
    old, new = pair
    if old is not None and new is not None and old.kind is new.kind:
        if _content_of(old) != _content_of(new):
            yield TreeChange(path, ChangeKind.CONTENT, old, new)
        elif _metadata_of(old) != _metadata_of(new):
            yield TreeChange(path, ChangeKind.METADATA, old, new)
        return
    if old is not None:
        yield TreeChange(path, ChangeKind.REMOVED, old, None)
    if new is not None:
        yield TreeChange(path, ChangeKind.ADDED, None, new)


def _content_of(entry: Entry) -> tuple[object, ...]:
    # What is in a directory are changes of their own.
    return () if entry.is_directory else (entry.size, entry.content, entry.target)


def _metadata_of(entry: Entry) -> Entry:
    return entry._replace(content=b"") if entry.is_directory else entry


def _pairs_in(old: FileTree, new: FileTree, pair: EntryPair) -> Iterator[EntryPair]:
    """The entries of two directories by their names; of what is no directory there are none."""
    one, other = (entry if entry is not None and entry.is_directory else None for entry in pair)
    if one is not None and other is not None and one.content == other.content:
        return
    if one is not None and other is not None:
        yield from diff_directories((old.source, one.content), (new.source, other.content))
    elif one is not None:
        yield from ((entry, None) for entry in old.entries(one))
    elif other is not None:
        yield from ((None, entry) for entry in new.entries(other))
